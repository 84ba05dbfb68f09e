//! The command line as data. Help texts are read aloud before they are changed: they say what a person gets.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::front::FrontArgs;

/// See your services' metrics, logs and traces with one command, and operate them with the same.
#[derive(Debug, Parser)]
#[command(name = "apm", version, propagate_version = true, disable_help_subcommand = true)]
#[command(after_help = "Start with `apm up --demo`, or with `apm up` and, beside it, `apm run -- python app.py`.")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Global {
    /// The project's file; `apm.yaml` in this folder when it is there
    #[arg(long, help_heading = "Global options", global = true, value_name = "FILE", env = "APM_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The environment, such as `prod`; becomes deployment.environment.name
    #[arg(long, help_heading = "Global options", global = true, value_name = "NAME", env = "APM_ENV")]
    pub(crate) env: Option<String>,
    /// The engine to talk to; by default the project's own, then the newest that runs, then http://127.0.0.1:4300
    #[arg(long, help_heading = "Global options", global = true, value_name = "URL", env = "APM_URL")]
    pub(crate) url: Option<String>,
    /// Only warnings and errors
    #[arg(long, short, help_heading = "Global options", global = true)]
    pub(crate) quiet: bool,
    /// Say more; twice for everything
    #[arg(long, short, help_heading = "Global options", global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Without colours; NO_COLOR is heeded as well
    #[arg(long, help_heading = "Global options", global = true)]
    pub(crate) no_color: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the engine: metrics, logs, traces and the page, in this one process
    Up(UpArgs),
    /// Take telemetry in beside what sends it, and pass it on to an engine or to others: the collector of a node
    Collect(crate::collect::CollectArgs),
    /// Run a program with telemetry, without touching its code, and restart it when its files change
    Run(RunArgs),
    /// Release a new version: planned, carried out, judged by its own telemetry, and undone when it does harm
    Deploy(Box<DeployArgs>),
    /// The proxy that owns a service's port, so that what stands behind it can be exchanged without a gap
    Front(FrontArgs),
    /// Work with image registries: log in, list tags, resolve, inspect, copy and delete images
    Registry(crate::registry::RegistryArgs),
    /// Check Dockerfiles, build images with a telemetry agent, scan images
    Docker(crate::docker::DockerArgs),
    /// Work with Kubernetes: check, render, compare and apply manifests, put telemetry into pods, see why a workload is not ready
    K8s(crate::k8s::K8sArgs),
    /// What `apm deploy` does to a chart's objects, started by Helm: manifests in, manifests out
    #[command(name = "__post-render", hide = true)]
    PostRender(crate::post_render::PostRenderArgs),
    /// Run the tests that a team keeps beside its rules: what queries must answer
    Test(crate::test::TestArgs),
    /// Write the metrics of a data folder for other programs: blocks that Prometheus opens
    Export(crate::export::ExportArgs),
    /// Take over the metrics of other programs: the data folder of a Prometheus
    Import(crate::export::ImportArgs),
    /// One service of the demo; `apm up --demo` starts them
    #[command(name = "__demo", hide = true)]
    DemoService(DemoArgs),
}

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true, disable_version_flag = true)]
#[command(
    after_help = "Exit codes: 0 the new version serves, 1 it was undone, 2 the words or the settings are wrong, 3 it could not be done, 4 it was refused."
)]
pub(crate) struct DeployArgs {
    #[command(subcommand)]
    pub(crate) what: Option<DeployCommand>,
    #[command(flatten)]
    pub(crate) start: StartArgs,
}

const JUDGE_HELP: &str = "Exit codes: 0 it passes, 1 it fails, 3 it is inconclusive, not decided yet, or nobody could be asked. A replay ends with 0 when it could judge at least one release.";

#[derive(Debug, Subcommand)]
pub(crate) enum DeployCommand {
    /// Release a new version (what `apm deploy` alone does)
    #[command(disable_version_flag = true)]
    Start(StartArgs),
    /// Show where a run stands, step by step
    Status(RunName),
    /// List runs, the newest first
    List {
        /// At most so many
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
        /// Only runs with this tag
        #[arg(long, value_name = "TAG", value_parser = crate::deploy::tag::tag)]
        tag: Vec<operate_execute::Tag>,
        #[command(flatten)]
        places: Places,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// DORA's four keys from the history: how often, how fast, how many fail, how long until it is good again
    Dora {
        /// How far back: 7d, 30d, 12w
        #[arg(long, default_value = "30d", value_name = "TIME")]
        since: String,
        /// `text` or `json`
        #[arg(long, default_value = "text", value_parser = ["text", "json"])]
        output: String,
        #[command(flatten)]
        places: Places,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Follow a run until it ends; goes on with it when whoever carried it out is gone
    Watch(RunName),
    /// Show the plan of a run as it was carried out
    Plan(RunName),
    /// Show what a release would change: image, variables, ports, limits; of a secret only that it changes
    #[command(disable_version_flag = true, after_help = "Exit codes: 0 nothing would change, 1 something would.")]
    Diff(crate::deploy::diff::DiffArgs),
    /// Show a container that was made by hand as the section of apm.yaml that it would be, and write it there
    #[command(
        after_help = "Exit codes: 0 it was shown or written, or the settings say the same; 1 the settings say something else; 4 it could not be put back, so no release takes its place."
    )]
    Adopt(crate::deploy::adopt::AdoptArgs),
    /// Show what the containers write, old version and new, and what the run did in between
    Logs(crate::deploy::logs::LogsArgs),
    /// Ask the judge: how the service is now, how a release was, or how good the judge is
    #[command(after_help = JUDGE_HELP)]
    Judge(crate::deploy::judge::JudgeArgs),
    /// Take one image through the environments (`promotion:` in apm.yaml), with a person's yes between them
    #[command(disable_version_flag = true)]
    Promote(crate::deploy::promote::PromoteArgs),
    /// Deploy the version that ran before
    #[command(disable_version_flag = true)]
    Rollback(RollbackArgs),
    /// Say yes to a step that asks, or to the next environment of a promotion
    Approve(OrderArgs),
    /// Say no to a step that asks, or end a promotion
    Reject(OrderArgs),
    /// Begin no further step
    Pause(OrderArgs),
    /// Go on after a pause or a halt; try an undo that failed again
    Resume(OrderArgs),
    /// Stop, and undo what was done
    Cancel(OrderArgs),
    /// Treat a step as done
    Skip(OrderArgs),
    /// Give a run names by which it is found, gone back to and kept: `apm deploy prune` leaves it
    Tag(crate::deploy::tag::TagArgs),
    /// Remove old runs
    Prune(crate::deploy::prune::PruneArgs),
    /// List what is kept with a run, such as the log of a container that failed or what was found in its image
    Artefacts {
        #[command(flatten)]
        name: RunName,
        /// Of all runs with this tag; with `NAME=VALUE`, only artefacts of this kind: `kind=image-scan`
        #[arg(long, value_name = "TAG")]
        tag: Vec<String>,
        /// Print this one
        #[arg(long, value_name = "NAME")]
        get: Option<String>,
    },
}

