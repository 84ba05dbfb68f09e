//! What became of the releases of a history, in few words each: for the engine's own metrics, for the figures of the API and for DORA's
//! keys. It is kept up by reading what is new; a journal is read once, when its run is over. It judges nothing.

use std::collections::{BTreeMap, BTreeSet};

use operate_execute::{Filter, Ruling, RunId, RunRow, State, Status};
use operate_plan::{Dora, Failed, Plan, Reached, Work, dora};

use crate::{Desk, DeskError};

/// The newest so many; older ones count nowhere.
const RUNS_MAX: usize = 2_000;
const PAGE: usize = 200;

/// One run that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub run: RunId,
    pub service: String,
    pub environment: String,
    pub version: String,
    pub version_before: String,
    pub strategy: String,
    pub status: Status,
    pub created_ms: i64,
    pub ended_ms: i64,
    /// From the first executor to the end, without the time that people took to answer.
    pub took_ms: u64,
    /// Since when people were hurt, where the judge said so.
    pub hurt_since_ms: Option<i64>,
    /// When its first change was begun; `None`: nothing was changed before it was over.
    pub changed_ms: Option<i64>,
    /// When its image was built, where it says so.
    pub built_ms: Option<i64>,
}

impl Told {
    fn of(row: &RunRow, plan: &Plan, state: &State) -> Option<Told> {
        let label = |name: &str| row.labels.get(name).cloned().unwrap_or_default();
        let ended_ms = row.ended_ms?;
        let steps = || plan.steps.iter().map(|step| (step, state.step(&step.id)));
        let hurt = |ruling: Option<Ruling>| match ruling {
            Some(Ruling::Fail { hurt_since_ms, .. }) => hurt_since_ms,
            _ => None,
        };
        let whole_ms = u64::try_from(ended_ms.saturating_sub(state.started_ms.unwrap_or(ended_ms))).unwrap_or(0);
        let changes =
            steps().filter(|(step, now)| matches!(step.work, Work::Act(_)) && step.stage == "deploying" && now.acted);
        Some(Told {
            run: row.run.clone(),
            service: label("service"),
            environment: label("environment"),
            version: label("version"),
            version_before: label("version_before"),
            strategy: label("strategy"),
            status: row.status,
            created_ms: row.created_ms,
            ended_ms,
            took_ms: whole_ms.saturating_sub(state.waited_ms),
            hurt_since_ms: steps().filter_map(|(_, now)| hurt(now.ruling)).min(),
            changed_ms: changes.filter_map(|(_, now)| now.begun_ms).min(),
            built_ms: label("built").parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
        })
    }

    /// For how long people were hurt, milliseconds; 0 where nobody was.
    pub fn hurt_ms(&self) -> u64 {
        self.hurt_since_ms.map_or(0, |since_ms| u64::try_from(self.ended_ms.saturating_sub(since_ms)).unwrap_or(0))
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    told: BTreeMap<RunId, Told>,
    /// Not over at the last look, or over in a way that may change.
    open: BTreeSet<RunId>,
}

impl Ledger {
    /// Takes in what has happened since the last look.
    pub async fn catch_up(&mut self, desk: &Desk) -> Result<(), DeskError> {
        let mut before = None;
        let mut seen = 0;
        loop {
            let filter = Filter { before: before.clone(), limit: PAGE, ..Filter::default() };
            let rows = desk.runs(&filter).await?;
            seen += rows.len();
            let is_last = rows.len() < PAGE || seen >= RUNS_MAX;
            before = rows.last().map(|row| row.run.clone());
            let mut is_known = true;
            for row in rows {
                let is_told = self.told.get(&row.run).is_some_and(|told| told.status == row.status);
                is_known &= is_told || self.open.contains(&row.run);
                if row.status.is_end() && !is_told {
                    let (plan, state) = desk.look(&row.run).await?;
                    self.told.extend(Told::of(&row, &plan, &state).map(|told| (row.run.clone(), told)));
                }
                if row.status.is_end() && row.status != Status::Failed {
                    self.open.remove(&row.run);
                } else {
                    self.open.insert(row.run);
                }
            }
            // Behind a page that is known nothing is new; what is open there is looked for by going on.
            if is_last || (is_known && self.open.is_empty()) {
                return Ok(());
            }
        }
    }

    /// In the order of their ends.
    pub fn told(&self) -> Vec<Told> {
        let mut told: Vec<Told> = self.told.values().cloned().collect();
        told.sort_by(|a, b| (a.ended_ms, &a.run).cmp(&(b.ended_ms, &b.run)));
        told
    }
}

/// DORA's keys of these runs, given in the order of their ends. A release counts if it changed anything. It failed if it was undone or left
/// broken, or if the next complete release of its service and environment goes back to the version before it.
pub fn keys(told: &[Told], since_ms: i64, until_ms: i64) -> Dora {
    let reached: Vec<Reached> = told.iter().enumerate().filter_map(|(at, run)| reached(run, &told[at + 1..])).collect();
    dora(&reached, since_ms, until_ms)
}

fn reached(run: &Told, later: &[Told]) -> Option<Reached> {
    let changed_ms = run.changed_ms?;
    let since_ms = run.hurt_since_ms.unwrap_or(changed_ms);
    let next = later.iter().find(|next| {
        next.status == Status::Complete && next.service == run.service && next.environment == run.environment
    });
    let failed = match run.status {
        Status::RolledBack => Some(Failed { since_ms, restored_ms: Some(run.ended_ms) }),
        Status::Failed => Some(Failed { since_ms, restored_ms: next.map(|next| next.ended_ms) }),
        _ => next
            .filter(|next| next.version == run.version_before && next.version_before == run.version)
            .map(|next| Failed { since_ms: run.ended_ms, restored_ms: Some(next.ended_ms) }),
    };
    Some(Reached { ended_ms: run.ended_ms, made_ms: run.built_ms.filter(|_| failed.is_none()), failed })
}

#[cfg(test)]
mod tests {
    use operate_execute::{Entry, Event};
    use operate_plan::{Act, Draft, Inventory, ObjectId, OnFailure, Step};
    use serde_json::Value;

