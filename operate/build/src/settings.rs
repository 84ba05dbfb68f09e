//! What `apm.yaml` says about building a service, at `services.NAME.build`. It may differ by environment, as every setting may.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// How the agent comes to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inject {
    /// In a generated last stage of the image.
    #[default]
    Build,
    /// In a named volume that the container gets when it is deployed; the image is the user's own.
    Volume,
    /// In an image of its own, whose volume the program's container shares.
    SideContainer,
    None,
}

impl Inject {
    pub fn word(self) -> &'static str {
        match self {
            Inject::Build => "build",
            Inject::Volume => "volume",
            Inject::SideContainer => "side-container",
            Inject::None => "none",
        }
    }
}

/// One service's build.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct BuildSettings {
    /// `None` where nobody chose: a build then adds the agent to the image, a deployment adds nothing.
    pub inject: Option<Inject>,
    /// The build context.
    pub context: Option<PathBuf>,
    /// The Dockerfile.
    pub file: Option<PathBuf>,
    pub target: Option<String>,
    pub args: BTreeMap<String, String>,
    /// `linux/arm64`
    pub platform: Option<String>,
    pub cache_from: Vec<String>,
    /// A folder with the agent, instead of the one that is fetched.
    pub agent: Option<PathBuf>,
}

/// The volume with a service's agent; the version keeps a later build from changing what an earlier version runs with. The engine's names hold letters,
/// digits, `_`, `.` and `-`.
pub fn volume_name(service: &str, version: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') { c } else { '-' };
    format!("apm-agent-{service}-{version}").chars().map(plain).collect()
}
