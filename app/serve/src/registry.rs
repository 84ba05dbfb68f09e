//! Where engines say that they run: one small JSON file each, under the user's state home, so that `apm test`, `apm run` and
//! others find them without a flag.

use std::path::{Path, PathBuf};

use base_explain::Report;
use base_world::World;
use serde::{Deserialize, Serialize};

/// What an engine says of itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EngineEntry {
    pub pid: u32,
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp_grpc: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp_http: Option<String>,
    pub data_dir: PathBuf,
    #[serde(default)]
    pub project: Option<String>,
    pub started_at_ms: i64,
}

/// The entry's file; removed when dropped.
pub(crate) struct Registration {
    world: World,
    path: PathBuf,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // A leftover is harmless: readers check that the pid lives.
        let _ = self.world.disk.remove(&self.path);
    }
}

pub(crate) fn register(world: &World, state_home: &Path, entry: &EngineEntry) -> Result<Registration, Report> {
    let folder = state_home.join("apm").join("engines");
    let path = folder.join(format!("{}.json", entry.pid));
    let body = serde_json::to_vec_pretty(entry).map_err(|error| Report::of(&error))?;
    let written =
        world.disk.create_folder(&folder).and_then(|()| base_world::replace_file(world.disk.as_ref(), &path, &body));
    written.map_err(|error| Report::of(&error).hint("set XDG_STATE_HOME to a folder that can be written"))?;
    Ok(Registration { world: world.clone(), path })
}

/// Engines that run on this machine under this user, newest first; entries of dead ones are removed.
pub fn engines(world: &World, state_home: &Path) -> Vec<EngineEntry> {
    let folder = state_home.join("apm").join("engines");
    let mut found = Vec::new();
    for file in world.disk.list(&folder).unwrap_or_default() {
        let path = folder.join(&file.name);
        let Ok(body) = world.disk.read(&path, 64 << 10) else { continue };
        let Ok(entry) = serde_json::from_slice::<EngineEntry>(&body) else { continue };
        let alive = world.disk.exists(Path::new(&format!("/proc/{}", entry.pid))).unwrap_or(false);
        if alive {
            found.push(entry);
        } else {
            let _ = world.disk.remove(&path);
        }
    }
    found.sort_by_key(|entry| std::cmp::Reverse(entry.started_at_ms));
    found
}
