//! A run as it goes on, for whoever looks: a picture that stays in its place on a terminal, plain lines elsewhere. Whoever finds nobody
//! carrying the run out does it here; a run of another engine is followed over its port.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use app_deploy::{Desk, DeskError, Remote};
use base_world::World;
use operate_execute::{Entry, Event, Ruling, RunError, RunId, State, progress};
use operate_plan::Plan;

use super::frame::{Look, Said, frame};
use super::progress::{line, standing};
use super::screen::{Screen, size};
use crate::args::Global;
use crate::output::{Failure, colors, paint, say};

/// How often a run that somebody else carries out is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Between two pictures.
const TURN: Duration = Duration::from_millis(125);
/// What a shell is told of a program that was interrupted.
const INTERRUPTED: u8 = 130;
/// What was said is remembered so far back.
const SAID_MAX: usize = 16;

/// Carries it out, or follows whoever does, to its end; returns the exit code.
pub(crate) async fn carry_out(global: &Global, desk: &Arc<Desk>, run: &RunId) -> Result<u8, Failure> {
    let (plan, _) = desk.look(run).await?;
    let mut show = Show::new(global, run, &plan);
    let mut live = desk.watch();
    show.catch_up(desk).await?;
    let execute = || {
        let (executing, id) = (Arc::clone(desk), run.clone());
        tokio::spawn(async move { executing.execute(&id).await })
    };
    let mut executed = execute();
    let mut turn = tokio::time::interval(TURN);
    loop {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => return Ok(left(global, show, run)),
            Ok(entry) = live.recv() => if entry.run == *run && !show.take(&entry) {
                show.catch_up(desk).await?;
            },
            ended = &mut executed => {
                // Whatever came last.
                show.catch_up(desk).await?;
                match ended.map_err(|error| Failure::Broken(base_explain::Report::of(&error)))? {
                    Ok(status) => {
                        show.end();
                        return Ok(super::code(status));
                    }
                    Err(DeskError::Run(RunError::Busy { holder, .. })) => {
                        let elsewhere = show.state.last.as_ref().is_some_and(|entry| entry.seq > 1);
                        if !elsewhere {
                            return Err(busy(&plan, &holder));
                        }
                        show.wait(LOOK).await;
                        executed = execute();
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            _ = turn.tick() => show.draw(),
        }
    }
}

/// Follows a run that an engine carries out; a connection that is lost is opened again where it ended.
pub(super) async fn follow(global: &Global, remote: &Remote, run: &RunId) -> Result<u8, Failure> {
    let plan = remote.plan(run).await?;
    let mut show = Show::new(global, run, &plan);
    let mut following = remote.follow(run);
    let (said, mut entries) = tokio::sync::mpsc::channel(64);
    // In a task of its own: a connection that is being opened is not let go for the sake of a picture.
    tokio::spawn(async move {
        loop {
            let next = following.next().await;
            let is_last = !matches!(next, Ok(Some(_)));
            if said.send(next).await.is_err() || is_last {
                return;
            }
        }
    });
    let mut turn = tokio::time::interval(TURN);
    loop {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {
                drop(show);
                say(global, &format!("the engine goes on with it; `apm deploy watch {run} --server {}` follows it", remote.url()));
                return Ok(INTERRUPTED);
            }
            next = entries.recv() => match next.transpose()?.flatten() {
                Some(entry) => {
                    show.take(&entry);
                }
                None => {
                    let status = show.state.status();
                    show.end();
                    return Ok(super::code(status));
                }
            },
            _ = turn.tick() => show.draw(),
        }
    }
}

fn left(global: &Global, show: Show<'_>, run: &RunId) -> u8 {
    drop(show);
    let orders = format!("`apm deploy cancel {run}` and then `watch` undo it");
    say(global, &format!("left as it stands: `apm deploy watch {run}` goes on with it, {orders}"));
    INTERRUPTED
}

fn busy(plan: &Plan, holder: &str) -> Failure {
    let report = base_explain::Report::new(format!("{} is being changed by {holder}", plan.target));
    Failure::Refused(report.hint("wait for it, or see `apm deploy list` and cancel it"))
}

/// Whether a run is drawn: on a terminal that can.
pub(super) fn is_drawn(global: &Global) -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    std::io::stdout().is_terminal() && !global.quiet && !is_dumb
}

