//! Crates on their real counterparts: tests inside of a crate, behind a feature of its own, because a journey links none of our crates. This starts the
//! counterpart, runs them and counts them; it does not know what they test.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};

use crate::{sh, tools};

/// Something real, and who is tested on it.
struct Counterpart {
    name: &'static str,
    /// Starts it in the folder it is given, prints a line when it answers, and takes it away when its input closes.
    script: &'static str,
    /// The variable that tells the tests where it is, made of the script's folder and line.
    variable: &'static str,
    place: fn(&Guard) -> String,
    /// What the tests are compiled under.
    feature: &'static str,
    packages: &'static [&'static str],
}

const COUNTERPARTS: [Counterpart; 5] = [
    Counterpart {
        name: "docker",
        script: "tests/journeys/src/dockerd.sh",
        variable: "APM_TEST_DOCKER_HOST",
        place: |guard| format!("unix://{}", guard.folder.join("docker.sock").display()),
        feature: "real-engine",
        packages: &["connect-docker", "connect-registry", "operate-target-docker"],
    },
    Counterpart {
        name: "postgres",
        script: "xtask/src/connectors/postgres.sh",
        variable: "APM_TEST_POSTGRES_URL",
        place: |guard| guard.line.clone(),
        feature: "real-postgres",
        packages: &["operate-history"],
    },
    Counterpart {
        name: "kubernetes",
        script: "xtask/src/connectors/kubernetes.sh",
        variable: "APM_TEST_KUBERNETES",
        place: |guard| guard.folder.display().to_string(),
        feature: "real-cluster",
        packages: &["connect-kube"],
    },
    Counterpart {
        name: "kubernetes-node",
        script: "xtask/src/connectors/kubernetes-node.sh",
        variable: "APM_TEST_KUBERNETES",
        place: |guard| guard.folder.display().to_string(),
        feature: "real-cluster",
        packages: &["operate-target-kube"],
    },
    Counterpart {
        name: "kubernetes-two",
        script: "xtask/src/connectors/kubernetes-two.sh",
        variable: "APM_TEST_KUBERNETES_TWO",
        place: |guard| guard.folder.display().to_string(),
        feature: "real-clusters",
        packages: &["operate-target-many"],
    },
];

/// Those on the counterparts named, or all of them. `kubernetes-1.30` is an older minor, which is never among all.
pub(crate) fn run(names: &[&str]) -> sh::Outcome {
    if let [name] = names
        && let Some(minor) = name.strip_prefix("kubernetes-").filter(|minor| tools::MINORS.contains(minor))
    {
        return older(minor);
    }
    if let Some(unknown) = names.iter().find(|name| !COUNTERPARTS.iter().any(|known| known.name == **name)) {
        let known: Vec<_> = COUNTERPARTS.iter().map(|known| known.name).collect();
        return Err(format!("no counterpart `{unknown}`; there are {}", known.join(", ")));
    }
    let chosen = COUNTERPARTS.iter().filter(|known| names.is_empty() || names.contains(&known.name));
    chosen.into_iter().try_for_each(|counterpart| counterpart.run(counterpart.packages, "", &[]))
}

/// The tests of one crate with these words in their names, with larger numbers.
pub(crate) fn more(package: &str, words: &str, variables: &[(&str, &str)]) -> sh::Outcome {
    let mut its = COUNTERPARTS.iter().filter(|counterpart| counterpart.packages.contains(&package));
    its.try_for_each(|counterpart| counterpart.run(&[package], words, variables))
}

/// The tests of the connector and of the target that need no real node, on a real control plane of an older minor. It is built if need be.
pub(crate) fn older(minor: &str) -> sh::Outcome {
    let words = format!("--control-plane-only --minor {minor} --kwok 3");
    let on = |packages: &'static [&'static str], tests: &str| {
        let its = Counterpart {
            name: "kubernetes",
            script: "xtask/src/connectors/kubernetes.sh",
            variable: "APM_TEST_KUBERNETES",
            place: |guard| guard.folder.display().to_string(),
            feature: "real-cluster",
            packages,
        };
        its.run(packages, tests, &[("APM_CLUSTER_WORDS", &words)])
    };
    on(&["connect-kube"], "")?;
    on(&["operate-target-kube"], NO_NODE)
}

