//! The steps that a route adds to a canary: the old pods kept apart, the canary's Service or subset, weights, and the way home. It does not know when.

use operate_manifest::receivers::{DESTINATION_RULE, is_gateway_api};
use operate_plan::{Act, Condition, Estimate, Inventory, ObjectId, Step, Work};
use serde_json::{Value, json};

use super::super::steps::{self, condition, delete, select, title};
use super::super::{ClusterRelease, Item, look, object};
use super::{CANARY, Form, HASH, Route, Rule, canary_label, hash, shares, weights};

/// For a controller to carry a new weight out.
const CARRIED_MS: u64 = 60_000;
/// Annotations of a Service by which others find what it stands for; those that make names or addresses outside of the cluster are not for two.
const KEPT: [&str; 2] = ["prometheus.io/", "networking.istio.io/"];

/// One list as it is, and as it becomes.
struct Edit<'a> {
    at: &'a str,
    is: Value,
    to: Value,
}

impl<'a> Route<'a> {
    /// Before a canary's pod is there: whoever sends to the old pods goes on sending to them alone.
    pub(in super::super) fn keep_apart(&self, release: &ClusterRelease, seen: &Inventory) -> Vec<Step> {
        let reason = "the canary's pods have the same labels, and are to get no more than their share";
        match &self.form {
            Form::Subsets(rule) => {
                let edit = Edit { at: SUBSETS, is: json!(rule.home), to: self.narrow(rule, seen) };
                let name = format!("divide the subsets of {}", title(&rule.id));
                vec![edited(release, &rule.id, "divide-subsets".into(), name, reason, vec![edit])]
            }
            Form::Services => self.each_service(|behind, service| {
                let id = object(&service.body);
                let (now, narrow) = selectors(release, service, behind.deployment, seen);
                let name = format!("keep {} with the pods it has", title(&id));
                select(release, &id, format!("pin-{}", steps::slug(&id)), name, reason, [&now, &narrow])
            }),
        }
    }

    /// The Services of the canary's pods; none where it is a subset.
    pub(in super::super) fn receivers(&self, release: &ClusterRelease, seen: &Inventory) -> Vec<Step> {
        if matches!(self.form, Form::Subsets(_)) {
            return Vec::new();
        }
        let sent_to = self.behind.iter().flat_map(|one| &one.sent_to);
        let made = sent_to.map(|service| {
            let mut step = steps::apply(release, &canary_service(service), seen);
            step.reason = "by it the route reaches the new pods alone".to_owned();
            step.by_hand = String::new();
            for condition in &mut step.verify {
                condition.verb = "ready".to_owned();
                condition.says = format!("{} sends to the new pods", title(&condition.object));
            }
            step
        });
        made.collect()
    }

    /// From one share to the next; `None` is the route without a canary.
    pub(in super::super) fn weigh(&self, release: &ClusterRelease, from: Option<u32>, to: Option<u32>) -> Step {
        let (id, name, reason) = match to {
            Some(percent) => {
                (format!("weigh-{percent}"), format!("send {percent} % to the canary"), "few are hurt if it is bad")
            }
            None => (
                "weigh-home".to_owned(),
                "send everything to the Service again".to_owned(),
                "every pod behind it is of the new version by now",
            ),
        };
        let name = format!("{name}, by {}", self.title());
        let edits = self.splits.iter().map(|split| Edit {
            at: &split.at,
            is: json!(from.map_or_else(|| split.home.clone(), |percent| split.at_percent(percent))),
            to: json!(to.map_or_else(|| split.home.clone(), |percent| split.at_percent(percent))),
        });
        let mut step = edited(release, &self.id, id, name, reason, edits.collect());
        if let (None, Some(seen)) = (to, self.seen) {
            owned(&mut step, &seen["owners"]);
        }
        // Without a controller that says it does, nobody knows that anything is sent anywhere.
        let reported = is_gateway_api(&self.id.kind) && !release.route.unverified;
        let says = format!("{} is taken by its controllers", self.title());
        step.verify.push(condition(says, "ready", self.id.clone(), json!({ "reported": reported })));
        step
    }

