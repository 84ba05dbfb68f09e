//! Why a pod's telemetry does not come: its variables, then its own words, then whether anybody listens where it sends to. The nearest cause first; what is
//! only likely is told as that. It changes nothing.

use std::time::Duration;

use operate_gate::Signal;
use operate_target_kube::{KubeTarget, NewPod};
use serde_json::Value;
use tokio::net::TcpStream;

/// Pods that are asked: the others have the same trouble.
const PODS_MAX: usize = 2;
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// A sentence, if anything tells.
pub(super) async fn likely(target: &KubeTarget, pods: &[NewPod], signals: &[Signal]) -> Option<String> {
    for pod in pods.iter().take(PODS_MAX) {
        for container in injected(&pod.body) {
            let name = container["name"].as_str().unwrap_or_default();
            if let Some(why) = of_variables(container, signals) {
                return Some(format!("container {name} of pod {} {why}", pod.name));
            }
            let said = target.said(pod, name, is_about_export).await;
            let reached = match endpoint(container, &pod.host_ip) {
                Some(url) => reach(&url).await.err(),
                None => None,
            };
            match (said, reached) {
                (Some(said), Some(away)) => return Some(format!("{away}; pod {} says: {said}", pod.name)),
                (Some(said), None) => return Some(format!("pod {} says: {said}", pod.name)),
                (None, Some(away)) => return Some(away),
                (None, None) => {}
            }
        }
    }
    None
}

/// The containers that were given the pod's facts.
fn injected(pod: &Value) -> impl Iterator<Item = &Value> {
    let all = pod["spec"]["containers"].as_array().into_iter().flatten();
    all.filter(|one| variable(one, "APM_POD_UID").is_some())
}

fn variable<'v>(container: &'v Value, name: &str) -> Option<&'v Value> {
    container["env"].as_array()?.iter().find(|one| one["name"] == name)
}

fn value<'v>(container: &'v Value, name: &str) -> Option<&'v str> {
    variable(container, name)?["value"].as_str()
}

/// What the container's own variables keep back.
fn of_variables(container: &Value, signals: &[Signal]) -> Option<String> {
    if value(container, "OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Some("has OTEL_SDK_DISABLED=true".to_owned());
    }
    for signal in signals {
        let name = match signal {
            Signal::Metrics => "OTEL_METRICS_EXPORTER",
            Signal::Traces => "OTEL_TRACES_EXPORTER",
            Signal::Logs => "OTEL_LOGS_EXPORTER",
        };
        if let Some(exporter) = value(container, name).filter(|value| !value.contains("otlp")) {
            return Some(format!("has {name}={exporter}"));
        }
    }
    if let Some(sampler) = value(container, "OTEL_TRACES_SAMPLER").filter(|value| value.contains("always_off"))
        && signals == [Signal::Traces]
    {
        return Some(format!("has OTEL_TRACES_SAMPLER={sampler}"));
    }
    match variable(container, "OTEL_RESOURCE_ATTRIBUTES")?["value"].as_str() {
        Some(attributes) if attributes.contains("k8s.pod.uid=") => None,
        _ => Some("does not say in OTEL_RESOURCE_ATTRIBUTES of which pod its telemetry is (k8s.pod.uid)".to_owned()),
    }
}

/// Where it sends to, unless that is its own pod or comes from elsewhere.
fn endpoint(container: &Value, host_ip: &str) -> Option<String> {
    let url = value(container, "OTEL_EXPORTER_OTLP_ENDPOINT")?.replace("$(APM_NODE_IP)", host_ip);
    let own = ["//127.", "//localhost", "//[::1]", "$("];
    (!own.iter().any(|own| url.contains(own))).then_some(url)
}

/// `Err` with a sentence: nobody takes a connection there.
async fn reach(url: &str) -> Result<(), String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let usual = if scheme == "https" { 443 } else { 80 };
    let address = if has_port { authority.to_owned() } else { format!("{authority}:{usual}") };
    let told =
        |why: String| format!("it sends to {scheme}://{address}, where nobody answers as seen from here ({why})");
    match tokio::time::timeout(CONNECT_MAX, TcpStream::connect(&address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(told(error.to_string())),
        Err(_) => Err(told(format!("no answer within {} s", CONNECT_MAX.as_secs()))),
    }
}

