//! What is wrong with one pod, the cause before its effects: a pod that has no node has no containers to speak of, and a container that
//! cannot be made is not ready either.

use serde_json::Value;

use super::{Scene, Spoke, Trouble, condition, events, list, name, number, schedule, text};

/// The trouble of a pod, if it has one.
pub(super) fn trouble(pod: &Value, scene: &Scene<'_>) -> Option<Trouble> {
    let all_events = scene.events;
    if let Some(("False", "Unschedulable", message)) = condition(pod, "PodScheduled") {
        return Some(schedule::trouble(pod, message, scene.nodes));
    }
    if let Some(("False", "SchedulingGated", message)) = condition(pod, "PodScheduled") {
        let message = format!("pod {} is held back by a scheduling gate: {message}", name(pod));
        return Some(Trouble::new("kube.gated", message, "whoever set `schedulingGates` has to remove them"));
    }
    if let Some(evicted) = ended(pod) {
        return Some(evicted);
    }
    let statuses = || list(pod, "/status/initContainerStatuses").iter().chain(list(pod, "/status/containerStatuses"));
    let made = statuses().find_map(|status| waiting(pod, status, all_events));
    made.or_else(|| events::of_mounts(pod, all_events))
        .or_else(|| statuses().find_map(|status| restarted(pod, status, all_events)))
        .or_else(|| statuses().find_map(|status| unready(pod, status, all_events)))
}

/// A pod that is over as a whole: evicted, out of its deadline, refused by its node.
fn ended(pod: &Value) -> Option<Trouble> {
    if text(pod, "/status/phase") != "Failed" {
        return None;
    }
    let (reason, message) = (text(pod, "/status/reason"), text(pod, "/status/message"));
    let told = match (reason, message) {
        ("", "") => {
            let ended = list(pod, "/status/containerStatuses").iter().find_map(|status| {
                let end = status.pointer("/state/terminated")?;
                Some((name_of(status), end_words(end)))
            });
            let (container, end) = ended?;
            let message = format!("container {container} of pod {} {end}", name(pod));
            let trouble = Trouble::new("kube.ended", message, "its last words say why").lasting();
            return Some(Trouble { spoke: Some(spoke(pod, container, false)), ..trouble });
        }
        (reason, "") => reason.to_owned(),
        (_, message) => message.to_owned(),
    };
    let next = match reason {
        "Evicted" => "the node was short of something: look at `kubectl describe node`, and set requests and limits",
        _ => "look at the pod: kubectl describe pod",
    };
    Some(Trouble::new("kube.ended", format!("pod {} failed: {told}", name(pod)), next))
}

/// A container that was never made, by the kubelet's reason for waiting.
fn waiting(pod: &Value, status: &Value, all_events: &[Value]) -> Option<Trouble> {
    let reason = text(status, "/state/waiting/reason");
    let said = text(status, "/state/waiting/message");
    let (pod_name, container, image) = (name(pod), name_of(status), text(status, "/image"));
    let who = format!("container {container} of pod {pod_name}");
    Some(match reason {
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "ImageInspectError" => {
            // The back-off says only that it waits; why is in the event before it.
            let why = events::why_no_image(pod, all_events).unwrap_or(said);
            let lasting = ["not found", "manifest unknown", "denied", "unauthorized", "does not exist", "401", "403"]
                .iter()
                .any(|word| why.to_ascii_lowercase().contains(word));
            let next = match lasting {
                true => "check the image's name and tag, and `imagePullSecrets` if the registry wants a login",
                false => "see whether the node reaches the registry",
            };
            let message = format!("{who} has no image: {image} cannot be pulled: {}", short(why));
            Trouble { lasting, ..Trouble::new("kube.image", message, next) }
        }
        "InvalidImageName" => {
            Trouble::new("kube.image", format!("{who}: `{image}` is no image name"), "correct `image`").lasting()
        }
        "ErrImageNeverPull" => {
            let message =
                format!("{who}: {image} is not on the node, and `imagePullPolicy: Never` forbids to fetch it");
            Trouble::new("kube.image", message, "bring the image to the node, or change `imagePullPolicy`").lasting()
        }
        "CreateContainerConfigError" => {
            let message = format!("{who} cannot be configured: {}", short(said));
            let next = "make the ConfigMap, Secret or key that it names, or correct the reference";
            Trouble::new("kube.config", message, next).lasting()
        }
        "CreateContainerError" | "RunContainerError" | "PreStartHookError" | "PostStartHookError" | "StartError" => {
            let message = format!("{who} cannot be started: {}", short(said));
            Trouble::new("kube.start", message, "check its command, its mounts and its security context").lasting()
        }
        "CrashLoopBackOff" => crash_loop(pod, status, all_events),
        _ => return None,
    })
}

