//! What all of these tests need: the cluster as one of its users, a namespace, a way to wait, and to harm the API server.

use std::path::PathBuf;
use std::time::Duration;

use base_world::World;
use connect_kube::{Choice, Cluster, DeleteOptions, KubeError, Resource, Result, Surroundings, WriteOptions, find};
use serde_json::{Value, json};
use tokio::sync::{RwLock, RwLockReadGuard};

/// Held for reading by whoever needs the server to answer, for writing by whoever ends it.
pub(crate) static SERVER: RwLock<()> = RwLock::const_new(());
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// The folder of the counterpart.
pub(crate) fn folder() -> PathBuf {
    let folder = std::env::var("APM_TEST_KUBERNETES");
    folder.expect("APM_TEST_KUBERNETES is not set: these tests are run by `cargo xtask journeys connectors`").into()
}

/// The kubeconfig of a user: admin, token, exec, viewer.
pub(crate) fn kubeconfig(user: &str) -> PathBuf {
    folder().join("apm-cluster/apm/kubeconfig").join(user)
}

pub(crate) fn cluster_by(kubeconfig: PathBuf) -> Cluster {
    let choice = Choice { kubeconfig: Some(kubeconfig), ..Choice::default() };
    Cluster::new(
        find(&Surroundings::default(), &choice, &*World::real().disk).expect("a good kubeconfig"),
        World::real(),
    )
}

pub(crate) fn admin() -> Cluster {
    cluster_by(kubeconfig("admin"))
}

pub(crate) async fn serving() -> RwLockReadGuard<'static, ()> {
    SERVER.read().await
}

pub(crate) fn by(manager: &str) -> WriteOptions {
    WriteOptions::by(manager)
}

pub(crate) fn config_maps() -> Resource {
    Resource::namespaced("v1", "ConfigMap", "configmaps")
}

pub(crate) fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

pub(crate) fn namespaces() -> Resource {
    Resource::cluster_wide("v1", "Namespace", "namespaces")
}

/// A namespace of a test's own, with its service account; what an earlier run left goes first.
pub(crate) async fn namespace(cluster: &Cluster, name: &str, labels: Value) {
    let at = namespaces().at("", name);
    if cluster.delete_if_there(&at, &DeleteOptions::default()).await.expect("asked to go") {
        until("the old namespace is gone", async || Ok(cluster.get_if_there(&at).await?.is_none())).await;
    }
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    cluster.create(&namespaces(), "", &object, &by("test")).await.expect("made");
    let account = Resource::namespaced("v1", "ServiceAccount", "serviceaccounts").at(name, "default");
    until("its service account", async || Ok(cluster.get_if_there(&account).await?.is_some())).await;
}

/// Asks until it is so.
pub(crate) async fn until(what: &str, ask: impl AsyncFn() -> Result<bool>) {
    let asking = async {
        while !ask().await.unwrap_or_else(|error| panic!("{what}: {error}")) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(MINUTE, asking).await.unwrap_or_else(|_| panic!("{what}: not within a minute"));
}

/// Tries until it is refused in this way: rules of admission come into force some time after they were written.
pub(crate) async fn refused(
    what: &str,
    attempt: impl AsyncFn() -> Result<()>,
    is_it: impl Fn(&KubeError) -> bool,
) -> KubeError {
    let trying = async {
        loop {
            match attempt().await {
                Err(error) if is_it(&error) => return error,
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    tokio::time::timeout(MINUTE, trying).await.unwrap_or_else(|_| panic!("{what}: not within a minute"))
}

/// Ends the API server as kill -9 does and starts it again; returns when it is ready.
pub(crate) async fn restart_server() {
    let output = tokio::process::Command::new("sh").arg(folder().join("restart")).output().await.expect("a shell");
    assert!(output.status.success(), "restart: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes etcd forget all versions before the newest.
pub(crate) async fn compact(cluster: &Cluster) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let known = World::real()
        .disk
        .read(&folder().join("apm-cluster/apm/cluster.json"), 1 << 16)
        .expect("the cluster's description");
    let known: Value = serde_json::from_slice(&known).expect("JSON");
    let port = u16::try_from(known["ports"]["etcd"].as_u64().expect("a port")).expect("a port");
    let version =
        cluster.page(&namespaces(), None, &connect_kube::ListOptions::default()).await.expect("listed").version;
    // etcd's gateway: https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/
    let body = json!({"revision": version, "physical": true}).to_string();
    let request = format!("POST /v3/kv/compaction HTTP/1.0\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("etcd");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    assert!(answer.contains(" 200 "), "{answer}");
}
