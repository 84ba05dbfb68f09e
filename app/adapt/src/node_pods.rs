//! The pods of a node as what `observe/ingest` names their logs by: one watch, kept as long as the tail lives. Which name a resource gets is not known
//! here.

use std::collections::HashMap;
use std::sync::Arc;

use base_world::Clock;
use connect_kube::{Change, Cluster, KubeError, ObjectKey, Resource, Watch, WatchOptions};
use observe_ingest::tail::{Lookup, PodFacts, PodMetadata, PodRef, facts_of, log_uids};
use parking_lot::RwLock;
use tokio::task::AbortHandle;

/// The logs of a pod are read to their end after it is gone.
const KEPT_MS: i64 = 10 * 60 * 1000;
/// Of those that are gone; a node that makes more within that time loses the names of the oldest.
const KEPT_MAX: usize = 5000;

/// What is known of a node's pods. Must be made within a runtime; the watch ends when it is dropped.
pub struct NodePods {
    state: Arc<RwLock<State>>,
    task: AbortHandle,
}

#[derive(Default)]
struct State {
    /// By each uid that a folder of logs may have.
    pods: HashMap<String, Known>,
    trouble: Option<String>,
    /// The trouble will not pass by itself: nobody should wait.
    hopeless: bool,
}

struct Known {
    facts: Arc<PodFacts>,
    /// When the pod went, Unix.
    gone_ms: Option<i64>,
}

/// Of one pod, what is held of it.
type Held = (Vec<String>, Arc<PodFacts>);

impl Drop for NodePods {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl NodePods {
    /// Watches the pods of the node; it needs `list` and `watch` on `pods`.
    pub fn watch(cluster: &Cluster, node: &str, clock: Arc<dyn Clock>) -> NodePods {
        let pods = Resource::namespaced("v1", "Pod", "pods");
        let options = WatchOptions { fields: Some(format!("spec.nodeName={node}")), ..WatchOptions::default() };
        let make = |pod: serde_json::Value| -> Held { (log_uids(&pod), Arc::new(facts_of(&pod))) };
        let watch = cluster.watch(&pods, None, options, make);
        let state = Arc::new(RwLock::new(State::default()));
        let task = tokio::spawn(follow(watch, state.clone(), clock)).abort_handle();
        NodePods { state, task }
    }

