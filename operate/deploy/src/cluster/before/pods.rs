//! How many pods of which size a release makes and takes away, and in which order. Sizes are those that the API server counts: sums of the
//! containers, what an init container needs at its most, overhead (kubernetes/kubernetes `component-helpers/resource`), with the defaults that a
//! LimitRange gives to containers that say nothing.

use std::collections::BTreeMap;

use operate_manifest::quantity;
use serde_json::Value;

use super::super::{canary, color, look, order, steps};
use super::{Room, object};
use crate::Strategy;

/// Billionths, by name: `cpu`, `memory`.
pub(super) type Amounts = BTreeMap<String, i128>;

/// One in billionths.
pub(super) const ONE: i128 = 1_000_000_000;

/// What a release does to the pods of one workload.
pub(super) struct Moves<'a> {
    /// `Deployment shop/cart`.
    pub(super) title: String,
    /// The pods that are there, and how many.
    pub(super) old: Option<&'a Value>,
    pub(super) old_pods: i128,
    /// The pods as they will be.
    pub(super) template: &'a Value,
    pub(super) new_pods: i128,
    pub(super) way: Way,
}

/// In which order pods come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// An old one goes before a new one comes.
    Replace,
    /// All new ones come while all old ones stay.
    Beside,
    /// At most `surge` more than wanted, at most `unavailable` fewer; `canary` more beside them all the while.
    Roll { surge: i128, unavailable: i128, canary: i128 },
}

impl Moves<'_> {
    pub(super) fn spec(&self) -> &Value {
        &self.template["spec"]
    }
}

/// Of each workload of the release in this namespace that is not as wanted.
pub(super) fn moves<'a>(room: &Room<'a>) -> Vec<Moves<'a>> {
    let Room { release, seen, .. } = *room;
    let here = release.items.iter().filter(|item| item.body["metadata"]["namespace"] == room.namespace);
    here.filter_map(|item| {
        let id = object(&item.body);
        // With colors, each release makes all of them anew.
        let all_anew = release.strategy == Strategy::BlueGreen && id.kind == "Deployment.apps";
        if !order::is_workload(&id.kind) || !(all_anew || look::differs(release, item, seen)) {
            return None;
        }
        let fact = seen.present(&id);
        let spec = &item.body["spec"];
        let count = |value: &Value| value.as_u64().map(i128::from);
        let there = fact.and_then(|fact| count(&fact["replicas"]));
        let (old_pods, new_pods, way) = match &*id.kind {
            "Deployment.apps" => {
                // With colors, it is another Deployment that serves now.
                let of = |id: &super::ObjectId| count(&seen.present(id)?["replicas"]);
                let serving = || color::beside(&id).iter().filter_map(of).max();
                let there = if all_anew { there.max(serving()) } else { there };
                let new_pods = count(&spec["replicas"]).or(there).unwrap_or(1);
                let way = match release.strategy {
                    Strategy::BlueGreen => Way::Beside,
                    _ if release.strategy == Strategy::Recreate || spec["strategy"]["type"] == "Recreate" => {
                        Way::Replace
                    }
                    _ => roll(spec, new_pods, canary::pods_max(release, seen, &id)),
                };
                (there.unwrap_or(0), new_pods, way)
            }
            "StatefulSet.apps" => (there.unwrap_or(0), count(&spec["replicas"]).or(there).unwrap_or(1), Way::Replace),
            "DaemonSet.apps" => {
                let nodes = fact.and_then(|fact| count(&fact["nodes"])).unwrap_or(0);
                (nodes, nodes, Way::Replace)
            }
            "Job.batch" => (0, count(&spec["parallelism"]).unwrap_or(1), Way::Replace),
            _ => (0, 1, Way::Replace),
        };
        let template = if id.kind == "Pod" { &item.body } else { &spec["template"] };
        let old = fact.map(|fact| &fact["template"]).filter(|template| template.is_object());
        // Of pods whose size nobody knows it cannot be said what they leave behind.
        let old_pods = if old.is_some() { old_pods } else { 0 };
        Some(Moves { title: steps::title(&id), old, old_pods, template, new_pods, way })
    })
    .collect()
}

fn roll(spec: &Value, pods: i128, canary: i128) -> Way {
    let rolling = &spec["strategy"]["rollingUpdate"];
    let part = |value: &Value, up: bool| match value {
        Value::Number(number) => number.as_u64().map_or(0, i128::from),
        other => {
            let percent: i128 = other.as_str().and_then(|text| text.strip_suffix('%')?.parse().ok()).unwrap_or(25);
            let all = pods.saturating_mul(percent.clamp(0, 100));
            if up { (all + 99) / 100 } else { all / 100 }
        }
    };
    let (surge, unavailable) = (part(&rolling["maxSurge"], true), part(&rolling["maxUnavailable"], false));
    // Where neither is possible the controller lets one go.
    let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
    Way::Roll { surge, unavailable, canary }
}

/// A container with what it asks for, the defaults of its namespace included.
pub(super) struct Container<'a> {
    pub(super) name: &'a str,
    pub(super) requests: Amounts,
    pub(super) limits: Amounts,
    is_init: bool,
    /// An init container that goes on running.
    is_sidecar: bool,
}

impl Container<'_> {
    /// Its `requests`, or its `limits`.
    pub(super) fn of(&self, word: &str) -> &Amounts {
        if word == "limits" { &self.limits } else { &self.requests }
    }
}

pub(super) fn containers<'a>(spec: &'a Value, ranges: &[&Value]) -> Vec<Container<'a>> {
    let of = |key: &str| spec[key].as_array().into_iter().flatten();
    let init = of("initContainers").map(|one| (true, one));
    init.chain(of("containers").map(|one| (false, one)))
        .map(|(is_init, one)| {
            let (requests, limits) = with_defaults(&one["resources"], ranges);
            let is_sidecar = is_init && one["restartPolicy"] == "Always";
            Container { name: one["name"].as_str().unwrap_or_default(), requests, limits, is_init, is_sidecar }
        })
        .collect()
}

