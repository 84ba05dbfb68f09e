//! The real Kubernetes that later journeys deploy to: it runs pods, services and a fleet of pretended nodes, gets over the death of its parts, and leaves
//! nothing on the machine.

use std::collections::BTreeSet;
use std::process::Stdio;

use tests_journeys::{Cluster, Dockerd, cluster, http, wait};

/// Two pods of the cluster's own image that answer with their own name, and their service.
const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: apm.test/busybox:1
        command: [sh, -c, 'mkdir -p /www; hostname >/www/index.html; echo started; exec httpd -f -p 8080 -h /www']
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
";

/// Pods for the pretended nodes; two of them do not get ready.
const FLEET: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: fleet}
spec:
  replicas: 200
  selector: {matchLabels: {app: fleet}}
  template:
    metadata: {labels: {app: fleet}}
    spec:
      nodeSelector: {type: kwok}
      tolerations: [{key: kwok.x-k8s.io/node, operator: Exists}]
      containers: [{name: main, image: pretended}]
---
apiVersion: v1
kind: Pod
metadata: {name: ill, labels: {apm.test/fate: crash}}
spec:
  nodeSelector: {type: kwok}
  tolerations: [{key: kwok.x-k8s.io/node, operator: Exists}]
  containers: [{name: main, image: pretended}]
";

#[test]
fn pods_run_services_answer_parts_come_back_and_nothing_is_left() {
    let before = kernel_settings();
    let cluster = Cluster::start("journey", &["--kwok", "2"]);
    assert!(cluster.xtask("up", &[]).contains("was up"), "a second `up` says that it is");

    let docker = Dockerd::shared();
    let image = docker.busybox_image();
    cluster.load(docker, image);
    cluster.apply(&WEB.replace("apm.test/busybox:1", image));
    cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout", "90s"]);
    let pods = names(&cluster, "app=web");
    assert_eq!(pods.len(), 2, "{pods:?}");
    let service = cluster.kubectl(&["get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"]);
    let url = format!("http://{service}/");
    let mut answered = BTreeSet::new();
    wait::until("an answer of each pod through the service", 30, || {
        answered.extend(http::try_get(&url, &[]).map(|reply| reply.text().trim().to_owned()));
        if answered == pods { Ok(()) } else { Err(answered.clone()) }
    });
    let pod = pods.first().expect("two of them");
    assert_eq!(cluster.kubectl(&["logs", pod]), "started");
    for url in [url.as_str(), "http://web/", "http://web.default.svc.cluster.local/"] {
        let inside = cluster.kubectl(&["exec", pod, "--", "wget", "-q", "-O", "-", url]);
        assert!(pods.contains(&inside), "a pod asks {url} and hears `{inside}`");
    }

    cluster.apply(FLEET);
    cluster.kubectl(&["rollout", "status", "deployment/fleet", "--timeout", "120s"]);
    let phases = ["get", "pods", "-l", "app=fleet", "--field-selector", "status.phase=Running", "-o", "name"];
    assert_eq!(cluster.kubectl(&phases).lines().count(), 200);
    let reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
    wait::until("the pretended crash loop", 30, || {
        match cluster.kubectl(&["get", "pod", "ill", "-o", reason]).as_str() {
            "CrashLoopBackOff" => Ok(()),
            other => Err(other.to_owned()),
        }
    });

    for user in ["token", "exec"] {
        let who = cluster.try_kubectl(user, &["auth", "whoami"]).expect("it may ask who it is");
        assert!(who.contains("system:serviceaccount:kube-system:tester"), "{user}: {who}");
    }
    assert!(cluster.try_kubectl("viewer", &["get", "pods"]).is_ok(), "the viewer may look");
    let refused = cluster.try_kubectl("viewer", &["delete", "pod", pod]).expect_err("and may do nothing");
    assert!(refused.contains("Forbidden"), "{refused}");

    for part in ["etcd", "kube-apiserver", "containerd", "kubelet", "kube-proxy"] {
        cluster.kill(part);
    }
    assert!(cluster.xtask("up", &[]).contains("is up after"), "what died is started again");
    assert_eq!(names(&cluster, "app=web"), pods, "and the pods did not notice");
    // A kubelet that has just begun does not know its pods yet.
    wait::until("the log of a pod from before", 30, || match cluster.try_kubectl("admin", &["logs", pod]) {
        Ok(log) if log == "started" => Ok(()),
        other => Err(other),
    });

    let left = cluster.stop();
    assert!(left.is_empty(), "left behind: {left:#?}");
    assert_eq!(kernel_settings(), before, "the machine's own settings stay");
}

#[test]
fn an_older_minor_runs_and_a_cluster_killed_whole_leaves_nothing() {
    let old = Cluster::start("older", &["--control-plane-only", "--emulate", "1.35"]);
    let version: serde_json::Value = serde_json::from_str(&old.kubectl(&["get", "--raw", "/version"])).expect("JSON");
    assert_eq!(version["emulationMinor"], "35", "{version}");

    let cluster = Cluster::start("killed", &[]);
    cluster.apply(WEB);
    cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout", "90s"]);
    for part in cluster.parts() {
        cluster.kill(&part);
    }
    let left = cluster.stop();
    assert!(left.is_empty(), "left behind: {left:#?}");

    assert_eq!(old.kubectl(&["get", "--raw", "/readyz"]), "ok", "the one beside it goes on");
    let left = old.stop();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

#[test]
fn a_test_killed_while_its_cluster_starts_leaves_nothing() {
    let name = format!("early-{}", std::process::id());
    // Nobody reads, and the input has ended: so it is after a kill.
    let mut hold = cluster::xtask();
    hold.args(["hold", "--name", &name, "--control-plane-only"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut hold = hold.spawn().expect("cargo can be started");
    drop(hold.stdout.take());
    let status = hold.wait().expect("it ends by itself");
    assert!(status.success(), "{status}");
    let listed = cluster::xtask().arg("list").output().expect("cargo can be started");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(!listed.contains(&name), "{listed}");
}

/// The names of the pods with a label.
fn names(cluster: &Cluster, label: &str) -> BTreeSet<String> {
    let printed = cluster.kubectl(&["get", "pods", "-l", label, "-o", "jsonpath={.items[*].metadata.name}"]);
    printed.split(' ').map(str::to_owned).collect()
}

/// What a kubelet sets for the whole machine where it may.
fn kernel_settings() -> Vec<String> {
    let files = ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"];
    files.map(|file| std::fs::read_to_string(format!("/proc/sys/{file}")).unwrap_or_default()).into()
}
