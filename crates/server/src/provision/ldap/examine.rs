//! The test of a target: what is missing in a directory, and the lines that add it.
//!
//! It changes nothing that stays. An attribute that is not there is found by asking for a change
//! of an entry that is not there either: a directory looks at the names first.

use counterfoil_authority::provision::scheme::Scheme;
use counterfoil_authority::provision::{Failed, Finding, Severity, Target, TargetKind};
use ldap3::Scope;

use super::connection::{Session, connect, open, starts_tls};
use super::entry::{Entry, with_label};
use super::plan::Modification;
use super::{VO_PERSON, attribute, base, is_labelled, naming_attribute};

/// The label that is asked about.
const LABEL: &str = "counterfoil-test";
/// What a scratch entry is called.
const SCRATCH: &str = "cn=counterfoil-test";
/// What is hashed into it.
const PROBE: &str = "counterfoil-probe-k7mq-2x9d";
/// The options of voPerson 2.0; setting them replaces the default, so `lang-` is among them.
const ATTRIBUTE_OPTIONS: &str =
    "attributeoptions lang- app- role- scope- type- time- prior internal preferred";
/// The object identifier of voPersonApplicationPassword.
const VO_PERSON_PASSWORD_OID: &str = "1.3.6.1.4.1.25178.4.1.13";

fn fine(check: &'static str, what: impl Into<String>) -> Finding {
    Finding { check, severity: Severity::Fine, what: what.into(), remedy: None }
}

fn warning(check: &'static str, what: impl Into<String>, remedy: Option<String>) -> Finding {
    Finding { check, severity: Severity::Warning, what: what.into(), remedy }
}

fn failure(check: &'static str, what: impl Into<String>, remedy: Option<String>) -> Finding {
    Finding { check, severity: Severity::Failure, what: what.into(), remedy }
}

/// Looks at everything, in the order in which it would fail.
pub(super) async fn examine(target: &Target, secret: Option<&str>) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Err(failed) = reach(target, secret, &mut found).await {
        found.push(failure("connection", failed.what, None));
    }
    found
}

async fn reach(
    target: &Target,
    secret: Option<&str>,
    found: &mut Vec<Finding>,
) -> Result<(), Failed> {
    let mut session = match open(target, secret).await {
        Ok(session) => session,
        Err(failed) => {
            let check = if failed.what.starts_with("the bind") { "bind" } else { "connection" };
            found.push(failure(check, failed.what, None));
            return Ok(());
        }
    };
    found.push(fine("connection", "connected and bound"));
    let encrypted = target.config.url.starts_with("ldaps://") || starts_tls(target);
    if !encrypted && !super::connection::is_loopback(&target.config.url) {
        let remedy = "set start_tls to true, or use ldaps://".to_owned();
        found.push(warning("tls", "the password crosses the network in clear", Some(remedy)));
    }
    let there = session.search(base(target), Scope::Base, "(objectClass=*)", &["1.1"]).await;
    if !there.is_ok_and(|entries| !entries.is_empty()) {
        found.push(failure("base_dn", format!("{} is not there", base(target)), None));
    }
    schema(&mut session, target, found).await?;
    schemes(&mut session, target, found).await?;
    access(&mut session, target, found).await
}

async fn schema(
    session: &mut Session,
    target: &Target,
    found: &mut Vec<Finding>,
) -> Result<(), Failed> {
    let asked = ["attributeTypes", "objectClasses"];
    let subschema =
        session.search("cn=Subschema", Scope::Base, "(objectClass=subschema)", &asked).await?;
    let Some(subschema) = subschema.into_iter().next() else {
        found.push(warning("schema", "the directory does not show its schema", None));
        return Ok(());
    };
    let name = attribute(target);
    let knows = |kind: &str, name: &str| defines(&subschema, kind, name);
    if !knows("attributeTypes", name) {
        let (what, remedy) = if is_labelled(target) {
            let what = format!("attribute {name} ({VO_PERSON_PASSWORD_OID}) not found");
            (what, "include /etc/ldap/schema/voperson.schema".to_owned())
        } else {
            (format!("attribute {name} not found"), "add its schema".to_owned())
        };
        found.push(failure("schema", what, Some(remedy)));
        return Ok(());
    }
    if is_labelled(target) && !knows("objectClasses", VO_PERSON) {
        let remedy = "include /etc/ldap/schema/voperson.schema".to_owned();
        found.push(failure("schema", "object class voPerson not found", Some(remedy)));
        return Ok(());
    }
    found.push(fine("schema", format!("{name} is known")));
    if !is_labelled(target) {
        return Ok(());
    }
    let nowhere = format!("{SCRATCH},{}", base(target));
    let change = Modification::Replace(with_label(name, LABEL), Vec::new());
    let code = session.modify(&nowhere, &[change]).await?;
    found.push(if code.rc == 17 {
        let what = format!("attribute options app- are not allowed (result 17: {})", code.text);
        failure("attributeoptions", what, Some(ATTRIBUTE_OPTIONS.to_owned()))
    } else {
        fine("attributeoptions", "options app- are allowed")
    });
    let under = target.config.services.iter().flatten().filter(|label| label.contains('_'));
    let under: Vec<&str> = under.map(String::as_str).collect();
    if !under.is_empty() {
        let what = format!("no attribute option holds an underscore: {}", under.join(", "));
        found.push(failure("labels", what, None));
    }
    Ok(())
}

