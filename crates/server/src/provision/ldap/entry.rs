//! An entry as a directory tells of it: attribute names in any case, options as part of them.

use std::collections::BTreeMap;

use ldap3::SearchEntry;

use super::Labels;

/// How an option begins that names an application (voPerson 2.0).
const APP: &str = ";app-";

/// What was read of an entry.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    /// Where it is.
    pub(super) dn: String,
    /// Values by attribute description in lower case. What is no text is told as hexadecimal.
    attributes: BTreeMap<String, Vec<String>>,
}

impl Entry {
    /// The entry that a search has found.
    pub(super) fn of(found: SearchEntry) -> Self {
        let mut attributes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, values) in found.attrs {
            attributes.entry(name.to_lowercase()).or_default().extend(values);
        }
        for (name, values) in found.bin_attrs {
            let texts = values.iter().map(|value| data_encoding::HEXLOWER.encode(value));
            attributes.entry(name.to_lowercase()).or_default().extend(texts);
        }
        for values in attributes.values_mut() {
            values.sort();
        }
        Self { dn: found.dn, attributes }
    }

    /// The values of an attribute, sorted.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.attributes.get(&name.to_lowercase()).cloned().unwrap_or_default()
    }

    /// Whether it has a value, in any case.
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.texts(name).iter().any(|known| known.eq_ignore_ascii_case(value))
    }

    /// The values of an attribute by the application that its options name.
    pub(super) fn labels(&self, name: &str) -> Labels {
        let prefix = format!("{}{APP}", name.to_lowercase());
        let of_ours = |(known, values): (&String, &Vec<String>)| {
            known.strip_prefix(&prefix).map(|label| (label.to_owned(), values.clone()))
        };
        self.attributes.iter().filter_map(of_ours).collect()
    }
}

/// An attribute description with the option of an application.
pub(super) fn with_label(name: &str, label: &str) -> String {
    format!("{name}{APP}{label}")
}

#[cfg(test)]
mod tests {
    use proptest::collection::{hash_map, vec};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A directory tells what it likes, in any case and as any bytes.
        #[test]
        fn whatever_a_directory_tells_is_found_again(
            dn in any::<String>(),
            attrs in hash_map(any::<String>(), vec(any::<String>(), 0..3), 0..5),
            bin_attrs in hash_map(any::<String>(), vec(vec(any::<u8>(), 0..20), 0..3), 0..5),
        ) {
            let names: Vec<String> = attrs.keys().chain(bin_attrs.keys()).cloned().collect();
            let texts = attrs.clone();
            let entry = Entry::of(SearchEntry { dn: dn.clone(), attrs, bin_attrs });
            prop_assert_eq!(&entry.dn, &dn);
            for name in &names {
                let told = entry.texts(name);
                prop_assert!(told.is_sorted());
                for value in texts.get(name).into_iter().flatten() {
                    prop_assert!(told.contains(value) && entry.has(name, value));
                }
                let _ = entry.labels(name);
            }
            let labelled = with_label("mail", "git");
            let known = entry.labels("mail");
            prop_assert_eq!(known.contains_key("git"), names.iter().any(|name| {
                name.to_lowercase() == labelled
            }));
        }
    }
}
