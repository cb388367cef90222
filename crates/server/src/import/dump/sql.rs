//! The statements of a dump: those that say something of a wanted table, and the way over the others.
//!
//! Length: one reader with its place in the text; every method moves it, and none makes sense apart.

use std::collections::HashMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::DumpError;
use crate::import::rows::{Place, ROWS_MAX, Row, Tables, Value};

/// A value of a wanted table at most, in bytes; the longest column has 4000 characters.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// A dump and how far it has been read.
pub(super) struct Dump<'a> {
    bytes: &'a [u8],
    at: usize,
    file: Arc<str>,
    lines: Vec<usize>,
    wanted: &'a [&'static str],
    /// Whether a backslash in a quoted text says something of what follows.
    backslashes: bool,
    columns: HashMap<&'static str, Arc<[String]>>,
}

impl<'a> Dump<'a> {
    pub(super) fn new(bytes: &'a [u8], file: &str, wanted: &'a [&'static str]) -> Self {
        let lines = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at);
        let head = bytes.get(..bytes.len().min(4096)).unwrap_or(bytes);
        // MySQL quotes names with it, and PostgreSQL has no use for it.
        let backslashes = head.contains(&b'`') || holds(head, b"MySQL") || holds(head, b"MariaDB");
        Self {
            bytes,
            at: 0,
            file: file.into(),
            lines: lines.collect(),
            wanted,
            backslashes,
            columns: HashMap::new(),
        }
    }

    pub(super) fn read(mut self, tables: &mut Tables) -> Result<(), DumpError> {
        while self.skip_blank() {
            let start = self.at;
            match self.word().to_ascii_uppercase().as_str() {
                "INSERT" | "REPLACE" => self.insert(tables)?,
                "CREATE" => self.create(tables)?,
                "COPY" => self.copy(tables)?,
                _ => {
                    self.at = start;
                    self.skip_statement();
                }
            }
            if tables.len() > ROWS_MAX {
                return Err(self.shape("holds more rows than are read at once"));
            }
        }
        Ok(())
    }

    fn place(&self) -> Place {
        let line = self.lines.partition_point(|newline| *newline < self.at) + 1;
        Place { file: Arc::clone(&self.file), line }
    }

    fn shape(&self, why: &'static str) -> DumpError {
        DumpError::Shape { place: self.place(), why }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Steps over blanks and comments; false at the end. What MySQL puts into comments for
    /// certain versions of it is no data.
    fn skip_blank(&mut self) -> bool {
        loop {
            let rest = self.rest();
            if rest.is_empty() {
                return false;
            }
            if rest.starts_with(b"--") || rest.starts_with(b"#") || rest.starts_with(b"\\") {
                self.skip_past(b"\n");
            } else if rest.starts_with(b"/*") {
                self.skip_past(b"*/");
            } else if rest[0].is_ascii_whitespace() || rest[0] == b';' {
                self.at += 1;
            } else {
                return true;
            }
        }
    }

    fn skip_past(&mut self, end: &[u8]) {
        let rest = self.rest();
        let found = rest.windows(end.len()).position(|window| window == end);
        self.at += found.map_or(rest.len(), |found| found + end.len());
    }

    fn word(&mut self) -> String {
        let rest = self.rest();
        let length = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        self.at += length;
        String::from_utf8_lossy(&rest[..length]).into_owned()
    }

    /// A name, quoted or not, without the schema in front.
    fn name(&mut self) -> String {
        loop {
            self.skip_blank();
            let name = match self.peek() {
                Some(quote @ (b'`' | b'"')) => {
                    self.at += 1;
                    let rest = self.rest();
                    let length = rest.iter().take_while(|b| **b != quote).count();
                    self.at += length + 1;
                    String::from_utf8_lossy(&rest[..length]).into_owned()
                }
                _ => self.word(),
            };
            if self.peek() != Some(b'.') {
                return name.to_ascii_lowercase();
            }
            self.at += 1;
        }
    }

    fn wanted_table(&mut self) -> Option<&'static str> {
        let name = self.name();
        self.wanted.iter().copied().find(|wanted| *wanted == name)
    }

