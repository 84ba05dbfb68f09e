//! `apm k8s inject` and `uninject`: files and folders in, the same with telemetry or without it out; or the webhook, until a signal ends it. What is
//! injected is decided elsewhere.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use app_admission::{Options, Server};
use app_deploy::{ManifestSource, manifest_sources};
use base_explain::Report;
use base_world::World;
use clap::{Args as ClapArgs, ValueEnum};
use operate_manifest::Limits;
use operate_manifest::inject::{
    Admission, AgentLanguage, FailurePolicy, InjectSettings, InjectedText, Sidecar, TextError, inject_text,
    uninject_text,
};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::check::stdin;
use crate::args::Global;
use crate::docker::replace;
use crate::output::{self, Failure};

const AFTER_INJECT: &str = "Exit codes: 0 it is done, 2 the words are wrong or an object cannot be injected without harm, 3 it could not be done.

Examples:
  apm k8s inject deploy/ --write
  kustomize build deploy/ | apm k8s inject - --language python | kubectl apply -f -
  apm k8s inject deploy/cart.yaml --sidecar logs --output json
  apm k8s inject --serve 127.0.0.1:9443 --cert tls.crt --key tls.key";

const AFTER_UNINJECT: &str = "Exit codes: 0 it is done, 2 the words are wrong, 3 it could not be done.

Examples:
  apm k8s uninject deploy/ --write";

#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_INJECT)]
pub(crate) struct InjectArgs {
    /// Manifests, folders that are searched for them, or `-` for standard input
    #[arg(value_name = "PATH", required_unless_present = "serve")]
    paths: Vec<PathBuf>,
    /// The language of the programs [default: by annotation, command or image]
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<LanguageWord>,
    /// Run this beside the program; may be given several times
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    sidecar: Vec<SidecarWord>,
    /// A container that gets the agent; may be given several times [default: the pod's first]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    container: Vec<String>,
    /// Where OTLP over HTTP is taken [default: http://$(APM_NODE_IP):4318, on the pod's node]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The image with the agent's files [default: OpenTelemetry's own]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// What of that image is copied: a file, or a folder with `/.` at its end
    #[arg(long, value_name = "PATH")]
    source: Option<String>,
    /// The program's port for Prometheus [default: the annotation prometheus.io/port]
    #[arg(long, value_name = "PORT")]
    metrics_port: Option<u16>,
    /// The folder into which the program writes its log files [default: /var/log/app]
    #[arg(long, value_name = "PATH")]
    log_folder: Option<String>,
    /// Let Istio add its proxy too, by its label
    #[arg(long)]
    istio: bool,
    #[command(flatten)]
    out: OutArgs,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_UNINJECT)]
pub(crate) struct UninjectArgs {
    /// Manifests, folders that are searched for them, or `-` for standard input
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    out: OutArgs,
}

#[derive(Debug, ClapArgs)]
struct OutArgs {
    /// Write the files back, instead of showing what they would be
    #[arg(long)]
    write: bool,
    /// The form of the answer: the manifests themselves, or what became of each object
    #[arg(long, short, value_name = "FORM", default_value = "yaml")]
    output: Form,
}

