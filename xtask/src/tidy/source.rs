//! Rules on the text of one file: length, header, names, open ends.

use std::path::Path;

use super::Finding;

/// A file of more lines must be divided.
const LINES_MAX: usize = 800;
/// A file of more lines argues for its length in its header.
const LINES_UNARGUED_MAX: usize = 500;

/// What a header says before the reason for the file's length.
const LENGTH_REASON: &str = "Length:";

/// Words that name no concept: a thing called so does anything.
const EMPTY_WORDS: [&str; 7] =
    ["manager", "helper", "helpers", "util", "utils", "utility", "utilities"];

/// Beginnings of function names that say only that something happens.
const EMPTY_BEGINNINGS: [&str; 3] = ["handle_", "do_", "process_"];

/// Keywords after which a name is introduced.
const DEFINING: [&str; 6] = ["fn", "struct", "enum", "trait", "mod", "type"];

// Written in two parts, so that this file does not find itself.
const OPEN_ENDS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];
const UNWRITTEN: &str = concat!("to", "do!(");
const BARE_IGNORE: &str = concat!("#[ign", "ore]");
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Every rule on a Rust file.
pub(super) fn rust(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = length_and_header(path, text);
    for (number, line) in numbered(text) {
        let code = line.trim_start();
        if code.starts_with("//") {
            continue;
        }
        if code.contains(UNWRITTEN) {
            findings.push(Finding::new(path, number, "code that is not written yet"));
        }
        if code.trim_end() == BARE_IGNORE {
            let message = "an ignored test gives its reason: `#[ignore = \"...\"]`";
            findings.push(Finding::new(path, number, message));
        }
        if let Some(name) = defined_name(code)
            && let Some(fault) = fault_of_name(code, name)
        {
            findings.push(Finding::new(path, number, format!("`{name}`: {fault}")));
        }
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if has_empty_word(stem) {
        findings.push(Finding::new(path, 0, "the file's name names no concept"));
    }
    findings
}

fn length_and_header(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
    if header.first().is_none_or(|line| line.trim_start_matches("//!").trim().len() < 10) {
        findings.push(Finding::new(
            path,
            1,
            "the file does not begin with a `//!` header that says what it is for",
        ));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        let message = format!("{lines} lines; more than {LINES_MAX} must be divided");
        findings.push(Finding::new(path, 0, message));
    } else if lines > LINES_UNARGUED_MAX && !header.iter().any(|line| line.contains(LENGTH_REASON))
    {
        let message = format!(
            "{lines} lines; more than {LINES_UNARGUED_MAX} need `{LENGTH_REASON}` and a reason in the header"
        );
        findings.push(Finding::new(path, 0, message));
    }
    findings
}

/// Work left for later that no issue tracks.
pub(super) fn open_ends(path: &Path, text: &str) -> Vec<Finding> {
    let code = ["rs", "sh", "lua", "toml", "sql", "html", "css"];
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if !code.contains(&extension) {
        return Vec::new();
    }
    let untracked = |line: &str| {
        OPEN_ENDS.iter().any(|mark| {
            line.split_once(mark).is_some_and(|(_, after)| {
                !after.split_once('#').is_some_and(|(_, number)| {
                    number.starts_with(|first: char| first.is_ascii_digit())
                })
            })
        })
    };
    numbered(text)
        .filter(|(_, line)| untracked(line))
        .map(|(number, _)| Finding::new(path, number, "work left open without an issue's number"))
        .collect()
}

/// Places of one particular machine. The realm that AM calls root is none.
pub(super) fn machine_paths(path: &Path, text: &str) -> Vec<Finding> {
    let is_place = |line: &str| {
        let line = line.replace("realms/root/", "");
        MACHINE_PATHS.iter().any(|place| line.contains(place))
    };
    numbered(text)
        .filter(|(_, line)| is_place(line))
        .map(|(number, _)| Finding::new(path, number, "a path of one particular machine"))
        .collect()
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// The name that a line of code introduces, if it does.
fn defined_name(code: &str) -> Option<&str> {
    let mut words = code.split([' ', '(', '<', '{', ';', ':', '=']);
    // Only modifiers may stand before the keyword: anything else is an
    // expression or a text.
    for word in words.by_ref() {
        match word {
            "pub" | "async" | "const" | "unsafe" | "crate)" | "super)" | "" => {}
            keyword if DEFINING.contains(&keyword) => return words.next(),
            _ => return None,
        }
    }
    None
}

fn fault_of_name(code: &str, name: &str) -> Option<&'static str> {
    let function = code.split(' ').any(|word| word == "fn");
    if function && EMPTY_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) {
        return Some("a function's name says what it achieves");
    }
    has_empty_word(name).then_some("the name names no concept")
}

fn has_empty_word(name: &str) -> bool {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake.split('_').any(|word| EMPTY_WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "//! Says what it is for.\n";

    fn messages(text: &str) -> Vec<String> {
        rust(Path::new("a.rs"), text).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_file_without_a_header_is_found() {
        assert_eq!(messages("fn a() {}\n").len(), 1);
        assert_eq!(messages("//! x\nfn a() {}\n").len(), 1);
        assert_eq!(messages(HEADER).len(), 0);
    }

    #[test]
    fn a_long_file_needs_a_reason_and_a_very_long_one_has_none() {
        let line = "const A: u8 = 1;\n";
        let argued = "//! Says what it is for.\n//!\n//! Length: one table.\n";
        assert_eq!(messages(&(HEADER.to_owned() + &line.repeat(499))).len(), 0);
        assert_eq!(messages(&(HEADER.to_owned() + &line.repeat(500))).len(), 1);
        assert_eq!(messages(&(argued.to_owned() + &line.repeat(797))).len(), 0);
        assert_eq!(messages(&(argued.to_owned() + &line.repeat(798))).len(), 1);
    }

    #[test]
    fn empty_names_are_found_where_they_are_introduced() {
        let found = |code: &str| messages(&format!("{HEADER}{code}\n")).len();
        assert_eq!(found(concat!("pub(crate) async fn han", "dle_login() {}")), 1);
        assert_eq!(found("struct TokenManager;"), 1);
        assert_eq!(found("mod utils;"), 1);
        assert_eq!(found("fn parse_helper<T>() {}"), 1);
        // A use, a comment and a word that only contains one are no definitions.
        assert_eq!(found("use other::TokenManager;"), 0);
        assert_eq!(found("// fn handle_login"), 0);
        assert_eq!(found("fn handler_of(utilisation: u8) {}"), 0);
        assert_eq!(found("let text = \"mod utils;\";"), 0);
    }

    #[test]
    fn open_ends_need_an_issue() {
        let found = |line: &str| open_ends(Path::new("a.rs"), line).len();
        assert_eq!(found(concat!("// TO", "DO: later")), 1);
        assert_eq!(found(concat!("// TO", "DO(#17): later")), 0);
        assert_eq!(found(concat!("// FIX", "ME soon, see #x")), 1);
        assert_eq!(messages(&format!("{HEADER}{UNWRITTEN})\n")).len(), 1);
        assert_eq!(messages(&format!("{HEADER}{BARE_IGNORE}\n")).len(), 1);
        assert_eq!(messages(&format!("{HEADER}#[ignore = \"long\"]\n")).len(), 0);
    }

    #[test]
    fn paths_of_one_machine_are_found_in_any_text() {
        let path = MACHINE_PATHS[0].to_owned() + "main";
        assert_eq!(machine_paths(Path::new("README.md"), &path).len(), 1);
        assert_eq!(machine_paths(Path::new("README.md"), "/var/lib/counterfoil").len(), 0);
    }
}
