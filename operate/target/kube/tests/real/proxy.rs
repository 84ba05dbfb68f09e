//! A gateway of the tests' own, as small as one can be: it reads the weights of an HTTPRoute (or a GRPCRoute), writes into its status that it takes it (or not), and sends each
//! request to one of the route's Services by their weights. The pods behind it, and kube-proxy between, are real.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use connect_kube::{Cluster, ListOptions, ObjectAt, Patch, Resource, WriteOptions};
use operate_execute::{Context, Judge, Judgement, Ruling};
use operate_plan::Failure;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::rig::Rig;

pub(crate) const CONTROLLER: &str = "example.org/small-gateway";
const REQUESTS: usize = 100;

/// Where requests go: an address, its weight, and what it is owed (smooth weighted round robin: a hundred requests are split to the last one).
struct Receiver {
    address: String,
    weight: i64,
    owed: i64,
}

pub(crate) struct Gateway {
    receivers: Arc<Mutex<Vec<Receiver>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Gateway {
    /// `takes` says whether it accepts a route, by the weights that it has.
    pub(crate) fn start(rig: &Rig, route: &str, takes: fn(&[u64]) -> bool) -> Gateway {
        let routes = Resource::namespaced("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes");
        Gateway::of(rig, routes.at(&rig.namespace, route), takes)
    }

    /// For a route of this kind, in this namespace.
    pub(crate) fn of(rig: &Rig, at: ObjectAt, takes: fn(&[u64]) -> bool) -> Gateway {
        let receivers = Arc::new(Mutex::new(Vec::new()));
        let task = rig.runtime.spawn(carry_out(at, Arc::clone(&receivers), takes));
        Gateway { receivers, task }
    }

    /// Which version answers a request.
    async fn ask(receivers: &Mutex<Vec<Receiver>>) -> Option<String> {
        let address = {
            let mut receivers = receivers.lock();
            let all: i64 = receivers.iter().map(|one| one.weight).sum();
            receivers.iter_mut().for_each(|one| one.owed += one.weight);
            let next = receivers.iter_mut().max_by_key(|one| one.owed)?;
            next.owed -= all;
            next.address.clone()
        };
        let asked = async {
            let mut stream = tokio::net::TcpStream::connect(&address).await.ok()?;
            stream.write_all(b"GET / HTTP/1.0\r\nHost: cart\r\n\r\n").await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            Some(answer.split_once("\r\n\r\n")?.1.trim().to_owned())
        };
        tokio::time::timeout(Duration::from_secs(3), asked).await.ok()?
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry_out(at: ObjectAt, receivers: Arc<Mutex<Vec<Receiver>>>, takes: fn(&[u64]) -> bool) {
    let cluster = Rig::cluster();
    let mut seen = Value::Null;
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let Ok(route) = cluster.get(&at).await else { continue };
        if route["metadata"]["generation"] == seen {
            continue;
        }
        let mut found = Vec::new();
        let mut weights = Vec::new();
        let mut resolved = true;
        for backend in route.pointer("/spec/rules/0/backendRefs").and_then(Value::as_array).into_iter().flatten() {
            let name = backend["name"].as_str().unwrap_or_default();
            let home = backend["namespace"].as_str().unwrap_or(&at.namespace);
            resolved &= home == at.namespace || is_let(&cluster, &at, home, name).await;
            let service = Resource::namespaced("v1", "Service", "services").at(home, name);
            let weight = backend["weight"].as_u64().unwrap_or(1);
            weights.push(weight);
            match cluster.get(&service).await {
                Ok(service) => found.push(Receiver {
                    address: format!("{}:80", service["spec"]["clusterIP"].as_str().unwrap_or_default()),
                    weight: i64::try_from(weight).unwrap_or(0),
                    owed: 0,
                }),
                Err(_) => resolved = false,
            }
        }
        let taken = takes(&weights);
        if taken && resolved {
            *receivers.lock() = found;
        }
        let condition = |kind: &str, holds: bool, reason: &str, message: &str| {
            json!({"type": kind, "status": if holds { "True" } else { "False" }, "reason": reason, "message": message,
                "observedGeneration": route["metadata"]["generation"], "lastTransitionTime": "2026-01-01T00:00:00Z"})
        };
        let accepted = match taken {
            true => condition("Accepted", true, "Accepted", ""),
            false => condition("Accepted", false, "UnsupportedValue", "no such weight on a Saturday"),
        };
        let status = json!({"status": {"parents": [{"controllerName": CONTROLLER, "parentRef": {"name": "edge"},
            "conditions": [accepted, condition("ResolvedRefs", resolved, "ResolvedRefs", "")]}]}});
        let options = WriteOptions { subresource: Some("status".into()), ..WriteOptions::by("small-gateway") };
        if cluster.patch(&at, &Patch::Merge(status), &options).await.is_ok() && resolved {
            seen = route["metadata"]["generation"].clone();
        }
    }
}

/// Whether a ReferenceGrant of the Service's namespace lets the route send to it.
async fn is_let(cluster: &Cluster, route: &ObjectAt, home: &str, service: &str) -> bool {
    let grants = Resource::namespaced("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", "referencegrants");
    let grants = cluster.list(&grants, Some(home), &ListOptions::default(), 100).await.unwrap_or_default();
    let rows = |grant: &Value, name: &str| grant["spec"][name].as_array().cloned().unwrap_or_default();
    grants.iter().any(|grant| {
        let from = rows(grant, "from").into_iter().any(|from| from["namespace"] == *route.namespace);
        from && rows(grant, "to").into_iter().any(|to| to["name"].as_str().is_none_or(|name| name == service))
    })
}

/// Looks at what a hundred requests through the gateway come to; a version that answers `vbad` is bad.
pub(crate) struct Watcher {
    receivers: Arc<Mutex<Vec<Receiver>>>,
    /// How many of a hundred the new version got, at each look that ruled.
    pub(crate) shares: Mutex<Vec<usize>>,
    old: String,
}

impl Watcher {
    pub(crate) fn new(gateway: &Gateway, old: &str) -> Arc<Watcher> {
        Arc::new(Watcher { receivers: Arc::clone(&gateway.receivers), shares: Mutex::default(), old: old.to_owned() })
    }
}

#[async_trait]
impl Judge for Watcher {
    async fn judge(&self, _: &Context, _: &Value, _: i64) -> Result<Judgement, Failure> {
        let mut answers = Vec::new();
        for _ in 0..REQUESTS {
            answers.extend(Gateway::ask(&self.receivers).await);
        }
        if answers.len() < REQUESTS {
            // The node's rules follow in a moment.
            return Ok(Ruling::Wait { again_ms: 300, sentence: "some requests had no answer".into() }.into());
        }
        let new: Vec<_> = answers.iter().filter(|answer| **answer != self.old).collect();
        if (REQUESTS / 2 + 1..REQUESTS).contains(&new.len()) {
            // Nobody asked for such a share: pods that are going still get some, until the node's rules follow.
            return Ok(Ruling::Wait { again_ms: 300, sentence: "old pods still answer".into() }.into());
        }
        self.shares.lock().push(new.len());
        let bad = new.iter().filter(|answer| ***answer == "vbad").count();
        let sentence = format!("{bad} of {} answers of the new version were bad", new.len());
        Ok(match bad {
            0 => Ruling::Pass { sentence },
            _ => Ruling::Fail { sentence, hurt_since_ms: None },
        }
        .into())
    }
}
