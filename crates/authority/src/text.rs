//! What may stand in a text that people read: its length, and no characters that make it read
//! other than it is, invisible ones and such that turn the direction of what follows.
//!
//! Names are compared by people. `alice` and `ali<U+200B>ce` are two names that look like one,
//! and `<U+202E>nimda` reads `admin` (Unicode Technical Report 36, section 2.5).

/// Characters of a name or title at most: it stands in one line of a table.
pub const SHORT_CHARS_MAX: usize = 200;
/// Characters of an e-mail address at most (RFC 5321 section 4.5.3.1.3, less the brackets).
pub const EMAIL_CHARS_MAX: usize = 254;

/// Ranges of characters that draw nothing, or draw others elsewhere: the general category Cf,
/// separators of lines and paragraphs, what is ignored by default (`Default_Ignorable_Code_Point`
/// of Unicode 17, without [variation selectors](is_selector)), blanks that are letters, and noncharacters.
const HIDDEN: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fdd0}', '\u{fdef}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{fffe}', '\u{ffff}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e00ff}'),
    ('\u{e01f0}', '\u{e0fff}'),
];

/// Whether a character is invisible or changes the direction of text.
pub fn is_hidden(c: char) -> bool {
    // Most texts are plain, and every name is read again on each miss.
    c > '\u{ac}' && HIDDEN.iter().any(|&(first, last)| (first..=last).contains(&c))
}

/// The first such character of a text.
pub fn hidden_in(text: &str) -> Option<char> {
    text.chars().find(|&c| is_hidden(c))
}

/// Whether a character only picks a form of the one before it: of an emoji, or of an ideograph in
/// a person's name. Nothing that is compared byte by byte may hold one.
pub const fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Whether a character only joins or parts its neighbours: invisible, but needed to spell Persian
/// and many languages of India, and to compose emoji.
pub const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Checks a text that is to be stored: of `longest` characters at most, and without control
/// characters, but for those that part lines where it may have `lines`.
///
/// # Errors
///
/// What is wrong, without the text.
pub fn check_plain(text: &str, longest: usize, lines: bool) -> Result<(), String> {
    // Bytes first: counting the characters of a megabyte is not free.
    if text.len() > longest * 4 || text.chars().count() > longest {
        return Err(format!("must have at most {longest} characters"));
    }
    let allowed = |c: char| !c.is_control() || (lines && matches!(c, '\n' | '\r' | '\t'));
    if text.chars().all(allowed) {
        Ok(())
    } else {
        Err("must not hold control characters".to_owned())
    }
}

/// Checks that a text reads as it is. Paragraphs may hold the joiners that spelling needs; names
/// may not, because people tell them apart by sight.
///
/// # Errors
///
/// The character that does not belong there.
pub fn check_readable(text: &str, lines: bool) -> Result<(), String> {
    match text.chars().find(|&c| is_hidden(c) && !(lines && is_joiner(c))) {
        None => Ok(()),
        Some(c) => {
            let code = u32::from(c);
            Err(format!("must not hold U+{code:04X}: it is invisible or turns the text around"))
        }
    }
}

/// Checks one line: the name of something.
///
/// # Errors
///
/// What is wrong, without the text.
pub fn check_line(text: &str) -> Result<(), String> {
    check_plain(text, SHORT_CHARS_MAX, false)?;
    check_readable(text, false)
}

/// Checks an e-mail address: something on both sides of the last `@`, no blank, and nothing that a
/// header of a letter takes for the end of it.
///
/// # Errors
///
/// What is wrong, without the text.
pub fn check_email(text: &str) -> Result<(), String> {
    check_plain(text, EMAIL_CHARS_MAX, false)?;
    check_readable(text, false)?;
    let (local, domain) = text.rsplit_once('@').unwrap_or_default();
    let strange = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',');
    if local.is_empty() || domain.is_empty() || text.contains(strange) {
        return Err("expected an e-mail address".to_owned());
    }
    Ok(())
}

/// Insertions, deletions and replacements that turn `a` into `b` (Levenshtein).
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, y) in row.iter_mut().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = *slot;
            left = replaced.min(left + 1).min(*slot + 1);
            *slot = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Whether a text is Base64 with its padding (RFC 4648 section 4).
pub fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    text.len().is_multiple_of(4) && padding <= 2 && body.bytes().all(plain) && body.len() % 4 != 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_found_and_what_people_write_is_not() {
        for c in "\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\
                  \u{2066}\u{2069}\u{feff}\u{3164}\u{e0041}\u{fff9}"
            .chars()
        {
            assert_eq!(hidden_in(&format!("a{c}b")), Some(c), "U+{:04X}", u32::from(c));
        }
        for text in ["Zoë", "Ωμέγα", "علي", "张伟", "דנה", "नमस्ते", "e\u{301}", "☕\u{fe0f}", "𝒜"]
        {
            assert_eq!(hidden_in(text), None, "{text}");
        }
    }
}
