//! Why there is no plan: each case says what is in the way and what to do. It changes nothing.

use operate_plan::{Failure, Inventory, ObjectId, Seen};
use serde_json::Value;

use crate::color::{Color, front_id};
use crate::{Release, container_id, label, names, standing};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody knows what is there, so nothing can be promised.
    #[error("{object} could not be looked at: {failure}")]
    Unknown { object: ObjectId, failure: Failure },
    #[error("{strategy} needs a front that owns the service's port, and {service} has none")]
    NeedsFront { service: String, strategy: &'static str },
    #[error("{replicas} containers of {service} cannot all publish port {port}")]
    PortShared { service: String, replicas: u32, port: u16 },
    #[error("a container called {name} is there already, and apm did not make it")]
    NotOurs { name: String },
    /// It could not be made what it was.
    #[error("the container {name} cannot be adopted, for it could not be put back: {}", lost.join("; "))]
    Lost { name: String, lost: Vec<String> },
    #[error("a container called {name} is left from a release that did not end")]
    LeftOver { name: String },
    #[error("{service} {version} runs already, with the same settings")]
    NothingToDo { service: String, version: String },
    #[error("{service} cannot have {replicas} containers: 1 to 100 can be planned")]
    Replicas { service: String, replicas: u32 },
    /// The port is a front's, so no container can publish it.
    #[error("{service} stands behind a front, and {strategy} would give its port to a container")]
    OwnedByFront { service: String, strategy: &'static str },
    #[error("{service} has {replicas} containers, and a front sends to one of each color")]
    FrontReplicas { service: String, replicas: u32 },
    #[error("{service} uses the machine's own network, in which two versions cannot have one port")]
    HostNetwork { service: String },
    #[error("both versions of {service} run at once, and cannot both publish port {port}")]
    PublishedTwice { service: String, port: u16 },
    #[error("somebody listens on {address}, which `{setting}` names")]
    PortTaken { address: String, setting: String },
    #[error("the front of {control} listens on {listen}, and the settings say {wanted}")]
    FrontElsewhere { control: String, listen: String, wanted: String },
    #[error("the front of {control} sends to `{name}`, which is no color of apm's")]
    ForeignUpstream { control: String, name: String },
    #[error("the front sends requests to both colors of {service}: a release did not end")]
    Divided { service: String, control: String },
    #[error("both colors of {service} run and no front does, so nobody knows which of them served")]
    FrontGone { service: String, control: String, listen: String },
    #[error("{service} has no object that could be applied")]
    NoObjects { service: String },
    #[error("{who} may not {what}")]
    Forbidden { what: String, who: String, rule: String },
    #[error("{object} is being deleted")]
    Deleting { object: ObjectId },
    #[error("{object} is there already, and {managers} made it")]
    ForeignObject { object: ObjectId, managers: String },
    #[error("{strategy} needs a Deployment, and {service} has none")]
    NoDeployment { service: String, strategy: &'static str },
    #[error("no Service of this release sends to the Deployment {deployment}, so there is nothing to switch")]
    NoSender { deployment: String },
    #[error("the Services {} and {} send to different versions: a release did not end", services[0], services[1])]
    DividedServices { services: [String; 2] },
    #[error("{name} is left from a release that did not end")]
    LeftOverObject { name: String },
    #[error("several routes send to {service}: {}", routes.join(", "))]
    Routes { service: String, routes: Vec<String> },
    #[error("no route called {name} sends to a Service of {service}")]
    NoRoute { service: String, name: String },
    /// In the Gateway API the namespace of the receiver decides who of other namespaces sends to it.
    #[error("{route} may not send to the Service {service}: no ReferenceGrant in {} lets it", service.split('/').next().unwrap_or_default())]
    NoGrant { route: String, service: String },
    #[error("{route} cannot be weighed by subsets: {why}")]
    Subset { route: String, why: String },
    #[error(
        "the Service {name} sends to several Deployments of this release, so the old pods of one cannot be told from the new ones of another"
    )]
    SharedSender { name: String },
    #[error("nobody knows by which label the pods of {deployment} are told from new ones")]
    NoHash { deployment: String },
    #[error("{service} is released by Helm, which knows no {strategy}")]
    HelmStrategy { service: String, strategy: &'static str },
    /// Its program may be alive.
    #[error("the Helm release {name} says {status} since {} s: another helm may be at work on it", age_ms / 1000)]
    HelmBusy { name: String, status: String, age_ms: u64, stuck_after_ms: u64 },
    /// On one of several clusters.
    #[error("{cluster}: {refusal}")]
    At { cluster: String, refusal: Box<Refusal> },
}

impl Refusal {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Refusal::At { refusal, .. } => refusal.hint(),
            Refusal::Unknown { failure, .. } => failure.next.clone(),
            Refusal::NeedsFront { service, .. } => {
                format!(
                    "give it one: `services.{service}.deploy.front: {{ listen: \"127.0.0.1:8080\" }}`; or use `--strategy rolling` or `recreate`, with a short gap"
                )
            }
            Refusal::PortShared { .. } => "publish no port, or run one container".to_owned(),
            Refusal::NotOurs { .. } => "`--adopt` replaces it and can put it back; or rename it".to_owned(),
            Refusal::Lost { name, .. } => {
                format!("make it anew without that, or stop and remove it yourself: docker rm -f {name}")
            }
            Refusal::LeftOver { name } => {
                format!(
                    "`apm deploy list` names the run; resume or cancel it, or remove the container: docker rm -f {name}"
                )
            }
            Refusal::NothingToDo { .. } => "`--force` makes it anew".to_owned(),
            Refusal::Replicas { .. } => "set `replicas`".to_owned(),
            Refusal::OwnedByFront { .. } => {
                "use `--strategy blue-green` or `canary`; to give up the front, end it with `apm front stop` and remove the color"
                    .to_owned()
            }
            Refusal::FrontReplicas { .. } => "set `replicas: 1`, or use `--strategy rolling` without a front".to_owned(),
            Refusal::HostNetwork { .. } => "leave `networks` out, or name one of Docker's own".to_owned(),
            Refusal::PublishedTwice { .. } => "take it out of `ports`; the front's own port needs no line there".to_owned(),
            Refusal::PortTaken { .. } => "`ss -ltnp` names who; stop it, or set another port".to_owned(),
            Refusal::FrontElsewhere { control, .. } => {
                format!("set `listen` back, or end that front: apm front stop --control {control}")
            }
            Refusal::ForeignUpstream { control, .. } => {
                format!("somebody else uses this front: apm front status --control {control}; give the service another")
            }
            Refusal::Divided { control, .. } => {
                format!(
                    "`apm deploy list` names the run; `apm deploy watch` ends it; or choose one: apm front set --control {control} …"
                )
            }
            Refusal::FrontGone { control, listen, .. } => {
                format!("start it, and it serves as before: apm front run --listen {listen} --control {control}")
            }
            Refusal::HelmStrategy { .. } => "leave `strategy` out: its pods are rolled by the cluster; for another one name the chart's folder among `manifests`, where apm applies its objects itself".to_owned(),
            Refusal::HelmBusy { stuck_after_ms, .. } => {
                format!(
                    "wait for it; `--repair` if you know that no helm runs; what says so for {} min (`kubernetes.helm.stuck_after`) is repaired by the next release",
                    stuck_after_ms / 60_000
                )
            }
            Refusal::NoObjects { service } => {
                format!("name its manifests: `services.{service}.deploy.manifests: [k8s/]`")
            }
            Refusal::Forbidden { rule, .. } => {
                format!("ask for {rule}; or use another context: kubectl auth can-i --list")
            }
            Refusal::Deleting { object } => {
                format!("wait until {object} is gone; a finalizer may hold it: kubectl get -o yaml")
            }
            Refusal::ForeignObject { .. } => {
                "`--adopt` takes it over and can put it back; or rename the one in the manifest".to_owned()
            }
            Refusal::NoDeployment { .. } => "use `--strategy rolling`".to_owned(),
            Refusal::NoSender { .. } => {
                "add the Service whose selector its pods have, or use `--strategy rolling`".to_owned()
            }
            Refusal::Routes { .. } => {
                "say which: `kubernetes.route: { kind: HTTPRoute, name: … }`, with `namespace` where it is elsewhere; what comes by the others meets no canary until the end".to_owned()
            }
            Refusal::NoRoute { .. } => {
                "look at the namespace and at what the route sends to; `kubernetes.route: { kind: none }` lets the number of pods decide".to_owned()
            }
            Refusal::NoGrant { route, service } => {
                let (kind, name) = route.split_once(' ').unwrap_or_default();
                let from = name.split('/').next().unwrap_or_default();
                let canary = service.split('/').next_back().unwrap_or_default();
                format!(
                    "add one there, or to the manifests: `from: [{{ group: gateway.networking.k8s.io, kind: {kind}, namespace: {from} }}]`, `to: [{{ group: \"\", kind: Service }}]`, without a name or with `name: {canary}`; `kubernetes.route: {{ kind: none }}` lets the number of pods decide"
                )
            }
            Refusal::Subset { .. } => {
                "let it send to the Service without a subset, or to subsets of labels that every version has; `kubernetes.route: { kind: none }` lets the number of pods decide".to_owned()
            }
            Refusal::SharedSender { .. } => {
                "give each Deployment a Service of its own, or let the number of pods decide: `kubernetes.route: { kind: none }`".to_owned()
            }
            Refusal::NoHash { deployment } => {
                let name = deployment.rsplit('/').next().unwrap_or_default();
                format!("wait until its rollout has begun: kubectl rollout status deployment/{name}")
            }
            Refusal::DividedServices { .. } | Refusal::LeftOverObject { .. } => {
                "`apm deploy list` names the run; resume or cancel it".to_owned()
            }
        }
    }
}

