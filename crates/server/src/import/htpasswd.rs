//! Apache's and nginx's files of passwords: a name, a colon and a hash in each line.

use std::sync::Arc;

use counterfoil_authority::authority::{IncomingFacts, IncomingSecret, UserDraft};
use counterfoil_authority::foreign::ForeignHash;
use counterfoil_authority::names::Username;
use counterfoil_authority::secret::ClearSecret;

use super::comanage::Read;
use super::lines::{Line, Options, Sheet};
use super::rows::Place;

/// Reads the text of a file.
pub(crate) fn map(text: &str, file: &str, options: &Options) -> Read {
    let file: Arc<str> = file.into();
    let mut sheet = Sheet::new(options);
    for (line, number) in text.lines().zip(1_usize..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = Place { file: Arc::clone(&file), line: number };
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let read = of_line(line, &place, number, options);
        sheet.settle(&place, number, read);
    }
    sheet.finish()
}

fn of_line(line: &str, place: &Place, number: i64, options: &Options) -> Result<Line, String> {
    let (name, rest) = line.split_once(':').ok_or("has no colon between name and hash")?;
    let user = Username::parse(name).map_err(|bad| format!("the name: {bad}"))?;
    let service = options.service.clone().ok_or("no service is named")?;
    // Some tools write more fields behind the hash; a realm before it is another sort of file.
    let mut fields = rest.split(':');
    let hash = fields.next().unwrap_or_default();
    if fields.clone().any(|field| field.len() == 32) && !hash.starts_with(['$', '{']) {
        return Err("is a line of htdigest, whose hashes belong to a realm of HTTP".to_owned());
    }
    Ok(Line {
        place: place.clone(),
        number,
        identity: user.to_string(),
        person: UserDraft::new(user),
        service,
        secret: secret(hash, rest, options.plain)?,
        locked: false,
        facts: IncomingFacts::default(),
    })
}

/// The hash of a line, or with `plain` what stands there as it is.
pub(super) fn secret(hash: &str, whole: &str, plain: bool) -> Result<IncomingSecret, String> {
    match ForeignHash::of_any(hash) {
        Ok(hash) => Ok(IncomingSecret::Foreign(hash)),
        Err(bad) if !bad.is_unknown() => Err(format!("the password {bad}")),
        Err(_) if whole.is_empty() => Err("has no password".to_owned()),
        Err(_) if plain => Ok(IncomingSecret::Clear(ClearSecret::new(whole.to_owned()))),
        Err(bad) => Err(format!("the password {bad}; if it stands there in clear, say --plain")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterfoil_authority::names::ServiceLabel;

    fn options(plain: bool) -> Options {
        Options {
            system: "htpasswd",
            realm: "main".into(),
            zone: "UTC".into(),
            service: Some(ServiceLabel::parse("wiki").unwrap()),
            owner: None,
            existing_people: false,
            plain,
        }
    }

    /// As `htpasswd` of Debian's apache2-utils wrote them, one with each of its options.
    const FILE: &str = "# staff\n\nann:$apr1$P88tK9gH$C0DKjzdQafkw7mUtQyntx1\n\
        bob:{SHA}mN7MYuzjmaIu0w1JDvMzvn/ec4U=\n\
        cid:$2y$05$sSQu7CNLxolyUgDPAmIhnu5VFk1UUKeEsSpKjYR/Kq1HkxeqTGefy\n\
        dan:3WlGM5JKvfVak\neve:short\nno colon\nfay:$y$j9T$pHDN$MkrsN\n\
        gus:wiki:0123456789abcdef0123456789abcdef\nann:{SHA}mN7MYuzjmaIu0w1JDvMzvn/ec4U=\n";

    #[test]
    fn each_line_is_a_token_or_a_reason_with_its_number() {
        let read = map(FILE, "passwords", &options(false));
        let taken: Vec<(usize, &str)> =
            read.items.iter().map(|item| (item.place.line, item.table)).collect();
        assert_eq!(
            taken,
            [(3, "services"), (3, "people"), (4, "people"), (5, "people")]
                .into_iter()
                .chain([(3, "tokens"), (4, "tokens"), (5, "tokens")])
                .collect::<Vec<_>>()
        );
        let why: Vec<String> =
            read.skipped.iter().map(|note| format!("{}: {}", note.place, note.why)).collect();
        assert_eq!(
            why,
            [
                "passwords:6: the password is a hash of the first crypt (DES), which counts 8 \
                 characters and is not taken over",
                "passwords:7: the password is no hash of a known sort; if it stands there in \
                 clear, say --plain",
                "passwords:8: has no colon between name and hash",
                "passwords:9: the password is a yescrypt or scrypt hash, which is not computed \
                 here",
                "passwords:10: is a line of htdigest, whose hashes belong to a realm of HTTP",
                "passwords:11: another line names the same token",
            ]
        );
        let asked = map(FILE, "passwords", &options(true));
        assert_eq!((asked.skipped.len(), asked.rows["tokens"]), (5, 9));
    }
}
