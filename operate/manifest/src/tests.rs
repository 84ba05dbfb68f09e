//! Files to objects, what a file is, hashes and edits. Validation has tests of its own.

mod costs;
#[path = "../corpus/costs.rs"]
mod costs_corpus;
#[path = "../corpus/mutate.rs"]
mod mutate;
mod rules;
#[path = "../corpus/rules.rs"]
mod rules_corpus;
mod server;
mod verdicts;

use lib_yaml_edit::Limits;

use crate::{Change, Edit, FileKind, detect, edit, read};

/// Each object as `Kind ns/name line document`, or the error.
fn objects(text: &str) -> Vec<String> {
    match read("f.yaml", text, &Limits::default()) {
        Ok(file) => file.objects.iter().map(|o| format!("{} {} {}", o.identity, o.line(), o.document)).collect(),
        Err(error) => vec![error.to_string()],
    }
}

fn check(text: &str, expect: &[&str]) {
    assert_eq!(objects(text), expect, "{text}");
}

const CONFIG: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a # the name\n  namespace: shop\ndata: {x: 'y'}\n";

#[test]
fn documents_and_lists_become_objects() {
    check(CONFIG, &["ConfigMap shop/a 1 0"]);
    check(
        &format!("# c\n---\n{CONFIG}---\n# nothing\n---\n{CONFIG}"),
        &["ConfigMap shop/a 3 0", "ConfigMap shop/a 12 2"],
    );
    let item = "{apiVersion: v1, kind: Secret, metadata: {name: s}}";
    check(&format!("apiVersion: v1\nkind: List\nitems:\n- {item}\n- {item}\n"), &["Secret s 4 0", "Secret s 5 0"]);
    check(r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"}}"#, &["Deployment d 1 0"]);
    check("", &[]);
}

#[test]
fn what_is_no_object_is_named() {
    check("kind: Pod\n", &["f.yaml:1:1: `apiVersion` is missing; every object says its `apiVersion` and `kind`"]);
    check("apiVersion: 1\nkind: Pod\n", &["f.yaml:1:13: `apiVersion` must be text; put it in quotes"]);
    check("- a\n", &["f.yaml:1:1: a manifest is a map of keys; start it with `apiVersion:` and `kind:`"]);
    check("a: 1\na: 2\n", &["f.yaml:2:1: the key `a` is here twice; it stands at 1:1 already; keep one of them"]);
}

#[test]
fn files_are_known_by_what_they_say() {
    let check =
        |name: &str, text: &str, kind: FileKind| assert_eq!(detect(name, text, &Limits::default()), kind, "{text}");
    check("a.yaml", CONFIG, FileKind::Manifest);
    check("a.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n", FileKind::Kustomization);
    check("x/kustomization.yaml", "resources: [a.yaml]\n", FileKind::Kustomization);
    check(
        "a.yaml",
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: x}\n",
        FileKind::Manifest,
    );
    check("a.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n", FileKind::Chart);
    check("t.yaml", "apiVersion: v1\nkind: ConfigMap\n{{- if .Values.x }}\na: b\n{{- end }}\n", FileKind::HelmTemplate);
    check("t.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: \"{{ .Release.Name }}\"\n", FileKind::HelmTemplate);
    // A template of Alertmanager in a ConfigMap is none of Helm's.
    check("t.yaml", "apiVersion: v1\nkind: ConfigMap\ndata:\n  t: |\n    {{ .Values.x }}\n", FileKind::Manifest);
    check("c.yaml", "services:\n  web:\n    image: nginx\n", FileKind::Compose);
    check("c", "apiVersion: v1\nkind: Config\nclusters: []\n", FileKind::Kubeconfig);
    check("c", "apiVersion: kind.x-k8s.io/v1alpha4\nkind: Cluster\n", FileKind::ToolSettings);
    check("v.yaml", "replicas: 1\n", FileKind::Other);
    check("v.yaml", "a: [\n", FileKind::Unreadable);
}

#[test]
fn the_hash_is_of_what_is_meant() {
    let hash = |text: &str| read("f", text, &Limits::default()).expect(text).objects[0].content_hash();
    let base = hash(CONFIG);
    let same = "# c\nkind: \"ConfigMap\"\napiVersion: v1\ndata:\n  x: \"y\"\nmetadata: {namespace: shop, name: a}\n";
    assert_eq!(hash(same), base);
    assert_ne!(hash(&CONFIG.replace("'y'", "z")), base);
    // `y` unquoted is a boolean to kubectl, and octal is a number.
    assert_ne!(hash(&CONFIG.replace("'y'", "y")), base);
    assert_eq!(hash("apiVersion: v1\nkind: X\nm: 0644\n"), hash("apiVersion: v1\nkind: X\nm: 420.0\n"));
    assert_eq!(base, "sha256:".to_owned() + &base[7..]);
}

#[test]
fn objects_are_edited_in_their_files() {
    let pod = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\nspec:\n  template:\n    spec:\n      containers:\n      - name: c # main\n        image: a:1 # pinned\n";
    let list =
        "kind: List\napiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata:\n    name: s # keep\n";
    let text = format!("# top\n---\n{pod}---\n# second\n{list}");
    let file = read("f", &text, &Limits::default()).expect("it reads");
    let (deployment, secret) = (&file.objects[0], &file.objects[1]);
    let label = |value: Option<&str>| Change::Label {
        key: "app.kubernetes.io/name".to_owned(),
        value: value.map(str::to_owned),
    };
    let edits = [
        Edit { object: deployment, change: label(Some("d")) },
        Edit { object: deployment, change: Change::Image { container: "c".to_owned(), image: "b:2".to_owned() } },
        Edit {
            object: deployment,
            change: Change::PodAnnotation { key: "x".to_owned(), value: Some("yes".to_owned()) },
        },
        Edit { object: secret, change: Change::Namespace(Some("shop".to_owned())) },
        Edit { object: secret, change: label(None) },
    ];
    let after = edit(&text, &edits, &Limits::default()).expect("it can be edited");
    let pod = pod.replace("  name: d\n", "  name: d\n  labels:\n    app.kubernetes.io/name: d\n").replace("a:1", "b:2");
    let annotated = format!("{pod}    metadata:\n      annotations:\n        x: \"yes\"\n");
    let list = format!("{list}    namespace: shop\n");
    assert_eq!(after, format!("# top\n---\n{annotated}---\n# second\n{list}"));
    let wrong = Edit { object: secret, change: Change::Image { container: "c".to_owned(), image: "b".to_owned() } };
    let error = edit(&text, &[wrong], &Limits::default()).expect_err("no pods");
    assert_eq!(error.to_string(), "Secret s, line 18: it makes no pods");
}
