//! The connector against a real engine and a real registry: every call once, with what they answer to it. `cargo xtask journeys` starts the engine and
//! names it in APM_TEST_DOCKER_HOST; this file is compiled only with the feature `real-engine`.
#![expect(
    clippy::disallowed_methods,
    reason = "tests of the real thing: a registry with a real folder, a static program read from the real disk"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use connect_docker::{
    BuildOptions, Channel, ContainerSpec, DockerError, Engine, EventFilter, ExecSpec, Health, HealthCheck, Limits,
    LogOptions, Mount, NetworkJoin, NetworkSpec, Port, Publish, RegistryAuth, Restart, State, Surroundings,
    create_body_again, find,
};
use futures_util::{FutureExt, StreamExt, TryStreamExt};

const GRACE: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn engine() -> Engine {
    let host = std::env::var("APM_TEST_DOCKER_HOST");
    let host = host.expect("APM_TEST_DOCKER_HOST is not set: these tests are run by `cargo xtask journeys`");
    let surroundings = Surroundings { docker_host: Some(host), ..Default::default() };
    Engine::new(find(&surroundings, &*base_world::World::real().disk).expect("a good address")).expect("no TLS")
}

/// Debian's docker-registry on a free port of loopback.
struct Registry {
    process: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Registry {
    /// Open to all, or only to `user` with `secret`.
    fn start(private: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().display().to_string();
        std::fs::write(
            folder.path().join("users"),
            "user:$2b$12$3/KMxkDtjH0GU1reJvuleOtxyl2u5xgNicox87BJKFBOty3pe3A0S\n",
        )
        .expect("written");
        let auth =
            if private { format!("auth: {{htpasswd: {{realm: test, path: {place}/users}}}}\n") } else { String::new() };
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {place}}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n{auth}"
        );
        let config_file = folder.path().join("config.yml");
        std::fs::write(&config_file, config).expect("written");
        let mut command = Command::new("docker-registry");
        let process = command.arg("serve").arg(config_file).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut process = process.expect("docker-registry is there: run `cargo xtask tools`");
        // It says where it listens, then goes on to log each request: read on, or it would be stuck one day.
        let mut lines = BufReader::new(process.stderr.take().expect("piped")).lines().map_while(|line| line.ok());
        let address = lines.find_map(|line| {
            let (_, rest) = line.split_once("listening on ")?;
            Some(
                rest.chars().take_while(|letter| letter.is_ascii_digit() || ".:".contains(*letter)).collect::<String>(),
            )
        });
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address: address.expect("it says where it listens"), _folder: folder }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The context of an image: a tar file of its Dockerfile and busybox.
fn context(dockerfile: &str) -> Vec<u8> {
    let busybox = std::fs::read("/bin/busybox").expect("Debian's busybox-static");
    let mut tar = Vec::new();
    for (name, mode, body) in [("Dockerfile", 0o644, dockerfile.as_bytes()), ("busybox", 0o755, &busybox[..])] {
        tar.extend(tar_header(name, mode, body.len()));
        tar.extend(body);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// POSIX ustar: numbers in octal, a sum over the header with its own place as blanks.
fn tar_header(name: &str, mode: u32, len: usize) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| (&mut header[at..]).write_all(text.as_bytes()).expect("it fits");
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{len:011o}"));
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    (&mut header[148..]).write_all(format!("{sum:06o}\0 ").as_bytes()).expect("it fits");
    header
}

fn pieces(bytes: Vec<u8>) -> futures_util::stream::BoxStream<'static, std::io::Result<Bytes>> {
    let pieces: Vec<_> = bytes.chunks(64 << 10).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures_util::stream::iter(pieces).boxed()
}

