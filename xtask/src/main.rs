//! `cargo xtask …`: the one list of commands a developer and CI run. It knows the repository, not the product: nothing here is linked into `apm`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a developer's command line: it prints, and reads the real disk and clock"
)]

mod arrows;
mod bench;
mod bless;
mod check;
mod ci;
mod cluster;
mod connectors;
mod coverage;
mod http;
mod journeys;
mod licences;
mod schemas;
mod sh;
mod soak;
mod test;
mod tidy;
mod tools;
mod verdicts;

use std::process::ExitCode;

/// A command: its name, what it does in one line, and the function that does it with the words behind its name.
struct Command {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> sh::Outcome,
}

/// Only what works stands here; `cargo xtask` prints it.
const COMMANDS: &[Command] = &[
    Command {
        name: "check",
        about: "formatting and clippy over the whole workspace, warnings denied",
        run: check::run,
    },
    Command {
        name: "test",
        about: "`cargo test` and the checks of this tool itself; words are passed on",
        run: test::run,
    },
    Command {
        name: "tidy",
        about: "house rules no compiler checks: module docs, manifests, links, lengths",
        run: tidy::run,
    },
    Command { name: "arrows", about: "which crate may use which; banned crates; licences", run: arrows::run },
    Command {
        name: "bless",
        about: "rewrite snapshots to what is true now; look at the diff before you commit",
        run: bless::run,
    },
    Command {
        name: "tools", about: "fetch or build the real counterparts; `--only NAME…` for some", run: tools::run
    },
    Command {
        name: "journeys",
        about: "the real binary against real counterparts; words choose some, `connectors` their tests alone",
        run: journeys::run,
    },
    Command {
        name: "bench",
        about: "measure the real binary: `spine`, `deployments`, `manifests`, `metrics` beside its peers; with `--smoke` a short run",
        run: bench::run,
    },
    Command {
        name: "cluster",
        about: "a real Kubernetes on this machine: `up`, `down`, `load`; with `--name` several",
        run: cluster::run,
    },
    Command {
        name: "schemas",
        about: "rewrite the Kubernetes schemas from the OpenAPI of each minor version; a FOLDER of specs instead of the proxy",
        run: schemas::run,
    },
    Command {
        name: "verdicts",
        about: "what our validation and real API servers say of the same objects: `1.30`, `1.36`, `emulated-1.35`; `--count N`, `--record`",
        run: verdicts::run,
    },
    Command { name: "coverage", about: "lines of our code that the tests run, against the bar", run: coverage::run },
    Command {
        name: "soak",
        about: "long sweeps: `kills [N]` of the engine under load, `deploy [N]` and `cluster [N]` of releases on a real Docker and Kubernetes, `minors [N]` of objects on real older API servers",
        run: soak::run,
    },
    Command { name: "ci", about: "everything a merge must pass, stage by stage", run: ci::run },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(command) = words.first().and_then(|name| COMMANDS.iter().find(|command| command.name == name)) else {
        usage();
        return ExitCode::from(2);
    };
    match (command.run)(&words[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask {}: {problem}", command.name);
            ExitCode::FAILURE
        }
    }
}

fn usage() {
    println!("usage: cargo xtask COMMAND\n");
    for command in COMMANDS {
        println!("  {:<10} {}", command.name, command.about);
    }
}
