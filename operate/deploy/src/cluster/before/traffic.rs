//! Whether the pods of a release can send and be sent to: network policies that select them and leave no way to names, to the collector or from
//! those who ask; and what happens to connections when a pod goes. Warnings only: which policies a network enforces is the network's affair, and
//! probes come from the node, which no policy keeps out.

use operate_plan::Severity;
use serde_json::Value;

use super::super::{deployments, services_of};
use super::{Findings, Room, name, object, selects};

const DNS: u64 = 53;
/// Where telemetry is sent to.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

pub(super) fn check(room: &Room<'_>, findings: &mut Findings) {
    let policies = room.of("NetworkPolicy.networking.k8s.io");
    for item in deployments(room.release).filter(|item| item.body["metadata"]["namespace"] == room.namespace) {
        let body = &item.body;
        let title = super::super::steps::title(&object(body));
        let template = &body["spec"]["template"];
        let selecting: Vec<_> = policies
            .iter()
            .filter(|policy| selects(&policy["spec"]["podSelector"], &template["metadata"]["labels"]))
            .copied()
            .collect();
        let is_served = !services_of(room.release, body).is_empty();
        policed(&title, &template["spec"], &selecting, is_served, findings);
        if is_served {
            ending(&title, &template["spec"], findings);
        }
    }
}

fn policed(title: &str, spec: &Value, policies: &[&Value], is_served: bool, findings: &mut Findings) {
    let names = |of: &[&&Value]| of.iter().map(|policy| name(policy)).collect::<Vec<_>>().join(", ");
    let out: Vec<_> = policies.iter().filter(|policy| is_about(policy, "Egress")).collect();
    if !out.is_empty() && spec["hostNetwork"] != true {
        let rules = || out.iter().flat_map(|policy| policy["spec"]["egress"].as_array().into_iter().flatten());
        if !rules().any(|rule| lets(rule, DNS)) {
            let message = format!("network policies ({}) let the pods of {title} reach no DNS (port 53)", names(&out));
            let fix = "allow egress to port 53, UDP and TCP, unless the pods need no names";
            findings.add("no-dns", Severity::Warning, message, fix);
        }
        for (endpoint, port, is_node) in endpoints(spec) {
            // Pods and namespaces are no way to a node.
            let reaches = |rule: &Value| lets(rule, port) && (!is_node || leads_out(rule));
            if !rules().any(reaches) {
                let message = format!(
                    "network policies ({}) let the pods of {title} reach no {endpoint} (port {port})",
                    names(&out)
                );
                let fix = "allow egress to the collector, or no telemetry arrives and nothing can be judged by it";
                findings.add("no-telemetry", Severity::Warning, message, fix);
            }
        }
    }
    let inward: Vec<_> = policies.iter().filter(|policy| is_about(policy, "Ingress")).collect();
    let lets_in = |policy: &&&Value| policy["spec"]["ingress"].as_array().is_some_and(|rules| !rules.is_empty());
    if is_served && !inward.is_empty() && !inward.iter().any(lets_in) {
        let message = format!(
            "network policies ({}) let nobody send to the pods of {title}, which a Service sends to",
            names(&inward)
        );
        findings.add("no-ingress", Severity::Warning, message, "add an `ingress` rule for those who ask");
    }
}

/// Without `policyTypes` a policy is about what comes in, and about what goes out where it has rules for it.
fn is_about(policy: &Value, what: &str) -> bool {
    match policy["spec"]["policyTypes"].as_array() {
        Some(types) => types.iter().any(|one| one == what),
        None => what == "Ingress" || policy["spec"]["egress"].is_array(),
    }
}

/// A rule without ports is for all of them; one with a name may be for this one.
fn lets(rule: &Value, port: u64) -> bool {
    let Some(ports) = rule["ports"].as_array().filter(|ports| !ports.is_empty()) else { return true };
    ports.iter().any(|one| match (one["port"].as_u64(), one["endPort"].as_u64()) {
        (Some(first), Some(last)) => (first..=last).contains(&port),
        (Some(only), None) => only == port,
        (None, _) => true,
    })
}

fn leads_out(rule: &Value) -> bool {
    match rule["to"].as_array().filter(|to| !to.is_empty()) {
        None => true,
        Some(to) => to.iter().any(|peer| !peer["ipBlock"].is_null()),
    }
}

/// Where the containers send telemetry: the words, the port, and whether it is on their node.
fn endpoints(spec: &Value) -> Vec<(String, u64, bool)> {
    let mut found = Vec::new();
    for container in spec["containers"].as_array().into_iter().flatten() {
        let env = || container["env"].as_array().into_iter().flatten();
        let Some(endpoint) = env().find(|one| one["name"] == ENDPOINT).and_then(|one| one["value"].as_str()) else {
            continue;
        };
        let authority = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
        let authority = authority.split('/').next().unwrap_or_default();
        let usual = if endpoint.starts_with("https") { 443 } else { 80 };
        let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(usual);
        let of_node =
            |one: &&Value| one.pointer("/valueFrom/fieldRef/fieldPath").is_some_and(|path| path == "status.hostIP");
        let is_node = env()
            .filter(of_node)
            .any(|one| endpoint.contains(&format!("$({})", one["name"].as_str().unwrap_or_default())));
        let entry = (endpoint.to_owned(), port, is_node);
        if !found.contains(&entry) {
            found.push(entry);
        }
    }
    found
}

/// A pod that ends at once ends before every node has heard that nobody shall send to it any more.
fn ending(title: &str, spec: &Value, findings: &mut Findings) {
    let waits = |container: &Value| !container.pointer("/lifecycle/preStop").is_none_or(Value::is_null);
    let containers = spec["containers"].as_array();
    if containers.into_iter().flatten().any(waits) {
        return;
    }
    let message = format!(
        "the pods of {title} are told to stop before every node has heard not to send to them any more, for they have no `preStop`: connections \
         may be cut, or hang"
    );
    let fix = "give the container that serves `lifecycle: {preStop: {sleep: {seconds: 5}}}`, within `terminationGracePeriodSeconds`";
    findings.add("cut-connections", Severity::Info, message, fix);
}
