//! Single looks, acts and restores on an engine in memory: what a step is told when an object is not what it should be.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base_world::World;
use connect_docker::{Engine, Found, Place};
use connect_docker_fake::{FakeEngine, Fault, ImageSpec, Program};
use operate_execute::{Context, Fence, Image, Met, RunId, Seal, Target};
use operate_plan::{Act, Condition, Failure, ObjectId, Seen};
use operate_target_docker::{DockerTarget, Evidence};
use parking_lot::Mutex;
use serde_json::{Value, json};

struct Bench {
    engine: FakeEngine,
    target: DockerTarget,
}

impl Bench {
    /// An engine with images that serve, end, and are ill.
    fn new() -> Bench {
        let engine = FakeEngine::start().expect("a socket");
        let ill = Program { health: Some("unhealthy"), ..Program::default() };
        let starting = Program { health: Some("starting"), ..Program::default() };
        let restarting = Program { restarts: 3, ..Program::ending(2, &[]) };
        for (name, program) in [
            ("serves:1", Program::serving()),
            ("runs:1", Program::default()),
            ("ends:1", Program::ending(3, &["the key is $KEY", "bye"])),
            ("ill:1", ill),
            ("starting:1", starting),
            ("restarting:1", restarting),
        ] {
            engine.image(name, ImageSpec::of(program));
        }
        let target = target(&engine, Duration::from_secs(20));
        Bench { engine, target }
    }

    /// Makes a container of an image and starts it.
    async fn run(&self, name: &str, image: &str) {
        let body = json!({
            "Image": image, "Env": ["KEY=a-long-secret"], "Labels": {"apm.config": "1"},
            "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}},
        });
        self.act("create", "container", name, json!({ "body": body })).await.expect("made");
        self.act("start", "container", name, Value::Null).await.expect("started");
    }

    async fn act(&self, verb: &str, kind: &str, name: &str, with: Value) -> Result<String, Failure> {
        let object = ObjectId::new(kind, name);
        let act = Act { verb: verb.to_owned(), touches: vec![object.clone()], object, with };
        self.target.act(&context(), &act).await.map(|done| done.note)
    }

    async fn met(&self, verb: &str, kind: &str, name: &str, with: Value) -> Result<Met, Failure> {
        let object = ObjectId::new(kind, name);
        let condition = Condition { says: String::new(), verb: verb.to_owned(), object, with };
        self.target.check(&context(), &condition).await
    }

    async fn image(&self, kind: &str, name: &str) -> Image {
        self.target.image(&context(), &ObjectId::new(kind, name)).await.expect("seen")
    }

    async fn restore(&self, kind: &str, name: &str, before: &Image) -> Result<(), Failure> {
        self.target.restore(&context(), &ObjectId::new(kind, name), before).await
    }
}

fn target(engine: &FakeEngine, patience: Duration) -> DockerTarget {
    let world = World::real();
    let found = Found { place: Place::Unix(engine.socket().to_owned()), found_by: "the test".into() };
    let seal = Arc::new(Seal::new(&[3; 32], Arc::clone(&world.random)).expect("a key"));
    let engine = Engine::with_patience(found, patience).expect("no TLS");
    DockerTarget::new(engine, seal, world.clock).expect("a client")
}

fn context() -> Context {
    Context { run: RunId("run-1".into()), step: "step".into(), fence: Fence(1) }
}

/// The words with which a condition on a container does not hold; empty when it does; `CODE: message` when it never will.
async fn check(bench: &Bench, verb: &str, name: &str, with: Value, expect: &str) {
    let told = match bench.met(verb, "container", name, with).await {
        Ok(Met::Yes) => String::new(),
        Ok(Met::No(why)) => why,
        Err(failure) => format!("{}: {}", failure.code, failure.message),
    };
    assert!(if expect.is_empty() { told.is_empty() } else { told.contains(expect) }, "{verb} {name}: `{told}`");
}

