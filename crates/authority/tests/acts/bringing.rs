//! Targets that somebody else keeps: what a test of one looks at, and what an edit asks.

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_authority::authority::TargetDraft;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::TargetName;
use counterfoil_authority::provision::{
    Arrived, Courier, Failed, Finding, Freight, Holding, Looked, Severity, Target, TargetConfig,
    TargetKind, TargetMode,
};

use crate::world::{World, wish};

/// A courier that finds the way, or does not, and brings nothing.
struct Scout(Severity);

#[async_trait]
impl Courier for Scout {
    async fn bring(
        &self,
        _: &Target,
        _: Option<&str>,
        _: &Freight,
        _: Option<&str>,
    ) -> Result<Arrived, Failed> {
        panic!("nothing is brought")
    }

    async fn look(&self, _: &Target, _: Option<&str>, _: &Freight) -> Result<Looked, Failed> {
        panic!("nothing is looked at")
    }

    async fn holders(&self, _: &Target, _: Option<&str>) -> Result<Vec<Holding>, Failed> {
        panic!("nobody is asked for")
    }

    async fn clear(&self, _: &Target, _: Option<&str>, _: &str) -> Result<(), Failed> {
        panic!("nothing is cleared")
    }

    async fn test(&self, _: &Target, _: Option<&str>) -> Vec<Finding> {
        let (severity, what) = (self.0, "the way there".to_owned());
        vec![Finding { check: "connection", severity, what, remedy: None }]
    }
}

#[tokio::test]
async fn hashes_of_the_first_people_are_looked_at_whether_or_not_the_target_answers() {
    let world = World::new().await;
    for number in 0..150 {
        world.add_user(&format!("person{number}")).await;
    }
    // Issued before there was a target that wanted anything.
    world.issue(wish(Kind::ServiceToken, "alice", &["git"])).await;
    let config = serde_json::from_value(serde_json::json!({
        "url": "ldap://127.0.0.1", "base_dn": "dc=example,dc=org", "schemes": ["SSHA512"]
    }));
    let draft = TargetDraft {
        name: TargetName::parse("directory").unwrap(),
        kind: TargetKind::Ldap,
        mode: TargetMode::Automatic,
        order: None,
        config: config.unwrap_or_else(|_| TargetConfig::default()),
        secret: None,
    };
    let (admin, realm) = (&world.admin, &world.realm);
    let target = world.authority.create_target(admin, realm, draft).await.unwrap();
    let test = async |severity| {
        let scout: Arc<dyn Courier> = Arc::new(Scout(severity));
        world.authority.test_target(admin, &scout, &target).await.unwrap()
    };
    // Somebody waits for the answer: not everybody's tokens are gone through.
    let found = test(Severity::Warning).await;
    let names: Vec<&str> = found.iter().map(|finding| finding.check).collect();
    assert_eq!(names, ["connection", "hashes"]);
    assert_eq!(found[1].severity, Severity::Warning);
    assert!(found[1].what.ends_with("of the first 100 people lack a hash in one of the schemes"));
    let found = test(Severity::Failure).await;
    assert_eq!(found.len(), 2, "{found:?}");
}
