//! One release to two real clusters, from the command line: on both or on none, told and shown by the cluster's name, and refused before it begins where
//! one of them does not answer. Their pods are pretended; what never gets ready is told by a label.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests_journeys::Cluster;

use crate::manifests::Home;

const CART: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: cart}
data: {MODE: prod}
---
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {selector: {app: cart}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart}
spec:
  replicas: 2
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      nodeSelector: {type: kwok}
      tolerations: [{key: kwok.x-k8s.io/node, operator: Exists}]
      containers: [{name: app, image: registry.example.org/shop/cart}]
";

/// The settings; pods of `us` have this fate.
fn settings(fate: &str) -> String {
    // Ready at once on a machine that is idle; only the one that never gets ready takes its time.
    let ready = if fate.is_empty() { "90s" } else { "30s" };
    let fate = if fate.is_empty() { String::new() } else { format!(", labels: {{ apm.test/fate: {fate} }}") };
    format!(
        "project: shop
services:
  cart:
    image: registry.example.org/shop/cart
    deploy:
      target: kubernetes
      judged: false
      ready: {ready}
      kubernetes:
        namespace: default
        manifests: [k8s]
        clusters:
        - {{ context: prod-eu, name: eu, replicas: {{ cart: 3 }} }}
        - {{ context: us, transform: {{ env: {{ REGION: us }}{fate} }} }}
"
    )
}

struct Both {
    eu: Cluster,
    us: Cluster,
    kubeconfig: PathBuf,
}

impl Both {
    fn start(folder: &Path) -> Both {
        let words = ["--kwok", "2", "--control-plane-only"];
        // Each waits for its own parts most of the time.
        let (eu, us) = std::thread::scope(|scope| {
            let us = scope.spawn(|| Cluster::start("several-us", &words));
            (Cluster::start("several-eu", &words), us.join().expect("a cluster"))
        });
        let [mut clusters, mut users, mut contexts] = [const { Vec::new() }; 3];
        for (name, cluster) in [("prod-eu", &eu), ("us", &us)] {
            let view = cluster.kubectl(&["config", "view", "--raw", "--flatten", "-o", "json"]);
            let view: Value = serde_json::from_str(&view).expect("JSON");
            clusters.push(json!({"name": name, "cluster": view["clusters"][0]["cluster"]}));
            users.push(json!({"name": name, "user": view["users"][0]["user"]}));
            contexts.push(json!({"name": name, "context": {"cluster": name, "user": name}}));
        }
        let kubeconfig = folder.join("kubeconfig");
        let text =
            json!({"apiVersion": "v1", "kind": "Config", "clusters": clusters, "users": users, "contexts": contexts});
        std::fs::write(&kubeconfig, text.to_string()).expect("written");
        Both { eu, us, kubeconfig }
    }

    /// Image, pods and region of the Deployments.
    fn runs(&self) -> [String; 2] {
        let path = "jsonpath={.spec.template.spec.containers[0].image} {.spec.replicas} {.spec.template.spec.containers[0].env[?(@.name==\"REGION\")].value}";
        [&self.eu, &self.us].map(|cluster| cluster.kubectl(&["get", "deployment", "cart", "-o", path]))
    }

    /// Everything that the release is made of on both, without what the server writes.
    fn objects(&self) -> [Value; 2] {
        [&self.eu, &self.us].map(|cluster| {
            let text = cluster.kubectl(&["get", "deployment,service,configmap", "-o", "json"]);
            let mut list: Value = serde_json::from_str(&text).expect("JSON");
            for item in list["items"].as_array_mut().expect("a list") {
                item.as_object_mut().expect("an object").remove("status");
                let metadata = item["metadata"].as_object_mut().expect("an object");
                for name in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"] {
                    metadata.remove(name);
                }
                if let Some(annotations) = item.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
                    annotations.remove("deployment.kubernetes.io/revision");
                }
            }
            list["items"].take()
        })
    }
}

#[test]
fn a_release_is_on_both_clusters_or_on_none() {
    let home = Home::new(&[("k8s/cart.yaml", CART), ("apm.yaml", &settings(""))]);
    let both = Both::start(home.folder());
    let kubeconfig = Some(both.kubeconfig.as_path());

    let by_hand = |context: &str| {
        format!("by hand kubectl --context {context} apply --server-side --field-manager=apm -f k8s/cart.yaml")
    };
    let [eu, us] = ["prod-eu", "us"].map(by_hand);
    home.check(
        "deploy --version 1 --dry-run",
        kubeconfig,
        0,
        &["eu: apply Deployment default/cart", "us: apply Deployment default/cart", &eu, &us],
    );
    assert_eq!(both.objects().map(|all| all.as_array().map(Vec::len)), [Some(2), Some(2)], "a look changes something");
    home.check("deploy --version 1 --yes", kubeconfig, 0, &["eu: apply Deployment default/cart", "complete"]);
    let image = |version: &str| format!("registry.example.org/shop/cart:{version}");
    assert_eq!(both.runs(), [format!("{} 3", image("1")), format!("{} 2 us", image("1"))]);
    home.check("deploy status", kubeconfig, 0, &["eu-apply-deployment-cart", "us-apply-deployment-cart", "complete"]);
    home.check("deploy --version 1 --yes", kubeconfig, 4, &["cart 1 runs already"]);

    let before = both.objects();
    home.check(
        "deploy diff --version 2",
        kubeconfig,
        1,
        &["eu:Deployment.apps/default/cart", "us:Deployment.apps/default/cart"],
    );
    home.write("apm.yaml", &settings("unready"));
    home.check("deploy --version 2 --yes", kubeconfig, 1, &["rolled-back", "us: apply Deployment default/cart"]);
    assert_eq!(both.objects(), before, "what is there is not what was there");
    let undone = [
        "undone     deploying    eu-apply-deployment-cart",
        "undone     deploying    us-apply-deployment-cart",
        "rolled-back",
    ];
    home.check("deploy status", kubeconfig, 1, &undone);

    home.write("apm.yaml", &settings(""));
    home.check("deploy --version 2 --yes", kubeconfig, 0, &["complete"]);
    assert_eq!(both.runs(), [format!("{} 3", image("2")), format!("{} 2 us", image("2"))]);
    // Back to what each had, from the history and not from today's files.
    home.write("k8s/cart.yaml", &CART.replace("MODE: prod", "MODE: test"));
    home.check("deploy rollback --to 1 --yes", kubeconfig, 0, &["complete"]);
    let data = |objects: &[Value; 2]| objects.clone().map(|all| all[0]["spec"]["template"].clone());
    assert_eq!(data(&both.objects()), data(&before));

    both.us.kill("kube-apiserver");
    let before = both.eu.kubectl(&["get", "deployment", "cart", "-o", "yaml"]);
    home.check("deploy --version 3 --yes", kubeconfig, 4, &["us: "]);
    assert_eq!(both.eu.kubectl(&["get", "deployment", "cart", "-o", "yaml"]), before);

    let Both { eu, us, .. } = both;
    for cluster in [eu, us] {
        let left = cluster.stop();
        assert!(left.is_empty(), "left behind: {left:#?}");
    }
}