const DOCKERFILE: &str = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV BASE=1\nCMD [\"sh\"]\n";

async fn build(engine: &Engine, tag: &str, dockerfile: &str) -> connect_docker::Result<Vec<connect_docker::Progress>> {
    let options = BuildOptions { tags: vec![tag.into()], labels: label("made-by", "real"), ..Default::default() };
    engine.build(&options, pieces(context(dockerfile))).await?.try_collect().await
}

/// The image all tests use; built by whoever comes first.
async fn image(engine: &Engine) -> &'static str {
    static BUILT: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    const TAG: &str = "real/busybox:1";
    BUILT.get_or_init(|| async { drop(build(engine, TAG, DOCKERFILE).await.expect("it builds")) }).await;
    TAG
}

fn label(key: &str, value: &str) -> BTreeMap<String, String> {
    [(key.to_owned(), value.to_owned())].into()
}

fn words(text: &str) -> Vec<String> {
    ["sh", "-c", text].map(str::to_owned).to_vec()
}

/// A container that runs a line of shell.
async fn spec(engine: &Engine, name: &str, line: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        image: image(engine).await.into(),
        command: Some(words(line)),
        init: true,
        ..Default::default()
    }
}

async fn run(engine: &Engine, spec: &ContainerSpec) {
    engine.remove_container_if_there(&spec.name).await.expect("away");
    engine.create_container(spec).await.expect("made");
    assert!(engine.start_container(&spec.name).await.expect("started"));
}

/// Looks until it is so; each look is a call to the engine, which takes its time.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looks = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(MINUTE, looks).await.unwrap_or_else(|_| panic!("a minute passed, and still not: {what}"))
}

#[tokio::test]
async fn the_engine_tells_what_it_is() {
    let engine = engine();
    let version = engine.version().await.expect("it answers");
    assert!(version.version.starts_with(|letter: char| letter.is_ascii_digit()), "{version:?}");
    let info = engine.info().await.expect("it answers");
    assert!(info.cpus > 0 && info.memory_bytes > 1 << 20 && !info.storage_driver.is_empty(), "{info:?}");
}

