//! The documents of a realm, made ready for decisions: an index leads from a resource to the few
//! policies that can speak of it, however many there are in the set.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use super::document::{AmKind, AmObject, Policy, ResourceType};
use super::identity::Asker;
use super::resource::{Match, PAT, Pattern, Requested};
use crate::names::ServiceLabel;

/// All documents of a realm.
#[derive(Debug, Default)]
pub struct Compiled {
    zone: String,
    objects: BTreeMap<(AmKind, String), Arc<AmObject>>,
    sets: HashMap<String, Arc<CompiledSet>>,
}

/// The policies of one policy set.
#[derive(Debug)]
pub struct CompiledSet {
    /// Its document.
    pub object: Arc<AmObject>,
    /// The one service that presented tokens must be good for.
    pub service: Option<ServiceLabel>,
    /// Whether any of its policies asks a directory. Nearly none does.
    asks_directory: bool,
    policies: Vec<CompiledPolicy>,
    patterns: Vec<CompiledPattern>,
    /// From the beginning of a resource to the patterns that need it.
    index: HashMap<String, Vec<usize>>,
    /// The lengths of those beginnings, each once.
    key_lengths: Vec<usize>,
}

/// A policy and what is known of it.
#[derive(Debug)]
pub struct CompiledPolicy {
    /// Its document.
    pub object: Arc<AmObject>,
    /// Whether its resource type is one of personal access tokens.
    pub speaks_of_pats: bool,
}

impl CompiledPolicy {
    /// What it says; `None` never happens, because only policies are compiled.
    pub fn policy(&self) -> Option<&Policy> {
        self.object.policy()
    }

    fn filters(&self) -> Vec<&str> {
        let mut filters = Vec::new();
        if let Some(condition) = self.policy().and_then(|policy| policy.condition.as_ref()) {
            condition.add_filters(&mut filters);
        }
        filters
    }

    fn is_of_type_in(&self, types: &[String]) -> bool {
        self.policy().is_some_and(|policy| types.contains(&policy.resource_type_uuid))
    }
}

/// A pattern that one or more policies name.
#[derive(Debug)]
struct CompiledPattern {
    pattern: Pattern,
    policies: Vec<usize>,
}

/// A policy that speaks of a resource.
#[derive(Debug, Clone, Copy)]
pub struct Matched<'a> {
    /// The policy.
    pub policy: &'a CompiledPolicy,
    /// Which of its resources.
    pub pattern: &'a Pattern,
    /// How.
    pub by: Match,
}

impl Compiled {
    /// Makes the documents of a realm in a time zone ready. What is broken in itself speaks of
    /// nothing.
    pub fn of(zone: &str, objects: impl IntoIterator<Item = AmObject>) -> Self {
        let objects: BTreeMap<_, _> = objects
            .into_iter()
            .map(|object| ((object.kind(), object.name.clone()), Arc::new(object)))
            .collect();
        let of_pats = |id: &str| {
            let found = objects.get(&(AmKind::ResourceType, id.to_owned()));
            found.and_then(|object| object.resource_type()).is_some_and(ResourceType::is_of_pats)
        };
        let mut by_set: BTreeMap<&str, Vec<CompiledPolicy>> = BTreeMap::new();
        for object in objects.values() {
            if let Some(policy) = object.policy() {
                let speaks_of_pats = of_pats(&policy.resource_type_uuid);
                let compiled = CompiledPolicy { object: Arc::clone(object), speaks_of_pats };
                by_set.entry(policy.application_name.as_str()).or_default().push(compiled);
            }
        }
        let sets = objects.values().filter_map(|object| {
            let service = object.policy_set()?.service_label();
            let mut policies = by_set.remove(object.name.as_str()).unwrap_or_default();
            // A set that has given a resource type up says nothing of such resources any more.
            policies.retain(|compiled| compiled.is_of_type_in(object.document.resource_types()));
            let set = CompiledSet::of(Arc::clone(object), service, policies);
            Some((object.name.clone(), Arc::new(set)))
        });
        let sets = sets.collect();
        Self { zone: zone.to_owned(), objects, sets }
    }

    /// The realm's time zone: that of conditions which name none, unless the question does.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The policy set of a name.
    pub fn set(&self, name: &str) -> Option<&Arc<CompiledSet>> {
        self.sets.get(name)
    }

    /// A document.
    pub fn object(&self, kind: AmKind, name: &str) -> Option<&Arc<AmObject>> {
        self.objects.get(&(kind, name.to_owned()))
    }

