//! An old system that is asked beside us: a real directory, a second installation with token
//! introspection, and programs of a site. Our answers are our own, whatever becomes of it.

mod directory;
mod over_http;
mod peers;

use std::collections::BTreeMap;
use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{PATIENCE, await_true};
use crate::wire::Request;
use crate::world::{UNTHROTTLED, World, active};

/// Settings with a shadow of these keys, which listens to `mail`.
fn shadowed(keys: &str) -> String {
    format!("{UNTHROTTLED}\n[shadow.old]\nservices = [\"mail\"]\n{keys}\n")
}

impl World {
    /// What came of presentations, as the metrics say.
    fn compared(&self) -> BTreeMap<String, u64> {
        let scrape = self.admin.send(Request::new("GET", "/metrics")).text();
        let of_old =
            scrape.lines().filter_map(|line| line.strip_prefix("counterfoil_shadow_total{"));
        let came = of_old.filter_map(|line| {
            let (_, rest) = line.split_once("result=\"")?;
            let (result, rest) = rest.split_once('"')?;
            Some((result.to_owned(), rest.rsplit(' ').next()?.parse().ok()?))
        });
        came.filter(|(_, count)| *count > 0).collect()
    }

    /// Waits until that is so, and no less.
    #[track_caller]
    fn await_compared(&self, wanted: &[(&str, u64)]) {
        let wanted: BTreeMap<String, u64> =
            wanted.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let mut seen = BTreeMap::new();
        let what = format!("{wanted:?}");
        await_true(&what, PATIENCE, || {
            let now = self.compared();
            if now != seen {
                println!("so far {now:?}");
            }
            seen = now;
            assert!(
                seen.values().sum::<u64>() <= wanted.values().sum::<u64>(),
                "{seen:?}, not {what}"
            );
            seen == wanted
        });
    }

    /// Whether a secret is good for a service.
    #[track_caller]
    fn is_good(&self, user: Option<&str>, service: &str, secret: &str) -> bool {
        let mut question = json!({ "token": secret, "service": service });
        if let Some(user) = user {
            question["username"] = user.into();
        }
        let answer = self.admin.post("/verify", &question);
        assert_eq!(answer.status, 200, "{}", answer.text());
        active(&answer)
    }

    /// The report, as soon as it has so many rows: what differs, without its times and ids.
    #[track_caller]
    fn report(&self, rows: usize) -> Vec<Value> {
        let mut items = Vec::new();
        await_true(&format!("{rows} differences"), PATIENCE, || {
            let page = self.admin.get("/shadow").expect(200);
            items.clone_from(page["items"].as_array().unwrap());
            items.len() == rows
        });
        for item in &mut items {
            let fields = item.as_object_mut().unwrap();
            for name in ["id", "first_at", "last_at"] {
                assert!(fields.remove(name).unwrap().is_string());
            }
            assert_eq!(fields.remove("shadow").unwrap(), "old");
        }
        items.sort_by_key(Value::to_string);
        items
    }

    /// `counterfoil shadow ...` as an administrator.
    fn shadow(&self, arguments: &[&str]) -> Output {
        let mut command = self.site.binary();
        command.env("COUNTERFOIL_URL", format!("http://{}", self.server.address));
        command.env("COUNTERFOIL_TOKEN", &self.admin.key);
        command.arg("shadow").args(arguments).output().unwrap()
    }
}

/// A difference as the API shows it.
fn difference(class: &str, token: Option<&str>, user: Option<&str>, reason: Option<&str>) -> Value {
    json!({ "class": class, "service": "mail", "token": token, "user": user, "reason": reason,
        "count": 1 })
}
