//! Fronts that refuse, lie, hang up or are not there: what a step is told, and that nothing is switched on a guess. How a real one is switched is tried by
//! `fronts`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base_world::World;
use connect_docker::{Engine, Found, Place, Surroundings, find};
use operate_execute::{Context, Fence, Image, Met, RunId, Seal, Target};
use operate_plan::{Act, Condition, Failure, ObjectId, Seen};
use operate_target_docker::DockerTarget;
use serde_json::{Value, json};

use crate::control::{STATE, answer, listen};

struct Bench {
    folder: tempfile::TempDir,
    target: DockerTarget,
}

impl Bench {
    fn new(answers: Vec<String>, hangs_up: bool) -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        if !answers.is_empty() {
            listen(&folder.path().join("front.sock"), answers, hangs_up);
        }
        Bench { folder, target: target(Found { place: Place::Unix("/nobody".into()), found_by: "the test".into() }) }
    }

    fn front(&self) -> ObjectId {
        ObjectId::new("front", self.folder.path().join("front.sock").display().to_string())
    }

    async fn act(&self, verb: &str, with: Value) -> Result<String, Failure> {
        let act = Act { verb: verb.to_owned(), object: self.front(), with, touches: vec![self.front()] };
        self.target.act(&context(), &act).await.map(|done| done.note)
    }

    async fn met(&self, verb: &str, with: Value) -> Result<Met, Failure> {
        let condition = Condition { says: String::new(), verb: verb.to_owned(), object: self.front(), with };
        self.target.check(&context(), &condition).await
    }

    async fn seen(&self, object: &ObjectId) -> Seen {
        self.target.survey(std::slice::from_ref(object)).await.look(object)
    }
}

fn target(found: Found) -> DockerTarget {
    let world = World::real();
    let seal = Arc::new(Seal::new(&[3; 32], Arc::clone(&world.random)).expect("a key"));
    let engine = Engine::with_patience(found, Duration::from_secs(5)).expect("no TLS");
    DockerTarget::new(engine, seal, world.clock).expect("a client")
}

fn context() -> Context {
    Context { run: RunId("run-1".into()), step: "step".into(), fence: Fence(1) }
}

fn state() -> String {
    answer("200 OK", STATE)
}

/// What STATE has in force, and another.
fn blue() -> Value {
    json!([{"name": "blue", "address": "127.0.0.1:81", "weight": 1, "protocol": "auto"}])
}

fn green() -> Value {
    json!([{"name": "green", "address": "127.0.0.1:82", "weight": 1, "protocol": "auto"}])
}

/// The code and class of a switch from blue to green where the front answers like this.
async fn check_switch(answers: Vec<String>, hangs_up: bool, code: &str, class: &str) {
    let bench = Bench::new(answers, hangs_up);
    let failure = bench.act("set", json!({"from": blue(), "to": green()})).await.expect_err("it must not be done");
    assert_eq!((failure.code.as_str(), failure.class.word()), (code, class), "{failure:?}");
    assert!(!failure.next.is_empty(), "{failure:?} says nothing to do");
}

