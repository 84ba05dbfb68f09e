//! `apm deploy` with nothing said, on a terminal: asks what is to be released and where, checks each answer as it goes, shows the plan, and
//! keeps what it learnt only if it is told to. It plans nothing and decides nothing.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use app_deploy::{DeploySettings, Learnt, Probe, Project, learnt, learnt_lines};
use base_explain::Report;
use base_world::{World, replace_file};
use inquire::ui::RenderConfig;
use inquire::{Confirm, InquireError, Select, Text};
use operate_deploy::Strategy;

use super::{project, project_in, start};
use crate::args::{Global, ReleaseArgs, StartArgs};
use crate::output::{Failure, colors, note, paint, say};

/// A project's file is not longer.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Nothing was said, and somebody is there to be asked.
pub(super) fn is_wanted(args: &StartArgs) -> bool {
    let ReleaseArgs { service, image, version } = &args.release;
    let said = [service, image, version, &args.strategy].iter().any(|flag| flag.is_some());
    let flags = args.dry_run || args.yes || args.adopt || args.force || !args.reason.is_empty();
    let is_there = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    is_there && !said && !flags && args.compose.is_empty() && args.server.server.is_none()
}

/// An answer, or the end of the conversation.
fn answer<T>(answer: Result<T, InquireError>) -> Result<T, Failure> {
    answer.map_err(|error| match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => {
            Failure::Refused(Report::new("left; nothing was changed"))
        }
        other => Failure::Broken(Report::of(&other)),
    })
}

pub(super) async fn wizard(global: &Global, args: &StartArgs) -> Result<u8, Failure> {
    inquire::set_global_render_config(match colors(global) {
        true => RenderConfig::default_colored(),
        false => RenderConfig::empty(),
    });
    let world = World::real();
    let first = project(&world, global)?;
    let environment = environment(global, &first)?;
    let global = &Global { config: global.config.clone(), env: environment, url: global.url.clone(), ..*global };
    let project = project_in(&world, global, global.env.as_deref()).map_err(Failure::Usage)?;
    let service = service(&project)?;
    let known = project.services.get(&service).cloned().unwrap_or_default();

    let probe = Probe::new(&world, |name| std::env::var(name).ok()).map_err(Failure::Broken)?;
    engine(global, &probe).await?;
    let (image, version) = image(global, &probe, &service, known.image.as_deref()).await?;
    let strategy = strategy(&known.deploy)?;

    let what = Learnt {
        project: project.name.clone(),
        service: service.clone(),
        image: image.clone(),
        strategy: (strategy != known.deploy.usual_strategy()).then_some(strategy),
    };
    let is_new = known.image.as_deref().is_none_or(|old| bare(old) != image) || what.strategy.is_some();
    // A service that no file knows can only be deployed from one.
    if is_new {
        keep(global, &world, &what, !project.services.contains_key(&service))?;
    }
    let release =
        ReleaseArgs { service: Some(service), image: Some(format!("{image}:{version}")), version: Some(version) };
    let strategy = Some(strategy.word().to_owned());
    let places = crate::args::Places { history: args.places.history.clone() };
    say(global, "");
    start::start(global, &StartArgs { release, strategy, places, ..StartArgs::default() }).await
}

/// What is said to be chosen: `None` stands for the settings as they are.
fn environment(global: &Global, project: &Project) -> Result<Option<String>, Failure> {
    if global.env.is_some() || project.environments.is_empty() {
        return Ok(global.env.clone());
    }
    let mut choices = project.environments.clone();
    if !choices.iter().any(|name| name == "default") {
        choices.push("default".to_owned());
    }
    let chosen = answer(Select::new("Which environment?", choices).prompt())?;
    Ok((chosen != "default").then_some(chosen))
}

fn service(project: &Project) -> Result<String, Failure> {
    let names: Vec<String> = project.services.keys().cloned().collect();
    match names.as_slice() {
        [] => {
            let named = Text::new("What is the service called?").with_help_message("apm.yaml names none yet");
            let name = answer(named.with_validator(|text: &str| Ok(valid(text))).prompt())?;
            Ok(name.trim().to_owned())
        }
        [only] => Ok(only.clone()),
        _ => answer(Select::new("Which service?", names).prompt()),
    }
}

/// A name that containers and labels can have.
fn valid(text: &str) -> inquire::validator::Validation {
    use inquire::validator::Validation;
    let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let text = text.trim();
    match !text.is_empty() && text.len() <= 63 && text.chars().all(is_fine) && !text.starts_with('-') {
        true => Validation::Valid,
        false => Validation::Invalid("lower case letters, digits and dashes".into()),
    }
}