/// Which release.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct ReleaseArgs {
    /// The service [default: the only one in apm.yaml]
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// The image, with its tag [default: the service's in apm.yaml]
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) image: Option<String>,
    /// The version [default: the image's tag]
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
}

#[derive(Debug, Default, ClapArgs)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    pub(crate) release: ReleaseArgs,
    /// Compose files that say what the services are, later ones laid over earlier ones [default: `compose` in apm.yaml]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) compose: Vec<std::path::PathBuf>,
    /// Services of the compose files that are in this profile too
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Vec<String>,
    /// How the new version takes over [default: as in apm.yaml, else recreate]
    #[arg(long, value_parser = ["recreate", "rolling", "blue-green", "canary"])]
    pub(crate) strategy: Option<String>,
    /// Print the plan, each step with the docker command that does the same, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Replace a container of this name that apm did not make
    #[arg(long)]
    pub(crate) adopt: bool,
    /// Make the container anew although it runs already with the same settings
    #[arg(long)]
    pub(crate) force: bool,
    /// Repair a Helm release that says pending, because you know that no helm is at work on it
    #[arg(long)]
    pub(crate) repair: bool,
    /// Why, for the history
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Default, ClapArgs)]
pub(crate) struct Places {
    /// Where runs are kept: a file or a postgres:// URL [default: history.db in the project's data folder]
    #[arg(long, value_name = "FILE|URL", env = "APM_HISTORY")]
    pub(crate) history: Option<String>,
}

/// An engine that has the runs and carries them out, in the place of this process.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct ServerArgs {
    /// Ask this engine, which has the runs and carries them out, in the place of doing it here
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// A file that holds the token for the engine [default: APM_TOKEN]
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunName {
    /// The run, as `apm deploy list` names it [default: the newest]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RollbackArgs {
    /// The version to go back to, or a run that released it, by its name, its image's digest or a tag [default: the version before the newest complete run]
    #[arg(long, value_name = "VERSION|RUN|DIGEST|TAG")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) start: StartArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct OrderArgs {
    /// The run [default: the newest]
    pub(crate) run: Option<String>,
    /// The step [default: the one that waits]
    #[arg(long, value_name = "STEP")]
    pub(crate) step: Option<String>,
    /// Why, for the history
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Default, ClapArgs)]
pub(crate) struct UpArgs {
    /// Start three small demo services with a little load and now and then a fault, so that there is something to see
    #[arg(long)]
    pub(crate) demo: bool,
    /// The data folder [default: one for each project under $XDG_DATA_HOME/apm]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The page and all APIs [default: 127.0.0.1:4300]; port 0 takes any free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// OTLP over gRPC [default: 127.0.0.1:4317], or `off`
    #[arg(long, value_name = "ADDR|off")]
    pub(crate) otlp_grpc: Option<String>,
    /// OTLP over HTTP [default: 127.0.0.1:4318], or `off`
    #[arg(long, value_name = "ADDR|off")]
    pub(crate) otlp_http: Option<String>,
    /// What heads, caches and queries may take together [default: a quarter of the machine's, 512MB to 4GB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<String>,
    /// How long data is kept [default: 15d]
    #[arg(long, value_name = "TIME")]
    pub(crate) retention: Option<String>,
    /// How much data is kept; the oldest goes first [default: no limit]
    #[arg(long, value_name = "SIZE")]
    pub(crate) retention_size: Option<String>,
    /// Measure the containers of this Docker engine, or `off` [default: the one that `docker` would talk to, if there is one]
    #[arg(long, value_name = "auto|off|HOST")]
    pub(crate) docker: Option<String>,
    /// A file of `role token` lines (viewer, ingest, deployer, admin); needed to listen beyond loopback
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Let the API delete series and make snapshots (/api/v1/admin/tsdb/…), as Prometheus's --web.enable-admin-api
    #[arg(long)]
    pub(crate) admin_api: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    /// The service's name [default: found from the project]
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Do not restart when files change
    #[arg(long)]
    pub(crate) no_watch: bool,
    /// Set OpenTelemetry's environment only; start without the agent
    #[arg(long)]
    pub(crate) no_agent: bool,
    /// Where telemetry goes [default: the engine's OTLP/HTTP port]
    #[arg(long, value_name = "URL")]
    pub(crate) otlp_endpoint: Option<String>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DemoArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Args::command().debug_assert();
    }
}
