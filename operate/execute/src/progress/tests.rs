//! What people see of a run, at moments of its journal. That the percentage never falls is held against every journal of the fake world too.

use operate_plan::{Act, Draft, Estimate, Inventory, ObjectId, OnFailure, Plan, Step, StepId, Work};
use serde_json::Value;

use crate::{Command, Entry, Event, Order, Recorded, RunId, State, Status, progress};

fn step(id: &str, stage: &str, component: &str, usual_ms: u64, after: &[&str]) -> Step {
    let object = ObjectId::new("thing", id);
    let act = Act { verb: "put".into(), object: object.clone(), with: Value::Null, touches: vec![object] };
    let mut step = Step::new(id, id, Work::Act(act));
    (step.stage, step.component) = (stage.into(), component.into());
    step.estimate = Estimate { usual_ms, p90_ms: usual_ms * 2, runs: 5, memory_bytes: 0 };
    step.after = after.iter().map(|id| StepId::from(*id)).collect();
    step
}

/// `pull` (2 s), `cart` (4 s) and `web` (2 s) side by side, a question to a person, `look` (2 s).
fn plan() -> Plan {
    let mut ask = step("ask", "verifying", "cart", 99_000, &["cart", "web"]);
    ask.work = Work::Approve { question: "on?".into() };
    let steps = vec![
        step("pull", "preparing", "cart", 2_000, &[]),
        step("cart", "deploying", "cart", 4_000, &["pull"]),
        step("web", "deploying", "web", 2_000, &["pull"]),
        ask,
        step("look", "verifying", "cart", 2_000, &["ask"]),
    ];
    let draft = Draft {
        title: "deploy".into(),
        reason: String::new(),
        target: "t".into(),
        labels: [].into(),
        made_ms: 0,
        time_limit_ms: 60_000,
        on_failure: OnFailure::Undo,
        steps,
    };
    Plan::new(draft, &Inventory::new("t"))
}

fn journal(events: &[(i64, Event)]) -> State {
    let mut entries: Vec<Entry> = Vec::new();
    for (at_ms, event) in events {
        entries.push(Entry::after(entries.last(), &RunId("r".into()), *at_ms, event.clone()));
    }
    State::of(&entries)
}

fn begun(id: &str) -> Event {
    Event::StepBegun { step: id.into() }
}

fn done(id: &str) -> Event {
    Event::StepDone { step: id.into() }
}

fn recorded(id: &str) -> Event {
    let before = vec![Recorded { object: ObjectId::new("thing", id), mark: "absent".into(), sealed: None }];
    Event::Recorded { step: id.into(), before }
}

fn taken() -> Event {
    Event::Taken { holder: "apm".into(), token: 1 }
}

/// `stage percent eta; component stage percent; …`
fn check(events: &[(i64, Event)], now_ms: i64, expect: &str) {
    let seen = progress(&plan(), &journal(events), now_ms);
    let eta = seen.eta_ms.map_or("-".to_owned(), |ms| ms.to_string());
    let mut told = format!("{} {}% {eta}", seen.stage, seen.percent);
    for component in &seen.components {
        told.push_str(&format!("; {} {} {}%", component.name, component.stage, component.percent));
    }
    assert_eq!(told, expect);
}

#[test]
fn stages_and_percent_as_a_person_understands_them() {
    let mut events = Vec::new();
    check(&events, 0, "planned 0% 8000; cart waiting 0%; web waiting 0%");
    events.extend([(0, taken()), (0, begun("pull"))]);
    check(&events, 1_000, "preparing 10% 7000; cart preparing 12%; web waiting 0%");
    // Longer than usual: what nine of ten needed; then nobody knows.
    check(&events, 3_000, "preparing 19% 7000; cart preparing 23%; web waiting 0%");
    check(&events, 4_500, "preparing 19% -; cart preparing 23%; web waiting 0%");
    events.extend([(5_000, done("pull")), (5_000, begun("cart")), (5_000, begun("web"))]);
    check(&events, 6_000, "deploying 40% 5000; cart deploying 37%; web deploying 50%");
    // The clock was set back: nothing falls below what the journal's last line showed.
    check(&events, 0, "deploying 20% 6000; cart deploying 25%; web deploying 0%");
    events.extend([(7_000, done("web")), (9_000, done("cart")), (9_000, begun("ask"))]);
    check(&events, 9_000, "verifying 80% 2000; cart verifying 75%; web complete 100%");
    // A person's time is nobody's estimate.
    events.push((9_000, Event::Asked { step: "ask".into(), question: "on?".into() }));
    check(&events, 999_000, "verifying 80% -; cart verifying 75%; web complete 100%");
    events.extend([(999_000, done("ask")), (999_000, begun("look")), (1_001_000, done("look"))]);
    check(&events, 1_001_000, "verifying 99% 0; cart complete 100%; web complete 100%");
    events.push((1_001_000, Event::Ended { status: Status::Complete, sentence: String::new() }));
    check(&events, 1_001_000, "complete 100% -; cart complete 100%; web complete 100%");
}

#[test]
fn the_way_back_fills_what_was_left() {
    let mut events = vec![(0, taken()), (0, begun("pull")), (2_000, done("pull"))];
    events.extend([(2_000, begun("cart")), (2_000, recorded("cart")), (4_000, begun("web")), (4_000, recorded("web"))]);
    events.push((4_000, Event::UndoBegun { why: "no".into() }));
    // However long it takes, nothing goes forwards any more.
    check(&events, 50_000, "rolling back 40% 6000; cart rolling back 50%; web rolling back 0%");
    events.push((51_000, Event::Undone { step: "web".into() }));
    check(&events, 51_000, "rolling back 70% 4000; cart rolling back 50%; web rolled back 100%");
    let failed = operate_plan::Failure::new(operate_plan::Class::Transient, "x", "x", "x");
    let mut stuck = events.clone();
    stuck.push((52_000, Event::UndoFailed { step: "cart".into(), failure: failed }));
    stuck.push((52_000, Event::Ended { status: Status::Failed, sentence: String::new() }));
    check(&stuck, 52_000, "failed 70% -; cart failed 50%; web rolled back 100%");
    events.push((52_000, Event::Undone { step: "cart".into() }));
    events.push((52_000, Event::Ended { status: Status::RolledBack, sentence: String::new() }));
    check(&events, 52_000, "rolled back 100% -; cart rolled back 100%; web rolled back 100%");
}

#[test]
fn a_step_that_is_tried_again_by_a_person_keeps_what_it_had() {
    let failed = operate_plan::Failure::new(operate_plan::Class::Invalid, "x", "x", "x");
    let resume = Command { order: Order::Resume, actor: "ann".into(), reason: String::new() };
    let mut events = vec![(0, taken()), (0, begun("pull"))];
    events.push((1_000, Event::StepFailed { step: "pull".into(), failure: failed }));
    check(&events, 1_000, "preparing 10% -; cart preparing 12%; web waiting 0%");
    events.push((1_000, Event::Ordered { number: 1, command: resume }));
    check(&events, 1_000, "preparing 10% 8000; cart preparing 12%; web waiting 0%");
}
