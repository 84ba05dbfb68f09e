//! `apm docker build`: the words of the command line and of `apm.yaml` become a build; what the engine says is printed as it comes. How an image is
//! built and how the agent comes into it is decided elsewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use app_build::{BuildError, Built, Line, Options, Preview};
use app_deploy::{DockerSurroundings, Project};
use base_explain::Report;
use base_world::World;
use clap::{Args as ClapArgs, ValueEnum};
use operate_build::{BuildSettings, Inject};
use serde_json::json;

use crate::args::Global;
use crate::config::xdg;
use crate::output::{self, Failure, note, paint, say};

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Exit codes: 0 it was built, 2 the words or the settings are wrong, 3 it could not be built, 4 it was refused before anything began."
)]
pub(crate) struct BuildArgs {
    /// The build context [default: the service's `build.context`, else this folder]
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    /// The Dockerfile [default: the one in the build context]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// A name for the image, with a tag; may be given several times
    #[arg(long, short, value_name = "NAME")]
    pub(crate) tag: Vec<String>,
    /// How the telemetry agent comes to the program [default: `build`]
    #[arg(long, value_name = "HOW")]
    pub(crate) inject: Option<InjectHow>,
    /// The service of apm.yaml that is built, and its name in telemetry
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// The stage that becomes the image [default: the last one]
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// The platform, such as linux/arm64 [default: the engine's]
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
    /// An image whose layers may be taken over; may be given several times
    #[arg(long, value_name = "IMAGE")]
    pub(crate) cache_from: Vec<String>,
    /// A build argument; without a value it is taken from the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) build_arg: Vec<String>,
    /// Build every step anew
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// A folder with the agent, or Java's agent as a file, instead of the one that is fetched
    #[arg(long, value_name = "PATH")]
    pub(crate) agent: Option<PathBuf>,
    /// Only show the generated stage and the docker commands that do the same
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The form of the answer; with `json` the builder's lines go to standard error
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    pub(crate) output: BuildOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InjectHow {
    /// In a generated last stage of the image
    Build,
    /// In a named volume for the container; the image stays your own
    Volume,
    /// In an image of its own, whose volume is shared
    SideContainer,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BuildOutput {
    Text,
    Json,
}

pub(crate) fn build(global: &Global, args: &BuildArgs) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Broken(Report::of(&error)))?;
    let ended = runtime.block_on(async {
        let world = World::real();
        let options = options(&world, global, args).await?;
        if args.dry_run {
            let preview = app_build::preview(&world, &options).map_err(failure)?;
            show(global, args, &preview);
            return Ok(0);
        }
        let engine = engine(&world)?;
        let mut tell = |line: Line| tell(global, args, &line);
        let built = app_build::build(&engine, &world, &options, &mut tell).await.map_err(failure)?;
        done(global, args, &built);
        Ok(0)
    });
    runtime.shutdown_background();
    ended
}

fn failure(error: BuildError) -> Failure {
    if error.is_refusal() { Failure::Refused(error.report()) } else { Failure::Broken(error.report()) }
}

async fn options(world: &World, global: &Global, args: &BuildArgs) -> Result<Options, Failure> {
    let project = crate::deploy::project(world, global)?;
    let (service, settings) = chosen(&project, args)?;
    let context = args.path.clone().or(settings.context).unwrap_or_else(|| PathBuf::from("."));
    if !context.is_dir() {
        let report = Report::new(format!("{} is no folder", context.display()));
        return Err(Failure::Usage(report.hint("name the build context, a folder; `--file` names the Dockerfile")));
    }
    let mut build_args = settings.args;
    for word in &args.build_arg {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            // As docker does: what the environment does not have is not given.
            None => (word.as_str(), std::env::var(word).ok()),
        };
        if name.is_empty() {
            return Err(Failure::Usage(Report::new(format!("`{word}` is no build argument")).hint("write NAME=VALUE")));
        }
        build_args.extend(value.map(|value| (name.to_owned(), value)));
    }
    let inject = args.inject.map(|how| match how {
        InjectHow::Build => Inject::Build,
        InjectHow::Volume => Inject::Volume,
        InjectHow::SideContainer => Inject::SideContainer,
        InjectHow::None => Inject::None,
    });
    let revision = app_run::commit_of(&absolute(&context)).await;
    let source = app_run::source_of(&absolute(&context)).await;
    let mut cache_from = settings.cache_from;
    cache_from.extend(args.cache_from.iter().cloned());
    Ok(Options {
        version: version(&args.tag),
        context,
        file: args.file.clone().or(settings.file),
        tags: args.tag.clone(),
        target: args.target.clone().or(settings.target).unwrap_or_default(),
        args: build_args,
        platform: args.platform.clone().or(settings.platform).unwrap_or_default(),
        cache_from,
        no_cache: args.no_cache,
        inject: inject.or(settings.inject).unwrap_or_default(),
        agent: args.agent.clone().or(settings.agent),
        service,
        environment: global.env.clone(),
        revision,
        source,
        cache: xdg("XDG_CACHE_HOME", ".cache").join("apm"),
    })
}

