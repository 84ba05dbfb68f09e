//! The lines of all containers of a release together: what is there, or what comes. An engine that does not answer takes nothing away from what was
//! read before; what is lacking is said. It knows no journal and shows nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use operate_plan::Degraded;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{ContainerLogs, Lines, LogsOf, Writer, Written};
use crate::DeskError;

/// How often new containers are looked for, and an engine that was away.
const LOOK: Duration = Duration::from_millis(500);
/// Lines of one answer, the newest; a person reads fewer.
const LINES_MAX: usize = 50_000;
/// Lines that a slow reader may lag behind.
const LAG: usize = 256;

/// What is there now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub writers: Vec<Writer>,
    /// In the order of their times.
    pub lines: Vec<Written>,
    pub degraded: Vec<Degraded>,
}

/// What comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    Line(Written),
    /// Something cannot be read for now; said once, until it can be again.
    Lacks(Degraded),
}

fn lacks(what: String, error: &DeskError, who: &str) -> Degraded {
    Degraded::new(what, error.report().one_line(), who)
}

fn all_lines(of: &LogsOf) -> String {
    format!("the lines of {}'s containers", of.service)
}

fn lines_of(by: &Writer) -> String {
    format!("the lines of {}", by.name)
}

impl ContainerLogs {
    /// All that is there, as far as the engine tells it.
    pub async fn output(&self, of: &LogsOf, lines: Lines) -> Output {
        let mut output = Output::default();
        let writers = match self.writers(of).await {
            Ok(writers) => writers,
            Err(error) => {
                output.degraded.push(lacks(all_lines(of), &error, self.who()));
                return output;
            }
        };
        for by in &writers {
            match self.lines(by.clone(), Lines { follow: false, ..lines }).await {
                Ok(mut read) => {
                    while let Some(line) = read.next().await {
                        match line {
                            Ok(line) => output.lines.push(line),
                            Err(error) => output.degraded.push(lacks(lines_of(by), &error, self.who())),
                        }
                    }
                }
                Err(error) => output.degraded.push(lacks(lines_of(by), &error, self.who())),
            }
        }
        // Lines of the same millisecond stay as they are.
        output.lines.sort_by_key(|line| line.at_ms);
        let over = output.lines.len().saturating_sub(LINES_MAX);
        if over > 0 {
            output.lines.drain(..over);
            output.degraded.push(Degraded::new(
                format!("{over} older lines"),
                format!("one answer has at most {LINES_MAX}; `--tail` or `--since` ask for fewer"),
                self.who(),
            ));
        }
        output.writers = writers;
        output
    }

    /// What is there and what comes, of containers that come too, until nobody listens.
    pub fn follow(&self, of: LogsOf, lines: Lines) -> mpsc::Receiver<Heard> {
        let (say, heard) = mpsc::channel(LAG);
        tokio::spawn(self.clone().look(of, Lines { follow: true, ..lines }, say));
        heard
    }

    async fn look(self, of: LogsOf, lines: Lines, say: mpsc::Sender<Heard>) {
        let mut known = BTreeSet::new();
        let mut is_away = false;
        while !say.is_closed() {
            match self.writers(&of).await {
                Ok(writers) => {
                    is_away = false;
                    // A container that is renamed while its lines are read goes on under its id.
                    for by in writers.into_iter().filter(|by| known.insert(by.id.clone())) {
                        tokio::spawn(self.clone().read(by, lines, say.clone()));
                    }
                }
                Err(error) => {
                    let told =
                        !is_away && say.send(Heard::Lacks(lacks(all_lines(&of), &error, self.who()))).await.is_ok();
                    is_away |= told;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// One container to its end, also when the engine goes away in between.
    async fn read(self, by: Writer, mut lines: Lines, say: mpsc::Sender<Heard>) {
        let mut is_away = false;
        while !say.is_closed() {
            let broken = match self.lines(by.clone(), lines).await {
                Ok(mut read) => loop {
                    let line = tokio::select! {
                        line = read.next() => line,
                        () = say.closed() => return,
                    };
                    match line {
                        Some(Ok(line)) => {
                            is_away = false;
                            // From the next one on, however many there are.
                            lines = Lines { since_ms: line.at_ms.saturating_add(1), tail: u64::MAX, ..lines };
                            if say.send(Heard::Line(line)).await.is_err() {
                                return;
                            }
                        }
                        Some(Err(error)) => break error,
                        None => return,
                    }
                },
                Err(error) => error,
            };
            if !is_away {
                is_away = say.send(Heard::Lacks(lacks(lines_of(&by), &broken, self.who()))).await.is_ok();
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
