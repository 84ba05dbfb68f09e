//! A build from the first file to the last name: refuse what the builder cannot do, build the user's image, ask it what it is, get the agent, build the
//! stage behind it. Names are given last, so that a build that fails leaves none.

use std::collections::BTreeMap;
use std::io;

use base_world::World;
use bytes::Bytes;
use connect_docker::{BuildOptions, DockerError, Engine};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use operate_agents::{Agent as Instruments, Language, Launch, Project, Runtime, Settings, recipe, service_name};
use operate_build::{Carrier, Facts, Inject, Labels, Stage, Telemetry, carrier, platform_arguments, stage};
use operate_dockerfile::Dockerfile;

use crate::agent::{self, Agent, Wanted};
use crate::context::{Tar, stream};
use crate::project::{Source, project};
use crate::{BuildError, Line, Options, Say, probe, side};

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Built {
    /// `sha256:…`
    pub image: String,
    /// The user's own image, without the generated stage; the same where there is none.
    pub own_image: String,
    pub tags: Vec<String>,
    pub service: String,
    pub language: &'static str,
    /// In words.
    pub because: String,
    pub inject: &'static str,
    /// What is instrumented, as people call it.
    pub instruments: Vec<String>,
    /// The text of the generated stage.
    pub stage: Option<String>,
    pub has_entry: bool,
    /// The volume that was filled, or the image that holds the agent.
    pub agent_in: Option<String>,
    /// For `docker run`, where the agent is not in the image.
    pub run_words: Vec<String>,
}

/// What is known of an image and its agent.
pub(crate) struct Seen {
    pub(crate) facts: Facts,
    pub(crate) language: Language,
    pub(crate) because: String,
    pub(crate) telemetry: Telemetry,
    pub(crate) carrier: Carrier,
    pub(crate) launch: Option<Launch>,
    pub(crate) runtime: Option<Runtime>,
}

