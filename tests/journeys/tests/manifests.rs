//! `apm k8s render`, `diff`, `apply` and `rollback`: beside the real kustomize, whose objects must be the same, and on a real cluster, where a set of manifests
//! is applied, changed, disputed, and put back.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests_journeys::{Cluster, engine, tools, wait};

/// A project of its own, with its history.
pub(crate) struct Home(TempDir);

pub(crate) struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Home {
    pub(crate) fn new(files: &[(&str, &str)]) -> Home {
        let home = Home(tempfile::Builder::new().prefix("apm-manifests-").tempdir().expect("a folder"));
        files.iter().for_each(|(name, text)| home.write(name, text));
        home
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join("shop").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    fn apm(&self, words: &str, kubeconfig: Option<&Path>) -> Ended {
        let mut command = Command::new(engine::apm());
        let home = self.0.path();
        // Charts and kustomizations are rendered by the programs that are found.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", tools::cache().join("bin").display())).env("HOME", home);
        for (name, folder) in [("XDG_DATA_HOME", "data"), ("XDG_STATE_HOME", "state"), ("XDG_CACHE_HOME", "cache")] {
            command.env(name, home.join(folder));
        }
        command.env_remove("APM_ENV").env_remove("APM_CONFIG").env_remove("KUBECONFIG");
        command.envs(kubeconfig.map(|path| ("KUBECONFIG", path)));
        let words: Vec<&str> = words.split_whitespace().collect();
        let output =
            command.args(&words).current_dir(home.join("shop")).stdin(Stdio::null()).output().expect("apm starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// It ends like this, says all of these, and never what is secret.
    #[track_caller]
    pub(crate) fn check(&self, words: &str, kubeconfig: Option<&Path>, code: i32, says: &[&str]) -> Ended {
        let ended = self.apm(words, kubeconfig);
        let said = format!("{}{}", ended.out, ended.err);
        assert_eq!(ended.code, code, "{words}: {said}");
        says.iter().for_each(|part| assert!(said.contains(part), "{words} says no `{part}`: {said}"));
        if !words.contains("--show-secrets") {
            for secret in ["correct-horse", "Y29ycmVjdC1ob3JzZQ"] {
                assert!(!said.contains(secret), "{words} tells a secret: {said}");
            }
        }
        ended
    }

    /// The objects of a text of YAML, by kind and name.
    fn objects(&self, text: &str) -> BTreeMap<String, Value> {
        let plain = Home::new(&[("all.yaml", text)]);
        let rendered = plain.check("k8s render all.yaml --output json --show-secrets", None, 0, &[]);
        let list: Value = serde_json::from_str(&rendered.out).expect("JSON");
        let name = |object: &Value| {
            let at = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            format!("{} {}/{}", at("/kind"), at("/metadata/namespace"), at("/metadata/name"))
        };
        let items = list["items"].as_array().expect("a list").iter();
        items.map(|object| (name(object), object.clone())).collect()
    }
}

const CART: &str = "# The cart.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: cart
  labels: {app: cart} # ours
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      volumes:
      - {name: settings, configMap: {name: cart-settings}}
      - {name: keys, secret: {secretName: cart-keys}}
      containers:
      - name: app
        image: registry.example.org/shop/cart:1 # pinned
        ports: [{name: metrics, containerPort: 9102}]
        env:
        - {name: MODE, value: dev}
        - name: KEY
          valueFrom: {secretKeyRef: {name: cart-keys, key: password}}
        envFrom: [{configMapRef: {name: cart-settings}}, {configMapRef: {name: plain}}]
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {selector: {app: cart}, ports: [{port: 80}]}
";
const LIST: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "of.a.list"}, "data": {"a": "1"}},
  {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "looks"}, "rules": []}]}
"#;
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: own}\nstringData: {password: correct-horse}\n";
const SETTINGS: &str = r#"
project: shop
services:
  cart:
    image: registry.example.org/shop/cart
    deploy:
      target: kubernetes
      judged: false
      kubernetes:
        namespace: shop
        manifests: [k8s, more]
        transform:
          labels: {team: shop}
          prometheus: {}
          configMapGenerator:
          - name: cart-settings
            files: [settings.txt, logo=logo.bin]
            envs: [cart.env]
            literals: ["HTML=<a & b>"]
            options: {labels: {made: "yes"}, annotations: {why: generated}}
          - {name: plain, literals: [A=b], options: {disableNameSuffixHash: true}}
          secretGenerator:
          - {name: cart-keys, literals: ["password='correct-horse'"], type: Opaque}
environments:
  dev: {}
  prod:
    services:
      cart:
        deploy:
          kubernetes:
            manifests: [k8s, more, prod.yaml]
            inject: {language: python}
            transform:
              namespace: production
              harden: true
              requests: {cpu: 50m}
              env: {MODE: prod, LEVEL: info}
              annotations: {owner: ann}
              registries: {registry.example.org: mirror.example.org}
              configMapGenerator:
              - {name: cart-settings, literals: [A=prod]}
              secretGenerator:
              - {name: cart-keys, envs: [cart.env], files: [logo.bin]}
