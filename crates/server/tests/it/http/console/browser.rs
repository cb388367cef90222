//! A browser without script: it keeps cookies, goes where it is sent, and sends forms as they stand
//! in a page.

use std::sync::Mutex;

use reqwest::header::HeaderMap;
use reqwest::{Client, redirect};

use crate::world::World;

/// The password of everybody in these tests.
pub(super) const PASSWORD: &str = "three blue teapots";

/// Every page of administrators that needs nothing but a service and a person.
pub(super) const ADMIN_PAGES: [&str; 24] = [
    "/admin/search",
    "/admin/people",
    "/admin/people/root",
    "/admin/tokens",
    "/admin/tokens?service=git&state=active&unused=90",
    "/admin/jobs",
    "/admin/registration-tokens",
    "/admin/registration-tokens/new",
    "/admin/registration-tokens/batch",
    "/admin/services",
    "/admin/services/git",
    "/admin/targets",
    "/admin/targets/new",
    "/admin/targets/new?kind=ldap",
    "/admin/targets/new?kind=webhook",
    "/admin/targets/new?kind=mail",
    "/admin/repositories",
    "/admin/policies",
    "/admin/clients",
    "/admin/audit",
    "/admin/audit?kind=token.issued&outcome=done&from=2020-01-01",
    "/admin/audit/export?form=jsonl",
    "/admin/audit/export?form=csv",
    "/admin/realm",
];

/// What stands below the page of the administrator.
pub(super) fn of_root(act: &str) -> String {
    ["/admin/people", "root", act].join("/")
}

/// A page as it came.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Page {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    #[track_caller]
    pub(super) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The value of a field in a form of the page.
    #[track_caller]
    pub(super) fn field(&self, name: &str) -> String {
        let marker = format!("name=\"{name}\"");
        let at = self.text.find(&marker).unwrap_or_else(|| panic!("no {name} in {}", self.text));
        let rest = &self.text[at + marker.len()..];
        let end = rest.find('>').unwrap();
        let value = rest[..end].split("value=\"").nth(1).unwrap();
        value.split('"').next().unwrap().to_owned()
    }

    /// The value of the element of an id.
    #[track_caller]
    pub(super) fn value_of(&self, id: &str) -> String {
        let marker = format!("id=\"{id}\"");
        let at = self.text.find(&marker).unwrap_or_else(|| panic!("no {id} in {}", self.text));
        let rest = self.text[at..].split("value=\"").nth(1).unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

/// One browser, at one server.
pub(super) struct Browser {
    http: Client,
    base: String,
    /// What stands in its jar, as it sends it.
    cookie: Mutex<Option<String>>,
    /// And of a way to a provider that was begun.
    flow: Mutex<Option<String>>,
    /// Further headers of every request.
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Browser {
    pub(super) fn at(world: &World) -> Self {
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none());
        Self {
            http: client.build().unwrap(),
            base: format!("http://{}", world.address),
            cookie: Mutex::new(None),
            flow: Mutex::new(None),
            headers: vec![("user-agent", "Testbrowser/1".to_owned())],
        }
    }

    pub(super) fn cookie(&self) -> Option<String> {
        self.cookie.lock().unwrap().clone()
    }

    pub(super) fn hold(&self, cookie: Option<String>) {
        *self.cookie.lock().unwrap() = cookie;
    }

    pub(super) fn flow(&self) -> Option<String> {
        self.flow.lock().unwrap().clone()
    }

    pub(super) fn hold_flow(&self, flow: Option<String>) {
        *self.flow.lock().unwrap() = flow;
    }

    async fn send(&self, request: reqwest::RequestBuilder, own: &[(&str, &str)]) -> Page {
        let mut request = request;
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        for (name, value) in own {
            request = request.header(*name, *value);
        }
        for cookie in [self.cookie(), self.flow()].into_iter().flatten() {
            request = request.header("cookie", cookie);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        for set in headers.get_all("set-cookie").iter().filter_map(|set| set.to_str().ok()) {
            let pair = set.split(';').next().unwrap().to_owned();
            let is_flow = pair.split('=').next().unwrap().ends_with("-flow");
            let kept = (!set.contains("Max-Age=0")).then_some(pair);
            if is_flow { self.hold_flow(kept) } else { self.hold(kept) }
        }
        Page { status, headers, text }
    }

    pub(super) async fn get(&self, path: &str) -> Page {
        self.send(self.http.get(format!("{}{path}", self.base)), &[]).await
    }

    /// Sends a form as a page of this server would.
    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.post_from(path, &[("sec-fetch-site", "same-origin")], fields).await
    }

    /// Sends a form with headers of its own.
    pub(super) async fn post_from(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        fields: &[(&str, &str)],
    ) -> Page {
        let body = fields
            .iter()
            .fold(form_urlencoded::Serializer::new(String::new()), |mut form, (name, value)| {
                form.append_pair(name, value);
                form
            })
            .finish();
        let request = self.http.post(format!("{}{path}", self.base)).body(body);
        let kind = ("content-type", "application/x-www-form-urlencoded");
        self.send(request, &[&[kind], headers].concat()).await
    }

    /// Sends a form of the session, with the mark that its pages hold.
    pub(super) async fn act(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let mark = self.mark().await;
        self.post(path, &[&[("mark", mark.as_str())], fields].concat()).await
    }

    pub(super) async fn mark(&self) -> String {
        self.get("/account").await.expect(200).field("mark")
    }

    pub(super) async fn sign_in(&self, username: &str) -> Page {
        self.post("/sign-in", &[("username", username), ("password", PASSWORD)]).await
    }
}

/// The browser of the first administrator, `root`.
pub(super) async fn administrator(world: &World) -> Browser {
    let (link, _) = world.authority.console_first_link().await.unwrap().unwrap();
    let browser = Browser::at(world);
    let fields = [
        ("link", link.reveal()),
        ("username", "root"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    browser.post("/setup/finish", &fields).await.expect(303);
    browser
}

/// The browser of somebody whom an administrator let in.
pub(super) async fn person(world: &World, administrator: &Browser, username: &str) -> Browser {
    let invited = administrator.act("/admin/people", &[("username", username)]).await.expect(200);
    let link = invited.value_of("link");
    let browser = Browser::at(world);
    let fields = [("link", link.as_str()), ("password", PASSWORD), ("again", PASSWORD)];
    browser.post("/setup/finish", &fields).await.expect(303);
    browser
}
