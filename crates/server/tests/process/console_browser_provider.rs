//! Single sign-on in Chromium, with a provider that nobody here wrote: the page that sends somebody
//! there, the one on which they are asked again, and the one that goes on afterwards.

use serde_json::json;

use crate::console_browser::{drive, is_there, nothing_is_wrong};
use crate::harness::Site;
use crate::openid_provider::{Provider, SECRET, packages};

fn comes_and_is_asked_again(script: &str) {
    if !is_there() {
        println!("left out: there is no browser");
        return;
    }
    let Some(packages) = packages() else { return };
    let site = Site::new();
    let mut provider = Provider::start(&packages);
    let issuer = format!("http://{}", provider.address);
    let server = site.serve(&format!(
        "abuse.throttle = false\n[console]\nstep_up_seconds = 2\n[console.oidc]\n\
         issuer = \"{issuer}\"\nclient_id = \"console\"\nclient_secret = \"{SECRET}\"\n"
    ));
    provider.become_new(&server, "es", 0);
    let api = site.admin(&server);
    api.post("/services", &json!({ "label": "git", "name": "Git" })).expect(201);
    let link = format!("http://{}/", server.address);
    let wishes = json!({ "link": link, "provider": issuer, "script": script });
    let seen = drive(&site, "console_provider.cjs", &wishes);
    nothing_is_wrong(&seen);
    assert_eq!(seen["came"], "/", "{seen:#}");
    assert_eq!(seen["secret"], true, "{seen:#}");
    if script == "off" {
        assert_eq!(seen["going_on"], "Thank you, it is you", "{seen:#}");
    }
}

#[test]
fn who_comes_by_a_provider_is_asked_again_there_in_a_browser() {
    comes_and_is_asked_again("on");
}

#[test]
fn who_comes_by_a_provider_is_asked_again_there_without_script() {
    comes_and_is_asked_again("off");
}
