//! Discoveries in front of a server of a few lines: what they are told, and how often it is asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

use super::*;

/// Has the pod `a`; each event sent is seen by every watch.
struct Server {
    address: String,
    events: broadcast::Sender<Value>,
    asked: Arc<AtomicUsize>,
}

fn pod(name: &str, ip: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": ip.replace('.', "")},
        "spec": {"containers": [{"name": "main"}]}, "status": {"podIP": ip}})
}

impl Server {
    /// Every listing is answered with this status.
    async fn start(status: u16) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (events, asked) = (broadcast::channel(16).0, Arc::new(AtomicUsize::new(0)));
        let (all_events, count) = (events.clone(), asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, status, all_events.subscribe(), count.clone()));
            }
        });
        Server { address, events, asked }
    }

    fn config(&self) -> KubernetesSdConfig {
        serde_json::from_value(json!({"role": "pod", "api_server": self.address})).unwrap()
    }
}

async fn answer(
    mut stream: TcpStream,
    status: u16,
    mut events: broadcast::Receiver<Value>,
    asked: Arc<AtomicUsize>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let ok = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    if head.contains("watch=true") {
        stream.write_all(ok.as_bytes()).await.ok()?;
        while let Ok(event) = events.recv().await {
            stream.write_all(format!("{event}\n").as_bytes()).await.ok()?;
        }
        return Some(());
    }
    asked.fetch_add(1, Ordering::SeqCst);
    let list = json!({"kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": [pod("a", "10.0.0.1")]});
    let refusal = json!({"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": "pods is forbidden: User \"looker\" cannot list resource \"pods\" in API group \"\" at the cluster scope"});
    let (ok, body) = match status {
        200 => (ok.to_owned(), list),
        _ => (ok.replace("200 OK", "403 Forbidden"), refusal),
    };
    stream.write_all(format!("{ok}{body}").as_bytes()).await.ok()
}

fn clusters() -> Clusters {
    Clusters::new(World::real(), Surroundings::default())
}

/// Sources and addresses of the next changes that have groups.
async fn told(targets: &mut KubernetesTargets) -> Vec<String> {
    let shown = |group: &observe_ingest::discovery::Group| {
        let addresses: Vec<_> = group.targets.iter().filter_map(|target| target.get("__address__")).collect();
        format!("{} {}", group.source, addresses.join(" "))
    };
    loop {
        let changes = targets.next().await;
        if !changes.groups.is_empty() {
            assert!(changes.complete);
            return changes.groups.iter().map(shown).collect();
        }
    }
}

#[tokio::test]
async fn what_comes_and_goes_is_told_to_all_by_one_watch() {
    let (server, clusters) = (Server::start(200).await, clusters());
    let mut first = clusters.discover(server.config(), Path::new("/"));
    assert_eq!(told(&mut first).await, ["pod/shop/a 10.0.0.1"]);
    while server.events.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    server.events.send(json!({"type": "ADDED", "object": pod("b", "10.0.0.2")})).unwrap();
    assert_eq!(told(&mut first).await, ["pod/shop/b 10.0.0.2"]);

    let mut second = clusters.discover(server.config(), Path::new("/"));
    assert_eq!(told(&mut second).await, ["pod/shop/a 10.0.0.1", "pod/shop/b 10.0.0.2"]);
    server.events.send(json!({"type": "DELETED", "object": pod("a", "10.0.0.1")})).unwrap();
    for targets in [&mut first, &mut second] {
        assert_eq!(told(targets).await, ["pod/shop/a "]);
    }
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);

    // The last of those who hold it takes the watch with it; another begins anew.
    drop((first, second));
    let mut third = clusters.discover(server.config(), Path::new("/"));
    assert_eq!(told(&mut third).await, ["pod/shop/a 10.0.0.1"]);
    assert_eq!(server.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_is_wrong_is_told_in_words() {
    let server = Server::start(403).await;
    let mut targets = clusters().discover(server.config(), Path::new("/"));
    let troubles = loop {
        let changes = targets.next().await;
        assert!(!changes.complete);
        if !changes.troubles.is_empty() {
            break changes.troubles;
        }
    };
    let said: Vec<_> = troubles.into_iter().collect();
    assert!(said.len() == 1 && said[0].contains("`looker` may not list pods in the cluster"), "{said:?}");

    let config = serde_json::from_value(json!({"role": "pod", "kubeconfig_file": "nothing.yaml"})).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let changes = clusters().discover(config, folder.path()).next().await;
    let said = format!("{changes:?}");
    assert!(said.contains(&folder.path().join("nothing.yaml").display().to_string()), "{said}");
    let config = serde_json::from_value(json!({"role": "pod"})).unwrap();
    let said = format!("{:?}", clusters().discover(config, Path::new("/")).next().await);
    assert!(said.contains("this is no pod of a cluster"), "{said}");
}

#[test]
fn a_login_is_as_it_is_written_with_paths_from_the_file_s_folder() {
    let config: KubernetesSdConfig = serde_json::from_value(json!({"role": "pod", "api_server": "https://x",
        "authorization": {"credentials_file": "token"},
        "tls_config": {"ca_file": "/ca.pem", "cert_file": "c.pem", "key_file": "k.pem", "server_name": "kubernetes"}}))
    .unwrap();
    let login = login(&at(&config, Path::new("/etc/apm")));
    assert_eq!(login.token_file, Some(PathBuf::from("/etc/apm/token")));
    assert_eq!(login.authority_file, Some(PathBuf::from("/ca.pem")));
    assert_eq!(login.identity_files, Some(("/etc/apm/c.pem".into(), "/etc/apm/k.pem".into())));
    assert_eq!((login.server_name.as_deref(), login.insecure), (Some("kubernetes"), false));
}
