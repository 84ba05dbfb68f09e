//! The pods of a workload's newest version, and what a container of theirs says of a subject. It draws no conclusion from it.

use connect_kube::{LogOptions, Resource};
use futures_util::StreamExt as _;
use operate_plan::{Class, Failure, ObjectId};
use serde_json::Value;

use crate::check::{masked, values};
use crate::failure::failure;
use crate::scene::Read;
use crate::{KubeTarget, at, scene};

/// Of a container's log.
const LAST_LINES: u64 = 300;
const LOG_BYTES_MAX: u64 = 1 << 20;
/// Of one line, in letters.
const SAID_MAX: usize = 300;

/// A pod of the newest version.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// RFC 3339: when its node took it, else when it was made.
    pub begun: String,
    /// The address of its node; empty until it has one.
    pub host_ip: String,
    /// As the server has it.
    pub body: Value,
}

impl KubeTarget {
    /// Those of a Deployment's newest ReplicaSet, of a StatefulSet's or DaemonSet's newest revision; none that are on their way out.
    pub async fn newest_pods(&self, object: &ObjectId) -> Result<Vec<NewPod>, Failure> {
        let Some(found) = at::get(self, object).await? else {
            let next = "somebody took it away meanwhile: plan again";
            return Err(Failure::new(Class::NotFound, "kube.not-found", format!("{object} is not there"), next));
        };
        let read = scene::read(&self.cluster, &found).await.map_err(|error| failure(&error))?;
        Ok(newest(&read, &found))
    }

    /// The last line in a container's log that `is` picks, without the values of the container's variables; `None` as well where the log cannot be read.
    pub async fn said(&self, pod: &NewPod, container: &str, is: impl Fn(&str) -> bool + Send) -> Option<String> {
        let at = Resource::namespaced("v1", "Pod", "pods").at(&pod.namespace, &pod.name);
        let container = container.to_owned();
        let values = values(&pod.body, &container);
        let options = LogOptions {
            container: Some(container),
            tail: Some(LAST_LINES),
            bytes_max: Some(LOG_BYTES_MAX),
            ..LogOptions::default()
        };
        let mut lines = self.cluster.logs(&at, &options).await.ok()?;
        let mut said = None;
        while let Some(Ok(line)) = lines.next().await {
            let line = String::from_utf8_lossy(&line.text);
            if is(&line) {
                said = Some(masked(line.trim(), &values).chars().take(SAID_MAX).collect());
            }
        }
        said
    }
}

fn newest(read: &Read, workload: &Value) -> Vec<NewPod> {
    let text =
        |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mark = match workload["kind"].as_str().unwrap_or_default() {
        "Deployment" => read.hash(workload).map(|hash| ("pod-template-hash", hash.to_owned())),
        "StatefulSet" => Some(("controller-revision-hash", text(workload, "/status/updateRevision"))),
        // Its controller counts templates there, and labels pods with the count.
        "DaemonSet" => {
            let generation = text(workload, "/metadata/annotations/deprecated.daemonset.template.generation");
            Some(("pod-template-generation", generation))
        }
        _ => None,
    };
    let mark = mark.filter(|(_, value)| !value.is_empty());
    let is_new = |pod: &&Value| match &mark {
        Some((label, value)) => pod["metadata"]["labels"][*label] == **value,
        None => true,
    };
    let pods = read.under().iter().filter(|under| under["kind"] == "Pod");
    let pods = pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).filter(is_new);
    let pod = |pod: &Value| {
        let started = text(pod, "/status/startTime");
        NewPod {
            namespace: text(pod, "/metadata/namespace"),
            name: text(pod, "/metadata/name"),
            uid: text(pod, "/metadata/uid"),
            begun: if started.is_empty() { text(pod, "/metadata/creationTimestamp") } else { started },
            host_ip: text(pod, "/status/hostIP"),
            body: pod.clone(),
        }
    };
    pods.map(pod).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, labels: Value) -> Value {
        json!({"kind": "Pod", "metadata": {"name": name, "uid": name, "labels": labels}})
    }

    fn check(workload: &Value, under: Vec<Value>, expect: &[&str]) {
        let read = Read::of(under);
        let names: Vec<String> = newest(&read, workload).into_iter().map(|pod| pod.name).collect();
        assert_eq!(names, expect);
    }

    #[test]
    fn the_pods_of_the_newest_version_are_told_from_the_others() {
        let set = |name: &str, revision: &str| {
            json!({"kind": "ReplicaSet", "metadata": {"name": name, "labels": {"pod-template-hash": name},
                "annotations": {"deployment.kubernetes.io/revision": revision}, "ownerReferences": [{"uid": "d"}]}})
        };
        let of = |hash: &str| json!({"pod-template-hash": hash});
        let mut leaving = pod("leaving", of("new"));
        leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let under = vec![set("old", "9"), set("new", "10"), pod("a", of("old")), pod("b", of("new")), leaving];
        check(&json!({"kind": "Deployment", "metadata": {"uid": "d"}}), under, &["b"]);
        let of = |revision: &str| json!({"controller-revision-hash": revision});
        let under = || vec![pod("a", of("s-1")), pod("b", of("s-2"))];
        check(&json!({"kind": "StatefulSet", "status": {"updateRevision": "s-2"}}), under(), &["b"]);
        let counted = json!({"deprecated.daemonset.template.generation": "2"});
        let of = |count: &str| json!({"pod-template-generation": count});
        let pods = vec![pod("a", of("2")), pod("b", of("1"))];
        check(&json!({"kind": "DaemonSet", "metadata": {"annotations": counted}}), pods, &["a"]);
    }
}
