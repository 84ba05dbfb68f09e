//! Pictures of one release at its turning points, as a person sees them.

use operate_execute::{Command, Entry, Event, Order, RunId, progress};
use operate_plan::{Act, Class, Draft, Estimate, Failure, Inventory, ObjectId, OnFailure, Plan, Step, Work};

use super::*;

fn plan(components: &[&str]) -> Plan {
    let step = |id: &str, name: &str, stage: &str, component: &str, usual_ms: u64| {
        let object = ObjectId::new("container", id);
        let touches = vec![object.clone()];
        let act = Act { verb: "start".into(), object, with: serde_json::Value::Null, touches };
        let mut step = Step::new(format!("{id}-{component}"), name.replace("cart", component), Work::Act(act));
        (step.stage, step.component) = (stage.to_owned(), component.to_owned());
        step.estimate = Estimate { usual_ms, p90_ms: usual_ms * 2, runs: 3, memory_bytes: 0 };
        step
    };
    let mut steps = Vec::new();
    for component in components {
        steps.push(step("pull", "pull shop/cart:2", "preparing", component, 5_000));
        steps.push(step("create", "create cart 2 beside what runs", "deploying", component, 1_000));
        steps.push(step("start", "start cart 2", "deploying", component, 4_000));
        steps.push(step("remove", "remove cart-previous", "verifying", component, 500));
        let first = steps.len() - 3;
        for at in first..steps.len() {
            steps[at].after = vec![steps[at - 1].id.clone()];
        }
    }
    let draft = Draft {
        title: "deploy cart 2 to prod".into(),
        reason: String::new(),
        target: "docker:shop".into(),
        labels: std::collections::BTreeMap::new(),
        made_ms: 0,
        time_limit_ms: 60_000,
        on_failure: OnFailure::Undo,
        steps,
    };
    Plan::new(draft, &Inventory::new("docker:shop"))
}

/// A run after these events, each with its time in ms.
fn run(plan: &Plan, events: Vec<(i64, Event)>) -> State {
    let run = RunId("cart-2-ab12cd".into());
    let mut entries: Vec<Entry> = Vec::new();
    let created = Event::Created { plan: plan.id().clone(), actor: "ann".into(), reason: String::new() };
    let taken = Event::Taken { holder: "apm 1".into(), token: 1 };
    for (at_ms, event) in [(0, created), (0, taken)].into_iter().chain(events) {
        entries.push(Entry::after(entries.last(), &run, at_ms, event));
    }
    State::of(&entries)
}

fn begun(at_ms: i64, step: &str) -> (i64, Event) {
    (at_ms, Event::StepBegun { step: step.into() })
}

fn done(at_ms: i64, step: &str) -> (i64, Event) {
    (at_ms, Event::StepDone { step: step.into() })
}

fn recorded(at_ms: i64, step: &str) -> (i64, Event) {
    (at_ms, Event::Recorded { step: step.into(), before: Vec::new() })
}

fn picture(plan: &Plan, state: &State, now_ms: i64, size: (usize, usize), said: &[Said], color: bool) -> Vec<String> {
    let progress = progress(plan, state, now_ms);
    let (columns, rows) = size;
    frame(&Look { run: "cart-2-ab12cd", plan, state, progress: &progress, said, columns, rows, color, turn: 0 })
}

fn check(state: &State, now_ms: i64, size: (usize, usize), said: &[Said], expect: &[&str]) {
    let drawn = picture(&plan(&["cart"]), state, now_ms, size, said, false);
    let drawn: Vec<&str> = drawn.iter().map(|line| line.trim_end()).collect();
    assert_eq!(drawn, expect, "\n{}", drawn.join("\n"));
}

fn said(text: &str) -> Said {
    Said { color: "31", text: text.into(), is_passing: false }
}

#[test]
fn on_its_way() {
    let state = run(
        &plan(&["cart"]),
        vec![
            begun(0, "pull-cart"),
            done(4_000, "pull-cart"),
            begun(4_000, "create-cart"),
            done(4_500, "create-cart"),
            begun(4_500, "start-cart"),
        ],
    );
    check(
        &state,
        6_500,
        (80, 24),
        &[],
        &[
            "deploy cart 2 to prod  cart-2-ab12cd",
            "✓ preparing  ▸ deploying  · verifying  · complete",
            "━━━━━━━━━━━━━━━━━━╌╌╌╌╌╌   76 %  about 2.5 s left",
            "  ✓ pull shop/cart:2                          4.0 s",
            "  ✓ create cart 2 beside what runs            0.5 s",
            "  ⣾ start cart 2                              2.0 s of 4.0 s",
            "  · remove cart-previous                      usually 0.5 s",
        ],
    );
    // Not enough rows: what is under way is seen, and no line is wider than the terminal.
    check(
        &state,
        6_500,
        (30, 7),
        &[said("the judge says something that is longer than that")],
        &[
            "deploy cart 2 to prod  cart-2-",
            "✓ preparing  ▸ deploying  · ve",
            "━━━━━━━━━━━━━━━━━━╌╌╌╌╌╌   76",
            "  ✓ create cart 2 beside what",
            "  ⣾ start cart 2",
            "  · remove cart-previous",
            "the judge says something that",
            "is longer than that",
        ],
    );
}