#[derive(Debug, ClapArgs)]
struct ServeArgs {
    /// Be the mutating webhook of a cluster, at this address [default: 127.0.0.1:9443]
    #[arg(
        long,
        value_name = "ADDR",
        num_args = 0..=1,
        default_missing_value = "127.0.0.1:9443",
        requires_all = ["cert", "key"],
        conflicts_with_all = ["paths", "write"]
    )]
    serve: Option<SocketAddr>,
    /// The webhook's certificate, PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "serve")]
    cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "serve")]
    key: Option<PathBuf>,
    /// What becomes of a pod that cannot be injected: it starts without telemetry, or it is refused
    #[arg(long, value_name = "HOW", default_value = "ignore", requires = "serve")]
    failure_policy: PolicyWord,
    /// Change nothing; warn of what would be changed
    #[arg(long, requires = "serve")]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Yaml,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PolicyWord {
    Ignore,
    Fail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SidecarWord {
    Metrics,
    Traces,
    Logs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LanguageWord {
    Java,
    Python,
    #[value(alias = "nodejs")]
    Node,
    Go,
    Ruby,
    Php,
    Dotnet,
}

fn settings(global: &Global, args: &InjectArgs) -> InjectSettings {
    let plain = InjectSettings::default();
    InjectSettings {
        language: args.language.map(|word| match word {
            LanguageWord::Java => AgentLanguage::Java,
            LanguageWord::Python => AgentLanguage::Python,
            LanguageWord::Node => AgentLanguage::Node,
            LanguageWord::Go => AgentLanguage::Go,
            LanguageWord::Ruby => AgentLanguage::Ruby,
            LanguageWord::Php => AgentLanguage::Php,
            LanguageWord::Dotnet => AgentLanguage::DotNet,
        }),
        containers: args.container.clone(),
        environment: global.env.clone(),
        endpoint: args.endpoint.clone().unwrap_or(plain.endpoint),
        image: args.image.clone(),
        source: args.source.clone(),
        sidecars: args
            .sidecar
            .iter()
            .map(|word| match word {
                SidecarWord::Metrics => Sidecar::Metrics,
                SidecarWord::Traces => Sidecar::Traces,
                SidecarWord::Logs => Sidecar::Logs,
            })
            .collect(),
        log_folder: args.log_folder.clone().unwrap_or(plain.log_folder),
        metrics_port: args.metrics_port,
        istio: args.istio,
        ..InjectSettings::default()
    }
}

pub(crate) fn inject(global: &Global, args: &InjectArgs) -> Result<u8, Failure> {
    let settings = settings(global, args);
    if let Some(address) = args.serve.serve {
        return serve(global, &args.serve, address, settings);
    }
    each(global, &args.paths, &args.out, "injected", |name, text| {
        inject_text(name, text, &settings, &Limits::default())
    })
}

pub(crate) fn uninject(global: &Global, args: &UninjectArgs) -> Result<u8, Failure> {
    each(global, &args.paths, &args.out, "put back", |name, text| uninject_text(name, text, &Limits::default()))
}

/// Every file is made before the first is written: one that cannot be leaves all as they were.
fn each(
    global: &Global,
    paths: &[PathBuf],
    out: &OutArgs,
    done: &str,
    make: impl Fn(&str, &str) -> Result<InjectedText, TextError>,
) -> Result<u8, Failure> {
    let world = World::real();
    let mut made = Vec::new();
    for (path, text) in read(global, paths, &world)? {
        let name = if path == Path::new("-") { "<stdin>".to_owned() } else { path.display().to_string() };
        if out.write && path == Path::new("-") {
            return Err(Failure::Usage(Report::new("standard input cannot be written back").hint("name the file")));
        }
        let after = make(&name, &text).map_err(|error| Failure::Usage(Report::new(error.to_string())))?;
        made.push((path, name, text, after));
    }
    for (path, name, before, after) in &made {
        if out.write && *before != after.text {
            replace(world.disk.as_ref(), path, &after.text)?;
        }
        for object in after.objects.iter().filter(|_| !global.quiet && out.output == Form::Yaml) {
            let line = match &object.result {
                Ok(0) => continue,
                Ok(_) => format!("{name}:{}: {} {done}", object.line, object.identity),
                Err(why) => format!("{name}:{}: {} left alone: {why}", object.line, object.identity),
            };
            output::note(&line);
        }
        if !after.is_exact && !global.quiet {
            output::note(&format!("{name}: putting it back will give the same meaning in another notation"));
        }
    }
    match out.output {
        Form::Json => output::print(&format!("{:#}\n", json!({"files": made.iter().map(told).collect::<Vec<_>>()}))),
        Form::Yaml if out.write => {}
        Form::Yaml => {
            let texts: Vec<&str> = made.iter().map(|(.., after)| after.text.as_str()).collect();
            output::print(&joined(&texts));
        }
    }
    Ok(0)
}

fn told((_, name, before, after): &(PathBuf, String, String, InjectedText)) -> Value {
    let objects = after.objects.iter().map(|object| {
        let mut told = json!({"object": object.identity.to_string(), "line": object.line});
        match &object.result {
            Ok(changes) => told["changes"] = json!(changes),
            Err(why) => told["left_alone"] = json!(why.to_string()),
        }
        told
    });
    json!({"file": name, "changed": *before != after.text, "exact": after.is_exact, "objects": objects.collect::<Vec<_>>()})
}

/// Several files as one stream of documents.
fn joined(texts: &[&str]) -> String {
    let mut out = String::new();
    for text in texts {
        if !out.is_empty() {
            out.push_str(if out.ends_with('\n') { "" } else { "\n" });
            out.push_str(if text.trim_start().starts_with("---") { "" } else { "---\n" });
        }
        out.push_str(text);
    }
    out
}

fn read(global: &Global, paths: &[PathBuf], world: &World) -> Result<Vec<(PathBuf, String)>, Failure> {
    let mut found = Vec::new();
    let mut named = Vec::new();
    for path in paths {
        if path == Path::new("-") {
            found.push((path.clone(), stdin()?));
        } else {
            named.push(path.clone());
        }
    }
    for source in manifest_sources(&named, world.disk.as_ref()).map_err(Failure::Broken)? {
        match source {
            ManifestSource::File { path, text, .. } => found.push((path, text)),
            _ if global.quiet => {}
            _ => output::note(
                "passed over: what another program renders (a chart, a kustomization, a template); render it and inject the result",
            ),
        }
    }
    if found.is_empty() {
        let hint = "name a file, or a folder with manifests";
        return Err(Failure::Usage(Report::new("no manifests found").hint(hint)));
    }
    Ok(found)
}

fn serve(global: &Global, args: &ServeArgs, listen: SocketAddr, settings: InjectSettings) -> Result<u8, Failure> {
    let (Some(certificate), Some(key)) = (args.cert.clone(), args.key.clone()) else {
        return Err(Failure::Usage(Report::new("a webhook needs --cert and --key")));
    };
    let failure_policy = match args.failure_policy {
        PolicyWord::Ignore => FailurePolicy::Ignore,
        PolicyWord::Fail => FailurePolicy::Fail,
    };
    let admission = Admission { settings, failure_policy, dry_run: args.dry_run };
    let options = Options { listen, certificate, key, admission, connections_max: 4096 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Broken(Report::of(&error)))?;
    runtime.block_on(async {
        let broken = |error: std::io::Error| Failure::Broken(Report::of(&error));
        let (mut stop, mut quit) =
            (signal(SignalKind::terminate()).map_err(broken)?, signal(SignalKind::interrupt()).map_err(broken)?);
        let server = Server::bind(options, World::real()).await;
        let server = server.map_err(|error| Failure::Broken(Report::of(&error)))?;
        output::say(global, &format!("admissions are answered at https://{}/", server.address()));
        server
            .serve(async move {
                tokio::select! {
                    _ = stop.recv() => {}
                    _ = quit.recv() => {}
                }
            })
            .await;
        Ok(0)
    })
}
