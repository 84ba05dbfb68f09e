//! Probes: whether there are any, and whether they ask what is there.

use super::super::found::Found;
use super::{Pod, called};
use crate::validate::At;

pub(super) fn container(at: &At<'_>, pod: &Pod<'_>, found: &mut Found<'_>) {
    let (liveness, readiness, startup) = (at.get("livenessProbe"), at.get("readinessProbe"), at.get("startupProbe"));
    let name = called(at);
    // Jobs end; nobody sends them requests.
    let serves = !matches!(pod.kind, "Job" | "CronJob");
    if serves && !liveness.is() {
        found.add("AK0401", at, format!("{name} has none"));
    }
    if serves && !readiness.is() {
        found.add("AK0402", at, format!("{name} has none"));
    }
    if liveness.is() && !startup.is() && liveness.get("initialDelaySeconds").int().is_none() {
        found.add("AK0407", &liveness, format!("{name} is asked from its first second on"));
    }
    for (id, probe) in [("AK0403", &liveness), ("AK0404", &readiness), ("AK0405", &startup)] {
        port(id, probe, at, found);
    }
    if let Some((one, other)) = liveness.node.zip(readiness.node) {
        let asks = |node: &lib_yaml_edit::Node| {
            ["httpGet", "tcpSocket", "exec", "grpc"]
                .map(|kind| node.get(kind).map(|kind| kind.data(lib_yaml_edit::Dialect::Kubectl)))
        };
        let at = &liveness;
        let later =
            at.get("failureThreshold").int().unwrap_or(3) > readiness.get("failureThreshold").int().unwrap_or(3);
        if asks(one) == asks(other) && !later {
            found.add("AK0406", at, format!("{name} is restarted for what should only pause its traffic"));
        }
    }
}

/// The port that a probe asks is one that the container says it has. A container that names no ports may have any.
fn port(id: &str, probe: &At<'_>, container: &At<'_>, found: &mut Found<'_>) {
    let ports = container.get("ports");
    for kind in ["httpGet", "tcpSocket", "grpc"] {
        let asked = probe.get(kind);
        let asked = asked.get("port");
        let known = match (asked.int(), asked.text()) {
            (Some(number), _) => ports.items().any(|port| port.get("containerPort").int() == Some(number)),
            (_, Some(name)) => ports.items().any(|port| port.get("name").text() == Some(name)),
            _ => true,
        };
        if !known {
            let what = format!("{} has no port {}", called(container), asked.shown());
            found.add(id, &asked, what);
        }
    }
}
