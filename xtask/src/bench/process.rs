//! A process under measure, ours or a peer's, looked at through /proc. It knows no protocol.

use std::process::{Child, Command, ExitStatus};

/// A running program; killed when dropped.
pub(super) struct Process(Child);

impl Process {
    pub(super) fn start(command: &mut Command) -> Result<Self, String> {
        let child = command.spawn();
        child.map(Self).map_err(|error| format!("cannot start {}: {error}", command.get_program().to_string_lossy()))
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>, String> {
        self.0.try_wait().map_err(|error| error.to_string())
    }

    /// Resident memory in MB (10^6 bytes).
    pub(super) fn memory_mb(&self) -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|kib| kib * 1024.0 / 1e6)
    }

    /// CPU seconds of all its threads, user and system, since it started. proc(5): fields 14 and 15 in ticks of 1/100 s, counted behind the name,
    /// which may hold spaces.
    pub(super) fn cpu_s(&self) -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).ok()?;
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        Some((fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?) / 100.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
