//! Telemetry into pods on a real cluster: its API server asks our webhook, the kubelet runs what came of it, and the certificate changes meanwhile. The
//! agent's image is a small one of our own: what is proven is that its files and variables are there when the program starts.

mod admitted;
mod arrives;

use std::path::Path;
use std::process::{Command, Stdio};

use tests_journeys::{Cluster, Dockerd, Peer, artefacts, engine, peer, tools, wait};

/// It says what it was given, and stays.
const WEB: &str = "# The web.
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web} # ours
      annotations:
        instrumentation.opentelemetry.io/inject-python: \"true\"
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: apm.test/busybox:1
        command: [sh, -c, 'ls /opt/apm/python; env; echo all; sleep 3600']
        env:
        - {name: PYTHONPATH, value: /app}
";

fn webhook(url: &str, authority: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Namespace
metadata: {{name: shop, labels: {{telemetry: apm}}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {{name: apm}}
webhooks:
- name: inject.apm.dev
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  timeoutSeconds: 5
  clientConfig: {{url: '{url}', caBundle: {authority}}}
  namespaceSelector: {{matchLabels: {{telemetry: apm}}}}
  rules:
  - {{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods]}}
"
    )
}

#[test]
fn the_api_server_asks_and_a_pod_comes_out_injected() {
    let cluster = Cluster::start("inject", &[]);
    let docker = Dockerd::shared();
    let agent = docker.busybox_image();
    cluster.load(docker, agent);
    let (folder, machine) = (tempfile::tempdir().expect("a folder"), cluster.machine());
    let authority = authority(folder.path());
    certificate(folder.path(), &machine, "first");
    let address = format!("{machine}:{}", peer::free_port());
    let mut command = Command::new(engine::apm());
    command.args(["k8s", "inject", "--serve", &address, "--cert", "tls.crt", "--key", "tls.key"]);
    command.args(["--image", agent, "--source", "/bin/busybox"]).env("APM_LOG", "info");
    command.current_dir(folder.path());
    let server = Peer::start(&mut command, artefacts::folder("inject").join("webhook.log"));
    wait::until("the webhook to listen", 20, || {
        let printed = server.printed();
        if printed.contains("admissions are answered") { Ok(()) } else { Err(printed) }
    });
    cluster.apply(&webhook(&format!("https://{address}/inject"), &authority));

    // A configuration takes a moment until it is asked; from then on it always is.
    let one = ["run", "one", "-n", "shop", "--image", "python:3", "--dry-run=server", "-o", "yaml"];
    wait::until("the API server to ask the webhook", 30, || match cluster.try_kubectl("admin", &one) {
        Ok(pod) if pod.contains("apm.dev/injected") => Ok(()),
        other => Err(other),
    });
    cluster.apply(WEB);
    cluster.kubectl(&["rollout", "status", "-n", "shop", "deployment/web", "--timeout", "90s"]);
    let log = wait::until("what the program was given", 30, || {
        let log = cluster.kubectl(&["logs", "-n", "shop", "deployment/web", "-c", "web"]);
        if log.contains("\nall") { Ok(log) } else { Err(log) }
    });
    let node = machine.replace(".0.1", ".0.2");
    for line in [
        "busybox".to_owned(),
        format!("OTEL_EXPORTER_OTLP_ENDPOINT=http://{node}:4318"),
        "OTEL_SERVICE_NAME=web".to_owned(),
        "PYTHONPATH=/opt/apm/python/opentelemetry/instrumentation/auto_instrumentation:/opt/apm/python:/app".to_owned(),
    ] {
        assert!(log.lines().any(|one| one == line), "no `{line}` in\n{log}");
    }
    let pod =
        cluster.kubectl(&["get", "pods", "-n", "shop", "-l", "app=web", "-o", "jsonpath={.items[0].metadata.name}"]);
    assert!(log.contains(&format!("k8s.pod.name={pod},")) && log.contains("k8s.deployment.name=web,"), "{log}");

    // The certificate changes, and no pod is refused: the API server insists on an answer.
    for which in ["second", "third"] {
        certificate(folder.path(), &machine, which);
        let mut asked = 0;
        wait::until("the new certificate in force", 30, || {
            let pod = cluster.kubectl(&one);
            assert!(pod.contains("apm.dev/injected"), "{pod}");
            asked += 1;
            let shown = shown(&address);
            if shown.contains(which) && asked > 3 { Ok(()) } else { Err(shown) }
        });
    }

    // The same as a file: the server takes it, and it can be taken out to the byte.
    let file = folder.path().join("web.yaml");
    std::fs::write(&file, WEB).expect("written");
    apm(&["k8s", "inject", "--write", "--sidecar", "traces,logs", file.to_str().expect("ASCII")]);
    let path = file.to_str().expect("ASCII");
    cluster.kubectl(&["delete", "mutatingwebhookconfiguration", "apm"]);
    assert!(cluster.kubectl(&["apply", "--dry-run=server", "-f", path]).contains("deployment.apps/web"));
    apm(&["k8s", "uninject", "--write", path]);
    assert_eq!(std::fs::read_to_string(&file).expect("read"), WEB);

    drop(server);
    let left = cluster.stop();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

fn apm(words: &[&str]) {
    let output = Command::new(engine::apm()).args(words).output().expect("apm can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn openssl(folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new(tools::system("openssl"));
    let output = command.current_dir(folder).args(words).stdin(Stdio::null()).output().expect("it can be started");
    assert!(output.status.success(), "openssl {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const KEY: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// An authority; as a webhook's configuration wants it.
fn authority(folder: &Path) -> String {
    let words =
        ["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.crt"];
    openssl(folder, &[&words[..], &KEY].concat());
    openssl(folder, &["base64", "-A", "-in", "ca.crt"])
}

/// Another certificate in the place of the one that is there.
fn certificate(folder: &Path, address: &str, name: &str) {
    std::fs::write(folder.join("san"), format!("subjectAltName=IP:{address}\n")).expect("written");
    let subject = format!("/CN={name}");
    let words = ["req", "-nodes", "-subj", &subject, "-keyout", "new.key", "-out", "new.csr"];
    openssl(folder, &[&words[..], &KEY].concat());
    let words =
        ["x509", "-req", "-in", "new.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
    openssl(folder, &[&words[..], &["-extfile", "san", "-out", "new.crt"]].concat());
    for end in ["crt", "key"] {
        std::fs::rename(folder.join(format!("new.{end}")), folder.join(format!("tls.{end}"))).expect("exchanged");
    }
}

/// The subject of the certificate that is shown to a new connection.
fn shown(address: &str) -> String {
    let output = Command::new(tools::system("openssl"))
        .args(["s_client", "-connect", address])
        .stdin(Stdio::null())
        .output()
        .expect("it can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter(|line| line.contains("subject=")).collect()
}
