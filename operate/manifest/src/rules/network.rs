//! NetworkPolicies: peers, ports and ranges of addresses.

use super::selector::selector;
use super::words::{cidr, one_of, port_or_name, within};
use crate::validate::{At, Out};

pub(crate) fn policy(spec: &At<'_>, out: &mut Out) {
    selector(&spec.get("podSelector"), out);
    let types = spec.get("policyTypes");
    if types.len() > 2 {
        out.error(&types, "size/limit", "more than two types", "Ingress and Egress");
    }
    for kind in types.items() {
        one_of(&kind, &["Ingress", "Egress"], out);
    }
    for (direction, key) in [("ingress", "from"), ("egress", "to")] {
        let rules = spec.get(direction);
        for rule in rules.items() {
            let ports = rule.get("ports");
            for port in ports.items() {
                one_port(&port, out);
            }
            let peers = rule.get(key);
            for peer in peers.items() {
                one_peer(&peer, out);
            }
        }
    }
}

fn one_port(at: &At<'_>, out: &mut Out) {
    one_of(&at.get("protocol"), &["TCP", "UDP", "SCTP"], out);
    let (from, to) = (at.get("port"), at.get("endPort"));
    port_or_name(&from, out);
    if !to.is() {
        return;
    }
    within(&to, 1, 65_535, out);
    match (from.int(), to.int()) {
        (Some(from), Some(end)) if end < from => {
            out.error(
                &to,
                "relation/match",
                format!("{end} is below {from}"),
                "the last port of the range, not below the first",
            );
        }
        (None, _) => out.error(&to, "relation/match", "a range begins with a number", "set `port` to a number"),
        _ => {}
    }
}

fn one_peer(at: &At<'_>, out: &mut Out) {
    let (pods, spaces, block) = (at.get("podSelector"), at.get("namespaceSelector"), at.get("ipBlock"));
    if !pods.is() && !spaces.is() && !block.is() {
        out.error(at, "field/required", "no peer is said", "set podSelector, namespaceSelector or ipBlock");
        return;
    }
    if block.is() && (pods.is() || spaces.is()) {
        out.error(&block, "relation/conflict", "addresses and selectors exclude each other", "make them two peers");
    }
    selector(&pods, out);
    selector(&spaces, out);
    if !block.is() {
        return;
    }
    let range = block.get("cidr");
    let Some((address, bits)) = cidr(range.str()) else {
        out.error(&range, "format/value", format!("`{}` is no range of addresses", range.str()), "as 10.0.0.0/8");
        return;
    };
    let except = block.get("except");
    for one in except.items() {
        match cidr(one.str()) {
            None => {
                out.error(&one, "format/value", format!("`{}` is no range of addresses", one.str()), "as 10.1.0.0/16")
            }
            Some((inner, inner_bits)) if inner_bits <= bits || !covers(address, bits, inner) => {
                out.error(
                    &one,
                    "relation/match",
                    format!("`{}` is not within {}", one.str(), range.str()),
                    "write a part of the range",
                );
            }
            Some(_) => {}
        }
    }
}

fn covers(net: std::net::IpAddr, bits: u8, inner: std::net::IpAddr) -> bool {
    use std::net::IpAddr::{V4, V6};
    let head = |value: u128, size: u32| value.checked_shr(size - u32::from(bits)).unwrap_or(0);
    match (net, inner) {
        (V4(a), V4(b)) => head(u128::from(a.to_bits()), 32) == head(u128::from(b.to_bits()), 32),
        (V6(a), V6(b)) => head(a.to_bits(), 128) == head(b.to_bits(), 128),
        _ => false,
    }
}
