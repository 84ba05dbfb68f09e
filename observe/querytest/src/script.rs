//! Lines to commands: `clear`, `load`, `eval` with its expectations. A line that begins with `#` counts as an empty one,
//! and an empty one ends a command. Runs nothing.

use observe_source::MetricWrite;
use regex::Regex;

use crate::series::{Loaded, parse_duration_ms, parse_number, parse_series, parse_starts, unquoted};
use crate::{Point, convert, histogram};

/// A script that cannot be run, and the line that is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ScriptError {
    /// From 1.
    pub line: usize,
    pub message: String,
}

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

/// How an error or an annotation is told.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Any,
    Is(String),
    Matches(Regex),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) fail: Option<Text>,
    pub(crate) warnings: Vec<Text>,
    pub(crate) infos: Vec<Text>,
    pub(crate) no_warnings: bool,
    pub(crate) no_infos: bool,
    pub(crate) ordered: bool,
    pub(crate) string: Option<String>,
    pub(crate) scalar: Option<f64>,
    /// (first, last, step) of the samples of a range vector.
    pub(crate) range_vector: Option<(i64, i64, i64)>,
    pub(crate) series: Vec<Loaded>,
}

/// The most cases of one script, and values of one `load`.
const VALUES_MAX: usize = 50_000_000;

type Lines<'s> = Vec<(usize, &'s str)>;

pub(crate) fn parse(script: &str) -> Result<Vec<Command>, ScriptError> {
    let lines = script.lines().enumerate().map(|(i, line)| {
        let line = line.trim();
        (i + 1, if line.starts_with('#') { "" } else { line })
    });
    let mut lines = lines.peekable();
    let mut commands = Vec::new();
    while let Some((number, line)) = lines.next() {
        let at = |message: String| ScriptError { line: number, message };
        let word = line.split_whitespace().next().unwrap_or_default();
        let rest = line.get(word.len()..).unwrap_or_default().trim();
        let word = word.to_ascii_lowercase();
        let mut body = Lines::new();
        if word.starts_with("load") || word.starts_with("eval") {
            while let Some(line) = lines.next_if(|(_, line)| !line.is_empty()) {
                body.push(line);
            }
        }
        commands.push(match word.as_str() {
            "" => continue,
            "clear" => Command::Clear,
            "load" => Command::Load(load(number, rest, &body, false)?),
            "load_with_nhcb" => Command::Load(load(number, rest, &body, true)?),
            _ => match eval_kind(&word) {
                Some(kind) => Command::Eval(eval(number, kind, rest, &body)?),
                None => return Err(at(format!("`{line}` is no command: clear, load or eval is wanted"))),
            },
        });
    }
    Ok(commands)
}

/// What `eval`, or one of its old forms, asks for.
fn eval_kind(word: &str) -> Option<&str> {
    let kind = word.strip_prefix("eval")?;
    matches!(kind, "" | "_fail" | "_warn" | "_info" | "_ordered").then_some(kind)
}

fn load(line: usize, interval: &str, body: &Lines<'_>, with_custom: bool) -> Result<MetricWrite, ScriptError> {
    let err = |line: usize| move |message: String| ScriptError { line, message };
    let interval_ms = parse_duration_ms(interval).map_err(err(line))?;
    let mut write = MetricWrite::default();
    let mut all = Vec::with_capacity(body.len());
    let mut starts: Option<(usize, Loaded)> = None;
    let mut count = 0;
    for (number, line) in body {
        let at = err(*number);
        if let Some(parsed) = parse_starts(line).transpose().map_err(at)? {
            if starts.replace((*number, parsed)).is_some() {
                return Err(at("two @st lines in a row: the line with its samples is missing".to_owned()));
            }
            continue;
        }
        let loaded = parse_series(line).map_err(at)?;
        count += loaded.values.len();
        if count > VALUES_MAX {
            return Err(at(format!("more than {VALUES_MAX} values in one load")));
        }
        let series = write.series.push_set(loaded.labels.as_ref());
        let began = match starts.take() {
            Some((_, began)) if began.labels != loaded.labels => {
                return Err(at("the @st line before this one is of another series".to_owned()));
            }
            Some((_, began)) if began.values.len() != loaded.values.len() => {
                return Err(at("the @st line before this one has another number of values".to_owned()));
            }
            began => began.map(|(_, began)| began.values),
        };
        let mut before: Option<&base_signal::NativeHistogram> = None;
        for (i, item) in loaded.values.iter().enumerate() {
            let time_ms = i as i64 * interval_ms;
            match item.as_ref().map(|item| &item.point) {
                Some(Point::Float(value)) => {
                    before = None;
                    write.samples.push((series, time_ms, *value));
                }
                Some(Point::Histogram(histogram)) => {
                    let counter_reset = histogram::stored_hint(before, histogram);
                    let stored = base_signal::NativeHistogram { counter_reset, ..histogram.clone() };
                    before = Some(histogram);
                    write.histograms.push((series, time_ms, stored));
                }
                None => continue,
            }
            let began = began.as_ref().and_then(|began| began.get(i)).and_then(Option::as_ref);
            if let Some(Point::Float(offset_ms)) = began.map(|item| &item.point) {
                write.starts.push((series, time_ms, time_ms + *offset_ms as i64));
            }
        }
        all.push(loaded);
    }
    if let Some((number, _)) = starts {
        return Err(err(number)("no line with samples follows this @st line".to_owned()));
    }
    if with_custom {
        for (labels, at, histogram) in convert::native(&all).map_err(err(line))? {
            let series = write.series.push_set(labels.as_ref());
            write.histograms.push((series, at as i64 * interval_ms, histogram));
        }
    }
    Ok(write)
}

