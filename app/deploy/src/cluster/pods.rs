//! What the containers of a service's pods write, old version and new, as the kubelets keep it. A pod's version is that of the ReplicaSet that made it; it
//! knows no run and shows nothing.

use std::collections::BTreeSet;

use base_explain::Report;
use connect_kube::{Cluster, KubeError, ListOptions, LogOptions, Resource};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use operate_deploy::cluster_mark;
use operate_plan::{Plan, Work, sites};
use operate_target_kube::read;
use serde_json::Value;

use super::status::told;
use super::{Clusters, context_of};
use crate::DeskError;
use crate::logs::{Lines, LogsOf, Writer, Written};

/// Workloads of one service in one namespace.
const OBJECTS_MAX: usize = 200;
const KINDS: [(&str, &str, &str); 4] = [
    ("apps/v1", "Deployment", "deployments"),
    ("apps/v1", "StatefulSet", "statefulsets"),
    ("apps/v1", "DaemonSet", "daemonsets"),
    ("batch/v1", "Job", "jobs"),
];

/// The pods of one release.
pub(crate) struct PodLogs {
    places: Vec<Place>,
}

/// Where some of them are.
struct Place {
    /// Empty where there is one cluster only.
    name: String,
    cluster: Cluster,
    namespaces: Vec<String>,
}

impl Place {
    fn open(clusters: &Clusters, plan: &Plan, name: &str, lease: &str) -> Option<Result<Place, Report>> {
        let context = context_of(lease)?;
        let mut namespaces: BTreeSet<String> = plan.labels.get("namespace").cloned().into_iter().collect();
        for step in plan.steps.iter().filter(|step| step.site_name() == name) {
            if let Work::Act(act) = &step.work
                && let Some((namespace, _)) = act.object.name.split_once('/')
            {
                namespaces.insert(namespace.to_owned());
            }
        }
        let (name, namespaces) = (name.to_owned(), namespaces.into_iter().collect());
        Some(clusters.open(context).map(|cluster| Place { name, cluster, namespaces }))
    }

    /// A container there, told from one of the same name elsewhere.
    fn named(&self, by: Writer) -> Writer {
        match self.name.as_str() {
            "" => by,
            name => Writer { id: format!("{name}:{}", by.id), name: format!("{name}/{}", by.name), ..by },
        }
    }
}

fn broken(error: KubeError) -> DeskError {
    DeskError::Told(told(error))
}

impl PodLogs {
    /// Those of a run; nothing if it is not one on a cluster.
    pub(crate) fn of(clusters: &Clusters, plan: &Plan) -> Option<Result<PodLogs, Report>> {
        let sites = sites(&plan.target);
        let places: Option<Result<Vec<Place>, Report>> = match &sites[..] {
            [] => Place::open(clusters, plan, "", &plan.target).map(|place| place.map(|place| vec![place])),
            several => several.iter().map(|site| Place::open(clusters, plan, &site.name, &site.lease)).collect(),
        };
        Some(places?.map(|places| PodLogs { places }))
    }

    /// Containers that have begun, in the order of their pods.
    pub(crate) async fn writers(&self, of: &LogsOf) -> Result<Vec<Writer>, DeskError> {
        let labels = [
            (cluster_mark::PROJECT, &of.project),
            (cluster_mark::SERVICE, &of.service),
            (cluster_mark::ENVIRONMENT, &of.environment),
        ];
        let labels = labels.map(|(name, value)| format!("{name}={value}")).join(",");
        let mut writers = Vec::new();
        let mut everywhere: Vec<(&Place, &String)> = Vec::new();
        for place in &self.places {
            for namespace in &place.namespaces {
                everywhere.push((place, namespace));
            }
        }
        for (place, namespace) in everywhere {
            for (version, kind, plural) in KINDS {
                let resource = Resource::namespaced(version, kind, plural);
                let options = ListOptions::labelled(&labels);
                let found = place.cluster.list(&resource, Some(namespace), &options, OBJECTS_MAX);
                for workload in found.await.map_err(broken)? {
                    let read = read(&place.cluster, &workload).await.map_err(broken)?;
                    let under = read.scene(&workload).under;
                    let pods = under.iter().filter(|one| one["kind"] == "Pod");
                    let of = |pod| containers(namespace, pod, &version_of(pod, under, &workload));
                    writers.extend(pods.flat_map(of).map(|(made, by)| (made, place.named(by))));
                }
            }
        }
        writers.retain(|(_, by)| of.side(by).is_some());
        writers.sort();
        Ok(writers.into_iter().map(|(_, by)| by).collect())
    }