/// Those of the target's tests whose pods are pretended, or never come to be.
const NO_NODE: &str = "before:: helm:: unknown:: killed_at_random";

impl Counterpart {
    fn run(&self, packages: &[&str], words: &str, more: &[(&str, &str)]) -> sh::Outcome {
        let guard = Guard::start(self.name, self.script, more)?;
        let place = (self.place)(&guard);
        let variables = [&[(self.variable, place.as_str())], more].concat();
        let one = |package: &&str| tests(package, self.feature, words, &variables);
        let passed: Vec<_> = packages.iter().map(one).collect();
        guard.stop()?;
        for (package, passed) in packages.iter().zip(passed) {
            println!("{package} on a real {}: {} tests passed", self.name, passed?);
        }
        Ok(())
    }
}

/// Runs a crate's tests with its feature, all or those with these words in their names, and counts those that passed; none at all is a failure too.
fn tests(package: &str, feature: &str, words: &str, variables: &[(&str, &str)]) -> sh::Outcome<usize> {
    let mut command = sh::cargo();
    command.args(["test", "-p", package, "--features", feature, "--test", "real"]).stdout(Stdio::piped());
    command.arg("--").args(words.split_whitespace());
    command.envs(variables.iter().copied());
    let mut running = command.spawn().map_err(|error| format!("cannot start cargo: {error}"))?;
    let mut passed = 0;
    for line in
        running.stdout.take().into_iter().flat_map(|output| BufReader::new(output).lines()).map_while(Result::ok)
    {
        passed += usize::from(line.starts_with("test ") && line.ends_with("... ok"));
        println!("{line}");
    }
    let status = running.wait().map_err(|error| format!("cargo test: {error}"))?;
    match passed {
        _ if !status.success() => Err(format!("the tests of {package} on its real counterpart ended with {status}")),
        0 => Err(format!("no test of {package} ran on its real counterpart: look at its feature `{feature}`")),
        passed => Ok(passed),
    }
}

/// A counterpart of our own, which a script starts and takes away when its input closes, however we end.
struct Guard {
    script: Child,
    input: ChildStdin,
    folder: PathBuf,
    /// What the script printed when the counterpart answered.
    line: String,
}

impl Guard {
    fn start(name: &str, script: &str, variables: &[(&str, &str)]) -> sh::Outcome<Self> {
        let folder = std::env::temp_dir().join(format!("apm-{name}-connectors-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        let mut command = sh::program("sh");
        command.arg(sh::root().join(script)).arg(&folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let own = std::env::current_exe().map_err(|error| format!("our own program: {error}"))?;
        command.env("APM_XTASK", own).envs(variables.iter().copied());
        let mut script = command.spawn().map_err(|error| format!("cannot start a shell: {error}"))?;
        let (Some(input), Some(output)) = (script.stdin.take(), script.stdout.take()) else {
            return Err("a shell without its pipes".into());
        };
        let mut line = String::new();
        match BufReader::new(output).read_line(&mut line) {
            Ok(count) if count > 0 => Ok(Self { script, input, folder, line: line.trim().to_owned() }),
            _ => Err(format!("no {name}, see above for the reason: it needs root and `cargo xtask tools`")),
        }
    }

    /// Waits until it is gone.
    fn stop(self) -> sh::Outcome {
        let Self { mut script, input, folder, .. } = self;
        drop(input);
        script.wait().map_err(|error| format!("the counterpart's guard: {error}"))?;
        if folder.exists() { Err(format!("{} is left behind", folder.display())) } else { Ok(()) }
    }
}