/// What a person sees of one run.
struct Show<'a> {
    global: &'a Global,
    run: &'a RunId,
    plan: &'a Plan,
    state: State,
    shown: u64,
    /// On a terminal.
    screen: Option<Screen>,
    said: Vec<Said>,
    turn: usize,
    world: World,
}

impl<'a> Show<'a> {
    fn new(global: &'a Global, run: &'a RunId, plan: &'a Plan) -> Show<'a> {
        let screen = is_drawn(global).then(Screen::default);
        let (state, said) = (State::default(), Vec::new());
        Show { global, run, plan, state, shown: 0, screen, said, turn: 0, world: World::real() }
    }

    /// Takes the next entry in; `false` when there are others before it.
    fn take(&mut self, entry: &Entry) -> bool {
        if entry.seq <= self.shown {
            return true;
        }
        if entry.seq > self.shown + 1 {
            return false;
        }
        self.shown = entry.seq;
        self.state.add(entry);
        if self.screen.is_some() {
            self.remember(entry);
        } else if let Some(line) = line(&|code, text| paint(self.global, code, text), self.plan, &self.state, entry) {
            say(self.global, &line);
        }
        true
    }

    /// What the steps themselves do not show.
    fn remember(&mut self, entry: &Entry) {
        let color = match &entry.event {
            Event::Judged { ruling: Ruling::Pass { .. }, .. } => "32",
            Event::Judged { ruling: Ruling::Wait { .. }, .. } => "",
            Event::Judged { ruling: Ruling::Fail { .. }, .. }
            | Event::AttemptFailed { .. }
            | Event::StepFailed { .. }
            | Event::UndoBegun { .. }
            | Event::UndoFailed { .. }
            | Event::GivenUp { .. } => "31",
            Event::Judged { .. } | Event::Asked { .. } | Event::Halted { .. } => "33",
            Event::Ordered { .. } | Event::Taken { .. } => "2",
            _ => return,
        };
        let Some(text) = line(&|_, text| text.to_owned(), self.plan, &self.state, entry) else { return };
        let judged = matches!(entry.event, Event::Judged { .. });
        // The judge's newest word takes the place of the one before.
        self.said.retain(|said| !(judged && said.is_passing));
        let is_passing = matches!(entry.event, Event::Judged { ruling: Ruling::Wait { .. }, .. });
        self.said.push(Said { color, text, is_passing });
        let over = self.said.len().saturating_sub(SAID_MAX);
        self.said.drain(..over);
    }

    async fn catch_up(&mut self, desk: &Desk) -> Result<(), Failure> {
        for entry in desk.entries(self.run, self.shown).await? {
            self.take(&entry);
        }
        Ok(())
    }

    /// Turns the wheel meanwhile.
    async fn wait(&mut self, time: Duration) {
        let mut waited = Duration::ZERO;
        while waited < time {
            self.draw();
            tokio::time::sleep(TURN).await;
            waited += TURN;
        }
    }

    fn draw(&mut self) {
        let Some(screen) = &mut self.screen else { return };
        let Some((columns, rows)) = size() else { return };
        let progress = progress(self.plan, &self.state, self.world.clock.now_ms());
        self.turn += 1;
        let look = Look {
            run: &self.run.0,
            plan: self.plan,
            state: &self.state,
            progress: &progress,
            said: &self.said,
            columns,
            rows,
            color: colors(self.global),
            turn: self.turn,
        };
        screen.draw(&frame(&look), columns);
    }

    /// The last picture stays, and the sentence under it.
    fn end(mut self) {
        self.draw();
        drop(self.screen.take());
        say(self.global, &standing(self.plan, &self.state));
    }
}
