//! What is added where, what is refused and what is left alone.

use serde_json::{Value, json};

use super::super::{AgentLanguage, InjectError, InjectSettings, Outcome, Sidecar, inject};
use super::{check, object, pod};

fn python() -> InjectSettings {
    InjectSettings { language: Some(AgentLanguage::Python), ..InjectSettings::default() }
}

fn env<'v>(pod: &'v Value, name: &str) -> &'v Value {
    let all = pod["spec"]["containers"][0]["env"].as_array().expect("variables");
    all.iter().find(|one| one["name"] == name).map_or(&Value::Null, |one| &one["value"])
}

#[test]
fn notations_survive_to_the_byte() {
    let bare =
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n  - name: a\n    image: python:3\n";
    let json = "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Pod\",\n  \"metadata\": {\"name\": \"p\"},\n  \"spec\": {\n    \"containers\": [\n      {\n        \"name\": \"a\",\n        \"image\": \"python:3\"\n      }\n    ]\n  }\n}\n";
    let template = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: d}\nspec:\n  template:\n    spec:\n      containers: [{name: a, image: 'python:3'}]\n";
    let volumes = format!(
        "{bare}    env: []\n    volumeMounts:\n    - {{name: v, mountPath: /v}} # v\n  volumes: # all\n  - name: v\n    emptyDir: {{}}\n  # last\n"
    );
    for text in [
        bare,
        bare.trim_end(),
        json,
        template,
        &bare
            .replace("kind: Pod\n", "kind: Pod # c\n")
            .replace("  name: p\n", "  annotations:\n    a: b # c\n  name: p\n"),
        &bare.replace(
            "  containers:\n",
            "  initContainers:\n  # theirs\n  - name: i # first\n    image: x\n  containers:\n",
        ),
        &volumes,
        &format!(
            "{bare}    env:\n    - name: PYTHONPATH\n      value: '/app' # ours\n    - name: X\n      valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}\n"
        ),
        &format!("{bare}    env:\n    - {{name: PYTHONPATH, value: /app}} # plain\n"),
        &format!(
            "{bare}    env:\n    - {{name: PYTHONPATH, value: \"/app\"}}\n    - {{value: team=a, name: OTEL_RESOURCE_ATTRIBUTES}}\n"
        ),
        &format!("{bare}---\n# empty\n---\n{bare}"),
        &bare.replace('\n', "\r\n"),
        &format!("apiVersion: v1\nkind: List\nitems:\n- {}", bare.trim_end().replace('\n', "\n  ")),
    ] {
        check(text, &InjectSettings::default());
        let sidecars = vec![Sidecar::Logs, Sidecar::Metrics, Sidecar::Traces];
        let all = InjectSettings { sidecars, metrics_port: Some(80), istio: true, ..InjectSettings::default() };
        check(text, &all);
    }
}

#[test]
fn other_settings_replace_what_was_injected() {
    let before = pod(&json!({}), &json!({"name": "a", "image": "x:1"}));
    let python = object(&before, &python());
    let java = InjectSettings { language: Some(AgentLanguage::Java), ..InjectSettings::default() };
    let Ok(Outcome::Ops(ops)) = inject(&python, &java) else { panic!("skipped") };
    assert_eq!(super::carried_out(&python, &ops), object(&before, &java));
}

#[test]
fn variables_are_joined_and_declared_before_they_are_used() {
    let container = json!({"name": "a", "image": "x:2.1", "env": [
        {"name": "PYTHONPATH", "value": "/app"}, {"name": "OTEL_SERVICE_NAME", "value": "mine"},
        {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "team=shop,service.version=9"},
        {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]});
    let after = object(&pod(&json!({}), &container), &python());
    let dir = "/opt/apm/python";
    assert_eq!(
        env(&after, "PYTHONPATH"),
        &format!("{dir}/opentelemetry/instrumentation/auto_instrumentation:{dir}:/app")
    );
    assert_eq!(env(&after, "OTEL_SERVICE_NAME"), "mine");
    assert_eq!(env(&after, "OTEL_EXPORTER_OTLP_ENDPOINT"), &Value::Null);
    let attributes = env(&after, "OTEL_RESOURCE_ATTRIBUTES").as_str().expect("text");
    assert!(attributes.starts_with("team=shop,service.version=9,k8s.container.name=a,"), "{attributes}");
    assert_eq!(attributes.matches("service.version=").count(), 1, "{attributes}");
    let text = after["spec"]["containers"][0]["env"].to_string();
    let (declared, used) = (text.find("\"APM_POD_NAME\""), text.find("$(APM_POD_NAME)"));
    assert!(declared.expect("declared") < used.expect("used"), "{text}");
}

#[test]
fn names_ports_and_paths_do_not_clash() {
    let container = json!({"name": "apm-collector", "image": "x:1", "ports": [{"containerPort": 4318}],
        "volumeMounts": [{"name": "apm-agent-python", "mountPath": "/opt/apm/python/"}, {"name": "l", "mountPath": "/var/log/app"}]});
    let mut before = pod(&json!({}), &container);
    before["spec"]["volumes"] = json!([{"name": "apm-agent-python", "emptyDir": {}}, {"name": "l", "emptyDir": {}}]);
    before["spec"]["initContainers"] = json!([{"name": "apm-agent-python", "image": "x"}]);
    let settings = InjectSettings { sidecars: vec![Sidecar::Traces, Sidecar::Logs], ..python() };
    let after = object(&before, &settings);
    let names = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).map(str::to_owned).collect()
    };
    let init = names(&after["spec"]["initContainers"]);
    assert_eq!(init, ["apm-agent-python-2", "apm-collector-2", "apm-logs", "apm-agent-python"], "ours first");
    assert_eq!(
        names(&after["spec"]["volumes"]),
        ["apm-agent-python", "l", "apm-agent-python-2"],
        "the log's folder is shared"
    );
    assert_eq!(after["spec"]["containers"][0]["volumeMounts"][2]["mountPath"], "/opt/apm/python-2");
    assert_eq!(env(&after, "OTEL_EXPORTER_OTLP_ENDPOINT"), "http://127.0.0.1:14318");
    for one in after["spec"]["initContainers"].as_array().expect("a list").iter().take(3) {
        assert!(
            one["resources"]["limits"]["memory"].is_string() && one["resources"]["limits"]["cpu"].is_string(),
            "{one}"
        );
    }
}

