//! What is found where, and which place of which file a refusal names.

use std::path::Path;

use base_world::{World, replace_file};

use super::*;

const PROD: &str = "\
apiVersion: v1
kind: Config
current-context: prod
clusters:
- name: prod
  cluster: {server: 'https://prod.example.org:6443/', certificate-authority: ca.crt, tls-server-name: api}
- {name: lax, cluster: {server: https://lax, insecure-skip-tls-verify: true, certificate-authority-data: QQ==}}
- name: bent
  cluster:
    server: ftp://bent
contexts:
- {name: prod, context: {cluster: prod, user: me, namespace: shop}}
- {name: lax, context: {cluster: lax, user: me}}
- {name: bent, context: {cluster: bent}}
- name: nobody
  context:
    cluster: prod
    user: gone
- {name: old, context: {cluster: prod, user: old}}
- {name: exec, context: {cluster: prod, user: exec}}
- {name: asks, context: {cluster: prod, user: asks}}
- {name: half, context: {cluster: prod, user: half}}
- {name: base64, context: {cluster: prod, user: base64}}
users:
- {name: me, user: {token: hunter2}}
- name: old
  user:
    auth-provider: {name: gcp, config: {access-token: hunter2}}
- {name: exec, user: {exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: aws, env: [{name: A, value: hunter2}]}}}
- {name: asks, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, interactiveMode: Always}}}
- {name: half, user: {client-key-data: aHVudGVyMg==}}
- {name: base64, user: {client-certificate-data: 'hunter2?', client-key-data: aHVudGVyMg==}}
";

