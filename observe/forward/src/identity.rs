//! The name under which the other side knows a queue, so that what it has stored is not stored again: drawn once, kept in a file. It does not know
//! what was sent.

use std::path::Path;

use base_world::{DiskError, World, replace_file};
use observe_wire::delivery::QueueId;

const FILE: &str = "ID";
const BYTES_MAX: u64 = 64;

pub(crate) struct Identity {
    id: QueueId,
    kept: bool,
}

impl Identity {
    /// The one that is kept in `folder`; where none can be read another is drawn: then what was sent before a crash may be stored twice, no more.
    pub(crate) fn of(world: &World, folder: &Path) -> Self {
        let text = world.disk.read(&folder.join(FILE), BYTES_MAX).unwrap_or_default();
        match QueueId::parse(String::from_utf8_lossy(&text).trim_end()) {
            Some(id) => Identity { id, kept: true },
            None => Identity::drawn(world),
        }
    }

    pub(crate) fn drawn(world: &World) -> Self {
        let mut id = [0; 16];
        world.random.fill(&mut id);
        Identity { id: QueueId(id), kept: false }
    }

    pub(crate) fn id(&self) -> QueueId {
        self.id
    }

    /// Writes it if that is to be done yet.
    pub(crate) fn keep(&mut self, world: &World, folder: &Path) -> Result<(), DiskError> {
        if !self.kept {
            replace_file(&*world.disk, &folder.join(FILE), format!("{}\n", self.id).as_bytes())?;
            self.kept = true;
        }
        Ok(())
    }
}
