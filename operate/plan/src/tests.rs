//! Plans made by hand: what the lint says of each way to be wrong, that ids are content, that order and diff are what a reader expects.

use serde_json::json;

use crate::*;

const NOW_MS: i64 = 1_700_000_000_000;

fn act(id: &str, object: &str, after: &[&str]) -> Step {
    let object = ObjectId::new("container", object);
    let work = Work::Act(Act {
        verb: "start".into(),
        object: object.clone(),
        with: json!({"image": "shop/cart:2"}),
        touches: vec![object.clone()],
    });
    let mut step = Step::new(id, format!("start {}", object.name), work);
    step.reason = "the new version must run".into();
    step.stage = "deploying".into();
    step.component = "cart".into();
    step.after = after.iter().map(|id| StepId::from(*id)).collect();
    step.verify = vec![Condition {
        says: format!("{} is running", object.name),
        verb: "running".into(),
        object,
        with: serde_json::Value::Null,
    }];
    step.by_hand = "docker start cart".into();
    step.estimate = Estimate { usual_ms: 1000, p90_ms: 2000, ..Estimate::default() };
    step
}

fn draft(steps: Vec<Step>) -> Draft {
    Draft {
        title: "deploy cart 2 to dev".into(),
        reason: "asked for by ann".into(),
        target: "docker:dev".into(),
        labels: [("service".to_owned(), "cart".to_owned())].into(),
        made_ms: NOW_MS,
        time_limit_ms: 120_000,
        on_failure: OnFailure::Undo,
        steps,
    }
}

fn inventory() -> Inventory {
    let mut inventory = Inventory::new("docker:dev");
    for name in ["a", "b", "c"] {
        inventory.add(ObjectId::new("container", name), Seen::Present(json!({"image": "shop/cart:1"})), "test", NOW_MS);
    }
    inventory
}

/// The rules that the lint names, the worst first.
fn check_lint(steps: Vec<Step>, change: impl FnOnce(&mut Inventory), expect: &[&str]) {
    let mut seen = inventory();
    let plan = Plan::new(draft(steps), &seen);
    change(&mut seen);
    let rules: Vec<_> = lint(&plan, &seen, NOW_MS).into_iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, expect);
}

fn with(mut step: Step, change: impl FnOnce(&mut Step)) -> Step {
    change(&mut step);
    step
}

#[test]
fn the_lint_names_each_way_to_be_wrong() {
    let same = |_: &mut Inventory| {};
    check_lint(vec![act("a", "a", &[]), act("b", "b", &["a"])], same, &[]);
    check_lint(vec![act("a", "a", &[]), act("a", "b", &["a"])], same, &["twice"]);
    check_lint(vec![act("a", "a", &["z"])], same, &["no-such-step"]);
    check_lint(vec![act("a", "a", &["b"]), act("b", "b", &["a"])], same, &["circle"]);
    check_lint(vec![act("a", "a", &["a"])], same, &["circle"]);
    check_lint(vec![act("a", "a", &[]), act("b", "a", &[])], same, &["clash"]);
    check_lint(vec![act("a", "a", &[]), act("b", "b", &["a"]), act("c", "a", &["b"])], same, &[]);
    check_lint(vec![with(act("a", "a", &[]), |step| step.time_limit_ms = 0)], same, &["no-time-limit"]);
    check_lint(vec![with(act("a", "a", &[]), |step| step.verify.clear())], same, &["unverified"]);
    check_lint(vec![with(act("a", "a", &[]), |step| step.blast.objects_max = 0)], same, &["blast"]);
    check_lint(vec![with(act("a", "a", &[]), |step| step.reason.clear())], same, &["mute"]);
    let irreversible = with(act("a", "a", &[]), |step| step.undo = Undo::Impossible { why: "mail is sent".into() });
    check_lint(vec![irreversible], same, &["no-undo"]);
    let hidden = with(act("a", "a", &[]), |step| {
        if let Work::Act(act) = &mut step.work {
            act.touches = vec![ObjectId::new("container", "b")];
        }
    });
    check_lint(vec![hidden], same, &["hidden-touch"]);
    check_lint(vec![with(act("a", "a", &[]), |step| step.estimate.p90_ms = 121_000)], same, &["tight"]);
}