const DEV: &str = "\
current-context: dev
clusters: [{name: dev, cluster: {server: http://127.0.0.1:8001}}, {name: prod, cluster: {server: https://not-this-one}}]
contexts: [{name: dev, context: {cluster: dev}}]
";

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a temporary folder");
    put(home.path(), ".kube/config", PROD);
    put(home.path(), "dev.yaml", DEV);
    put(home.path(), "empty.yaml", "");
    put(home.path(), "broken.yaml", "users:\n- name: a\n  user: {token: hunter2\n");
    put(home.path(), "twice.yaml", "users: []\nclusters: []\nusers: []\n");
    put(home.path(), "wrong.yaml", "current-context: a\ncontexts:\n- name: a\n  context:\n    cluster: [hunter2]\n");
    put(
        home.path(),
        "bomb.yaml",
        &format!("a: &a [x,x,x,x,x,x,x,x,x,x]\n{}", (0..9).map(|n| {
        let (from, to) = (char::from(b'a' + n), char::from(b'b' + n));
        format!("{to}: &{to} [*{from},*{from},*{from},*{from},*{from},*{from},*{from},*{from},*{from},*{from}]\n")
    }).collect::<String>()),
    );
    put(home.path(), "account/token", "hunter2\n");
    put(home.path(), "account/namespace", "apm\n");
    home
}

fn put(home: &Path, path: &str, text: &str) {
    let (disk, path) = (World::real().disk, home.join(path));
    disk.create_folder(path.parent().expect("a file is in a folder")).expect("made");
    replace_file(&*disk, &path, text.as_bytes()).expect("written");
}

/// Server, namespace and words of who named it; or words of the refusal. `~` in values is the home.
fn check(home: &Path, variables: &[(&str, &str)], context: Option<&str>, expect: std::result::Result<[&str; 3], &str>) {
    let tilde = home.display().to_string();
    let value = |name: &str| match name {
        "HOME" => Some(tilde.clone()),
        _ => variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.replace('~', &tilde)),
    };
    let mut surroundings = Surroundings::from_variables(value);
    surroundings.service_account = Some(home.join("account"));
    let choice = Choice { context: context.map(str::to_owned), ..Choice::default() };
    let got = find(&surroundings, &choice, &*World::real().disk);
    assert!(!format!("{got:?}").contains("hunter2"), "{got:?}");
    match (got, expect) {
        (Ok(found), Ok([server, namespace, by])) => {
            assert_eq!([found.server.as_str(), found.namespace.as_str()], [server, namespace], "{variables:?}");
            assert!(found.found_by.contains(by), "{} should speak of {by}", found.found_by);
        }
        (Err(error), Err(expect)) => {
            let text = error.to_string();
            assert!(text.contains(expect) && !text.contains("hunter2"), "{text} should speak of {expect}");
        }
        (got, _) => panic!("{variables:?} {context:?}: {got:?}"),
    }
}

#[test]
fn as_kubectl_looks() {
    let home = home();
    let check = |variables: &[(&str, &str)], context, expect| check(home.path(), variables, context, expect);
    let prod = "https://prod.example.org:6443";
    check(&[], None, Ok([prod, "shop", "`prod` of"]));
    check(
        &[("KUBECONFIG", "~/none:~/dev.yaml:~/.kube/config")],
        None,
        Ok(["http://127.0.0.1:8001", "default", "dev.yaml"]),
    );
    check(&[("KUBECONFIG", "~/dev.yaml:~/.kube/config")], Some("lax"), Err("keep one of them"));
    // Of two clusters with one name the first file's counts.
    check(
        &[("KUBECONFIG", "~/dev.yaml:~/.kube/config")],
        Some("prod"),
        Ok(["https://not-this-one", "shop", "/.kube/config"]),
    );
    check(&[], Some("gone"), Err("there is no context `gone`"));
    check(&[], Some("nobody"), Err("/.kube/config:18:11: there is no user `gone`"));
    check(&[], Some("bent"), Err("/.kube/config:10:13: `server` begins with ftp"));
    check(&[], Some("old"), Err("`auth-provider` (gcp) is no longer part of Kubernetes"));
    check(&[], Some("exec"), Err("must be client.authentication.k8s.io/v1"));
    check(&[], Some("asks"), Err("wants a terminal"));
    check(&[], Some("half"), Err("a key its certificate"));
    check(&[], Some("base64"), Err("`client-certificate-data` is not base64"));
    check(&[("KUBECONFIG", "~/broken.yaml")], None, Err("broken.yaml:"));
    check(&[("KUBECONFIG", "~/twice.yaml")], None, Err("twice.yaml:3:1: the key `users` is here twice"));
    check(&[("KUBECONFIG", "~/wrong.yaml")], None, Err("wrong.yaml:5:14: `cluster` must be a text, here is a list"));
    check(&[("KUBECONFIG", "~/bomb.yaml")], None, Err("aliases copy more"));
    check(&[("KUBECONFIG", "~/none")], None, Err("no kubeconfig"));
    let pod = [
        ("KUBECONFIG", "~/none:~/empty.yaml"),
        ("KUBERNETES_SERVICE_HOST", "fd00::1"),
        ("KUBERNETES_SERVICE_PORT", "443"),
    ];
    check(&pod, None, Ok(["https://[fd00::1]", "apm", "service account"]));
}

#[test]
fn a_file_named_by_hand_must_be_there() {
    let choice = Choice { kubeconfig: Some("/none/such".into()), ..Choice::default() };
    let error = find(&Surroundings::default(), &choice, &*World::real().disk).expect_err("not there");
    assert!(error.to_string().contains("/none/such"), "{error}");
}

#[test]
fn contexts_are_listed() {
    let home = home();
    let surroundings = Surroundings { home: Some(home.path().into()), ..Surroundings::default() };
    let listed = contexts(&surroundings, &Choice::default(), &*World::real().disk).expect("read");
    assert_eq!(listed.len(), 9);
    let expect = ContextListed {
        name: "prod".into(),
        cluster: "prod".into(),
        server: "https://prod.example.org:6443".into(),
        user: "me".into(),
        namespace: "shop".into(),
        current: true,
    };
    assert_eq!(listed[0], expect);
    assert!(!listed[1].current);
}
