//! Whether a JSON text names an entry of one object twice.
//!
//! Readers differ in which of the two counts (RFC 8259 section 4): what one program checked
//! could be something else than what the next one grants.

use std::collections::HashSet;
use std::fmt::{self, Write as _};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Characters of one name in a path at most: names are the sender's own text.
const NAME_CHARS_MAX: usize = 64;

enum Step {
    Name(String),
    Place(usize),
}

/// The path of the first entry that is named twice, as in `permissions.repo` or `rules[1].path`.
/// Of a text that is no JSON this says nothing.
pub(super) fn named_twice(bytes: &[u8]) -> Option<String> {
    let mut walk = Walk { path: Vec::new(), twice: false };
    // The error carries no more than that the walk is over; `twice` says why.
    let _ = walk.deserialize(&mut serde_json::Deserializer::from_slice(bytes));
    walk.twice.then(|| written(&walk.path))
}

fn written(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Place(place) => {
                // Writing to a string cannot fail.
                let _ = write!(text, "[{place}]");
            }
            Step::Name(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.extend(name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX));
            }
        }
    }
    text
}

struct Walk {
    /// Where the walk stands; after an error, where it ended.
    path: Vec<Step>,
    twice: bool,
}

impl<'de> DeserializeSeed<'de> for &mut Walk {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Walk {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            self.path.push(Step::Name(name.clone()));
            if !names.insert(name) {
                self.twice = true;
                return Err(serde::de::Error::custom("named twice"));
            }
            map.next_value_seed(&mut *self)?;
            self.path.pop();
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for place in 0.. {
            self.path.push(Step::Place(place));
            let more = seq.next_element_seed(&mut *self)?;
            self.path.pop();
            if more.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_that_is_named_twice_is_found_at_any_depth() {
        let found = |text: &str| named_twice(text.as_bytes());
        for sound in [
            "{}",
            "1",
            r#"{"a":{"b":1},"c":{"b":1},"d":[{"b":1},{"b":2},null,true,-1,1.5,"x"]}"#,
            "{\"a\":",
            "",
        ] {
            assert_eq!(found(sound), None, "{sound}");
        }
        assert_eq!(found(r#"{"a":1,"a":1}"#).unwrap(), "a");
        assert_eq!(found(r#"{"p":{"r":["x"],"r":["y"]}}"#).unwrap(), "p.r");
        assert_eq!(found(r#"{"p":[1,{"r":{"a":1,"\u0061":2}}]}"#).unwrap(), "p[1].r.a");
        let long = format!(r#"{{"{0}":1,"{0}":2}}"#, "x".repeat(1000));
        assert_eq!(found(&long).unwrap().len(), NAME_CHARS_MAX);
    }
}
