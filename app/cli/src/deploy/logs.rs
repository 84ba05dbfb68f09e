//! `apm deploy logs`: what the containers of a release write, each line marked by its version, with the run's own events in between. It
//! asks the engine and the history, and knows neither.

use std::time::Duration;

use app_config::Span;
use app_deploy::{ContainerLogs, DockerSurroundings, Heard, Lines, LogsOf, Output, Remote, Side, Writer, Written};
use base_explain::Report;
use base_world::World;
use clap::Args as ClapArgs;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use operate_execute::{Entry, Event, RunId, State, Status};
use operate_plan::Plan;

use super::office::Office;
use super::progress::{clock, line};
use crate::args::{Global, Places, ServerArgs};
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
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// How often new containers and new events are looked for.
const LOOK: Duration = Duration::from_millis(500);
/// After the run's end, for what is still on its way.
const LAST: Duration = Duration::from_secs(1);

pub(crate) async fn logs(global: &Global, args: &LogsArgs) -> Result<u8, Failure> {
    let world = World::real();
    let office = Office::open(global, &args.places, &args.server).await?;
    let run = office.find(args.run.as_deref()).await?;
    let (plan, _) = office.look(&run).await?;
    let source = match &office {
        Office::Here(desk, _) => Source::Here(match desk.pod_logs(&plan) {
            Some(pods) => pods?,
            None => {
                let surroundings = DockerSurroundings::from_variables(|name| std::env::var(name).ok());
                ContainerLogs::open(&surroundings, &*world.disk)?
            }
        }),
        Office::There(remote) => Source::There(remote),
    };
    let created_ms = office.entries(&run, 0).await?.first().map_or(0, |entry| entry.at_ms);
    let since_ms = args.since.map_or(created_ms, |span| world.clock.now_ms().saturating_sub(span.as_millis_i64()));
    let lines = Lines { since_ms, tail: args.tail, follow: args.follow };
    let marks = Marks::of(&plan);
    let (run, plan, office) = (&run, &plan, &office);
    let mut reading = Reading { global, office, run, plan, state: State::default(), marks, since_ms };
    if args.follow { reading.followed(&source, lines).await } else { reading.once(&source, lines).await }
}

/// Who is asked for lines: the engine of Docker or the cluster at hand, or an engine of ours that asks its own.
enum Source<'a> {
    Here(ContainerLogs),
    There(&'a Remote),
}

impl Source<'_> {
    async fn output(&self, run: &RunId, of: &LogsOf, lines: Lines) -> Result<Output, Failure> {
        Ok(match self {
            Source::Here(engine) => engine.output(of, lines).await,
            Source::There(remote) => remote.output(run, lines).await?,
        })
    }

    /// What comes; ends with an error when an engine of ours is gone.
    async fn follow(
        &self,
        run: &RunId,
        of: &LogsOf,
        lines: Lines,
    ) -> Result<BoxStream<'static, Result<Heard, Failure>>, Failure> {
        Ok(match self {
            Source::Here(engine) => {
                let heard = engine.follow(of.clone(), lines);
                stream::unfold(heard, |mut heard| async move { Some((Ok(heard.recv().await?), heard)) }).boxed()
            }
            Source::There(remote) => {
                let heard = remote.follow_output(run, lines).await?;
                stream::unfold(
                    heard,
                    |mut heard| async move { Some((heard.recv().await?.map_err(Failure::from), heard)) },
                )
                .boxed()
            }
        })
    }
}

/// Which version is which.
struct Marks {
    of: LogsOf,
    wide: usize,
}

impl Marks {
    fn of(plan: &Plan) -> Marks {
        let of = LogsOf::run(plan);
        let chars = |text: &str| text.chars().count() + 4;
        let wide = chars(&of.version).max(of.before.as_deref().map_or(0, chars));
        Marks { of, wide }
    }

    /// `new 2`, `old 1`; nothing for a container of neither.
    fn mark(&self, by: &Writer) -> Option<(&'static str, String)> {
        match self.of.side(by)? {
            Side::New => Some(("32", format!("new {}", by.version))),
            Side::Old => Some(("33", format!("old {}", by.version))),
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
    office: &'a Office,
    run: &'a RunId,
    plan: &'a Plan,
    state: State,
    marks: Marks,
    since_ms: i64,
}

impl Reading<'_> {
    /// What is there now, in the order of its time. Without an engine of Docker that is what the run did.
    async fn once(&mut self, source: &Source<'_>, lines: Lines) -> Result<u8, Failure> {
        let output = source.output(self.run, &self.marks.of, lines).await?;
        let mut items: Vec<Item> = output.lines.into_iter().map(Item::Line).collect();
        let entries = self.office.entries(self.run, 0).await?;
        items.extend(entries.into_iter().map(|entry| Item::Event(Box::new(entry))));
        // Lines and events of the same millisecond stay as they are.
        items.sort_by_key(Item::at_ms);
        for item in &items {
            self.show(item);
        }
        super::lacking(self.global, &output.degraded);
        let of = &self.marks.of;
        if output.degraded.is_empty() && !output.writers.iter().any(|by| by.version == of.version) {
            let gone = format!("no container of {} {} is left; its lines went with it", of.service, of.version);
            note(&paint(self.global, "2", &gone));
        }
        // What there is was shown; that it is all of it cannot be said.
        Ok(if output.degraded.is_empty() { 0 } else { 3 })
    }

    /// As it is written, until the run ends or somebody interrupts.
    async fn followed(&mut self, source: &Source<'_>, lines: Lines) -> Result<u8, Failure> {
        let of = self.marks.of.clone();
        let mut heard = source.follow(self.run, &of, lines).await?;
        let mut look = tokio::time::interval(LOOK);
        let mut seq = 0;
        let entries = self.office.entries(self.run, 0).await?;
        let was_over = matches!(entries.last().map(|last| &last.event), Some(Event::Ended { .. }));
        loop {
            tokio::select! {
                biased;
                _ = tokio::signal::ctrl_c() => return Ok(130),
                next = heard.next() => match next {
                    Some(next) => self.hear(next?),
                    None => return Err(Failure::Broken(Report::new("nobody tells any more lines"))),
                },
                _ = look.tick() => {
                    for entry in self.office.entries(self.run, seq).await? {
                        seq = entry.seq;
                        self.show(&Item::Event(Box::new(entry)));
                    }
                    if !was_over && self.state.status().is_end() {
                        while let Ok(Some(next)) = tokio::time::timeout(LAST, heard.next()).await {
                            self.hear(next?);
                        }
                        return Ok(if self.state.status() == Status::Complete { 0 } else { super::code(self.state.status()) });
                    }
                }
            }
        }
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Line(line) => self.show(&Item::Line(line)),
            Heard::Lacks(one) => super::lacking(self.global, &[one]),
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
