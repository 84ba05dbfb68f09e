//! Logins that end while we work.

use std::time::Duration;

use base_world::{World, replace_file};
use connect_kube::{Change, Cluster, KubeError, ListOptions, WatchOptions};
use serde_json::{Value, json};

use crate::support::{MINUTE, admin, by, cluster_by, config_map, config_maps, kubeconfig, namespace, serving};

async fn look(cluster: &Cluster) -> connect_kube::Result<()> {
    cluster.list(&config_maps(), Some("kube-logins"), &ListOptions::default(), 100).await.map(drop)
}

/// A token that ends after so many seconds, from the cluster's own plugin. The server takes it for a minute more, to forgive clocks that differ.
async fn token(seconds: i32) -> String {
    let plugin = kubeconfig("plugin.sh");
    let output =
        tokio::process::Command::new("sh").arg(plugin).arg(seconds.to_string()).output().await.expect("a shell");
    let credential: Value = serde_json::from_slice(&output.stdout).expect("a credential");
    credential["status"]["token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn every_kind_of_user_gets_in() {
    let (_serving, cluster) = (serving().await, admin());
    namespace(&cluster, "kube-logins-all", json!({})).await;
    for user in ["admin", "token", "exec"] {
        let cluster = cluster_by(kubeconfig(user));
        cluster
            .list(&config_maps(), Some("kube-logins-all"), &ListOptions::default(), 100)
            .await
            .unwrap_or_else(|error| panic!("{user}: {error}"));
    }
}

#[tokio::test]
async fn a_token_ends_and_a_watch_goes_on_with_another() {
    let (_serving, admin) = (serving().await, admin());
    namespace(&admin, "kube-logins", json!({})).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (first, disk) = (token(-50).await, World::real().disk);
    let config: Value = serde_json::from_slice(&disk.read(&kubeconfig("exec"), 1 << 20).expect("there")).expect("JSON");
    let put =
        |name: &str, text: &str| replace_file(&*disk, &folder.path().join(name), text.as_bytes()).expect("written");
    let with = |user: Value| {
        let mut config = config.clone();
        config["users"][0]["user"] = user;
        config.to_string()
    };
    // Gives the short token once, then good ones; says nothing of their end, so that only the server can.
    let good = token(600).await;
    let credential = |token: &str| {
        json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token}})
            .to_string()
    };
    put("first.json", &credential(&first));
    put("good.json", &credential(&good));
    put(
        "plugin.sh",
        "cd \"$(dirname \"$0\")\"; echo run >>runs; if [ -f first.json ]; then cat first.json; rm first.json; else cat good.json; fi",
    );
    let plugin = folder.path().join("plugin.sh").display().to_string();
    put(
        "exec",
        &with(
            json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "command": "sh", "args": [plugin]}}),
        ),
    );
    put("static", &with(json!({"token": first})));
    let (exec, fixed) = (cluster_by(folder.path().join("exec")), cluster_by(folder.path().join("static")));
    look(&exec).await.expect("the first token is good");
    let options = WatchOptions { turn: Duration::from_secs(3), ..WatchOptions::default() };
    let mut watch = exec.watch(&config_maps(), Some("kube-logins"), options, |_| ());
    while !matches!(watch.next().await.expect("listed"), Change::Listed) {}

    // The server remembers for some seconds that a token was good.
    let ended = async {
        loop {
            match look(&fixed).await {
                Err(error @ KubeError::Unauthorized { .. }) => return error,
                _ => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
    };
    let error = tokio::time::timeout(MINUTE, ended).await.expect("it ends");
    assert!(!format!("{error} {error:?} {fixed:?}").contains(&first), "{error:?}");

    look(&exec).await.expect("let in with another token");
    admin.create(&config_maps(), "kube-logins", &config_map("late", &json!({})), &by("t")).await.expect("made");
    let seen = async {
        loop {
            if let Change::Added(key) = watch.next().await.expect("no error ever")
                && key.name == "late"
            {
                return;
            }
        }
    };
    tokio::time::timeout(MINUTE, seen).await.expect("seen");
    assert_eq!(disk.read(&folder.path().join("runs"), 100).expect("it ran"), b"run\nrun\n", "once for each token");
}
