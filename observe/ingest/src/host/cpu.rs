//! /proc/stat: time per processor and mode, context switches, processes, when the machine started.

use super::{Rows, numbers};

/// Ticks a second in /proc, whatever the kernel's own clock does (`USER_HZ`, part of Linux's interface).
const TICKS_PER_SECOND: f64 = 100.0;

const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

pub(super) fn stat(text: &str, rows: &mut Rows<'_>) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(key) = words.next() else { continue };
        if let Some(cpu) = key.strip_prefix("cpu") {
            if !cpu.is_empty() {
                one_cpu(cpu, numbers(words), rows);
            }
            continue;
        }
        let Some(value) = numbers(words).next() else { continue };
        match key {
            "ctxt" => rows.counter("node_context_switches_total", "Total number of context switches.", &[], value),
            "intr" => rows.counter("node_intr_total", "Total number of interrupts serviced.", &[], value),
            "processes" => rows.counter("node_forks_total", "Total number of forks.", &[], value),
            "btime" => rows.gauge("node_boot_time_seconds", "Node boot time, in unixtime.", &[], value),
            "procs_running" => rows.gauge("node_procs_running", "Number of processes in runnable state.", &[], value),
            "procs_blocked" => {
                rows.gauge(
                    "node_procs_blocked",
                    "Number of processes blocked waiting for I/O to complete.",
                    &[],
                    value,
                );
            }
            _ => {}
        }
    }
}

fn one_cpu(cpu: &str, ticks: impl Iterator<Item = f64>, rows: &mut Rows<'_>) {
    let ticks: Vec<f64> = ticks.collect();
    for (mode, ticks) in MODES.iter().zip(&ticks) {
        let help = "Seconds the CPUs spent in each mode.";
        rows.counter("node_cpu_seconds_total", help, &[("cpu", cpu), ("mode", mode)], ticks / TICKS_PER_SECOND);
    }
    for (mode, ticks) in ["user", "nice"].iter().zip(ticks.iter().skip(MODES.len())) {
        let help = "Seconds the CPUs spent in guests (VMs) for each mode.";
        rows.counter("node_cpu_guest_seconds_total", help, &[("cpu", cpu), ("mode", mode)], ticks / TICKS_PER_SECOND);
    }
}
