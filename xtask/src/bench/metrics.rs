//! The metrics engine beside the servers that others would use, under the same load in the same run: figures and ratios, CPU time of the server with all that
//! it does afterwards to settle. Runs of one server are told by their median and their span. Nothing here is a bound.

mod disk;
mod load;
mod query;
mod server;

use std::time::Duration;

use super::peer::Program;
use super::spine::{machine, program};
use crate::sh;
use load::{Request, Series};
use server::{Running, Under};

/// How much of everything.
struct Size {
    runs: usize,
    /// Rounds of one sample of each of [`SERIES`].
    rounds: u64,
    new_series: u64,
    /// Samples of each of [`DISK_SERIES`].
    disk_samples: u64,
    /// Samples of each series that is asked for.
    query_samples: u64,
}

const FULL: Size = Size { runs: 3, rounds: 60, new_series: 1_000_000, disk_samples: 1_440, query_samples: 240 };
const SMOKE: Size = Size { runs: 1, rounds: 2, new_series: 10_000, disk_samples: 60, query_samples: 40 };

const SERIES: u64 = 50_000;
const DISK_SERIES: u64 = 2_000;
/// Samples of a request, as Prometheus sends them.
const EACH: u64 = 2_000;
/// A server has settled when it rests for so long.
const REST: Duration = Duration::from_secs(3);

/// `[--smoke] [--only write|new|disk|query]… [--peer NAME=PATH]…`.
pub(super) fn run(words: &[String]) -> sh::Outcome {
    let (mut size, mut only, mut peers) = (&FULL, Vec::new(), vec![Program::prometheus()?, Program::victoria()?]);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("`{word}` wants a word behind it"));
        match word.as_str() {
            "--smoke" => size = &SMOKE,
            "--only" => only.push(value()?.clone()),
            "--peer" => peers.push(Program::named(value()?)?),
            other => {
                return Err(format!("`{other}`: say `--smoke`, `--only write|new|disk|query`, `--peer NAME=PATH`"));
            }
        }
    }
    let (ours, profile) = program()?;
    let servers: Vec<Under> = std::iter::once(Under::Ours(ours)).chain(peers.into_iter().map(Under::Peer)).collect();
    println!("machine: {}; profile: {profile}\n", machine());
    println!("| what | server | median | span | ratio to ours |\n|---|---|---|---|---|");
    type Suite = fn(&Under, &Size) -> sh::Outcome<Vec<Figure>>;
    let suites: [(&str, Suite); 4] =
        [("write", write), ("new", new_series), ("disk", disk::suite), ("query", query::suite)];
    for (name, suite) in suites.iter().filter(|(name, _)| only.is_empty() || only.iter().any(|word| word == name)) {
        let mut all = Vec::new();
        for server in &servers {
            let runs = (0..size.runs).map(|_| suite(server, size)).collect::<Result<Vec<_>, String>>();
            all.push((server, runs.map_err(|why| format!("{name}, {}: {why}", server.name()))?));
        }
        print(&all);
    }
    Ok(())
}

/// One figure of a run; more is better or less is, which the reader knows by its name.
pub(super) struct Figure {
    what: &'static str,
    value: f64,
}

fn print(all: &[(&Under, Vec<Vec<Figure>>)]) {
    let figures = all.first().and_then(|(_, runs)| runs.first()).map_or(0, Vec::len);
    for number in 0..figures {
        let mut ours = None;
        for (server, runs) in all {
            let mut values: Vec<f64> = runs.iter().filter_map(|run| Some(run.get(number)?.value)).collect();
            values.sort_by(f64::total_cmp);
            let (Some(least), Some(most)) = (values.first(), values.last()) else { continue };
            let median = values.get(values.len() / 2).copied().unwrap_or(0.0);
            let what = runs.first().and_then(|run| run.get(number)).map_or("", |figure| figure.what);
            let ratio = median / *ours.get_or_insert(median);
            println!(
                "| {what} | {} | {} | {} to {} | {ratio:.2} |",
                server.name(),
                short(median),
                short(*least),
                short(*most)
            );
        }
    }
}

fn short(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

/// Samples of known series: one of each a round.
fn write(server: &Under, size: &Size) -> sh::Outcome<Vec<Figure>> {
    let running = server.start()?;
    let series = Series::new(SERIES);
    let begin_ms = load::now_ms() - size.rounds * 15_000;
    send(&running, &series, 0, begin_ms)?;
    running.settle(REST)?;
    let before = running.cpu_s()?;
    for round in 1..=size.rounds {
        send(&running, &series, round, begin_ms + round * 15_000)?;
    }
    running.settle(REST)?;
    let spent = running.cpu_s()? - before;
    Ok(vec![Figure { what: "samples a CPU second, known series", value: (size.rounds * SERIES) as f64 / spent }])
}

fn send(running: &Running, series: &Series, round: u64, time_ms: u64) -> sh::Outcome {
    let mut client = running.client()?;
    (0..SERIES / EACH).try_for_each(|request| {
        let body = Request::of(series, request * EACH..(request + 1) * EACH, round, time_ms);
        running.write(&mut client, &body)
    })
}

/// Series that nobody has seen, each with one sample, and what memory they take.
fn new_series(server: &Under, size: &Size) -> sh::Outcome<Vec<Figure>> {
    let running = server.start()?;
    running.settle(REST)?;
    let (before, memory) = (running.cpu_s()?, running.memory_bytes()?);
    let now_ms = load::now_ms();
    let mut client = running.client()?;
    let mut from = 0;
    while from < size.new_series {
        let some = Series::between(from, from + EACH);
        running.write(&mut client, &Request::of(&some, 0..EACH, 0, now_ms))?;
        from += EACH;
    }
    running.settle(REST)?;
    let spent = running.cpu_s()? - before;
    let (count, grown) = (size.new_series as f64, running.memory_bytes()? - memory);
    Ok(vec![
        Figure { what: "new series a CPU second", value: count / spent },
        Figure { what: "bytes of resident memory for each, beyond an empty server", value: grown / count },
        Figure { what: "bytes of resident memory for each, all in all", value: running.memory_bytes()? / count },
    ])
}
