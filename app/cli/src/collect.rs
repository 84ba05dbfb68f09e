//! `apm collect`: the collector until a signal ends it. What it does is `app-serve`'s.

use std::path::PathBuf;

use app_config::Tree;
use app_deploy::{DockerSurroundings, KubeSurroundings};
use app_serve::{CollectOptions, CollectSettings, Collecting, ForwardSettings, TokenFrom};
use base_explain::Report;
use base_world::World;
use clap::Args;

use crate::args::Global;
use crate::config::{read, scrape_plan_with, settings, tokens_of_file, tree_with};
use crate::output::{Failure, paint, say};
use crate::up::{Signals, clone, not_started, runtime, wait};

#[derive(Debug, Args)]
#[command(
    after_help = "Example: `apm collect --forward http://apm-engine:4300 --node worker-1 --pod-logs /var/log/pods`"
)]
pub(crate) struct CollectArgs {
    /// The engine that gets everything [default: `forward` in apm.yaml]
    #[arg(long, value_name = "URL")]
    forward: Option<String>,
    /// A file that holds the token for the engine, read again when it changes [default: APM_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The node that this is the collector of: names its metrics and logs, and opens the ports to whoever runs there
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Read the logs of pods where the kubelet keeps them, such as /var/log/pods
    #[arg(long, value_name = "DIR")]
    pod_logs: Option<PathBuf>,
    /// The node's root directory as this process sees it, for its metrics [default: /]
    #[arg(long, value_name = "DIR")]
    host_root: Option<PathBuf>,
    /// What to scrape, as a prometheus.yml; `$(NAME)` in it is a variable of the environment [default: `observe.scrape` in apm.yaml]
    #[arg(long, value_name = "FILE")]
    scrape: Option<PathBuf>,
    /// The folder for what waits to be sent [default: a folder under $XDG_DATA_HOME/apm]
    #[arg(long, value_name = "DIR")]
    queue: Option<PathBuf>,
    /// How much may wait, on the disk [default: 1GB]
    #[arg(long, value_name = "SIZE")]
    queue_size: Option<String>,
    /// Health and metrics, remote write and Loki push [default: 127.0.0.1:4300, with --node 0.0.0.0:4300]
    #[arg(long, value_name = "ADDR|off")]
    listen: Option<String>,
    /// OTLP over gRPC [default: 127.0.0.1:4317, with --node 0.0.0.0:4317], or `off`
    #[arg(long, value_name = "ADDR|off")]
    otlp_grpc: Option<String>,
    /// OTLP over HTTP [default: 127.0.0.1:4318, with --node 0.0.0.0:4318], or `off`
    #[arg(long, value_name = "ADDR|off")]
    otlp_http: Option<String>,
    /// What requests on their way may take [default: 128MB]
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
}

pub(crate) fn collect(global: &Global, args: &CollectArgs) -> Result<u8, Failure> {
    let world = World::real();
    let options = options(&world, global, args)?;
    let broken = |error: std::io::Error| Failure::Broken(Report::of(&error));
    let runtime = runtime(16).map_err(broken)?;
    runtime.block_on(async {
        // Before anything is started, so that no signal is lost.
        let mut signals = Signals::new().map_err(broken)?;
        let collecting = tokio::select! {
            collecting = app_serve::collect(options) => collecting.map_err(not_started)?,
            // Nothing was taken yet that could be lost: the process may simply end.
            _ = signals.terminate.recv() => std::process::exit(0),
            _ = signals.interrupt.recv() => std::process::exit(130),
        };
        greet(global, &collecting);
        wait(signals, global, async || collecting.reload().await).await;
        collecting.stop().await;
        Ok(0)
    })
}

fn options(world: &World, global: &Global, args: &CollectArgs) -> Result<CollectOptions, Failure> {
    let tree = tree(world, global, args).map_err(Failure::Usage)?;
    let settings = settings(&tree).map_err(Failure::Usage)?;
    let wrong = |error: app_config::ConfigError| Failure::Usage(error.report().clone());
    let forward = ForwardSettings::read(&tree).map_err(wrong)?;
    let collect: CollectSettings = tree.section("collect").map_err(wrong)?;
    let project = settings.project.as_deref().unwrap_or("default");
    let data_dir = settings.observe.data.clone();
    let data_dir = data_dir.unwrap_or_else(|| crate::up::data_dir(false, Some(&format!("{project}-collect"))));
    let given = std::env::var("APM_TOKEN").ok().filter(|token| !token.is_empty());
    let token = match (&collect.token_file, given) {
        (Some(path), _) => {
            read(world, path).map_err(|report| Failure::Usage(report.because("`--token-file` names it")))?;
            TokenFrom::File(path.clone())
        }
        (None, Some(token)) => TokenFrom::Given(token),
        (None, None) => TokenFrom::Nowhere,
    };
    let plan = {
        let (global, settings, node, world) = (clone(global), settings.clone(), collect.node.clone(), world.clone());
        move || {
            let plan = scrape_plan_with(&world, &global, &settings, |text| fill(&text, node.as_deref()))?;
            match plan.has_rules() {
                false => Ok(plan),
                true => Err(Report::new("a collector evaluates no rules")
                    .because("the scrape configuration has `rule_files` or `alerting`")
                    .hint("move them to the configuration of the engine")),
            }
        }
    };
    Ok(CollectOptions {
        tokens: tokens_of_file(world, &settings).map_err(Failure::Usage)?,
        scrape: plan().map_err(Failure::Usage)?,
        reload: Box::new(plan),
        token,
        settings,
        forward,
        collect,
        data_dir: std::path::absolute(&data_dir).unwrap_or(data_dir),
        docker: DockerSurroundings::from_variables(|name| std::env::var(name).ok()),
        kube: KubeSurroundings::from_variables(|name| std::env::var(name).ok()),
    })
}

