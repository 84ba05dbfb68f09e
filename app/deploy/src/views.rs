//! What the history holds of a run in other forms is listed among its artefacts too: the plan, what things were before, what the judge said. Nothing is kept
//! twice: each is made anew from plan and journal, and is the same bytes each time. What is sealed is shown as a hash.

use operate_execute::{Entry, Event, RunId};
use operate_history::Artefact;
use operate_plan::{Digest, Plan};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Desk, DeskError};

/// One of them: what it is, and its bytes.
pub(crate) type View = (Artefact, Vec<u8>);

impl Desk {
    pub(crate) async fn views(&self, run: &RunId) -> Result<Vec<View>, DeskError> {
        Ok(views(run, &self.plan_of(run).await?, &self.entries(run, 0).await?))
    }
}

fn views(run: &RunId, plan: &Plan, entries: &[Entry]) -> Vec<View> {
    let mut views = Vec::new();
    let made_ms = entries.first().map_or(plan.made_ms, |entry| entry.at_ms);
    views.extend(view(run, "plan", made_ms, plan));
    let before = entries.iter().filter_map(|entry| match &entry.event {
        Event::Recorded { step, before } => {
            Some((entry.at_ms, json!({"seq": entry.seq, "at_ms": entry.at_ms, "step": step, "before": before})))
        }
        _ => None,
    });
    views.extend(lines(run, "before-images", before.collect()));
    let verdicts = entries.iter().filter_map(|entry| match &entry.event {
        Event::Judged { step, ruling, health } => Some((
            entry.at_ms,
            json!({"seq": entry.seq, "at_ms": entry.at_ms, "step": step, "ruling": ruling, "health": health}),
        )),
        _ => None,
    });
    views.extend(lines(run, "verdicts", verdicts.collect()));
    views
}

/// Nothing where the journal has none.
fn lines(run: &RunId, kind: &str, lines: Vec<(i64, Value)>) -> Option<View> {
    let last_ms = lines.last()?.0;
    let lines: Vec<Value> = lines.into_iter().map(|(_, line)| line).collect();
    view(run, kind, last_ms, &lines)
}

fn view(run: &RunId, kind: &str, created_ms: i64, value: &impl Serialize) -> Option<View> {
    // Plain data, in which nothing can go wrong.
    let mut value = serde_json::to_value(value).ok()?;
    hash_sealed(&mut value);
    let bytes = format!("{value:#}\n").into_bytes();
    let artefact = Artefact {
        // It has no number: nothing is stored under one.
        id: 0,
        run: Some(run.clone()),
        name: format!("{kind}.json"),
        media_type: "application/json".to_owned(),
        sha256: Digest::of_bytes(&bytes).as_str().to_owned(),
        size_bytes: bytes.len() as u64,
        tags: [("kind".to_owned(), kind.to_owned())].into(),
        created_ms,
        expires_ms: None,
    };
    Some((artefact, bytes))
}

/// Every member called `sealed` becomes `sealed_sha256`: not even what nobody can open is handed out.
fn hash_sealed(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(sealed) = members.remove("sealed") {
                let text = sealed.as_str().map_or_else(|| sealed.to_string(), str::to_owned);
                let hash = Digest::of_bytes(text.as_bytes());
                members.insert("sealed_sha256".to_owned(), hash.as_str().into());
            }
            members.values_mut().for_each(hash_sealed);
        }
        Value::Array(items) => items.iter_mut().for_each(hash_sealed),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use operate_execute::{Recorded, Ruling};
    use operate_plan::{Act, Draft, Inventory, ObjectId, OnFailure, Step, StepId, Work};

    use super::*;

    const SECRET: &str = "c2VhbGVkLXNlY3JldA";

    fn check(events: Vec<Event>, names: &[&str]) -> Vec<View> {
        let object = ObjectId::new("container", "cart");
        let with = json!({"secrets": {"TOKEN": {"sealed": SECRET, "mark": "0f"}}});
        let act = Act { verb: "create".into(), object: object.clone(), with, touches: vec![object] };
        let draft = Draft {
            title: "deploy".into(),
            reason: String::new(),
            target: "t".into(),
            labels: Default::default(),
            made_ms: 0,
            time_limit_ms: 1_000,
            on_failure: OnFailure::Undo,
            steps: vec![Step::new("create", "create it", Work::Act(act))],
        };
        let plan = Plan::new(draft, &Inventory::new("t"));
        let run = RunId("cart-2".into());
        let mut entries: Vec<Entry> = Vec::new();
        for event in events {
            let next = Entry::after(entries.last(), &run, 7 + entries.len() as i64, event);
            entries.push(next);
        }
        let made = views(&run, &plan, &entries);
        let listed: Vec<_> = made.iter().map(|(artefact, _)| artefact.name.as_str()).collect();
        assert_eq!(listed, names);
        for (artefact, bytes) in &made {
            assert_eq!(artefact.sha256, Digest::of_bytes(bytes).as_str(), "{}", artefact.name);
            assert_eq!(artefact.size_bytes, bytes.len() as u64);
            let text = String::from_utf8_lossy(bytes);
            assert!(!text.contains(SECRET), "{text}");
            assert!(
                artefact.name == "verdicts.json" || text.contains(Digest::of_bytes(SECRET.as_bytes()).as_str()),
                "{text}"
            );
        }
        assert_eq!(made, views(&run, &plan, &entries), "the same each time");
        made
    }

    #[test]
    fn plan_before_images_and_verdicts_are_artefacts_without_what_is_sealed() {
        let step = || StepId::from("create");
        check(Vec::new(), &["plan.json"]);
        let object = ObjectId::new("container", "cart");
        let before = vec![Recorded { object, mark: "ab".into(), sealed: Some(SECRET.into()) }];
        let recorded = Event::Recorded { step: step(), before };
        let judged = |sentence: &str| Event::Judged {
            step: step(),
            ruling: Ruling::Pass { sentence: sentence.into() },
            health: [("service".to_owned(), 90)].into(),
        };
        let all = ["plan.json", "before-images.json", "verdicts.json"];
        let made = check(vec![recorded.clone(), judged("fine"), judged("better")], &all);
        let verdicts: Value = serde_json::from_slice(&made[2].1).expect("JSON");
        assert_eq!(verdicts[1]["ruling"]["pass"]["sentence"], "better");
        assert_eq!(
            (&verdicts[0]["step"], &verdicts[0]["health"]["service"], made[2].0.created_ms),
            (&json!("create"), &json!(90), 9)
        );
        let other = check(vec![recorded, judged("fine")], &all);
        assert_eq!((&made[1], made[2].0.sha256 == other[2].0.sha256), (&other[1], false));
    }
}
