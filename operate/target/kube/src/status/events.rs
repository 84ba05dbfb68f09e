//! What events tell that the objects themselves do not: why an image did not come, which probe failed, which pod was never made. Events of
//! `v1` and of `events.k8s.io/v1` are read alike.

use serde_json::Value;

use super::pod::short;
use super::{Trouble, list, name, text};

/// The latest event about the object with one of these reasons.
fn latest<'a>(object: &Value, reasons: &[&str], events: &'a [Value]) -> Option<&'a Value> {
    about(object, events).filter(|event| reasons.contains(&text(event, "/reason"))).max_by_key(|event| when(event))
}

fn about<'a>(object: &Value, events: &'a [Value]) -> impl Iterator<Item = &'a Value> {
    let uid = text(object, "/metadata/uid").to_owned();
    events.iter().filter(move |event| {
        let of = event.get("involvedObject").or_else(|| event.get("regarding"));
        !uid.is_empty() && of.is_some_and(|of| of["uid"] == uid.as_str())
    })
}

/// RFC 3339 in UTC, as the API server writes it, orders as text.
fn when(event: &Value) -> &str {
    let places = ["/series/lastObservedTime", "/lastTimestamp", "/deprecatedLastTimestamp", "/eventTime"];
    places.iter().map(|place| text(event, place)).find(|time| !time.is_empty()).unwrap_or_default()
}

fn note(event: &Value) -> &str {
    match text(event, "/message") {
        "" => text(event, "/note"),
        message => message,
    }
}

/// The registry's own words.
pub(super) fn why_no_image<'a>(pod: &Value, events: &'a [Value]) -> Option<&'a str> {
    // `Error: ImagePullBackOff` is told under the same reason.
    let failed = about(pod, events)
        .filter(|event| text(event, "/reason") == "Failed" && note(event).starts_with("Failed to pull image"));
    let told = note(failed.max_by_key(|event| when(event))?);
    // Failed to pull image "x": rpc error: code = NotFound desc = failed to pull and unpack image "x": …
    let told = told.split_once("\": ").map_or(told, |(_, why)| why);
    Some(told.rsplit_once(" desc = ").map_or(told, |(_, why)| why))
}

/// `Readiness probe failed: HTTP probe failed with statuscode: 500`, of one container.
pub(super) fn failed_probe(pod: &Value, container: &str, kind: &str, events: &[Value]) -> Option<String> {
    let path = format!("{{{container}}}");
    let of_container = |event: &&Value| {
        let of = event.get("involvedObject").or_else(|| event.get("regarding"));
        let field = of.map_or("", |of| text(of, "/fieldPath"));
        field.is_empty() || field.ends_with(&path)
    };
    let failed = about(pod, events)
        .filter(of_container)
        .filter(|event| text(event, "/reason") == "Unhealthy" && note(event).starts_with(&format!("{kind} probe ")));
    Some(short(note(failed.max_by_key(|event| when(event))?)))
}

/// A volume that cannot be mounted keeps all containers from being made.
pub(super) fn of_mounts(pod: &Value, events: &[Value]) -> Option<Trouble> {
    let waits = list(pod, "/status/containerStatuses").iter().any(|status| status.pointer("/state/waiting").is_some());
    let event =
        latest(pod, &["FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"], events).filter(|_| waits)?;
    let said = note(event);
    let (what, next) = match text(event, "/reason") {
        "FailedCreatePodSandBox" => {
            ("has no sandbox", "the node's runtime or network plugin refuses: look at its logs")
        }
        _ => ("cannot mount a volume", "make what the volume names, or correct the reference"),
    };
    let code = if what == "has no sandbox" { "kube.sandbox" } else { "kube.mount" };
    let trouble = Trouble::new(code, format!("pod {} {what}: {}", name(pod), short(said)), next);
    Some(if said.ends_with("not found") && !of_every_namespace(said) { trouble.lasting() } else { trouble })
}

/// A controller makes these in each new namespace, on a busy cluster seconds after it: pods that came first are tried again.
fn of_every_namespace(said: &str) -> bool {
    said.contains("serviceaccount \"default\" not found") || said.contains("\"kube-root-ca.crt\" not found")
}

/// Why a controller made no pod: quota, limit range, admission, service account. From its condition or its event.
pub(super) fn not_created(owner: &Value, said: Option<&str>, events: &[Value]) -> Option<Trouble> {
    let said = match said {
        Some(said) => said,
        None => note(latest(owner, &["FailedCreate"], events)?),
    };
    let (code, next, lasting) = if said.contains("exceeded quota") || said.contains("failed quota") {
        ("kube.quota", "raise the ResourceQuota, remove what uses it, or lower requests", false)
    } else if said.contains("denied the request") || said.contains("ValidatingAdmissionPolicy") {
        ("kube.admission", "the policy says what it wants: change the pod, or ask who owns the webhook", true)
    } else if said.contains("failed calling webhook") {
        ("kube.webhook", "the webhook does not answer: look at its Service and its certificate", false)
    } else if said.contains("violates PodSecurity") {
        ("kube.admission", "give the pod the security context that the namespace's level wants", true)
    } else if said.contains("serviceaccount") && said.contains("not found") {
        ("kube.account", "make the ServiceAccount, or correct `serviceAccountName`", !of_every_namespace(said))
    } else if said.contains("limit to request ratio") || said.contains("per Container") || said.contains("per Pod") {
        ("kube.limits", "keep to the namespace's LimitRange", true)
    } else {
        ("kube.not-created", "the controller says what is in the way: kubectl describe", false)
    };
    let kind = text(owner, "/kind");
    let message = format!("{kind} {} cannot make a pod: {}", name(owner), short(said));
    Some(Trouble { lasting, ..Trouble::new(code, message, next) })
}
