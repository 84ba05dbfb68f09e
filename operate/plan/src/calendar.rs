//! When changes may be made: windows in which they may, freezes in which they may not, and the step of a plan that waits for it. Pure: the
//! moment is handed in, and time zones are those that were compiled in, so a plan says the same on every machine. It does not wait itself.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use jiff::civil::{Date, Time};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan, Zoned};
use serde::{Deserialize, Serialize};

use crate::{Draft, Step, StepId, Work};

/// No changes from … to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Unix milliseconds.
    pub from_ms: i64,
    pub to_ms: i64,
    pub reason: String,
    /// Empty: all.
    #[serde(default)]
    pub environments: Vec<String>,
}

/// Changes on these days within these hours; written `{ days: mon-thu, hours: 09:00-16:00, zone: Europe/Berlin, environments: [prod] }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Window {
    /// From Monday on.
    days: [bool; 7],
    /// As written: `mon-thu`.
    days_text: String,
    /// Minutes of the day; an end before its begin is on the next day.
    from_min: u16,
    to_min: u16,
    zone: String,
    /// Empty: all.
    environments: Vec<String>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default = "every_day")]
    days: String,
    #[serde(default = "all_day")]
    hours: String,
    #[serde(default = "utc")]
    zone: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    environments: Vec<String>,
}

fn every_day() -> String {
    "mon-sun".to_owned()
}

fn all_day() -> String {
    "00:00-24:00".to_owned()
}

fn utc() -> String {
    "UTC".to_owned()
}

/// The zones that were compiled in: a plan must not depend on what a machine has installed.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// What holds for one environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calendar {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Freeze>,
    /// With any, changes are made within one of them only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
}

/// Whether changes may be made at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    Yes,
    No {
        /// When that is over, milliseconds since 1970; something else may forbid it then. `None`: no end is in sight.
        until_ms: Option<i64>,
        /// For people, with the end in the zone of whoever set it: `changes are frozen until 2026-11-28 08:00 UTC: black friday`.
        why: String,
    },
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Windows come again each week; the next one after a clock change is at most so far.
const DAYS_AHEAD_MAX: i32 = 15;

impl Calendar {
    /// What of it concerns an environment from `now_ms` on.
    pub fn of(&self, environment: &str, now_ms: i64) -> Calendar {
        let here =
            |environments: &Vec<String>| environments.is_empty() || environments.iter().any(|e| e == environment);
        let freezes = self.freezes.iter().filter(|freeze| here(&freeze.environments) && now_ms < freeze.to_ms);
        let windows = self.windows.iter().filter(|window| here(&window.environments));
        Calendar { freezes: freezes.cloned().collect(), windows: windows.cloned().collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.freezes.is_empty() && self.windows.is_empty()
    }

    /// Whether changes may be made at `now_ms`. A freeze forbids what a window allows.
    pub fn at(&self, now_ms: i64) -> Allowed {
        let holds = |freeze: &&Freeze| freeze.from_ms <= now_ms && now_ms < freeze.to_ms;
        if let Some(freeze) = self.freezes.iter().filter(holds).max_by_key(|freeze| freeze.to_ms) {
            let until = said(freeze.to_ms, &TimeZone::UTC);
            let why = format!("changes are frozen until {until}: {}", freeze.reason);
            return Allowed::No { until_ms: Some(freeze.to_ms), why };
        }
        if self.windows.is_empty() || self.windows.iter().any(|window| window.holds(now_ms)) {
            return Allowed::Yes;
        }
        let next = self.windows.iter().filter_map(|window| Some((window.opens(now_ms)?, window)));
        let next = next.min_by_key(|(opens_ms, _)| *opens_ms);
        let all: Vec<String> = self.windows.iter().map(ToString::to_string).collect();
        let all = all.join(", or ");
        match next {
            Some((opens_ms, window)) => {
                let why = format!("changes are made {all}, next from {} on", said(opens_ms, &window.zone()));
                Allowed::No { until_ms: Some(opens_ms), why }
            }
            None => Allowed::No { until_ms: None, why: format!("changes are made {all}, and that does not come") },
        }
    }
}

/// `2026-11-28 08:00 UTC`.
fn said(at_ms: i64, zone: &TimeZone) -> String {
    match Timestamp::from_millisecond(at_ms) {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string(),
        Err(_) => "the end of time".to_owned(),
    }
}

impl Window {
    fn zone(&self) -> TimeZone {
        // Looked up once already when it was read.
        ZONES.get(&self.zone).unwrap_or(TimeZone::UTC)
    }

    /// Begin and end of the window that begins on a day; none on days without one.
    fn on(&self, date: Date, zone: &TimeZone) -> Option<(Zoned, Zoned)> {
        let weekday = usize::try_from(date.weekday().to_monday_zero_offset()).ok()?;
        if !self.days.get(weekday).copied().unwrap_or(false) {
            return None;
        }
        let at = |minutes: u16| {
            let (date, minutes) =
                if minutes >= DAY_MIN { (date.tomorrow().ok()?, minutes - DAY_MIN) } else { (date, minutes) };
            let time = Time::new(i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0).ok()?;
            date.to_datetime(time).to_zoned(zone.clone()).ok()
        };
        let to_min = if self.to_min <= self.from_min { self.to_min + DAY_MIN } else { self.to_min };
        Some((at(self.from_min)?, at(to_min)?))
    }