    use super::*;

    const HOUR: i64 = 3_600_000;

    /// `1>2` is a release of 2 over 1.
    fn run(way: &str, status: Status, ended_ms: i64) -> Told {
        let (before, version) = way.split_once('>').unwrap();
        Told {
            run: RunId(format!("cart-{ended_ms}")),
            service: "cart".into(),
            environment: "prod".into(),
            version: version.into(),
            version_before: before.into(),
            strategy: "recreate".into(),
            status,
            created_ms: ended_ms - 60_000,
            ended_ms,
            took_ms: 60_000,
            hurt_since_ms: None,
            changed_ms: Some(ended_ms - 50_000),
            built_ms: None,
        }
    }

    /// Releases that reached people, those that failed among them, and the median of how long that lasted.
    fn check(told: &[Told], expect: (usize, f64, Option<f64>)) {
        let keys = keys(told, 0, 1_000 * HOUR);
        let found = (keys.per_day.releases, keys.failure_ratio.value.unwrap_or(0.0), keys.restore_ms.value);
        assert_eq!(found, expect, "{told:#?}");
    }

    #[test]
    fn what_counts_as_a_release_and_as_a_failure() {
        use Status::{Complete, Failed, RolledBack};
        check(&[], (0, 0.0, None));
        check(&[run("1>2", Complete, HOUR), run("2>3", Complete, 2 * HOUR)], (2, 0.0, None));
        // Undone after it had begun to change things, and before.
        let undone = run("2>3", RolledBack, 3 * HOUR);
        check(&[run("1>2", Complete, HOUR), undone.clone()], (2, 0.5, Some(50_000.0)));
        let hurt = Told { hurt_since_ms: Some(undone.ended_ms - 20_000), ..undone.clone() };
        check(&[hurt], (1, 1.0, Some(20_000.0)));
        check(&[run("1>2", Complete, HOUR), Told { changed_ms: None, ..undone }], (1, 0.0, None));
        // Taken back by a person: the first one failed, and was bad until the second was over.
        check(&[run("1>2", Complete, HOUR), run("2>1", Complete, 3 * HOUR)], (2, 0.5, Some(2.0 * HOUR as f64)));
        // Left broken, until the next one is good; of another service it is no help.
        let broken = run("1>2", Failed, HOUR);
        let good = run("1>3", Complete, 5 * HOUR);
        check(&[broken.clone(), good.clone()], (2, 0.5, Some((4 * HOUR + 50_000) as f64)));
        check(&[broken, Told { service: "web".into(), ..good }], (2, 0.5, None));
    }

    #[test]
    fn lead_time_is_of_releases_that_stayed() {
        let built = |told: Told, age_ms: i64| Told { built_ms: Some(told.ended_ms - age_ms), ..told };
        let told = [
            built(run("1>2", Status::Complete, 10 * HOUR), 2 * HOUR),
            built(run("2>3", Status::RolledBack, 11 * HOUR), 9 * HOUR),
            run("2>4", Status::Complete, 12 * HOUR),
        ];
        let keys = keys(&told, 0, 24 * HOUR);
        assert_eq!((keys.lead_ms.value, keys.lead_ms.releases), (Some(2.0 * HOUR as f64), 1));
    }

    /// When a release changed anything first, whose only change went through these events.
    fn check_changed(events: Vec<Event>, expect: Option<i64>) {
        let object = ObjectId::new("container", "shop-cart");
        let act = Act { verb: "start".into(), object: object.clone(), with: Value::Null, touches: vec![object] };
        let step = Step { stage: "deploying".into(), ..Step::new("start", "start cart", Work::Act(act)) };
        let draft = Draft {
            title: String::new(),
            reason: String::new(),
            target: String::new(),
            labels: BTreeMap::new(),
            made_ms: 0,
            time_limit_ms: 1,
            on_failure: OnFailure::Undo,
            steps: vec![step],
        };
        let (run, mut entries) = (RunId("cart-2".into()), Vec::<Entry>::new());
        for event in events {
            entries.push(Entry::after(entries.last(), &run, 7, event));
        }
        let (title, target, sentence, tags) = Default::default();
        let (labels, status, ended_ms) = (BTreeMap::new(), Status::RolledBack, Some(9));
        let row = RunRow { run, title, target, labels, status, created_ms: 0, ended_ms, sentence, tags };
        let told = Told::of(&row, &Plan::new(draft, &Inventory::new("docker:shop")), &State::of(&entries));
        assert_eq!(told.expect("it is over").changed_ms, expect);
    }

    #[test]
    fn a_step_that_was_begun_and_did_nothing_changed_nothing() {
        let begun = || Event::StepBegun { step: "start".into() };
        check_changed(vec![], None);
        check_changed(vec![begun()], None);
        let acted = Event::Acted { step: "start".into(), note: String::new() };
        check_changed(vec![begun(), acted], Some(7));
    }
}
