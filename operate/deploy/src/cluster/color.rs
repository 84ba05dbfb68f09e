//! The order of a blue-green release on a cluster: the new version is made beside the old one as a Deployment of the other color, and when it
//! is ready each Service is sent to it at once. The old color runs on until the new one has proved itself, so the way back is one change of
//! a selector.

use operate_plan::{Inventory, ObjectId, Plan};
use serde_json::{Value, json};

use super::arrival::arrivals;
use super::mesh::HASH;
use super::rolling::{apply_all, begin, finish};
use super::{ClusterRelease, Item, deployments, mark, object, services_of, steps};
use crate::line::DEPLOYING;
use crate::{Refusal, Strategy};

const COLORS: [&str; 2] = ["blue", "green"];
const AUTOSCALER: &str = "HorizontalPodAutoscaler.autoscaling";

/// What may stand beside a Deployment: its two colors, and its canary.
pub(super) fn beside(deployment: &ObjectId) -> Vec<ObjectId> {
    ["blue", "green", "canary"].map(|color| with_color(deployment, color)).into()
}

pub(super) fn with_color(deployment: &ObjectId, color: &str) -> ObjectId {
    ObjectId::new(&*deployment.kind, format!("{}-{color}", deployment.name))
}

/// The Deployment as one of its colors: its name, its selector and its pods say which.
pub(super) fn colored(item: &Item, color: &str) -> Item {
    let mut item = item.clone();
    let name = item.body["metadata"]["name"].as_str().unwrap_or_default();
    item.body["metadata"]["name"] = Value::from(format!("{name}-{color}"));
    for place in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
        if let Some(labels) = item.body.pointer_mut(place).and_then(Value::as_object_mut) {
            labels.insert(mark::COLOR.to_owned(), Value::from(color));
        }
    }
    item
}

/// The forms in which an object of a release can stand in the cluster as it is wanted.
pub(super) fn forms(release: &ClusterRelease, item: &Item) -> Vec<Item> {
    match (release.strategy, &*object(&item.body).kind) {
        (Strategy::BlueGreen, "Deployment.apps") => COLORS.map(|color| colored(item, color)).into(),
        (Strategy::BlueGreen, "Service") => {
            COLORS.map(|color| sending_to(item, color)).into_iter().chain([item.clone()]).collect()
        }
        (Strategy::BlueGreen, AUTOSCALER) if scaled(release, &item.body).is_some() => {
            COLORS.map(|color| following(item, color)).into()
        }
        _ => vec![item.clone()],
    }
}

/// The Deployment of this release that an autoscaler scales, or one of whose colors it does.
pub(super) fn scaled(release: &ClusterRelease, scaler: &Value) -> Option<String> {
    let target = &scaler["spec"]["scaleTargetRef"];
    let name = target["name"].as_str().filter(|_| target["kind"] == "Deployment")?;
    let namespace = &scaler["metadata"]["namespace"];
    let here = deployments(release).filter(|item| item.body["metadata"]["namespace"] == *namespace);
    let mut names = here.filter_map(|item| item.body["metadata"]["name"].as_str());
    let found = names.find(|plain| {
        name == *plain
            || COLORS.iter().any(|color| name.strip_prefix(plain).is_some_and(|rest| rest == format!("-{color}")))
    });
    found.map(str::to_owned)
}

/// The autoscaler of a Deployment, as that of one of its colors.
fn following(scaler: &Item, color: &str) -> Item {
    let mut item = scaler.clone();
    let name = item.body["spec"]["scaleTargetRef"]["name"].as_str().unwrap_or_default();
    item.body["spec"]["scaleTargetRef"]["name"] = Value::from(format!("{name}-{color}"));
    item.body["metadata"]["labels"][mark::COLOR] = Value::from(color);
    item
}

fn sending_to(service: &Item, color: &str) -> Item {
    let mut item = service.clone();
    item.body["spec"]["selector"][mark::COLOR] = Value::from(color);
    item
}

