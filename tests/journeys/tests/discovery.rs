//! `kubernetes_sd_configs` find what Prometheus finds: both read the same `prometheus.yml` beside the same cluster, and their targets, before and after
//! relabelling, those left out included, are the same at every moment that nothing changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests_journeys::prometheus::Prometheus;
use tests_journeys::{Cluster, Engine, http, peer, wait};

/// Every label of the discovery becomes one of the target: none is hidden because two targets look alike.
const ALL: &str = "relabel_configs: [{ action: labelmap, regex: __meta_kubernetes_(.+) }]";
const ROLES: [&str; 6] = ["node", "pod", "service", "endpoints", "endpointslice", "ingress"];
/// Pods and services that ask to be scraped by annotations, as the guide has it.
const GUIDE: &str = include_str!("../../../docs/guides/scrape.md");

/// One of the two who look at the cluster.
struct Sides<'s> {
    cluster: &'s Cluster,
    ours: &'s Engine,
    theirs: &'s Prometheus,
}

impl Sides<'_> {
    /// Waits until both see the same, and that it is what is meant: so many targets of a state and job whose text has these words, `None` for some.
    fn agree(&self, when: &str, meant: &[(&str, &str, Option<usize>)]) {
        let mut last = String::new();
        for round in 0..8 {
            // Prometheus makes endpoints anew when their service changes, but not when their pods do.
            let poke = format!("round={when}-{round}").replace(' ', "-");
            let _ = self.cluster.try_kubectl("admin", &["annotate", "service", "-A", "--all", "--overwrite", &poke]);
            let deadline = Instant::now() + Duration::from_secs(10);
            while Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(200));
                let (ours, theirs) = (Seen::at(&self.ours.url), Seen::at(&self.theirs.url));
                let different = differences(&ours, &theirs);
                let count = |&(of, words, _): &(&str, &str, _)| theirs.count(of, words);
                let unmet = |want: &&(&str, &str, Option<usize>)| match want.2 {
                    Some(many) => count(want) != many,
                    None => count(want) == 0,
                };
                let unmet: Vec<_> = meant.iter().filter(unmet).map(|want| (want, count(want))).collect();
                last = match (different.is_empty(), unmet.is_empty()) {
                    (true, true) => return,
                    (true, false) => format!("both see the same, but not what is meant: {unmet:?}"),
                    (false, _) => different,
                };
            }
        }
        let _ = fs::write(self.ours.artefacts().join("differences.txt"), &last);
        panic!("{when}: {last}\n{}", self.ours.printed());
    }
}

/// Every target as text, how often it is there.
struct Seen {
    targets: BTreeMap<String, usize>,
}

impl Seen {
    fn at(url: &str) -> Seen {
        let data = http::get(&format!("{url}/api/v1/targets"), &[]).ok().json()["data"].take();
        let list = |name: &str| data[name].as_array().cloned().unwrap_or_default();
        let (active, dropped) = (list("activeTargets"), list("droppedTargets"));
        let mut targets = BTreeMap::new();
        for (state, target) in
            active.iter().map(|target| ("active", target)).chain(dropped.iter().map(|target| ("dropped", target)))
        {
            let text = |key: &str| target[key].as_str().unwrap_or_default();
            let words = [state, text("scrapePool"), text("scrapeUrl"), text("scrapeInterval"), text("scrapeTimeout")];
            let mut discovered = pairs(&target["discoveredLabels"]);
            // Several ports of a pod become one target here, and which of them it shows is Prometheus's secret.
            if state == "active" && text("scrapePool").starts_with("kubernetes-") {
                discovered.clear();
            }
            let line = format!("{}\n    {discovered}\n    -> {}", words.join(" "), pairs(&target["labels"]));
            *targets.entry(line).or_insert(0) += 1;
        }
        Seen { targets }
    }

    /// How many targets of a job there are whose text has these words.
    fn count(&self, state_and_job: &str, words: &str) -> usize {
        let fits = |line: &str| line.starts_with(&format!("{state_and_job} ")) && line.contains(words);
        self.targets.iter().filter(|(line, _)| fits(line)).map(|(_, count)| count).sum()
    }
}

/// Labels as text, values in quotes, but for three by which Prometheus tells relabelling how it takes histograms: a setting of its own.
fn pairs(labels: &Value) -> String {
    let own = |name: &str| name.contains("_classic_histograms") || name == "__scrape_native_histograms__";
    let labels = labels.as_object().cloned().unwrap_or_default();
    let pairs = labels.iter().filter(|(name, _)| !own(name)).map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(" ")
}

