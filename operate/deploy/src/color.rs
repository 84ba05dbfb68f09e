//! The two colors of a service behind a front: what their containers are called, where they are published, and how each is an upstream
//! (docs/formats/front-control.md). It does not know which of them serves.

use operate_plan::ObjectId;
use serde::{Deserialize, Serialize};

use crate::container::base;
use crate::{Check, Front, Port, Publish, Release, container_id};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    Blue,
    Green,
}

impl Color {
    pub(crate) const BOTH: [Color; 2] = [Color::Blue, Color::Green];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Color::Blue => "blue",
            Color::Green => "green",
        }
    }

    pub(crate) fn other(self) -> Color {
        match self {
            Color::Blue => Color::Green,
            Color::Green => Color::Blue,
        }
    }

    pub(crate) fn named(name: &str) -> Option<Color> {
        Color::BOTH.into_iter().find(|color| color.word() == name)
    }

    /// Its port on the machine's loopback.
    pub(crate) fn port(self, front: &Front) -> u16 {
        let [blue, green] = front.ports;
        match self {
            Color::Blue => blue,
            Color::Green => green,
        }
    }

    pub(crate) fn container(self, release: &Release) -> String {
        format!("{}-{}", base(release), self.word())
    }

    /// The release as this color runs it: published where the front finds it, and nowhere else.
    pub(crate) fn release(self, release: &Release, front: &Front) -> Release {
        let mut colored = release.clone();
        let ports = &mut colored.container.ports;
        ports.retain(|port| port.container != front.port);
        let publish = Publish { address: LOOPBACK.to_owned(), port: self.port(front) };
        ports.insert(0, Port { container: front.port, publish: Some(publish) });
        colored
    }

    /// As an upstream of the front, with a check of the kind that the release asks for.
    pub(crate) fn upstream(self, release: &Release, front: &Front, weight: u32) -> Upstream {
        let http = release.checks.iter().find_map(|check| match check {
            Check::Http { path, port } if *port == front.port => Some(path.clone()),
            _ => None,
        });
        Upstream {
            name: self.word().to_owned(),
            address: format!("{LOOPBACK}:{}", self.port(front)),
            weight,
            protocol: "auto".to_owned(),
            check: Some(UpstreamCheck { http, ..UpstreamCheck::default() }),
            draining: false,
        }
    }
}

const LOOPBACK: &str = "127.0.0.1";

pub(crate) fn front_id(front: &Front) -> ObjectId {
    ObjectId::new("front", &front.control)
}

/// An address of the machine, on which somebody listens or nobody does.
pub(crate) fn port_id(address: &str) -> ObjectId {
    ObjectId::new("port", address)
}

pub(crate) fn color_port_id(color: Color, front: &Front) -> ObjectId {
    port_id(&format!("{LOOPBACK}:{}", color.port(front)))
}

/// What must be looked at besides, where the service has a front.
pub(crate) fn objects(release: &Release, front: &Front) -> Vec<ObjectId> {
    let mut objects = vec![front_id(front), port_id(&front.listen)];
    for color in Color::BOTH {
        objects.extend([container_id(color.container(release)), color_port_id(color, front)]);
    }
    objects
}

/// In the front's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) weight: u32,
    pub(crate) protocol: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) check: Option<UpstreamCheck>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) draining: bool,
}

impl Upstream {
    pub(crate) fn serves(&self) -> bool {
        self.weight > 0 && !self.draining
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct UpstreamCheck {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http: Option<String>,
    pub(crate) interval_ms: u64,
    pub(crate) timeout_ms: u64,
    pub(crate) healthy_after: u32,
    pub(crate) unhealthy_after: u32,
}

impl Default for UpstreamCheck {
    fn default() -> UpstreamCheck {
        UpstreamCheck { http: None, interval_ms: 1_000, timeout_ms: 1_000, healthy_after: 2, unhealthy_after: 3 }
    }
}
