//! Collects the configuration from file, environment and flags, and reports every error at once.

use std::fmt;
use std::path::{Path, PathBuf};

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::Config;
use counterfoil_authority::names::{RepositoryName, ShadowName};
use counterfoil_authority::repository::Attribute;

use super::keys::{Key, PREFIX, SECTIONS, Sort, every_key, pattern_of, plain_keys};

/// A larger file is no configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// A secret file holds one line.
const SECRET_BYTES_MAX: u64 = 4096;

/// What a configuration is made from. Later ones win: file, environment, flags.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file's name and text.
    pub file: Option<(PathBuf, String)>,
    /// Environment variables, names and values.
    pub environment: Vec<(String, String)>,
    /// Flags: name as typed, key path, value.
    pub flags: Vec<(&'static str, &'static str, String)>,
}

impl Sources {
    /// Reads `named`, or `./counterfoil.toml` if it exists, and the process's environment.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn read(named: Option<&Path>) -> Result<Self, ConfigError> {
        let usual = Path::new("counterfoil.toml");
        let path = named.or_else(|| usual.exists().then_some(usual));
        let file = path.map(|path| Ok((path.to_owned(), read_bounded(path, FILE_BYTES_MAX)?)));
        Ok(Self {
            file: file.transpose()?,
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
                .filter(|(name, _)| name.starts_with(PREFIX))
                .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
                .collect(),
            flags: Vec::new(),
        })
    }

    /// Adds a flag, if it was given.
    #[must_use]
    pub fn with(mut self, flag: &'static str, key: &'static str, value: Option<String>) -> Self {
        self.flags.extend(value.map(|value| (flag, key, value)));
        self
    }
}

fn read_bounded(path: &Path, bytes_max: u64) -> Result<String, ConfigError> {
    let wrong = |why: String| ConfigError { faults: vec![format!("{}: {why}", path.display())] };
    let length = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if length > bytes_max {
        return Err(wrong(format!("is larger than {bytes_max} bytes")));
    }
    std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// One line each, beginning with where it stands.
    pub faults: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.faults.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// The values set so far, and what is wrong with them.
#[derive(Default)]
struct Gathered {
    /// Each with the path as it was written.
    values: Vec<(String, &'static Key, Value)>,
    faults: Vec<String>,
    /// The sections of the file, an empty one too.
    sections: Vec<String>,
}

impl Gathered {
    fn fault(&mut self, place: &str, what: impl fmt::Display) {
        self.faults.push(format!("{place}: {what}"));
    }

    /// Takes `value` for `key`, in place of an earlier one.
    fn set(&mut self, place: &str, path: &str, key: &'static Key, value: Value) {
        if let Err(what) = key.sort.check(&value) {
            return self.fault(place, format!("`{path}` {what}"));
        }
        match opened(key, value) {
            Ok(value) => {
                self.values.retain(|(known, ..)| known != path);
                self.values.push((path.to_owned(), key, value));
            }
            Err(error) => self.fault(place, format!("`{path}` {error}")),
        }
    }

    /// Whether a name that the operator gave, of a shadow, a repository or an attribute, is one.
    fn check_name(&mut self, place: &str, path: &str) -> bool {
        match name_fault(path) {
            None => true,
            Some(what) => {
                self.fault(place, format!("`{path}`: {what}"));
                false
            }
        }
    }

    fn file(&mut self, path: &Path, text: &str) {
        let name = path.display();
        match DeTable::parse(text) {
            Ok(table) => {
                self.table(&|at| format!("{name}:{}", line(text, at)), "", table.get_ref());
                // The parser forgets the order of the file; readers go from top to bottom.
                self.faults.sort_by_key(|fault| line_of(fault));
            }
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                self.fault(&format!("{name}:{}", line(text, at)), error.message());
            }
        }
    }

    /// Walks a table of the file; `prefix` is its path, empty at the top.
    fn table(&mut self, place: &dyn Fn(usize) -> String, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let path = match prefix {
                "" => name.get_ref().to_string(),
                _ => format!("{prefix}.{}", name.get_ref()),
            };
            let here = place(name.span().start);
            if let Some(key) = Key::find(&path) {
                match plain(value.get_ref()) {
                    Some(value) => self.set(&here, &path, key, value),
                    None => self.fault(&here, format!("`{path}` is a number that does not fit")),
                }
            } else if SECTIONS.iter().any(|(section, _)| *section == pattern_of(&path)) {
                match value.get_ref() {
                    DeValue::Table(inner) if self.check_name(&here, &path) => {
                        self.sections.push(path.clone());
                        self.table(place, &path, inner);
                    }
                    DeValue::Table(_) => {}
                    _ => self.fault(&here, format!("`{path}` is a section, write [{path}]")),
                }
            } else {
                self.fault(&here, unknown(&path, "key"));
            }
        }
    }

    fn environment(&mut self, variables: &[(String, String)]) {
        for (name, value) in variables {
            // COUNTERFOIL_URL and its like belong to the command line.
            let Some(rest) = name.strip_prefix(PREFIX).filter(|rest| rest.contains("__")) else {
                continue;
            };
            let path = rest.replace("__", ".").to_ascii_lowercase();
            match Key::find(&path) {
                Some(key) => self.text(name, &path, key, value),
                None => self.fault(name, unknown(&path, "key")),
            }
        }
    }

    fn text(&mut self, place: &str, path: &str, key: &'static Key, text: &str) {
        if !self.check_name(place, path) {
            return;
        }
        match key.sort.read(text) {
            Ok(value) => self.set(place, path, key, value),
            Err(what) => self.fault(place, format!("`{path}` {what}")),
        }
    }

    /// The defaults with the values put over them.
    fn tree(&self) -> toml::Table {
        let mut tree = toml::Table::new();
        for key in plain_keys() {
            let set = self.values.iter().find(|(path, ..)| path == key.path);
            let value = match set {
                Some((_, _, value)) => Some(value.clone()),
                None => key.default.and_then(super::document::default_value),
            };
            if let Some(value) = value {
                insert(&mut tree, key.path, value);
            }
        }
        // An attribute without conditions is an empty section.
        for section in self.sections.iter().filter(|section| pattern_of(section).contains('*')) {
            insert(&mut tree, section, Value::Table(toml::Table::new()));
        }
        for (path, _, value) in self.values.iter().filter(|(_, key, _)| key.is_pattern()) {
            insert(&mut tree, path, value.clone());
        }
        tree
    }
}

