//! Services: ports, addresses, and what each type allows.

use super::meta::labels;
use super::words::{cidr, ip, named, one_of, port, port_or_name, unique, unique_words, wanted, within};
use crate::format;
use crate::validate::{At, Out};

pub(crate) fn service(root: &At<'_>, out: &mut Out) {
    let spec = root.get("spec");
    let (kind, ports, address) = (spec.get("type"), spec.get("ports"), spec.get("clusterIP"));
    one_of(&kind, &["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"], out);
    let addresses = spec.get("clusterIPs");
    let kind_text = if kind.str().is_empty() { "ClusterIP" } else { kind.str() };
    let headless = address.str() == "None" || addresses.items().next().is_some_and(|one| one.str() == "None");
    if ports.len() == 0 && !headless && kind_text != "ExternalName" {
        out.error(&ports, "field/required", "a Service needs ports", "list at least one under `ports`");
    }
    if headless && matches!(kind_text, "NodePort" | "LoadBalancer") {
        out.error(
            &address,
            "relation/conflict",
            format!("a Service of type {kind_text} has an address"),
            "take `clusterIP: None` out",
        );
    }
    if kind_text == "ExternalName" {
        external(&spec, out);
    }
    each_port(&ports, kind_text, out);
    labels(&spec.get("selector"), out);
    affinity(&spec, out);
    for one in addresses.items().chain([address]) {
        if !matches!(one.str(), "" | "None") && !ip(one.str()) {
            out.error(&one, "format/value", format!("`{}` is no IP address", one.str()), "write an address, or None");
        }
    }
    let outside = spec.get("externalIPs");
    for one in outside.items().filter(|one| !ip(one.str())) {
        out.error(&one, "format/value", format!("`{}` is no IP address", one.str()), "write an address");
    }
    one_of(&spec.get("ipFamilyPolicy"), &["SingleStack", "PreferDualStack", "RequireDualStack"], out);
    let families = spec.get("ipFamilies");
    unique_words(&families, out);
    for family in families.items() {
        one_of(&family, &["IPv4", "IPv6"], out);
    }
    balancer(&spec, kind_text, out);
}

fn external(spec: &At<'_>, out: &mut Out) {
    let name = spec.get("externalName");
    if wanted(&name, "externalName", out) && !format::dns_subdomain(name.str().strip_suffix('.').unwrap_or(name.str()))
    {
        out.error(
            &name,
            "format/name",
            format!("`{}` is no DNS name", name.str()),
            "lower-case letters, digits, `-` and `.`",
        );
    }
    for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        let at = spec.get(key);
        let said = at.len() > 0 || !at.str().is_empty();
        if said {
            out.error(&at, "relation/conflict", "a Service of type ExternalName has no address", "take it out");
        }
    }
}

fn each_port(ports: &At<'_>, kind: &str, out: &mut Out) {
    let mut seen: Vec<(String, i64)> = Vec::new();
    let mut nodes: Vec<(String, i64)> = Vec::new();
    for one in ports.items() {
        let (name, number, protocol, target) =
            (one.get("name"), one.get("port"), one.get("protocol"), one.get("targetPort"));
        if ports.len() > 1 {
            wanted(&name, "name", out);
        }
        named(&name, format::dns_label, "DNS label", out);
        port(&number, out);
        one_of(&protocol, &["TCP", "UDP", "SCTP"], out);
        // A zero is as good as nothing: the server writes the port's own number.
        if target.int() != Some(0) && target.text() != Some("") {
            port_or_name(&target, out);
        }
        named(&one.get("appProtocol"), format::qualified_name, "qualified name", out);
        let protocol = if protocol.str().is_empty() { "TCP" } else { protocol.str() }.to_owned();
        if let Some(n) = number.int() {
            if seen.contains(&(protocol.clone(), n)) {
                out.error(
                    &number,
                    "relation/unique",
                    format!("{protocol} {n} stands before it already"),
                    "choose another port",
                );
            }
            seen.push((protocol.clone(), n));
        }
        let node = one.get("nodePort");
        if let Some(n) = node.int().filter(|n| *n != 0) {
            if kind == "ClusterIP" {
                out.error(
                    &node,
                    "relation/conflict",
                    "a Service of type ClusterIP has no port on the nodes",
                    "take it out, or write `type: NodePort`",
                );
            }
            if !(30_000..=32_767).contains(&n) {
                out.warn(
                    &node,
                    "range/number",
                    format!("{n} is out of the range that servers usually have"),
                    "30000 to 32767, or leave it out",
                );
            }
            if nodes.contains(&(protocol.clone(), n)) {
                out.error(&node, "relation/unique", format!("{n} stands before it already"), "choose another port");
            }
            nodes.push((protocol, n));
        }
    }
    unique(ports, "name", out);
}

fn affinity(spec: &At<'_>, out: &mut Out) {
    let (kind, config) = (spec.get("sessionAffinity"), spec.get("sessionAffinityConfig"));
    one_of(&kind, &["ClientIP", "None"], out);
    // Without that affinity the server drops them.
    if kind.str() != "ClientIP" {
        return;
    }
    within(&config.get("clientIP").get("timeoutSeconds"), 1, 86_400, out);
}

fn balancer(spec: &At<'_>, kind: &str, out: &mut Out) {
    let ranges = spec.get("loadBalancerSourceRanges");
    if ranges.len() > 0 && kind != "LoadBalancer" {
        out.error(&ranges, "relation/match", "it is for `type: LoadBalancer`", "take it out");
    }
    for range in ranges.items().filter(|range| cidr(range.str().trim()).is_none()) {
        out.error(&range, "format/value", format!("`{}` is no range of addresses", range.str()), "as 10.0.0.0/8");
    }
    for key in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
        if spec.get(key).is() && kind != "LoadBalancer" {
            out.error(&spec.get(key), "relation/match", "it is for `type: LoadBalancer`", "take it out");
        }
    }
    named(&spec.get("loadBalancerClass"), format::qualified_name, "qualified name", out);
    let outer = spec.get("externalTrafficPolicy");
    one_of(&outer, &["Cluster", "Local"], out);
    if !outer.str().is_empty() && matches!(kind, "ClusterIP" | "ExternalName") && spec.get("externalIPs").len() == 0 {
        out.error(
            &outer,
            "relation/match",
            "only traffic from outside has such a policy",
            "take it out, or write `type: NodePort`",
        );
    }
    one_of(&spec.get("internalTrafficPolicy"), &["Cluster", "Local"], out);
    // Off before 1.31; two more words came with 1.33, off before 1.34.
    let near = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    let words = if out.minor < 33 { &near[..1] } else { &near };
    if out.minor > 30 {
        one_of(&spec.get("trafficDistribution"), words, out);
    }
    let check = spec.get("healthCheckNodePort");
    if check.int().is_some_and(|n| n != 0) && !(kind == "LoadBalancer" && outer.str() == "Local") {
        out.error(
            &check,
            "relation/match",
            "it is for `type: LoadBalancer` with `externalTrafficPolicy: Local`",
            "take it out",
        );
    }
}
