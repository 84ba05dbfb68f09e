//! A project on the disk, an engine in memory, and what was said meanwhile.

use std::path::{Path, PathBuf};

use app_build::{BuildError, Built, Line, Options, build};
use base_world::World;
use connect_docker::{Engine, Found, Place};
use connect_docker_fake::{BuiltImage, FakeEngine, ImageSpec, Program};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) struct Rig {
    pub(crate) fake: FakeEngine,
    pub(crate) engine: Engine,
    pub(crate) world: World,
    folder: TempDir,
}

impl Rig {
    pub(crate) fn new() -> Rig {
        let fake = FakeEngine::start().expect("a socket");
        let found = Found { place: Place::Unix(fake.socket().to_owned()), found_by: "the test".into() };
        let engine = Engine::new(found).expect("no TLS");
        Rig { fake, engine, world: World::real(), folder: tempfile::tempdir().expect("a folder") }
    }

    /// A base image that starts like this, with a shell, whose commands answer like these.
    pub(crate) fn base(&self, name: &str, config: Value, commands: Vec<(&str, Program)>) {
        let commands = commands.into_iter().map(|(words, program)| (words.to_owned(), program)).collect();
        let files = [("/bin/sh".to_owned(), b"#!".to_vec())].into();
        let env = vec!["PATH=/usr/bin".to_owned(), "JAVA_TOOL_OPTIONS=-Xmx1g".to_owned()];
        self.fake.image(name, ImageSpec { config, env, commands, files, program: Program::default() });
    }

    /// One of Java's, one of Node's, one of Python's.
    pub(crate) fn bases(&self) {
        let python = json!({
            "abi": "cpython-311-x86_64-linux-gnu", "executable": "/usr/bin/python3", "base": "", "implementation": "cpython",
            "version": [3, 11], "installed": {"flask": "3.0.0"},
        });
        self.base("temurin:21", json!({"Cmd": ["java", "-jar", "/shop.jar"]}), vec![]);
        let node = vec![("node -p", Program::ending(0, &["20.11.1"]))];
        self.base("node:20", json!({"Entrypoint": ["docker-entrypoint.sh"], "Cmd": ["node", "server.js"]}), node);
        let answer = format!("{}{python}", operate_agents::python::PROBE_MARK);
        let asked = vec![("python3 -c", Program::ending(0, &["noise", &answer]))];
        self.base("python:3.11", json!({"Cmd": ["python3", "app.py"]}), asked);
        self.base(
            "strange:1",
            json!({"Cmd": ["python3", "app.py"]}),
            vec![("python", Program::ending(127, &["not found"]))],
        );
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "a test writes its project")]
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, text).expect("written");
        path
    }

    /// A project with this Dockerfile and this one more file.
    pub(crate) fn project(&self, dockerfile: &str, file: &str) -> Options {
        self.write("shop/Dockerfile", dockerfile);
        self.write(&format!("shop/{file}"), "{}\n");
        Options {
            context: self.path("shop"),
            tags: vec!["r.example.org/shop/cart:1.2".to_owned()],
            version: Some("1.2".to_owned()),
            cache: self.path("cache"),
            ..Options::default()
        }
    }

    /// Builds it; what came of it, and the sentences that were said.
    pub(crate) async fn build(&self, options: &Options) -> (Result<Built, BuildError>, Vec<Line>) {
        let mut said = Vec::new();
        let built = build(&self.engine, &self.world, options, &mut |line| said.push(line)).await;
        assert_eq!(self.fake.container_names(), Vec::<String>::new(), "a container is left: {said:?}");
        (built, said)
    }

    pub(crate) async fn has_image(&self, name: &str) -> bool {
        self.engine.image_if_there(name).await.expect("asked").is_some()
    }
}

/// What a call's query says.
pub(crate) fn query<'a>(built: &'a BuiltImage, name: &str) -> &'a str {
    built.query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}

pub(crate) fn is_cached(cache: &Path) -> bool {
    cache.join("agents").exists()
}