/// The target answers, or somebody gives up.
async fn engine(global: &Global, probe: &Probe) -> Result<(), Failure> {
    loop {
        match probe.engine().await {
            Ok(words) => {
                good(global, &words);
                return Ok(());
            }
            Err(report) => {
                bad(global, &report);
                if !answer(Confirm::new("Ask the engine again?").with_default(true).prompt())? {
                    return Err(Failure::Broken(report));
                }
            }
        }
    }
}

/// The image without its tag, and the version; somebody has seen whether it can be had.
async fn image(
    global: &Global,
    probe: &Probe,
    service: &str,
    known: Option<&str>,
) -> Result<(String, String), Failure> {
    let (mut image, mut tag) = known.map_or_else(|| (service.to_owned(), String::new()), parted);
    loop {
        let asked = Text::new("Which image?").with_help_message("REGISTRY/NAME, or a name on this engine");
        let said = answer(asked.with_default(&image).prompt())?;
        let (bare, said_tag) = parted(said.trim());
        tag = if said_tag.is_empty() { tag } else { said_tag };
        image = bare;
        let asked = Text::new("Which version?").with_help_message("the image's tag");
        let asked = if tag.is_empty() { asked } else { asked.with_default(&tag) };
        tag = answer(asked.prompt())?.trim().to_owned();
        if tag.is_empty() {
            continue;
        }
        match probe.image(&format!("{image}:{tag}")).await {
            Ok(at) => {
                good(global, &at.to_string());
                return Ok((image, tag));
            }
            Err(report) => {
                bad(global, &report);
                let choices = vec!["name another", "look again", "go on all the same"];
                match answer(Select::new("It cannot be had.", choices).prompt())? {
                    "go on all the same" => return Ok((image, tag)),
                    "look again" => {
                        if let Ok(at) = probe.image(&format!("{image}:{tag}")).await {
                            good(global, &at.to_string());
                            return Ok((image, tag));
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

/// `host:5000/shop/cart:1` to name and tag.
fn parted(image: &str) -> (String, String) {
    match image.rsplit_once(':') {
        // A colon before a slash belongs to a port.
        Some((name, tag)) if !tag.contains('/') => (name.to_owned(), tag.to_owned()),
        _ => (image.to_owned(), String::new()),
    }
}

fn bare(image: &str) -> String {
    parted(image).0
}

fn strategy(known: &DeploySettings) -> Result<Strategy, Failure> {
    // Behind a front nothing has to stop first; without one a port cannot move.
    let all = match known.front {
        Some(_) => [Strategy::BlueGreen, Strategy::Canary],
        None => [Strategy::Recreate, Strategy::Rolling],
    };
    let words = all.map(|strategy| {
        let how = match strategy {
            Strategy::Recreate => "stop the old one, then start the new one",
            Strategy::Rolling => "one container after the other",
            Strategy::BlueGreen => "side by side, then all at once",
            Strategy::Canary => "side by side, by and by",
        };
        format!("{:<10}  {how}", strategy.word())
    });
    let usual = known.usual_strategy();
    let first = all.iter().position(|strategy| *strategy == usual).unwrap_or(0);
    let asked = Select::new("How does it take over?", words.to_vec()).with_starting_cursor(first);
    let chosen = answer(asked.raw_prompt())?.index;
    Ok(all.get(chosen).copied().unwrap_or(usual))
}

/// Writes it into the project's file, if somebody says so.
fn keep(global: &Global, world: &World, what: &Learnt, is_needed: bool) -> Result<(), Failure> {
    let path = global.config.clone().unwrap_or_else(|| PathBuf::from("apm.yaml"));
    let broken = |error: base_world::DiskError| Failure::Broken(Report::of(&error));
    let text = match world.disk.exists(&path).map_err(broken)? {
        true => String::from_utf8(world.disk.read(&path, FILE_BYTES_MAX).map_err(broken)?).unwrap_or_default(),
        false => String::new(),
    };
    let Some(new) = learnt(&text, what) else {
        note(&format!("these lines for {} keep it; write them yourself:\n{}", path.display(), learnt_lines(what)));
        return match is_needed {
            true => Err(Failure::Usage(Report::new(format!("{} does not name the service yet", path.display())))),
            false => Ok(()),
        };
    };
    let question = format!("Write it into {}?", path.display());
    let asked = Confirm::new(&question).with_default(is_needed).with_help_message("nothing else in the file changes");
    if answer(asked.prompt())? {
        // A name alone has no folder to sync.
        let path = std::path::absolute(&path).unwrap_or(path);
        return replace_file(&*world.disk, &path, new.as_bytes()).map_err(broken);
    }
    match is_needed {
        true => Err(Failure::Refused(Report::new("a service is deployed from the file that names it"))),
        false => Ok(()),
    }
}

fn good(global: &Global, words: &str) {
    say(global, &format!("{} {words}", paint(global, "32", "✓")));
}

fn bad(global: &Global, report: &Report) {
    say(global, &format!("{} {}", paint(global, "31", "✗"), report.one_line()));
}
