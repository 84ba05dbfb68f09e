//! Reads what the agent inside the program says about itself: a file of JSON lines that several processes append to. Does not
//! know what follows from it.

use std::collections::BTreeMap;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// More than any honest agent says.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// One line. Unknown events and fields are let pass: the file may come from a newer agent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Said {
    Started {
        /// Libraries present at a version the agent does not know, in words, by instrumentation.
        #[serde(default)]
        outside: BTreeMap<String, String>,
    },
    Disabled {
        reason: String,
        #[serde(default)]
        clash: bool,
    },
    Span,
    ExportFailed {
        reason: String,
    },
    /// The program turned out to restart itself on change.
    Reloader {
        name: String,
    },
    /// An exception ended a process; `agent`: frames of the agent were on its stack.
    Crashed {
        agent: bool,
    },
    #[serde(other)]
    Other,
}

/// The file and how far it has been read.
#[derive(Debug)]
pub(crate) struct Status {
    path: PathBuf,
    read_bytes: u64,
}

impl Status {
    pub(crate) fn new(path: &Path) -> Status {
        Status { path: path.to_owned(), read_bytes: 0 }
    }

    /// The whole lines that were added since the last call.
    pub(crate) async fn news(&mut self) -> Vec<Said> {
        let Ok(mut file) = tokio::fs::File::open(&self.path).await else { return Vec::new() };
        if file.seek(SeekFrom::Start(self.read_bytes)).await.is_err() {
            return Vec::new();
        }
        let mut text = Vec::new();
        let left = BYTES_MAX.saturating_sub(self.read_bytes);
        if file.take(left).read_to_end(&mut text).await.is_err() {
            return Vec::new();
        }
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        text.truncate(whole);
        self.read_bytes += text.len() as u64;
        text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }
}