    /// That nobody has changed the share while it was looked at.
    pub(in super::super) fn still(&self, percent: u32) -> Condition {
        let lists = self.splits.iter().map(|split| json!({"at": split.at, "is": split.at_percent(percent)}));
        let lists: Vec<Value> = lists.collect();
        weighs(&self.id, format!("{} still sends {percent} % to the canary", self.title()), &lists)
    }

    /// Before the Deployment itself is rolled: its new pods are sent to as well.
    pub(in super::super) fn let_in(&self, release: &ClusterRelease, seen: &Inventory) -> Vec<Step> {
        let reason = "the new version is let in: its pods come in the place of the old ones";
        match &self.form {
            Form::Subsets(rule) => {
                let edit = Edit { at: SUBSETS, is: self.narrow(rule, seen), to: wide(rule) };
                let name = format!("widen the subsets of {}", title(&rule.id));
                vec![edited(release, &rule.id, "widen-subsets".into(), name, reason, vec![edit])]
            }
            Form::Services => self.each_service(|behind, service| {
                let id = object(&service.body);
                let (now, narrow) = selectors(release, service, behind.deployment, seen);
                let name = format!("let {} send to new pods", title(&id));
                let step_id = format!("unpin-{}", steps::slug(&id));
                let mut step = select(release, &id, step_id, name, reason, [&narrow, &now]);
                for condition in step.verify.iter_mut().filter(|condition| condition.verb == "selects") {
                    condition.says = format!("{} selects all pods again", title(&id));
                }
                step
            }),
        }
    }

    /// Takes away what the canary needed.
    pub(in super::super) fn tidy(&self, release: &ClusterRelease) -> Vec<Step> {
        let reason = "nobody is sent to it any more";
        if let Form::Subsets(rule) = &self.form {
            let edit = Edit { at: SUBSETS, is: wide(rule), to: json!(rule.home) };
            let name = format!("take the canary's subsets out of {}", title(&rule.id));
            let mut step = edited(release, &rule.id, "tidy-subsets".into(), name, reason, vec![edit]);
            if let Some(owners) = &rule.owners {
                owned(&mut step, owners);
            }
            return vec![step];
        }
        let gone = self.services_beside().into_iter().map(|id| {
            let mut step = delete(release, &id, &Value::Null, reason);
            step.optional = false;
            step
        });
        gone.collect()
    }

    fn each_service(&self, step: impl Fn(&super::Behind<'a>, &'a Item) -> Step) -> Vec<Step> {
        let of = |behind: &super::Behind<'a>| {
            behind.services.iter().map(|service| step(behind, service)).collect::<Vec<_>>()
        };
        self.behind.iter().flat_map(of).collect()
    }

    /// The subsets with the old pods in the place of all, and the canary's beside them.
    fn narrow(&self, rule: &Rule, seen: &Inventory) -> Value {
        let old = self.behind.first().and_then(|one| hash(seen, one.deployment));
        let narrowed = rule.home.iter().map(|subset| {
            let mut subset = subset.clone();
            if rule.names.iter().any(|name| subset["name"] == *name) {
                subset["labels"][HASH] = json!(old);
            }
            subset
        });
        narrowed.chain(canaries(rule)).collect()
    }
}

const SUBSETS: &str = "/spec/subsets";

fn wide(rule: &Rule) -> Value {
    rule.home.iter().cloned().chain(canaries(rule)).collect()
}

fn canaries(rule: &Rule) -> impl Iterator<Item = Value> {
    let named = rule.home.iter().filter(|subset| rule.names.iter().any(|name| subset["name"] == *name));
    named.map(|subset| {
        let mut canary = subset.clone();
        canary["name"] = Value::from(format!("{}-{CANARY}", subset["name"].as_str().unwrap_or_default()));
        let (label, value) = canary_label();
        canary["labels"][label] = value;
        canary
    })
}

