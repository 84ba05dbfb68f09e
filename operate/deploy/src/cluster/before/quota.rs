//! Whether the quotas of a namespace have room for a release: at its end, and for the first pod of its rollout. A controller that is refused a pod
//! tries again for ever, so a release without room would only run into its time limit. What counts for which quota is as in
//! kubernetes/kubernetes `pkg/quota/v1/evaluator/core`.

use std::collections::BTreeMap;

use operate_plan::Severity;
use serde_json::Value;

use super::pods::{Amounts, Moves, ONE, Way, amount, containers, shown, size};
use super::{Findings, Room, name, object};
use crate::Strategy;

/// Of these a quota wants each container to say how much.
const MUST_SAY: [&str; 4] = ["requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/// What is missing, all in billionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Need {
    /// Until the release is over, beside what is used now.
    rest: i128,
    /// Before the first pod can come, or the last.
    stuck: i128,
    /// With all the pods that may be there at once.
    most: i128,
}

pub(super) fn check(room: &Room<'_>, moves: &[Moves<'_>], findings: &mut Findings) {
    let ranges: Vec<_> = room.seen_of("LimitRange").collect();
    let made = made(room);
    let own: BTreeMap<_, _> =
        room.items().filter(|body| object(body).kind == "ResourceQuota").map(|body| (name(body), body)).collect();
    for quota in room.seen_of("ResourceQuota") {
        // The release may change the quota itself.
        let hard = own.get(name(quota)).map_or(&quota["status"]["hard"], |own| &own["spec"]["hard"]);
        for (resource, hard) in hard.as_object().into_iter().flatten() {
            let Some(hard) = amount(hard) else { continue };
            let used = amount(&quota["status"]["used"][resource]).unwrap_or(0);
            let limit = Limit { quota, resource, key: key(resource), free: hard - used, hard, used };
            must_say(room, &limit, moves, &ranges, findings);
            of_pods(room, &limit, moves, &ranges, findings);
            of_objects(room, &limit, &made, findings);
        }
    }
}

struct Limit<'a> {
    quota: &'a Value,
    /// As the quota has it.
    resource: &'a str,
    /// Of the several names for one thing, the one used here.
    key: String,
    free: i128,
    hard: i128,
    used: i128,
}

impl Limit<'_> {
    /// `ResourceQuota few of shop allows 2 pods, and 2 are used`
    fn words(&self, namespace: &str) -> String {
        let [hard, used] = [self.hard, self.used].map(|amount| shown(self.resource, amount));
        let name = name(self.quota);
        format!("ResourceQuota {name} of {namespace} allows {hard} of `{}`, and {used} of it is used", self.resource)
    }

    fn short(&self, need: i128) -> String {
        shown(self.resource, need - self.free)
    }
}

fn key(resource: &str) -> String {
    match resource {
        "cpu" | "memory" | "ephemeral-storage" => format!("requests.{resource}"),
        "count/pods" => "pods".to_owned(),
        "configmaps"
        | "secrets"
        | "services"
        | "persistentvolumeclaims"
        | "replicationcontrollers"
        | "resourcequotas" => {
            format!("count/{resource}")
        }
        other if other.starts_with("hugepages-") => format!("requests.{other}"),
        other => other.to_owned(),
    }
}

