//! The single steps of a release on Docker, each with what it needs, what it expects and what it touches. It does not know their order.

use operate_plan::{Act, Blast, Condition, Estimate, ObjectId, Retry, Step, Undo, Work};
use serde_json::{Value, json};

use crate::{Check, Release, Scan, by_hand, container, container_id};

pub(crate) fn condition(says: String, verb: &str, object: ObjectId, with: Value) -> Condition {
    Condition { says, verb: verb.to_owned(), object, with }
}

pub(crate) fn act(id: String, name: String, verb: &str, object: ObjectId, with: Value, touches: Vec<ObjectId>) -> Step {
    let touches = if touches.is_empty() { vec![object.clone()] } else { touches };
    Step::new(id, name, Work::Act(Act { verb: verb.to_owned(), object, with, touches }))
}

pub(crate) fn guess(mut step: Step, usual_ms: u64) -> Step {
    step.estimate = Estimate { usual_ms, p90_ms: usual_ms.saturating_mul(3), ..Estimate::default() };
    step
}

/// Gets the image onto the machine.
pub(crate) fn pull(release: &Release) -> Step {
    let exact = release.exact();
    let object = ObjectId::new("image", exact);
    let mut step =
        act("pull".into(), format!("pull {}", release.image), "pull", object.clone(), Value::Null, Vec::new());
    step.reason = match &release.pinned {
        None => "the image is not on this machine yet".into(),
        Some(_) => format!("the image is not on this machine yet; {} is {exact} now", release.image),
    };
    step.verify = vec![condition(format!("{exact} is here"), "present", object, Value::Null)];
    step.undo = Undo::Needless { why: "an image that nobody runs does no harm".into() };
    step.time_limit_ms = 10 * 60_000;
    step.retry = Retry::Exponential { attempts: 5, first_ms: 1_000, most_ms: 30_000 };
    step.by_hand = format!("docker pull {exact}");
    guess(step, 20_000)
}

/// A scanner that loads its list of weaknesses first takes minutes.
const SCAN_MS_MAX: u64 = 15 * 60_000;

/// What every step that looks into an image begins with.
pub(crate) const SCAN: &str = "scan";

/// Looks into the image for what is known to be bad.
pub(crate) fn scan(release: &Release, scan: &Scan) -> Step {
    let exact = release.exact();
    let mut request = scan.request.clone();
    if let Some(place) = request.pointer_mut(&scan.image_at) {
        *place = exact.into();
    }
    let mut step = Step::new(SCAN, format!("scan image {}", release.image), Work::Judge(request));
    step.reason = "what is known to be bad is found before anything is changed".into();
    step.time_limit_ms = SCAN_MS_MAX;
    let words = scan.by_hand.iter().map(String::as_str).chain([exact]);
    step.by_hand = words.map(by_hand::quoted).collect::<Vec<_>>().join(" ");
    guess(step, 15_000)
}

/// Makes a network or a volume that is not there.
pub(crate) fn ensure(kind: &str, name: &str) -> Step {
    let object = ObjectId::new(kind, name);
    let mut step = act(
        format!("{kind}-{name}"),
        format!("create the {kind} {name}"),
        "create",
        object.clone(),
        Value::Null,
        Vec::new(),
    );
    step.reason = format!("the service uses the {kind} {name}, and it is not there");
    step.verify = vec![condition(format!("the {kind} {name} is there"), "present", object, Value::Null)];
    if kind == "volume" {
        step.undo = Undo::Needless { why: "an empty volume does no harm, and data in it would be lost".into() };
    }
    step.by_hand = format!("docker {kind} create {name}");
    guess(step, 500)
}