    /// The documents of a kind, by key.
    pub fn objects(&self, kind: AmKind) -> impl Iterator<Item = &Arc<AmObject>> {
        self.objects.values().filter(move |object| object.kind() == kind)
    }
}

impl CompiledSet {
    fn of(
        object: Arc<AmObject>,
        service: Option<ServiceLabel>,
        policies: Vec<CompiledPolicy>,
    ) -> Self {
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        let mut patterns: Vec<CompiledPattern> = Vec::new();
        for (place, compiled) in policies.iter().enumerate() {
            for resource in compiled.policy().into_iter().flat_map(|policy| &policy.resources) {
                if let Some(one) = known.get(resource.as_str()).and_then(|at| patterns.get_mut(*at))
                {
                    one.policies.push(place);
                } else if let Ok(pattern) = Pattern::parse(resource) {
                    known.insert(resource, patterns.len());
                    patterns.push(CompiledPattern { pattern, policies: vec![place] });
                }
            }
        }
        let mut index: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, one) in patterns.iter().enumerate() {
            index.entry(one.pattern.key().to_owned()).or_default().push(place);
        }
        let mut key_lengths: Vec<usize> = index.keys().map(String::len).collect();
        key_lengths.sort_unstable();
        key_lengths.dedup();
        let filters = |one: &CompiledPolicy| !one.filters().is_empty();
        let asks_directory = policies.iter().any(filters);
        Self { object, service, asks_directory, policies, patterns, index, key_lengths }
    }

    /// The filters that a directory has to be asked about for a decision.
    pub fn filters(&self, requested: &Requested, asker: &Asker) -> Vec<&str> {
        if !self.asks_directory {
            return Vec::new();
        }
        let mut filters = Vec::new();
        for matched in self.matching(requested, asker.uid.as_deref()) {
            if matched.policy.policy().is_some_and(|policy| policy.subject.holds(asker)) {
                filters.extend(matched.policy.filters());
            }
        }
        filters.sort_unstable();
        filters.dedup();
        filters
    }

    /// Its policies, by name.
    pub fn policies(&self) -> &[CompiledPolicy] {
        &self.policies
    }

    /// The active policies that speak of a resource, by name, each once.
    ///
    /// A pattern that is wider than the resource type of its policy, `*` say, speaks of personal
    /// access tokens only where that resource type does.
    pub fn matching<'a>(&'a self, requested: &Requested, uid: Option<&str>) -> Vec<Matched<'a>> {
        let is_pat = requested.has_scheme(PAT);
        let folded = requested.folded();
        let mut found: Vec<(usize, Matched<'a>)> = Vec::new();
        let beginnings = self.key_lengths.iter().filter_map(|length| folded.get(..*length));
        let places = beginnings.filter_map(|beginning| self.index.get(beginning)).flatten();
        for one in places.filter_map(|place| self.patterns.get(*place)) {
            let of_subject;
            let pattern = if one.pattern.is_of_self() {
                of_subject = uid.and_then(|uid| one.pattern.for_subject(uid));
                of_subject.as_ref()
            } else {
                Some(&one.pattern)
            };
            let Some(by) = pattern.and_then(|pattern| pattern.matches(requested)) else { continue };
            for place in &one.policies {
                let policy = self.policies.get(*place).filter(|policy| {
                    let is_active = policy.policy().is_some_and(|policy| policy.active);
                    is_active && (!is_pat || policy.speaks_of_pats)
                });
                if let Some(policy) = policy {
                    found.push((*place, Matched { policy, pattern: &one.pattern, by }));
                }
            }
        }
        found.sort_by_key(|(place, _)| *place);
        found.dedup_by_key(|(place, _)| *place);
        found.into_iter().map(|(_, matched)| matched).collect()
    }

    /// The patterns of active policies that lie below a resource or that it matches, for trees.
    /// Never those of personal access tokens: a tree must not tell who has one.
    pub fn below<'a>(&'a self, root: &'a Requested) -> impl Iterator<Item = &'a Pattern> {
        let trimmed = root.folded().trim_end_matches('/');
        self.patterns.iter().filter_map(move |one| {
            let is_active = one.policies.iter().any(|place| {
                let policy = self.policies.get(*place).and_then(CompiledPolicy::policy);
                policy.is_some_and(|policy| policy.active)
            });
            let pattern = &one.pattern;
            let related = pattern.matches(root).is_some() || pattern.key().starts_with(trimmed);
            let wanted = is_active && related && !pattern.is_of_self();
            (wanted && !pattern.names_scheme(PAT)).then_some(pattern)
        })
    }
}
