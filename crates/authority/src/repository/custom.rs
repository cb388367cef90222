//! What is set for a repository whose tokens are kept elsewhere.

/// By what the tokens are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// The protocol `counterfoil-repo/1`.
    Http,
    /// Named statements.
    Sql,
    /// A directory.
    Ldap,
}

impl Driver {
    /// Every driver.
    pub const ALL: [Self; 3] = [Self::Http, Self::Sql, Self::Ldap];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Sql => "sql",
            Self::Ldap => "ldap",
        }
    }

    /// The driver of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|driver| driver.name() == name)
    }
}

/// Who compares a presented secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Comparison {
    /// We do, with the hash that the other side tells.
    #[default]
    Local,
    /// The other side does, and sees the clear secret.
    Delegated,
}

/// What is set for a repository whose tokens are kept elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomRules {
    /// By what it is reached.
    pub driver: Driver,
    /// Where it is.
    pub url: String,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// Who compares secrets.
    pub comparison: Comparison,
}