#[tokio::test]
async fn a_condition_says_what_was_seen_instead() {
    let bench = Bench::new();
    for image in ["serves", "runs", "ends", "ill", "starting", "restarting"] {
        bench.run(image, &format!("{image}:1")).await;
    }
    let none = || Value::Null;
    check(&bench, "present", "serves", none(), "").await;
    check(&bench, "present", "nobody", none(), "it is not there").await;
    check(&bench, "absent", "serves", none(), "it is there").await;
    check(&bench, "stopped", "serves", none(), "it still runs").await;
    check(&bench, "stopped", "ends", none(), "").await;
    check(&bench, "same", "serves", json!({"id": "another"}), "it is another one").await;
    check(&bench, "healthy", "serves", none(), "").await;
    check(&bench, "healthy", "nobody", none(), "it is not there").await;
    check(&bench, "healthy", "starting", none(), "has not passed yet").await;
    check(&bench, "healthy", "ill", none(), "its health check says: as the check says").await;
    // Without a health check it counts when it still runs a moment later.
    check(&bench, "healthy", "runs", none(), "").await;
    check(
        &bench,
        "healthy",
        "ends",
        none(),
        "docker.ended: ends ended with code 3; its last words: the key is $KEY | bye",
    )
    .await;
    check(&bench, "healthy", "restarting", none(), "ended with code 2, and again after 3 restarts").await;
    bench
        .engine
        .meddle("restarting", |record| record["State"] = json!({"Status": "running", "Running": true, "ExitCode": 0}));
    check(&bench, "healthy", "restarting", none(), "ends, and was started again 3 times by now").await;
    bench.engine.meddle("ends", |record| record["State"]["OOMKilled"] = json!(true));
    check(&bench, "answers", "ends", json!({"port": 80}), "was killed for the memory it took").await;
    check(&bench, "answers", "serves", json!({"port": 80}), "").await;
    check(&bench, "answers", "serves", json!({"port": 80, "path": "/healthz"}), "").await;
    check(&bench, "answers", "serves", json!({"port": 80, "path": "/else"}), "/else answers 404").await;
    check(&bench, "answers", "serves", none(), "docker.verb: Docker cannot `answer on no port`").await;
    check(&bench, "answers", "nobody", json!({"port": 80}), "it is not there").await;
    check(&bench, "answers", "runs", json!({"port": 80, "path": "/"}), "127.0.0.1").await;
    check(&bench, "glows", "serves", none(), "docker.verb: Docker cannot `glow").await;
}

/// Between two looks it was started again: it is not steady, whatever it says of itself.
#[tokio::test]
async fn a_container_that_was_just_started_again_is_not_healthy_yet() {
    let bench = Bench::new();
    bench.run("runs", "runs:1").await;
    let look = check(&bench, "healthy", "runs", Value::Null, "it has just been started again");
    let meddle = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        bench.engine.meddle("runs", |record| record["State"]["StartedAt"] = json!("2026-02-02T00:00:00Z"));
    };
    tokio::join!(look, meddle);
}

/// The code, the class and whether waiting helps, of a look that the engine answers like this.
async fn check_refusal(fault: Fault, code: &str, class: &str) {
    let bench = Bench::new();
    bench.engine.fail("GET /containers/web", 1, fault.clone());
    let failure = bench.met("present", "container", "web", Value::Null).await.expect_err("refused");
    assert_eq!((failure.code.as_str(), failure.class.word()), (code, class), "{fault:?}: {failure:?}");
    assert!(!failure.next.is_empty(), "{failure:?} says nothing to do");
    // Nothing of it is left: the next look is answered.
    assert_eq!(bench.met("absent", "container", "web", Value::Null).await, Ok(Met::Yes));
}

