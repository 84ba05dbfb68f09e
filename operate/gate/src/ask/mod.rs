//! What has to be asked before a verdict. Pure: the same release and time give the same questions. Knows no URL.
//!
//! Every question works on a real Prometheus and Loki as on our engine. Questions about the past depend on the release alone,
//! not on now: their answers can be kept for the whole bake.

mod budget;
mod query;

use serde::{Deserialize, Serialize};

use crate::duration;
use crate::settings::Settings;
use crate::subject::Subject;

pub use budget::{question_alertmanager, questions_before};
use query::Selector;
pub(crate) use query::{escaped, quoted};

const DAY_MS: i64 = 86_400_000;
/// Points of one question; more and the windows become longer than asked.
const POINTS_MAX: i64 = 2000;
const LINES_MAX: usize = 2000;

/// What counts as an error among log lines; levels are written in too many ways to ask for one label.
const ERROR_LINES: &str =
    r#"|~ "(?i)\\b(error|err|exception|fatal|panic|panicked|critical|traceback|segfault|unhandled)\\b""#;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// `/api/v1/query_range`; when `start_ms == end_ms` as well `/api/v1/query`.
    Promql,
    /// `/loki/api/v1/query_range`, backwards.
    Logql,
    /// `/api/v2/alerts` of an Alertmanager: those that fire and that nobody silenced; each is a series of one point that is 1.
    Alertmanager,
    /// `/api/traces` of a Jaeger; the expression is an object of strings: `service`, and the tags that a span or its resource has. Each trace is a
    /// series with the label `operation`, and each of its spans that have the tags a point, where it began, that is 1.
    Jaeger,
}

/// One thing to ask.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Question {
    /// Key of its answer in [`crate::Evidence`].
    pub id: String,
    /// For a link to the chart.
    pub label: String,
    pub language: Language,
    pub expression: String,
    pub start_ms: i64,
    pub end_ms: i64,
    /// 0 for lines.
    pub step_ms: i64,
    /// Lines wanted at most; 0 for series.
    pub limit: usize,
}

/// A stretch of time, and whose series count in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    /// Since the release: the new version, or everything when it cannot be told apart.
    New,
    /// Since the release, the old version beside it.
    Old,
    /// Since the release, whatever version: shows whether the labels tell them apart.
    All,
    /// Just before the release.
    Before,
    /// So many days earlier: both what was just before, and the bake.
    Day(u16),
}

impl Period {
    pub(crate) fn id(self, family: &str) -> String {
        match self {
            Period::New => format!("{family}.new"),
            Period::Old => format!("{family}.old"),
            Period::All => format!("{family}.all"),
            Period::Before => format!("{family}.before"),
            Period::Day(days) => format!("{family}.day{days}"),
        }
    }

    fn label(self, what: &str) -> String {
        match self {
            Period::New => format!("{what} since the release"),
            Period::Old => format!("{what} of the old version"),
            Period::All => format!("{what} of all versions"),
            Period::Before => format!("{what} before the release"),
            Period::Day(1) => format!("{what} a day before"),
            Period::Day(days) => format!("{what} {days} days before"),
        }
    }

    /// First and last evaluation time; `None` while there is no whole window.
    pub(crate) fn range_ms(self, subject: &Subject, settings: &Settings, now_ms: i64) -> Option<(i64, i64)> {
        let (step, past, bake) = (settings.step_ms(), duration::ms(settings.past), duration::ms(settings.bake));
        let released = subject.released_ms;
        let whole = |from: i64, to: i64| {
            let windows = (to.saturating_sub(from) / step).min(POINTS_MAX);
            (windows >= 1).then(|| (to - (windows - 1) * step, to))
        };
        match self {
            // Counted back from now, so that the newest window is always whole.
            Period::New | Period::Old | Period::All => whole(released, now_ms),
            Period::Before => whole(released.saturating_sub(past), released),
            Period::Day(days) => {
                let then = released.saturating_sub(i64::from(days) * DAY_MS);
                whole(then.saturating_sub(past), then.saturating_add(bake))
            }
        }
    }
}

/// The days that are worth asking for.
pub(crate) fn days<'a>(subject: &'a Subject, settings: &'a Settings) -> impl Iterator<Item = Period> + 'a {
    let known_since = subject.known_since_ms.unwrap_or(i64::MIN);
    let worth = move |days: &u16| subject.released_ms.saturating_sub(i64::from(*days) * DAY_MS) > known_since;
    settings.days_back.iter().copied().filter(worth).map(Period::Day)
}

/// All that [`crate::judge`] wants to know at `now_ms`. Empty while no window is whole.
pub fn questions(subject: &Subject, settings: &Settings, now_ms: i64) -> Vec<Question> {
    let mut asked = Asked { subject, settings, now_ms, questions: Vec::new() };
    let beside: &[Period] = if subject.side_by_side { &[Period::Old, Period::All] } else { &[] };
    let past: Vec<Period> = [Period::Before].into_iter().chain(days(subject, settings)).collect();
    for period in [Period::New].iter().chain(beside).chain(&past).copied() {
        asked.service(period);
    }
    for period in [Period::New, Period::Before] {
        asked.containers(period);
        asked.hosts(period);
        asked.lines(period);
        asked.checks(period);
    }
    asked.questions
}