#[tokio::test]
async fn a_container_s_whole_life() {
    let engine = engine();
    let all = ContainerSpec {
        env: [("A".to_owned(), "x=y z".to_owned())].into(),
        labels: label("life", "1"),
        ports: vec![Port {
            container: 80,
            publish: Some(Publish { address: "127.0.0.1".into(), port: 0 }),
            ..Default::default()
        }],
        mounts: vec![
            Mount::Volume { name: "life-data".into(), path: "/data".into(), read_only: false },
            Mount::Tmpfs { path: "/tmp".into(), size_bytes: Some(1 << 20) },
            Mount::Bind { host: "/etc/hostname".into(), path: "/etc/theirs".into(), read_only: true },
        ],
        networks: vec![
            NetworkJoin { network: "life-one".into(), aliases: vec!["first".into()] },
            NetworkJoin { network: "life-two".into(), aliases: vec!["second".into()] },
        ],
        limits: Limits { memory_bytes: 64 << 20, cpu_millis: 500, pids: 50 },
        restart: Restart::OnFailure { retries_max: 2 },
        health: Some(HealthCheck {
            test: words("test -f /tmp/well"),
            interval_ms: 100,
            retries: 3,
            ..Default::default()
        }),
        user: Some("12:34".into()),
        working_folder: Some("/data".into()),
        read_only_root: true,
        extra_hosts: [("machine".to_owned(), "host-gateway".to_owned())].into(),
        stop_grace_s: Some(3),
        ..spec(&engine, "life", "id -u; id -g; pwd; echo \"$A\" >&2; sleep 1000").await
    };
    let all = ContainerSpec {
        health: all.health.map(|health| HealthCheck { test: [vec!["CMD".into()], health.test].concat(), ..health }),
        ..all
    };
    for network in ["life-one", "life-two"] {
        engine
            .ensure_network(&NetworkSpec { name: network.into(), labels: label("life", "1"), ..Default::default() })
            .await
            .expect("made");
    }
    assert!(
        !engine.ensure_network(&NetworkSpec { name: "life-one".into(), ..Default::default() }).await.expect("there")
    );
    engine.remove_container_if_there("life").await.expect("away");
    let id = engine.create_container(&all).await.expect("made");
    assert_eq!(engine.container("life").await.expect("seen").state, State::Created);
    assert!(engine.start_container("life").await.expect("started"));
    assert!(!engine.start_container("life").await.expect("no error"), "it was started already");

    let view = engine.container("life").await.expect("seen");
    assert_eq!((view.id.as_str(), view.name.as_str(), view.state), (id.as_str(), "life", State::Running));
    assert_eq!(view.networks.keys().collect::<Vec<_>>(), ["life-one", "life-two"]);
    assert!(view.ports.len() == 1 && view.ports[0].container == 80 && view.ports[0].port > 0, "{:?}", view.ports);
    assert!(view.env.contains(&"A=x=y z".to_owned()) && view.env.contains(&"BASE=1".to_owned()), "{:?}", view.env);
    let raw = engine.inspect_container("life").await.expect("seen");
    assert_eq!(raw["HostConfig"]["Memory"], 64 << 20);
    assert_eq!(raw["HostConfig"]["NanoCpus"], 500_000_000);

    // What it says, on both channels.
    let lines = until("its first lines", async || {
        let lines =
            engine.logs("life", &LogOptions { timestamps: true, ..Default::default() }).await.expect("it has logs");
        let lines: Vec<_> = lines.try_collect().await.expect("whole");
        (lines.len() == 4).then_some(lines)
    });
    let lines = lines.await;
    let of =
        |channel| lines.iter().filter(|line| line.channel == channel).map(|line| line.text.clone()).collect::<Vec<_>>();
    assert_eq!(
        (of(Channel::Output), of(Channel::Errors)),
        (vec!["12".into(), "34".into(), "/data".into()], vec![Bytes::from("x=y z")])
    );
    assert!(lines.iter().all(|line| line.at.contains('T')), "{lines:?}");
    let last = engine.logs("life", &LogOptions { tail: Some(1), ..Default::default() }).await.expect("it has logs");
    assert_eq!(last.try_collect::<Vec<_>>().await.expect("whole").len(), 1);

    // Unhealthy until a command inside makes it well.
    until("unhealthy", async || (engine.container("life").await.ok()?.health == Health::Unhealthy).then_some(())).await;
    let spec =
        |line: &str| ExecSpec { command: words(line), env: label("B", "2"), output_bytes_max: 4, ..Default::default() };
    let outcome = engine
        .exec("life", &spec("touch /tmp/well; echo $B; echo no room for this >&2; exit 3"), MINUTE)
        .await
        .expect("it runs");
    assert_eq!(
        (outcome.exit_code, outcome.output, outcome.errors, outcome.cut),
        (3, b"2\n".to_vec(), b"no r".to_vec(), true)
    );
    until("healthy", async || (engine.container("life").await.ok()?.health == Health::Healthy).then_some(())).await;
    let missing = engine
        .exec("life", &ExecSpec { command: vec!["/none".into()], ..Default::default() }, MINUTE)
        .await
        .expect("an outcome");
    assert!(missing.exit_code == 126 || missing.exit_code == 127, "{missing:?}");

    let stats = engine.container_stats("life").await.expect("counted");
    assert!(stats.cpu.total_ns > 0 && stats.memory.usage_bytes > 0 && stats.pids >= 1, "{stats:?}");
    assert_eq!((stats.memory.limit_bytes, stats.pids_limit, stats.networks.len()), (64 << 20, 50, 2));

    // Its volume is in use, its networks too.
    assert!(matches!(engine.remove_volume_if_there("life-data").await, Err(DockerError::Conflict { .. })));
    assert!(matches!(engine.remove_network_if_there("life-one").await, Err(DockerError::Conflict { .. })));
    assert!(engine.disconnect_container("life", "life-two").await.expect("out"));
    assert!(!engine.disconnect_container("life", "life-two").await.expect("no error"));
    engine
        .connect_container("life", &NetworkJoin { network: "life-two".into(), aliases: vec!["again".into()] })
        .await
        .expect("in");

    let listed = engine.containers(&label("life", "1")).await.expect("listed");
    assert_eq!(listed.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["life"]);
    assert!(engine.containers(&label("life", "2")).await.expect("listed").is_empty());

    assert!(engine.stop_container("life", GRACE).await.expect("stopped"));
    assert!(!engine.stop_container("life", GRACE).await.expect("no error"), "it was stopped already");
    assert_eq!(engine.container("life").await.expect("seen").state, State::Exited);
    engine.rename_container("life", "life-before").await.expect("renamed");

    // Made again from what was seen, it is the same.
    let (body, joins) = create_body_again(&raw);
    engine.create_container_from("life", body, &joins).await.expect("made again");
    let again = engine.inspect_container("life").await.expect("seen");
    assert_eq!(create_body_again(&again).0["HostConfig"], create_body_again(&raw).0["HostConfig"]);
    for key in [
        "Env",
        "Cmd",
        "Entrypoint",
        "Labels",
        "Healthcheck",
        "User",
        "WorkingDir",
        "ExposedPorts",
        "Image",
        "StopTimeout",
    ] {
        assert_eq!(again["Config"][key], raw["Config"][key], "{key}");
    }
    engine.start_container("life").await.expect("it starts as well");

    for name in ["life", "life-before"] {
        assert!(engine.remove_container_if_there(name).await.expect("away"));
        assert!(!engine.remove_container_if_there(name).await.expect("no error"));
    }
    for network in ["life-one", "life-two"] {
        assert!(engine.remove_network_if_there(network).await.expect("away"));
    }
    assert!(engine.remove_volume_if_there("life-data").await.expect("away"));
    assert_eq!(engine.container_if_there("life").await.expect("no error"), None);
}

