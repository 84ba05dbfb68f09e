//! `apm deploy logs`: what the containers of a release write, each line marked by its version, with the run's own events in between. It
//! asks the engine and the history, and knows neither.

use std::collections::BTreeSet;
use std::time::Duration;

use app_config::Span;
use app_deploy::{ContainerLogs, Desk, DockerSurroundings, Lines, LogsOf, Writer, Written};
use base_world::World;
use clap::Args as ClapArgs;
use futures_util::StreamExt as _;
use operate_execute::{Entry, Event, RunId, State, Status};
use operate_plan::Plan;
use tokio::sync::mpsc;

use super::progress::{clock, line};
use super::{desk, project};
use crate::args::{Global, Places};
use crate::output::{Failure, note, paint, say};

#[derive(Debug, ClapArgs)]
pub(crate) struct LogsArgs {
    /// The run, as `apm deploy list` names it [default: the newest]
    pub(crate) run: Option<String>,
    /// Go on with what is written from now on: until the run ends, or until it is interrupted when it has ended
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only what was written in so long a time [default: since the run was made]
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Span>,
    /// At most so many lines of each container that are there already
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) tail: u64,
    #[command(flatten)]
    pub(crate) places: Places,
}

/// How often new containers and new events are looked for.
const LOOK: Duration = Duration::from_millis(500);
/// After the run's end, for what is still on its way.
const LAST: Duration = Duration::from_secs(1);

pub(crate) async fn logs(global: &Global, args: &LogsArgs) -> Result<u8, Failure> {
    let world = World::real();
    let project = project(&world, global)?;
    let desk = desk(global, &project, &args.places).await?;
    let run = desk.find(args.run.as_deref()).await?;
    let plan = desk.plan_of(&run).await?;
    let label = |name: &str| plan.labels.get(name).cloned().unwrap_or_default();
    let of = LogsOf { project: label("project"), service: label("service"), environment: label("environment") };
    let surroundings = DockerSurroundings::from_variables(|name| std::env::var(name).ok());
    let engine = ContainerLogs::open(&surroundings, &*world.disk)?;
    let created_ms = desk.entries(&run, 0).await?.first().map_or(0, |entry| entry.at_ms);
    let since_ms = args.since.map_or(created_ms, |span| world.clock.now_ms().saturating_sub(span.as_millis_i64()));
    let lines = Lines { since_ms, tail: args.tail, follow: args.follow };
    let marks = Marks::of(&plan);
    let mut reading = Reading { global, desk: &desk, run: &run, plan: &plan, state: State::default(), marks, since_ms };
    if args.follow { reading.followed(&engine, &of, lines).await } else { reading.once(&engine, &of, lines).await }
}

/// Which version is which.
struct Marks {
    version: String,
    before: Option<String>,
    wide: usize,
}

impl Marks {
    fn of(plan: &Plan) -> Marks {
        let label = |name: &str| plan.labels.get(name).cloned();
        let (version, before) = (label("version").unwrap_or_default(), label("version_before"));
        let chars = |text: &str| text.chars().count() + 4;
        let wide = chars(&version).max(before.as_deref().map_or(0, chars));
        Marks { version, before, wide }
    }

    /// `new 2`, `old 1`; nothing for a container of neither.
    fn mark(&self, by: &Writer) -> Option<(&'static str, String)> {
        // The same version made anew: what is kept for the way back is the old one.
        let is_kept = by.name.ends_with("-previous");
        if by.version == self.version && !is_kept {
            Some(("32", format!("new {}", by.version)))
        } else if Some(&by.version) == self.before.as_ref() || is_kept {
            Some(("33", format!("old {}", by.version)))
        } else {
            None
        }
    }
}

/// One thing to show, with its time.
enum Item {
    Line(Written),
    Event(Box<Entry>),
}

impl Item {
    fn at_ms(&self) -> i64 {
        match self {
            Item::Line(line) => line.at_ms,
            Item::Event(entry) => entry.at_ms,
        }
    }
}