fn differences(ours: &Seen, theirs: &Seen) -> String {
    let only = |of: &Seen, other: &Seen, who: &str| -> Vec<String> {
        let more = |(line, count): (&String, &usize)| {
            let theirs = other.targets.get(line).copied().unwrap_or(0);
            (*count > theirs).then(|| format!("only {who} ({count} to {theirs}): {line}"))
        };
        of.targets.iter().filter_map(more).collect()
    };
    let mut all = only(ours, theirs, "apm");
    all.extend(only(theirs, ours, "Prometheus"));
    all.into_iter().take(12).collect::<Vec<_>>().join("\n")
}

fn config(cluster: &Cluster, folder: &Path) -> String {
    let kubeconfig = cluster.kubeconfig("admin").display().to_string();
    let mut jobs = String::new();
    let mut job = |name: &str, role: &str, keys: &str| {
        jobs += &format!(
            "- job_name: {name}\n  {ALL}\n  kubernetes_sd_configs:\n  - role: {role}\n    kubeconfig_file: {kubeconfig}\n{keys}"
        );
    };
    for role in ROLES {
        job(role, role, "");
        let pods = "node: true, deployment: true, job: true, cronjob: true, ";
        let pods = if matches!(role, "pod" | "endpoints" | "endpointslice") { pods } else { "" };
        job(&format!("{role}-attached"), role, &format!("    attach_metadata: {{ {pods}namespace: true }}\n"));
        job(&format!("{role}-in-shop"), role, "    namespaces: { names: [shop] }\n");
    }
    job(
        "pod-chosen",
        "pod",
        "    selectors: [{ role: pod, label: 'app in (cart, db)', field: 'status.phase=Running' }]\n",
    );
    job(
        "pod-on-a-node",
        "pod",
        "    attach_metadata: { node: true }\n    selectors: [{ role: node, field: metadata.name=kwok-0 }]\n",
    );
    job(
        "endpoints-chosen",
        "endpoints",
        "    selectors: [{ role: pod, label: app=cart }, { role: service, label: tier=front }, { role: endpoints, label: app=cart }]\n",
    );
    let snippet =
        GUIDE.split("```yaml\n").find(|part| part.contains("kubernetes-pods")).expect("the guide has a snippet");
    let snippet = snippet.split("```").next().and_then(|yaml| yaml.strip_prefix("scrape_configs:\n")).expect("of jobs");
    for role in ["pod", "endpoints"] {
        assert!(snippet.contains(&format!("{{ role: {role} }}")), "{snippet}");
    }
    jobs += &snippet.replace(" }]\n  relabel", &format!(", kubeconfig_file: {kubeconfig} }}]\n  relabel"));
    // The same server by its address, with the token of a service account that may look only.
    jobs += &format!(
        "- job_name: by-address\n  {ALL}\n  kubernetes_sd_configs:\n  - role: endpointslice\n    api_server: {}\n\
        \x20   authorization: {{ credentials_file: {} }}\n    tls_config: {{ ca_file: {} }}\n",
        cluster.kubectl(&["config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"]),
        folder.join("token").display(),
        folder.join("ca.pem").display(),
    );
    // Nobody is to be scraped: the pretended pods have addresses that are not theirs.
    format!("global: {{ scrape_interval: 1d }}\nscrape_configs:\n{jobs}")
}

