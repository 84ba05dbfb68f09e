//! The same command prints the same with and without `--server`: an engine of ours carries out what is asked of it, and its answers are told as if they
//! were from here. Both share one history, so that there is the same to tell.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use tests_journeys::{Engine, Peer, engine, wait};

use super::shop::{Ended, Stage, end};

/// An engine that takes deployments, and a person in its folder.
pub(crate) struct Office<'a> {
    pub(crate) engine: Engine,
    stage: &'a Stage,
    runs: AtomicUsize,
}

impl<'a> Office<'a> {
    /// `name` names its folder of artefacts; `variables` are the engine's.
    pub(crate) fn new(stage: &'a Stage, name: &str, variables: &[&str], settings: &str) -> Office<'a> {
        let host = format!("DOCKER_HOST={}", stage.docker.host);
        let words = [&["env", host.as_str(), "USER=ann"], variables].concat();
        let engine = Engine::start_with(&format!("deploy_{name}"), &[], &words);
        let mut office = Office { engine, stage, runs: AtomicUsize::new(0) };
        // What the project is called is read when the engine starts.
        office.put("apm.yaml", settings);
        office.engine.terminate();
        office.engine.restart();
        office
    }

    pub(crate) fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.engine.home().join(name);
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    /// `apm deploy WORDS`, running.
    pub(crate) fn begin(&self, words: &[&str]) -> Peer {
        let mut command = engine::command(self.engine.home(), &engine::apm());
        command.env("DOCKER_HOST", &self.stage.docker.host).env("USER", "ann").arg("deploy").args(words);
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        Peer::start(&mut command, self.engine.artefacts().join(format!("{number:02}.log")))
    }

    /// Done here, to its end.
    pub(crate) fn here(&self, words: &[&str]) -> Ended {
        end(&mut self.begin(words))
    }

    /// Asked of the engine, to its end.
    pub(crate) fn there(&self, words: &[&str]) -> Ended {
        end(&mut self.begin(&[words, &["--server", &self.engine.url]].concat()))
    }

    /// Both ways, which must not differ but for numbers that go on by themselves. Gives what was said.
    #[track_caller]
    fn both(&self, words: &[&str]) -> String {
        let (here, there) = (self.here(words), self.there(words));
        assert_eq!((here.code, plain(&here.text)), (there.code, plain(&there.text)), "{words:?}");
        assert!(!here.text.is_empty(), "{words:?} says nothing");
        here.text
    }
}

/// Moments and ages are not the same twice.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match (c.is_ascii_digit(), out.ends_with('0')) {
            (true, true) => {}
            (true, false) => out.push('0'),
            (false, _) => out.push(c),
        }
    }
    // Ages stand at the right of their column.
    out.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

const SETTINGS: &str = r#"project: shop
promotion: [dev, prod]
services:
  elsewhere:
    image: journey/elsewhere
    deploy: { judged: false, command: ["sh", "-c", "echo hello from $0; echo aside >&2; exec sleep 1000"], stop_grace: 1s }
environments: { dev: {}, prod: {} }
"#;

const COMPOSE: &str = r#"name: shop
services:
  afar:
    image: journey/busybox:1
    command: ["sh", "-c", "cat /etc/greeting; echo $$HOME ${GREETING}; exec sleep 1000"]
    env_file: afar.env
    configs: [{ source: greeting, target: /etc/greeting }]
    stop_grace_period: 1s
configs: { greeting: { file: ./greeting.txt } }
"#;

