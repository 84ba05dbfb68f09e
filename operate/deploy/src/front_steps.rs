//! The single steps on a front, each with what it needs, what it expects and the `apm front` command that does the same. It does not know
//! their order.

use operate_plan::{Step, Undo};
use serde_json::{Value, json};

use crate::Front;
use crate::color::{Color, Upstream, front_id};
use crate::steps::{act, condition, guess};

/// How long requests that have begun may take before nobody waits for them any more.
const DRAIN_MS: u64 = 30_000;

/// For people: `90 % to blue and 10 % to green`.
pub(crate) fn shares(set: &[Upstream]) -> String {
    let serving: Vec<_> = set.iter().filter(|one| one.serves()).collect();
    let whole: u64 = serving.iter().map(|one| u64::from(one.weight)).sum();
    match serving[..] {
        [] => "nothing to anybody".to_owned(),
        [one] => format!("everything to {}", one.name),
        _ => {
            let share = |one: &&Upstream| format!("{} % to {}", u64::from(one.weight) * 100 / whole.max(1), one.name);
            serving.iter().map(share).collect::<Vec<_>>().join(" and ")
        }
    }
}

/// Puts another set in force.
pub(crate) fn set(front: &Front, id: String, title: String, reason: &str, from: &[Upstream], to: &[Upstream]) -> Step {
    let object = front_id(front);
    let with = json!({"from": from, "to": to});
    let mut step = act(id, title, "set", object.clone(), with, Vec::new());
    step.reason = reason.to_owned();
    let still = format!("the front still sends {}", shares(from));
    step.check = vec![condition(still, "sends", object.clone(), json!({"to": from}))];
    step.verify = vec![condition(format!("the front sends {}", shares(to)), "sends", object, json!({"to": to}))];
    step.by_hand = by_hand(front, to);
    guess(step, 50)
}

/// Starts the front, as a process that nobody's end takes with it, with this set in force.
pub(crate) fn start(front: &Front, reason: String, to: &[Upstream]) -> Step {
    let object = front_id(front);
    let with = json!({"listen": front.listen, "to": to});
    let title = format!("start the front on {}", front.listen);
    let mut step = act("front".into(), title, "start", object.clone(), with, Vec::new());
    step.reason = reason;
    step.check = vec![condition("no front answers there".into(), "absent", object.clone(), Value::Null)];
    let says = format!("the front sends {}", shares(to));
    step.verify = vec![condition(says, "sends", object, json!({"to": to}))];
    let run = format!("apm front run --listen {} --control {} &", front.listen, front.control);
    // In a shell nobody waits until it answers.
    step.by_hand = format!("{run} sleep 1; {}", by_hand(front, to));
    guess(step, 500)
}

/// The step, and that the front finds this color well.
pub(crate) fn well(mut step: Step, front: &Front, color: Color) -> Step {
    let says = format!("the front finds {} well", color.word());
    step.verify.push(condition(says, "well", front_id(front), json!({"upstream": color.word()})));
    step
}

/// Waits until a color holds no request any more; nobody's harm if one never ends.
pub(crate) fn drain(front: &Front, color: Color) -> Step {
    let (object, word) = (front_id(front), color.word());
    let with = json!({"upstream": word, "timeout_ms": 1_000});
    let title = format!("wait until {word} holds no request");
    let mut step = act(format!("drain-{word}"), title, "drain", object.clone(), with, Vec::new());
    step.reason = "what had begun ends where it began".into();
    step.verify = vec![condition(format!("{word} holds no request"), "idle", object, json!({"upstream": word}))];
    step.undo = Undo::Needless { why: "it only waits".into() };
    step.optional = true;
    step.time_limit_ms = DRAIN_MS;
    step.by_hand = format!("apm front drain --control {} {word}", front.control);
    guess(step, 500)
}

fn by_hand(front: &Front, to: &[Upstream]) -> String {
    let check = to.iter().find_map(|one| one.check.as_ref());
    let check = check.map(|check| format!(" --check {}", check.http.as_deref().unwrap_or("tcp"))).unwrap_or_default();
    let upstreams: String = to.iter().map(|one| format!(" {}={}*{}", one.name, one.address, one.weight)).collect();
    format!("apm front set --control {}{check}{upstreams}", front.control)
}