fn eval(line: usize, kind: &str, command: &str, body: &Lines<'_>) -> Result<Eval, ScriptError> {
    let err = |line: usize| move |message: String| ScriptError { line, message };
    let (when, query) = moments(command).map_err(err(line))?;
    if query.is_empty() {
        return Err(err(line)("no query".to_owned()));
    }
    let mut expected = Expected::default();
    match kind {
        "_fail" => expected.fail = Some(Text::Any),
        "_warn" => expected.warnings.push(Text::Any),
        "_info" => expected.infos.push(Text::Any),
        "_ordered" => expected.ordered = true,
        _ => {}
    }
    let instant = matches!(when, When::Instant { .. });
    for (number, line) in body {
        expect(line, kind == "_fail", instant, &mut expected).map_err(err(*number))?;
    }
    let both = |some: bool, none: bool, what: &str| match some && none {
        true => Err(err(line)(format!("{what} and no_{what} cannot both be expected"))),
        false => Ok(()),
    };
    both(!expected.warnings.is_empty(), expected.no_warnings, "warn")?;
    both(!expected.infos.is_empty(), expected.no_infos, "info")?;
    Ok(Eval { line, when, query, expected })
}

/// `instant at TIME QUERY` or `range from START to END step STEP QUERY`.
fn moments(command: &str) -> Result<(When, String), String> {
    let mut words = Words(command);
    let when = match words.next() {
        "instant" => When::Instant { time_ms: words.time_after("at")? },
        "range" => When::Range {
            start_ms: words.time_after("from")?,
            end_ms: words.time_after("to")?,
            step_ms: words.time_after("step")?,
        },
        other => return Err(format!("`{other}`: instant or range is wanted")),
    };
    Ok((when, words.0.trim().to_owned()))
}

/// What is left of a line.
struct Words<'l>(&'l str);

impl<'l> Words<'l> {
    fn next(&mut self) -> &'l str {
        let rest = self.0.trim_start();
        let (first, tail) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        self.0 = tail;
        first
    }

    fn time_after(&mut self, keyword: &str) -> Result<i64, String> {
        match self.next() {
            word if word == keyword => parse_duration_ms(self.next()),
            other => Err(format!("`{other}` where `{keyword}` is wanted")),
        }
    }
}

fn expect(line: &str, old_fail: bool, instant: bool, expected: &mut Expected) -> Result<(), String> {
    if let Some(text) = line.strip_prefix("expected_fail_message").filter(|_| old_fail) {
        expected.fail = Some(Text::Is(text.trim().to_owned()));
        return Ok(());
    }
    if let Some(text) = line.strip_prefix("expected_fail_regexp").filter(|_| old_fail) {
        expected.fail = Some(pattern(text.trim())?);
        return Ok(());
    }
    if line.split(' ').next() != Some("expect") {
        return result(line, instant, expected);
    }
    let what = line.strip_prefix("expect").unwrap_or_default().trim();
    if let Some(moments) = what.strip_prefix("range vector") {
        let words: Vec<&str> = moments.split_whitespace().collect();
        let ["from", first, "to", last, "step", step] = words.as_slice() else {
            return Err("`expect range vector from TIME to TIME step DURATION` is wanted".to_owned());
        };
        expected.range_vector = Some((parse_duration_ms(first)?, parse_duration_ms(last)?, parse_duration_ms(step)?));
        return Ok(());
    }
    let (word, rest) = what.split_at(what.find(char::is_whitespace).unwrap_or(what.len()));
    let rest = rest.trim();
    if word == "string" {
        let text = unquoted(rest).filter(|(_, tail)| tail.is_empty()).map(|(text, _)| text);
        expected.string = Some(text.ok_or("`expect string` wants a quoted string")?);
        return Ok(());
    }
    let text = match rest.split_once(':') {
        _ if rest.is_empty() => Text::Any,
        Some(("msg", text)) => Text::Is(text.trim().to_owned()),
        Some(("regex", text)) => pattern(text.trim())?,
        _ => return Err(format!("`{rest}` after `expect {word}`: `msg:` or `regex:` is wanted")),
    };
    match word {
        "fail" if expected.fail.is_some() => return Err("`expect fail` stands twice".to_owned()),
        "fail" => expected.fail = Some(text),
        "warn" => expected.warnings.push(text),
        "info" => expected.infos.push(text),
        "no_warn" | "no_info" | "ordered" if !rest.is_empty() => {
            return Err(format!("`expect {word}` takes no text"));
        }
        "no_warn" => expected.no_warnings = true,
        "no_info" => expected.no_infos = true,
        "ordered" => expected.ordered = true,
        other => return Err(format!("`expect {other}` is not known")),
    }
    Ok(())
}

fn result(line: &str, instant: bool, expected: &mut Expected) -> Result<(), String> {
    if let Some(value) = parse_number(line) {
        expected.scalar = Some(value);
        return Ok(());
    }
    let series = parse_series(line)?;
    if instant && expected.range_vector.is_none() && series.values.len() != 1 {
        return Err("an instant query gives one value a series; `expect range vector` tells of more".to_owned());
    }
    expected.series.push(series);
    Ok(())
}

fn pattern(text: &str) -> Result<Text, String> {
    Regex::new(text).map(Text::Matches).map_err(|why| format!("`{text}` is no regular expression: {why}"))
}

impl Text {
    pub(crate) fn fits(&self, text: &str) -> bool {
        match self {
            Text::Any => true,
            Text::Is(wanted) => wanted == text,
            Text::Matches(pattern) => pattern.is_match(text),
        }
    }

    pub(crate) fn show(&self) -> String {
        match self {
            Text::Any => String::new(),
            Text::Is(wanted) => format!(" msg: {wanted}"),
            Text::Matches(pattern) => format!(" regex: {pattern}"),
        }
    }
}