    /// Steps over the rest of a statement, quoted texts and bodies of functions included.
    fn skip_statement(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b';' => {
                    self.at += 1;
                    return;
                }
                b'\'' | b'"' | b'`' => self.skip_quoted(byte),
                b'$' => self.skip_dollars(),
                b'-' if self.rest().starts_with(b"--") => self.skip_past(b"\n"),
                b'/' if self.rest().starts_with(b"/*") => self.skip_past(b"*/"),
                _ => self.at += 1,
            }
        }
    }

    fn skip_quoted(&mut self, quote: u8) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' && self.backslashes { 2 } else { 1 };
            if byte == quote {
                return;
            }
        }
    }

    /// `$tag$ ... $tag$` of PostgreSQL; a lone dollar is no quote.
    fn skip_dollars(&mut self) {
        let rest = self.rest();
        let name = rest.iter().skip(1).take_while(|b| b.is_ascii_alphanumeric() || **b == b'_');
        let length = name.count() + 2;
        self.at += 1;
        if let Some(tag) = rest.get(..length).filter(|tag| tag.ends_with(b"$")) {
            self.at += length - 1;
            self.skip_past(tag);
        }
    }

    /// The names of columns in parentheses, where they stand.
    fn column_list(&mut self) -> Option<Arc<[String]>> {
        self.skip_blank();
        if self.peek() != Some(b'(') {
            return None;
        }
        let mut names = Vec::new();
        loop {
            self.at += 1;
            names.push(self.name());
            self.skip_blank();
            if self.peek() != Some(b',') {
                break;
            }
        }
        self.at += 1;
        Some(names.into())
    }

    fn create(&mut self, tables: &mut Tables) -> Result<(), DumpError> {
        self.skip_blank();
        if !self.word().eq_ignore_ascii_case("TABLE") {
            self.skip_statement();
            return Ok(());
        }
        self.skip_blank();
        if self.rest().get(..13).is_some_and(|s| s.eq_ignore_ascii_case(b"IF NOT EXISTS")) {
            self.at += 13;
        }
        let Some(table) = self.wanted_table() else {
            self.skip_statement();
            return Ok(());
        };
        self.skip_blank();
        if self.peek() != Some(b'(') {
            return Err(self.shape("a table without columns"));
        }
        let mut columns = Vec::new();
        while matches!(self.peek(), Some(b'(' | b',')) {
            self.at += 1;
            self.skip_blank();
            let is_quoted = matches!(self.peek(), Some(b'`' | b'"'));
            let name = self.name();
            let is_column = ![
                "primary",
                "key",
                "unique",
                "constraint",
                "index",
                "fulltext",
                "foreign",
                "check",
            ]
            .contains(&name.as_str());
            if is_quoted || is_column {
                columns.push(name);
            }
            self.skip_definition();
        }
        self.skip_statement();
        tables.entry(table);
        self.columns.insert(table, columns.into());
        Ok(())
    }

    /// Steps over the rest of a column's definition, to the comma or parenthesis behind it.
    fn skip_definition(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b',' | b')' if depth == 0 => return,
                b'\'' | b'"' | b'`' => {
                    self.skip_quoted(byte);
                    continue;
                }
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
    }

    fn insert(&mut self, tables: &mut Tables) -> Result<(), DumpError> {
        self.skip_blank();
        while !self.word().eq_ignore_ascii_case("INTO") {
            self.skip_blank();
            if !self.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
                self.skip_statement();
                return Ok(());
            }
        }
        let Some(table) = self.wanted_table() else {
            self.skip_statement();
            return Ok(());
        };
        let listed = self.column_list();
        let known = self.columns.get(table).cloned();
        let columns = listed.or(known).ok_or_else(|| {
            self.shape("rows without the names of their columns; dump the table's definition too")
        })?;
        self.skip_blank();
        if !self.word().eq_ignore_ascii_case("VALUES") {
            return Err(self.shape("an INSERT without VALUES"));
        }
        loop {
            self.skip_blank_but_end();
            if self.peek() != Some(b'(') {
                return Err(self.shape("a row without its parenthesis"));
            }
            let place = self.place();
            let values = self.values()?;
            let row = Row::new(place, &columns, values);
            tables.entry(table).push(row.ok_or_else(|| {
                self.shape("a row with another number of values than the table has columns")
            })?);
            self.skip_blank_but_end();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => break,
            }
        }
        self.skip_statement();
        Ok(())
    }

    fn skip_blank_but_end(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// The values of a row, in parentheses.
    fn values(&mut self) -> Result<Vec<Value>, DumpError> {
        let mut values = Vec::new();
        loop {
            self.at += 1;
            values.push(self.value()?);
            match self.peek() {
                Some(b',') => {}
                Some(b')') => {
                    self.at += 1;
                    return Ok(values);
                }
                _ => return Err(self.shape("a row that does not end")),
            }
        }
    }

    /// One value, with a cast or a character set around it.
    fn value(&mut self) -> Result<Value, DumpError> {
        let mut bare = String::new();
        let mut quoted: Option<Zeroizing<Vec<u8>>> = None;
        while let Some(byte) = self.peek() {
            match byte {
                b',' | b')' => break,
                b'\'' => {
                    let escapes = self.backslashes || bare.trim().eq_ignore_ascii_case("e");
                    quoted = Some(self.quoted(escapes)?);
                }
                _ => {
                    bare.push(char::from(byte));
                    self.at += 1;
                }
            }
            if bare.len() > VALUE_BYTES_MAX {
                return Err(self.shape("a value of more than 64 KiB"));
            }
        }
        if let Some(bytes) = quoted {
            return self.text(&bytes).map(Some);
        }
        let bare = bare.trim();
        let is_null = bare.eq_ignore_ascii_case("null");
        Ok((!is_null).then(|| Zeroizing::new(bare.to_owned())))
    }

    fn text(&self, bytes: &[u8]) -> Result<Zeroizing<String>, DumpError> {
        let text = std::str::from_utf8(bytes);
        let text = text.map_err(|_| self.shape("a value that is no UTF-8; dump in UTF-8"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    fn quoted(&mut self, escapes: bool) -> Result<Zeroizing<Vec<u8>>, DumpError> {
        let mut out = Zeroizing::new(Vec::new());
        self.at += 1;
        loop {
            let byte = self.peek().ok_or_else(|| self.shape("a text that does not end"))?;
            self.at += 1;
            match byte {
                b'\'' if self.peek() == Some(b'\'') => {
                    self.at += 1;
                    out.push(byte);
                }
                b'\'' => return Ok(out),
                b'\\' if escapes => {
                    out.push(unescaped(self.peek().unwrap_or(b'\\')));
                    self.at += 1;
                }
                _ => out.push(byte),
            }
            if out.len() > VALUE_BYTES_MAX {
                return Err(self.shape("a value of more than 64 KiB"));
            }
        }
    }

    fn copy(&mut self, tables: &mut Tables) -> Result<(), DumpError> {
        let table = self.wanted_table();
        let columns = self.column_list();
        self.skip_statement();
        self.skip_past(b"\n");
        loop {
            let place = self.place();
            let rest = self.rest();
            let length = rest.iter().take_while(|b| **b != b'\n').count();
            let line = rest.get(..length).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if rest.is_empty() {
                return Err(self.shape("a COPY that does not end"));
            }
            self.at = (self.at + length + 1).min(self.bytes.len());
            if line == b"\\." {
                return Ok(());
            }
            let Some(table) = table else { continue };
            let columns = columns.as_ref().or_else(|| self.columns.get(table)).cloned();
            let columns = columns.ok_or_else(|| self.shape("a COPY without columns"))?;
            let values: Result<Vec<Value>, DumpError> =
                line.split(|b| *b == b'\t').map(|field| self.copied(field)).collect();
            let row = Row::new(place, &columns, values?);
            tables.entry(table).push(row.ok_or_else(|| {
                self.shape("a row with another number of values than the table has columns")
            })?);
        }
    }

    /// A field of COPY's text format.
    fn copied(&self, field: &[u8]) -> Result<Value, DumpError> {
        if field == b"\\N" {
            return Ok(None);
        }
        if field.len() > VALUE_BYTES_MAX {
            return Err(self.shape("a value of more than 64 KiB"));
        }
        let mut out = Zeroizing::new(Vec::with_capacity(field.len()));
        let mut bytes = field.iter().copied();
        while let Some(byte) = bytes.next() {
            out.push(if byte == b'\\' { unescaped(bytes.next().unwrap_or(byte)) } else { byte });
        }
        self.text(&out).map(Some)
    }
}

/// What a character behind a backslash stands for.
const fn unescaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'0' => 0,
        b'b' => 8,
        b'Z' => 26,
        other => other,
    }
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: [&str; 2] = ["cm_passwords", "cm_co_people"];

    fn read_text(text: &str) -> Result<Tables, DumpError> {
        let mut tables = Tables::default();
        Dump::new(text.as_bytes(), "dump.sql", &WANTED).read(&mut tables)?;
        Ok(tables)
    }

    #[test]
    fn rows_of_mysqldump_are_read_by_the_definition_of_their_table() {
        let text = "-- MySQL dump 10.13\n/*!40101 SET NAMES utf8 */;\n\
            CREATE TABLE `cm_passwords` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  \
            `password` varchar(256) DEFAULT 'a,b)',\n  `type` enum('x','y'),\n  \
            PRIMARY KEY (`id`),\n  KEY `i1` (`password`,`id`)\n) ENGINE=InnoDB;\n\
            INSERT INTO `other` VALUES (1,'it''s; \\'INSERT INTO `cm_passwords`');\n\
            INSERT INTO `cm_passwords` VALUES (1,'a\\'b''c\\\\','x'),(2,NULL,_binary 'y');\n";
        let tables = read_text(text).unwrap();
        let rows = tables.of("cm_passwords");
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].id(), rows[0].text("password")), (1, Some("a'b'c\\")));
        assert_eq!((rows[1].text("password"), rows[1].text("type")), (None, Some("y")));
        assert_eq!(rows[0].place.to_string(), "dump.sql:11");
    }

    #[test]
    fn rows_of_pg_dump_are_read_from_copy_and_from_insert() {
        let text = "-- PostgreSQL database dump\nSET x = 'a\\';\n\
            CREATE FUNCTION f() AS $body$ begin; COPY cm_passwords (id) FROM stdin; $body$;\n\
            CREATE TABLE public.cm_passwords (\n    id integer NOT NULL,\n    \
            password character varying(256)\n);\n\
            COPY public.cm_passwords (id, password) FROM stdin;\n\
            7\ta\\tb\\\\c\n8\t\\N\n\\.\n\n\
            INSERT INTO public.cm_passwords VALUES (9, 'x\\y'::character varying);\n\
            INSERT INTO public.cm_passwords (password, id) VALUES (E'x\\ty', 10);\n";
        let tables = read_text(text).unwrap();
        let shown: Vec<_> =
            tables.of("cm_passwords").iter().map(|row| (row.id(), row.text("password"))).collect();
        let wanted = [(7, Some("a\tb\\c")), (8, None), (9, Some("x\\y")), (10, Some("x\ty"))];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn what_is_no_dump_is_refused_with_its_line() {
        for (text, line) in [
            ("INSERT INTO cm_passwords VALUES (1)", 1),
            ("\nINSERT INTO cm_passwords (id) VALUES (1", 2),
            ("\n\nINSERT INTO cm_passwords (id) VALUES (1, 2);", 3),
            ("COPY cm_passwords (id) FROM stdin;\n1\n", 3),
            ("INSERT INTO cm_passwords (id) VALUES ('a", 1),
        ] {
            let DumpError::Shape { place, .. } = read_text(text).unwrap_err() else {
                panic!("{text}")
            };
            assert_eq!(place.line, line, "{text}");
        }
        assert!(!read_text("hello; CREATE TABLE x").unwrap().has("cm_passwords"));
    }
}
