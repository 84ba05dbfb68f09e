//! The guide's tables, and that other tools' checks are covered.

use super::*;

/// kube-linter 0.7's built-in checks.
const KUBE_LINTER: &[&str] = &[
    "access-to-create-pods",
    "access-to-secrets",
    "cluster-admin-role-binding",
    "dangling-horizontalpodautoscaler",
    "dangling-ingress",
    "dangling-networkpolicy",
    "dangling-networkpolicypeer-podselector",
    "dangling-service",
    "dangling-servicemonitor",
    "default-service-account",
    "deprecated-service-account-field",
    "dnsconfig-options",
    "docker-sock",
    "drop-net-raw-capability",
    "duplicate-env-var",
    "env-value-from",
    "env-var-secret",
    "exposed-services",
    "host-ipc",
    "host-network",
    "host-pid",
    "hpa-minimum-three-replicas",
    "invalid-target-ports",
    "job-ttl-seconds-after-finished",
    "latest-tag",
    "liveness-port",
    "minimum-three-replicas",
    "mismatching-selector",
    "no-anti-affinity",
    "no-extensions-v1beta",
    "no-liveness-probe",
    "no-node-affinity",
    "no-read-only-root-fs",
    "no-readiness-probe",
    "no-rolling-update-strategy",
    "non-existent-service-account",
    "non-isolated-pod",
    "pdb-max-unavailable",
    "pdb-min-available",
    "pdb-unhealthy-pod-eviction-policy",
    "priority-class-name",
    "privilege-escalation-container",
    "privileged-container",
    "privileged-ports",
    "read-secret-from-env-var",
    "readiness-port",
    "required-annotation-email",
    "required-label-owner",
    "restart-policy",
    "run-as-non-root",
    "scc-deny-privileged-container",
    "schema-validation",
    "sensitive-host-mounts",
    "sorted-keys",
    "ssh-port",
    "startup-port",
    "unsafe-proc-mount",
    "unsafe-sysctls",
    "unset-cpu-requirements",
    "unset-memory-requirements",
    "use-namespace",
    "wildcard-in-rules",
    "writable-host-mount",
];

#[test]
fn what_other_tools_check_is_checked() {
    assert_eq!(KUBE_LINTER.len(), 63);
    let missing: Vec<_> = KUBE_LINTER.iter().filter(|name| lint_named(name).next().is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn tables() -> String {
    let mut out = String::from("| rule | severity | unasked | what it finds |\n|---|---|---|---|\n");
    for rule in lint_rules() {
        let name = if rule.name == rule.id { String::new() } else { format!(" `{}`", rule.name) };
        let on = if is_on(rule) { "yes" } else { "no" };
        out.push_str(&format!("| {}{name} | {} | {on} | {} |\n", rule.id, rule.severity.name(), rule.title));
    }
    out.push_str("\n### From kube-linter\n\n| theirs | ours |\n|---|---|\n");
    for name in KUBE_LINTER {
        let ours: Vec<&str> = lint_named(name).map(|rule| rule.id).collect();
        out.push_str(&format!("| {name} | {} |\n", ours.join(", ")));
    }
    out
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the guide repeats the catalogue")]
fn the_guide_lists_the_rules_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/check-manifests.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once("<!-- rules -->\n").unwrap();
    let (listed, tail) = rest.split_once("<!-- /rules -->").unwrap();
    if std::env::var_os("APM_BLESS").is_some() {
        return std::fs::write(&path, format!("{head}<!-- rules -->\n{}<!-- /rules -->{tail}", tables())).unwrap();
    }
    assert_eq!(listed, tables(), "APM_BLESS=1 cargo test -p operate-manifest writes them anew");
}
