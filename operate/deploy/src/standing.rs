//! How a service behind a front stands: which color serves, what is there besides, or why nothing can be planned on it. It plans nothing.

use operate_plan::{Inventory, Seen};
use serde_json::Value;

use crate::color::{self, Color, Upstream};
use crate::container::{base, config};
use crate::refusal::{is_ours, labelled, version_of};
use crate::{Front, Refusal, Release, container_id, label};

/// What was seen of the service.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) front_runs: bool,
    /// The front's set in force; empty when no front runs.
    pub(crate) set: Vec<Upstream>,
    pub(crate) serving: Option<Serving>,
    /// A container without a color, from before the service had a front.
    pub(crate) plain: Option<Value>,
}

/// The color that gets the requests.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) color: Color,
    pub(crate) upstream: Upstream,
    /// `None` when the front sends to it and nothing is there.
    pub(crate) container: Option<Value>,
}

impl Standing {
    /// The color that the new version gets.
    pub(crate) fn next(&self) -> Color {
        self.serving.as_ref().map_or(Color::Blue, |serving| serving.color.other())
    }

    /// The version that is replaced.
    pub(crate) fn before(&self) -> Option<String> {
        let serving = self.serving.as_ref().and_then(|serving| serving.container.as_ref());
        serving.or(self.plain.as_ref()).map(version_of)
    }

    pub(crate) fn of(release: &Release, front: &Front, seen: &Inventory) -> Result<Standing, Refusal> {
        let plain = seen.present(&container_id(base(release))).cloned();
        if plain.as_ref().is_some_and(|value| !is_ours(release, value)) && !release.adopt {
            return Err(Refusal::NotOurs { name: base(release) });
        }
        let set = set(front, seen)?;
        let front_runs = set.is_some();
        let set = set.unwrap_or_default();
        let there = |color: Color| seen.present(&container_id(color.container(release))).cloned();
        let serving = match front_runs {
            true => set.iter().filter(|one| one.serves()).filter_map(|one| Color::named(&one.name)).collect(),
            // Nobody serves, and the one that runs is the one that did.
            false => Color::BOTH.into_iter().filter(|color| there(*color).is_some_and(|value| runs(&value))).collect(),
        };
        let serving: Vec<Color> = serving;
        let service = || release.service.clone();
        let serving = match serving[..] {
            [] => None,
            [color] => {
                let upstream = set.iter().find(|one| one.name == color.word()).cloned();
                let upstream = upstream.unwrap_or_else(|| color.upstream(release, front, 1));
                Some(Serving { color, upstream, container: there(color) })
            }
            _ if front_runs => return Err(Refusal::Divided { service: service(), control: front.control.clone() }),
            _ => {
                let (control, listen) = (front.control.clone(), front.listen.clone());
                return Err(Refusal::FrontGone { service: service(), control, listen });
            }
        };
        let standing = Standing { front_runs, set, serving, plain };
        standing.left_over(release, &there)?;
        standing.nothing_to_do(release, front)?;
        standing.ports(release, front, seen)?;
        Ok(standing)
    }

    fn left_over(&self, release: &Release, there: &dyn Fn(Color) -> Option<Value>) -> Result<(), Refusal> {
        let serves = |color: Color| self.serving.as_ref().is_some_and(|serving| serving.color == color);
        for color in Color::BOTH.into_iter().filter(|color| !serves(*color)) {
            if there(color).is_some() {
                return Err(Refusal::LeftOver { name: color.container(release) });
            }
        }
        match self.plain {
            Some(_) if self.serving.is_some() => Err(Refusal::LeftOver { name: base(release) }),
            _ => Ok(()),
        }
    }

    fn nothing_to_do(&self, release: &Release, front: &Front) -> Result<(), Refusal> {
        let Some(serving) = self.serving.as_ref().filter(|_| self.front_runs && !release.force) else { return Ok(()) };
        let wanted = config(&serving.color.release(release, front));
        let same = |value: &Value| labelled(value, label::CONFIG) == Some(wanted.as_str()) && runs(value);
        match serving.container.as_ref().is_some_and(same) {
            true => Err(Refusal::NothingToDo { service: release.service.clone(), version: release.version.clone() }),
            false => Ok(()),
        }
    }

    /// Whoever listens where we must is found before anything is changed.
    fn ports(&self, release: &Release, front: &Front, seen: &Inventory) -> Result<(), Refusal> {
        let free = |address: String, setting: &str| match seen.look(&color::port_id(&address)) {
            Seen::Absent => Ok(()),
            _ => {
                let setting = format!("services.{}.deploy.front.{setting}", release.service);
                Err(Refusal::PortTaken { address, setting })
            }
        };
        free(color::color_port_id(self.next(), front).name, "ports")?;
        // The one that is there may own the port; it gives it up before the front takes it.
        match self.front_runs || self.plain.as_ref().is_some_and(runs) {
            true => Ok(()),
            false => free(front.listen.clone(), "listen"),
        }
    }
}

pub(crate) fn runs(value: &Value) -> bool {
    value["running"] == Value::Bool(true)
}

/// What no front can stand before.
pub(crate) fn shape(release: &Release, front: &Front) -> Result<(), Refusal> {
    let service = release.service.clone();
    if release.replicas != 1 {
        return Err(Refusal::FrontReplicas { service, replicas: release.replicas });
    }
    if release.container.networks.iter().any(|name| name == "host") {
        return Err(Refusal::HostNetwork { service });
    }
    let mut published =
        release.container.ports.iter().filter(|port| port.container != front.port && port.publish.is_some());
    match published.next().and_then(|port| port.publish.as_ref()) {
        Some(publish) => Err(Refusal::PublishedTwice { service, port: publish.port }),
        None => Ok(()),
    }
}

/// `None` when no front runs.
fn set(front: &Front, seen: &Inventory) -> Result<Option<Vec<Upstream>>, Refusal> {
    let Some(value) = seen.present(&color::front_id(front)) else { return Ok(None) };
    let control = || front.control.clone();
    let listen = value["listen"].as_str().unwrap_or_default();
    if listen != front.listen {
        let (listen, wanted) = (listen.to_owned(), front.listen.clone());
        return Err(Refusal::FrontElsewhere { control: control(), listen, wanted });
    }
    let set: Vec<Upstream> = serde_json::from_value(value["upstreams"].clone()).unwrap_or_default();
    match set.iter().find(|one| Color::named(&one.name).is_none()) {
        Some(foreign) => Err(Refusal::ForeignUpstream { control: control(), name: foreign.name.clone() }),
        None => Ok(Some(set)),
    }
}
