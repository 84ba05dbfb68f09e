//! What all metrics need: the release, the answers sorted into windows, and where in the bake we are. Judges nothing.

use super::compare::{Difference, against_past, beside};
use super::measure::Statistic;
use super::past::{self, Past};
use super::windows::{Track, Tracks, Window};
use crate::ask::{Period, days};
use crate::duration;
use crate::evidence::Evidence;
use crate::settings::{Metric, Settings};
use crate::subject::Subject;
use crate::verdict::{Judged, Mark};

/// So long after the release it is looked at every …
const FIRST_MS: i64 = 60_000;
const LOOK_FIRST_MS: i64 = 5000;
/// … and after that every so often.
const LOOK_MS: i64 = 10_000;

pub(super) struct Bench<'a> {
    pub(super) subject: &'a Subject,
    pub(super) settings: &'a Settings,
    pub(super) evidence: &'a Evidence,
    pub(super) now_ms: i64,
    pub(super) tracks: Tracks,
    pub(super) days: Vec<Period>,
    /// The old version serves beside the new one, and their series can be told apart.
    pub(super) beside: bool,
    /// They should have been told apart, and could not.
    pub(super) mixed: bool,
}

impl<'a> Bench<'a> {
    pub(super) fn new(subject: &'a Subject, settings: &'a Settings, evidence: &'a Evidence, now_ms: i64) -> Self {
        let days: Vec<Period> = days(subject, settings).collect();
        let mut periods = vec![Period::New, Period::Old, Period::All, Period::Before];
        periods.extend(&days);
        let nan = settings.rule(Metric::ErrorRate).nan_strategy;
        let tracks = Tracks::read(evidence, &periods, settings.step_ms(), nan);
        let seen = |period| tracks.of(period).seen;
        // Without a label that differs, both questions would get the same series, and nothing would ever look worse.
        let told = subject.new.tells() && subject.old.tells() && subject.new != subject.old;
        let mixed = subject.side_by_side && (!told || seen(Period::All) && !seen(Period::New) && !seen(Period::Old));
        let beside = subject.side_by_side && told && seen(Period::New) && seen(Period::Old);
        Bench { subject, settings, evidence, now_ms, tracks, days, beside, mixed }
    }

    pub(super) fn elapsed_ms(&self) -> i64 {
        self.now_ms.saturating_sub(self.subject.released_ms).max(0)
    }

    pub(super) fn is_over(&self) -> bool {
        self.elapsed_ms() >= duration::ms(self.settings.bake)
    }

    /// Until the next look: often at first, when what is broken is quickly undone; never more often than there is something
    /// new to see, and the last at the end of the bake.
    pub(super) fn again_ms(&self) -> i64 {
        let usual = if self.elapsed_ms() < FIRST_MS { LOOK_FIRST_MS } else { LOOK_MS };
        let left = duration::ms(self.settings.bake).saturating_sub(self.elapsed_ms());
        usual.max(duration::ms(self.settings.interval)).min(left).max(1)
    }

    /// The series that stand for the new version.
    pub(super) fn new_period(&self) -> Period {
        if self.mixed { Period::All } else { Period::New }
    }

    pub(super) fn new_track(&self) -> &Track {
        self.tracks.of(self.new_period())
    }

    /// The new version's windows that begin so long after the release or later.
    pub(super) fn windows_from(&self, after_ms: i64) -> &[Window] {
        let windows = &self.new_track().windows;
        let from = self.subject.released_ms.saturating_add(after_ms).saturating_add(self.settings.step_ms());
        windows.get(windows.partition_point(|window| window.end_ms < from)..).unwrap_or_default()
    }