#[tokio::test]
async fn each_refusal_of_the_engine_has_its_code_and_its_remedy() {
    check_refusal(Fault::Refuse(500, "driver failed"), "docker.failed", "unknown").await;
    check_refusal(Fault::Refuse(503, "starting up"), "docker.failed", "transient").await;
    check_refusal(Fault::Refuse(409, "it is being removed"), "docker.conflict", "conflict").await;
    check_refusal(Fault::Refuse(400, "bad name"), "docker.refused", "invalid").await;
    check_refusal(Fault::Refuse(401, "unauthorized"), "docker.unauthorized", "auth").await;
    check_refusal(Fault::Refuse(429, "toomanyrequests"), "docker.throttled", "throttled").await;
    check_refusal(Fault::Refuse(500, "write: no space left on device"), "docker.disk-full", "invalid").await;
    check_refusal(
        Fault::Refuse(500, "Bind for 127.0.0.1:80 failed: port is already allocated"),
        "docker.port-taken",
        "conflict",
    )
    .await;
    check_refusal(Fault::HangUp, "docker.broken", "transient").await;
    check_refusal(Fault::Garbage, "docker.garbled", "unknown").await;
}

#[tokio::test]
async fn an_engine_that_never_answers_is_left_and_asked_again_later() {
    let bench = Bench::new();
    bench.engine.fail("GET /containers/web", 1, Fault::Silence);
    let impatient = target(&bench.engine, Duration::from_millis(100));
    let object = ObjectId::new("container", "web");
    let inventory = impatient.survey(std::slice::from_ref(&object)).await;
    let Some(Seen::Unknown(failure)) = inventory.facts.get(&object).map(|fact| &fact.seen) else {
        panic!("what was not seen must be unknown, not absent: {inventory:?}")
    };
    assert_eq!((failure.code.as_str(), failure.class.word()), ("docker.timeout", "transient"));
    let inventory = impatient.survey(std::slice::from_ref(&object)).await;
    assert_eq!(inventory.facts.get(&object).map(|fact| &fact.seen), Some(&Seen::Absent));
}

#[tokio::test]
async fn what_somebody_else_made_is_left_alone() {
    let bench = Bench::new();
    bench.run("web", "serves:1").await;
    let before = bench.image("container", "web").await;
    // One that ran may hold what nobody has elsewhere, even of the same release.
    let body = json!({"Image": "serves:1", "Labels": {"apm.config": "1"}});
    let failure = bench.act("create", "container", "web", json!({ "body": body })).await.expect_err("it is there");
    assert_eq!(failure.code, "docker.not-ours");
    bench.engine.meddle("web", |record| record["Config"]["Labels"] = json!({}));
    let failure = bench.restore("container", "web", &Image::Absent).await.expect_err("not ours");
    assert_eq!(failure.code, "docker.not-ours");
    // Somebody took the name while the old one was set aside.
    bench.act("rename", "container", "web", json!({"to": "web-previous"})).await.expect("named");
    bench.run("web", "runs:1").await;
    let failure = bench.restore("container", "web", &before).await.expect_err("the name is taken");
    assert_eq!(failure.code, "docker.not-ours");
    assert_eq!(bench.engine.container_names(), ["web-previous", "web"]);
}

