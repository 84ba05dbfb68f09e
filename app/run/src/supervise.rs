//! The course of `apm run`: prepare, start, watch, restart, end. Every decision about agents is the recipe's, every sentence
//! about arrival is the proof's; here is only what happens after what.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use operate_agents::{Agent, Language, Launch, Places, Settings, detect, python, recipe};
use rustix::process::Signal;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::child::{Child, exit_code};
use crate::install::{cache_dir, ensure};
use crate::interpreter::probe;
use crate::proof::{Carried, News, Search, watch as prove};
use crate::signals::Signals;
use crate::status::{Said, Status};
use crate::watch::Changes;
use crate::{Report, RunError, RunOptions, Tone, commit, project};

/// A program that fails this soon may have failed because of the agent.
const SUSPICIOUS: Duration = Duration::from_secs(5);

/// Runs the command until it ends; its exit code, or 128 and the signal's number.
pub async fn run(options: RunOptions, report: &mut dyn Report) -> Result<i32, RunError> {
    if options.command.is_empty() {
        return Err(RunError::NoCommand);
    }
    // Before anything slow: a Ctrl-C while packages are fetched must not leave us half-way.
    let mut signals = Signals::listen()?;
    let mut voice = Voice { report, quiet: options.quiet };
    let plan = tokio::select! {
        plan = prepare(&options, &mut voice) => plan?,
        signal = signals.next() => return Ok(128 + signal.as_raw()),
    };
    let outcome = Supervisor { options: &options, plan: &plan, voice, signals }.supervise().await;
    let _ = tokio::fs::remove_file(&plan.status_file).await;
    outcome
}

/// Speaks to the person, or does not.
struct Voice<'a> {
    report: &'a mut dyn Report,
    quiet: bool,
}

impl Voice<'_> {
    fn say(&mut self, tone: Tone, text: &str) {
        if !self.quiet || matches!(tone, Tone::Warning | Tone::Problem) {
            self.report.line(tone, text);
        }
    }
}

struct Plan {
    launch: Launch,
    carried: Carried,
    /// The variables that switch the agent on; empty where there is none.
    agent_env: Vec<(String, String)>,
    status_file: PathBuf,
}

async fn prepare(options: &RunOptions, voice: &mut Voice<'_>) -> Result<Plan, RunError> {
    let command: Vec<String> = options.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let project = project::gather(&options.cwd, &command).await?;
    let instance = format!("{:x}-{}", now_us(), std::process::id());
    let settings = Settings {
        service: options.service.clone(),
        environment: options.env_name.clone(),
        otlp_endpoint: options.otlp_endpoint.trim_end_matches('/').to_owned(),
        version: commit::of(&options.cwd).await,
        instance: instance.clone(),
        inherited: inherited(),
    };
    let mut trouble = None;
    let mut interpreter = None;
    if !options.agent {
        trouble = Some("the agent was switched off".to_owned());
    } else if detect(&project).language == Language::Python {
        match probe(&python::interpreter_command(&project), &options.cwd).await {
            Ok(found) => interpreter = Some(found),
            Err(why) => trouble = Some(why),
        }
    }
    let launch = operate_agents::launch(&project, interpreter.as_ref().map(|one| &one.runtime), &settings);
    for warning in &launch.warnings {
        voice.say(Tone::Warning, warning);
    }
    let cache = cache_dir(options.cache_dir.as_deref());
    let mut carried = Carried::from(&launch.agent);
    let mut installed = None;
    if let (Agent::Ready { .. }, Some(interpreter)) = (&launch.agent, &interpreter) {
        match &cache {
            Ok(cache) => match ensure(&launch, interpreter, cache, &mut |text| voice.say(Tone::Info, text)).await {
                Ok(found) => installed = Some(found),
                Err(why) => trouble = Some(format!("the agent could not be installed: {why}")),
            },
            Err(why) => trouble = Some(why.clone()),
        }
    }
    let status_file = cache.unwrap_or_else(|_| std::env::temp_dir()).join("run").join(format!("{instance}.jsonl"));
    if let Some(folder) = status_file.parent() {
        // Without it the agent cannot tell how it fares; the program runs all the same.
        let _ = tokio::fs::create_dir_all(folder).await;
    }
    let mut agent_env = Vec::new();
    if let (Some(installed), Some(interpreter), Some(recipe)) = (&installed, &interpreter, recipe(launch.language)) {
        let places = Places {
            agent_dir: &installed.agent_dir.to_string_lossy(),
            shim_dir: &installed.shim_dir.to_string_lossy(),
            status_file: &status_file.to_string_lossy(),
        };
        agent_env = recipe.agent_env(&launch, &interpreter.runtime, &settings, places);
    }
    if let Some(why) = trouble {
        carried = Carried::EnvironmentOnly { why };
    }
    match &carried {
        Carried::EnvironmentOnly { why } => voice.say(
            Tone::Warning,
            &format!("{}. The program runs without an agent, with OpenTelemetry's environment only.", capital(why)),
        ),
        Carried::Agent { instruments, .. } => {
            let what =
                if instruments.is_empty() { "outgoing calls and logs".to_owned() } else { instruments.join(", ") };
            voice.say(
                Tone::Info,
                &format!(
                    "{} starts with the agent for {what}; telemetry goes to {}",
                    launch.service, settings.otlp_endpoint
                ),
            );
        }
    }
    Ok(Plan { launch, carried, agent_env, status_file })
}

