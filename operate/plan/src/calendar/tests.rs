//! Calendars as people write them, moments, and what may be done then.

use jiff::Timestamp;
use serde_json::json;

use crate::{Act, Allowed, Calendar, Draft, Inventory, ObjectId, OnFailure, Plan, Step, Window, Work, hold};

fn ms(moment: &str) -> i64 {
    moment.parse::<Timestamp>().expect("a moment").as_millisecond()
}

/// `{windows, freezes}` with freezes as `[from, to, reason]`.
fn calendar(windows: serde_json::Value, freezes: &[(&str, &str)]) -> Calendar {
    let freezes = freezes.iter().map(
        |(from, to)| json!({"from_ms": ms(from), "to_ms": ms(to), "reason": "black friday", "environments": ["prod"]}),
    );
    let calendar = json!({"windows": windows, "freezes": freezes.collect::<Vec<_>>()});
    serde_json::from_value::<Calendar>(calendar).expect("a calendar").of("prod", i64::MIN)
}

/// At each moment `yes`, or until when not.
fn check(calendar: &Calendar, expect: &[(&str, &str)]) {
    for (moment, expect) in expect {
        let told = match calendar.at(ms(moment)) {
            Allowed::Yes => "yes".to_owned(),
            Allowed::No { until_ms: None, .. } => "never".to_owned(),
            Allowed::No { until_ms: Some(until_ms), .. } => {
                Timestamp::from_millisecond(until_ms).expect("a moment").to_string()
            }
        };
        assert_eq!(told, *expect, "at {moment}");
    }
}

#[test]
fn windows_open_and_close_by_the_clock_of_their_zone() {
    // 2026-11-23 is a Monday; Berlin is an hour ahead in winter and two in summer.
    let work = calendar(json!([{"days": "mon-thu", "hours": "09:00-16:00", "zone": "Europe/Berlin"}]), &[]);
    check(
        &work,
        &[
            ("2026-11-23T07:59:59Z", "2026-11-23T08:00:00Z"),
            ("2026-11-23T08:00:00Z", "yes"),
            ("2026-11-23T14:59:59.999Z", "yes"),
            ("2026-11-23T15:00:00Z", "2026-11-24T08:00:00Z"),
            ("2026-11-27T09:00:00Z", "2026-11-30T08:00:00Z"),
            ("2026-07-06T07:00:00Z", "yes"),
            // The clocks are set back on Sunday the 25th of October.
            ("2026-10-22T14:30:00Z", "2026-10-26T08:00:00Z"),
        ],
    );
    let night = calendar(json!([{"days": "fri-sat", "hours": "22:00-04:00"}]), &[]);
    check(
        &night,
        &[
            ("2026-11-27T21:59:00Z", "2026-11-27T22:00:00Z"),
            ("2026-11-28T03:59:00Z", "yes"),
            ("2026-11-28T04:00:00Z", "2026-11-28T22:00:00Z"),
            ("2026-11-29T03:00:00Z", "yes"),
            ("2026-11-29T22:30:00Z", "2026-12-04T22:00:00Z"),
        ],
    );
    let two = json!([{"days": "mon", "hours": "09:00-10:00"}, {"days": "mon", "hours": "12:00-24:00"}]);
    check(
        &calendar(two, &[]),
        &[
            ("2026-11-23T11:00:00Z", "2026-11-23T12:00:00Z"),
            ("2026-11-23T23:59:00Z", "yes"),
            ("2026-11-24T00:00:00Z", "2026-11-30T09:00:00Z"),
        ],
    );
    // The hour that does not come on the day the clocks are set forward: it comes a week later.
    let gap = calendar(json!([{"days": "sun", "hours": "02:00-03:00", "zone": "Europe/Berlin"}]), &[]);
    check(&gap, &[("2026-03-28T12:00:00Z", "2026-04-05T00:00:00Z")]);
    check(&calendar(json!([]), &[]), &[("2026-03-28T12:00:00Z", "yes")]);
    check(
        &calendar(json!([{"days": "mon"}]), &[]),
        &[("2026-11-23T00:00:00Z", "yes"), ("2026-11-24T00:00:00Z", "2026-11-30T00:00:00Z")],
    );
    check(&calendar(json!([{"environments": ["dev"], "days": "mon"}]), &[]), &[("2026-11-24T00:00:00Z", "yes")]);
}

