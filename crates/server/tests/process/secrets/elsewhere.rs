//! Secrets of tokens that somebody else keeps: presented at our doors, and nowhere of ours
//! afterwards, whether we compare them or their repository does.

use std::net::SocketAddr;

use serde_json::json;

use super::Needles;
use crate::custom::peers::{Adapter, KEY, Vendor, section};
use crate::harness::Site;
use crate::nginx::peers::free_address;
use crate::wire::Request;
use crate::world::{World, active, authz, verify};

/// Tokens of each repository.
const TOKENS: usize = 8;

/// Three repositories: one whose hashes are compared here, one that compares itself and so is sent
/// the secrets, and one that is away.
pub(super) struct Elsewhere {
    adapter: Adapter,
    vendor: Vendor,
    away: SocketAddr,
    // Not the place of the installation, which is searched: what stands here is theirs.
    site: Site,
}

impl Elsewhere {
    pub(super) fn start() -> Self {
        let site = Site::new();
        Self { adapter: Adapter::start(&site), vendor: Vendor::start(), away: free_address(), site }
    }

    /// Their sections.
    pub(super) fn settings(&self) -> String {
        let secret = self.site.path("acme.secret").display().to_string();
        let [vendor, away] =
            [("vendor", self.vendor.address), ("away", self.away)].map(|(name, address)| {
                format!(
                    "[repository.{name}]\nkind = \"custom\"\ndriver = \"http\"\n\
                     url = \"http://{address}\"\nsecret = \"file:{secret}\"\n\
                     verify = \"delegated\"\nprefix = \"{name}_\"\n"
                )
            });
        let acme = section(&self.site, self.adapter.address, "services = [\"git\"]");
        format!("{acme}{vendor}{away}")
    }

    /// Presents tokens of all three: right ones, and what wrong ones look like.
    pub(super) fn present(&self, world: &World, needles: &mut Needles) {
        for _ in 0..TOKENS {
            let random: String = world.pat().secret.chars().rev().take(30).collect();
            let (ours, theirs) = (self.adapter.add("alice"), format!("vendor_{random}"));
            let away = format!("away_{random}");
            self.vendor.add(&theirs, "alice");
            // Almost right: the public part is known, the rest is another.
            let wrong = format!("{}{}", &ours[..13], &random[..26]);
            for (secret, status, good) in [
                (&ours, 200, true),
                (&theirs, 200, true),
                (&format!("{theirs}x"), 200, false),
                (&wrong, 200, false),
                (&away, 503, false),
            ] {
                let question = json!({ "token": secret, "username": "alice" });
                let answer = world.verifier.post("/verify", &question);
                assert_eq!(answer.status, status, "{}", answer.text());
                assert_eq!(active(&answer), good, "{secret}: {}", answer.text());
                world.admin.raw(&authz("git", "alice", secret));
                world.admin.raw(&authz("git", "bob", secret));
                let form = json!({ "user": "alice", "pass": secret });
                world.verifier.send(Request::new("POST", "/validate/check").json(&form));
                world.ldap().bind(&crate::ldap::person("alice", "git"), secret);
                needles.add(secret);
            }
        }
        assert_eq!(self.vendor.seen(), TOKENS, "the other one is told the secrets");
        make(world, needles);
        // Nor the key that requests are signed with.
        needles.add(KEY);
    }
}

/// Makes a token in the repository whose hashes are compared here: the only answer that shows its
/// secret is ours, and the other side is told a hash.
fn make(world: &World, needles: &mut Needles) {
    let path = "/auth-admin/rest/users/alice/tokens/generic/acme";
    let wish = json!({ "data": { "attributes": {} } });
    let made = world.admin.send(Request::new("POST", path).json(&wish)).expect(201);
    let secret = made["meta"]["secret"].as_str().unwrap();
    assert!(active(&verify(&world.verifier, secret)), "{made}");
    needles.add(secret);
}