/// Whether a quota counts this pod (`scopes`, `scopeSelector`); `None` for a scope that is not known here.
fn counts(quota: &Value, spec: &Value, size: &Amounts) -> Option<bool> {
    let plain = quota["spec"]["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut all = true;
    for scope in plain {
        all &= holds(scope, spec, size, None)?;
    }
    let rules = quota.pointer("/spec/scopeSelector/matchExpressions").and_then(Value::as_array).into_iter().flatten();
    for rule in rules {
        all &= holds(rule["scopeName"].as_str()?, spec, size, Some(rule))?;
    }
    Some(all)
}

fn holds(scope: &str, spec: &Value, size: &Amounts, rule: Option<&Value>) -> Option<bool> {
    let ends = spec["activeDeadlineSeconds"].is_u64();
    let says = size.keys().any(|key| MUST_SAY.contains(&&**key));
    Some(match scope {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => !says,
        "NotBestEffort" => says,
        "PriorityClass" => {
            let class = spec["priorityClassName"].as_str().filter(|class| !class.is_empty());
            let listed = |rule: &Value| {
                rule["values"].as_array().into_iter().flatten().any(|value| class.is_some() && value.as_str() == class)
            };
            match rule.map(|rule| (rule["operator"].as_str().unwrap_or_default(), listed(rule))) {
                Some(("In", listed)) => listed,
                Some(("NotIn", listed)) => !listed,
                Some(("DoesNotExist", _)) => class.is_none(),
                _ => class.is_some(),
            }
        }
        _ => return None,
    })
}

/// A quota of processor or memory refuses every pod that does not say how much it takes.
fn must_say(room: &Room<'_>, limit: &Limit<'_>, moves: &[Moves<'_>], ranges: &[&Value], findings: &mut Findings) {
    if !MUST_SAY.contains(&&*limit.key) {
        return;
    }
    let (word, resource) = limit.key.split_once('.').unwrap_or_default();
    for one in moves {
        let spec = one.spec();
        if counts(limit.quota, spec, &size(spec, ranges)) != Some(true)
            || amount(&spec["resources"][word][resource]).is_some()
        {
            continue;
        }
        let containers = containers(spec, ranges);
        let silent = containers.iter().find(|container| !container.of(word).contains_key(resource));
        if let Some(silent) = silent {
            let message = format!(
                "ResourceQuota {} of {} takes only pods that say `{}`, and container {} of {} does not",
                name(limit.quota),
                room.namespace,
                limit.key,
                silent.name,
                one.title
            );
            let fix = format!("set `resources.{}` there, or give the namespace a LimitRange with defaults", limit.key);
            findings.add("quota-unsaid", Severity::Critical, message, fix);
        }
    }
}

fn of_pods(room: &Room<'_>, limit: &Limit<'_>, moves: &[Moves<'_>], ranges: &[&Value], findings: &mut Findings) {
    let of = |spec: &Value| {
        let size = size(spec, ranges);
        match counts(limit.quota, spec, &size) {
            Some(true) => size.get(&limit.key).copied().unwrap_or(0),
            _ => 0,
        }
    };
    let needs: Vec<(&Moves<'_>, Need)> = moves
        .iter()
        .map(|one| (one, one.old.map_or(0, |old| of(&old["spec"])), of(one.spec())))
        // A quota refuses only what takes more of it.
        .filter(|(_, _, new)| *new > 0)
        .map(|(one, old, new)| (one, need(one, old, new)))
        .collect();
    let rest: i128 = needs.iter().map(|(_, need)| need.rest).sum();
    let most: i128 = needs.iter().map(|(_, need)| need.most).sum();
    let who = || needs.iter().map(|(one, _)| one.title.clone()).collect::<Vec<_>>().join(" and ");
    if needs.is_empty() {
        return;
    }
    let words = limit.words(room.namespace);
    if rest > limit.free {
        let beside = needs.iter().any(|(one, _)| one.way == Way::Beside);
        let when = if beside { "for the new color beside the old one" } else { "when the release is over" };
        let message = format!("{words}; {} needs {} more {when}", who(), shown(limit.resource, rest));
        let way = if beside { ", or use `--strategy rolling`" } else { "" };
        let fix = format!("raise the quota by {}, ask for less, or remove what uses it{way}", limit.short(rest));
        return findings.add("quota", Severity::Critical, message, fix);
    }
    // What others of the release free is free for this one.
    let freed = |not: usize| -> i128 {
        needs.iter().enumerate().filter(|(at, _)| *at != not).map(|(_, (_, need))| need.rest.min(0)).sum()
    };
    let stuck = needs.iter().enumerate().find(|(at, (_, need))| need.stuck + freed(*at) > limit.free);
    if let Some((_, (one, need))) = stuck {
        let more = shown(limit.resource, need.stuck);
        let (message, way) = match one.way {
            Way::Roll { canary, .. } if canary > 0 => (
                format!("{words}; {} needs {more} more while its canary is beside it", one.title),
                "use `--strategy rolling` or smaller steps",
            ),
            _ => (
                format!(
                    "{words}; the rollout of {} needs {more} more, for no old pod goes before a new one is there",
                    one.title
                ),
                "let `maxUnavailable` be 1, or use `--strategy recreate`",
            ),
        };
        let fix = format!("raise the quota by {}, or {way}", limit.short(need.stuck));
        return findings.add("quota", Severity::Critical, message, fix);
    }
    if most > limit.free {
        let message = format!(
            "{words}; with all the pods that a rollout of {} may have at once it would be {} more, so some of them wait until old ones are gone",
            who(),
            shown(limit.resource, most)
        );
        let fix = format!("the rollout only takes longer; {} more would spare it", limit.short(most));
        findings.add("quota-surge", Severity::Warning, message, fix);
    }
}

/// `old` and `new` are what one pod takes.
fn need(moves: &Moves<'_>, old: i128, new: i128) -> Need {
    let (old_pods, new_pods) = (moves.old_pods, moves.new_pods);
    let before = old_pods * old;
    let rest = new_pods * new - before;
    match moves.way {
        Way::Replace => Need { rest, stuck: rest, most: rest },
        Way::Beside => {
            let all = new_pods * new;
            Need { rest: all, stuck: all, most: all }
        }
        Way::Roll { .. } if old_pods == 0 || new_pods == 0 => Need { rest, stuck: rest, most: rest },
        Way::Roll { surge, unavailable, canary } => {
            let beside = canary * new;
            // With so many of the new ones there, one more comes after as many old ones have gone as may.
            let next = |there: i128| {
                let left = (old_pods - there).max(0);
                there * new + (left - unavailable.min(left)) * old + new - before
            };
            // A canary comes before any old one goes.
            let stuck = next(0).max(next(new_pods - 1)).max(rest).max(if canary > 0 { 0 } else { i128::MIN }) + beside;
            let all = |there: i128| there * new + old_pods.min(new_pods + surge - there).max(0) * old - before;
            let ends = [0, surge.min(new_pods), (new_pods + surge - old_pods).clamp(0, new_pods), new_pods];
            let most = ends.into_iter().map(all).max().unwrap_or(rest) + beside;
            Need { rest, stuck, most: most.max(stuck) }
        }
    }
}

/// How many objects of each kind the release makes that were not there: `count/deployments.apps`.
fn made(room: &Room<'_>) -> BTreeMap<String, i128> {
    let mut made = BTreeMap::new();
    for body in room.items() {
        let id = object(body);
        let new_color = room.release.strategy == Strategy::BlueGreen && id.kind == "Deployment.apps";
        if !new_color && room.seen.present(&id).is_some() {
            continue;
        }
        let (kind, group) = id.kind.split_once('.').unwrap_or((&id.kind, ""));
        let dot = if group.is_empty() { "" } else { "." };
        *made.entry(format!("count/{}{dot}{group}", plural(kind))).or_insert(0) += ONE;
        if kind == "Service" {
            let kind = body["spec"]["type"].as_str().unwrap_or_default();
            let ports = body["spec"]["ports"].as_array().into_iter().flatten().map(|_| ONE).sum::<i128>();
            if kind == "LoadBalancer" {
                *made.entry("services.loadbalancers".to_owned()).or_insert(0) += ONE;
            }
            if kind == "NodePort" || (kind == "LoadBalancer" && body["spec"]["allocateLoadBalancerNodePorts"] != false)
            {
                *made.entry("services.nodeports".to_owned()).or_insert(0) += ports;
            }
        }
        if kind == "PersistentVolumeClaim" {
            let size = amount(&body["spec"]["resources"]["requests"]["storage"]).unwrap_or(0);
            *made.entry("requests.storage".to_owned()).or_insert(0) += size;
        }
    }
    made
}

/// As the API server names the kinds that everybody has.
pub(crate) fn plural(kind: &str) -> String {
    let lower = kind.to_ascii_lowercase();
    match lower.strip_suffix('y') {
        Some(stem) if !lower.ends_with("ay") && !lower.ends_with("ey") => format!("{stem}ies"),
        _ if lower.ends_with('s') => format!("{lower}es"),
        _ => format!("{lower}s"),
    }
}

fn of_objects(room: &Room<'_>, limit: &Limit<'_>, made: &BTreeMap<String, i128>, findings: &mut Findings) {
    let Some(need) = made.get(&limit.key).copied().filter(|need| *need > limit.free) else { return };
    let message = format!("{}; the release makes {} more", limit.words(room.namespace), shown(limit.resource, need));
    let fix = format!("raise the quota by {}, or remove what is not needed", limit.short(need));
    findings.add("quota", Severity::Critical, message, fix);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Pods before and after with what one of them takes, and what is needed beside what is used.
    fn check(old: (i128, i128), new: (i128, i128), way: Way, expect: (i128, i128, i128)) {
        let template = json!({});
        let moves =
            Moves { title: String::new(), old: None, old_pods: old.0, template: &template, new_pods: new.0, way };
        let (rest, stuck, most) = expect;
        assert_eq!(need(&moves, old.1, new.1), Need { rest, stuck, most });
    }

    #[test]
    fn a_release_needs_what_its_way_needs() {
        let roll = |surge, unavailable| Way::Roll { surge, unavailable, canary: 0 };
        // The first one needs all its pods and no more.
        check((0, 0), (3, 1), roll(1, 0), (3, 3, 3));
        check((3, 1), (3, 1), roll(1, 0), (0, 1, 1));
        check((3, 1), (3, 1), roll(1, 1), (0, 0, 1));
        check((3, 1), (3, 1), roll(0, 1), (0, 0, 0));
        // Greater pods: the last one comes while an old one is still there.
        check((3, 1), (3, 2), roll(1, 0), (3, 4, 4));
        check((3, 2), (3, 1), roll(1, 0), (-3, 1, 1));
        check((2, 1), (5, 1), roll(1, 0), (3, 3, 4));
        check((4, 1), (4, 1), Way::Roll { surge: 1, unavailable: 1, canary: 2 }, (0, 2, 3));
        check((3, 1), (3, 1), Way::Replace, (0, 0, 0));
        check((3, 1), (3, 1), Way::Beside, (3, 3, 3));
    }

    #[test]
    fn a_quota_counts_the_pods_of_its_scope() {
        let check = |quota: Value, spec: Value, expect: Option<bool>| {
            let quota = json!({"spec": quota});
            assert_eq!(counts(&quota, &spec, &size(&spec, &[])), expect, "{quota}");
        };
        let says = json!({"containers": [{"resources": {"requests": {"cpu": "1"}}}]});
        check(json!({}), says.clone(), Some(true));
        check(json!({"scopes": ["BestEffort"]}), says.clone(), Some(false));
        check(json!({"scopes": ["NotBestEffort", "NotTerminating"]}), says.clone(), Some(true));
        check(json!({"scopes": ["Terminating"]}), json!({"activeDeadlineSeconds": 5}), Some(true));
        check(json!({"scopes": ["CrossNamespacePodAffinity"]}), says, None);
        let class = |operator: &str| json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": operator, "values": ["high"]}]}});
        check(class("In"), json!({"priorityClassName": "high"}), Some(true));
        check(class("In"), json!({"priorityClassName": "low"}), Some(false));
        check(class("NotIn"), json!({}), Some(true));
    }
}
