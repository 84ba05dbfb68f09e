//! A service on an engine, and releases of it. Each test has a service of its own, so that they run side by side on
//! one engine. Which engine it is says `crate::engine`: a real one, or one in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base_world::World;
use connect_docker::{Engine, Surroundings, find};
use operate_deploy::{Check, Container, Port, Publish, Release, Secret, Strategy};
use operate_execute::{Context, History as _, Image, RunId, Seal, Status, Target as _};
use operate_plan::{Failure, ObjectId};
use operate_target_docker::{DockerTarget, StartFront, secret_name};
use operate_target_fake::{Kill, Lives};

use crate::engine::Here;

/// What may follow the service's name.
const RESTS: [&str; 5] = ["", "-next", "-previous", "-blue", "-green"];

/// A place for a front, and who starts it there: the real one, in a thread that outlives the lives of the executor.
struct FrontHere {
    settings: operate_deploy::Front,
    starter: Arc<InAThread>,
    _folder: tempfile::TempDir,
}

/// Below those that a system gives to whoever wants any, so that nobody is given them between now and their use.
fn free_ports() -> [u16; 3] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 1_500).unwrap_or(0) * 10;
    loop {
        let port = 15_000 + first.wrapping_add(NEXT.fetch_add(3, Ordering::Relaxed)) % 16_000;
        let ports = [port, port + 1, port + 2];
        if ports.iter().all(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return ports;
        }
    }
}

impl FrontHere {
    fn new() -> FrontHere {
        let folder = tempfile::tempdir().expect("a folder");
        let [listen, blue, green] = free_ports();
        let settings = operate_deploy::Front {
            listen: format!("127.0.0.1:{listen}"),
            control: folder.path().join("front.sock").display().to_string(),
            port: 80,
            ports: [blue, green],
        };
        FrontHere { settings, starter: Arc::default(), _folder: folder }
    }
}

#[derive(Default)]
struct InAThread;

#[async_trait]
impl StartFront for InAThread {
    async fn start(&self, listen: &str, control: &std::path::Path) -> Result<(), Failure> {
        let options = app_gateway::Options {
            listen: listen.to_owned(),
            control: control.to_owned(),
            state: control.with_extension("state"),
            tcp: false,
            metrics: None,
            limits: app_gateway::Limits::default(),
        };
        let (tell, told) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                match app_gateway::Front::start(World::real(), options).await {
                    Ok(front) => {
                        let _ = tell.send(Ok(()));
                        front.is_told_to_end().await;
                        front.stop().await;
                    }
                    Err(error) => {
                        let _ = tell.send(Err(error.to_string()));
                    }
                }
            });
        });
        let started = told.await.unwrap_or_else(|_| Err("the thread ended".to_owned()));
        started.map_err(|why| Failure::new(operate_plan::Class::Transient, "front.start", why, "look at it"))
    }
}

pub(crate) struct Rig {
    pub(crate) service: String,
    pub(crate) engine: Here,
    pub(crate) lives: Lives,
    front: Option<FrontHere>,
}

impl Rig {
    pub(crate) fn new(service: &str) -> Rig {
        let seal = Arc::new(Seal::new(&[3; 32], World::real().random).expect("a key"));
        Rig { service: service.to_owned(), engine: Here::new(), lives: Lives::new(seal), front: None }
    }

    /// The same, with a service that is released behind a front.
    pub(crate) fn behind_a_front(service: &str) -> Rig {
        let mut rig = Rig::new(service);
        rig.front = Some(FrontHere::new());
        rig
    }

    pub(crate) fn has_front(&self) -> bool {
        self.front.is_some()
    }

