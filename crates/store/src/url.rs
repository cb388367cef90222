//! Where the database is, as the configuration and the command line write it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A database: `sqlite:PATH`, or `postgres://..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file of this machine.
    Sqlite(PathBuf),
    /// A server. Kept as written; it may hold a password and is never shown.
    Postgres(PostgresUrl),
}

/// The URL of a PostgreSQL server; shows nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    /// As it was written, with the password that may stand in it.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// `HOST:PORT/NAME`, without the user and the parameters; `..` where it cannot be told what
    /// is a password.
    fn place(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        // The last `@`, because a password may hold one that is not escaped.
        match rest.rsplit_once('@') {
            Some((before, _)) if before.contains('?') => "..",
            Some((_, after)) => after.split('?').next().unwrap_or(".."),
            None => rest.split('?').next().unwrap_or(".."),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresUrl(..)")
    }
}

/// A text that names no database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a database is written sqlite:PATH or postgres://USER@HOST/NAME")]
pub struct BadDatabaseUrl;

impl DatabaseUrl {
    /// Recognises a database URL. `sqlite:` takes any path: `sqlite:data/db`, `sqlite:///srv/db`.
    pub fn parse(text: &str) -> Result<Self, BadDatabaseUrl> {
        if let Some(rest) = text.strip_prefix("sqlite:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            let plain = !path.is_empty() && !path.contains('\0');
            return plain.then(|| Self::sqlite(Path::new(path))).ok_or(BadDatabaseUrl);
        }
        let is_server = ["postgres://", "postgresql://"].iter().any(|p| text.starts_with(p));
        is_server.then(|| Self::Postgres(PostgresUrl(text.to_owned()))).ok_or(BadDatabaseUrl)
    }

    /// The embedded database at `path`.
    pub fn sqlite(path: &Path) -> Self {
        Self::Sqlite(path.to_owned())
    }
}

impl FromStr for DatabaseUrl {
    type Err = BadDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// For logs: of a server its host, port and name, never what could be a password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => write!(f, "postgres://{}", url.place()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_as_it_stands_and_a_server_never_shows_its_password() {
        let path = |text| match DatabaseUrl::parse(text) {
            Ok(DatabaseUrl::Sqlite(path)) => path,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(path("sqlite:data/store.db"), Path::new("data/store.db"));
        assert_eq!(path("sqlite:/srv/store.db"), Path::new("/srv/store.db"));
        assert_eq!(path("sqlite:///srv/store.db"), Path::new("/srv/store.db"));
        let server = DatabaseUrl::parse("postgres://me:hunter2@db/cf").unwrap();
        assert!(!format!("{server} {server:?}").contains("hunter2"));
        for (text, shown) in [
            ("postgres://me:hunter2@db:5433/cf?sslmode=require", "postgres://db:5433/cf"),
            ("postgres://me:hunt@er2/x@db1,db2/cf", "postgres://db1,db2/cf"),
            ("postgres://db/cf?user=me&password=hunter2", "postgres://db/cf"),
            ("postgres://db/cf?password=hunt@er2", "postgres://.."),
        ] {
            assert_eq!(DatabaseUrl::parse(text).unwrap().to_string(), shown);
        }
        for bad in ["", "sqlite:", "store.db", "mysql://x"] {
            assert_eq!(DatabaseUrl::parse(bad), Err(BadDatabaseUrl), "{bad}");
        }
    }
}
