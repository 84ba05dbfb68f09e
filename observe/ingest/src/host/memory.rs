//! /proc/meminfo and the paging part of /proc/vmstat.

use super::Rows;

/// `MemTotal: 16 kB` → `node_memory_MemTotal_bytes`; `Active(anon)` → `Active_anon`; lines without a unit keep their number.
pub(super) fn meminfo(text: &str, rows: &mut Rows<'_>) {
    for line in text.lines() {
        let Some((key, rest)) = line.split_once(':') else { continue };
        let mut words = rest.split_ascii_whitespace();
        let Some(value) = words.next().and_then(|word| word.parse::<f64>().ok()) else { continue };
        let key = key.replace('(', "_").replace(')', "");
        let help = format!("Memory information field {key}_bytes.");
        if words.next() == Some("kB") {
            rows.gauge(&format!("node_memory_{key}_bytes"), &help, &[], value * 1024.0);
        } else {
            rows.gauge(&format!("node_memory_{key}"), &help, &[], value);
        }
    }
}

/// The fields node_exporter takes by default.
pub(super) fn vmstat(text: &str, rows: &mut Rows<'_>) {
    for line in text.lines() {
        let Some((key, value)) = line.split_once(' ') else { continue };
        let wanted = matches!(key, "oom_kill" | "pgfault" | "pgmajfault" | "pgpgin" | "pgpgout" | "pswpin" | "pswpout");
        if let (true, Ok(value)) = (wanted, value.trim().parse::<f64>()) {
            rows.counter(&format!("node_vmstat_{key}"), &format!("/proc/vmstat information field {key}."), &[], value);
        }
    }
}