struct Supervisor<'a> {
    options: &'a RunOptions,
    plan: &'a Plan,
    voice: Voice<'a>,
    signals: Signals,
}

enum End {
    Ended(i32),
    Changed(BTreeSet<String>),
}

impl Supervisor<'_> {
    async fn supervise(mut self) -> Result<i32, RunError> {
        let mut changes = self.begin_to_watch();
        let mut with_agent = !self.plan.agent_env.is_empty();
        let mut without_agent_since = None;
        let mut proven = false;
        let mut restarts = 0_usize;
        loop {
            let mut env = self.plan.launch.env.clone();
            if with_agent {
                env.extend(self.plan.agent_env.iter().cloned());
            }
            let _ = tokio::fs::remove_file(&self.plan.status_file).await;
            let begun = Instant::now();
            let (proof, mut lines) = self.prove(with_agent, proven);
            let mut child = Child::start(&self.options.command, &self.options.cwd, &env)?;
            let mut told_to_end = false;
            let end = loop {
                tokio::select! {
                    status = child.ended() => break End::Ended(exit_code(status?)),
                    signal = self.signals.next() => {
                        told_to_end = true;
                        child.pass(signal);
                    }
                    changed = next_change(&mut changes) => break End::Changed(changed),
                    Some(news) = lines.recv() => match news {
                        News::Line(tone, text) => self.voice.say(tone, &text),
                        News::Arrived(text) => {
                            proven = true;
                            self.voice.say(Tone::Good, &text);
                        }
                        News::Reloader(name) => if changes.take().is_some() {
                            self.voice.say(Tone::Info, &left_to(&format!("{name} reloads by itself")));
                        }
                    }
                }
            };
            if matches!(end, End::Ended(_)) && !told_to_end && !proven && self.has_made_a_span().await {
                // A job that is over at once: its telemetry was sent as it ended.
                let arrival = async {
                    while let Some(news) = lines.recv().await {
                        if let News::Arrived(text) = news {
                            return self.voice.say(Tone::Good, &text);
                        }
                    }
                };
                let _ = tokio::time::timeout(Duration::from_secs(2), arrival).await;
            }
            proof.abort();
            let code = match end {
                End::Changed(files) => {
                    restarts += 1;
                    self.voice.say(Tone::Info, &format!("Restarting: {} changed", some_of(&files)));
                    child.stop().await?;
                    continue;
                }
                End::Ended(code) => code,
            };
            let soon = begun.elapsed() < SUSPICIOUS;
            if code == 0 || told_to_end || !soon {
                return Ok(code);
            }
            if with_agent && restarts == 0 && self.is_suspect(code).await {
                with_agent = false;
                without_agent_since = Some(code);
                self.voice.say(
                    Tone::Warning,
                    &format!(
                        "The program ended with {code} right after its start; starting it once more without the agent."
                    ),
                );
                continue;
            }
            if without_agent_since.take() == Some(code) {
                self.voice.say(
                    Tone::Info,
                    &format!(
                        "It ends with {code} without the agent too: the cause is in the program, not in the agent."
                    ),
                );
            }
            if restarts == 0 {
                return Ok(code);
            }
            // Somebody is editing: a mistake while typing must not end the session.
            self.voice
                .say(Tone::Problem, &format!("The program ended with {code}; it starts again when a file changes."));
            tokio::select! {
                signal = self.signals.next() => return Ok(128 + signal.as_raw()),
                files = next_change(&mut changes) => {
                    self.voice.say(Tone::Info, &format!("Starting again: {} changed", some_of(&files)));
                }
            }
        }
    }

    async fn has_made_a_span(&self) -> bool {
        Status::new(&self.plan.status_file).news().await.iter().any(|said| matches!(said, Said::Span))
    }

    /// Whether the agent may have ended the program. A job that ends with an error of its own must not run twice.
    async fn is_suspect(&self, code: i32) -> bool {
        let said = Status::new(&self.plan.status_file).news().await;
        let crashed = said.iter().find_map(|one| match one {
            Said::Crashed { agent } => Some(*agent),
            _ => None,
        });
        // Bad memory access, abort and the like: compiled packages of the agent could be the cause.
        let by_fault = [Signal::ILL, Signal::ABORT, Signal::BUS, Signal::FPE, Signal::SEGV];
        by_fault.iter().any(|signal| code == 128 + signal.as_raw()) || crashed.unwrap_or(self.plan.launch.is_service)
    }

    fn begin_to_watch(&mut self) -> Option<Changes> {
        if !self.options.watch {
            return None;
        }
        if let Some(reloader) = &self.plan.launch.own_reloader {
            self.voice.say(Tone::Info, &left_to(reloader));
            return None;
        }
        match Changes::of(&self.options.cwd, &self.options.ignore, self.plan.launch.watch.suffixes) {
            Ok(changes) => Some(changes),
            Err(why) => {
                self.voice.say(Tone::Warning, &format!("Changes are not watched: {why}"));
                None
            }
        }
    }

    fn prove(&self, with_agent: bool, proven: bool) -> (JoinHandle<()>, Receiver<News>) {
        let (sender, lines) = channel(16);
        let carried = match (&self.plan.carried, with_agent) {
            (Carried::Agent { .. }, false) => {
                Carried::EnvironmentOnly { why: "the program was started without the agent".to_owned() }
            }
            (carried, _) => carried.clone(),
        };
        let search = Search {
            service: self.plan.launch.service.clone(),
            api_url: self.options.api_url.trim_end_matches('/').to_owned(),
            token: self.options.token.clone(),
            otlp_endpoint: self.options.otlp_endpoint.clone(),
            since_us: now_us(),
            timeout: self.options.first_signal_timeout,
            carried,
        };
        let status = Status::new(&self.plan.status_file);
        let task = tokio::spawn(async move {
            if !proven {
                prove(search, status, sender).await;
            }
        });
        (task, lines)
    }
}

async fn next_change(changes: &mut Option<Changes>) -> BTreeSet<String> {
    match changes {
        Some(changes) => changes.next().await,
        None => std::future::pending().await,
    }
}

/// What of the person's shell matters to a recipe.
fn inherited() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| operate_agents::is_inherited(name))
        .collect()
}

fn left_to(reloader: &str) -> String {
    format!("{reloader}, so restarting on change is left to it.")
}

fn some_of(files: &BTreeSet<String>) -> String {
    let mut shown: Vec<&str> = files.iter().take(3).map(String::as_str).collect();
    let more = format!("{} more", files.len().saturating_sub(3));
    if files.len() > 3 {
        shown.push(&more);
    }
    shown.join(", ")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Microseconds since 1970: traces carry wall-clock times, and those of this launch are later than this.
#[expect(clippy::disallowed_methods, reason = "compared with times other programs stamp on their spans")]
fn now_us() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
