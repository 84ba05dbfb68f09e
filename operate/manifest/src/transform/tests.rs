//! A file before and after, to the byte.

use lib_yaml_edit::Limits;
use serde_json::json;

use super::{TransformError, TransformSettings, transform_text};

const CART: &str = "# The cart.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: cart
  labels: {app: cart} # ours
spec:
  selector:
    matchLabels: {app: cart}
  template:
    metadata:
      labels: {app: cart}
    spec:
      containers:
      - name: app
        image: r.example.org:5000/cart:1 # pinned
        resources:
          limits: {memory: 1Gi} # measured
        env:
        - {name: MODE, value: dev} # by environment
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
";

fn check(settings: serde_json::Value, replaced: &[(&str, &str)]) {
    let settings: TransformSettings = serde_json::from_value(settings).expect("settings");
    let once = transform_text("f.yaml", CART, &settings, &Limits::default()).expect("it can be done");
    let expect = replaced.iter().fold(CART.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    });
    assert_eq!(once, expect);
    assert_eq!(transform_text("f.yaml", &once, &settings, &Limits::default()).expect("again"), once, "twice is once");
}

#[test]
fn each_of_them_touches_its_own_bytes_only() {
    check(json!({}), &[]);
    check(json!({"namespace": "prod"}), &[("{app: cart} # ours\n", "{app: cart} # ours\n  namespace: prod\n")]);
    check(
        json!({"labels": {"team": "shop"}}),
        &[
            ("{app: cart} # ours", "{app: cart, team: shop} # ours"),
            ("      labels: {app: cart}\n", "      labels: {app: cart, team: shop}\n"),
            ("metadata: {name: shop}", "metadata: {name: shop, labels: {team: shop}}"),
        ],
    );
    check(
        json!({"images": {"r.example.org:5000/cart": "mirror/cart@sha256:00", "cart": "other"}}),
        &[("r.example.org:5000/cart:1 # pinned", "mirror/cart@sha256:00 # pinned")],
    );
    check(
        json!({"registries": {"r.example.org:5000": "mirror.example.org/r/", "docker.io": "mirror.example.org"}}),
        &[("r.example.org:5000/cart:1 # pinned", "mirror.example.org/r/cart:1 # pinned")],
    );
    check(json!({"env": {"MODE": "prod"}}), &[("value: dev}", "value: prod}")]);
    check(json!({"prometheus": {}}), &[]);
    let scraped = "      annotations:\n        prometheus.io/scrape: \"true\"\n        prometheus.io/port: \"9102\"\n        prometheus.io/path: /m\n";
    check(
        json!({"prometheus": {"port": 9102, "path": "/m"}}),
        &[("      labels: {app: cart}\n", &format!("      labels: {app}\n{scraped}", app = "{app: cart}"))],
    );
    check(
        json!({"limits": {"memory": "64Mi"}, "requests": {"memory": "32Mi"}}),
        &[("# measured\n", "# measured\n          requests:\n            memory: 32Mi\n")],
    );
    let security = "        securityContext:\n          allowPrivilegeEscalation: false\n          readOnlyRootFilesystem: true\n          capabilities:\n            drop:\n            - ALL\n";
    let pod =
        "      securityContext:\n        runAsNonRoot: true\n        seccompProfile:\n          type: RuntimeDefault\n";
    check(json!({"harden": true}), &[("# by environment\n", &format!("# by environment\n{security}{pod}"))]);
    let enforced =
        "labels: {pod-security.kubernetes.io/enforce: restricted, pod-security.kubernetes.io/warn: restricted}";
    check(json!({"pod_security": "restricted"}), &[("{name: shop}", &format!("{{name: shop, {enforced}}}"))]);
}

#[test]
fn an_image_without_a_registry_is_docker_hubs() {
    let registries = [("docker.io".to_owned(), "mirror/hub".to_owned())].into();
    let check = |image: &str, expect: Option<&str>| assert_eq!(super::elsewhere(image, &registries).as_deref(), expect);
    check("redis:7", Some("mirror/hub/library/redis:7"));
    check("bitnami/redis@sha256:00", Some("mirror/hub/bitnami/redis@sha256:00"));
    check("docker.io/library/redis", Some("mirror/hub/library/redis"));
    check("ghcr.io/x/y:1", None);
    check("localhost/x", None);
    check("mirror/hub/library/redis:7", None);
}

#[test]
fn a_pod_that_says_where_its_metrics_are_is_believed() {
    let port = "        ports: [{name: metrics, containerPort: 9000}]\n";
    let text = CART.replace("        env:\n", &format!("{port}        env:\n"));
    let settings: TransformSettings =
        serde_json::from_value(json!({"prometheus": {"scheme": "https"}})).expect("settings");
    let after = transform_text("f.yaml", &text, &settings, &Limits::default()).expect("done");
    assert!(after.contains("prometheus.io/port: \"9000\"\n        prometheus.io/scheme: https"), "{after}");
    let text = text.replace(
        "      labels: {app: cart}\n    spec",
        "      annotations: {prometheus.io/scrape: \"false\"}\n    spec",
    );
    assert_eq!(transform_text("f.yaml", &text, &settings, &Limits::default()).expect("done"), text);
}

#[test]
fn what_comes_from_elsewhere_is_not_overwritten() {
    let text = CART.replace("value: dev", "valueFrom: {fieldRef: {fieldPath: metadata.name}}");
    let settings = TransformSettings { env: [("MODE".to_owned(), "x".to_owned())].into(), ..Default::default() };
    let error = transform_text("f.yaml", &text, &settings, &Limits::default()).expect_err("refused");
    assert!(matches!(error, TransformError::ValueFrom { .. }), "{error}");
    // A privileged container keeps its privileges.
    let text = CART.replace("        env:\n", "        securityContext: {privileged: true}\n        env:\n");
    let settings = TransformSettings { harden: true, ..Default::default() };
    let after = transform_text("f.yaml", &text, &settings, &Limits::default()).expect("done");
    assert!(!after.contains("allowPrivilegeEscalation"), "{after}");
}

#[test]
fn a_repository_is_what_is_left_without_tag_and_digest() {
    for (image, expect) in
        [("cart", "cart"), ("cart:1", "cart"), ("h:5000/cart", "h:5000/cart"), ("h:5000/c:1@sha256:ab", "h:5000/c")]
    {
        assert_eq!(super::repository(image), expect);
    }
}