fn defines(subschema: &Entry, kind: &str, name: &str) -> bool {
    let quoted = format!("'{}'", name.to_lowercase());
    subschema.texts(kind).iter().any(|text| text.to_lowercase().contains(&quoted))
}

/// Whether the directory itself can check each scheme: by a bind as an entry that is removed again.
async fn schemes(
    session: &mut Session,
    target: &Target,
    found: &mut Vec<Finding>,
) -> Result<(), Failed> {
    let dn = format!("{SCRATCH},{}", base(target));
    let binds = !is_labelled(target) && target.kind != TargetKind::ProfileAttribute;
    for scheme in &target.config.schemes {
        let Ok(value) = scheme.derive_with(PROBE, [7; 16]) else { continue };
        let attributes = [
            ("objectClass".to_owned(), vec!["person".to_owned()]),
            ("cn".to_owned(), vec!["counterfoil-test".to_owned()]),
            ("sn".to_owned(), vec!["test".to_owned()]),
            ("userPassword".to_owned(), vec![value]),
        ];
        let added = session.add(&dn, &attributes).await?;
        if added.rc != 0 {
            let what = "not tried: an entry to try them on may not be added";
            found.push(warning("schemes", what, modules(&target.config.schemes)));
            return Ok(());
        }
        let bound = try_bind(target, &dn).await;
        session.delete(&dn).await?;
        found.push(match (bound, binds) {
            (Ok(true), _) => fine("schemes", format!("{} binds", scheme.name())),
            (_, true) => {
                let what =
                    format!("{} is not usable: the directory does not know it", scheme.name());
                failure("schemes", what, modules(&[*scheme]))
            }
            (_, false) => {
                let what =
                    format!("{} does not bind here; whoever reads it must know it", scheme.name());
                warning("schemes", what, modules(&[*scheme]))
            }
        });
    }
    Ok(())
}

async fn try_bind(target: &Target, dn: &str) -> Result<bool, Failed> {
    let mut other = connect(target).await?;
    Ok(other.bind(dn, PROBE).await?.rc == 0)
}

fn modules(schemes: &[Scheme]) -> Option<String> {
    let mut lines: Vec<String> = schemes
        .iter()
        .filter_map(|scheme| scheme.slapd_module())
        .map(|module| format!("moduleload {module}"))
        .collect();
    lines.sort();
    lines.dedup();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Whether we may write, and whether somebody may read who should not.
async fn access(
    session: &mut Session,
    target: &Target,
    found: &mut Vec<Finding>,
) -> Result<(), Failed> {
    let name = attribute(target);
    let filter = format!("({}=*)", naming_attribute(target));
    let people = session.search(base(target), Scope::Subtree, &filter, &["1.1"]).await;
    if let Some(person) = people.unwrap_or_default().first()
        && is_labelled(target)
    {
        let change = Modification::Replace(with_label(name, LABEL), Vec::new());
        let code = session.modify(&person.dn, &[change]).await?;
        if code.rc == 50 {
            found.push(failure("acl", "we may not write", Some(acl(target))));
        } else if code.rc == 0 {
            found.push(fine("acl", "we may write"));
        }
    }
    let mut nobody = connect(target).await?;
    let holding = format!("({name}=*)");
    let seen = nobody.search(base(target), Scope::Subtree, &holding, &[name]).await;
    let shown = |entry: &Entry| !entry.labels(name).is_empty() || !entry.texts(name).is_empty();
    if seen.unwrap_or_default().iter().any(shown) {
        let what = format!("anybody may read {name} without a bind");
        found.push(failure("acl", what, Some(acl(target))));
    }
    Ok(())
}

/// The rules that let us write, each service read its own, and nobody else anything.
fn acl(target: &Target) -> String {
    let name = attribute(target);
    let writer = target.config.bind_dn.as_deref().unwrap_or("cn=counterfoil,...");
    let mut lines = Vec::new();
    for label in target.config.services.iter().flatten().filter(|_| is_labelled(target)) {
        lines.push(format!(
            "access to attrs=\"{}\"\n  by dn.exact=\"{writer}\" write\n  \
             by dn.exact=\"uid={label},ou=services,...\" read\n  by * none",
            with_label(name, label)
        ));
    }
    lines.push(format!(
        "access to attrs={name}\n  by dn.exact=\"{writer}\" write\n  by * {}",
        if is_labelled(target) { "none" } else { "auth" }
    ));
    lines.join("\n")
}