    /// What is wrong with the watch now, in one line.
    pub fn trouble(&self) -> Option<String> {
        self.state.read().trouble.clone()
    }
}

impl PodMetadata for NodePods {
    fn pod(&self, pod: &PodRef) -> Lookup {
        let state = self.state.read();
        match state.pods.get(&pod.uid) {
            Some(known) => Lookup::Known(known.facts.clone()),
            None if state.hopeless => Lookup::Never,
            None => Lookup::NotYet,
        }
    }
}

async fn follow(mut watch: Watch<Held>, state: Arc<RwLock<State>>, clock: Arc<dyn Clock>) {
    loop {
        let change = watch.next().await;
        let state = &mut *state.write();
        match change {
            Ok(Change::Added(key) | Change::Modified(key, _)) => {
                see(&watch, &key, state);
                healthy(state);
            }
            Ok(Change::Deleted(_, (uids, _))) => {
                for uid in uids {
                    if let Some(known) = state.pods.get_mut(&uid) {
                        known.gone_ms = Some(clock.now_ms());
                    }
                }
                forget(state, clock.now_ms());
                healthy(state);
            }
            Ok(Change::Listed) => {
                forget(state, clock.now_ms());
                healthy(state);
            }
            Ok(Change::Interrupted { error, .. }) => state.trouble = Some(told(&error)),
            Err(error) => (state.trouble, state.hopeless) = (Some(told(&error)), true),
        }
    }
}

fn see(watch: &Watch<Held>, key: &ObjectKey, state: &mut State) {
    // It may be gone already, which is told next.
    let Some((uids, facts)) = watch.get(key) else { return };
    for uid in uids {
        state.pods.insert(uid.clone(), Known { facts: facts.clone(), gone_ms: None });
    }
}

fn healthy(state: &mut State) {
    (state.trouble, state.hopeless) = (None, false);
}

fn forget(state: &mut State, now_ms: i64) {
    state.pods.retain(|_, known| known.gone_ms.is_none_or(|gone_ms| now_ms - gone_ms < KEPT_MS));
    let mut gone: Vec<(i64, String)> =
        state.pods.iter().filter_map(|(uid, known)| Some((known.gone_ms?, uid.clone()))).collect();
    if gone.len() > KEPT_MAX {
        gone.sort();
        for (_, uid) in gone.iter().take(gone.len() - KEPT_MAX) {
            state.pods.remove(uid);
        }
    }
}

fn told(error: &KubeError) -> String {
    let why = match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    format!("pods of this node are not known, their logs have the names that the paths say: {why}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base_world::World;
    use connect_kube::{Cluster, Found};
    use observe_ingest::tail::{Lookup, PodMetadata as _, PodRef};
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::NodePods;

    fn pod(name: &str, version: u32) -> Value {
        let labels = json!({"app.kubernetes.io/name": name});
        let annotations = json!({"kubernetes.io/config.hash": format!("hash-{name}")});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "uid": name,
            "resourceVersion": version.to_string(), "labels": labels, "annotations": annotations},
            "spec": {"nodeName": "n"}})
    }

    fn response(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    /// An API server that gives these answers to what it is asked, one after the other, the last for ever; what it was asked comes back.
    async fn serve(answers: Vec<String>) -> (Cluster, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (tell, asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut at = 0;
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { break };
                    head.push(byte);
                }
                let _ = tell.send(String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned());
                let _ = stream.write_all(answers[at.min(answers.len() - 1)].as_bytes()).await;
                at += 1;
            }
        });
        let found = Found::at(&format!("http://127.0.0.1:{port}"), "the test");
        (Cluster::new(found, World::real()), asked)
    }

    async fn check(pods: &NodePods, uid: &str, expect: &str) {
        let asked = PodRef { namespace: "shop".into(), name: "x".into(), uid: uid.into() };
        let what = || match pods.pod(&asked) {
            Lookup::Known(facts) => facts.labels.get("app.kubernetes.io/name").cloned().unwrap_or_default(),
            Lookup::NotYet => "not yet".to_owned(),
            Lookup::Never => "never".to_owned(),
        };
        let awaited = async {
            while what() != expect {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let limit = std::time::Duration::from_secs(30);
        assert!(tokio::time::timeout(limit, awaited).await.is_ok(), "{uid}: {:?}, {:?}", what(), pods.trouble());
    }

    #[tokio::test]
    async fn pods_of_the_node_are_known_and_kept_when_they_are_gone() {
        let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "5"}, "items": [pod("a", 4)]});
        let events =
            [json!({"type": "ADDED", "object": pod("b", 6)}), json!({"type": "DELETED", "object": pod("a", 7)})];
        let events: String = events.iter().map(|event| format!("{event}\n")).collect();
        let watch = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{events}");
        let quiet = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_owned();
        let (cluster, mut asked) = serve(vec![response("200 OK", &list.to_string()), watch, quiet]).await;
        let pods = NodePods::watch(&cluster, "n", Arc::new(base_world::SystemClock::new()));
        check(&pods, "b", "b").await;
        check(&pods, "a", "a").await;
        check(&pods, "hash-b", "b").await;
        check(&pods, "c", "not yet").await;
        let first = asked.recv().await.expect("a request");
        assert!(first.starts_with("GET /api/v1/pods?") && first.contains("fieldSelector=spec.nodeName%3Dn"), "{first}");
    }

    #[tokio::test]
    async fn nobody_waits_for_what_may_not_be_read() {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
            "message": "pods is forbidden: User \"u\" cannot list resource \"pods\" in API group \"\" at the cluster scope"});
        let (cluster, _asked) = serve(vec![response("403 Forbidden", &status.to_string())]).await;
        let pods = NodePods::watch(&cluster, "n", Arc::new(base_world::SystemClock::new()));
        check(&pods, "a", "never").await;
        assert!(pods.trouble().is_some_and(|why| why.contains("pods")), "{:?}", pods.trouble());
    }
}
