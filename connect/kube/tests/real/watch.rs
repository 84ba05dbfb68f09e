//! Five thousand pods: what they cost in memory and how late a change is seen.

use std::time::{Duration, Instant};

use connect_kube::{Change, Resource, WatchOptions};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::support::{MINUTE, admin, by, namespace, serving};

const NAMESPACE: &str = "kube-many";
const PODS: usize = 5000;
const ROUNDS: usize = 30;

/// Bytes of memory of this process.
fn resident_bytes() -> u64 {
    let status = std::process::Command::new("sh")
        .args(["-c", &format!("grep VmRSS /proc/{}/status", std::process::id())])
        .output()
        .expect("a shell");
    let kilobytes: String = String::from_utf8_lossy(&status.stdout).chars().filter(char::is_ascii_digit).collect();
    kilobytes.parse::<u64>().expect("a number") * 1024
}

fn pod(number: usize) -> Value {
    let variables: Vec<_> = (0..10)
        .map(|n| json!({"name": format!("SETTING_{n}"), "value": format!("value {n} of pod {number}")}))
        .collect();
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("p{number:05}"), "labels": {"app": "many"}}, "spec": {
        "schedulerName": "nobody", "containers": [{"name": "c", "image": "example.org/c:1", "env": variables, "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}]}})
}

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn five_thousand_pods() {
    let (_serving, cluster) = (serving().await, admin());
    namespace(&cluster, NAMESPACE, json!({})).await;
    let pods = Resource::namespaced("v1", "Pod", "pods");
    let make = |number: usize| {
        let (cluster, pods) = (cluster.clone(), pods.clone());
        async move { cluster.create(&pods, NAMESPACE, &pod(number), &by("t")).await.map(drop).expect("made") }
    };
    let begin = now();
    stream::iter(0..PODS).map(make).buffer_unordered(16).collect::<Vec<()>>().await;
    println!("{PODS} pods made in {:.1} s", begin.elapsed().as_secs_f64());

    let (before_bytes, begin) = (resident_bytes(), now());
    let phase = |pod: Value| pod["status"]["phase"].as_str().unwrap_or_default().to_owned();
    let mut watch = cluster.watch(&pods, Some(NAMESPACE), WatchOptions::default(), phase);
    while !matches!(watch.next().await.expect("listed"), Change::Listed) {}
    assert_eq!(watch.len(), PODS);
    let held_bytes = resident_bytes().saturating_sub(before_bytes);
    println!("listed in {:.2} s; memory grew by {:.1} MB", begin.elapsed().as_secs_f64(), held_bytes as f64 / 1e6);
    assert!(held_bytes < 150_000_000, "{held_bytes}");

    let mut late = Vec::new();
    for round in 0..ROUNDS {
        let name = format!("p{:05}", round * (PODS / ROUNDS));
        let patch = connect_kube::Patch::Merge(json!({"metadata": {"labels": {"round": round.to_string()}}}));
        let (at, begin) = (pods.at(NAMESPACE, &name), now());
        let seen = async {
            loop {
                if let Change::Modified(key, _) = watch.next().await.expect("watched")
                    && key.name == name
                {
                    return begin.elapsed();
                }
            }
        };
        let options = by("t");
        let (written, seen) = tokio::join!(cluster.patch(&at, &patch, &options), tokio::time::timeout(MINUTE, seen));
        written.expect("patched");
        late.push(seen.expect("seen within a minute"));
    }
    late.sort_unstable();
    println!(
        "a change is seen {:?} after it was asked for (median), {:?} at most; memory {:.1} MB",
        late[ROUNDS / 2],
        late[ROUNDS - 1],
        resident_bytes() as f64 / 1e6
    );
    assert!(late[ROUNDS - 1] < Duration::from_secs(1), "{late:?}");
}