#[test]
fn a_pod_is_left_alone_with_a_reason() {
    let check = |annotations: Value, spec: Value, expect: &str| {
        let mut pod = pod(&annotations, &json!({"name": "a", "image": "shop:1"}));
        pod["spec"].as_object_mut().expect("a map").extend(spec.as_object().cloned().expect("a map"));
        let settings = if expect.contains("language") { InjectSettings::default() } else { python() };
        match inject(&pod, &settings) {
            Ok(Outcome::Skipped(why)) => assert!(why.to_string().contains(expect), "{why}"),
            other => panic!("{other:?}"),
        }
    };
    check(json!({}), json!({"hostNetwork": true}), "node's network");
    check(json!({}), json!({"os": {"name": "windows"}}), "Windows");
    check(json!({"apm.dev/inject": "false"}), json!({}), "apm.dev/inject says so");
    check(json!({"instrumentation.opentelemetry.io/inject-python": "false"}), json!({}), "inject-python says so");
    check(json!({}), json!({}), "language");
}

#[test]
fn what_would_break_is_refused() {
    let from = json!({"name": "PYTHONPATH", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}});
    let check = |annotations: Value, env: Value, settings: InjectSettings, expect: InjectError| {
        let pod = pod(&annotations, &json!({"name": "a", "image": "x:1", "env": [env]}));
        assert_eq!(inject(&pod, &settings), Err(expect));
    };
    let (container, plain) = ("a".to_owned(), json!({"name": "X", "value": "y"}));
    let variable = "PYTHONPATH".to_owned();
    check(json!({}), from, python(), InjectError::ValueFrom { container: container.clone(), variable });
    let variable = "APM_NODE_IP".to_owned();
    check(
        json!({}),
        json!({"name": "APM_NODE_IP", "value": "1"}),
        python(),
        InjectError::Taken { container, variable },
    );
    let names = json!({"instrumentation.opentelemetry.io/container-names": "b"});
    check(names, plain.clone(), python(), InjectError::NoContainer { container: "b".to_owned() });
    let go = json!({"instrumentation.opentelemetry.io/inject-go": "true"});
    check(go, plain.clone(), InjectSettings::default(), InjectError::NoGoTarget);
    let ruby = json!({"instrumentation.opentelemetry.io/inject-ruby": "true"});
    check(ruby, plain.clone(), InjectSettings::default(), InjectError::NoImage { language: "Ruby" });
    let metrics = InjectSettings { sidecars: vec![Sidecar::Metrics], ..python() };
    check(json!({}), plain, metrics, InjectError::NoMetricsPort);
}

#[test]
fn the_language_is_found() {
    let check = |annotations: Value, container: Value, expect: &str| {
        let after = object(&pod(&annotations, &container), &InjectSettings::default());
        assert_eq!(after["spec"]["initContainers"][0]["name"], format!("apm-agent-{expect}"));
    };
    let annotation = json!({"instrumentation.opentelemetry.io/inject-nodejs": "shop/ours"});
    check(annotation, json!({"name": "a", "image": "python:3"}), "nodejs");
    check(json!({}), json!({"name": "a", "image": "shop:1", "command": ["/usr/bin/gunicorn", "shop:app"]}), "python");
    check(json!({}), json!({"name": "a", "image": "docker.io/library/eclipse-temurin:21@sha256:00"}), "java");
    check(json!({}), json!({"name": "a", "image": "mcr.microsoft.com/dotnet/aspnet:8.0"}), "dotnet");
}

#[test]
fn a_broken_record_is_an_error_and_harms_nothing() {
    for record in ["", "{}", "{\"v\":2}", "{\"v\":1,\"x\":1}", "[[[[", "{\"v\":1,\"init\":[1]}"] {
        let pod = pod(&json!({"apm.dev/injected": record}), &json!({"name": "a", "image": "python:3"}));
        assert!(matches!(inject(&pod, &python()), Err(InjectError::Record { .. })), "{record}");
    }
    // What it names and is no longer there is passed over.
    let record = json!({"v": 1, "init": ["gone"], "volumes": ["gone"], "containers": {"a": {"env": ["gone"], "mounts": ["/gone"]}, "gone": {}}});
    let pod = pod(&json!({"apm.dev/injected": record.to_string()}), &json!({"name": "a", "image": "python:3"}));
    assert_eq!(super::uninject(&pod).expect("it can be read").len(), 1);
}