    /// What one of them writes; an error is the last item. A pod that is gone by now writes nothing.
    pub(crate) async fn lines(
        &self,
        by: Writer,
        lines: Lines,
    ) -> Result<BoxStream<'static, Result<Written, DeskError>>, DeskError> {
        let empty = || futures_util::stream::empty().boxed();
        // No namespace has a colon in its name.
        let (name, id) = by.id.split_once(':').unwrap_or(("", &by.id));
        let Some(place) = self.places.iter().find(|place| place.name == name) else { return Ok(empty()) };
        let parts: Vec<&str> = id.split('/').collect();
        let [namespace, pod, container, ..] = parts[..] else { return Ok(empty()) };
        let since = lines.since_ms.max(0);
        let options = LogOptions {
            container: Some(container.to_owned()),
            follow: lines.follow,
            tail: (lines.tail < u64::MAX).then_some(lines.tail),
            since_time: jiff::Timestamp::from_millisecond(since).ok().map(|time| time.to_string()),
            ..LogOptions::default()
        };
        let at = Resource::namespaced("v1", "Pod", "pods").at(namespace, pod);
        let stream = match place.cluster.logs(&at, &options).await {
            Ok(stream) => stream,
            Err(error) if error.is_not_found() => return Ok(empty()),
            Err(error) => return Err(broken(error)),
        };
        // The second piece of a line that was cut has no time of its own.
        let mut last_ms = since;
        let line = stream.map(move |line| {
            let line = line.map_err(broken)?;
            last_ms = line.at.parse::<jiff::Timestamp>().map_or(last_ms, jiff::Timestamp::as_millisecond);
            let text = String::from_utf8_lossy(&line.text).into_owned();
            // The kubelet tells no channel.
            Ok(Written { by: by.clone(), at_ms: last_ms, is_error: false, text })
        });
        // The server counts whole seconds.
        Ok(line.filter(move |line| std::future::ready(line.as_ref().map_or(true, |line| line.at_ms >= since))).boxed())
    }
}

/// The containers of a pod that have begun, each with when its pod was made. One that begins again is another one: its lines are.
fn containers(namespace: &str, pod: &Value, version: &str) -> Vec<(String, Writer)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (name, made) = (text(&pod["metadata"]["name"]), text(&pod["metadata"]["creationTimestamp"]));
    let places = ["initContainerStatuses", "containerStatuses"];
    let all: Vec<&Value> = places.iter().filter_map(|place| pod["status"][place].as_array()).flatten().collect();
    let alone = all.len() == 1;
    let begun = all.into_iter().filter(|one| one["state"].get("waiting").is_none() && !one["state"].is_null());
    let writer = |one: &Value| {
        let (container, life) = (text(&one["name"]), one["restartCount"].as_u64().unwrap_or(0));
        let id = format!("{namespace}/{name}/{container}/{life}");
        let name = if alone { name.clone() } else { format!("{name}/{container}") };
        (made.clone(), Writer { id, name, version: version.to_owned() })
    };
    begun.map(writer).collect()
}

/// Of the ReplicaSet that made it; else what its telemetry says of itself; else that of the workload.
fn version_of(pod: &Value, under: &[Value], workload: &Value) -> String {
    let marked = |object: &Value| object["metadata"]["annotations"][cluster_mark::VERSION].as_str().map(str::to_owned);
    let owners = pod["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    let owner =
        owners.filter_map(|owner| under.iter().find(|one| one["metadata"]["uid"] == owner["uid"])).find_map(marked);
    let env =
        pod["spec"]["containers"].as_array().into_iter().flatten().filter_map(|one| one["env"].as_array()).flatten();
    let attributes = env.filter(|one| one["name"] == "OTEL_RESOURCE_ATTRIBUTES").find_map(|one| one["value"].as_str());
    let attributes = attributes.into_iter().flat_map(|text| text.split(','));
    let said = attributes.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == "service.version");
    let said = said.map(|(_, version)| version.to_owned());
    owner.or(said).or_else(|| marked(workload)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_of_the_version_that_made_it() {
        let set = |uid: &str, version: &str| json!({"kind": "ReplicaSet", "metadata": {"uid": uid, "annotations": {"apm.version": version}}});
        let under = [set("a", "1"), set("b", "2")];
        let workload = json!({"metadata": {"annotations": {"apm.version": "2"}}});
        let check = |pod: Value, expect: &str| assert_eq!(version_of(&pod, &under, &workload), expect);
        check(json!({"metadata": {"ownerReferences": [{"uid": "a"}]}}), "1");
        let env = json!([{"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "a=b,service.version=0"}]);
        check(json!({"metadata": {}, "spec": {"containers": [{"env": env}]}}), "0");
        check(json!({"metadata": {}}), "2");
    }

    #[test]
    fn containers_that_have_begun_write() {
        let status = |name: &str, state: Value| json!({"name": name, "restartCount": 1, "state": state});
        let pod = |all: Vec<Value>| json!({"metadata": {"name": "p", "creationTimestamp": "t"}, "status": {"containerStatuses": all}});
        let names =
            |pod: &Value| containers("n", pod, "1").into_iter().map(|(_, by)| (by.id, by.name)).collect::<Vec<_>>();
        let one = pod(vec![status("app", json!({"running": {}}))]);
        assert_eq!(names(&one), [("n/p/app/1".to_owned(), "p".to_owned())]);
        let two = pod(vec![status("app", json!({"terminated": {}})), status("side", json!({"waiting": {}}))]);
        assert_eq!(names(&two), [("n/p/app/1".to_owned(), "p/app".to_owned())]);
    }
}
