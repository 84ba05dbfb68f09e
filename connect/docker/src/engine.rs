//! The engine itself: the handle, the API version both sides speak, what the engine says about itself. It does not know what runs on it.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::call::{Call, QUICK};
use crate::find::Found;
use crate::place::Place;
use crate::{DockerError, Object, Result, tls};

/// Docker 20.10.
const API_MIN: (u32, u32) = (1, 41);
/// What Docker 25 and 29 both speak; nothing newer is needed.
const API_MAX: (u32, u32) = (1, 44);

/// A Docker engine; cheap to clone. Making one connects to nothing.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) found: Found,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    /// For calls that only look something up or change a record.
    pub(crate) quick_max: Duration,
    /// Asked once, at the first call.
    api: OnceCell<String>,
}

/// Which engine it is.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
pub struct EngineVersion {
    /// Of the engine: `20.10.24`.
    pub version: String,
    /// The newest API it speaks: `1.41`.
    pub api_version: String,
    /// The oldest one it still speaks.
    #[serde(rename = "MinAPIVersion", default)]
    pub api_version_min: String,
    #[serde(default)]
    pub os: String,
    #[serde(default)]
    pub arch: String,
    #[serde(default)]
    pub kernel_version: String,
}

/// What the engine says about its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineInfo {
    /// The machine's name.
    pub name: String,
    pub cpus: u64,
    pub memory_bytes: u64,
    pub containers: u64,
    pub containers_running: u64,
    pub images: u64,
    pub storage_driver: String,
    pub cgroup_version: String,
    pub rootless: bool,
    /// What does not work on this machine, in the engine's words.
    pub warnings: Vec<String>,
    /// Registries spoken to without TLS.
    pub insecure_registries: Vec<String>,
}

impl Engine {
    /// The engine that was found. Fails only when certificates cannot be read.
    pub fn new(found: Found) -> Result<Self> {
        Self::with_patience(found, QUICK)
    }

    /// The same with another limit for the calls that only look something up or change a record; 30 s else.
    pub fn with_patience(found: Found, quick_max: Duration) -> Result<Self> {
        let tls = match &found.place {
            Place::Tcp { tls: Some(files), .. } => Some(
                tls::config(files)
                    .map_err(|problem| DockerError::BadAddress { found_by: found.found_by.clone(), problem })?,
            ),
            _ => None,
        };
        Ok(Self { inner: Arc::new(Inner { found, tls, quick_max, api: OnceCell::new() }) })
    }

    /// Where it listens, and what named that place.
    pub fn found(&self) -> &Found {
        &self.inner.found
    }

    /// Which engine it is; a fresh look each time.
    pub async fn version(&self) -> Result<EngineVersion> {
        self.inner.typed(Call::get("/version".into(), "version of", Object::new("engine", "")), None).await
    }

    /// What it says about its machine.
    pub async fn info(&self) -> Result<EngineInfo> {
        Ok(info(&self.json(Call::get("/info".into(), "info of", Object::new("engine", ""))).await?))
    }

    /// The version put into paths: the newest both sides speak.
    pub(crate) async fn api_version(&self) -> Result<&str> {
        let version = self.inner.api.get_or_try_init(|| async { negotiate(&self.version().await?) }).await?;
        Ok(version)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Engine").field("found", &self.inner.found).finish_non_exhaustive()
    }
}

fn negotiate(engine: &EngineVersion) -> Result<String> {
    let number = |text: &str| {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    };
    let newest = number(&engine.api_version);
    // Some engines that speak Docker's API do not say how old a client may be.
    let oldest = number(&engine.api_version_min).unwrap_or((1, 0));
    match newest {
        Some(newest) if newest >= API_MIN && oldest <= API_MAX => {
            let (major, minor) = newest.min(API_MAX);
            Ok(format!("{major}.{minor}"))
        }
        _ => Err(DockerError::Version {
            theirs: format!("{} to {}", engine.api_version_min, engine.api_version),
            ours: format!("{}.{} to {}.{}", API_MIN.0, API_MIN.1, API_MAX.0, API_MAX.1),
        }),
    }
}

fn info(value: &Value) -> EngineInfo {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let number = |key: &str| value[key].as_u64().unwrap_or(0);
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(|item| Some(item.as_str()?.to_owned())).collect()
    };
    EngineInfo {
        name: text("Name"),
        cpus: number("NCPU"),
        memory_bytes: number("MemTotal"),
        containers: number("Containers"),
        containers_running: number("ContainersRunning"),
        images: number("Images"),
        storage_driver: text("Driver"),
        cgroup_version: text("CgroupVersion"),
        rootless: texts(&value["SecurityOptions"]).iter().any(|option| option.contains("name=rootless")),
        warnings: texts(&value["Warnings"]),
        insecure_registries: texts(&value["RegistryConfig"]["InsecureRegistryCIDRs"]),
    }
}

#[cfg(test)]
mod tests {
    use super::{EngineVersion, negotiate};

    #[test]
    fn the_newest_api_both_speak() {
        let check = |oldest: &str, newest: &str, expect: Option<&str>| {
            let text = serde_json::json!({"Version": "x", "ApiVersion": newest, "MinAPIVersion": oldest});
            let version: EngineVersion = serde_json::from_value(text).expect("it has all fields");
            assert_eq!(negotiate(&version).ok().as_deref(), expect, "{oldest} to {newest}");
        };
        check("1.12", "1.41", Some("1.41")); // 20.10
        check("1.24", "1.43", Some("1.43")); // 24
        check("1.44", "1.52", Some("1.44")); // 29
        check("", "1.43", Some("1.43"));
        check("1.12", "1.40", None); // 19.03
        check("1.50", "1.60", None);
        check("1.12", "nonsense", None);
    }
}