/// What a Service selects when the canary begins, and what it selects as long as there is one.
fn selectors(release: &ClusterRelease, service: &Item, deployment: &Item, seen: &Inventory) -> (Value, Value) {
    let there = seen.present(&object(&service.body)).filter(|_| !look::differs(release, service, seen));
    let now = there.map_or_else(|| service.body["spec"]["selector"].clone(), |there| there["selector"].clone());
    let mut narrow = now.clone();
    narrow[HASH] = json!(hash(seen, deployment));
    (now, narrow)
}

/// The same Service for the canary's pods alone, inside of the cluster.
fn canary_service(service: &Item) -> Item {
    let (body, spec) = (&service.body, &service.body["spec"]);
    let name = body["metadata"]["name"].as_str().unwrap_or_default();
    let port = |port: &Value| {
        let mut port = port.clone();
        // Another Service has it.
        port.as_object_mut().map(|port| port.remove("nodePort"));
        port
    };
    let ports: Vec<Value> = spec["ports"].as_array().into_iter().flatten().map(port).collect();
    let mut selector = spec["selector"].clone();
    let (label, value) = canary_label();
    selector[label] = value;
    let mut metadata = json!({"name": format!("{name}-{CANARY}"), "namespace": body["metadata"]["namespace"]});
    if body["metadata"]["labels"].is_object() {
        metadata["labels"] = body["metadata"]["labels"].clone();
    }
    let annotations = body["metadata"]["annotations"].as_object().into_iter().flatten();
    for (name, value) in annotations.filter(|(name, _)| KEPT.iter().any(|kept| name.starts_with(kept))) {
        metadata["annotations"][name] = value.clone();
    }
    let mut own = json!({"selector": selector, "ports": ports});
    for name in ["ipFamilies", "ipFamilyPolicy", "publishNotReadyAddresses", "sessionAffinity", "trafficDistribution"] {
        if !spec[name].is_null() {
            own[name] = spec[name].clone();
        }
    }
    if spec["clusterIP"] == "None" {
        own["clusterIP"] = json!("None");
    }
    let body = json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": own});
    Item { body, secrets: Default::default(), source: String::new() }
}

fn weighs(route: &ObjectId, says: String, lists: &[Value]) -> Condition {
    condition(says, "weighs", weights(route), json!({ "lists": lists }))
}

/// Sets lists of an object, each only where it is what it is said to be.
fn edited(
    release: &ClusterRelease,
    id: &ObjectId,
    step_id: String,
    name: String,
    reason: &str,
    edits: Vec<Edit<'_>>,
) -> Step {
    let (mut lists, mut patch) = (Vec::new(), Vec::new());
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let (mut was, mut will) = (Vec::new(), Vec::new());
    for Edit { at, is, to } in edits {
        was.push(shares(&id.kind, &is));
        will.push(shares(&id.kind, &to));
        before.push(json!({"at": at, "is": is}));
        after.push(json!({"at": at, "is": to}));
        patch.push(json!({"op": "replace", "path": at, "value": to}));
        lists.push(json!({"at": at, "is": is, "to": to}));
    }
    let verb = if id.kind == DESTINATION_RULE { "has" } else { "sends to" };
    let touched = weights(id);
    let with = json!({ "lists": lists });
    let act = Act { verb: "weigh".into(), object: touched.clone(), with, touches: vec![touched] };
    let mut step = Step::new(step_id, name, Work::Act(act));
    step.reason = reason.to_owned();
    step.check = vec![weighs(id, format!("{} still {verb} {}", title(id), was.join("; ")), &before)];
    step.verify = vec![weighs(id, format!("{} {verb} {}", title(id), will.join("; ")), &after)];
    step.time_limit_ms = CARRIED_MS;
    step.by_hand = steps::patched(release, id, &json!(patch));
    step.estimate = Estimate { usual_ms: 1_000, p90_ms: 5_000, ..Estimate::default() };
    step
}

/// Gives the fields back to whoever had them before the canary.
fn owned(step: &mut Step, owners: &Value) {
    if let Work::Act(act) = &mut step.work
        && owners.is_array()
    {
        act.with["owners"] = owners.clone();
    }
}
