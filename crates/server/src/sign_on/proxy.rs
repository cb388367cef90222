//! What the reverse proxy in front says of who is there. Only of requests that come straight from
//! it: the same header from anywhere else is what somebody made up.

use std::net::IpAddr;

use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::single_sign_on::Vouched;
use counterfoil_authority::text::check_email;
use http::{HeaderMap, HeaderName};

use super::ProxySettings;

/// The name of a proxy among those who vouch for people.
const ISSUER: &str = "proxy";

/// Who is there by the word of the proxy; `None` if `peer`, the other end of the connection, is
/// not it, or if it names nobody.
pub fn vouched_by_proxy(
    settings: &ProxySettings,
    peer: Option<IpAddr>,
    realm: &RealmName,
    headers: &HeaderMap,
) -> Option<Vouched> {
    let peer = peer?;
    let sends = settings.networks.iter().any(|network| network.contains(&peer));
    if !sends || settings.realm != *realm {
        return None;
    }
    let username = only(headers, &settings.user_header)?;
    // The name is all there is to know somebody by, so it is their subject, in its one spelling.
    let subject = Username::parse(&username).ok()?.to_string();
    let groups = only(headers, &settings.groups_header).unwrap_or_default();
    let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty());
    Some(Vouched {
        issuer: ISSUER.to_owned(),
        subject,
        username,
        display_name: only(headers, &settings.name_header),
        email: only(headers, &settings.email_header).filter(|email| check_email(email).is_ok()),
        groups: groups.map(str::to_owned).collect(),
        proved_at: None,
    })
}

/// The one line of a header. Of two, nobody knows which the proxy wrote.
fn only(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut lines = headers.get_all(name).iter();
    let (line, more) = (lines.next()?, lines.next());
    let text = std::str::from_utf8(line.as_bytes()).ok()?.trim();
    let fits = more.is_none() && (1..=4096).contains(&text.len());
    (fits && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use counterfoil_authority::single_sign_on::Accounts;
    use http::HeaderValue;

    use super::*;

    fn settings() -> ProxySettings {
        ProxySettings {
            networks: vec!["10.0.0.5/32".parse().unwrap()],
            user_header: HeaderName::from_static("remote-user"),
            name_header: HeaderName::from_static("remote-name"),
            email_header: HeaderName::from_static("remote-email"),
            groups_header: HeaderName::from_static("remote-groups"),
            roles: Vec::new(),
            accounts: Accounts::Create,
            realm: RealmName::parse("main").unwrap(),
        }
    }

    fn told(peer: &str, lines: &[(&'static str, &'static str)]) -> Option<Vouched> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let realm = RealmName::parse("main").unwrap();
        vouched_by_proxy(&settings(), peer.parse().ok(), &realm, &headers)
    }

    #[test]
    fn only_the_proxy_is_believed_and_only_if_it_says_one_thing() {
        let alice = ("remote-user", "Alice");
        let groups = ("remote-groups", "a, b,,");
        let told_of = told("10.0.0.5", &[alice, groups, ("remote-email", "none")]).unwrap();
        assert_eq!((told_of.subject.as_str(), told_of.email), ("alice", None));
        assert_eq!(told_of.groups, ["a", "b"]);
        assert_eq!(told("10.0.0.6", &[alice]), None);
        assert_eq!(told("", &[alice]), None);
        assert_eq!(told("10.0.0.5", &[]), None);
        assert_eq!(told("10.0.0.5", &[("remote-user", "")]), None);
        assert_eq!(told("10.0.0.5", &[alice, ("remote-user", "mallory")]), None);
    }
}
