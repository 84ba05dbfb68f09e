//! Pods of a cluster that ask to be scraped: they are found, scraped and shown as targets, and end when they go; a reload does not lose them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::home::{Home, until};
use crate::http::{Answer, Server};

/// The pods of a cluster, and what a watch tells next: each event as it is sent.
#[derive(Default)]
struct Cluster {
    pods: Mutex<Vec<Value>>,
    events: Mutex<Vec<Value>>,
    listings: AtomicUsize,
    version: AtomicUsize,
}

impl Cluster {
    fn serve(self: &Arc<Self>) -> Server {
        let cluster = self.clone();
        Server::answering(move |request| {
            assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/api/v1/namespaces/shop/pods"));
            if request.parameter("watch") == "true" {
                let lines: Vec<_> = std::mem::take(&mut *cluster.events.lock()).iter().map(Value::to_string).collect();
                return Answer::new(200, lines.join("\n") + "\n");
            }
            cluster.listings.fetch_add(1, Ordering::SeqCst);
            let list = json!({"metadata": {"resourceVersion": "1"}, "items": *cluster.pods.lock()});
            Answer::new(200, list.to_string())
        })
    }

    fn pod(&self, name: &str, version: &str, port: Option<&str>) -> Value {
        let annotations = port.map_or(json!({}), |port| json!({"scrape": "true", "port": port}));
        let number = self.version.fetch_add(1, Ordering::SeqCst).to_string();
        json!({
            "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": number,
                "annotations": annotations, "labels": {"version": version}},
            "spec": {"containers": [{"name": "main", "image": "main:1"}]},
            "status": {"podIP": "127.0.0.1", "phase": "Running"},
        })
    }

    fn tell(&self, kind: &str, object: Value) {
        self.events.lock().push(json!({"type": kind, "object": object}));
    }
}

#[test]
fn annotated_pods_are_scraped_as_long_as_they_are_there() {
    let home = Home::new();
    let shop = Server::start(|_| (200, "shop_orders_total 7\n".to_owned()));
    let port = shop.address.rsplit_once(':').map(|(_, port)| port.to_owned()).expect("a port");
    let cluster = Arc::new(Cluster::default());
    *cluster.pods.lock() = vec![cluster.pod("cart", "1", Some(&port)), cluster.pod("silent", "1", None)];
    let server = cluster.serve();
    home.write("apm.yaml", "project: shop\nobserve: { scrape: prometheus.yml, docker: 'off' }\n");
    let file = |more: &str| {
        home.write(
            "prometheus.yml",
            &format!(
                "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms }}\nscrape_configs:\n- job_name: pods\n\
                 \x20 kubernetes_sd_configs: [{{ role: pod, api_server: '{}', namespaces: {{ names: [shop] }} }}]\n\
                 \x20 relabel_configs:\n\
                 \x20 - {{ source_labels: [__meta_kubernetes_pod_annotation_scrape], action: keep, regex: 'true' }}\n\
                 \x20 - source_labels: [__meta_kubernetes_pod_ip, __meta_kubernetes_pod_annotation_port]\n\
                 \x20   separator: ':'\n    target_label: __address__\n\
                 \x20 - {{ source_labels: [__meta_kubernetes_pod_name], target_label: pod }}\n{more}",
                server.url()
            ),
        );
    };
    let version = "  - { source_labels: [__meta_kubernetes_pod_label_version], target_label: version }\n";
    file("");
    let engine = Engine::start(&home, &[]);
    engine.becomes("up{pod=\"cart\"}", Some(1.0));
    engine.becomes("shop_orders_total{job=\"pods\"}", Some(7.0));
    let data = engine.get("/api/v1/targets", &[]).json()["data"].take();
    let (active, dropped) = (&data["activeTargets"], &data["droppedTargets"]);
    assert_eq!((active[0]["health"].as_str(), active.as_array().map(Vec::len)), (Some("up"), Some(1)), "{data}");
    assert_eq!(active[0]["labels"], json!({"instance": shop.address, "job": "pods", "pod": "cart"}));
    assert_eq!(active[0]["discoveredLabels"]["__meta_kubernetes_pod_container_image"], "main:1");
    assert_eq!(dropped[0]["discoveredLabels"]["__meta_kubernetes_pod_name"], "silent");
    assert_eq!(data["droppedTargetCounts"], json!({"pods": 1}));

    // What relabelling does not look at changes nothing of the series, but is shown.
    cluster.tell("MODIFIED", cluster.pod("cart", "2", Some(&port)));
    let shown = || engine.get("/api/v1/targets", &[("state", "active")]).json()["data"]["activeTargets"][0].take();
    let label = || shown()["discoveredLabels"]["__meta_kubernetes_pod_label_version"].as_str() == Some("2");
    until("the new label of the pod", || shown().to_string(), || label().then_some(()));

    // Other rules for the same objects: the cluster is not asked again.
    file(version);
    assert_eq!(engine.ask("POST", "/-/reload", "").status, 200);
    engine.becomes("up{pod=\"cart\",version=\"2\"}", Some(1.0));
    engine.becomes("up{pod=\"cart\",version=\"\"}", None);
    assert_eq!(cluster.listings.load(Ordering::SeqCst), 1);

    cluster.tell("ADDED", cluster.pod("till", "1", Some(&port)));
    engine.becomes("up{pod=\"till\"}", Some(1.0));
    cluster.tell("DELETED", cluster.pod("cart", "2", Some(&port)));
    engine.becomes("up{pod=\"cart\"}", None);
    engine.becomes("up{pod=\"till\"}", Some(1.0));
    assert_eq!(engine.terminate().code, Some(0));
}
