//! What of a release would fail in its namespace, or would be noticed there by others, told before anything is changed: quotas, limit ranges,
//! network policies, disruption budgets, autoscalers. A critical finding keeps the plan from starting. Pure: it reads what was seen, and what
//! nobody could read is a warning, never a yes.

mod limits;
mod others;
mod pods;
mod quota;
mod route;
mod traffic;

pub(super) use quota::plural;
use std::collections::BTreeSet;

use operate_plan::{Finding, Inventory, ObjectId, Seen, Severity};
use serde_json::Value;

use super::{ClusterRelease, object, order, record};

/// Kinds of which all objects of a namespace are looked at.
const AROUND: [&str; 5] = [
    "ResourceQuota",
    "LimitRange",
    "NetworkPolicy.networking.k8s.io",
    "PodDisruptionBudget.policy",
    "HorizontalPodAutoscaler.autoscaling",
];

/// What else must be looked at before [`cluster_findings`]: all objects of some kinds, in each namespace where the release has something.
/// It is not what the plan is made from: a quota's use changes all the time.
pub fn cluster_surroundings(release: &ClusterRelease) -> Vec<ObjectId> {
    namespaces(release).iter().flat_map(|namespace| AROUND.map(|kind| all(kind, namespace))).collect()
}

/// What is wrong or doubtful about the release in its surroundings, the worst first. `seen` is what the plan was made from, `around` what was seen
/// of [`cluster_surroundings`].
pub fn cluster_findings(release: &ClusterRelease, seen: &Inventory, around: &Inventory) -> Vec<Finding> {
    let mut findings = Findings::default();
    unknown(around, &mut findings);
    left(release, seen, &mut findings);
    route::check(release, seen, &mut findings);
    for namespace in namespaces(release) {
        let room = Room { release, seen, around, namespace: &namespace };
        let moves = pods::moves(&room);
        limits::check(&room, &moves, &mut findings);
        quota::check(&room, &moves, &mut findings);
        traffic::check(&room, &mut findings);
        others::check(&room, &moves, &mut findings);
    }
    findings.0.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings.0
}

/// A namespace that the release has something in.
struct Room<'a> {
    release: &'a ClusterRelease,
    seen: &'a Inventory,
    around: &'a Inventory,
    namespace: &'a str,
}

impl<'a> Room<'a> {
    /// All objects of a kind as they were seen.
    fn seen_of(&self, kind: &str) -> impl Iterator<Item = &'a Value> {
        let fact = self.around.present(&all(kind, self.namespace));
        fact.and_then(|fact| fact["objects"].as_array()).into_iter().flatten()
    }

    /// All objects of a kind as they will be: those of the release in the place of those seen.
    fn of(&self, kind: &str) -> Vec<&'a Value> {
        let own = || self.items().filter(move |body| object(body).kind == kind);
        let is_own = |seen: &&Value| own().any(|body| body["metadata"]["name"] == seen["metadata"]["name"]);
        self.seen_of(kind).filter(|seen| !is_own(seen)).chain(own()).collect()
    }

    /// The bodies of the release in this namespace.
    fn items(&self) -> impl Iterator<Item = &'a Value> {
        let namespace = self.namespace;
        let bodies = self.release.items.iter().map(|item| &item.body);
        bodies.filter(move |body| body["metadata"]["namespace"] == namespace)
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, rule: &str, severity: Severity, message: String, fix: impl Into<String>) {
        self.0.push(Finding { rule: rule.to_owned(), severity, step: None, message, fix: fix.into() });
    }
}

fn all(kind: &str, namespace: &str) -> ObjectId {
    ObjectId::new("all", format!("{kind}/{namespace}"))
}

fn namespaces(release: &ClusterRelease) -> BTreeSet<String> {
    let named = |item: &super::Item| Some(item.body["metadata"]["namespace"].as_str()?.to_owned());
    release.items.iter().filter_map(named).collect()
}

fn name(body: &Value) -> &str {
    body["metadata"]["name"].as_str().unwrap_or_default()
}

/// What nobody could read may forbid the release.
fn unknown(around: &Inventory, findings: &mut Findings) {
    for (object, failure) in around.unknown() {
        let Some((kind, namespace)) = object.name.split_once('/').filter(|_| object.kind == "all") else { continue };
        let kind = kind.split('.').next().unwrap_or_default();
        let message = format!("nobody knows which {kind} objects {namespace} has: {failure}");
        findings.add("unknown-around", Severity::Warning, message, failure.next.clone());
    }
}

/// What an earlier release left, and may not be deleted, stays; the release itself does not fail by it.
fn left(release: &ClusterRelease, seen: &Inventory, findings: &mut Findings) {
    let left: Vec<_> = record::prunable(release, seen).into_iter().map(|(id, _)| id).collect();
    for access in order::accesses_left(&left) {
        if let Seen::Present(value) = seen.look(&access)
            && value["allowed"] == false
        {
            let what = super::look::words(&access);
            let who = value["who"].as_str().unwrap_or("this login");
            let message = format!("{who} may not {what}, so what an earlier release made stays");
            let rule = super::look::rule(&[(access, value.clone())]);
            findings.add(
                "kept-left-over",
                Severity::Warning,
                message,
                format!("allow it: {rule}; or set `prune: false`"),
            );
        }
    }
}

/// Whether a label selector (`matchLabels`, `matchExpressions`) holds for these labels. An empty one holds for all.
fn selects(selector: &Value, labels: &Value) -> bool {
    let label = |name: &str| labels.get(name).and_then(Value::as_str);
    let pairs = selector["matchLabels"].as_object().into_iter().flatten();
    let rules = selector["matchExpressions"].as_array().into_iter().flatten();
    let holds = |rule: &Value| {
        let found = label(rule["key"].as_str().unwrap_or_default());
        let is_listed =
            rule["values"].as_array().into_iter().flatten().any(|value| found.is_some() && value.as_str() == found);
        match rule["operator"].as_str().unwrap_or_default() {
            "In" => is_listed,
            "NotIn" => !is_listed,
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            _ => false,
        }
    };
    pairs.into_iter().all(|(name, value)| label(name) == value.as_str()) && rules.into_iter().all(holds)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(selector: Value, expect: bool) {
        assert_eq!(selects(&selector, &json!({"app": "cart", "tier": "web"})), expect, "{selector}");
    }

    #[test]
    fn a_selector_holds_or_not() {
        check(json!({}), true);
        check(json!({"matchLabels": {"app": "cart"}}), true);
        check(json!({"matchLabels": {"app": "cart", "zone": "a"}}), false);
        check(json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["shop", "cart"]}]}), true);
        check(json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["cart"]}]}), false);
        check(json!({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}), true);
        check(json!({"matchExpressions": [{"key": "zone", "operator": "Exists"}]}), false);
        check(json!({"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}), true);
        check(json!({"matchExpressions": [{"key": "app", "operator": "Gt", "values": ["1"]}]}), false);
    }
}