"#;

#[test]
fn the_real_kustomize_makes_the_same_objects() {
    let home = Home::new(&[
        ("apm.yaml", SETTINGS),
        ("k8s/cart.yaml", CART),
        ("k8s/list.json", LIST),
        ("k8s/secret.yaml", SECRET),
        // Rendered by their own programs first.
        ("more/kustomization.yaml", "namePrefix: more-\nresources: [web.yaml]\n"),
        ("more/web.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"),
        ("more/chart/Chart.yaml", "apiVersion: v2\nname: queue\nversion: 0.1.0\n"),
        (
            "more/chart/templates/queue.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-queue}\n",
        ),
        (
            "prod.yaml",
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: cart}\nimagePullSecrets: [{name: cart-keys}]\n",
        ),
        ("settings.txt", "a: b\n\ttabbed \"é\"\n"),
        ("cart.env", "# c\nLEVEL=debug\n"),
    ]);
    let bytes: Vec<u8> = (0..=255).collect();
    std::fs::write(home.0.path().join("shop/logo.bin"), bytes).expect("written");
    home.check(
        "k8s render --kustomize out",
        None,
        4,
        &["the values of 2 Secrets would stand in out", "--show-secrets"],
    );
    for version in ["", " --version 7"] {
        home.check(
            &format!("k8s render --kustomize out --show-secrets{version}"),
            None,
            0,
            &["kubectl kustomize out/overlays/prod"],
        );
        for environment in ["dev", "prod"] {
            let mut kustomize = Command::new(tools::tool("kubectl"));
            kustomize
                .args(["kustomize", &format!("out/overlays/{environment}")])
                .current_dir(home.0.path().join("shop"));
            let built = kustomize.output().expect("kubectl starts");
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
            let theirs = home.objects(&String::from_utf8_lossy(&built.stdout));
            let words = format!("k8s render --env {environment} --show-secrets{version}");
            let ours = home.objects(&home.check(&words, None, 0, &["# The cart.", "# pinned"]).out);
            assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
            // A server keeps `stringData` as `data`, and so may either of them.
            for (name, object) in &ours {
                assert_eq!(object, &theirs[name], "{environment}: {name}");
            }
            let named = |start: &str| ours.keys().filter(|name| name.starts_with(start)).count();
            let namespace = if environment == "prod" { "production" } else { "shop" };
            assert_eq!(named(&format!("ConfigMap {namespace}/cart-settings-")), 1, "{:?}", ours.keys());
            assert_eq!(named(&format!("Service {namespace}/more-web")), 1);
            assert_eq!(named(&format!("ConfigMap {namespace}/cart-queue")), 1);
        }
    }
    // What somebody wrote by hand is not written over.
    home.write("out/base/kustomization.yaml", "resources: []\n");
    home.check("k8s render --kustomize out --show-secrets", None, 4, &["was not written by apm"]);
    let masked =
        home.check("k8s render --env prod", None, 0, &["password: \"***\"", "masked: the values of 2 Secrets"]);
    assert!(!masked.out.contains("LEVEL: ZGVidWc"), "{}", masked.out);
    home.check(
        "k8s render --env prod --diff",
        None,
        0,
        &["+  namespace: production", "-        - {name: MODE, value: dev}"],
    );
}

/// A service of two pods with what they read; `{mode}` and `{image}` are its version's.
const WEB: &str = "# The web.
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: {image}
        imagePullPolicy: Never
        command: [sh, -c, 'echo mode $MODE; exec sleep 3600']
        envFrom: [{configMapRef: {name: web}}, {secretRef: {name: web}}]
---
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData: {password: correct-horse-{mode}}
";
const IMAGE: &str = "apm.test/busybox:1";