struct Asked<'a> {
    subject: &'a Subject,
    settings: &'a Settings,
    now_ms: i64,
    questions: Vec<Question>,
}

impl Asked<'_> {
    fn promql(&mut self, period: Period, family: &str, what: &str, expression: String) {
        let Some((start_ms, end_ms)) = period.range_ms(self.subject, self.settings, self.now_ms) else { return };
        self.questions.push(Question {
            id: period.id(family),
            label: period.label(what),
            language: Language::Promql,
            expression,
            start_ms,
            end_ms,
            step_ms: self.settings.step_ms(),
            limit: 0,
        });
    }

    /// Longer than a window by one scrape: each increment between two scrapes then falls into one window, and none between.
    fn range(&self) -> String {
        duration::written(self.settings.step_ms() + duration::ms(self.settings.interval))
    }

    fn service(&mut self, period: Period) {
        let side = match period {
            Period::New if self.subject.side_by_side => Some(&self.subject.new),
            Period::Old => Some(&self.subject.old),
            _ => None,
        };
        let (names, range) = (&self.settings.names, self.range());
        let selector = query::spans(self.subject, names, side);
        let calls = format!("sum by (status_code) (rate({}{selector}[{range}]))", names.calls);
        let latency = format!("sum by (le) (rate({}{selector}[{range}]))", names.latency_bucket);
        self.promql(period, "calls", "requests and errors", calls);
        self.promql(period, "latency", "latency", latency);
    }

    /// What cAdvisor tells, and of processes what the client libraries do.
    fn containers(&mut self, period: Period) {
        let side = if period == Period::New { &self.subject.new } else { &self.subject.old };
        let range = self.range();
        let names = &self.settings.names;
        if !side.containers.is_empty() {
            let one = Selector::default().any_of(&names.container_label, &side.containers);
            let one = query::with_matchers(one, self.subject);
            let cpu = format!(
                "sum(rate(container_cpu_usage_seconds_total{one}[{range}])) / sum(container_spec_cpu_quota{one} / container_spec_cpu_period{one})"
            );
            let memory =
                format!("max(container_memory_working_set_bytes{one} / (container_spec_memory_limit_bytes{one} > 0))");
            self.promql(period, "cpu", "share of the CPU limit", cpu);
            self.promql(period, "memory", "share of the memory limit", memory);
        }
        let processes = query::processes(self.subject, names);
        let changes = format!("sum(changes(process_start_time_seconds{processes}[{range}]))");
        let restarts = match side.containers.is_empty() {
            true => changes,
            false => {
                let one = Selector::default().any_of(&names.container_label, &side.containers);
                let one = query::with_matchers(one, self.subject);
                format!("sum(changes(container_start_time_seconds{one}[{range}])) or {changes}")
            }
        };
        self.promql(period, "restarts", "restarts", restarts);
    }

    fn hosts(&mut self, period: Period) {
        let range = self.range();
        let of =
            |selector: Selector| query::with_matchers(selector.any_of("instance", &self.subject.hosts), self.subject);
        let host = of(Selector::default());
        let idle = of(Selector::default().is("mode", "idle"));
        let real = of(Selector::default().unlike("fstype", "tmpfs|overlay|squashfs|ramfs"));
        let cpu = format!("max(1 - avg by (instance) (rate(node_cpu_seconds_total{idle}[{range}])))");
        let memory = format!("max(1 - node_memory_MemAvailable_bytes{host} / node_memory_MemTotal_bytes{host})");
        let disk = format!("max(1 - node_filesystem_avail_bytes{real} / node_filesystem_size_bytes{real})");
        self.promql(period, "host_cpu", "host CPU in use", cpu);
        self.promql(period, "host_memory", "host memory in use", memory);
        self.promql(period, "host_disk", "fullest file system", disk);
    }

    fn lines(&mut self, period: Period) {
        let past = duration::ms(self.settings.past);
        let (start_ms, end_ms) = match period {
            Period::New => (self.subject.released_ms, self.now_ms),
            _ => (self.subject.released_ms.saturating_sub(past), self.subject.released_ms),
        };
        if end_ms <= start_ms {
            return;
        }
        let stream = query::stream(self.subject, &self.settings.names);
        self.questions.push(Question {
            id: period.id("lines"),
            label: period.label("error lines"),
            language: Language::Logql,
            expression: format!("{stream} {ERROR_LINES}"),
            start_ms,
            end_ms,
            step_ms: 0,
            limit: LINES_MAX,
        });
    }

    fn checks(&mut self, period: Period) {
        for check in &self.subject.checks {
            let Some(expression) = &check.promql else { continue };
            // With bounds of its own it needs no past.
            if period == Period::New || (check.max.is_none() && check.min.is_none()) {
                self.promql(period, &check.id(), check.label(), expression.clone());
            }
        }
    }
}
