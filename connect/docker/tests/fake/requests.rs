//! What is asked of the engine, call by call, as it stands on the request's first line.

use std::collections::BTreeMap;
use std::time::Duration;

use connect_docker::{
    BuildOptions, ContainerSpec, EventFilter, ExecSpec, LogOptions, NetworkJoin, NetworkSpec, RegistryAuth,
};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use serde_json::json;

use crate::engine::{Do, answer, fake};

/// Runs a call against an engine that always says this, and compares the first lines of its requests, without `HTTP/1.1`.
async fn check<T>(
    says: Do,
    call: impl AsyncFnOnce(&connect_docker::Engine) -> connect_docker::Result<T>,
    expect: &[&str],
) -> T {
    let mut fake = fake(vec![says]);
    let outcome = call(&fake.engine).await;
    let mut lines = Vec::new();
    while let Ok(request) = fake.asked.try_recv() {
        lines.push(request.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned());
    }
    assert_eq!(lines, expect);
    outcome.expect("the engine refuses nothing")
}

fn ok(body: &str) -> Do {
    answer("200 OK", "", body)
}

fn label(key: &str, value: &str) -> BTreeMap<String, String> {
    [(key.to_owned(), value.to_owned())].into()
}

#[tokio::test]
async fn containers() {
    let second = Duration::from_secs(1);
    let filter = "filters=%7B%22label%22%3A%5B%22team%3Dshop%22%5D%7D";
    let list = [&*format!("GET /v1.41/containers/json?all=true&{filter}")];
    check(ok("[]"), async |engine| engine.containers(&label("team", "shop")).await, &list).await;
    check(ok("{}"), async |engine| engine.container("a/b").await, &["GET /v1.41/containers/a%2Fb/json"]).await;
    let join = |network: &str| NetworkJoin { network: network.into(), ..Default::default() };
    let spec = ContainerSpec {
        name: "web".into(),
        image: "shop:1".into(),
        networks: vec![join("one"), join("two")],
        ..Default::default()
    };
    let id = check(
        ok(r#"{"Id":"12"}"#),
        async |engine| engine.create_container(&spec).await,
        &[
            "GET /v1.41/networks/one",
            "POST /v1.41/containers/create?name=web",
            "GET /v1.41/networks/two",
            "POST /v1.41/networks/two/connect",
        ],
    );
    assert_eq!(id.await, "12");
    check(ok(""), async |engine| engine.start_container("web").await, &["POST /v1.41/containers/web/start"]).await;
    // Less than a second would be no grace at all.
    for (grace, t) in [(second, 1), (second * 3 / 2, 2), (second / 2, 1), (Duration::ZERO, 0)] {
        let line = format!("POST /v1.41/containers/web/stop?t={t}");
        check(ok(""), async |engine| engine.stop_container("web", grace).await, &[&line]).await;
    }
    check(
        ok(""),
        async |engine| engine.kill_container("web", "SIGHUP").await,
        &["POST /v1.41/containers/web/kill?signal=SIGHUP"],
    )
    .await;
    check(
        ok(""),
        async |engine| engine.remove_container("web").await,
        &["DELETE /v1.41/containers/web?force=true&v=true"],
    )
    .await;
    check(
        ok(""),
        async |engine| engine.rename_container("web", "old").await,
        &["POST /v1.41/containers/web/rename?name=old"],
    )
    .await;
    let wait = ["POST /v1.41/containers/web/wait?condition=not-running"];
    assert_eq!(
        check(ok(r#"{"StatusCode":7}"#), async |engine| engine.wait_container("web", second).await, &wait).await,
        7
    );
    let stats = ["GET /v1.41/containers/web/json", "GET /v1.41/containers/web/stats?stream=false&one-shot=true"];
    let seen = check(
        ok(r#"{"RestartCount":3,"pids_stats":{"current":2}}"#),
        async |engine| engine.container_stats("web").await,
        &stats,
    )
    .await;
    assert_eq!((seen.restarts, seen.pids), (3, 2));
    let options = LogOptions {
        follow: true,
        tail: Some(5),
        since: Some("1.5".into()),
        until: Some("9".into()),
        timestamps: true,
    };
    let logs =
        "GET /v1.41/containers/web/logs?stdout=true&stderr=true&follow=true&timestamps=true&tail=5&since=1.5&until=9";
    check(
        ok("{}"),
        async |engine| engine.logs("web", &options).await.map(drop),
        &["GET /v1.41/containers/web/json", logs],
    )
    .await;
    let exec = ["POST /v1.41/containers/web/exec", "POST /v1.41/exec/34/start", "GET /v1.41/exec/34/json"];
    let spec = ExecSpec { command: vec!["true".into()], ..Default::default() };
    let outcome =
        check(ok(r#"{"Id":"34","ExitCode":3}"#), async |engine| engine.exec("web", &spec, second).await, &exec).await;
    assert_eq!(outcome.exit_code, 3);
    let leave = ["POST /v1.41/networks/one/disconnect"];
    check(ok(""), async |engine| engine.disconnect_container("web", "one").await, &leave).await;
    let events = ["GET /v1.41/events?filters=%7B%22event%22%3A%5B%22die%22%5D%7D&since=1.000000002"];
    let filter = EventFilter { actions: vec!["die".into()], since_ns: Some(1_000_000_002), ..Default::default() };
    check(ok(""), async |engine| engine.events(filter).await.map(drop), &events).await;
}

#[tokio::test]
async fn images() {
    let image = "GET /v1.41/images/r:5000/shop/cart:1/json";
    check(ok("{}"), async |engine| engine.image("r:5000/shop/cart:1").await, &[image]).await;
    check(
        ok("[]"),
        async |engine| engine.images(&label("a", "")).await,
        &["GET /v1.41/images/json?filters=%7B%22label%22%3A%5B%22a%22%5D%7D"],
    )
    .await;
    let pull = "POST /v1.41/images/create?fromImage=shop&tag=1&platform=linux%2Farm64";
    check(ok("{}"), async |engine| engine.pull("shop:1", None, "linux/arm64").await.map(drop), &[pull]).await;
    check(
        ok(""),
        async |engine| engine.tag("shop:1", "r/shop:2").await,
        &["POST /v1.41/images/shop:1/tag?repo=r%2Fshop&tag=2"],
    )
    .await;
    let push = ["POST /v1.41/images/r/shop/push?tag=2"];
    let said = r#"{"aux":{"Tag":"2","Digest":"sha256:ab","Size":1}}"#;
    let digest = check(ok(said), async |engine| engine.push("r/shop:2", None, |_| {}).await, &push).await;
    assert_eq!(digest.as_deref(), Some("sha256:ab"));
    check(ok("[]"), async |engine| engine.remove_image("shop:1").await, &["DELETE /v1.41/images/shop:1"]).await;
    let nothing = || futures_util::stream::empty().boxed();
    let options = BuildOptions { tags: vec!["a:1".into()], target: "last".into(), ..Default::default() };
    let build = ["POST /v1.41/build?version=1&forcerm=true&t=a%3A1&target=last"];
    check(ok(""), async |engine| engine.build(&options, nothing()).await.map(drop), &build).await;
    let save = ["GET /v1.41/images/get?names=a%3A1&names=b%3A2"];
    let saved = check(ok("tar"), async |engine| engine.save(&["a:1", "b:2"]).await, &save).await;
    assert_eq!(saved.try_collect::<Vec<_>>().await.expect("whole").concat(), b"tar");
    check(
        ok(r#"{"stream":"Loaded"}"#),
        async |engine| engine.load(nothing()).await,
        &["POST /v1.41/images/load?quiet=true"],
    )
    .await;
}

#[tokio::test]
async fn networks_volumes_and_the_engine() {
    let spec = NetworkSpec { name: "one".into(), ..Default::default() };
    assert!(!check(ok("{}"), async |engine| engine.ensure_network(&spec).await, &["GET /v1.41/networks/one"]).await);
    assert!(
        !check(
            ok("{}"),
            async |engine| engine.ensure_volume("data", &label("a", "b")).await,
            &["GET /v1.41/volumes/data"]
        )
        .await
    );
    check(ok(""), async |engine| engine.remove_network_if_there("one").await, &["DELETE /v1.41/networks/one"]).await;
    check(ok(""), async |engine| engine.remove_volume_if_there("data").await, &["DELETE /v1.41/volumes/data"]).await;
    let info = json!({"NCPU": 2, "SecurityOptions": ["name=rootless"], "Warnings": null}).to_string();
    let info = check(ok(&info), async |engine| engine.info().await, &["GET /v1.41/info"]).await;
    assert!(info.cpus == 2 && info.rootless);
}

#[tokio::test]
async fn what_is_missing_is_made() {
    let none = || answer("404 Not Found", "", r#"{"message":"not found"}"#);
    let mut fake =
        fake(vec![none(), ok("{}"), none(), ok("{}"), none(), answer("409 Conflict", "", r#"{"message":"exists"}"#)]);
    let spec = NetworkSpec { name: "one".into(), ..Default::default() };
    assert!(fake.engine.ensure_network(&spec).await.expect("made"));
    assert!(fake.engine.ensure_volume("data", &BTreeMap::new()).await.expect("made"));
    assert!(!fake.engine.ensure_network(&spec).await.expect("another was faster"));
    let lines: Vec<String> =
        std::iter::from_fn(|| fake.asked.try_recv().ok()).filter(|request| request.starts_with("POST")).collect();
    assert!(lines.len() == 3 && lines[1].starts_with("POST /v1.41/volumes/create "), "{lines:?}");
}

#[tokio::test]
async fn a_removal_under_way_is_waited_for() {
    let busy = answer("409 Conflict", "", r#"{"message":"removal of container web is already in progress"}"#);
    let mut fake = fake(vec![busy, ok(r#"{"StatusCode":0}"#)]);
    assert!(fake.engine.remove_container_if_there("web").await.expect("gone"));
    let last = std::iter::from_fn(|| fake.asked.try_recv().ok()).last().expect("two requests");
    assert!(last.starts_with("POST /v1.41/containers/web/wait?condition=removed "), "{last}");
}

#[tokio::test]
async fn who_we_are_goes_into_a_header() {
    let mut fake = fake(vec![ok("{}")]);
    let auth = RegistryAuth { username: "u".into(), password: "p".into(), registry: "r".into(), ..Default::default() };
    let token = RegistryAuth { identity_token: Some("t".into()), ..auth.clone() };
    // Base64 for URLs of the JSON, its keys in order; a push without the header would be refused even where nobody asks who we are.
    for (auth, expect) in
        [(Some(&auth), "eyJwYXNzd29yZCI6InAi"), (Some(&token), "eyJpZGVudGl0eXRva2VuIjoidCIs"), (None, "e30=")]
    {
        fake.engine.pull("r/shop:1", auth, "").map(|result| result.map(drop)).await.expect("it begins");
        let request = fake.asked.recv().await.expect("asked");
        assert!(request.contains(&format!("x-registry-auth: {expect}")), "{request}");
    }
}
