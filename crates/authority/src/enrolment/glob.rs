//! Patterns for names of hosts and accounts: `*` is any run of characters, `?` any one.

/// Whether `text` has the shape of `pattern`, without regard to the case of ASCII letters: host
/// names have none (RFC 4343), and a pattern that a capital letter slips past protects nobody.
///
/// Takes at most the product of both lengths in steps, whatever the pattern.
pub fn matches_glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut place) = (0, 0);
    // Where the last star stood, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = text.get(place) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(&p) if p == '?' || p.eq_ignore_ascii_case(c) => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((back, taken)) = star else { return false };
                star = Some((back, taken + 1));
                at = back + 1;
                place = taken + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|&p| p == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_takes_any_run_and_a_question_mark_one_character() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "anything"),
            ("ws-??.acme.example", "WS-17.acme.example"),
            ("*.acme.example", "a.b.acme.example"),
            ("a*b*c", "aXbYbZc"),
            ("svc-*", "svc-"),
        ] {
            assert!(matches_glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("?", ""),
            ("*.acme.example", "acme.example"),
            ("*.acme.example", "x.acme.example.evil"),
            ("a*b", "acbd"),
        ] {
            assert!(!matches_glob(pattern, text), "{pattern} {text}");
        }
    }
}
