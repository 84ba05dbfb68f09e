//! `apm deploy judge`: the judge's word, now or on past releases, as text or JSON. It judges nothing.

use std::io::Write as _;

use app_config::Span;
use app_deploy::{Chart, JudgeAsk, Looked, Replay};
use base_explain::Report;
use base_world::World;
use clap::{Args as ClapArgs, ValueEnum};
use operate_gate::{Language, Outcome};

use super::office::Office;
use super::{asked_of, lacking};
use crate::args::{Global, Places, ServerArgs};
use crate::output::{Failure, note, paint, say};

#[derive(Debug, ClapArgs)]
pub(crate) struct JudgeArgs {
    /// Judge this release again, as it went [default: the service as it runs now]
    pub(crate) run: Option<String>,
    /// The service [default: the only one in apm.yaml]
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Judge all past releases again by today's settings, and say how often the judge is wrong
    #[arg(long, conflicts_with = "run")]
    pub(crate) replay: bool,
    /// How far back a replay goes
    #[arg(long, value_name = "TIME", default_value = "90d", requires = "replay")]
    pub(crate) since: Span,
    /// The form of the answer
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    pub(crate) output: Form,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Text,
    Json,
}

/// What a shell is told.
fn code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Pass => 0,
        Outcome::Fail => 1,
        Outcome::Continue | Outcome::Inconclusive => 3,
    }
}

pub(crate) async fn judge(global: &Global, args: &JudgeArgs) -> Result<u8, Failure> {
    let office = Office::open(global, &args.places, &args.server).await?;
    let environment = global.env.as_deref();
    if args.replay {
        let since_ms = World::real().clock.now_ms().saturating_sub(args.since.as_millis_i64());
        let (service, replay) = match &office {
            Office::Here(desk, project) => {
                let (service, _) = project.chosen(args.service.as_deref()).map_err(Failure::Usage)?;
                let told = |run: &_| {
                    if global.verbose > 0 {
                        note(&format!("judging {run} again"))
                    }
                };
                let replay = desk.judging()?.replay(desk, project, &service, since_ms, told).await?;
                (service, replay)
            }
            Office::There(remote) => remote.replay(args.service.as_deref(), environment, since_ms).await?,
        };
        return replayed(global, args.output, &service, &replay);
    }
    let ask = JudgeAsk { run: args.run.clone(), service: args.service.clone() };
    let (engine, looked) = match &office {
        Office::Here(desk, project) => {
            (asked_of(global, project).engine, desk.judging()?.on(desk, project, &ask).await?)
        }
        Office::There(remote) => (remote.url().to_owned(), remote.judge(&ask, environment).await?),
    };
    shown(global, args.output, &engine, &looked)
}