#[tokio::test]
async fn each_way_a_switch_goes_wrong_has_its_code() {
    let refusal = |kind: &str| format!(r#"{{"error":"{kind}","reason":"because","generation":9}}"#);
    let switch = |last: String| vec![state(), state(), last];
    check_switch(switch(answer("409 Conflict", &refusal("stale"))), false, "front.stale", "transient").await;
    check_switch(switch(answer("400 Bad", &refusal("invalid"))), false, "front.refused", "invalid").await;
    check_switch(switch(answer("507 Full", &refusal("disk"))), false, "front.disk-full", "transient").await;
    check_switch(switch(answer("200 OK", "<html>")), false, "front.garbled", "unknown").await;
    check_switch(vec![String::new()], true, "front.broken", "transient").await;
    check_switch(vec![], false, "front.unreachable", "transient").await;
    let other = STATE.replace(":81", ":99");
    check_switch(vec![answer("200 OK", &other)], false, "front.changed", "conflict").await;
}

#[tokio::test]
async fn a_switch_that_is_made_already_is_not_made_again() {
    // It has nothing but its state to say: a second set would be refused.
    let bench = Bench::new(vec![state()], false);
    assert_eq!(bench.act("set", json!({"from": green(), "to": blue()})).await, Ok(String::new()));
    // As an attempt before it left them, restored.
    let was = Image::Present(json!({"listen": "127.0.0.1:80", "upstreams": blue()}));
    bench.target.restore(&context(), &bench.front(), &was).await.expect("it is as it was");
}

/// Whether a condition holds where the front answers with this state; else what was seen.
async fn check(state: &str, verb: &str, with: Value, expect: &str) {
    let answers = if state.is_empty() { vec![] } else { vec![answer("200 OK", state)] };
    let told = match Bench::new(answers, false).met(verb, with).await {
        Ok(Met::Yes) => String::new(),
        Ok(Met::No(why)) => why,
        Err(failure) => format!("{}: {}", failure.code, failure.message),
    };
    assert!(if expect.is_empty() { told.is_empty() } else { told.contains(expect) }, "{verb}: `{told}`");
}

#[tokio::test]
async fn a_condition_says_what_the_front_does_instead() {
    check(STATE, "absent", Value::Null, "one does, with pid 7").await;
    check("", "absent", Value::Null, "").await;
    check("", "sends", json!({"to": blue()}), "no front answers").await;
    check(STATE, "sends", json!({"to": blue()}), "").await;
    check(STATE, "sends", json!({"to": green()}), "it sends to blue=127.0.0.1:81*1").await;
    let empty = r#"{"pid":7,"listen":"127.0.0.1:80","generation":1,"upstreams":[]}"#;
    check(empty, "sends", json!({"to": green()}), "it sends to nobody").await;
    check(STATE, "sends", json!({"to": "blue"}), "front").await;
    check(STATE, "idle", json!({"upstream": "green"}), "").await;
    check(STATE, "idle", json!({"upstream": "blue"}), "blue still holds 5 requests").await;
    check(STATE, "well", json!({"upstream": "blue"}), "").await;
    check(STATE, "well", json!({"upstream": "green"}), "green is ill: it is not there").await;
    let ill = STATE.replace(r#""healthy":true"#, r#""healthy":false,"reason":"refused""#);
    check(&ill, "well", json!({"upstream": "blue"}), "blue is ill: refused").await;
    check(STATE, "glows", Value::Null, "docker.verb").await;
}

#[tokio::test]
async fn a_front_is_started_only_where_none_is_and_somebody_can() {
    let with = || json!({"listen": "127.0.0.1:80", "to": blue()});
    let failure = Bench::new(vec![], false).act("start", with()).await.expect_err("nobody can");
    assert_eq!(failure.code, "front.program");
    assert!(failure.next.contains("apm front run --listen 127.0.0.1:80 --control "), "{failure:?}");
    assert_eq!(Bench::new(vec![state()], false).act("start", with()).await, Ok(String::new()), "it runs already");
    let elsewhere = vec![answer("200 OK", &STATE.replace("127.0.0.1:80", "127.0.0.1:8080"))];
    let failure = Bench::new(elsewhere, false).act("start", with()).await.expect_err("another address");
    assert_eq!((failure.code.as_str(), failure.class.word()), ("front.changed", "conflict"));
    let broken = Bench::new(vec![String::new()], true);
    assert_eq!(broken.act("start", with()).await.expect_err("it is there").code, "front.broken");
    for (verb, with) in
        [("start", Value::Null), ("drain", Value::Null), ("set", json!({"from": 1})), ("paint", Value::Null)]
    {
        let failure = Bench::new(vec![state()], false).act(verb, with).await.expect_err("not understood");
        assert_eq!(failure.code, "docker.verb", "{verb}");
    }
    let long = ObjectId::new("front", format!("/{}", "x".repeat(107)));
    let act = Act { verb: "start".into(), object: long, with: with(), touches: vec![] };
    assert_eq!(broken.target.act(&context(), &act).await.expect_err("no socket can").code, "front.path");
}

#[tokio::test]
async fn a_drain_tells_what_is_left() {
    let bench =
        Bench::new(vec![answer("200 OK", r#"{"generation":4,"in_flight":2,"drained":false,"known":true}"#)], false);
    let note = bench.act("drain", json!({"upstream": "blue", "timeout_ms": 10})).await.expect("asked");
    assert_eq!(note, "2 requests in flight");
}

#[tokio::test]
async fn an_undo_to_nothing_is_done_where_nothing_is() {
    let bench = Bench::new(vec![], false);
    bench.target.restore(&context(), &bench.front(), &Image::Absent).await.expect("there is none");
    let refuses =
        Bench::new(vec![answer("500 Broken", r#"{"error":"internal","reason":"because","generation":4}"#)], false);
    let failure = refuses.target.restore(&context(), &refuses.front(), &Image::Absent).await.expect_err("it stays");
    assert_eq!(failure.code, "front.refused");
}

#[tokio::test]
async fn a_planner_sees_fronts_and_ports_of_this_machine_only() {
    let bench = Bench::new(vec![state()], false);
    let Seen::Present(seen) = bench.seen(&bench.front()).await else { panic!("it is there") };
    assert_eq!((&seen["generation"], &seen["upstreams"]), (&json!(4), &blue()));
    assert_eq!(Bench::new(vec![], false).seen(&bench.front()).await, bench.seen(&bench.front()).await);
    let nobody = ObjectId::new("front", bench.folder.path().join("none.sock").display().to_string());
    assert_eq!(bench.seen(&nobody).await, Seen::Absent);
    let garbled = Bench::new(vec![answer("200 OK", "<html>")], false);
    let seen = garbled.seen(&garbled.front()).await;
    assert!(matches!(&seen, Seen::Unknown(failure) if failure.code == "front.garbled"), "{seen:?}");

    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = |address: String| ObjectId::new("port", address);
    let address = taken.local_addr().expect("an address").to_string();
    assert_eq!(bench.seen(&port(address.clone())).await, Seen::Present(json!({"taken": true})));
    drop(taken);
    assert_eq!(bench.seen(&port(address)).await, Seen::Absent);
    let seen = bench.seen(&port("192.0.2.1:80".into())).await;
    assert!(matches!(&seen, Seen::Unknown(failure) if failure.code == "front.address"), "{seen:?}");

    for (host, is_here) in [("tcp://127.0.0.1:1", true), ("tcp://localhost:1", true), ("tcp://192.0.2.1:2375", false)] {
        let surroundings = Surroundings { docker_host: Some(host.to_owned()), ..Default::default() };
        let target = target(find(&surroundings, &*World::real().disk).expect("an address"));
        let seen = target.survey(&[bench.front()]).await.look(&bench.front());
        let refused = matches!(&seen, Seen::Unknown(failure) if failure.code == "front.remote");
        assert_eq!(refused, !is_here, "{host}: {seen:?}");
    }
}

/// A start that fails tells why, in the starter's words.
#[tokio::test]
async fn a_front_that_cannot_be_started_says_why() {
    struct Fails;
    #[async_trait::async_trait]
    impl operate_target_docker::StartFront for Fails {
        async fn start(&self, _: &str, _: &Path) -> Result<(), Failure> {
            Err(Failure::new(operate_plan::Class::Invalid, "front.start", "no such program", "install it"))
        }
    }
    let found = Found { place: Place::Unix(PathBuf::from("/nobody")), found_by: "the test".into() };
    let bench =
        Bench { folder: tempfile::tempdir().expect("a folder"), target: target(found).with_fronts(Arc::new(Fails)) };
    let failure = bench.act("start", json!({"listen": "127.0.0.1:80", "to": blue()})).await.expect_err("it fails");
    assert_eq!((failure.code.as_str(), failure.message.as_str()), ("front.start", "no such program"));
    let was = Image::Present(json!({"listen": "127.0.0.1:80", "upstreams": blue()}));
    let failure = bench.target.restore(&context(), &bench.front(), &was).await.expect_err("it fails too");
    assert_eq!(failure.code, "front.start");
}