#[test]
fn the_lint_compares_the_plan_with_the_world() {
    let moved = |seen: &mut Inventory| {
        seen.add(ObjectId::new("container", "a"), Seen::Absent, "test", NOW_MS);
    };
    check_lint(vec![act("a", "a", &[])], moved, &["stale"]);
    let denied = |seen: &mut Inventory| {
        let failure = Failure::new(Class::Permission, "docker.denied", "permission denied", "join the group docker");
        seen.add(ObjectId::new("container", "a"), Seen::Unknown(failure), "test", NOW_MS);
    };
    check_lint(vec![act("a", "a", &[])], denied, &["stale", "unknown-fact"]);

    let plan = Plan::new(draft(vec![act("a", "a", &[])]), &inventory());
    let rules: Vec<_> =
        lint(&plan, &inventory(), NOW_MS + 11 * 60_000).into_iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["old-inventory"]);
}

#[test]
fn an_id_is_the_content() {
    let plan = Plan::new(draft(vec![act("a", "a", &[])]), &inventory());
    assert_eq!(plan.id(), Plan::new(draft(vec![act("a", "a", &[])]), &inventory()).id());
    assert_ne!(plan.id(), Plan::new(draft(vec![act("b", "a", &[])]), &inventory()).id());
    let child = plan.child(draft(vec![act("a", "a", &[])]), &inventory());
    assert_ne!(plan.id(), child.id());
    assert_eq!((child.parent(), child.generation()), (Some(plan.id()), 2));

    let mut stored = serde_json::to_value(&plan).expect("JSON");
    let read: Plan = serde_json::from_value(stored.clone()).expect("a plan");
    assert_eq!(read, plan);
    assert!(read.is_intact());
    stored["steps"][0]["work"]["act"]["with"]["image"] = json!("evil:1");
    let edited: Plan = serde_json::from_value(stored).expect("a plan");
    assert!(!edited.is_intact());
    assert_eq!(lint(&edited, &inventory(), NOW_MS)[0].rule, "edited");
}