/// Builds it.
pub async fn build(engine: &Engine, world: &World, options: &Options, say: &mut Say<'_>) -> Result<Built, BuildError> {
    let source = Source::read(&*world.disk, options)?;
    let context = source.context(options)?;
    let unique = {
        let mut bytes = [0u8; 6];
        world.random.fill(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let labels = labels(options, world);
    let own_labels = if options.inject == Inject::Build { BTreeMap::new() } else { labels.pairs() };
    let first = BuildOptions {
        dockerfile: context.dockerfile.clone(),
        args: arguments(engine, options, &source.text).await?,
        labels: own_labels,
        target: options.target.clone(),
        cache_from: options.cache_from.clone(),
        no_cache: options.no_cache,
        platform: options.platform.clone(),
        ..BuildOptions::default()
    };
    let own_image = one(engine, &first, context.stream(), say).await?;
    let mut built = Built {
        image: own_image.clone(),
        own_image: own_image.clone(),
        inject: options.inject.word(),
        ..Built::default()
    };
    if options.inject == Inject::None {
        let project = project(&*world.disk, &options.context, Vec::new());
        built.service = telemetry(options, &project).service;
    } else {
        let seen = look(engine, world, options, &own_image, &unique).await?;
        seen.carrier.warnings.iter().for_each(|text| say(Line::Warning(text.clone())));
        if let Some(why) = &seen.carrier.nothing_because {
            say(Line::Warning(format!("no agent: {why}; only names and labels are added")));
        }
        let architecture = engine.image(&own_image).await?.architecture;
        let wanted = Wanted {
            language: seen.language,
            launch: seen.launch.as_ref(),
            runtime: seen.runtime.as_ref(),
            architecture: &architecture,
        };
        let agent = agent::get(&*world.disk, &wanted, options, say).await?;
        describe(&mut built, &seen);
        match options.inject {
            Inject::Volume => side::volume(engine, options, &seen, agent, &unique, &mut built).await?,
            Inject::SideContainer => side::image(engine, options, &seen, agent, &mut built, say).await?,
            _ => behind(engine, options, &seen, agent, &labels, &mut built, say).await?,
        }
    }
    for tag in &options.tags {
        engine.tag(&built.image, tag).await?;
    }
    built.tags.clone_from(&options.tags);
    Ok(built)
}

fn describe(built: &mut Built, seen: &Seen) {
    built.service.clone_from(&seen.telemetry.service);
    built.language = seen.language.name();
    built.because.clone_from(&seen.because);
    if let Some(Launch { agent: Instruments::Ready { instruments, .. }, .. }) = &seen.launch {
        built.instruments = instruments.iter().map(|name| (*name).to_owned()).collect();
    }
}

/// The generated stage behind the user's image.
async fn behind(
    engine: &Engine,
    options: &Options,
    seen: &Seen,
    agent: Agent,
    labels: &Labels,
    built: &mut Built,
    say: &mut Say<'_>,
) -> Result<(), BuildError> {
    let made = stage(&built.own_image, &seen.facts, &seen.carrier, &seen.telemetry, labels)?;
    made.warnings
        .iter()
        .filter(|text| !seen.carrier.warnings.contains(text))
        .for_each(|text| say(Line::Warning(text.clone())));
    say(Line::Note(format!("adding the agent for {} behind {}", seen.language.name(), short(&built.own_image))));
    built.stage = Some(made.dockerfile.clone());
    built.has_entry = made.has_entry;
    let second = BuildOptions {
        dockerfile: "Dockerfile".to_owned(),
        no_cache: options.no_cache,
        platform: options.platform.clone(),
        ..BuildOptions::default()
    };
    built.image = one(engine, &second, stage_context(made, agent), say).await?;
    Ok(())
}

/// The first letters of an image's id.
pub(crate) fn short(id: &str) -> &str {
    let hash = id.trim_start_matches("sha256:");
    hash.get(..12).unwrap_or(hash)
}

/// The context of a stage of ours.
pub(crate) fn stage_context(made: Stage, agent: Agent) -> BoxStream<'static, io::Result<Bytes>> {
    stream(move |tar| {
        tar.text("Dockerfile", made.dockerfile.as_bytes(), false)?;
        files(tar, "apm", &agent, &made.files)
    })
}

/// The agent and the files beside it.
pub(crate) fn files(tar: &mut Tar, below: &str, agent: &Agent, texts: &[(String, String, bool)]) -> io::Result<()> {
    match agent {
        Agent::Folder(folder) => tar.folder(&format!("{below}/agent"), folder, &carries)?,
        Agent::Jar(jar) => tar.open_file(&format!("{below}/agent/opentelemetry-javaagent.jar"), jar)?,
        Agent::Nothing => {}
    }
    texts
        .iter()
        .try_for_each(|(path, text, executable)| tar.text(&format!("{below}/{path}"), text.as_bytes(), *executable))
}

/// Half of what npm installs serves editors and debuggers.
fn carries(name: &str) -> bool {
    ![".map", ".d.ts", ".d.mts", ".d.cts", ".md", ".markdown"].iter().any(|ending| name.ends_with(ending))
}

/// One build of the engine; the image's id.
pub(crate) async fn one(
    engine: &Engine,
    options: &BuildOptions,
    context: BoxStream<'static, io::Result<Bytes>>,
    say: &mut Say<'_>,
) -> Result<String, BuildError> {
    let mut at: Option<String> = None;
    let mut lines = Lines::default();
    let ended = |at: &Option<String>, source: DockerError| BuildError::Ended { at: at.clone(), source };
    let mut messages = engine.build(options, context).await.map_err(|error| ended(&None, error))?;
    let mut id = None;
    while let Some(message) = messages.next().await {
        let message = message.map_err(|error| ended(&at, error))?;
        if let Some(found) = message.digest() {
            id = Some(found.to_owned());
        }
        for line in lines.add(&message.output) {
            if line.starts_with("Step ") {
                at = Some(line.clone());
            }
            say(Line::Output(line));
        }
        if !message.status.is_empty() && message.total_bytes.is_none() {
            say(Line::Output(clean(&format!("{} {}", message.id, message.status))));
        }
    }
    id.ok_or(BuildError::NoImage { at })
}

/// Whole lines out of pieces.
#[derive(Default)]
struct Lines(String);

/// A program's progress bar has no end.
const LINE_BYTES_MAX: usize = 16 << 10;

impl Lines {
    fn add(&mut self, piece: &str) -> Vec<String> {
        self.0.push_str(piece);
        let mut whole = Vec::new();
        while let Some(end) = self.0.find('\n') {
            let line: String = self.0.drain(..=end).collect();
            whole.push(clean(line.trim_end()));
        }
        if self.0.len() > LINE_BYTES_MAX {
            whole.push(clean(&std::mem::take(&mut self.0)));
        }
        whole.retain(|line| !line.is_empty());
        whole
    }
}

/// A terminal obeys what a build prints; here it only shows it.
fn clean(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control() || *c == '\t').collect()
}

