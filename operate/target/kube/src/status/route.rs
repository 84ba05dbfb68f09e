//! What the controllers of a route, or of a gateway, say of it: `status.parents` of an HTTPRoute and a GRPCRoute, and a Gateway's `status.conditions` (Gateway API
//! v1), a VirtualService's `status` where Istio writes one (`PILOT_ENABLE_STATUS`). Of a route that nobody has ever said anything about, nothing is known.

use serde_json::{Value, json};

use super::{Progress, Trouble, list, name, number, text};

/// Conditions without which a route, or a gateway, passes nothing.
const NEEDED: [&str; 3] = ["Accepted", "ResolvedRefs", "Programmed"];

/// Each thing that was said: `{"by", "at", "type", "status", "reason", "message", "fresh"}`; `at` is the gateway, `fresh` whether it is about the object as
/// it is now.
pub(crate) fn reported(object: &Value) -> Vec<Value> {
    let generation = number(object, "/metadata/generation");
    let one = |by: &str, at: &str, condition: &Value| {
        let seen = &condition["observedGeneration"];
        let seen = seen.as_u64().or_else(|| seen.as_str().and_then(|text| text.parse().ok()));
        json!({
            "by": by, "at": at, "type": condition["type"], "status": condition["status"], "reason": condition["reason"],
            "message": condition["message"], "fresh": seen.is_none_or(|seen| seen >= generation),
        })
    };
    let mut said = Vec::new();
    for parent in list(object, "/status/parents") {
        let by = text(parent, "/controllerName");
        let at = format!(
            "{} {}",
            parent["parentRef"]["kind"].as_str().unwrap_or("Gateway"),
            text(parent, "/parentRef/name")
        );
        said.extend(list(parent, "/conditions").iter().map(|condition| one(by, &at, condition)));
    }
    // What a definition fills in before any controller has come is said by nobody.
    let conditions = list(object, "/status/conditions").iter().filter(|condition| condition["status"] != "Unknown");
    let by = if text(object, "/apiVersion").contains("istio") { "istiod" } else { "its controller" };
    said.extend(conditions.map(|condition| one(by, "", condition)));
    for message in list(object, "/status/validationMessages").iter().filter(|message| message["level"] == "ERROR") {
        let code = format!("{} {}", text(message, "/type/code"), text(message, "/type/name"));
        let condition = json!({"type": "Accepted", "status": "False", "reason": code.trim(), "message": message["documentationUrl"]});
        said.push(one("istiod", "", &condition));
    }
    said
}

/// Whether those who have spoken about the route take it as it is. A name that is not resolved may be of a moment ago.
pub(super) fn route(object: &Value) -> Progress {
    let said = reported(object);
    let of = |one: &Value| {
        let at = text(one, "/at");
        let at = if at.is_empty() { String::new() } else { format!(" at {at}") };
        format!("{}{at}", text(one, "/by"))
    };
    if let Some(stale) = said.iter().find(|one| one["fresh"] == false) {
        return Progress::Waiting(format!("{} has not seen it as it is now", of(stale)));
    }
    let refused = said.iter().find(|one| one["status"] == "False" && NEEDED.contains(&text(one, "/type")));
    let Some(refused) = refused else { return Progress::Ready };
    let message = format!(
        "{} {} is not passed on by {}: {} is False, {}: {}",
        text(object, "/kind"),
        name(object),
        of(refused),
        text(refused, "/type"),
        text(refused, "/reason"),
        text(refused, "/message")
    );
    let trouble = Trouble::new(
        "kube.route",
        message,
        "see what its controller wants: kubectl describe; nothing is sent where it says",
    );
    Progress::Trouble(if refused["type"] == "Accepted" { trouble.lasting() } else { trouble })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(conditions: Value) -> Value {
        json!({"parentRef": {"name": "edge"}, "controllerName": "example.org/gateway", "conditions": conditions})
    }

    fn check(status: Value, expect: &str) {
        let object = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "cart", "generation": 3}, "status": status});
        let told = match route(&object) {
            Progress::Ready => "ready".to_owned(),
            Progress::Waiting(why) => format!("waiting: {why}"),
            Progress::Trouble(trouble) => format!("lasting {}: {}", trouble.lasting, trouble.message),
        };
        assert_eq!(told, expect);
    }

    #[test]
    fn a_route_is_what_its_controllers_say() {
        let says = |kind: &str, status: &str, seen: u64| json!({"type": kind, "status": status, "reason": "NoMatchingParent", "message": "no listener", "observedGeneration": seen});
        check(Value::Null, "ready");
        check(
            json!({"parents": [parent(json!([says("Accepted", "True", 3), says("ResolvedRefs", "True", 3)]))]}),
            "ready",
        );
        check(
            json!({"parents": [parent(json!([says("Accepted", "True", 2)]))]}),
            "waiting: example.org/gateway at Gateway edge has not seen it as it is now",
        );
        check(
            json!({"parents": [parent(json!([says("Accepted", "True", 3)])), parent(json!([says("Accepted", "False", 3)]))]}),
            "lasting true: HTTPRoute cart is not passed on by example.org/gateway at Gateway edge: Accepted is False, NoMatchingParent: no listener",
        );
        check(
            json!({"parents": [parent(json!([says("ResolvedRefs", "False", 3)]))]}),
            "lasting false: HTTPRoute cart is not passed on by example.org/gateway at Gateway edge: ResolvedRefs is False, NoMatchingParent: no listener",
        );
        check(json!({"conditions": [says("Accepted", "Unknown", 0)]}), "ready");
    }

    #[test]
    fn what_istio_s_analysis_finds_is_a_refusal() {
        let object = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "cart"},
            "status": {"validationMessages": [{"level": "ERROR", "type": {"code": "IST0101", "name": "ReferencedResourceNotFound"}}]}});
        let Progress::Trouble(trouble) = route(&object) else { panic!("no trouble") };
        assert!(
            trouble.message.contains("istiod: Accepted is False, IST0101 ReferencedResourceNotFound"),
            "{}",
            trouble.message
        );
    }
}
