//! A watch across everything that can be done to a real server: killed, started again, its history forgotten.

use std::time::Duration;

use connect_kube::{Change, Cluster, DeleteOptions, ListOptions, Patch, Watch, WatchOptions};
use serde_json::{Value, json};

use crate::support::{MINUTE, SERVER, admin, by, compact, config_map, config_maps, namespace, restart_server};

const NAMESPACE: &str = "kube-changes";

fn value(object: Value) -> String {
    object["data"]["v"].as_str().unwrap_or_default().to_owned()
}

/// Reads changes until this is what is held; how often it was interrupted and listed on the way, and what went.
async fn settle(watch: &mut Watch<String>, expect: &[(&str, &str)]) -> (u32, u32, Vec<String>) {
    let (mut interrupted, mut listed, mut deleted) = (0, 0, Vec::new());
    let settling = async {
        loop {
            let mut held: Vec<_> = watch.all().map(|(key, value)| (key.name.as_str(), value.as_str())).collect();
            held.retain(|(name, _)| *name != "kube-root-ca.crt");
            held.sort_unstable();
            if held == expect {
                return;
            }
            match watch.next().await.expect("it passes") {
                Change::Interrupted { .. } => interrupted += 1,
                Change::Listed => listed += 1,
                Change::Deleted(key, _) => deleted.push(key.name),
                _ => {}
            }
        }
    };
    let outcome = tokio::time::timeout(MINUTE, settling).await;
    assert!(outcome.is_ok(), "{expect:?} within a minute, held are {:?}", watch.all().collect::<Vec<_>>());
    deleted.sort();
    (interrupted, listed, deleted)
}

async fn put(cluster: &Cluster, name: &str, v: &str) {
    let at = config_maps().at(NAMESPACE, name);
    cluster.apply(&at, &config_map(name, &json!({"v": v})), &by("t")).await.expect("written");
}

async fn remove(cluster: &Cluster, name: &str) {
    cluster.delete(&config_maps().at(NAMESPACE, name), &DeleteOptions::default()).await.expect("gone");
}

#[tokio::test]
async fn a_server_is_killed_and_forgets() {
    let _alone = SERVER.write().await;
    let cluster = admin();
    namespace(&cluster, NAMESPACE, json!({})).await;
    for name in ["changed", "exchanged", "gone", "same"] {
        put(&cluster, name, "1").await;
    }
    // A watcher with connections of its own.
    let mut watch = admin().watch(&config_maps(), Some(NAMESPACE), WatchOptions::default(), value);
    let all = |changed, exchanged| [("changed", changed), ("exchanged", exchanged), ("gone", "1"), ("same", "1")];
    settle(&mut watch, &all("1", "1")).await;
    // A change shows that the watch is open and not only the listing done.
    put(&cluster, "changed", "1b").await;
    assert_eq!(settle(&mut watch, &all("1b", "1")).await, (0, 1, Vec::new()));

    // Killed and back: it goes on from its version, nothing is listed anew.
    restart_server().await;
    put(&cluster, "changed", "2").await;
    let (interrupted, listed, _) = settle(&mut watch, &all("2", "1")).await;
    println!("after a restart: {interrupted} interruptions, {listed} listings");
    assert!(interrupted >= 1 && listed == 0, "it goes on from its version");

    // While the watch is cut: changed, gone, made, exchanged for another of its name; and the server remembers none of it. Nobody reads meanwhile, so
    // that the watch is opened again only at the end.
    restart_server().await;
    put(&cluster, "changed", "3").await;
    remove(&cluster, "gone").await;
    remove(&cluster, "exchanged").await;
    put(&cluster, "exchanged", "1").await;
    put(&cluster, "made", "1").await;
    compact(&cluster).await;
    restart_server().await;
    let same = config_maps().at(NAMESPACE, "same");
    cluster.patch(&same, &Patch::Merge(json!({"data": {"v": "2"}})), &by("t")).await.expect("patched");
    let expect = [("changed", "3"), ("exchanged", "1"), ("made", "1"), ("same", "2")];
    let (interrupted, listed, mut deleted) = settle(&mut watch, &expect).await;
    println!("after compaction and two restarts: {interrupted} interruptions, {listed} listings");
    assert_eq!(listed, 0, "what is held runs ahead of what is told");
    // It was a listing that told it: there was no version to go on from.
    let listing = async {
        loop {
            match watch.next().await.expect("it passes") {
                Change::Deleted(key, _) => deleted.push(key.name),
                Change::Listed => return deleted,
                _ => {}
            }
        }
    };
    let mut deleted = tokio::time::timeout(MINUTE, listing).await.expect("listed anew");
    deleted.sort();
    assert_eq!(deleted, ["exchanged", "gone"]);
    // What is held is what is there.
    let there = cluster.list(&config_maps(), Some(NAMESPACE), &ListOptions::default(), 100).await.expect("listed");
    assert_eq!(there.len(), watch.len());
    // And it goes on watching.
    put(&cluster, "made", "2").await;
    let again = settle(&mut watch, &[("changed", "3"), ("exchanged", "1"), ("made", "2"), ("same", "2")]);
    tokio::time::timeout(Duration::from_secs(20), again).await.expect("soon");
}