#[test]
fn targets_of_a_cluster_are_those_of_prometheus() {
    let cluster = Cluster::start("discovery", &["--control-plane-only", "--kwok", "2"]);
    cluster.apply(include_str!("../data/discovery.yaml"));
    let balancer = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"198.51.100.1"},{"ip":"198.51.100.2"}]}}}"#;
    cluster.kubectl(&[
        "-n",
        "shop",
        "patch",
        "service",
        "balanced",
        "--subresource=status",
        "--type=merge",
        "-p",
        balancer,
    ]);
    cluster.kubectl(&["-n", "shop", "create", "job", "--from=cronjob/nightly", "tonight"]);
    cluster.kubectl(&["create", "serviceaccount", "-n", "shop", "looker"]);
    let role = ["create", "clusterrolebinding", "looker", "--clusterrole=view", "--serviceaccount=shop:looker"];
    cluster.kubectl(&role);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file is written");
    let token = cluster.kubectl(&["create", "token", "-n", "shop", "looker"]);
    write("token", &token);
    let authority = "{{ index (index .clusters 0).cluster \"certificate-authority-data\" | base64decode }}";
    write("ca.pem", &cluster.kubectl(&["config", "view", "--raw", "-o", &format!("go-template={authority}")]));
    write("apm.yaml", "version: 1\nobserve: { scrape: prometheus.yml, docker: 'off' }\n");
    let text = config(&cluster, folder.path());
    write("prometheus.yml", &text);
    let apm_yaml = folder.path().join("apm.yaml");
    let ours = Engine::start_with("discovery", &["--config", apm_yaml.to_str().expect("a path in UTF-8")], &[]);
    // It looks at what it has found every second instead of every five.
    let theirs = Prometheus::launch(&ours, peer::free_port(), &text, &["--scrape.discovery-reload-interval=1s"]);
    let sides = Sides { cluster: &cluster, ours: &ours, theirs: &theirs };

    // Each pod has three ports of the service's container, one of the sidecar that starts first, and two containers without any.
    let cart = |pods: usize| ("active pod", "\"cart-", Some(6 * pods));
    sides.agree(
        "at the start",
        &[
            cart(3),
            ("active node", "", Some(2)),
            ("active endpoints", "__meta_kubernetes_endpoint_ready=\"false\"", None),
            ("active endpointslice", "[2001:db8::1]:80", None),
            ("active ingress", "ingress_scheme=\"https\"", Some(3)),
            ("active pod-attached", "__meta_kubernetes_pod_deployment_name=\"cart\"", Some(18)),
            ("active pod-attached", "__meta_kubernetes_pod_cronjob_name=\"nightly\"", Some(1)),
            ("active service", "198.51.100.1,198.51.100.2", Some(1)),
            ("active by-address", "\"cart-", None),
            ("active kubernetes-pods", ":9100/stats ", Some(3)),
            ("dropped kubernetes-pods", "", None),
            ("active kubernetes-service-endpoints", ":9100/metrics ", Some(3)),
        ],
    );

    cluster.kubectl(&["-n", "shop", "scale", "deployment/cart", "--replicas=8"]);
    sides.agree("after pods came", &[cart(8)]);

    cluster.kubectl(&["-n", "shop", "label", "pods", "--all", "tier=gold", "app.kubernetes.io/part-of-"]);
    cluster.kubectl(&["label", "node", "kwok-0", "zone=b"]);
    cluster.kubectl(&["label", "namespace", "shop", "team=b", "--overwrite"]);
    let gold = "__meta_kubernetes_pod_label_tier=\"gold\"";
    sides.agree(
        "after labels changed",
        &[
            cart(8),
            ("active pod", gold, None),
            ("active endpoints", gold, None),
            ("active endpointslice", gold, None),
            ("active pod-attached", "__meta_kubernetes_namespace_label_team=\"b\"", None),
            ("active pod-attached", "__meta_kubernetes_node_label_zone=\"b\"", None),
        ],
    );

    cluster.kubectl(&["-n", "shop", "scale", "deployment/cart", "--replicas=1"]);
    cluster.kubectl(&["-n", "shop", "delete", "service", "balanced", "legacy"]);
    cluster.kubectl(&["-n", "shop", "delete", "ingress", "web"]);
    cluster.kubectl(&["delete", "node", "kwok-1"]);
    sides.agree("after much is gone", &[cart(1), ("active ingress", "", Some(0)), ("active node", "", Some(1))]);

    let kept = Seen::at(&ours.url);
    cluster.kill("kube-apiserver");
    wait::until("the API server to be gone", 20, || {
        cluster.try_kubectl("admin", &["get", "--raw", "/readyz"]).err().ok_or("it still answers")
    });
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(differences(&Seen::at(&ours.url), &kept), "", "what was found stays while nobody answers");
    cluster.xtask("restart", &["kube-apiserver"]);
    cluster.kubectl(&["-n", "shop", "scale", "deployment/cart", "--replicas=4"]);
    sides.agree("after the API server was killed", &[cart(4)]);

    let said = ours.printed();
    assert!(!said.contains(&token), "a token is in the log:\n{said}");
    drop(theirs);
    drop(ours);
    let left = cluster.stop();
    assert!(left.is_empty(), "{left:?}");
}