#[tokio::test]
async fn refusals_of_a_real_engine_have_their_class() {
    let engine = engine();
    assert!(matches!(engine.container("none").await, Err(DockerError::NotFound { .. })));
    let spec = ContainerSpec { name: "refused".into(), image: "real/none:1".into(), ..Default::default() };
    let error = engine.create_container(&spec).await.expect_err("no image");
    assert!(matches!(&error, DockerError::ImageMissing { image, .. } if image == "real/none:1"), "{error:?}");

    // A name that is taken, with its holder.
    let spec = self::spec(&engine, "taken", "sleep 1000").await;
    run(&engine, &spec).await;
    let holder_id = engine.container("taken").await.expect("seen").id;
    match engine.create_container(&spec).await.expect_err("taken") {
        DockerError::Conflict { holder, said, .. } => assert_eq!((holder, said.status), (Some(holder_id), Some(409))),
        other => panic!("{other:?}"),
    }

    // A port taken by a program of the machine.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let publish = Some(Publish { address: "127.0.0.1".into(), port });
    let ports = vec![Port { container: 80, publish, ..Default::default() }];
    let spec = ContainerSpec { ports, ..self::spec(&engine, "port", "sleep 1000").await };
    engine.remove_container_if_there("port").await.expect("away");
    engine.create_container(&spec).await.expect("made: ports are taken at the start");
    let error = engine.start_container("port").await.expect_err("taken");
    assert!(
        matches!(&error, DockerError::PortTaken { address: Some(address), .. } if *address == format!("127.0.0.1:{port}")),
        "{error:?}"
    );

    let error = engine.kill_container("port", "SIGTERM").await.expect_err("it does not run");
    assert!(matches!(error, DockerError::Conflict { .. }), "{error:?}");
    let join = |network: &str| NetworkJoin { network: network.into(), ..Default::default() };
    for networks in [vec![join("none-such")], vec![join("bridge"), join("none-such")]] {
        let spec = ContainerSpec { networks, ..self::spec(&engine, "lost", "true").await };
        let error = engine.create_container(&spec).await.expect_err("no network");
        assert!(matches!(&error, DockerError::NotFound { object, .. } if object.name == "none-such"), "{error:?}");
        assert_eq!(engine.container_if_there("lost").await.expect("no error"), None, "nothing half made is left");
    }
    for name in ["taken", "port"] {
        engine.remove_container(name).await.expect("away");
    }
}