/// Whether a line is an exporter's complaint: OpenTelemetry's SDKs name OTLP, the exporter or the path in it.
fn is_about_export(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    let about = ["otlp", "/v1/traces", "/v1/metrics", "/v1/logs", "opentelemetry", "exporter", "econnrefused", ":4318"];
    let complains = [
        "error",
        "fail",
        "refused",
        "retry",
        "retries",
        "timeout",
        "timed out",
        "unreachable",
        "not found",
        "denied",
        "401",
        "403",
        "404",
        "could not",
        "cannot",
        "unable",
    ];
    about.iter().any(|word| line.contains(word)) && complains.iter().any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OURS: &str = "team=shop,k8s.pod.uid=$(APM_POD_UID)";

    fn check(env: &[(&str, &str)], signals: &[Signal], expect: Option<&str>) {
        let env: Vec<Value> = env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let found = of_variables(&json!({"env": env}), signals);
        match expect {
            Some(expect) => assert!(found.as_ref().is_some_and(|said| said.contains(expect)), "{found:?}"),
            None => assert_eq!(found, None),
        }
    }

    #[test]
    fn what_the_variables_keep_back_is_told() {
        let all = [Signal::Metrics, Signal::Traces];
        check(&[("OTEL_RESOURCE_ATTRIBUTES", OURS)], &all, None);
        check(&[("OTEL_RESOURCE_ATTRIBUTES", "team=shop")], &all, Some("of which pod"));
        check(&[("OTEL_SDK_DISABLED", "True"), ("OTEL_RESOURCE_ATTRIBUTES", OURS)], &all, Some("OTEL_SDK_DISABLED"));
        let none = [("OTEL_METRICS_EXPORTER", "none"), ("OTEL_RESOURCE_ATTRIBUTES", OURS)];
        check(&none, &all, Some("OTEL_METRICS_EXPORTER=none"));
        check(&none, &[Signal::Traces], None);
        let off = [("OTEL_TRACES_SAMPLER", "parentbased_always_off"), ("OTEL_RESOURCE_ATTRIBUTES", OURS)];
        check(&off, &[Signal::Traces], Some("parentbased_always_off"));
        // Samples are not sampled.
        check(&off, &all, None);
    }

    #[test]
    fn an_exporters_complaint_is_told_from_the_rest() {
        for line in [
            "Transient error HTTPConnectionPool(host='10.0.0.1', port=4318): Max retries exceeded with url: /v1/metrics encountered while exporting metrics batch, retrying in 1s.",
            "Failed to export span batch code: 404, reason: page not found (opentelemetry.exporter.otlp)",
            "{\"stack\":\"Error: PeriodicExportingMetricReader: metrics export failed (error AggregateError [ECONNREFUSED]\"}",
            "[otel.javaagent] WARN io.opentelemetry.exporter.internal.http.HttpExporter - Failed to export logs. Connection refused",
        ] {
            assert!(is_about_export(line), "{line}");
        }
        for line in ["GET /hello 200", "error: no such cart", "10.0.0.9 - POST /v1/metrics 200", "exporter ready"] {
            assert!(!is_about_export(line), "{line}");
        }
    }

    async fn check_reach(url: &str, expect: Option<&str>) {
        let found = reach(url).await;
        match expect {
            Some(expect) => assert!(found.as_ref().is_err_and(|said| said.contains(expect)), "{found:?}"),
            None => assert_eq!(found, Ok(())),
        }
    }

    #[tokio::test]
    async fn an_address_where_nobody_listens_is_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        check_reach(&format!("http://{address}/x"), None).await;
        drop(listener);
        check_reach(&format!("http://ann:secret@{address}"), Some(&format!("http://{address}, where nobody"))).await;
        let container =
            json!({"env": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://$(APM_NODE_IP):4318"}]});
        assert_eq!(endpoint(&container, "10.0.0.2").as_deref(), Some("http://10.0.0.2:4318"));
        let sidecar = json!({"env": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://127.0.0.1:4318"}]});
        assert_eq!(endpoint(&sidecar, "10.0.0.2"), None);
    }
}
