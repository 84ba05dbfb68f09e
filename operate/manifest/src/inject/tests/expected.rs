//! What an injected pod is going to send, and what it is not.

use serde_json::{Value, json};

use super::super::{AgentLanguage, Expected, InjectSettings, Sidecar, expected};
use super::{object, pod};

/// The signals by their first letters, `p` for a page that the kubelet asks for.
fn check(language: Option<AgentLanguage>, sidecars: &[Sidecar], container: Value, expect: &str) {
    let image = language.map(|_| "agent:1".to_owned());
    let settings = InjectSettings {
        language,
        image,
        sidecars: sidecars.to_vec(),
        metrics_port: Some(8080),
        ..InjectSettings::default()
    };
    let mut plain = json!({"name": "app", "image": "cart:1"});
    plain.as_object_mut().expect("a map").extend(container.as_object().expect("a map").clone());
    let target = json!({"instrumentation.opentelemetry.io/otel-go-auto-target-exe": "/cart"});
    let plain = pod(&target, &plain);
    assert_eq!(expected(&plain), None, "it is not injected yet");
    let found = expected(&object(&plain, &settings));
    let letters = |found: &Expected| {
        let all = [(found.metrics, 'm'), (found.traces, 't'), (found.logs, 'l'), (found.probed, 'p')];
        all.into_iter().filter(|(is, _)| *is).map(|(_, letter)| letter).collect::<String>()
    };
    assert_eq!(found.as_ref().map(letters).unwrap_or_default(), expect, "{language:?} {sidecars:?}");
}

#[test]
fn what_is_expected_is_what_was_put_in() {
    use AgentLanguage::{Go, Java, Php, Python};
    let env = |name: &str, value: &str| json!({"env": [{"name": name, "value": value}]});
    check(Some(Python), &[], json!({}), "mtl");
    check(Some(Java), &[], json!({"readinessProbe": {"httpGet": {"port": 80}}}), "mtlp");
    check(Some(Java), &[], json!({"readinessProbe": {"tcpSocket": {"port": 80}}}), "mtl");
    check(Some(Go), &[], json!({}), "t");
    check(Some(Php), &[Sidecar::Metrics], json!({}), "mt");
    check(Some(Python), &[Sidecar::Logs], json!({}), "mtl");
    check(None, &[Sidecar::Traces], json!({}), "");
    check(None, &[Sidecar::Traces, Sidecar::Metrics], json!({}), "m");
    check(None, &[Sidecar::Logs], json!({}), "l");
    // The team said so.
    check(Some(Python), &[], env("OTEL_METRICS_EXPORTER", "none"), "tl");
    check(Some(Python), &[], env("OTEL_TRACES_EXPORTER", "console,otlp_json_http"), "mtl");
    check(Some(Python), &[], env("OTEL_SDK_DISABLED", "TRUE"), "");
}
