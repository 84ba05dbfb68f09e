//! What the tail counts of itself.

/// Counters since the start, but for those that say what is now. Nothing here can grow with what the logs contain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TailStats {
    /// Containers whose logs are there now, those left alone by annotation included.
    pub containers: usize,
    pub files: usize,
    pub files_open: usize,
    /// Bytes that are in files and were not read yet, as of the last look.
    pub behind_bytes: u64,
    /// Handed out, waiting for an acknowledgement.
    pub in_flight_bytes: usize,
    /// Entries acknowledged.
    pub lines: u64,
    /// Of files, raw, whose entries were acknowledged or had none.
    pub bytes: u64,
    /// Entries that the sink refused for good: too old, too large.
    pub lines_rejected: u64,
    /// In no known format, sent as they are.
    pub lines_malformed: u64,
    pub lines_cut: u64,
    /// That became part of a record with those before.
    pub lines_joined: u64,
    /// Files that were cut while they were followed.
    pub truncated: u64,
    /// Files removed before their end was read, or left out because there were too many.
    pub files_missed: u64,
    /// Files and folders that could not be read, or positions that could not be written.
    pub errors: u64,
    /// The latest of these, in words.
    pub last_error: Option<String>,
}

impl TailStats {
    pub(super) fn fail(&mut self, error: impl std::fmt::Display) {
        self.errors += 1;
        self.last_error = Some(error.to_string());
    }
}