#[tokio::test]
async fn half_a_container_of_an_attempt_that_was_cut_off_is_made_anew() {
    let bench = Bench::new();
    bench.act("create", "network", "shop", Value::Null).await.expect("made");
    let body = json!({"Image": "serves:1", "Labels": {"apm.config": "1"}});
    bench.act("create", "container", "web", json!({ "body": body })).await.expect("made");
    let with = json!({"body": body, "joins": ["shop"]});
    bench.act("create", "container", "web", with.clone()).await.expect("made anew");
    let Image::Present(made) = bench.image("container", "web").await else { panic!("it is not there") };
    assert!(made["joins"].to_string().contains("shop"), "{made}");
    assert_eq!(bench.engine.container_names(), ["web"]);
    // A network that is not there leaves no half.
    bench.act("remove", "container", "web", Value::Null).await.expect("removed");
    let failure =
        bench.act("create", "container", "web", json!({"body": body, "joins": [["none-such", {"Aliases": ["web"]}]]}));
    assert_eq!(failure.await.expect_err("no network").code, "docker.not-found");
    assert_eq!(bench.engine.container_names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_rename_whose_answer_was_lost_is_done() {
    let bench = Bench::new();
    bench.run("web", "serves:1").await;
    bench.engine.fail("POST /containers/web/rename", 1, Fault::LoseAnswer);
    let with = || json!({"to": "web-previous"});
    assert_eq!(bench.act("rename", "container", "web", with()).await.expect_err("lost").code, "docker.broken");
    bench.act("rename", "container", "web", with()).await.expect("it is done already");
    assert_eq!(bench.engine.container_names(), ["web-previous"]);
    let failure =
        bench.act("rename", "container", "nobody", json!({"to": "somebody"})).await.expect_err("nothing there");
    assert_eq!(failure.code, "docker.not-found");
    assert_eq!(bench.act("rename", "container", "web", Value::Null).await.expect_err("no name").code, "docker.verb");
}

#[tokio::test]
async fn acts_tell_what_they_did_and_refuse_what_they_do_not_know() {
    let bench = Bench::new();
    bench.engine.pullable("r.example.org/shop/cart:2", ImageSpec::of(Program::serving()));
    let note = bench.act("pull", "image", "r.example.org/shop/cart:2", Value::Null).await.expect("pulled");
    assert!(note.starts_with("3 MB, sha256:"), "{note}");
    let failure =
        bench.act("pull", "image", "r.example.org/shop/cart:3", Value::Null).await.expect_err("nobody has it");
    assert_eq!((failure.code.as_str(), failure.class.word()), ("docker.image-missing", "not-found"));
    for (verb, kind) in [("explode", "container"), ("pull", "container"), ("create", "image")] {
        assert_eq!(bench.act(verb, kind, "web", Value::Null).await.expect_err("foreign").code, "docker.verb", "{verb}");
    }
    let sealed = json!({"body": {"Image": "serves:1", "Env": []}, "secrets": {"KEY": {"sealed": "sealed elsewhere"}}});
    let failure = bench.act("create", "container", "web", sealed).await.expect_err("another key");
    assert_eq!(failure.code, "seal.failed");
    assert!(
        failure.message.contains("KEY") && !bench.engine.asked().iter().any(|line| line == "POST /containers/create"),
        "{failure:?}"
    );
    // A container says how long it needs to end.
    bench.run("web", "serves:1").await;
    bench.engine.meddle("web", |record| record["Config"]["StopTimeout"] = json!(77));
    bench.act("stop", "container", "web", Value::Null).await.expect("stopped");
    assert_eq!(bench.met("stopped", "container", "web", Value::Null).await, Ok(Met::Yes));
}

#[tokio::test]
async fn networks_and_volumes_are_made_kept_and_taken_back() {
    let bench = Bench::new();
    for (kind, name) in [("network", "shop"), ("volume", "data")] {
        assert_eq!(bench.image(kind, name).await, Image::Absent);
        bench.act("create", kind, name, Value::Null).await.expect("made");
        // An attempt that is made again.
        bench.act("create", kind, name, Value::Null).await.expect("there already");
        assert_eq!(bench.met("present", kind, name, Value::Null).await, Ok(Met::Yes));
    }
    let was = bench.image("network", "shop").await;
    bench.restore("network", "shop", &Image::Absent).await.expect("removed");
    assert_eq!(bench.met("absent", "network", "shop", Value::Null).await, Ok(Met::Yes));
    bench.restore("network", "shop", &was).await.expect("made again");
    assert_eq!(bench.image("network", "shop").await, was);
    // What is in a volume is nobody's to take back.
    assert_eq!(bench.restore("volume", "data", &Image::Absent).await.expect_err("never").code, "docker.verb");
    assert_eq!(bench.met("present", "volume", "data", Value::Null).await, Ok(Met::Yes));
    assert_eq!(
        bench.restore("image", "serves:1", &Image::Absent).await.expect_err("never").code,
        "docker.image-restore"
    );
}

#[tokio::test]
async fn a_container_is_put_back_from_whatever_became_of_it() {
    let bench = Bench::new();
    bench.run("web", "serves:1").await;
    let before = bench.image("container", "web").await;
    let same = async || {
        let now = bench.image("container", "web").await;
        bench.target.is_same(&before, &now)
    };
    for (verb, with) in [("stop", Value::Null), ("rename", json!({"to": "aside"})), ("remove", Value::Null)] {
        bench.act(verb, "container", "web", with).await.expect("done");
        assert!(!same().await, "{verb} changes nothing");
        bench.restore("container", "web", &before).await.expect("put back");
        assert!(same().await, "after {verb}");
        // Cut off after its end, and made again.
        bench.restore("container", "web", &before).await.expect("it is as it was");
        assert!(same().await && bench.engine.container_names() == ["web"], "after {verb}, twice");
    }
    // One that did not run is stopped again.
    bench.act("stop", "container", "web", Value::Null).await.expect("stopped");
    let stopped = bench.image("container", "web").await;
    bench.act("start", "container", "web", Value::Null).await.expect("started");
    bench.restore("container", "web", &stopped).await.expect("stopped again");
    assert_eq!(bench.met("stopped", "container", "web", Value::Null).await, Ok(Met::Yes));
}

#[tokio::test]
async fn a_planner_sees_no_variables_and_where_an_image_came_from() {
    let bench = Bench::new();
    let built = ImageSpec {
        config: json!({"Labels": {"org.opencontainers.image.created": "2026-01-02T03:04:05Z"}}),
        ..ImageSpec::default()
    };
    bench.engine.pullable("r.example.org/cart:2", built);
    bench.act("pull", "image", "r.example.org/cart:2", Value::Null).await.expect("pulled");
    bench.run("web", "serves:1").await;
    let objects =
        ["container/web", "container/none", "image/r.example.org/cart:2", "image/none:1", "network/none", "heap/x"];
    let objects =
        objects.map(|text| text.split_once('/').map(|(kind, name)| ObjectId::new(kind, name)).expect("a kind"));
    let inventory = bench.target.survey(&objects).await;
    let seen = |at: usize| inventory.facts.get(&objects[at]).map(|fact| &fact.seen).expect("looked at");
    let Seen::Present(web) = seen(0) else { panic!("{:?}", seen(0)) };
    assert!(web["running"] == true && !web.to_string().contains("a-long-secret"), "{web}");
    let Seen::Present(image) = seen(2) else { panic!("{:?}", seen(2)) };
    assert_eq!(image["built"], "2026-01-02T03:04:05Z");
    assert!(
        image["digests"][0].as_str().is_some_and(|digest| digest.starts_with("r.example.org/cart@sha256:")),
        "{image}"
    );
    for absent in [1, 3, 4] {
        assert_eq!(seen(absent), &Seen::Absent, "{}", objects[absent]);
    }
    assert!(matches!(seen(5), Seen::Unknown(failure) if failure.code == "docker.verb"), "{:?}", seen(5));
}

#[derive(Default)]
struct Kept(Mutex<Vec<(String, String)>>);

#[async_trait]
impl Evidence for Kept {
    async fn keep(&self, run: &RunId, name: &str, text: &str) {
        assert_eq!(run.0, "run-1");
        self.0.lock().push((name.to_owned(), text.to_owned()));
    }
}

#[tokio::test]
async fn what_a_container_said_outlives_its_undo() {
    let bench = Bench::new();
    let kept = Arc::new(Kept::default());
    let target = target(&bench.engine, Duration::from_secs(20)).keeping(kept.clone());
    bench.run("web-next", "ends:1").await;
    bench.run("ill", "ill:1").await;
    for name in ["web-next", "ill", "nobody"] {
        target.restore(&context(), &ObjectId::new("container", name), &Image::Absent).await.expect("removed");
    }
    assert_eq!(bench.engine.container_names(), Vec::<String>::new());
    let kept = kept.0.lock();
    let names: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["web-next.log", "ill.log"]);
    let text = &kept[0].1;
    assert!(text.contains("exit code 3") && text.ends_with("the key is $KEY\nbye\n"), "{text}");
    assert!(kept[1].1.contains("its health check: as the check says"), "{}", kept[1].1);
}