/// What a set of manifests is without what the server writes.
fn there(cluster: &Cluster, namespace: &str) -> Vec<Value> {
    let text = cluster.kubectl(&["get", "deployment,configmap,secret", "-n", namespace, "-o", "json"]);
    let mut list: Value = serde_json::from_str(&text).expect("JSON");
    let items = list["items"].as_array_mut().expect("a list");
    items.retain(|item| item["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("web")));
    for item in items.iter_mut() {
        item["status"] = Value::Null;
        let (name, labels) = (item["metadata"]["name"].clone(), item["metadata"]["labels"].clone());
        item["metadata"] = json!({"name": name, "labels": labels});
    }
    std::mem::take(items)
}

#[test]
fn manifests_are_applied_compared_disputed_and_put_back() {
    let cluster = Cluster::start("manifests", &[]);
    let admin = cluster.kubeconfig("admin");
    let kubeconfig = Some(admin.as_path());
    cluster.kubectl(&["create", "namespace", "shop"]);
    let settings = |mode: &str| {
        format!(
            "project: shop\nservices:\n  web:\n    deploy:\n      target: kubernetes\n      ready: 60s\n      kubernetes:\n        namespace: shop\n        \
             transform: {{ configMapGenerator: [{{ name: web, literals: [MODE={mode}] }}] }}\n"
        )
    };
    let version = |home: &Home, mode: &str, image: &str| {
        home.write("apm.yaml", &settings(mode));
        home.write("k8s/web.yaml", &WEB.replace("{mode}", mode).replace("{image}", image));
    };
    let home = Home::new(&[]);
    version(&home, "one", IMAGE);

    // Nothing is there yet.
    home.check(
        "k8s diff",
        kubeconfig,
        1,
        &["+++ Deployment.apps/shop/web (made)", "+kind: Secret", "ConfigMap/shop/web-"],
    );
    home.check("k8s apply --dry-run", kubeconfig, 0, &["kubectl", "apply --server-side --field-manager=apm"]);
    home.check("k8s apply", kubeconfig, 2, &["nobody is there to agree"]);
    assert_eq!(there(&cluster, "shop"), Vec::<Value>::new());
    let applied = home.check("k8s apply --version 1 --yes --output json", kubeconfig, 0, &["\"status\": \"complete\""]);
    let answer: Value = serde_json::from_str(&applied.out).expect("JSON");
    assert_eq!(answer["version"], "1");
    home.check("k8s diff --version 1", kubeconfig, 0, &["nothing would change: 3 objects"]);
    home.check("k8s apply --version 1 --yes", kubeconfig, 0, &["nothing to do"]);
    let first = there(&cluster, "shop");
    assert_eq!(first.len(), 3, "{first:?}");
    let secret = cluster.kubectl(&["get", "secret", "web", "-n", "shop", "-o", "jsonpath={.data.password}"]);
    assert_eq!(secret, "Y29ycmVjdC1ob3JzZS1vbmU=", "no mask is applied");

    // The next one: what differs is shown, of the Secret only that it does.
    version(&home, "two", IMAGE);
    home.check(
        "k8s diff",
        kubeconfig,
        1,
        &["-  password: \"*** (before)\"", "+  password: \"*** (after)\"", "+            name: web-"],
    );
    home.check("k8s diff --show-secrets", kubeconfig, 1, &["Y29ycmVjdC1ob3JzZS1vbmU=", "Y29ycmVjdC1ob3JzZS10d28="]);
    let compared = home.check("k8s diff --prune --output json", kubeconfig, 1, &[]);
    let compared: Value = serde_json::from_str(&compared.out).expect("JSON");
    let of = |pruned: bool| {
        compared["changes"].as_array().expect("a list").iter().filter(|one| one["pruned"] == pruned).count()
    };
    assert_eq!((of(false), of(true)), (3, 1), "{compared:#}");
    home.check("k8s apply --version 2 --prune --yes", kubeconfig, 0, &["complete"]);
    let second = there(&cluster, "shop");
    assert_eq!(second.len(), 3, "what the first one had is gone: {second:?}");
    let logs = wait::until("the lines of the new pod", 30, || {
        let logs = home.apm("deploy logs", kubeconfig);
        if logs.out.contains("mode two") { Ok(logs) } else { Err(format!("{}{}", logs.out, logs.err)) }
    });
    assert!(logs.out.contains("new 2"), "{}", logs.out);

    // A version that never gets ready is undone.
    version(&home, "three", "apm.test/none:1");
    home.check("k8s apply --version 3 --yes", kubeconfig, 1, &["rolled-back", "apm.test/none:1"]);
    assert_eq!(there(&cluster, "shop"), second);

    // What somebody else set is a conflict that names them, before anything is changed.
    version(&home, "four", IMAGE);
    let patch = r#"{"data": {"password": "dGhlaXJz"}}"#;
    cluster.kubectl(&["patch", "secret", "web", "-n", "shop", "--field-manager", "somebody", "-p", patch]);
    home.check("k8s diff", kubeconfig, 3, &["Secret/shop/web", "somebody"]);
    home.check("k8s apply --version 4 --yes", kubeconfig, 3, &["somebody"]);
    home.check("k8s apply --version 4 --yes --prune --force-conflicts", kubeconfig, 0, &["complete"]);

    // Back, without the files of that time.
    std::fs::remove_dir_all(home.0.path().join("shop/k8s")).expect("removed");
    home.check("k8s rollback --to 9 --yes", kubeconfig, 4, &["no complete run says what web 9 was"]);
    home.check("k8s rollback --yes", kubeconfig, 0, &["complete"]);
    assert_eq!(there(&cluster, "shop"), second);
    home.check("k8s rollback --to 1 --yes --output json", kubeconfig, 0, &["\"status\": \"complete\""]);
    assert_eq!(there(&cluster, "shop"), first);

    // The same question of a release with all its settings.
    version(&home, "five", IMAGE);
    home.write("apm.yaml", &settings("five").replace("  web:\n", "  web:\n    image: apm.test/busybox\n"));
    home.check(
        "deploy diff --version 1",
        kubeconfig,
        1,
        &["ConfigMap/shop/web-", "data.MODE", "five", "data.password"],
    );
    home.check("k8s diff --context none", kubeconfig, 2, &["none"]);
    let left = cluster.stop();
    assert!(left.is_empty(), "left behind: {left:#?}");
}