    fn spans(&self, now_ms: i64) -> impl Iterator<Item = (i64, i64)> {
        let zone = self.zone();
        let today = Timestamp::from_millisecond(now_ms).ok().map(|now| now.to_zoned(zone.clone()).date());
        (-1..=DAYS_AHEAD_MAX).filter_map(move |ahead| {
            let (from, to) = self.on(today?.checked_add(ahead.days()).ok()?, &zone)?;
            Some((from.timestamp().as_millisecond(), to.timestamp().as_millisecond()))
        })
    }

    fn holds(&self, now_ms: i64) -> bool {
        self.spans(now_ms).any(|(from_ms, to_ms)| from_ms <= now_ms && now_ms < to_ms)
    }

    /// When it begins the next time.
    fn opens(&self, now_ms: i64) -> Option<i64> {
        self.spans(now_ms)
            .filter(|(from_ms, to_ms)| from_ms < to_ms && *from_ms > now_ms)
            .map(|(from_ms, _)| from_ms)
            .min()
    }
}

impl fmt::Display for Window {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.days_text, hours(self.from_min, self.to_min), self.zone)
    }
}

const DAY_MIN: u16 = 24 * 60;

fn hours(from_min: u16, to_min: u16) -> String {
    format!("{:02}:{:02}-{:02}:{:02}", from_min / 60, from_min % 60, to_min / 60, to_min % 60)
}

impl TryFrom<Written> for Window {
    type Error = String;

    fn try_from(written: Written) -> Result<Window, String> {
        let day = |word: &str| {
            let found = DAYS.iter().position(|day| *day == word.trim());
            found
                .ok_or_else(|| format!("`{}` is no day: write `mon`, `tue`, … `sun`, as in `mon-thu,sat`", word.trim()))
        };
        let mut days = [false; 7];
        for part in written.days.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (day(first)?, day(last)?),
                None => (day(part)?, day(part)?),
            };
            // `fri-mon` goes over the week's end.
            let long = (last + 7 - first) % 7;
            (first..=first + long).filter_map(|at| days.get_mut(at % 7).map(|day| *day = true)).count();
        }
        let minutes = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            let (hour, minute) = (two(hour)?, two(minute)?);
            (minute < 60 && hour * 60 + minute <= DAY_MIN).then_some(hour * 60 + minute)
        };
        let read = written.hours.split_once('-').and_then(|(from, to)| Some((minutes(from)?, minutes(to)?)));
        let (from_min, to_min) = read.filter(|(from, to)| from != to && *from < DAY_MIN).ok_or_else(|| {
            format!("`{}` are no hours: write `09:00-16:00`, or `22:00-04:00` over midnight", written.hours)
        })?;
        ZONES.get(&written.zone).map_err(|_| {
            format!("`{}` is no time zone: write one of the tz database, as `Europe/Berlin` or `UTC`", written.zone)
        })?;
        let Written { days: days_text, zone, environments, .. } = written;
        Ok(Window { days, days_text, from_min, to_min, zone, environments })
    }
}

/// Two digits.
fn two(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
}

impl From<Window> for Written {
    fn from(window: Window) -> Written {
        let hours = hours(window.from_min, window.to_min);
        Written { days: window.days_text, hours, zone: window.zone, environments: window.environments }
    }
}

/// The id of the step that waits.
pub const WINDOW: &str = "window";

/// Puts a step before the first changes of a plan that waits until they may be made. What only prepares (images, networks) is not held up. A
/// calendar that says nothing, and a plan that changes nothing, stay as they are.
pub fn hold(draft: &mut Draft, calendar: &Calendar) {
    let changes = |step: &&Step| matches!(step.work, Work::Act(_)) && step.stage != "preparing";
    let changing: BTreeSet<StepId> = draft.steps.iter().filter(changes).map(|step| step.id.clone()).collect();
    if calendar.is_empty() || changing.is_empty() {
        return;
    }
    let mut later: BTreeSet<StepId> = BTreeSet::new();
    // Steps after a change, near or far; a plan's steps are few.
    for _ in &draft.steps {
        for step in &draft.steps {
            if step.after.iter().any(|before| changing.contains(before) || later.contains(before)) {
                later.insert(step.id.clone());
            }
        }
    }
    let is_first = |step: &Step| changing.contains(&step.id) && !later.contains(&step.id);
    let mut wait = Step::new(WINDOW, "wait until changes may be made", Work::Window(calendar.clone()));
    wait.reason = "changes are made within `windows`, and not within `freezes`".to_owned();
    "preparing".clone_into(&mut wait.stage);
    let Some(position) = draft.steps.iter().position(is_first) else { return };
    for step in draft.steps.iter_mut().filter(|step| changing.contains(&step.id) && !later.contains(&step.id)) {
        wait.component.clone_from(&step.component);
        for before in std::mem::replace(&mut step.after, vec![wait.id.clone()]) {
            if !wait.after.contains(&before) {
                wait.after.push(before);
            }
        }
    }
    draft.steps.insert(position, wait);
}

impl Calendar {
    /// Its rules in one line each, for a plan that is printed.
    pub(crate) fn lines(&self) -> Vec<String> {
        let windows = self.windows.iter().map(|window| format!("within {window}"));
        let freezes = self.freezes.iter().map(|freeze| {
            let (from, to) = (said(freeze.from_ms, &TimeZone::UTC), said(freeze.to_ms, &TimeZone::UTC));
            format!("not from {from} to {to}: {}", freeze.reason)
        });
        windows.chain(freezes).collect()
    }
}

#[cfg(test)]
mod tests;