#[tokio::test]
async fn the_end_of_a_container_is_waited_for_and_its_code_kept() {
    let engine = engine();
    run(&engine, &spec(&engine, "ends", "exit 7").await).await;
    assert_eq!(engine.wait_container("ends", MINUTE).await.expect("it ends"), 7);
    assert_eq!(engine.wait_container("ends", MINUTE).await.expect("it has ended"), 7);
    run(&engine, &spec(&engine, "ends", "trap 'exit 9' HUP; echo ready; while :; do sleep 0.05; done").await).await;
    let mut lines = engine.logs("ends", &LogOptions { follow: true, ..Default::default() }).await.expect("it has logs");
    assert_eq!(lines.next().await.expect("a line").expect("whole").text, "ready");
    engine.kill_container("ends", "SIGHUP").await.expect("sent");
    assert!(lines.next().await.is_none(), "the stream ends with the container");
    assert_eq!(engine.wait_container("ends", MINUTE).await.expect("it ends"), 9);
    let error = {
        run(&engine, &spec(&engine, "ends", "sleep 1000").await).await;
        engine.wait_container("ends", Duration::from_millis(100)).await.expect_err("it goes on")
    };
    assert!(matches!(error, DockerError::Timeout { .. }), "{error:?}");
    engine.remove_container("ends").await.expect("away");
}

#[tokio::test]
async fn events_tell_what_happens() {
    let engine = engine();
    let filter = EventFilter { kinds: vec!["container".into()], labels: label("watched", "1"), ..Default::default() };
    let events = engine.events(filter).await.expect("it begins");
    let spec = ContainerSpec { labels: label("watched", "1"), ..spec(&engine, "watched", "exit 4").await };
    run(&engine, &spec).await;
    engine.wait_container("watched", MINUTE).await.expect("it ends");
    engine.remove_container("watched").await.expect("away");
    let seen: Vec<_> =
        tokio::time::timeout(MINUTE, events.take(4).try_collect()).await.expect("four events").expect("no error");
    assert_eq!(
        seen.iter().map(|event| event.action.as_str()).collect::<Vec<_>>(),
        ["create", "start", "die", "destroy"]
    );
    assert_eq!(seen[2].attributes["exitCode"], "4");
    assert!(seen.windows(2).all(|pair| pair[0].at_ns < pair[1].at_ns));
}

#[tokio::test]
async fn images_are_built_and_a_failing_build_says_why() {
    let engine = engine();
    let messages = build(
        &engine,
        "real/built:1",
        &format!("{DOCKERFILE}HEALTHCHECK CMD true\nEXPOSE 8080\nUSER 1\nRUN echo out loud\n"),
    )
    .await;
    let messages = messages.expect("it builds");
    assert!(messages.iter().any(|message| message.output.contains("out loud")), "{messages:?}");
    let id = messages.iter().rev().find_map(|message| message.digest()).expect("an id").to_owned();
    let view = engine.image("real/built:1").await.expect("there");
    assert_eq!((view.id, view.user.as_str(), view.has_health_check), (id.clone(), "1", true));
    assert_eq!((view.exposed_ports, view.labels["made-by"].as_str()), (vec!["8080/tcp".to_owned()], "real"));
    assert!(engine.images(&label("made-by", "real")).await.expect("listed").contains(&id));

    let error = build(&engine, "real/bad:1", &format!("{DOCKERFILE}RUN exit 5\n")).await.expect_err("it fails");
    assert!(error.to_string().contains("returned a non-zero code: 5"), "{error}");
    assert!(build(&engine, "real/bad:1", "FORM scratch\n").await.is_err());

    // Saved and loaded again, it is the same image.
    let tar: Vec<Bytes> = engine.save(&["real/built:1"]).await.expect("it begins").try_collect().await.expect("whole");
    engine.tag("real/built:1", "real/copy:2").await.expect("tagged");
    for name in ["real/built:1", "real/copy:2"] {
        assert!(engine.remove_image_if_there(name).await.expect("away"));
    }
    assert_eq!(engine.image_if_there(&id).await.expect("no error"), None);
    engine.load(futures_util::stream::iter(tar.into_iter().map(Ok)).boxed()).await.expect("loaded");
    assert_eq!(engine.image("real/built:1").await.expect("there").id, id);
    let error = {
        let spec = ContainerSpec { image: "real/built:1".into(), ..spec(&engine, "user", "sleep 1").await };
        engine.create_container(&spec).await.expect("made");
        engine.remove_image(&id).await.expect_err("in use")
    };
    assert!(matches!(error, DockerError::Conflict { .. }), "{error:?}");
    engine.remove_container("user").await.expect("away");
    engine.remove_image("real/built:1").await.expect("away");
}