/// Makes the new container beside the old one, without starting it.
pub(crate) fn create(release: &Release, id: String, name: &str) -> Step {
    let object = container_id(name);
    let joins = container::joins(release);
    let with = json!({"body": container::body(release), "joins": joins, "secrets": release.container.secrets});
    let title = format!("create {} {} beside what runs", release.service, release.version);
    let mut step = act(id, title, "create", object.clone(), with, Vec::new());
    step.reason = format!("{} asked for {} {}", release.actor, release.service, release.version);
    step.check =
        vec![condition(format!("no container is called {}", object.name), "absent", object.clone(), Value::Null)];
    step.verify = vec![condition(format!("{} is there", object.name), "present", object.clone(), Value::Null)];
    step.by_hand = by_hand::create(release, &object.name);
    guess(step, 1_000)
}

/// Stops the old container, which must still be the one that was seen.
pub(crate) fn stop(release: &Release, name: &str, id: &Value, reason: &str) -> Step {
    let object = container_id(name);
    let mut step = act(
        format!("stop-{name}"),
        format!("stop the {name} that runs"),
        "stop",
        object.clone(),
        Value::Null,
        Vec::new(),
    );
    step.reason = reason.to_owned();
    step.check = vec![condition(
        format!("{name} is still the container that was seen"),
        "same",
        object.clone(),
        json!({"id": id}),
    )];
    step.verify = vec![condition(format!("{name} has stopped"), "stopped", object, Value::Null)];
    step.blast = Blast { objects_max: 1, down_max: 1 };
    let grace_s = u64::from(release.container.stop_grace_s).max(10);
    step.time_limit_ms = (grace_s + 30) * 1_000;
    step.by_hand = format!("docker stop {name}");
    guess(step, 2_000)
}

/// Gives a container another name.
pub(crate) fn rename(id: String, title: &str, reason: &str, from: &str, to: &str) -> Step {
    let (object, other) = (container_id(from), container_id(to));
    let with = json!({"to": to});
    let mut step = act(id, title.to_owned(), "rename", object.clone(), with, vec![object.clone(), other.clone()]);
    step.reason = reason.to_owned();
    step.check = vec![
        condition(format!("{from} is there"), "present", object.clone(), Value::Null),
        condition(format!("no container is called {to}"), "absent", other.clone(), Value::Null),
    ];
    step.verify = vec![
        condition(format!("{to} is there"), "present", other, Value::Null),
        condition(format!("no container is called {from}"), "absent", object, Value::Null),
    ];
    step.by_hand = format!("docker rename {from} {to}");
    guess(step, 200)
}

/// Starts the new container and waits until it answers.
pub(crate) fn start(release: &Release, name: &str, reason: &str) -> Step {
    let object = container_id(name);
    let title = format!("start {} {}", release.service, release.version);
    let mut step = act(format!("start-{name}"), title, "start", object.clone(), Value::Null, Vec::new());
    step.reason = reason.to_owned();
    step.verify = vec![condition(format!("{name} runs and is healthy"), "healthy", object.clone(), Value::Null)];
    step.verify.extend(release.checks.iter().map(|check| match check {
        Check::Http { path, port } => condition(
            format!("{name} answers GET {path} on port {port}"),
            "answers",
            object.clone(),
            json!({"path": path, "port": port}),
        ),
        Check::Tcp { port } => condition(
            format!("{name} takes connections on port {port}"),
            "answers",
            object.clone(),
            json!({"port": port}),
        ),
    }));
    step.blast = Blast { objects_max: 1, down_max: 1 };
    step.time_limit_ms = release.ready_ms;
    step.by_hand = format!("docker start {name}");
    guess(step, 3_000)
}

/// Removes a container that is no longer needed.
pub(crate) fn remove(name: &str, reason: &str) -> Step {
    let object = container_id(name);
    let mut step =
        act(format!("remove-{name}"), format!("remove {name}"), "remove", object.clone(), Value::Null, Vec::new());
    step.reason = reason.to_owned();
    step.verify = vec![condition(format!("{name} is gone"), "absent", object, Value::Null)];
    step.optional = true;
    step.by_hand = format!("docker rm {name}");
    guess(step, 1_000)
}