#[test]
fn a_digest_does_not_depend_on_the_order_of_keys() {
    let a: serde_json::Value = serde_json::from_str(r#"{"b": [1, {"d": 1, "c": 2}], "a": "x"}"#).expect("JSON");
    let b: serde_json::Value = serde_json::from_str(r#"{"a": "x", "b": [1, {"c": 2, "d": 1}]}"#).expect("JSON");
    assert_eq!(digest(&a), digest(&b));
    assert_ne!(digest(&a), digest(&json!({"a": "x", "b": [{"c": 2, "d": 1}, 1]})));
    // `printf '{"a":1}' | sha256sum`
    let expect = "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";
    assert_eq!(digest(&json!({"a": 1})).as_str(), expect);
}

#[test]
fn an_inventory_tells_unknown_from_absent() {
    let mut seen = inventory();
    seen.add(ObjectId::new("container", "b"), Seen::Absent, "test", NOW_MS - 5000);
    assert_eq!(seen.look(&ObjectId::new("container", "b")), Seen::Absent);
    assert!(matches!(seen.look(&ObjectId::new("container", "z")), Seen::Unknown(_)), "nobody looked");
    assert_eq!(seen.age_ms(NOW_MS), 5000);
    assert_eq!(seen.age_ms(NOW_MS - 60_000), 0, "a clock that was set back makes nothing old");
    let later = {
        let mut later = seen.clone();
        later.facts.values_mut().for_each(|fact| fact.at_ms += 1000);
        later
    };
    assert_eq!(seen.digest(), later.digest(), "when it was seen is not what was seen");
}

#[test]
fn a_finding_becomes_a_halt_or_an_alert_before_its_step() {
    let steps = vec![
        act("a", "a", &[]),
        with(act("b", "b", &["a"]), |step| step.verify.clear()),
        with(act("c", "c", &["b"]), |step| step.reason.clear()),
    ];
    let plan = Plan::new(draft(steps), &inventory());
    let guarded = guard(&plan, &lint(&plan, &inventory(), NOW_MS));
    let order: Vec<_> = guarded.order().expect("an order").iter().map(|step| step.id.0.as_str()).collect();
    assert_eq!(order, ["a", "halt-b", "b", "alert-c", "c"]);
    assert_eq!((guarded.parent(), guarded.generation()), (Some(plan.id()), 2));
    assert!(guarded.is_intact());
    let fine = Plan::new(draft(vec![act("a", "a", &[])]), &inventory());
    assert_eq!(guard(&fine, &[]), fine);
}

#[test]
fn estimates_follow_the_longest_way_and_earlier_runs() {
    let mut steps = draft(vec![act("a", "a", &[]), act("b", "b", &[]), act("c", "c", &["a"])]);
    assert_eq!(Plan::new(steps.clone(), &inventory()).estimate().usual_ms, 2000);
    let durations: Vec<u64> = (1..=10).map(|n| n * 100).collect();
    estimate(&mut steps, &[("b".to_owned(), durations)].into());
    assert_eq!(steps.steps[1].estimate, Estimate { usual_ms: 500, p90_ms: 900, runs: 10, memory_bytes: 0 });
    assert_eq!(steps.steps[0].estimate.runs, 0, "a guess stays one");
}

#[test]
fn a_diff_names_paths() {
    let from = json!({"env": {"PORT": "80", "A/B": "x"}, "ports": [1, 2], "same": true});
    let to = json!({"env": {"PORT": "81", "NEW": "y"}, "ports": [1], "same": true});
    let told: Vec<_> = diff(&from, &to)
        .into_iter()
        .map(|change| {
            let side = |value: Option<serde_json::Value>| value.map_or("-".to_owned(), |value| value.to_string());
            format!("{} {} {}", change.path, side(change.from), side(change.to))
        })
        .collect();
    assert_eq!(told, ["/env/A~1B \"x\" -", "/env/NEW - \"y\"", "/env/PORT \"80\" \"81\"", "/ports/1 2 -"]);
    assert_eq!(diff(&from, &from), []);
}

#[test]
fn waits_double_with_jitter_and_honour_the_remote() {
    let retry = Retry::Exponential { attempts: 4, first_ms: 100, most_ms: 250 };
    for seed in 0..500 {
        let waits: Vec<_> = (1..=4).map(|attempt| retry.wait_ms(attempt, seed, None)).collect();
        let [Some(first), Some(second), Some(third), None] = waits[..] else { panic!("{waits:?}") };
        assert!((50..=100).contains(&first) && (100..=200).contains(&second) && (125..=250).contains(&third));
    }
    assert_eq!(retry.wait_ms(1, 7, Some(9000)), Some(9000));
    assert_eq!(Retry::Immediate { attempts: 0 }.wait_ms(1, 7, None), None, "one attempt at least, and no more");
    assert_eq!(Retry::Linear { attempts: 3, wait_ms: 30 }.wait_ms(2, 7, Some(10)), Some(30));
    assert!(Retry::Exponential { attempts: 200, first_ms: u64::MAX, most_ms: 10 }.wait_ms(150, 1, None).is_some());
}

#[test]
fn a_plan_reads_aloud() {
    let approve = Step {
        stage: "preparing".into(),
        ..Step::new("ask", "ask a person", Work::Approve { question: "Ship it?".into() })
    };
    let plan = Plan::new(draft(vec![approve, act("start", "a", &["ask"])]), &inventory());
    let findings = lint(&plan, &inventory(), NOW_MS + 11 * 60_000);
    let text = report(&plan, &findings).replace(plan.id().0.short(), "ID");
    let expect = "\
plan ID (generation 1): deploy cart 2 to dev
because asked for by ann
on docker:dev; usually 1 s (a guess), at most 2 min

preparing
  1  ask a person  (ask, at most 60 s)
     asks    Ship it?

deploying
  2  start a  (start, at most 60 s)
     why     the new version must run
     after   ask
     by hand docker start cart
     expects a is running
     undo    restores container/a

warning [old-inventory]: what the plan rests on was seen 11 min ago; survey the target again
";
    assert_eq!(text, expect);
}

#[test]
fn only_some_failures_are_worth_another_try() {
    let retryable: Vec<_> = Class::ALL.into_iter().filter(|class| class.is_retryable()).map(Class::word).collect();
    assert_eq!(retryable, ["throttled", "transient", "unknown"]);
    let error = std::io::Error::other(std::fmt::Error);
    let failure = Failure::new(Class::Transient, "docker.unreachable", "the engine did not answer", "start it");
    let told = failure.caused_by(&error).to_string();
    assert!(told.starts_with("the engine did not answer [docker.unreachable]: an error occurred"), "{told}");
}
