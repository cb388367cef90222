//! Statements with `:named` parameters, put into the words of the drivers.

use std::fmt::Write as _;

/// Bytes of a statement at most.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// A statement that an operator wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// With `$1` or `?1` in place of names; both are numbered alike.
    dollars: String,
    marks: String,
    names: Vec<String>,
}

impl Statement {
    /// Reads one statement.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim().trim_end_matches(';').trim_end();
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return Err("is empty or longer than 16 KiB".to_owned());
        }
        let mut parsed = Self { dollars: String::new(), marks: String::new(), names: Vec::new() };
        let mut rest = text;
        while !rest.is_empty() {
            let length = opaque_length(rest)?;
            if length > 0 {
                let (opaque, behind) = rest.split_at(length);
                parsed.push(opaque);
                rest = behind;
            } else if let Some(name) = name_at(rest) {
                parsed.bind(name);
                rest = &rest[name.len() + 1..];
            } else {
                let next = rest.chars().next().map_or(1, char::len_utf8);
                if rest.starts_with(';') {
                    return Err("is more than one statement".to_owned());
                }
                let (one, behind) = rest.split_at(next);
                parsed.push(one);
                rest = behind;
            }
        }
        Ok(parsed)
    }

    fn push(&mut self, text: &str) {
        self.dollars.push_str(text);
        self.marks.push_str(text);
    }

    fn bind(&mut self, name: &str) {
        let known = self.names.iter().position(|known| known == name);
        let place = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        }) + 1;
        // Writing to a string cannot fail.
        let _ = write!(self.dollars, "${place}");
        let _ = write!(self.marks, "?{place}");
    }

    /// The names, in the order of their numbers.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// For PostgreSQL.
    pub(super) fn dollars(&self) -> &str {
        &self.dollars
    }

    /// For SQLite.
    pub(super) fn marks(&self) -> &str {
        &self.marks
    }

    fn begins_with(&self, word: &str) -> bool {
        self.marks.split_whitespace().next().is_some_and(|first| first.eq_ignore_ascii_case(word))
    }

    /// Whether it returns rows.
    pub(super) fn returns_rows(&self) -> bool {
        let changes = ["insert", "update", "delete"].iter().any(|word| self.begins_with(word));
        !changes || has_word(&self.marks, "returning")
    }

    /// Whether it is one `update` that counts only below the limit it is given: the check and the
    /// count are one statement then, and nobody gets in between.
    pub(super) fn is_conditional_update(&self) -> bool {
        let limit = self.names.iter().position(|name| name == "limit");
        let lower = self.marks.to_ascii_lowercase();
        let Some((_, condition)) = lower.rsplit_once("where") else { return false };
        let placeholder = limit.map(|place| format!("?{}", place + 1));
        self.begins_with("update")
            && condition.contains('<')
            && placeholder.is_some_and(|mark| condition.contains(&mark))
    }
}

fn has_word(text: &str, word: &str) -> bool {
    let letters = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    text.split(letters).any(|found| found.eq_ignore_ascii_case(word))
}

/// The name of a parameter that stands here.
fn name_at(rest: &str) -> Option<&str> {
    let behind = rest.strip_prefix(':')?;
    let letters = |c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_';
    let length = behind.find(letters).unwrap_or(behind.len());
    let name = &behind[..length];
    name.starts_with(|c: char| c.is_ascii_lowercase()).then_some(name)
}

/// Bytes in which no parameter is meant: a text, a quoted name, a comment, or a cast; 0: none.
fn opaque_length(rest: &str) -> Result<usize, String> {
    let until = |open: usize, close: &str, what: &str| {
        let found = rest[open..].find(close).map(|at| open + at + close.len());
        found.ok_or_else(|| format!("has {what} that does not end"))
    };
    if rest.starts_with("::") {
        return Ok(2);
    }
    match rest.as_bytes() {
        [b'\'', ..] => until(1, "'", "a text"),
        [b'"', ..] => until(1, "\"", "a name"),
        [b'-', b'-', ..] => Ok(rest.find('\n').unwrap_or(rest.len())),
        [b'/', b'*', ..] => until(2, "*/", "a comment"),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_bound_wherever_it_stands_and_nowhere_else() {
        let text = "select 'a:b', \":c\", x::text -- :d\nfrom t /* :e */ where u = :user and \
                    (:user <> '' or s = :service);";
        let parsed = Statement::parse(text).unwrap();
        assert_eq!(parsed.names(), ["user", "service"]);
        assert_eq!(
            parsed.dollars(),
            "select 'a:b', \":c\", x::text -- :d\nfrom t /* :e */ where u = $1 and \
             ($1 <> '' or s = $2)"
        );
        assert!(parsed.marks().ends_with("u = ?1 and (?1 <> '' or s = ?2)"));
    }

    #[test]
    fn one_statement_is_one_statement() {
        for bad in ["", ";", "select 1; select 2", "select 'open", "select /* open"] {
            assert!(Statement::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Statement::parse("select 'a;b'").unwrap().names(), <[&str; 0]>::default());
    }

    #[test]
    fn only_a_conditional_update_counts_atomically() {
        let atomic = |text| Statement::parse(text).unwrap().is_conditional_update();
        assert!(atomic("update t set used = used + 1 where id = :id and used < :limit"));
        assert!(atomic("UPDATE t SET n = n + 1 WHERE n < :limit AND id = :id RETURNING n as used"));
        for not in [
            "update t set used = used + 1 where id = :id",
            "update t set used = :limit where id = :id and used < 7",
            "select consume(:id, :limit) where 1 < 2",
            "insert into t select :id where 1 < :limit",
        ] {
            assert!(!atomic(not), "{not}");
        }
    }

    #[test]
    fn whether_rows_come_back_is_told_from_the_words() {
        let returns = |text| Statement::parse(text).unwrap().returns_rows();
        assert!(returns("select 1") && returns("with a as (select 1) select * from a"));
        assert!(returns("update t set a = 1 returning id"));
        assert!(!returns("update t set a = 1") && !returns("delete from t"));
    }
}