/// What stands in the way of any release; what stands in the way of one behind a front is [`crate::standing`]'s.
pub(crate) fn check(release: &Release, seen: &Inventory) -> Result<(), Refusal> {
    let service = release.service.clone();
    if !(1..=100).contains(&release.replicas) {
        return Err(Refusal::Replicas { service, replicas: release.replicas });
    }
    let behind_front = release.strategy.needs_front();
    if behind_front {
        let Some(front) = &release.front else {
            return Err(Refusal::NeedsFront { service, strategy: release.strategy.word() });
        };
        standing::shape(release, front)?;
    }
    let published = release.container.ports.iter().find_map(|port| port.publish.as_ref());
    if let Some(publish) = published.filter(|_| release.replicas > 1 && !behind_front) {
        return Err(Refusal::PortShared { service, replicas: release.replicas, port: publish.port });
    }
    for object in crate::objects(release) {
        if let Seen::Unknown(failure) = seen.look(&object) {
            return Err(Refusal::Unknown { object, failure });
        }
    }
    for name in names(release) {
        for rest in ["-next", "-previous"] {
            let name = format!("{name}{rest}");
            if seen.present(&container_id(&name)).is_some() {
                return Err(Refusal::LeftOver { name });
            }
        }
    }
    if behind_front {
        return Ok(());
    }
    if let Some(front) = &release.front {
        let colors = Color::BOTH.map(|color| container_id(color.container(release)));
        if colors.iter().chain([&front_id(front)]).any(|object| seen.present(object).is_some()) {
            return Err(Refusal::OwnedByFront { service, strategy: release.strategy.word() });
        }
    }
    for name in names(release) {
        if seen.present(&container_id(&name)).is_some_and(|value| !is_ours(release, value)) && !release.adopt {
            return Err(Refusal::NotOurs { name });
        }
        let lost = |value: &Value| -> Vec<String> {
            value["lost"].as_array().into_iter().flatten().filter_map(|word| Some(word.as_str()?.to_owned())).collect()
        };
        if let Some(value) = seen.present(&container_id(&name)).filter(|value| !is_ours(release, value))
            && !lost(value).is_empty()
        {
            return Err(Refusal::Lost { name, lost: lost(value) });
        }
    }
    let config = crate::container::config(release);
    let same = |name: String| {
        seen.present(&container_id(name)).is_some_and(|value| {
            labelled(value, label::CONFIG) == Some(config.as_str()) && value["running"] == Value::Bool(true)
        })
    };
    if !release.force && names(release).into_iter().all(same) {
        return Err(Refusal::NothingToDo { service, version: release.version.clone() });
    }
    Ok(())
}

pub(crate) fn is_ours(release: &Release, value: &Value) -> bool {
    labelled(value, label::SERVICE) == Some(&release.service)
        && labelled(value, label::ENVIRONMENT) == Some(&release.environment)
}

/// The version of a container, as far as its labels say.
pub(crate) fn version_of(value: &Value) -> String {
    labelled(value, label::VERSION).unwrap_or("unknown").to_owned()
}

pub(crate) fn labelled<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get("labels")?.get(name)?.as_str()
}
