//! What each entry of a journal says to a person, and how a run stands after it.

use std::collections::BTreeMap;

use operate_execute::{Command, RunId, Status};
use operate_plan::{Class, Draft, Failure, Inventory, OnFailure, Step, Work};

use super::*;

/// Stops the old one and starts the new one, watched by a judge.
fn plan() -> Plan {
    let step = |(id, name, stage): (&str, &str, &str)| Step {
        stage: stage.into(),
        ..Step::new(id, name, Work::Judge(serde_json::Value::Null))
    };
    let steps = [
        ("stop-cart", "stop the old cart", "deploying"),
        ("start-cart", "start cart 2", "deploying"),
        ("judge", "watch cart 2", "verifying"),
    ];
    let draft = Draft {
        title: "deploy cart 2".into(),
        reason: String::new(),
        target: "docker:shop".into(),
        labels: BTreeMap::new(),
        made_ms: 0,
        time_limit_ms: 1,
        on_failure: OnFailure::Undo,
        steps: steps.map(step).into(),
    };
    Plan::new(draft, &Inventory::new("docker:shop"))
}

/// What was said of these events, each with its second, and the run after them.
fn told(events: &[(i64, Event)]) -> (Vec<String>, State) {
    let (plan, run) = (plan(), RunId("cart-2-ab12cd".into()));
    let created = Event::Created { plan: plan.id().clone(), actor: "ann".into(), reason: String::new() };
    let taken = Event::Taken { holder: "apm 1".into(), token: 1 };
    let (mut entries, mut state, mut lines): (Vec<Entry>, _, _) = (Vec::new(), State::default(), Vec::new());
    for (at_s, event) in [(0, created), (0, taken)].iter().chain(events) {
        let entry = Entry::after(entries.last(), &run, at_s * 1_000, event.clone());
        state.add(&entry);
        // A colour is shown by its number.
        lines.extend(line(&|code, text| format!("<{code}>{text}"), &plan, &state, &entry));
        entries.push(entry);
    }
    (lines, state)
}

fn check(event: Event, expect: Option<&str>) {
    let begun = Event::StepBegun { step: "stop-cart".into() };
    let (lines, _) = told(&[(1, begun), (5, event.clone())]);
    let expect: Vec<String> = expect.map(|text| format!("<2>00:00:05 {text}")).into_iter().collect();
    assert_eq!(lines, expect, "{event:?}");
}

fn failure() -> Failure {
    Failure::new(Class::Invalid, "docker.ended", "cart ended with code 7", "run it by hand")
}

fn ordered(order: Order, reason: &str) -> Event {
    Event::Ordered { number: 1, command: Command { order, actor: "ann".into(), reason: reason.into() } }
}

#[test]
fn each_thing_that_happens_is_a_line() {
    let judged = |ruling| Event::Judged { step: "judge".into(), ruling, health: BTreeMap::new() };
    let sentence = || "errors 8 %".to_owned();
    check(Event::StepDone { step: "stop-cart".into() }, Some("deploying    <32>done stop the old cart  4.0 s  33 %"));
    check(judged(Ruling::Wait { again_ms: 1, sentence: sentence() }), Some("verifying    <2>errors 8 %"));
    check(judged(Ruling::Pass { sentence: sentence() }), Some("verifying    errors 8 %"));
    check(judged(Ruling::Fail { sentence: sentence(), hurt_since_ms: None }), Some("verifying    errors 8 %"));
    check(judged(Ruling::Inconclusive { sentence: sentence() }), Some("verifying    errors 8 %"));
    let asked = Event::Asked { step: "judge".into(), question: "Go on?".into() };
    check(asked, Some("verifying    <33>asks Go on?  (apm deploy approve)"));
    let halted = Event::Halted { step: "judge".into(), why: "it took too long".into() };
    check(halted, Some("verifying    <33>halts it took too long  (apm deploy resume)"));
    let tried = |again_ms| Event::AttemptFailed { step: "stop-cart".into(), number: 1, failure: failure(), again_ms };
    let again = "deploying    <33>failed stop the old cart; again in 500 ms: cart ended with code 7 [docker.ended]";
    check(tried(Some(500)), Some(again));
    // The last try is told by the step's own failure.
    check(tried(None), None);
    let failed = "deploying    <31>failed stop the old cart: cart ended with code 7 [docker.ended]; run it by hand";
    check(Event::StepFailed { step: "stop-cart".into(), failure: failure() }, Some(failed));
    let left = "deploying    <33>left stop the old cart: cart ended with code 7 [docker.ended]";
    check(Event::GivenUp { step: "stop-cart".into(), failure: failure() }, Some(left));
    let undoing = Event::UndoBegun { why: "errors 8 %".into() };
    check(undoing, Some("rolling back <31>undoing because errors 8 %"));
    check(Event::Undone { step: "stop-cart".into() }, Some("rolling back <32>undone stop the old cart"));
    let stuck = "rolling back <31>cannot undo stop the old cart: cart ended with code 7 [docker.ended]; run it by hand";
    check(Event::UndoFailed { step: "stop-cart".into(), failure: failure() }, Some(stuck));
    // The executor's own.
    check(Event::Checked { step: "stop-cart".into() }, None);
    // A step that no plan of this version has is called by its id.
    check(Event::Undone { step: "sweep".into() }, Some("rolling back <32>undone sweep"));
}