    pub(crate) fn target(&self) -> DockerTarget {
        let surroundings = Surroundings { docker_host: Some(self.engine.host()), ..Default::default() };
        let engine = Engine::new(find(&surroundings, &*self.lives.world.disk).expect("an address")).expect("no TLS");
        let target = DockerTarget::new(engine, Arc::clone(&self.lives.seal), Arc::clone(&self.lives.world.clock))
            .expect("a client");
        match &self.front {
            Some(front) => target.with_fronts(front.starter.clone()),
            None => target,
        }
    }
    pub(crate) fn release(&self, version: &str) -> Release {
        let sealed = self.lives.seal.seal(&secret_name("DB_PASSWORD"), b"correct-horse").expect("sealed");
        let secret = Secret { sealed, mark: self.lives.seal.mark(b"correct-horse") };
        let front = self.front.as_ref().map(|front| front.settings.clone());
        let publish = Publish { address: "127.0.0.1".into(), port: 0 };
        Release {
            calendar: operate_plan::Calendar::default(),
            project: "target".into(),
            service: self.service.clone(),
            environment: "dev".into(),
            version: version.into(),
            image: format!("target/service:{version}"),
            pinned: None,
            target: format!("docker:{}", self.service),
            strategy: if front.is_some() { Strategy::BlueGreen } else { Strategy::Recreate },
            front,
            canary: None,
            replicas: 1,
            container: Container {
                env: [("COLOR".to_owned(), "blue".to_owned())].into(),
                secrets: [("DB_PASSWORD".to_owned(), secret)].into(),
                ports: vec![Port { container: 80, publish: Some(publish) }],
                restart: "no".into(),
                stop_grace_s: 1,
                ..Container::default()
            },
            checks: vec![Check::Http { path: "/healthz".into(), port: 80 }],
            ready_ms: 30_000,
            gate: None,
            scan: None,
            judge: Some(serde_json::json!({})),
            sides: None,
            judge_ms: 10_000,
            findings: Vec::new(),
            approval: None,
            adopt: false,
            force: false,
            actor: "ann".into(),
            reason: String::new(),
        }
    }

    /// Plans and runs to the end.
    pub(crate) fn deploy(&self, release: &Release, kills: &[Kill]) -> (RunId, Status) {
        let id = self.planned(release);
        let status = self.run(&id, kills);
        (id, status)
    }

    /// A run of which nothing is done yet.
    pub(crate) fn planned(&self, release: &Release) -> RunId {
        let clock = &self.lives.world.clock;
        let id = RunId(format!("{}-{}-{}", self.service, release.version, clock.now_ns()));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let seen = runtime.block_on(self.target().survey(&operate_deploy::objects(release)));
        let plan = operate_deploy::plan(release, &seen, clock.now_ms()).expect("a plan");
        self.lives.create(&id, &plan).expect("a run");
        id
    }

    /// Carries it out; each life but the last ends as its kill says.
    pub(crate) fn run(&self, id: &RunId, kills: &[Kill]) -> Status {
        let ended = self.lives.run(id, kills, || Arc::new(self.target()));
        ended.expect("it was killed in its last life").expect("an end")
    }

    /// Containers of this service by their names, as the journal would record them.
    pub(crate) fn containers(&self) -> BTreeMap<String, Image> {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let target = self.target();
        let context = Context { run: RunId("look".into()), step: "look".into(), fence: operate_execute::Fence(0) };
        let base = format!("target-dev-{}", self.service);
        let names = RESTS.map(|rest| format!("{base}{rest}"));
        runtime.block_on(async {
            let mut found = BTreeMap::new();
            for name in names {
                let image = target.image(&context, &ObjectId::new("container", name.clone())).await.expect("an image");
                if image != Image::Absent {
                    found.insert(name, image);
                }
            }
            if let Some(front) = &self.front {
                let object = ObjectId::new("front", &front.settings.control);
                found.insert("front".into(), target.image(&context, &object).await.expect("an image"));
            }
            found
        })
    }

    /// As a machine's end would; what it was told last stays on disk.
    pub(crate) fn end_the_front(&self) {
        let front = self.front.as_ref().expect("a front");
        let control = connect_front::Front::new(&front.settings.control).expect("short");
        tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
            control.stop().await.expect("it runs");
            while !control.state().await.is_err_and(|error| error.is_not_running()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }

    /// What a customer gets of the page that the service serves, at the front's address.
    pub(crate) fn answers(&self) -> bool {
        use std::io::{Read as _, Write as _};
        let front = self.front.as_ref().expect("a front");
        let mut answer = String::new();
        let asked = std::net::TcpStream::connect(&front.settings.listen).and_then(|mut stream| {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
            stream.read_to_string(&mut answer)
        });
        asked.is_ok() && answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n")
    }

    pub(crate) fn journal(&self, run: &RunId) -> String {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let entries = runtime.block_on(self.lives.history.entries(run, 0, usize::MAX)).expect("entries");
        assert_eq!(operate_execute::Entry::broken(&entries), None);
        serde_json::to_string(&entries).expect("JSON")
    }
}

/// Whatever became of the test, the engine is as it was.
impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(front) = &self.front {
            let stop = async { connect_front::Front::new(&front.settings.control).expect("short").stop().await };
            let _ = tokio::runtime::Runtime::new().expect("a runtime").block_on(stop);
        }
        let base = format!("target-dev-{}", self.service);
        self.engine.remove(&RESTS.map(|rest| format!("{base}{rest}")));
    }
}