pub(super) fn plan(release: &ClusterRelease, seen: &Inventory, now_ms: i64) -> Result<Plan, Refusal> {
    let service = || release.service.clone();
    let wanted: Vec<&Item> = deployments(release).collect();
    if wanted.is_empty() {
        return Err(Refusal::NoDeployment { service: service(), strategy: release.strategy.word() });
    }
    let mut switches = Vec::new();
    let (mut made, mut old) = (Vec::new(), Vec::new());
    let (mut news, mut followers, mut grown) = (Vec::new(), Vec::new(), Vec::new());
    for item in &wanted {
        let plain = object(&item.body);
        let services = services_of(release, &item.body);
        if services.is_empty() {
            return Err(Refusal::NoSender { deployment: plain.name });
        }
        let serving = serving(&services, seen)?;
        let next = if serving.as_deref() == Some("blue") { "green" } else { "blue" };
        let new = colored(item, next);
        made.push(object(&new.body));
        let mut pods = 1;
        for id in COLORS.map(|color| with_color(&plain, color)).into_iter().chain([plain.clone()]) {
            if id == object(&new.body) {
                if seen.present(&id).is_some() {
                    return Err(Refusal::LeftOverObject { name: id.name });
                }
            } else if let Some(value) = seen.present(&id) {
                pods = pods.max(value["replicas"].as_u64().unwrap_or(1));
                old.push(id);
            }
        }
        // Who leaves the number to others, mostly an autoscaler, wants as many as serve now, not one.
        if pods > 1 && item.body["spec"]["replicas"].is_null() {
            grown.push((object(&new.body), pods));
        }
        let scaler = |other: &&Item| {
            object(&other.body).kind == AUTOSCALER
                && scaled(release, &other.body).as_deref() == item.body["metadata"]["name"].as_str()
                && other.body["metadata"]["namespace"] == item.body["metadata"]["namespace"]
        };
        followers.extend(release.items.iter().filter(scaler).map(|scaler| following(scaler, next)));
        for sender in services {
            switches.push((sender, plain.clone(), next));
        }
        news.push(new);
    }
    let mut line = begin(release, seen);
    // A Service that is there is not applied before the switch: its selector would send to both.
    let rest = release.items.iter().filter(|item| {
        let id = object(&item.body);
        let follows = followers.iter().any(|follower| object(&follower.body) == id);
        id.kind != "Deployment.apps" && !follows && !switches.iter().any(|(sender, ..)| object(&sender.body) == id)
    });
    apply_all(&mut line, rest, seen);
    let pins = switches.iter().filter_map(|(sender, plain, _)| pin(release, sender, plain, seen));
    line.add_side_by_side(DEPLOYING, pins.collect());
    let create = |item: &Item| {
        let mut step = steps::apply(release, item, seen);
        // Nobody sends to it yet.
        step.verify.truncate(1);
        step
    };
    line.add_side_by_side(DEPLOYING, news.iter().map(create).collect());
    let grow = |(id, pods): &(ObjectId, u64)| {
        let reason = "as many pods as serve now, for the manifest leaves the number to others";
        steps::scale(release, id, format!("scale-{}", steps::slug(id)), *pods, reason)
    };
    line.add_side_by_side(DEPLOYING, grown.iter().map(grow).collect());
    // Before anybody is sent there: without telemetry nobody would see how it does.
    line.add_side_by_side(DEPLOYING, arrivals(release, news.iter(), seen));
    let switch = |(sender, _, next): &(&Item, ObjectId, &str)| {
        let to = sending_to(sender, next);
        let id = object(&to.body);
        let mut step = steps::apply(release, &to, seen);
        step.id = format!("switch-{}", steps::slug(&id)).as_str().into();
        step.name = format!("send {} to {next}", steps::title(&id));
        step.reason = format!("{} {} takes over", release.service, release.version);
        // Its selector was narrowed by this plan, so it is not what was seen; whoever narrowed it owns that field as another manager.
        step.check.retain(|condition| condition.verb == "absent");
        if let operate_plan::Work::Act(act) = &mut step.work {
            act.with["force"] = Value::from(true);
        }
        step.verify.push(steps::condition(
            format!("{} sends to the new pods", steps::title(&id)),
            "ready",
            id.clone(),
            Value::Null,
        ));
        step
    };
    line.add_side_by_side(DEPLOYING, switches.iter().map(switch).collect());
    let follow = |follower: &Item| {
        let mut step = steps::apply(release, follower, seen);
        step.reason = "the autoscaler follows the pods that serve".into();
        // Of new pods there are no measurements for a while.
        for condition in &mut step.verify {
            condition.verb = "present".into();
        }
        step
    };
    line.add_side_by_side(DEPLOYING, followers.iter().map(follow).collect());
    let others = release.items.iter().map(|item| object(&item.body)).filter(|id| id.kind != "Deployment.apps");
    made.extend(others);
    Ok(finish(line, &made, &old, seen, now_ms))
}

/// The color that the Services send to; `None` where there is none yet.
fn serving(services: &[&Item], seen: &Inventory) -> Result<Option<String>, Refusal> {
    let mut colors = services.iter().filter_map(|item| {
        let id = object(&item.body);
        let color = seen.present(&id)?["selector"][mark::COLOR].as_str().map(str::to_owned);
        Some((id, color))
    });
    let Some((first, color)) = colors.next() else { return Ok(None) };
    match colors.find(|(_, other)| *other != color) {
        Some((other, _)) => Err(Refusal::DividedServices { services: [first.name, other.name] }),
        None => Ok(color),
    }
}

/// Before the first color comes, a Service sends to whatever has its labels; the new pods would have them too.
fn pin(release: &ClusterRelease, sender: &Item, plain: &ObjectId, seen: &Inventory) -> Option<operate_plan::Step> {
    let id = object(&sender.body);
    let now = &seen.present(&id)?["selector"];
    if now.get(mark::COLOR).is_some() || now.get(HASH).is_some() {
        return None;
    }
    let hash = seen.present(plain)?["hash"].as_str()?;
    let mut to = now.clone();
    to[HASH] = json!(hash);
    let name = format!("keep {} with the pods it has", steps::title(&id));
    let reason = "the new pods have its labels too, and must not be sent to before they are ready";
    Some(steps::select(release, &id, format!("pin-{}", steps::slug(&id)), name, reason, [now, &to]))
}