fn labels(options: &Options, world: &World) -> Labels {
    Labels {
        version: options.version.clone(),
        revision: options.revision.clone(),
        created: Some(rfc3339(world.clock.now_ms())),
        source: options.source.clone(),
    }
}

/// Seconds are enough. Days to dates: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn rfc3339(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// The build arguments, and those that BuildKit would have set.
async fn arguments(engine: &Engine, options: &Options, text: &str) -> Result<BTreeMap<String, String>, BuildError> {
    let mut args = options.args.clone();
    let platform = match options.platform.as_str() {
        "" => {
            let version = engine.version().await?;
            format!("{}/{}", version.os, version.arch)
        }
        given => given.to_owned(),
    };
    for (name, value) in platform_arguments(&Dockerfile::parse(text), &platform) {
        args.entry(name).or_insert(value);
    }
    Ok(args)
}

pub(crate) fn telemetry(options: &Options, project: &Project) -> Telemetry {
    let settings = Settings { service: options.service.clone(), ..Settings::default() };
    Telemetry {
        service: service_name(project, &settings),
        version: options.version.clone().or_else(|| options.revision.clone()),
        environment: options.environment.clone(),
    }
}

async fn look(
    engine: &Engine,
    world: &World,
    options: &Options,
    image: &str,
    unique: &str,
) -> Result<Seen, BuildError> {
    let facts = probe::facts(engine, image, unique).await?;
    let project = project(&*world.disk, &options.context, facts.program());
    let detected = operate_agents::detect(&project);
    let language = detected.language;
    let no_agent = |why: String| BuildError::NoAgent { why };
    let runtime = probe::runtime(engine, image, language, &project, unique).await?.map_err(no_agent)?;
    let inherited = facts.env.iter().filter(|(name, _)| name.starts_with("OTEL_")).cloned().collect();
    let settings = Settings { service: options.service.clone(), inherited, ..Settings::default() };
    let launch = match (language, recipe(language)) {
        (Language::Python, Some(recipe)) => Some(recipe.launch(&project, runtime.as_ref(), &settings)),
        _ => None,
    };
    let carrier = carrier(language, launch.as_ref(), runtime.as_ref(), &project).map_err(no_agent)?;
    let telemetry = telemetry(options, &project);
    Ok(Seen { facts, language, because: detected.because, telemetry, carrier, launch, runtime })
}

#[cfg(test)]
mod tests {
    use super::{Lines, rfc3339};

    #[test]
    fn times() {
        let check = |ms: i64, expect: &str| assert_eq!(rfc3339(ms), expect);
        check(0, "1970-01-01T00:00:00Z");
        check(951_782_400_999, "2000-02-29T00:00:00Z");
        check(1_767_225_599_000, "2025-12-31T23:59:59Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00Z");
    }

    #[test]
    fn lines_come_whole_and_obey_nobody() {
        let mut lines = Lines::default();
        assert_eq!(lines.add("Step 1/2 "), Vec::<String>::new());
        assert_eq!(lines.add(": FROM x\n\n\u{1b}[2Jhi\r\nre"), ["Step 1/2 : FROM x", "[2Jhi"]);
        assert_eq!(lines.add(&"x".repeat(20_000)).len(), 1);
    }
}
