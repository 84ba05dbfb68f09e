//! /proc/net/dev and /proc/net/sockstat.

use super::{Rows, numbers};

const RECEIVED: [&str; 8] = ["bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast"];
const SENT: [&str; 8] = ["bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed"];

pub(super) fn devices(text: &str, rows: &mut Rows<'_>) {
    // Two lines of headings have no `:` before their `|`.
    for line in text.lines().filter(|line| !line.contains('|')) {
        // The name may hold a colon itself (an alias), the numbers never do.
        let Some((device, rest)) = line.rsplit_once(':') else { continue };
        let values: Vec<f64> = numbers(rest.split_ascii_whitespace()).collect();
        let received = RECEIVED.iter().map(|field| ("receive", field));
        let sent = SENT.iter().map(|field| ("transmit", field));
        for ((way, field), value) in received.chain(sent).zip(&values) {
            let name = format!("node_network_{way}_{field}_total");
            let help = format!("Network device statistic {way}_{field}.");
            rows.counter(&name, &help, &[("device", device.trim())], *value);
        }
    }
}

/// `TCP: inuse 5 orphan 0 …` → `node_sockstat_TCP_inuse`.
pub(super) fn sockets(text: &str, rows: &mut Rows<'_>) {
    for line in text.lines() {
        let Some((protocol, rest)) = line.split_once(':') else { continue };
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        for pair in words.as_chunks::<2>().0 {
            let [field, value] = pair;
            if let Ok(value) = value.parse::<f64>() {
                let name = format!("node_sockstat_{protocol}_{field}");
                rows.gauge(&name, &format!("Number of {protocol} sockets in state {field}."), &[], value);
            }
        }
    }
}
