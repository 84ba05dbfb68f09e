//! The logs of a node's pods, line by line, from the files that the kubelet keeps: found, followed through rotation, read as the runtimes write them,
//! and handed out in batches whose acknowledgement moves a position on disk.
//!
//! ```text
//! Tail::open ─ poll() → Batch { write: LogWrite } ─ (a store or a forwarder takes it) ─ acknowledge(batch) … close()
//! ```
//!
//! **What is promised.** Each line is handed out once, in the order of its container; a crash in between makes some come twice, none gets lost. A batch
//! that is not acknowledged holds back more: nothing is dropped because somebody is slow. What no reader can keep: bytes that are cut off
//! or removed before they were read. Files are `NAMESPACE_POD_UID/CONTAINER/N.log` in CRI's format
//! (<https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>) or Docker's json-file lines.
//!
//! It is a state machine over `base/world`: it owns no thread, and knows no API server, no store and no runtime. Metadata of pods comes by the trait
//! [`PodMetadata`], the sink is [`TakeLogs`].

mod batch;
mod container;
mod entries;
mod file;
mod join;
mod line;
mod look;
mod mark;
mod multiline;
mod place;
mod pods;
mod positions;
mod record;
mod resource;
mod run;
mod settings;
mod state;
mod stats;

pub use batch::Batch;
pub use multiline::{MULTILINE, MultilineRule};
pub use pods::{
    ATTRIBUTE_PREFIX, ContainerFacts, LOGS_OPT_OUT, Lookup, NoMetadata, PodFacts, PodMetadata, PodRef, facts_of,
    log_uids,
};
pub use run::{Pace, TakeLogs, run};
pub use settings::{Start, TailSettings};
pub use state::{Tail, TailError};
pub use stats::TailStats;

#[cfg(test)]
mod tests;
