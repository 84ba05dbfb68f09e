//! Why there is no plan: each case says what is in the way and what to do. It changes nothing.

use operate_plan::{Failure, Inventory, ObjectId, Seen};
use serde_json::Value;

use crate::{Release, Strategy, container_id, label, names};

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
}

impl Refusal {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Refusal::Unknown { failure, .. } => failure.next.clone(),
            Refusal::NeedsFront { .. } => {
                "use `--strategy rolling` or `recreate`: without a front a published port moves with a short gap"
                    .to_owned()
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
            Refusal::NothingToDo { .. } => "`--force` makes the container anew".to_owned(),
            Refusal::Replicas { .. } => "set `replicas`".to_owned(),
        }
    }
}

pub(crate) fn check(release: &Release, seen: &Inventory) -> Result<(), Refusal> {
    let service = release.service.clone();
    if !(1..=100).contains(&release.replicas) {
        return Err(Refusal::Replicas { service, replicas: release.replicas });
    }
    if matches!(release.strategy, Strategy::BlueGreen | Strategy::Canary) {
        return Err(Refusal::NeedsFront { service, strategy: release.strategy.word() });
    }
    let published = release.container.ports.iter().find_map(|port| port.publish.as_ref());
    if let Some(publish) = published.filter(|_| release.replicas > 1) {
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

fn is_ours(release: &Release, value: &Value) -> bool {
    labelled(value, label::SERVICE) == Some(&release.service)
        && labelled(value, label::ENVIRONMENT) == Some(&release.environment)
}

pub(crate) fn labelled<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get("labels")?.get(name)?.as_str()
}