#[test]
fn a_freeze_forbids_what_a_window_allows() {
    let freezes = [("2026-11-23T09:00:00Z", "2026-11-28T08:00:00Z"), ("2026-11-24T00:00:00Z", "2026-11-30T12:00:00Z")];
    let frozen = calendar(json!([{"days": "mon-fri"}]), &freezes);
    check(
        &frozen,
        &[
            ("2026-11-23T08:59:00Z", "yes"),
            ("2026-11-23T09:00:00Z", "2026-11-28T08:00:00Z"),
            ("2026-11-25T09:00:00Z", "2026-11-30T12:00:00Z"),
            ("2026-11-30T12:00:00Z", "yes"),
        ],
    );
    let Allowed::No { why, .. } = frozen.at(ms("2026-11-23T09:00:00Z")) else { panic!("frozen") };
    assert_eq!(why, "changes are frozen until 2026-11-28 08:00 UTC: black friday");
    let berlin = calendar(json!([{"days": "mon-thu", "hours": "09:00-16:00", "zone": "Europe/Berlin"}]), &[]);
    let Allowed::No { why, .. } = berlin.at(ms("2026-11-27T09:00:00Z")) else { panic!("closed") };
    let expect = "changes are made mon-thu 09:00-16:00 Europe/Berlin, next from 2026-11-30 09:00 CET on";
    assert_eq!(why, expect);
    assert!(frozen.of("dev", 0).freezes.is_empty() && frozen.of("prod", i64::MAX).freezes.is_empty());
}

#[test]
fn what_cannot_be_read_says_what_to_write() {
    let refused = |written| serde_json::from_value::<Window>(written).expect_err("refused").to_string();
    for (written, word) in [
        (json!({"days": "monday"}), "write `mon`"),
        (json!({"days": "mon-"}), "write `mon`"),
        (json!({"hours": "9-16"}), "write `09:00-16:00`"),
        (json!({"hours": "09:00-09:00"}), "write `09:00-16:00`"),
        (json!({"hours": "09:60-10:00"}), "write `09:00-16:00`"),
        (json!({"hours": "24:00-25:00"}), "write `09:00-16:00`"),
        (json!({"zone": "Mars/Olympus"}), "`Europe/Berlin`"),
        (json!({"zones": "UTC"}), "unknown field"),
    ] {
        let told = refused(written.clone());
        assert!(told.contains(word), "{written}: {told}");
    }
    let written = json!({"days": "fri-mon", "hours": "22:00-24:00", "zone": "Europe/Berlin", "environments": ["prod"]});
    let window: Window = serde_json::from_value(written.clone()).expect("a window");
    assert_eq!(serde_json::to_value(window).expect("JSON"), written);
}

fn act(id: &str, stage: &str, after: &[&str]) -> Step {
    let object = ObjectId::new("thing", id);
    let act = Act { verb: "put".into(), object: object.clone(), with: json!(null), touches: vec![object] };
    let mut step = Step::new(id, id, Work::Act(act));
    (step.stage, step.component) = (stage.into(), "cart".into());
    step.after = after.iter().map(|id| (*id).into()).collect();
    step
}

/// Steps and what they wait for, with the calendar put in.
fn held(steps: Vec<Step>, calendar: &Calendar) -> Vec<String> {
    let mut draft = Draft {
        title: "deploy".into(),
        reason: String::new(),
        target: "t".into(),
        labels: [].into(),
        made_ms: 0,
        time_limit_ms: 60_000,
        on_failure: OnFailure::Undo,
        steps,
    };
    hold(&mut draft, calendar);
    let plan = Plan::new(draft, &Inventory::new("t"));
    assert!(plan.order().is_some());
    let after = |step: &Step| step.after.iter().map(|id| id.0.as_str()).collect::<Vec<_>>().join(",");
    plan.steps.iter().map(|step| format!("{}<{}", step.id, after(step))).collect()
}

#[test]
fn the_first_changes_of_a_plan_wait_for_the_calendar() {
    let steps = || {
        vec![
            act("pull", "preparing", &[]),
            act("net", "preparing", &[]),
            act("a", "deploying", &["pull"]),
            act("b", "deploying", &["pull", "net"]),
            act("c", "deploying", &["a", "b"]),
            act("tidy", "verifying", &["c"]),
        ]
    };
    let open = calendar(json!([]), &[]);
    assert_eq!(held(steps(), &open), ["pull<", "net<", "a<pull", "b<pull,net", "c<a,b", "tidy<c"]);
    let mondays = calendar(json!([{"days": "mon"}]), &[]);
    let expect = ["pull<", "net<", "window<pull,net", "a<window", "b<window", "c<a,b", "tidy<c"];
    assert_eq!(held(steps(), &mondays), expect);
    assert_eq!(held(vec![act("pull", "preparing", &[])], &mondays), ["pull<"]);
}
