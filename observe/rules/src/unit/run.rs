//! Carries unit tests out: loads, evaluates through time, looks. What is compared with what is `expect`'s.

use base_signal::{Labels, TenantId};
use base_world::sim::SimClock;
use observe_promql::Engine;
use observe_querytest::Point;
use observe_source::{Budget, Cancel, MetricWrite};

use super::bench::Bench;
use super::file::{AlertCase, Test, TestFile};
use super::{Failure, Report, Rules, expect};
use crate::ask::Over;
use crate::group::{Group, Settings};
use crate::state::{AlertState, Health, OfRule};

/// Of one expression.
const MEMORY_BYTES_MAX: u64 = 1 << 30;
/// The most evaluations of one test: a longer one is a mistake.
const STEPS_MAX: i64 = 1_000_000;

impl TestFile {
    /// Runs all tests over these rules.
    pub fn run(&self, rules: &[Rules<'_>]) -> Report {
        let mut report = Report::default();
        for test in &self.tests {
            Run::new(self, test, rules).carry_out(&mut report);
        }
        report
    }
}

struct Run<'t> {
    file: &'t TestFile,
    test: &'t Test,
    settings: Settings,
    groups: Vec<Group>,
    bench: Bench,
    /// How many values of every series are loaded.
    loaded: usize,
}

impl<'t> Run<'t> {
    fn new(file: &'t TestFile, test: &'t Test, rules: &[Rules<'_>]) -> Self {
        let settings = Settings {
            engine: Engine { subquery_step_ms: file.interval_ms, ..Engine::default() },
            interval_ms: test.interval_ms,
            external_labels: Labels::from_pairs(test.external_labels.clone()),
            external_url: test.external_url.clone(),
            ..Settings::default()
        };
        let of_file = |rules: &Rules<'_>| {
            let made = rules.file.groups.iter().map(|spec| Group::new(rules.path, spec.clone(), &settings, true));
            made.collect::<Vec<_>>()
        };
        let mut groups: Vec<Group> = rules.iter().flat_map(of_file).collect();
        groups.sort_by_key(|group| file.group_order.iter().position(|name| name == group.name()).unwrap_or(0));
        Run { file, test, settings, groups, bench: Bench::default(), loaded: 0 }
    }

    fn failure(&self, line: usize, about: String, want: String, got: String) -> Failure {
        Failure { line, test: self.test.name.clone(), about, want, got }
    }

    fn carry_out(mut self, report: &mut Report) {
        let (test, step_ms) = (self.test, self.file.interval_ms);
        let times = test.alerts.iter().map(|case| case.at_ms).chain(test.exprs.iter().map(|case| case.at_ms));
        let end_ms = times.max().unwrap_or(0);
        if end_ms / step_ms > STEPS_MAX {
            let got = format!("more than {STEPS_MAX} evaluations");
            report.failures.push(self.failure(test.line, "evaluation".to_owned(), String::new(), got));
            return;
        }
        let mut cases: Vec<&AlertCase> = test.alerts.iter().collect();
        cases.sort_by_key(|case| case.at_ms);
        let mut cases = cases.into_iter().peekable();
        for since_ms in (0..=end_ms).step_by(usize::try_from(step_ms).unwrap_or(1)) {
            self.load_until(since_ms);
            let errors = self.evaluate(since_ms);
            if !errors.is_empty() {
                // What comes behind a rule that fails says nothing.
                report.failures.extend(errors);
                return;
            }
            // What is asked between two evaluations is answered by the one before.
            while let Some(case) = cases.next_if(|case| case.at_ms < since_ms + step_ms) {
                self.judge_alerts(case, report);
            }
        }
        self.load_until(i64::MAX);
        self.judge_exprs(report);
    }

    /// Loads what comes up to this time since the start.
    fn load_until(&mut self, since_ms: i64) {
        let wanted = usize::try_from(since_ms / self.test.interval_ms).unwrap_or(0).saturating_add(1);
        let mut write = MetricWrite::default();
        for (labels, values) in &self.test.series {
            let series = write.series.push_set(labels.as_ref());
            for (at, item) in values.iter().enumerate().take(wanted).skip(self.loaded) {
                let time_ms = self.test.start_ms + at as i64 * self.test.interval_ms;
                match item.as_ref().map(|item| &item.point) {
                    Some(Point::Float(value)) => write.samples.push((series, time_ms, *value)),
                    Some(Point::Histogram(histogram)) => write.histograms.push((series, time_ms, histogram.clone())),
                    None => {}
                }
            }
        }
        self.loaded = wanted;
        self.bench.append(write);
    }

    fn evaluate(&mut self, since_ms: i64) -> Vec<Failure> {
        let at_ms = self.test.start_ms + since_ms;
        let (tenant, budget, cancel) = (TenantId::default(), Budget::new(MEMORY_BYTES_MAX), Cancel::default());
        let clock = SimClock::at_ms(at_ms);
        let over = Over { source: &self.bench, tenant: &tenant, budget: &budget, cancel: &cancel, clock: &clock };
        let mut failures = Vec::new();
        for group in &mut self.groups {
            let bench = &self.bench;
            group.evaluate(at_ms, &self.settings, &over, &mut |write| Ok(bench.append(write)));
            for rule in group.told().rules {
                if let Health::Bad(why) = rule.health {
                    failures.push((rule.name, why));
                }
            }
        }
        let time = expect::duration(since_ms);
        let told = |(name, why)| self.failure(self.test.line, format!("rule {name} at {time}"), String::new(), why);
        failures.into_iter().map(told).collect()
    }

    fn judge_alerts(&self, case: &AlertCase, report: &mut Report) {
        let mut got = Vec::new();
        let rules = self.groups.iter().flat_map(|group| group.told().rules);
        for rule in rules.filter(|rule| rule.name == case.name) {
            let OfRule::Alerting { alerts, .. } = rule.of else { continue };
            for alert in alerts.into_iter().filter(|alert| alert.state == AlertState::Firing) {
                let labels = alert.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                got.push((labels, alert.annotations));
            }
        }
        match expect::alerts(&case.expected, got) {
            Ok(()) => report.passed += 1,
            Err((want, got)) => {
                let about = format!("alert {} at {}", case.name, expect::duration(case.at_ms));
                report.failures.push(self.failure(case.line, about, want, got));
            }
        }
    }

    fn judge_exprs(&self, report: &mut Report) {
        let (tenant, budget, cancel) = (TenantId::default(), Budget::new(MEMORY_BYTES_MAX), Cancel::default());
        let clock = SimClock::at_ms(0);
        let over = Over { source: &self.bench, tenant: &tenant, budget: &budget, cancel: &cancel, clock: &clock };
        for case in &self.test.exprs {
            let about = || format!("{} at {}", case.expr, expect::duration(case.at_ms));
            let outcome = match over.ask(&self.settings.engine, &case.expr, self.test.start_ms + case.at_ms) {
                Ok(found) => expect::samples(&case.expected, &found, self.file.fuzzy),
                Err(why) => Err((expect::show_samples(&case.expected), why)),
            };
            match outcome {
                Ok(()) => report.passed += 1,
                Err((want, got)) => report.failures.push(self.failure(case.line, about(), want, got)),
            }
        }
    }
}