struct Reading<'a> {
    global: &'a Global,
    desk: &'a Desk,
    run: &'a RunId,
    plan: &'a Plan,
    state: State,
    marks: Marks,
    since_ms: i64,
}

impl Reading<'_> {
    /// What is there now, in the order of its time.
    async fn once(&mut self, engine: &ContainerLogs, of: &LogsOf, lines: Lines) -> Result<u8, Failure> {
        let mut items = Vec::new();
        let (mut of_the_new, mut writers) = (false, 0);
        for by in engine.writers(of).await? {
            if self.marks.mark(&by).is_some() {
                of_the_new |= by.version == self.marks.version;
                writers += 1;
                let mut read = engine.lines(by, lines).await?;
                while let Some(line) = read.next().await {
                    items.push(Item::Line(line));
                }
            }
        }
        items.extend(self.desk.entries(self.run, 0).await?.into_iter().map(|entry| Item::Event(Box::new(entry))));
        // Lines and events of the same millisecond stay as they are.
        items.sort_by_key(Item::at_ms);
        for item in &items {
            self.show(item);
        }
        if writers == 0 || !of_the_new {
            let gone = format!("no container of {} {} is left; its lines went with it", of.service, self.marks.version);
            note(&paint(self.global, "2", &gone));
        }
        Ok(0)
    }

    /// As it is written, until the run ends or somebody interrupts.
    async fn followed(&mut self, engine: &ContainerLogs, of: &LogsOf, lines: Lines) -> Result<u8, Failure> {
        let (say, mut said) = mpsc::channel(256);
        let mut known = BTreeSet::new();
        let mut look = tokio::time::interval(LOOK);
        let mut seq = 0;
        let entries = self.desk.entries(self.run, 0).await?;
        let was_over = matches!(entries.last().map(|last| &last.event), Some(Event::Ended { .. }));
        loop {
            tokio::select! {
                biased;
                _ = tokio::signal::ctrl_c() => return Ok(130),
                Some(line) = said.recv() => self.show(&Item::Line(line)),
                _ = look.tick() => {
                    for by in engine.writers(of).await? {
                        // A container that is renamed while its lines are read goes on under its id.
                        if self.marks.mark(&by).is_some() && known.insert(by.id.clone()) {
                            let (mut read, say) = (engine.lines(by, lines).await?, say.clone());
                            tokio::spawn(async move {
                                while let Some(line) = read.next().await {
                                    if say.send(line).await.is_err() {
                                        return;
                                    }
                                }
                            });
                        }
                    }
                    for entry in self.desk.entries(self.run, seq).await? {
                        seq = entry.seq;
                        self.show(&Item::Event(Box::new(entry)));
                    }
                    if !was_over && self.state.status().is_end() {
                        while let Ok(Some(line)) = tokio::time::timeout(LAST, said.recv()).await {
                            self.show(&Item::Line(line));
                        }
                        return Ok(if self.state.status() == Status::Complete { 0 } else { super::code(self.state.status()) });
                    }
                }
            }
        }
    }

    fn show(&mut self, item: &Item) {
        let global = self.global;
        match item {
            Item::Event(entry) => {
                self.state.add(entry);
                let text = line(&|code, text| paint(global, code, text), self.plan, &self.state, entry);
                if let Some(text) = text.filter(|_| entry.at_ms >= self.since_ms) {
                    say(global, &format!("{:<wide$} ── {text}", "", wide = self.marks.wide));
                }
            }
            Item::Line(written) => {
                let Some((color, mark)) = self.marks.mark(&written.by) else { return };
                let mark = paint(global, color, &format!("{mark:<wide$}", wide = self.marks.wide));
                let time = paint(global, "2", &clock(written.at_ms));
                let bar = if written.is_error { paint(global, "31", "┃") } else { paint(global, "2", "│") };
                // A service's line may hold what would move the cursor.
                let text: String = written.text.chars().filter(|c| !c.is_control() || *c == '\t').collect();
                say(global, &format!("{mark} {bar} {time} {text}"));
            }
        }
    }
}
