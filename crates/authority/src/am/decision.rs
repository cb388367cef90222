//! What the policies of a set say of a resource: every `false` wins, and what they tell adds up.

use std::collections::{BTreeMap, BTreeSet};

use super::compiled::{CompiledSet, Matched};
use super::condition::Circumstances;
use super::document::AttributeKind;
use super::resource::Requested;
use crate::clock::Timestamp;

/// What is asked of a set.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The resource.
    pub requested: &'a Requested,
    /// Who, when, from where.
    pub circumstances: Circumstances<'a>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// Each action that a policy spoke of.
    pub actions: BTreeMap<String, bool>,
    /// What is told beside.
    pub attributes: BTreeMap<String, BTreeSet<String>>,
    /// Attributes of the person that are to be told; who asked has to look them up.
    pub user_attributes: BTreeSet<String>,
    /// Until when it holds by itself; `None`: for ever.
    pub until: Option<Timestamp>,
}

impl Decision {
    /// Whether anything is allowed.
    pub fn allows_anything(&self) -> bool {
        self.actions.values().any(|allowed| *allowed)
    }

    /// The earlier end counts.
    pub fn end_by(&mut self, end: Option<Timestamp>) {
        self.until = match (self.until, end) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// One step of an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was looked at: `resource`, `policy-set`, `policy`, `subject`, `condition`, `token`,
    /// `decision`.
    pub what: &'static str,
    /// Which one, by its name.
    pub name: Option<String>,
    /// Whether it held.
    pub holds: bool,
    /// In words, for people.
    pub why: String,
}

/// The way to a decision, if anybody wants to know it.
#[derive(Debug, Default)]
pub struct Explanation(Option<Vec<Step>>);

impl Explanation {
    /// For decisions that nobody explains.
    pub const fn silent() -> Self {
        Self(None)
    }

    /// Keeps every step.
    pub const fn spoken() -> Self {
        Self(Some(Vec::new()))
    }

    /// Whether steps are kept.
    pub const fn is_spoken(&self) -> bool {
        self.0.is_some()
    }

    /// Keeps a step; it is only made if somebody wants it.
    pub fn note(&mut self, step: impl FnOnce() -> Step) {
        if let Some(steps) = &mut self.0 {
            steps.push(step());
        }
    }

    /// The steps, in their order.
    pub fn into_steps(self) -> Vec<Step> {
        self.0.unwrap_or_default()
    }
}

impl CompiledSet {
    /// What its policies say.
    pub fn decide(&self, question: &Question<'_>, explanation: &mut Explanation) -> Decision {
        let mut decision = Decision::default();
        let uid = question.circumstances.asker.uid.as_deref();
        let matching = self.matching(question.requested, uid);
        if explanation.is_spoken() {
            self.explain_the_others(&matching, explanation);
        }
        for matched in matching {
            consider(matched, &question.circumstances, &mut decision, explanation);
        }
        decision
    }

    /// Why the other policies say nothing.
    fn explain_the_others(&self, matching: &[Matched<'_>], explanation: &mut Explanation) {
        for other in self.policies() {
            if matching.iter().any(|matched| std::ptr::eq(matched.policy, other)) {
                continue;
            }
            let is_active = other.policy().is_some_and(|policy| policy.active);
            explanation.note(|| Step {
                what: "policy",
                name: Some(other.object.name.clone()),
                holds: false,
                why: if is_active { "none of its resources matches" } else { "is not active" }
                    .to_owned(),
            });
        }
    }
}

fn consider(
    matched: Matched<'_>,
    circumstances: &Circumstances<'_>,
    decision: &mut Decision,
    explanation: &mut Explanation,
) {
    let Some(policy) = matched.policy.policy() else { return };
    let name = || Some(matched.policy.object.name.clone());
    explanation.note(|| Step {
        what: "policy",
        name: name(),
        holds: true,
        why: format!("its resource {} matches ({:?})", matched.pattern.canonical(), matched.by)
            .to_lowercase(),
    });
    let speaks_of_asker = policy.subject.holds(circumstances.asker);
    explanation.note(|| Step {
        what: "subject",
        name: name(),
        holds: speaks_of_asker,
        why: format!("{} holds: {speaks_of_asker}", policy.subject.name()),
    });
    if !speaks_of_asker {
        return;
    }
    if let Some(condition) = &policy.condition {
        let holds = condition.holds(circumstances);
        explanation.note(|| Step {
            what: "condition",
            name: name(),
            holds,
            why: format!("{} holds: {holds}", condition.name()),
        });
        decision.end_by(condition.holds_until(circumstances));
        if !holds {
            return;
        }
    }
    for (action, allowed) in &policy.action_values {
        let all = decision.actions.entry(action.clone()).or_insert(true);
        *all &= *allowed;
    }
    for attribute in &policy.resource_attributes {
        match attribute.kind {
            AttributeKind::Static => {
                let values = decision.attributes.entry(attribute.property_name.clone());
                values.or_default().extend(attribute.property_values.iter().cloned());
            }
            AttributeKind::User => {
                decision.user_attributes.insert(attribute.property_name.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
