//! Whether weights would move any request: what the controllers of the route, and its gateways, say of it. A weight that nobody carries out would show the
//! judge a version that nobody is sent to, so it is refused, and not only warned of, where no controller has ever spoken.

use operate_manifest::receivers::is_gateway_api;
use operate_plan::{Inventory, ObjectId, Seen, Severity};
use serde_json::Value;

use super::super::mesh::{Route, unknown};
use super::super::{ClusterRelease, steps};
use super::Findings;

/// Conditions without which nothing is passed on.
const NEEDED: [&str; 3] = ["Accepted", "ResolvedRefs", "Programmed"];

pub(super) fn check(release: &ClusterRelease, seen: &Inventory, findings: &mut Findings) {
    for (list, failure) in unknown(release, seen) {
        let (kind, namespace) = list.name.split_once('/').unwrap_or_default();
        let kind = kind.split('.').next().unwrap_or_default();
        let message = format!(
            "nobody knows whether a {kind} in {namespace} sends to {}: {failure}; as far as is known, the number of pods decides",
            release.service
        );
        let fix = "allow `list` of it, or say `kubernetes.route: { kind: none }`";
        findings.add("unknown-route", Severity::Warning, message, fix);
    }
    let Ok(Some(route)) = Route::of(release, seen) else { return };
    refused(&route.title(), route.reported(), findings);
    stale(&route.title(), route.reported(), findings);
    if !release.route.unverified && route.reported().is_empty() {
        silent(&route, findings);
    }
    for gateway in route.gateways() {
        of_gateway(&gateway, seen, findings);
    }
}

fn silent(route: &Route<'_>, findings: &mut Findings) {
    let title = route.title();
    if route.is_new() {
        let message = format!("{title} is new: the canary begins when a controller says that it takes it");
        let fix = "`kubernetes.route: { unverified: true }` does not wait for one";
        findings.add("new-route", Severity::Info, message, fix);
    } else if is_gateway_api(&route.id.kind) {
        let message =
            format!("no controller has ever said anything about {title}, so its weights would move no request");
        let fix = "see whether the controller of its Gateway runs: kubectl get gatewayclasses,gateways -A; `kubernetes.route: { unverified: true }` if it carries routes out without saying so; `{ kind: none }` lets the number of pods decide";
        findings.add("route-unverified", Severity::Critical, message, fix);
    } else {
        // Istio says nothing unless it is told to.
        let message = format!("nothing tells whether Istio carries {title} out");
        let fix = "the judge sees whether requests come; `PILOT_ENABLE_STATUS` has istiod say it; `kubernetes.route: { unverified: true }` if you know";
        findings.add("unverified-mesh", Severity::Warning, message, fix);
    }
}

fn refused(title: &str, reported: &[Value], findings: &mut Findings) {
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let is_no = |one: &&Value| one["status"] == "False" && NEEDED.iter().any(|name| one["type"] == *name);
    if let Some(one) = reported.iter().find(is_no) {
        let at = text(one, "at");
        let at = if at.is_empty() { String::new() } else { format!(" at {at}") };
        let message = format!(
            "{title} is not passed on by {}{at}: {} is False, {}: {}",
            text(one, "by"),
            text(one, "type"),
            text(one, "reason"),
            text(one, "message")
        );
        findings.add(
            "route-refused",
            Severity::Critical,
            message,
            "mend it first: a canary that nobody is sent to proves nothing",
        );
    }
}

/// Of a route of a moment ago its controllers will speak; of one that has stood for long, one that is gone for good never will.
fn stale(title: &str, reported: &[Value], findings: &mut Findings) {
    if let Some(one) = reported.iter().find(|one| one["fresh"] == false) {
        let by = one["by"].as_str().unwrap_or_default();
        let message = format!("{by} has not seen {title} as it is now, and each change of weights waits for it");
        let fix = "see whether it still runs; what one that is gone has left in `status.parents` is removed by hand";
        findings.add("route-unseen", Severity::Warning, message, fix);
    }
}

fn of_gateway(id: &ObjectId, seen: &Inventory, findings: &mut Findings) {
    let title = steps::title(id);
    match seen.look(id) {
        Seen::Present(value) => {
            refused(&title, value["reported"].as_array().map_or(&[], Vec::as_slice), findings);
        }
        Seen::Absent => {
            let message = format!("{title} is not there, and the route names it");
            findings.add("no-gateway", Severity::Warning, message, "nothing comes by it");
        }
        Seen::Unknown(failure) => {
            let message = format!("what {title} says of itself is not known: {failure}");
            findings.add("unknown-gateway", Severity::Info, message, failure.next);
        }
    }
}
