//! Crates on their real counterparts: tests inside of a crate, behind its feature `real-engine`, because a journey links none of our crates. This starts the counterpart, runs them and counts them; it does not know what they test.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Stdio};

use crate::sh;

/// Those that need a Docker engine.
const ON_DOCKER: [&str; 2] = ["connect-docker", "operate-target-docker"];

/// All of them, on one engine.
pub(crate) fn run() -> sh::Outcome {
    let docker = Docker::start()?;
    let passed: Vec<_> =
        ON_DOCKER.iter().map(|package| tests(package, &[("APM_TEST_DOCKER_HOST", &docker.host)])).collect();
    docker.stop()?;
    for (package, passed) in ON_DOCKER.iter().zip(passed) {
        println!("{package} on a real engine: {} tests passed", passed?);
    }
    Ok(())
}

/// Runs a crate's tests with its feature and counts those that passed; none at all is a failure too.
fn tests(package: &str, variables: &[(&str, &str)]) -> sh::Outcome<usize> {
    let mut command = sh::cargo();
    command.args(["test", "-p", package, "--features", "real-engine", "--test", "real"]).stdout(Stdio::piped());
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
        0 => Err(format!("no test of {package} ran on its real counterpart: look at its feature `real-engine`")),
        passed => Ok(passed),
    }
}

/// A Docker engine of our own, as the journeys have it: the guard takes it away when its input closes.
struct Docker {
    guard: Child,
    input: ChildStdin,
    folder: std::path::PathBuf,
    host: String,
}

impl Docker {
    fn start() -> sh::Outcome<Self> {
        let folder = std::env::temp_dir().join(format!("apm-docker-connectors-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        let mut command = sh::program("sh");
        command.arg(sh::root().join("tests/journeys/src/dockerd.sh")).arg(&folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut guard = command.spawn().map_err(|error| format!("cannot start a shell: {error}"))?;
        let (Some(input), Some(output)) = (guard.stdin.take(), guard.stdout.take()) else {
            return Err("a shell without its pipes".into());
        };
        let mut line = String::new();
        let read = BufReader::new(output).read_line(&mut line);
        let host = format!("unix://{}", folder.join("docker.sock").display());
        match read {
            Ok(count) if count > 0 => Ok(Self { guard, input, folder, host }),
            _ => Err("no Docker engine, see above for the reason: it needs root and `cargo xtask tools`".into()),
        }
    }

    /// Waits until it is gone.
    fn stop(self) -> sh::Outcome {
        let Self { mut guard, input, folder, .. } = self;
        drop(input);
        guard.wait().map_err(|error| format!("the engine's guard: {error}"))?;
        if folder.exists() { Err(format!("{} is left behind", folder.display())) } else { Ok(()) }
    }
}
