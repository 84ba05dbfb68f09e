//! What may be set of the tail, and the limits that hold whatever the files contain. Knows no file format.

use std::path::PathBuf;

use serde::Deserialize;

use super::MultilineRule;

/// Settings of a [`super::Tail`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TailSettings {
    /// Where the kubelet keeps the logs of pods.
    pub folder: PathBuf,
    /// `k8s.node.name` where a pod's metadata does not say it; empty for none.
    pub node_name: String,
    /// Where files that are there at the very first start are begun.
    pub start: Start,
    /// Of a line's text; what is over is cut, and the entry says so.
    pub line_max_bytes: usize,
    /// Files held open at once; those that grew least recently are closed and opened again when they grow.
    pub open_files_max: usize,
    /// Files known at once; more are left out until others go, and the counters say so.
    pub files_max: usize,
    /// Taken from one file before another has its turn.
    pub read_bytes_max: usize,
    /// Estimated size of a batch; one line more may be in it.
    pub batch_bytes_max: usize,
    /// Handed out and not acknowledged: at this much nothing more is read until an acknowledgement comes.
    pub in_flight_bytes_max: usize,
    /// How long a pod's lines wait for its metadata before they are sent with what the path says.
    pub metadata_wait_ms: u32,
    /// How long the first part of a line waits for the rest before it is sent alone.
    pub partial_wait_ms: u32,
    /// How long a record of several lines waits for another line.
    pub multiline_wait_ms: u32,
    /// Which lines belong together; the first rule that is for a container counts, and a pod's annotation before all.
    pub multiline: Vec<MultilineRule>,
    /// Between two looks at the files when nothing comes. With the look for new files, a line is seen within this and `scan_ms`.
    pub poll_max_ms: u32,
    /// Between two looks for new, renamed and removed files.
    pub scan_ms: u32,
    /// How long a file that came with a rotated name must have kept its size: until then it may be a copy that is being made.
    pub settle_ms: u32,
    /// Between two writes of the positions: after a crash what came since the last one is sent again.
    pub positions_ms: u32,
}

/// Where to begin with files that nothing is known of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    #[default]
    Beginning,
    /// Only what is written from now on.
    End,
}

impl Default for TailSettings {
    /// For a node of some hundred containers.
    fn default() -> Self {
        TailSettings {
            folder: PathBuf::from("/var/log/pods"),
            node_name: String::new(),
            start: Start::Beginning,
            line_max_bytes: 256 << 10,
            open_files_max: 1024,
            files_max: 20_000,
            read_bytes_max: 512 << 10,
            batch_bytes_max: 2 << 20,
            in_flight_bytes_max: 4 << 20,
            metadata_wait_ms: 5_000,
            partial_wait_ms: 30_000,
            multiline_wait_ms: 1_000,
            multiline: Vec::new(),
            poll_max_ms: 400,
            scan_ms: 500,
            settle_ms: 2_000,
            positions_ms: 1_000,
        }
    }
}