/// The service that is built and what is said about it: the one that is named, or the only one.
fn chosen(project: &Project, args: &BuildArgs) -> Result<(Option<String>, BuildSettings), Failure> {
    let Some(name) = &args.service else {
        let mut services = project.services.iter();
        return Ok(match (services.next(), services.next()) {
            (Some((name, only)), None) => (Some(name.clone()), only.build.clone()),
            _ => (None, BuildSettings::default()),
        });
    };
    match project.services.get(name) {
        Some(settings) => Ok((Some(name.clone()), settings.build.clone())),
        None if project.services.is_empty() => Ok((Some(name.clone()), BuildSettings::default())),
        None => {
            let near = base_explain::nearest(name, project.services.keys().map(String::as_str));
            let hint =
                near.map_or_else(|| "add it under `services`".to_owned(), |near| format!("did you mean `{near}`?"));
            Err(Failure::Usage(Report::new(format!("apm.yaml has no service `{name}`")).hint(hint)))
        }
    }
}

/// The first name's tag, unless it says nothing.
fn version(tags: &[String]) -> Option<String> {
    let (_, tag) = tags.first()?.rsplit('/').next()?.split_once(':')?;
    (tag != "latest").then(|| tag.to_owned())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn tell(global: &Global, args: &BuildArgs, line: &Line) {
    match line {
        Line::Output(text) if args.output == BuildOutput::Json && !global.quiet => note(text),
        Line::Output(text) if args.output == BuildOutput::Text => say(global, text),
        Line::Note(text) if !global.quiet => note(&paint(global, "2", &format!("apm: {text}"))),
        Line::Warning(text) => note(&paint(global, "33", &format!("apm: {text}"))),
        _ => {}
    }
}

fn done(global: &Global, args: &BuildArgs, built: &Built) {
    if args.output == BuildOutput::Json {
        let value = json!({
            "image": built.image,
            "own_image": built.own_image,
            "tags": built.tags,
            "service": built.service,
            "language": built.language,
            "because": built.because,
            "inject": built.inject,
            "instruments": built.instruments,
            "stage": built.stage,
            "entry": built.has_entry,
            "agent_in": built.agent_in,
            "run_words": built.run_words,
        });
        output::print(&format!("{value:#}\n"));
        return;
    }
    let names = if built.tags.is_empty() { String::new() } else { format!(" as {}", built.tags.join(", ")) };
    say(global, &format!("built {}{names}", built.image));
    if !built.language.is_empty() {
        say(global, &format!("{}: {} ({}); agent: {}", built.service, built.language, built.because, built.inject));
    }
    if !built.instruments.is_empty() {
        say(global, &format!("instruments {}", built.instruments.join(", ")));
    }
    if let Some(place) = &built.agent_in {
        say(global, &format!("the agent is in {place}; run the image with"));
        say(global, &format!("  {}", built.run_words.join(" ")));
    }
}

fn show(global: &Global, args: &BuildArgs, preview: &Preview) {
    if args.output == BuildOutput::Json {
        let Preview { service, language, because, inject, stage, entry, warnings, commands } = preview;
        let value: BTreeMap<&str, serde_json::Value> = [
            ("service", json!(service)),
            ("language", json!(language)),
            ("because", json!(because)),
            ("inject", json!(inject)),
            ("stage", json!(stage)),
            ("entry", json!(entry)),
            ("warnings", json!(warnings)),
            ("commands", json!(commands)),
        ]
        .into();
        output::print(&format!("{:#}\n", json!(value)));
        return;
    }
    say(global, &format!("{}: {} ({}); agent: {}", preview.service, preview.language, preview.because, preview.inject));
    if let Some(stage) = &preview.stage {
        say(
            global,
            &format!(
                "\n# STAGE/Dockerfile; what the base image brings is known when it is built\n{}",
                stage.trim_end()
            ),
        );
    }
    if let Some(entry) = &preview.entry {
        say(global, &format!("\n# STAGE/apm/entry\n{}", entry.trim_end()));
    }
    say(global, "");
    preview.commands.iter().for_each(|command| say(global, command));
    preview.warnings.iter().for_each(|text| note(&paint(global, "33", &format!("apm: {text}"))));
}

/// The engine, found as Docker's own client finds it.
pub(super) fn engine(world: &World) -> Result<app_build::Engine, Failure> {
    let surroundings = DockerSurroundings::from_variables(|name| std::env::var(name).ok());
    let found = app_build::find(&surroundings, &*world.disk).and_then(app_build::Engine::new);
    found.map_err(|error| Failure::Broken(Report::of(&error)))
}
