//! Whoever follows links changes nothing: every link that an administrator finds, clicked, over an
//! installation with some of everything in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::tables::assert_unchanged;
use super::{Stage, look, sign_in};
use crate::harness::{PATIENCE, await_true};
use crate::wire::Api;

/// Where a person begins.
const BEGINNINGS: [&str; 2] = ["/", "/admin"];
/// Links of one shape that are followed. Beyond it they differ in what they show, not in what
/// they do: the same page of another token.
const PER_SHAPE_MAX: usize = 25;

/// The quoted values of an attribute in a page.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    page.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// What a browser asks for when a search is sent off as it stands, empty.
fn searches(page: &str) -> Vec<String> {
    let forms = page.split("<form ").skip(1).filter_map(|rest| rest.split("</form>").next());
    let gets = forms
        .filter(|form| form.split('>').next().is_some_and(|head| head.contains("method=\"get\"")));
    let search = |form: &str| {
        // The head of the form lost its space with the split.
        let form = format!(" {form}");
        let action = values(&form, "action").first().copied().unwrap_or_default().to_owned();
        let mut names = values(&form, "name");
        names.dedup();
        let pairs: Vec<String> = names.iter().map(|name| format!("{name}=")).collect();
        format!("{action}?{}", pairs.join("&"))
    };
    gets.map(search).collect()
}

/// A link as an address of ours, without its fragment; `None` if it leads elsewhere.
fn own(link: &str, page: &str) -> Option<String> {
    let link = link.split('#').next().unwrap_or_default();
    let link = link.replace("&amp;", "&").replace("&#38;", "&").replace("&#x26;", "&");
    if link.is_empty() || link.starts_with("//") {
        return None;
    }
    if link.starts_with('/') {
        return Some(link);
    }
    if link.starts_with('?') {
        return Some(format!("{}{link}", page.split('?').next().unwrap_or_default()));
    }
    // Whatever names a scheme leads elsewhere; a path without its slash would be a fault of ours.
    assert!(link.contains(':'), "a relative link on {page}: {link}");
    None
}

/// What a page is, whatever it is about: `/tokens/*/revoke`, and the names in its query.
fn shape(link: &str) -> String {
    let (path, query) = link.split_once('?').unwrap_or((link, ""));
    let about = |part: &str| part.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    let parts = path.split('/').map(|part| {
        let is_name = part.contains('.') && !path.starts_with("/console/");
        if about(part) || is_name { "*" } else { part }
    });
    let mut names: Vec<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    names.sort_unstable();
    format!("{}?{}", parts.collect::<Vec<_>>().join("/"), names.join("&"))
}

/// Clicks on everything, and returns how many pages of which shape were looked at.
fn crawl(api: &Api, cookie: &str) -> BTreeMap<String, usize> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut shapes: BTreeMap<String, usize> = BTreeMap::new();
    let mut next: VecDeque<(String, String)> =
        BEGINNINGS.map(|link| (link.to_owned(), "the beginning".to_owned())).into();
    let mut broken = Vec::new();
    while let Some((link, from)) = next.pop_front() {
        if !seen.insert(link.clone()) {
            continue;
        }
        let of_shape = shapes.entry(shape(&link)).or_default();
        if *of_shape >= PER_SHAPE_MAX {
            continue;
        }
        *of_shape += 1;
        let answer = look(api, cookie, &link);
        match answer.status {
            200 => {}
            301..=303 | 307 | 308 => {
                next.extend(own(answer.header("location"), &link).map(|to| (to, link.clone())));
                continue;
            }
            status => broken.push(format!("{status} at {link}, found on {from}")),
        }
        if !answer.header("content-type").starts_with("text/html") {
            continue;
        }
        let page = answer.text();
        let links = values(&page, "href").into_iter().chain(values(&page, "src"));
        let links = links.map(str::to_owned).chain(searches(&page));
        next.extend(links.filter_map(|to| own(&to, &link)).map(|to| (to, link.clone())));
    }
    assert!(broken.is_empty(), "{broken:#?}");
    shapes
}

fn following_links_changes_nothing(stage: &Stage) {
    let server = stage.serve();
    let api = Api::new(server.address, "");
    let (username, password) = stage.person(0);
    let cookie = sign_in(&api, username, password);
    // What the server does by itself after weeks is done first: it removes sessions and links
    // that ended long ago, and passes on what is in the outbox.
    await_true("the server has tidied up", PATIENCE, || {
        stage.number("select count(*) from sign_in_link") == 0
            && stage.number("select count(*) from console_session") == 1
            && stage.number("select count(*) from outbox") == 0
    });
    let before = stage.tables();
    let shapes = crawl(&api, &cookie);
    assert_unchanged(&before, &stage.tables());
    let pages: usize = shapes.values().sum();
    println!("{pages} pages of {} shapes: {shapes:#?}", shapes.len());
    // Not a crawl of the sign-in page.
    for wanted in ["/?", "/admin?", "/account?", "/tokens/*?"] {
        assert!(shapes.contains_key(wanted), "{wanted} was not found: {shapes:?}");
    }
    // And whoever clicks is still signed in; signing in, which does change something, is seen.
    assert_eq!(look(&api, &cookie, "/").status, 200);
    sign_in(&api, username, password);
    assert_ne!(before, stage.tables());
}

#[test]
fn whoever_follows_every_link_changes_nothing() {
    following_links_changes_nothing(&Stage::new(3));
}

#[test]
fn whoever_follows_every_link_changes_nothing_on_postgresql() {
    following_links_changes_nothing(&Stage::on_postgres(3));
}

#[test]
fn links_are_read_as_a_browser_reads_them() {
    let page =
        r#"<a class="x" href="/a?b=1&amp;c=2#d"><img src="//else.example/x"><a href="?p=2">"#;
    assert_eq!(values(page, "href"), ["/a?b=1&amp;c=2#d", "?p=2"]);
    assert_eq!(own("/a?b=1&amp;c=2#d", "/").as_deref(), Some("/a?b=1&c=2"));
    assert_eq!(own("?p=2", "/list?p=1").as_deref(), Some("/list?p=2"));
    for elsewhere in ["//else.example/x", "https://else.example/", "mailto:a@b.example", "#top"] {
        assert_eq!(own(elsewhere, "/"), None, "{elsewhere}");
    }
    let search =
        r#"<form method="get" action="/admin"><input name="starts"></form><form method="post">"#;
    assert_eq!(searches(search), ["/admin?starts="]);
    assert_eq!(shape("/tokens/0Ab3/revoke?b=1&a=2"), "/tokens/*/revoke?a&b");
}