pub(crate) fn json(value: &impl serde::Serialize) {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    // A closed pipe is no error: whoever listened has seen enough.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Nobody answered: that is no verdict.
fn alone(unanswered: &[String]) -> Failure {
    let report = Report::new("the judge could not ask anybody");
    let report = unanswered.first().map(|why| report.clone().because(why.as_str())).unwrap_or(report);
    Failure::Broken(report.hint("start the engine with `apm up`, or name one by `judge: { prometheus: URL }`"))
}

fn shown(global: &Global, form: Form, engine: &str, looked: &Looked) -> Result<u8, Failure> {
    if looked.is_alone {
        return Err(alone(&looked.unanswered));
    }
    let verdict = &looked.verdict;
    if form == Form::Json {
        json(looked);
        return Ok(code(verdict.outcome));
    }
    lacking(global, &looked.degraded);
    let color = match verdict.outcome {
        Outcome::Pass => "32",
        Outcome::Fail => "31",
        Outcome::Continue | Outcome::Inconclusive => "33",
    };
    let text = verdict.render();
    let (sentence, rest) = text.split_once('\n').unwrap_or((&text, ""));
    say(global, &format!("{}\n{}", paint(global, color, sentence), rest.trim_end()));
    if !looked.charts.is_empty() {
        say(global, "charts:");
    }
    for chart in &looked.charts {
        say(global, &format!("  {}\n    {}", chart.label, paint(global, "2", &link(looked, engine, chart))));
    }
    Ok(code(verdict.outcome))
}

/// Where a person looks at it: the engine's page, or the Prometheus that was asked. A Loki has no page of its own.
fn link(looked: &Looked, engine: &str, chart: &Chart) -> String {
    let expression = escaped(&chart.expression);
    match (chart.language, &looked.prometheus, &looked.loki) {
        (Language::Promql, Some(prometheus), _) => {
            let range_s = chart.end_ms.saturating_sub(chart.start_ms).max(1_000) / 1_000;
            let base = prometheus.trim_end_matches('/');
            let end_s = chart.end_ms / 1_000;
            format!("{base}/graph?g0.expr={expression}&g0.tab=0&g0.range_input={range_s}s&g0.end_input={end_s}")
        }
        (Language::Logql, _, Some(_)) => chart.expression.clone(),
        (language, _, _) => {
            let page = if language == Language::Promql { "metrics" } else { "logs" };
            let engine = engine.trim_end_matches('/');
            format!("{engine}/ui/{page}?q={expression}&from={}&to={}", chart.start_ms, chart.end_ms)
        }
    }
}

/// As one value of a query (RFC 3986, §2.3).
fn escaped(text: &str) -> String {
    let one = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

fn replayed(global: &Global, form: Form, service: &str, replay: &Replay) -> Result<u8, Failure> {
    if replay.judged.is_empty() && !replay.unanswered.is_empty() {
        return Err(alone(&replay.unanswered));
    }
    if form == Form::Json {
        json(replay);
    } else {
        for line in table(service, replay) {
            say(global, &line);
        }
        lacking(global, &replay.degraded);
    }
    Ok(if replay.judged.is_empty() { 3 } else { 0 })
}

/// A line a release, the figures, and what could not be judged.
fn table(service: &str, replay: &Replay) -> Vec<String> {
    let mut lines = Vec::new();
    let wide = replay.judged.iter().map(|again| again.run.0.chars().count()).max().unwrap_or(0).max(3);
    if !replay.judged.is_empty() {
        lines.push(format!("{:<wide$}  {:<7}  {:<12}  {:>6}  {}", "run", "was", "judged", "after", "known because"));
    }
    for again in &replay.judged {
        let was = match again.was_bad {
            Some(true) => "bad",
            Some(false) => "good",
            None => "unknown",
        };
        let judged = match again.outcome {
            Outcome::Pass => "pass",
            Outcome::Fail => "fail",
            Outcome::Continue | Outcome::Inconclusive => "inconclusive",
        };
        let wrong = match (again.was_bad, again.outcome) {
            (Some(false), Outcome::Fail) => "; a false abort",
            (Some(true), outcome) if outcome != Outcome::Fail => "; a miss",
            _ => "",
        };
        let after_s = again.after_ms / 1_000;
        lines.push(format!("{:<wide$}  {was:<7}  {judged:<12}  {after_s:>4} s  {}{wrong}", again.run.0, again.how));
    }
    if replay.judged.is_empty() {
        lines.push(format!("no release of {service} could be judged again"));
    } else {
        lines.push(String::new());
        lines.push(replay.tally.render());
    }
    let count = |runs: usize, what: &str| match runs {
        0 => None,
        1 => Some(format!("1 run {what}")),
        runs => Some(format!("{runs} runs {what}")),
    };
    lines.extend(count(replay.gone.len(), "left out: no telemetry of that time is left"));
    lines.extend(count(replay.never_judged.len(), "left out: no judge was asked, or it has not ended"));
    lines
}

#[cfg(test)]
mod tests {
    use app_deploy::Again;
    use operate_execute::RunId;
    use operate_gate::{Ended, Tally};

    use super::*;

    fn again(run: &str, was_bad: Option<bool>, outcome: Outcome, after_ms: i64) -> Again {
        let (run, how) = (RunId(run.to_owned()), "it stayed".to_owned());
        Again { run, version: "2".into(), was_bad, how, outcome, after_ms, sentence: String::new() }
    }

    #[test]
    fn a_replay_names_what_the_judge_got_wrong() {
        let judged = vec![
            again("cart-2-a", Some(false), Outcome::Fail, 25_000),
            again("cart-3-b", Some(true), Outcome::Inconclusive, 300_000),
            again("cart-4-c", None, Outcome::Pass, 300_000),
        ];
        let ended = |one: &Again| Ended { was_bad: one.was_bad, outcome: one.outcome, after_ms: one.after_ms };
        let tally = Tally::of(&judged.iter().map(ended).collect::<Vec<_>>());
        let replay = Replay { judged, tally, gone: vec![RunId("cart-1-z".into())], ..Replay::default() };
        assert_eq!(
            table("cart", &replay),
            [
                "run       was      judged         after  known because",
                "cart-2-a  good     fail            25 s  it stayed; a false abort",
                "cart-3-b  bad      inconclusive   300 s  it stayed; a miss",
                "cart-4-c  unknown  pass           300 s  it stayed",
                "",
                "false aborts 1/1 (100.0 %), misses 1/1 (100.0 %), good but inconclusive 0, of 1 unknown 0 failed; median time to verdict 300 s, to a failure 0 s",
                "1 run left out: no telemetry of that time is left",
            ]
        );
    }

    #[test]
    fn a_chart_opens_where_it_was_asked() {
        let chart = Chart {
            label: String::new(),
            language: Language::Promql,
            expression: "up{a=\"b\"}".into(),
            start_ms: 1_000,
            end_ms: 61_000,
        };
        let looked = |prometheus: Option<&str>| -> Looked {
            let verdict = serde_json::json!({
                "outcome": "pass", "sentence": "", "metrics": [], "score": null, "layers": [], "hurt_since_ms": null,
                "hurt_ms": 0, "links": [], "notes": [], "at_ms": 0, "again_ms": null,
            });
            serde_json::from_value(serde_json::json!({
                "service": "cart", "environment": "dev", "version": null, "verdict": verdict, "charts": [],
                "unanswered": [], "is_alone": false, "prometheus": prometheus, "loki": null,
            }))
            .expect("a look")
        };
        let ours = "http://e:1/ui/metrics?q=up%7Ba%3D%22b%22%7D&from=1000&to=61000";
        assert_eq!(link(&looked(None), "http://e:1/", &chart), ours);
        let theirs = "http://p:9090/graph?g0.expr=up%7Ba%3D%22b%22%7D&g0.tab=0&g0.range_input=60s&g0.end_input=61";
        assert_eq!(link(&looked(Some("http://p:9090/")), "http://e:1", &chart), theirs);
    }
}