pub(crate) fn an_engine_elsewhere_tells_the_same(stage: &Stage) {
    let (office, docker) = (Office::new(stage, "elsewhere", &[], SETTINGS), stage.docker);
    for version in ["1", "2"] {
        docker.docker(&["tag", docker.busybox_image(), &format!("journey/elsewhere:{version}")]);
    }
    let dev = ["--env", "dev"];
    let with = |words: &[&'static str]| [words, &dev[..]].concat();
    office.both(&with(&["list"]));
    office.both(&with(&["diff", "--version", "1"]));
    office.there(&with(&["start", "--version", "1", "--yes"])).expect(0, &["complete"]);
    // A version that is gone by now, and what it said when it failed.
    docker.build(
        "journey/elsewhere:bad",
        "FROM journey/busybox:1\nENTRYPOINT [\"/bin/sh\", \"-c\", \"echo no way in; exit 3\"]\n",
        &[],
    );
    office.there(&with(&["start", "--version", "bad", "--yes"])).expect(1, &["no way in"]);
    let list = office.both(&["list"]);
    let run = list.lines().last().and_then(|line| line.split_whitespace().next()).expect("a run").to_owned();
    let failed = list.lines().next().and_then(|line| line.split_whitespace().next()).expect("a run").to_owned();
    for words in [
        &["status", &run][..],
        &["plan", &run],
        &["logs", &run],
        &["logs", &run, "--tail", "1"],
        &["artefacts", &failed],
        &["artefacts", &failed, "--get", "no-such-thing"],
        &["judge", &run],
        &["judge", "no-such-run"],
        &["judge", "--replay", "--env", "dev"],
        &["judge", "--replay", "--env", "dev", "-o", "json"],
        &["judge", "--env", "dev"],
        &["diff", "--env", "dev", "--version", "1"],
        &["diff", "--env", "dev", "--version", "2", "-o", "json"],
        &["diff", "--env", "dev", "--service", "elsewere"],
        &["dora"],
        &["dora", "--output", "json"],
        &["promote", "--from", "nowhere"],
        &["status", "no-such-run"],
    ] {
        office.both(words);
    }
    let logs = office.both(&["logs", &run]);
    assert!(logs.contains("hello from") && logs.contains("┃") && logs.contains("── "), "{logs}");
    let kept = office.both(&["artefacts", &failed]);
    // Beside the plan and what was there before: what the container said.
    let names = kept.lines().filter_map(|line| line.split_whitespace().next());
    let name = names.into_iter().find(|name| !name.ends_with(".json")).unwrap_or_else(|| panic!("{kept}"));
    assert!(office.both(&["artefacts", &failed, "--get", name]).contains("no way in"));

    // Lines are followed while the release goes on, and end with it.
    let mut running =
        office.begin(&["start", "--env", "dev", "--version", "2", "--yes", "--server", &office.engine.url]);
    wait::until("the second run", 60, || {
        let list = office.there(&["list"]).text;
        if list.lines().next().is_some_and(|line| line.contains("1 → 2") || line.contains(" 2 ")) {
            Ok(())
        } else {
            Err(list)
        }
    });
    office.there(&["logs", "--follow"]).expect(0, &["hello from", "done start elsewhere 2"]);
    end(&mut running).expect(0, &["complete"]);

    // A promotion is decided there and answered there.
    let begun =
        office.there(&["promote", "--from", "dev", "--reason", "new prices"]).expect(0, &["prod", "waits for a yes"]);
    let id = begun.text.split(['(', ')']).find(|word| word.starts_with("promote-")).expect("a name").to_owned();
    office.both(&["status", &id]);
    office.both(&["list"]);
    office.there(&["approve", &id, "--reason", "looked at it"]).expect(0, &["complete", "2 has reached prod"]);
    assert!(office.both(&["status", &id]).contains("by ann"), "who said yes is told");
    office.both(&["approve", &id]);
    office.both(&["reject", "no-such-run"]);

    // Compose files are read here, and what they name travels; folders do not.
    office.put("apm.yaml", &SETTINGS.replace("services:\n", "services:\n  afar: { deploy: { judged: false } }\n"));
    office.put("compose.yaml", COMPOSE);
    office.put("afar.env", "FROM_FILE=a$$b\n");
    office.put("greeting.txt", "good day\n");
    office.put(".env", "GREETING=hi\n");
    office.both(&["start", "--compose", "compose.yaml", "--service", "afra", "--dry-run"]);
    office.there(&["start", "--compose", "compose.yaml", "--yes"]).expect(0, &["complete"]);
    wait::until("what travelled to be there", 60, || {
        let said = docker.docker(&["logs", "shop-afar"]);
        if said.contains("good day") && said.contains(" hi") { Ok(()) } else { Err(said) }
    });
    office.put("compose.yaml", &COMPOSE.replace("    stop_grace", "    gpus: all\n    stop_grace"));
    office.both(&["start", "--compose", "compose.yaml", "--yes"]);

    let containers = ["shop-dev-elsewhere", "shop-prod-elsewhere", "shop-afar"];
    docker.docker(&[&["rm", "-f"], &containers[..]].concat());
}

pub(crate) fn an_engine_of_docker_that_is_away_takes_only_its_own_away(stage: &Stage) {
    let office = Office::new(stage, "lacking", &[], &SETTINGS.replace("elsewhere", "lacking"));
    let docker = stage.docker;
    docker.docker(&["tag", docker.busybox_image(), "journey/lacking:1"]);
    office.here(&["start", "--env", "dev", "--version", "1", "--yes"]).expect(0, &["complete"]);
    let mut command = engine::command(office.engine.home(), &engine::apm());
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").args(["deploy", "logs"]);
    let away = end(&mut Peer::start(&mut command, office.engine.artefacts().join("away.log")));
    // What the run did is told all the same, and that the rest is missing.
    away.expect(3, &["done start lacking 1", "degraded: the lines of lacking's containers of docker missing"]);
    docker.docker(&["rm", "-f", "shop-dev-lacking"]);
}
