//! Lines to commands: `clear`, `load`, `eval` with its expectations. Comments begin with `#`.

use observe_source::MetricWrite;

use crate::Point;
use crate::series::{Loaded, parse_duration_ms, parse_series};

#[derive(Clone, Debug)]
pub(crate) enum Command {
    Clear,
    Load(MetricWrite),
    Eval(Eval),
}

/// The moments a query is asked for, in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Instant { time_ms: i64 },
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

/// One query with what it should come to.
#[derive(Clone, Debug)]
pub struct Eval {
    /// From 1.
    pub line: usize,
    pub when: When,
    pub query: String,
    pub(crate) expected: Expected,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// The words an error must hold.
    pub(crate) fail: Option<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) infos: Vec<String>,
    pub(crate) no_warnings: bool,
    pub(crate) no_infos: bool,
    pub(crate) ordered: bool,
    pub(crate) string: Option<String>,
    pub(crate) scalar: Option<f64>,
    pub(crate) series: Vec<Loaded>,
}

pub(crate) fn parse(script: &str) -> Result<Vec<Command>, String> {
    let mut commands = Vec::new();
    let mut lines = script
        .lines()
        .enumerate()
        .map(|(i, line)| (i + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with('#'))
        .peekable();
    while let Some((number, line)) = lines.next() {
        let at = |why: String| format!("line {number}: {why}");
        if line.trim().is_empty() {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            return Err(at(format!("`{}` belongs to no command", line.trim())));
        }
        let mut body = Vec::new();
        while let Some((number, line)) = lines.next_if(|(_, line)| line.starts_with([' ', '\t'])) {
            if !line.trim().is_empty() {
                body.push((number, line.trim()));
            }
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        commands.push(match word {
            "clear" => Command::Clear,
            "load" => Command::Load(load(rest.trim(), &body).map_err(at)?),
            "eval" => Command::Eval(eval(number, rest.trim(), &body).map_err(at)?),
            other => return Err(at(format!("`{other}` is no command: clear, load or eval is wanted"))),
        });
    }
    Ok(commands)
}

fn load(interval: &str, body: &[(usize, &str)]) -> Result<MetricWrite, String> {
    let interval_ms = parse_duration_ms(interval)?;
    let mut write = MetricWrite::default();
    for (number, line) in body {
        let loaded = parse_series(line).map_err(|why| format!("line {number}: {why}"))?;
        let series = write.series.push_set(loaded.labels.as_ref());
        for (i, value) in loaded.values.into_iter().enumerate() {
            let time_ms = i as i64 * interval_ms;
            match value {
                Some(Point::Float(value)) => write.samples.push((series, time_ms, value)),
                Some(Point::Histogram(histogram)) => write.histograms.push((series, time_ms, histogram)),
                None => {}
            }
        }
    }
    Ok(write)
}

fn eval(line: usize, command: &str, body: &[(usize, &str)]) -> Result<Eval, String> {
    let mut words = command;
    let mut word = || {
        let (first, rest) = words.trim_start().split_once(' ').unwrap_or((words, ""));
        words = rest;
        first
    };
    let when = match word() {
        "instant" => {
            word();
            When::Instant { time_ms: parse_duration_ms(word())? }
        }
        "range" => {
            let mut next = || {
                word();
                parse_duration_ms(word())
            };
            When::Range { start_ms: next()?, end_ms: next()?, step_ms: next()? }
        }
        other => return Err(format!("`{other}`: instant or range is wanted")),
    };
    let query = words.trim().to_owned();
    let mut expected = Expected::default();
    for (number, line) in body {
        expect(line, &mut expected).map_err(|why| format!("line {number}: {why}"))?;
    }
    Ok(Eval { line, when, query, expected })
}

fn expect(line: &str, expected: &mut Expected) -> Result<(), String> {
    let Some(what) = line.strip_prefix("expect ") else {
        if let Ok(value) = line.parse::<f64>() {
            expected.scalar = Some(value);
        } else {
            expected.series.push(parse_series(line)?);
        }
        return Ok(());
    };
    let (word, rest) = what.split_once(' ').unwrap_or((what, ""));
    let text = rest.trim().strip_prefix("msg:").unwrap_or(rest).trim().to_owned();
    match word {
        "fail" => expected.fail = Some(text),
        "warn" => expected.warnings.push(text),
        "info" => expected.infos.push(text),
        "no_warn" => expected.no_warnings = true,
        "no_info" => expected.no_infos = true,
        "ordered" => expected.ordered = true,
        "string" => expected.string = Some(text.trim_matches('"').to_owned()),
        other => return Err(format!("`expect {other}` is not known")),
    }
    Ok(())
}