#[test]
fn what_people_say_is_told_with_their_reason() {
    let step = || "judge".into();
    check(ordered(Order::Pause, "lunch"), Some("ann paused it: lunch"));
    check(ordered(Order::Resume, ""), Some("ann lets it go on"));
    check(ordered(Order::UndoAgain, ""), Some("ann has the undo tried again"));
    check(ordered(Order::Cancel, ""), Some("ann cancelled it"));
    check(ordered(Order::Skip(step()), ""), Some("ann skips `watch cart 2`"));
    check(ordered(Order::Approve(step()), "seen"), Some("ann says yes to `watch cart 2`: seen"));
    check(ordered(Order::Reject(step()), ""), Some("ann says no to `watch cart 2`"));
    check(Event::Taken { holder: "apm 2".into(), token: 2 }, Some("apm 2 goes on with it"));
}

/// The steps after these events, and the sentence under them.
fn check_table(events: &[(i64, Event)], expect: &[&str], sentence: &str) {
    let (_, state) = told(events);
    assert_eq!(table(&plan(), &state), expect);
    assert_eq!(standing(&plan(), &state), sentence);
}

#[test]
fn the_table_says_how_each_step_stands() {
    let (stop, start, judge) = (|| "stop-cart".into(), || "start-cart".into(), || "judge".into());
    check_table(
        &[
            (1, Event::StepBegun { step: stop() }),
            (13, Event::StepDone { step: stop() }),
            (13, Event::StepBegun { step: start() }),
        ],
        &[
            "  done       deploying    stop-cart  stop the old cart  12 s",
            "  running    deploying    start-cart  start cart 2",
            "  waits      verifying    judge  watch cart 2",
        ],
        "running (13.0 s)",
    );
    let asked = Event::Asked { step: judge(), question: "Go on?".into() };
    check_table(
        &[(1, ordered(Order::Skip(stop()), "")), (2, Event::Halted { step: start(), why: String::new() }), (3, asked)],
        &[
            "  skipped    deploying    stop-cart  stop the old cart",
            "  halts      deploying    start-cart  start cart 2",
            "  asks       verifying    judge  watch cart 2",
        ],
        "halted (3.0 s)",
    );
    check_table(
        &[
            (1, Event::StepBegun { step: stop() }),
            (2, Event::StepDone { step: stop() }),
            (2, Event::StepBegun { step: start() }),
            (3, Event::StepFailed { step: start(), failure: failure() }),
            (3, Event::GivenUp { step: judge(), failure: failure() }),
            (4, Event::UndoBegun { why: "cart ended".into() }),
            (5, Event::Undone { step: stop() }),
            (6, Event::Ended { status: Status::RolledBack, sentence: "undone, because cart ended".into() }),
        ],
        &[
            "  undone     deploying    stop-cart  stop the old cart  1.0 s",
            "  failed     deploying    start-cart  start cart 2  1.0 s  cart ended with code 7 [docker.ended]",
            "  left       verifying    judge  watch cart 2    cart ended with code 7 [docker.ended]",
        ],
        // From the stop of the old one to its return.
        "rolled-back: undone, because cart ended (6.0 s; the service was down for 4.0 s)",
    );
    check_table(
        &[
            (1, Event::StepBegun { step: stop() }),
            (2, Event::UndoBegun { why: String::new() }),
            (2, Event::UndoFailed { step: stop(), failure: failure() }),
        ],
        &[
            "  not undone deploying    stop-cart  stop the old cart",
            "  waits      deploying    start-cart  start cart 2",
            "  waits      verifying    judge  watch cart 2",
        ],
        "rolling-back (2.0 s)",
    );
}

#[test]
fn times_are_written_for_people() {
    for (ms, expect) in [
        (-5, "0 s ago"),
        (119_999, "119 s ago"),
        (120_000, "2 min ago"),
        (7_200_000, "2 h ago"),
        (172_800_000, "2 d ago"),
    ] {
        assert_eq!(ago(ms), expect);
    }
    assert_eq!((clock(86_399_000).as_str(), clock(-1_000).as_str()), ("23:59:59", "23:59:59"));
}