/// A container that was made anew, and runs or is about to.
fn restarted(pod: &Value, status: &Value, all_events: &[Value]) -> Option<Trouble> {
    let ended = status.pointer("/lastState/terminated").or_else(|| status.pointer("/state/terminated"))?;
    // An init container that ended well has done its work.
    let fine = number(ended, "/exitCode") == 0 && number(status, "/restartCount") == 0;
    // A rolling update restarts nothing: each restart of a new pod is its own.
    (!fine && status["ready"] != true).then(|| crash_loop(pod, status, all_events))
}

fn crash_loop(pod: &Value, status: &Value, all_events: &[Value]) -> Trouble {
    let (container, restarts) = (name_of(status), number(status, "/restartCount"));
    let ended = status.pointer("/lastState/terminated").or_else(|| status.pointer("/state/terminated"));
    let how = ended.map_or("ended".to_owned(), end_words);
    let again = match restarts {
        0 => String::new(),
        1 => ", and was started again once".to_owned(),
        many => format!(", and was started again {many} times"),
    };
    let mut message = format!("container {container} of pod {} {how}{again}", name(pod));
    let mut next = "read its last words, and run the image by hand";
    let killed_for_memory = ended.is_some_and(|end| end["reason"] == "OOMKilled");
    let code = if killed_for_memory { "kube.memory" } else { "kube.crash-loop" };
    if killed_for_memory {
        next = "raise `resources.limits.memory`, or find what takes it";
    } else if let Some(probe) = events::failed_probe(pod, container, "Liveness", all_events) {
        message.push_str(&format!("; {probe}"));
        next = "see why the liveness probe fails, or give it more time";
    }
    // Once may be a service that was not there yet; twice is the program's own.
    let waits = text(status, "/state/waiting/reason") == "CrashLoopBackOff";
    let lasting = restarts >= 2 || killed_for_memory || (waits && restarts >= 1);
    let spoke = Some(spoke(pod, container, restarts > 0));
    Trouble { lasting, spoke, ..Trouble::new(code, message, next) }
}

/// A container that runs and does not answer its probe.
fn unready(pod: &Value, status: &Value, all_events: &[Value]) -> Option<Trouble> {
    if status["ready"] == true || status.pointer("/state/running").is_none() {
        return None;
    }
    let container = name_of(status);
    let kinds = ["Startup", "Readiness"];
    let probe = kinds.iter().find_map(|kind| events::failed_probe(pod, container, kind, all_events))?;
    let message = format!("container {container} of pod {} runs and is not ready: {probe}", name(pod));
    let next = "see why it does not answer, or correct the probe's path and port";
    Some(Trouble { spoke: Some(spoke(pod, container, false)), ..Trouble::new("kube.unready", message, next) })
}

fn name_of(status: &Value) -> &str {
    text(status, "/name")
}

fn spoke(pod: &Value, container: &str, previous: bool) -> Spoke {
    Spoke { pod: name(pod).to_owned(), container: container.to_owned(), previous }
}

fn end_words(end: &Value) -> String {
    let (code, signal, reason) = (number(end, "/exitCode"), number(end, "/signal"), text(end, "/reason"));
    let said = text(end, "/message").trim();
    let mut words = match (reason, signal) {
        ("OOMKilled", _) => "was killed for the memory it took".to_owned(),
        ("StartError" | "ContainerCannotRun", _) => "cannot be started".to_owned(),
        (_, 0) => format!("ended with code {code}"),
        (_, signal) => format!("was ended by signal {signal}"),
    };
    if !said.is_empty() {
        words.push_str(&format!(" ({})", short(said)));
    }
    words
}

/// One line that a person can read: runtimes repeat themselves.
pub(super) fn short(text: &str) -> String {
    const MAX: usize = 300;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}