/// Replaces `file:/path` by the file's first line where the key holds a secret.
fn opened(key: &Key, value: Value) -> Result<Value, ConfigError> {
    let path = match (key.sort, &value) {
        (Sort::Secret, Value::String(text)) => text.strip_prefix("file:"),
        _ => None,
    };
    let Some(path) = path else { return Ok(value) };
    let text = read_bounded(Path::new(path), SECRET_BYTES_MAX)?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Err(ConfigError { faults: vec![format!("{path}: the first line is empty")] });
    }
    Ok(Value::String(line.to_owned()))
}

/// Builds the configuration, or says everything that is wrong.
///
/// # Errors
///
/// Lists every fault with its place, not only the first.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut gathered = Gathered::default();
    if let Some((path, text)) = &sources.file {
        gathered.file(path, text);
    }
    gathered.environment(&sources.environment);
    for (flag, path, value) in &sources.flags {
        if let Some(key) = Key::find(path) {
            gathered.text(flag, path, key, value);
        }
    }
    if !gathered.faults.is_empty() {
        return Err(ConfigError { faults: gathered.faults });
    }
    let tree = Value::Table(gathered.tree());
    let config: Config = serde_path_to_error::deserialize(tree).map_err(|error| ConfigError {
        faults: vec![format!("`{}`: {}", error.path(), error.inner())],
    })?;
    let faults = config.contradictions();
    if faults.is_empty() { Ok(config) } else { Err(ConfigError { faults }) }
}

fn insert(tree: &mut toml::Table, path: &str, value: Value) {
    match path.split_once('.') {
        // A section that holds something already is not made anew.
        None if tree.contains_key(path) && value.as_table().is_some_and(toml::Table::is_empty) => {}
        None => drop(tree.insert(path.to_owned(), value)),
        Some((section, rest)) => {
            let inner =
                tree.entry(section.to_owned()).or_insert_with(|| Value::Table(toml::Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// A value without its place; `None` for an integer beyond 64 bits.
fn plain(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().ok()?),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(at) => Value::Datetime(*at),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| plain(item.get_ref())).collect::<Option<_>>()?)
        }
        DeValue::Table(table) => Value::Table(
            table
                .iter()
                .map(|(name, value)| Some((name.get_ref().to_string(), plain(value.get_ref())?)))
                .collect::<Option<_>>()?,
        ),
    })
}

fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

/// The line that a fault of the file begins with, behind the file's name.
fn line_of(fault: &str) -> usize {
    let number = fault.split(": ").next().and_then(|place| place.rsplit(':').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(usize::MAX)
}

/// What is wrong with the name of a shadow or a repository, or of one of its attributes, in a path.
fn name_fault(path: &str) -> Option<String> {
    let mut parts = path.split('.');
    let first = parts.next();
    if first == Some("shadow") {
        return ShadowName::parse(parts.next()?).err().map(|bad| bad.to_string());
    }
    let name = first.filter(|first| *first == "repository").and(parts.next())?;
    if let Err(bad) = RepositoryName::parse(name) {
        return Some(bad.to_string());
    }
    let attribute = parts.next().filter(|section| *section == "attributes").and(parts.next())?;
    if Attribute::from_name(attribute).is_some() {
        return None;
    }
    let far = |known: &String| counterfoil_authority::text::distance(attribute, known);
    let nearest = Attribute::all().map(Attribute::name).min_by_key(far)?;
    let is_near = far(&nearest) * 3 <= nearest.len();
    let hint = if is_near { format!(", did you mean `{nearest}`?") } else { String::new() };
    Some(format!("there is no such attribute{hint}"))
}

/// Says that `path` is unknown, with the nearest name that is known.
fn unknown(path: &str, what: &str) -> String {
    let known = every_key().map(|key| key.path);
    let known = known.chain(SECTIONS.iter().map(|(name, _)| *name));
    let pattern = pattern_of(path);
    // A third of the letters may be wrong: `listne` for `listen`, but no guess at random.
    let nearest = known
        .map(|known| (counterfoil_authority::text::distance(&pattern, known), known))
        .min()
        .filter(|(far, known)| far * 3 <= known.len());
    match nearest {
        Some((_, known)) => {
            let known = as_in(path, known);
            format!("unknown {what} `{path}`, did you mean `{known}`?")
        }
        None => format!("unknown {what} `{path}`; `counterfoil config default` lists all"),
    }
}

/// A pattern with the names of `path` in place of its stars.
fn as_in(path: &str, pattern: &str) -> String {
    let mut names = path.split('.');
    let parts = pattern.split('.').map(|part| match (part, names.next()) {
        ("*", Some(name)) => name,
        (part, _) => part,
    });
    parts.collect::<Vec<_>>().join(".")
}