#[test]
fn failed_and_on_the_way_back() {
    let failure = Failure::new(Class::Invalid, "judge.failed", "cart 2 fails: errors 8 %", "look");
    let state = run(
        &plan(&["cart"]),
        vec![
            begun(0, "pull-cart"),
            done(4_000, "pull-cart"),
            begun(4_000, "create-cart"),
            recorded(4_000, "create-cart"),
            done(4_500, "create-cart"),
            begun(4_500, "start-cart"),
            recorded(4_500, "start-cart"),
            (6_000, Event::StepFailed { step: "start-cart".into(), failure }),
            (6_000, Event::UndoBegun { why: "cart 2 fails".into() }),
            (6_500, Event::Undone { step: "start-cart".into() }),
        ],
    );
    check(
        &state,
        7_000,
        (100, 24),
        &[said("rolling back undoing because cart 2 fails")],
        &[
            "deploy cart 2 to prod  cart-2-ab12cd",
            "✓ preparing  ✗ deploying  ✗ verifying  ▸ rolling back  · rolled back",
            "━━━━━━━━━━━━━━━━━━━━╌╌╌╌   85 %  about 1.0 s left, a guess",
            "  ✓ pull shop/cart:2                          4.0 s",
            "  ✓ create cart 2 beside what runs            0.5 s",
            "  ↶ start cart 2                              1.5 s  cart 2 fails: errors 8 %",
            "  · remove cart-previous                      usually 0.5 s",
            "rolling back undoing because cart 2 fails",
        ],
    );
}

#[test]
fn several_parts_have_a_line_each() {
    let plan = plan(&["cart", "web"]);
    let state = run(&plan, vec![begun(0, "pull-cart"), done(5_000, "pull-cart"), begun(5_000, "pull-web")]);
    let drawn = picture(&plan, &state, 6_000, (60, 40), &[], false);
    let heads: Vec<&str> = drawn.iter().map(|line| line.trim_end()).filter(|line| line.ends_with('%')).collect();
    assert_eq!(heads, ["cart                 deploying       47 %", "web                  preparing        9 %"]);
    assert_eq!(drawn.len(), 3 + 2 + 8);
}

#[test]
fn a_person_is_waited_for_and_colours_can_be_left_out() {
    let plan = plan(&["cart"]);
    let asked = Event::Asked { step: "pull-cart".into(), question: "Deploy?".into() };
    let state = run(&plan, vec![begun(0, "pull-cart"), (10, asked)]);
    let drawn = picture(&plan, &state, 60_000, (100, 24), &[], false);
    assert!(drawn[2].contains("waits for a person's yes: apm deploy approve"), "{drawn:?}");
    assert!(drawn[3].starts_with("  ? pull"), "{drawn:?}");
    assert!(!drawn.concat().contains('\x1b'));
    let colored = picture(&plan, &state, 60_000, (100, 24), &[], true);
    assert!(colored[0].starts_with("\x1b[1mdeploy cart 2 to prod\x1b[0m"), "{colored:?}");
    let paused = Command { order: Order::Pause, actor: "bob".into(), reason: String::new() };
    let state = run(&plan, vec![(5, Event::Ordered { number: 1, command: paused })]);
    assert!(picture(&plan, &state, 60, (100, 24), &[], false)[2].contains("paused: apm deploy resume"));
}

#[test]
fn what_others_wrote_cannot_move_the_cursor() {
    let plan = plan(&["cart"]);
    let state = run(&plan, Vec::new());
    let evil = [said("\x1b[2J\r\nrm -rf"), said("日本語の長い文")];
    let drawn = picture(&plan, &state, 0, (9, 24), &evil, false);
    assert_eq!(drawn[drawn.len() - 4..], [" [2J  rm ", "-rf", "日本語の", "長い文"]);
}