#[tokio::test]
async fn an_image_goes_to_a_registry_and_comes_back() {
    let engine = engine();
    let registry = Registry::start(false);
    let reference = format!("{}/real/pushed:1", registry.address);
    engine.tag(image(&engine).await, &reference).await.expect("tagged");
    let mut pushed = 0;
    let digest = engine.push(&reference, None, |_| pushed += 1).await.expect("pushed").expect("a digest");
    assert!(pushed > 1 && digest.starts_with("sha256:"), "{digest}");
    engine.remove_image(&reference).await.expect("away");
    let messages: Vec<_> =
        engine.pull(&reference, None, "").await.expect("it begins").try_collect().await.expect("pulled");
    assert_eq!(messages.iter().rev().find_map(|message| message.digest()), Some(digest.as_str()));
    let pinned = format!("{}@{digest}", reference.trim_end_matches(":1"));
    assert!(engine.image(&reference).await.expect("there").digests.contains(&pinned));
    engine.pull(&pinned, None, "").await.expect("it begins").try_collect::<Vec<_>>().await.expect("pulled by digest");

    let none = reference.replace(":1", ":none");
    let pull = |reference: String| {
        let engine = engine.clone();
        async move { engine.pull(&reference, None, "").await?.try_collect::<Vec<_>>().await }.boxed()
    };
    let error = pull(none.clone()).await.expect_err("no such tag");
    assert!(matches!(&error, DockerError::ImageMissing { image, .. } if *image == none), "{error:?}");
    let error = pull("127.0.0.1:1/none:1".to_owned()).await.expect_err("no registry");
    assert!(error.to_string().contains("127.0.0.1:1/none:1") && error.to_string().contains("refused"), "{error}");
    let error = engine.push("127.0.0.1:1/none:1", None, |_| {}).await.expect_err("no such image");
    assert!(!error.to_string().is_empty(), "{error:?}");
    engine.remove_image(&reference).await.expect("away");
}

#[tokio::test]
async fn a_registry_that_knows_us_not_is_named() {
    let (engine, registry) = (engine(), Registry::start(true));
    let reference = format!("{}/real/private:1", registry.address);
    engine.tag(image(&engine).await, &reference).await.expect("tagged");
    let auth = |password: &str| RegistryAuth {
        registry: registry.address.clone(),
        username: "user".into(),
        password: password.into(),
        ..Default::default()
    };
    let refused = |error: DockerError| match error {
        DockerError::Unauthorized { object, said } => {
            assert_eq!(object.name, reference);
            assert!(!said.message.contains("wrong"), "{said}");
        }
        other => panic!("{other:?}"),
    };
    refused(engine.push(&reference, None, |_| {}).await.expect_err("nobody"));
    refused(engine.push(&reference, Some(&auth("wrong")), |_| {}).await.expect_err("a wrong password"));
    engine.push(&reference, Some(&auth("secret")), |_| {}).await.expect("known").expect("a digest");
    engine.remove_image(&reference).await.expect("away");
    let pull =
        async |auth: Option<&RegistryAuth>| engine.pull(&reference, auth, "").await?.try_collect::<Vec<_>>().await;
    refused(pull(None).await.expect_err("nobody"));
    pull(Some(&auth("secret"))).await.expect("pulled");
    engine.remove_image(&reference).await.expect("away");
}