pub(super) fn amounts(map: &Value) -> Amounts {
    let entries = map.as_object().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), amount(value)?))).collect()
}

/// A quantity as text or number.
pub(super) fn amount(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => quantity(text),
        Value::Number(number) => quantity(&number.to_string()),
        _ => None,
    }
}

fn with_defaults(resources: &Value, ranges: &[&Value]) -> (Amounts, Amounts) {
    let (mut requests, mut limits) = (amounts(&resources["requests"]), amounts(&resources["limits"]));
    // Who says a limit only, asks for as much.
    for (name, value) in &limits {
        requests.entry(name.clone()).or_insert(*value);
    }
    let items = ranges.iter().flat_map(|range| range["spec"]["limits"].as_array().into_iter().flatten());
    for item in items.filter(|item| item["type"] == "Container") {
        for (name, value) in amounts(&item["default"]) {
            limits.entry(name).or_insert(value);
        }
        for (name, value) in amounts(&item["defaultRequest"]) {
            requests.entry(name).or_insert(value);
        }
    }
    (requests, limits)
}

/// What one pod counts for: `pods`, `requests.cpu`, `limits.memory`.
pub(super) fn size(spec: &Value, ranges: &[&Value]) -> Amounts {
    let containers = containers(spec, ranges);
    let mut size = Amounts::from([("pods".to_owned(), ONE)]);
    for word in ["requests", "limits"] {
        let mut sum = Amounts::new();
        let mut most = Amounts::new();
        for one in &containers {
            if one.is_init && !one.is_sidecar {
                // It runs beside the sidecars that were started before it.
                for (name, value) in one.of(word) {
                    let beside = value + sum.get(name).copied().unwrap_or(0);
                    let kept = most.entry(name.clone()).or_default();
                    *kept = beside.max(*kept);
                }
                continue;
            }
            for (name, value) in one.of(word) {
                *sum.entry(name.clone()).or_default() += value;
            }
        }
        for (name, value) in most {
            let kept = sum.entry(name).or_default();
            *kept = value.max(*kept);
        }
        // Said for the pod as a whole, it counts as a whole.
        sum.extend(amounts(&spec["resources"][word]));
        for (name, value) in amounts(&spec["overhead"]) {
            if let Some(kept) = sum.get_mut(&name) {
                *kept += value;
            }
        }
        size.extend(sum.into_iter().map(|(name, value)| (format!("{word}.{name}"), value)));
    }
    size
}

/// As a person writes it: `500m`, `128Mi`, `3`.
pub(super) fn shown(resource: &str, amount: i128) -> String {
    if resource.ends_with("cpu") {
        let milli = amount / 1_000_000;
        return if milli % 1_000 == 0 { (milli / 1_000).to_string() } else { format!("{milli}m") };
    }
    let whole = amount / ONE;
    let is_bytes = ["memory", "storage", "hugepages"].iter().any(|word| resource.contains(word));
    let units = [("Gi", 30), ("Mi", 20), ("Ki", 10)];
    match units.iter().find(|(_, bits)| is_bytes && whole != 0 && whole % (1_i128 << bits) == 0) {
        Some((unit, bits)) => format!("{}{unit}", whole >> bits),
        None => whole.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(spec: Value, expect: &str) {
        let size = size(&spec, &[]);
        let told: Vec<_> = size.iter().map(|(name, value)| format!("{name}={}", shown(name, *value))).collect();
        assert_eq!(told.join(" "), expect);
    }

    #[test]
    fn a_pod_counts_as_the_api_server_counts_it() {
        let asks = |cpu: &str, memory: &str| json!({"resources": {"requests": {"cpu": cpu, "memory": memory}}});
        let with = |mut container: Value, more: Value| {
            container.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
            container
        };
        check(json!({"containers": [{}]}), "pods=1");
        check(
            json!({"containers": [asks("250m", "64Mi"), asks("1", "1Gi")]}),
            "pods=1 requests.cpu=1250m requests.memory=1088Mi",
        );
        // The greatest of the init containers, where it is more than all others.
        check(
            json!({"initContainers": [asks("2", "1Mi")], "containers": [asks("1", "2Mi")]}),
            "pods=1 requests.cpu=2 requests.memory=2Mi",
        );
        let sidecar = with(asks("1", "1Mi"), json!({"restartPolicy": "Always"}));
        check(
            json!({"initContainers": [sidecar, asks("2", "1Mi")], "containers": [asks("1", "1Mi")]}),
            "pods=1 requests.cpu=3 requests.memory=2Mi",
        );
        check(json!({"containers": [{"resources": {"limits": {"cpu": 2}}}]}), "limits.cpu=2 pods=1 requests.cpu=2");
        check(
            json!({"overhead": {"cpu": "100m"}, "containers": [asks("1", "1Ki")]}),
            "pods=1 requests.cpu=1100m requests.memory=1Ki",
        );
    }

    #[test]
    fn a_rollout_goes_by_its_own_settings() {
        let check = |strategy: Value, pods: i128, expect: (i128, i128)| {
            let (surge, unavailable) = expect;
            assert_eq!(roll(&json!({"strategy": strategy}), pods, 0), Way::Roll { surge, unavailable, canary: 0 });
        };
        check(json!(null), 4, (1, 1));
        check(json!(null), 2, (1, 0));
        check(json!({"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": "50%"}}), 3, (2, 1));
        check(json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "10%"}}), 3, (0, 1));
    }
}
