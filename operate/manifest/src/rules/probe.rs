//! Probes and lifecycle hooks of a container.

use super::words::{exactly_one, not_negative, one_of, port, port_or_name, wanted, within};
use crate::validate::{At, Out};

pub(crate) fn probes(at: &At<'_>, out: &mut Out) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = at.get(name);
        if probe.is() {
            check(&probe, name, out);
        }
    }
    let lifecycle = at.get("lifecycle");
    for name in ["postStart", "preStop"] {
        let hook = lifecycle.get(name);
        if hook.is() {
            handler(&hook, &["exec", "httpGet", "tcpSocket", "sleep"], out);
        }
    }
}

fn check(at: &At<'_>, name: &str, out: &mut Out) {
    handler(at, &["exec", "httpGet", "tcpSocket", "grpc"], out);
    not_negative(
        at,
        &["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"],
        out,
    );
    let grace = at.get("terminationGracePeriodSeconds");
    if name == "readinessProbe" {
        if grace.is() {
            out.error(&grace, "relation/conflict", "a readiness probe ends nothing", "take it out");
        }
    } else {
        within(&grace, 1, i64::MAX, out);
        let threshold = at.get("successThreshold");
        if threshold.int().is_some_and(|n| n > 1) {
            out.error(&threshold, "range/number", "one success is enough here", "write 1, or leave it out");
        }
    }
}

fn handler(at: &At<'_>, kinds: &[&str], out: &mut Out) {
    match exactly_one(at, kinds, "handler", out) {
        Some("exec") => {
            let exec = at.get("exec");
            if exec.get("command").len() == 0 {
                out.error(&exec, "field/required", "the command is empty", "list the program and its words");
            }
        }
        Some("httpGet") => {
            let get = at.get("httpGet");
            port_or_name(&get.get("port"), out);
            one_of(&get.get("scheme"), &["HTTP", "HTTPS"], out);
            let headers = get.get("httpHeaders");
            for header in headers.items() {
                wanted(&header.get("name"), "name", out);
            }
        }
        Some("tcpSocket") => port_or_name(&at.get("tcpSocket").get("port"), out),
        Some("grpc") => port(&at.get("grpc").get("port"), out),
        _ => {}
    }
}