    /// What a statistic is held against; `typical`: without windows that stand out.
    pub(super) fn past(&self, statistic: Statistic, typical: bool) -> Past<'_> {
        let before: Vec<&Window> = self.tracks.of(Period::Before).windows.iter().collect();
        let days = if self.is_beside(statistic) { &[] } else { self.days.as_slice() };
        let both = |(before, after)| (chosen(statistic, before, typical), chosen(statistic, after, typical));
        let days: Vec<_> = days.iter().map(|day| both(self.day(*day))).collect();
        Past::new(statistic, typical, &before, &days, &self.tracks.bounds)
    }

    /// Side by side, whoever shifts the traffic decides how many requests each gets.
    fn is_beside(&self, statistic: Statistic) -> bool {
        self.beside && statistic != Statistic::Requests
    }

    /// These windows of the new version against the old one, or against the past.
    pub(super) fn compare(&self, statistic: Statistic, new: &[&Window], past: &Past<'_>) -> Option<Difference> {
        let bounds = &self.tracks.bounds;
        if self.is_beside(statistic) {
            let first = new.first().map_or(i64::MIN, |window| window.end_ms);
            let old = &self.tracks.of(Period::Old).windows;
            let old = old.get(old.partition_point(|window| window.end_ms < first)..).unwrap_or_default();
            // What stands out in the old version is the world's doing: it is taken from both.
            let kept = chosen(statistic, old, past.typical);
            let is_kept = |window: &&&Window| !past.typical || kept.iter().any(|other| other.end_ms == window.end_ms);
            let new: Vec<&Window> = new.iter().filter(is_kept).copied().collect();
            return beside(statistic, &new, &kept, past, bounds);
        }
        if past.typical {
            // When too much stands out today to be taken away, there is nothing to hold against a past without it.
            return against_past(statistic, &past::typical(statistic, new, Some(past.spread))?, past, bounds);
        }
        against_past(statistic, new, past, bounds)
    }

    /// A day's windows up to the hour of the release, and from it on.
    fn day(&self, day: Period) -> (&[Window], &[Window]) {
        let windows = &self.tracks.of(day).windows;
        let Period::Day(days) = day else { return (windows, &[]) };
        let then = self.subject.released_ms.saturating_sub(i64::from(days) * 86_400_000);
        windows.split_at(windows.partition_point(|window| window.end_ms <= then))
    }

    /// Requests a second since the release.
    pub(super) fn traffic(&self) -> f64 {
        let windows = &self.new_track().windows;
        let seconds = windows.len() as f64 * self.settings.step_ms() as f64 / 1000.0;
        if seconds > 0.0 { windows.iter().map(|window| window.requests).sum::<f64>() / seconds } else { 0.0 }
    }

    /// Questions of a family that the comparison used.
    pub(super) fn used(&self, family: &str) -> Vec<String> {
        let other = if self.beside { vec![Period::Old] } else { self.days.clone() };
        [self.new_period(), Period::Before].into_iter().chain(other).map(|period| period.id(family)).collect()
    }

    /// It was asked, and there is no past: nothing of the service was ever seen.
    pub(super) fn is_first(&self) -> bool {
        let empty = |period: &Period| {
            let track = self.tracks.of(*period);
            !track.seen && track.unknown.is_none()
        };
        !self.subject.side_by_side && empty(&Period::Before) && self.days.iter().all(empty)
    }

    /// Nobody knows of it what has to be known before a release passes.
    pub(super) fn is_open(&self, judged: &Judged) -> bool {
        let rule = METRICS.iter().find(|metric| metric.name() == judged.name).map(|metric| self.settings.rule(*metric));
        match judged.outcome {
            Mark::Unsure | Mark::Unknown => judged.critical,
            // Of a first release only its errors can be known.
            Mark::NoData if self.is_first() => judged.name == Metric::ErrorRate.name(),
            Mark::NoData => rule.is_some_and(|rule| rule.must_have_data),
            Mark::Pass | Mark::High | Mark::Low => false,
        }
    }

    pub(super) fn notes(&self, metrics: &[Judged]) -> Vec<String> {
        let mut notes = Vec::new();
        if self.mixed {
            notes.push(format!(
                "old and new version serve at once, but no series tells them apart (`{}` or `{}`): judged together against their past",
                self.settings.names.version_label, self.settings.names.instance_label
            ));
        }
        if !self.beside && !self.days.iter().any(|day| self.tracks.of(*day).seen) {
            notes.push("no data of earlier days: a season could not be told from the release".into());
        }
        let failed = metrics.iter().filter(|metric| metric.outcome == Mark::Unknown);
        notes.extend(failed.map(|metric| format!("{} is unknown: {}", metric.name, metric.note)));
        notes
    }
}

fn chosen(statistic: Statistic, windows: &[Window], typical: bool) -> Vec<&Window> {
    let all: Vec<&Window> = windows.iter().collect();
    if typical { past::typical(statistic, &all, None).unwrap_or(all) } else { all }
}

pub(super) const METRICS: [Metric; 12] = [
    Metric::ErrorRate,
    Metric::LatencyP50,
    Metric::LatencyP95,
    Metric::LatencyP99,
    Metric::Throughput,
    Metric::LogErrors,
    Metric::Restarts,
    Metric::Cpu,
    Metric::Memory,
    Metric::HostCpu,
    Metric::HostMemory,
    Metric::HostDisk,
];