fn tree(world: &World, global: &Global, args: &CollectArgs) -> Result<Tree, Report> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    // One that is given here is relative to where we are, one in apm.yaml to that file.
    let here = |given: &PathBuf| std::path::absolute(given).unwrap_or_else(|_| given.clone()).display().to_string();
    let flags = [
        ("--forward", "forward", args.forward.clone()),
        ("--token-file", "collect.token_file", path(&args.token_file)),
        ("--node", "collect.node", args.node.clone()),
        ("--pod-logs", "collect.pod_logs", path(&args.pod_logs)),
        ("--host-root", "collect.host_root", path(&args.host_root)),
        ("--queue-size", "collect.queue_size", args.queue_size.clone()),
        ("--queue", "observe.data", path(&args.queue)),
        ("--scrape", "observe.scrape", args.scrape.as_ref().map(here)),
        ("--memory", "observe.memory", args.memory.clone()),
        ("--listen", "server.listen", args.listen.clone()),
        ("--otlp-grpc", "server.otlp_grpc", args.otlp_grpc.clone()),
        ("--otlp-http", "server.otlp_http", args.otlp_http.clone()),
    ];
    let mut tree = tree_with(world, global, flags)?;
    if tree.node("collect.node").is_some() {
        for (place, port) in [("server.listen", 4300), ("server.otlp_grpc", 4317), ("server.otlp_http", 4318)] {
            if tree.node(place).is_none() {
                tree.add_flag("--node", place, format!("0.0.0.0:{port}"));
            }
        }
    }
    Ok(tree)
}

/// `$(NAME)` is replaced where the environment has that variable; `$(NODE_NAME)` also by `--node`. Kubernetes writes them so, and Prometheus gives
/// `${NAME}` a meaning of its own.
fn fill(text: &str, node: Option<&str>) -> String {
    let value = |name: &str| match std::env::var(name) {
        Ok(value) => Some(value),
        Err(_) => node.filter(|_| name == "NODE_NAME").map(str::to_owned),
    };
    let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("$(") {
        filled.push_str(before);
        let named = after.split_once(')').filter(|(name, _)| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        match named.and_then(|(name, behind)| Some((value(name)?, behind))) {
            Some((value, behind)) => {
                filled.push_str(&value);
                rest = behind;
            }
            None => {
                filled.push_str("$(");
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

fn greet(global: &Global, collecting: &Collecting) {
    let dim = |text: &str| paint(global, "2", text);
    say(global, &format!("{} {} collects", paint(global, "1", "apm"), env!("CARGO_PKG_VERSION")));
    say(global, "");
    say(global, &format!("  {}     {}", dim("here"), collecting.url));
    let otlp = [(&collecting.otlp_http, "http"), (&collecting.otlp_grpc, "grpc")];
    for (url, name) in otlp.into_iter().filter_map(|(url, name)| Some((url.as_ref()?, name))) {
        say(global, &format!("  {}     {url} {}", dim("otlp"), dim(name)));
    }
    for (way, url) in &collecting.ways {
        say(global, &format!("  {}  {url} {}", dim("forward"), dim(way)));
    }
    say(global, "");
    say(global, &format!("  {}", dim("Ctrl-C ends it.")));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        assert_eq!(fill(text, Some("worker-1")), expect, "{text}");
    }

    #[test]
    fn the_scrape_configuration_is_filled_in() {
        check("field: spec.nodeName=$(NODE_NAME)", "field: spec.nodeName=worker-1");
        check("$(NODE_NAME):10250 $(NODE_NAME)", "worker-1:10250 worker-1");
        check("replacement: $1:${2} a$(b", "replacement: $1:${2} a$(b");
        check("regex: (.*)$($(NO_SUCH_VARIABLE_HERE))", "regex: (.*)$($(NO_SUCH_VARIABLE_HERE))");
    }
}
