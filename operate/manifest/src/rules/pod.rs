//! A pod's spec, but for its containers and volumes, which have files of their own.

use super::container::{self, Names};
use super::meta::labels;
use super::words::{ip, named, not_negative, one_of, unique, wanted, within};
use super::{later, selector, volume};
use crate::format;
use crate::validate::{At, Out};

/// What the owner of a pod allows.
pub(crate) struct Context {
    pub(crate) restart: &'static [&'static str],
    /// It is checked as the server checks a pod that it makes, `activeDeadlineSeconds` allowed.
    pub(crate) deadline: bool,
}

impl Context {
    pub(crate) const POD: Context = Context { restart: &["Always", "OnFailure", "Never"], deadline: true };
    pub(crate) const ALWAYS: Context = Context { restart: &["Always"], deadline: false };
    pub(crate) const JOB: Context = Context { restart: &["OnFailure", "Never"], deadline: true };
}

const OPERATORS: &[&str] = &["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];

pub(crate) fn spec(spec: &At<'_>, context: &Context, out: &mut Out) {
    with_claims(spec, &[], context, out);
}

/// As [`spec`], where volumes come by claims with these names too.
pub(crate) fn with_claims(spec: &At<'_>, claims: &[&str], context: &Context, out: &mut Out) {
    let restart = spec.get("restartPolicy");
    if restart.str().is_empty() && !context.restart.contains(&"Always") {
        out.error(
            &restart,
            "field/required",
            "`restartPolicy` is missing: a Job's pods cannot have Always",
            "write Never or OnFailure",
        );
    }
    one_of(&restart, context.restart, out);
    let listed = spec.get("volumes");
    let mut volumes = volume::volumes(&listed, out);
    volumes.extend(claims);
    containers(spec, &volumes, out);
    if !context.deadline && spec.get("activeDeadlineSeconds").is() {
        out.error(
            &spec.get("activeDeadlineSeconds"),
            "relation/conflict",
            "this is for Pods and Jobs only",
            "take it out",
        );
    }
    within(&spec.get("activeDeadlineSeconds"), 1, i64::from(i32::MAX), out);
    not_negative(spec, &["terminationGracePeriodSeconds"], out);
    labels(&spec.get("nodeSelector"), out);
    named(&spec.get("serviceAccountName"), format::dns_subdomain, "DNS subdomain", out);
    named(&spec.get("nodeName"), format::dns_subdomain, "DNS subdomain", out);
    named(&spec.get("hostname"), format::dns_label, "DNS label", out);
    named(&spec.get("subdomain"), format::dns_label, "DNS label", out);
    named(&spec.get("runtimeClassName"), format::dns_subdomain, "DNS subdomain", out);
    named(&spec.get("priorityClassName"), format::dns_subdomain, "DNS subdomain", out);
    one_of(&spec.get("preemptionPolicy"), &["PreemptLowerPriority", "Never"], out);
    one_of(&spec.get("dnsPolicy"), &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"], out);
    let dns = spec.get("dnsConfig");
    if spec.get("dnsPolicy").str() == "None" && dns.get("nameservers").len() == 0 {
        out.error(&dns, "field/required", "`dnsPolicy: None` needs name servers", "set `dnsConfig.nameservers`");
    }
    let options = dns.get("options");
    for option in options.items() {
        wanted(&option.get("name"), "name", out);
    }
    let searches = dns.get("searches");
    for search in searches.items() {
        let text = search.str().strip_suffix('.').unwrap_or(search.str());
        // Underscores are taken by newer servers.
        if !text.is_empty() && !format::dns_subdomain(&text.replace('_', "a")) {
            out.error(
                &search,
                "format/name",
                format!("`{text}` is no domain"),
                "lower-case letters, digits, `-` and `.`",
            );
        }
    }
    let servers = dns.get("nameservers");
    for server in servers.items().filter(|server| server.text().is_some_and(|text| !ip(text))) {
        out.error(&server, "format/value", format!("`{}` is no IP address", server.str()), "write an address");
    }
    if servers.len() > 3 {
        out.error(&servers, "size/limit", "more than three name servers", "keep three");
    }
    let aliases = spec.get("hostAliases");
    for alias in aliases.items() {
        let address = alias.get("ip");
        if !ip(address.str()) {
            out.error(&address, "format/value", format!("`{}` is no IP address", address.str()), "write an address");
        }
        let names = alias.get("hostnames");
        for name in names.items() {
            named(&name, format::dns_subdomain, "DNS subdomain", out);
        }
    }
    if spec.get("shareProcessNamespace").bool() && spec.get("hostPID").bool() {
        out.error(&spec.get("shareProcessNamespace"), "relation/conflict", "it excludes `hostPID`", "keep one of them");
    }
    tolerations(&spec.get("tolerations"), out);
    affinity(&spec.get("affinity"), out);
    spread(&spec.get("topologySpreadConstraints"), out);
    let gates = spec.get("schedulingGates");
    for gate in gates.items() {
        named(&gate.get("name"), format::qualified_name, "qualified name", out);
    }
    unique(&gates, "name", out);
    security(&spec.get("securityContext"), out);
    later::pod(spec, out);
}

fn containers(spec: &At<'_>, volumes: &[&str], out: &mut Out) {
    let list = spec.get("containers");
    if list.len() == 0 {
        out.error(&list, "field/required", "a pod needs a container", "add one to `containers`");
    }
    let host_network = spec.get("hostNetwork").bool();
    let listed = spec.get("volumes");
    let mut names = Names::new(host_network, volumes, later::dropped_volumes(&listed, out));
    let init = spec.get("initContainers");
    for one in init.items() {
        container::init(&one, &mut names, out);
    }
    for one in list.items() {
        container::main(&one, &mut names, out);
    }
    names.host_ports(&list, out);
}

fn security(at: &At<'_>, out: &mut Out) {
    for key in ["runAsUser", "runAsGroup", "fsGroup"] {
        within(&at.get(key), 0, i64::from(i32::MAX), out);
    }
    one_of(&at.get("fsGroupChangePolicy"), &["OnRootMismatch", "Always"], out);
    container::seccomp(&at.get("seccompProfile"), out);
    let groups = at.get("supplementalGroups");
    for group in groups.items() {
        within(&group, 0, i64::from(i32::MAX), out);
    }
    let sysctls = at.get("sysctls");
    for sysctl in sysctls.items() {
        let name = sysctl.get("name");
        if wanted(&name, "name", out) && !format::sysctl(name.str()) {
            let what = format!("`{}` is no sysctl", name.str());
            out.error(&name, "format/name", what, "as net.core.somaxconn");
        }
    }
    unique(&sysctls, "name", out);
}

fn tolerations(at: &At<'_>, out: &mut Out) {
    for one in at.items() {
        let (key, operator, value, effect) = (one.get("key"), one.get("operator"), one.get("value"), one.get("effect"));
        named(&key, format::qualified_name, "qualified name", out);
        one_of(&operator, &["Exists", "Equal", "Lt", "Gt"], out);
        one_of(&effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"], out);
        if key.str().is_empty() && operator.str() != "Exists" {
            out.error(
                &operator,
                "relation/match",
                "a toleration without a key is for all keys",
                "write `operator: Exists`",
            );
        }
        if operator.str() == "Exists" && !value.str().is_empty() {
            out.error(&value, "relation/conflict", "`operator: Exists` takes no value", "take the value out");
        }
        if matches!(operator.str(), "" | "Equal") {
            named(&value, format::label_value, "label value", out);
        }
        if one.get("tolerationSeconds").is() && effect.str() != "NoExecute" {
            out.error(
                &effect,
                "relation/match",
                "`tolerationSeconds` is for NoExecute only",
                "write `effect: NoExecute`, or take the seconds out",
            );
        }
    }
}

fn affinity(at: &At<'_>, out: &mut Out) {
    let node = at.get("nodeAffinity");
    let required = node.get("requiredDuringSchedulingIgnoredDuringExecution");
    let terms = required.get("nodeSelectorTerms");
    if required.is() && terms.len() == 0 {
        out.error(&terms, "field/required", "at least one term is needed", "add a term");
    }
    for term in terms.items() {
        node_term(&term, out);
    }
    let preferred = node.get("preferredDuringSchedulingIgnoredDuringExecution");
    for one in preferred.items() {
        weight(&one.get("weight"), out);
        node_term(&one.get("preference"), out);
    }
    for key in ["podAffinity", "podAntiAffinity"] {
        let pods = at.get(key);
        let required = pods.get("requiredDuringSchedulingIgnoredDuringExecution");
        for term in required.items() {
            pod_term(&term, out);
        }
        let preferred = pods.get("preferredDuringSchedulingIgnoredDuringExecution");
        for one in preferred.items() {
            weight(&one.get("weight"), out);
            pod_term(&one.get("podAffinityTerm"), out);
        }
    }
}

fn weight(at: &At<'_>, out: &mut Out) {
    within(at, 1, 100, out);
}

fn node_term(at: &At<'_>, out: &mut Out) {
    let expressions = at.get("matchExpressions");
    for expression in expressions.items() {
        let (key, operator, values) = (expression.get("key"), expression.get("operator"), expression.get("values"));
        if !format::qualified_name(key.str()) {
            out.error(
                &key,
                "format/name",
                format!("`{}` is no label key", key.str()),
                "write the key of a label of nodes",
            );
        }
        match operator.str() {
            "In" | "NotIn" if values.len() == 0 => {
                out.error(&values, "field/required", "values are missing", "list the values")
            }
            "Exists" | "DoesNotExist" if values.len() > 0 => {
                out.error(&values, "relation/conflict", "this operator takes no values", "take them out")
            }
            "Gt" | "Lt" if values.len() != 1 => {
                out.error(&values, "relation/match", "this operator takes one value", "write one whole number")
            }
            _ => one_of(&operator, OPERATORS, out),
        }
    }
}

fn pod_term(at: &At<'_>, out: &mut Out) {
    let key = at.get("topologyKey");
    if wanted(&key, "topologyKey", out) {
        named(&key, format::qualified_name, "qualified name", out);
    }
    selector::selector(&at.get("labelSelector"), out);
    selector::selector(&at.get("namespaceSelector"), out);
    let namespaces = at.get("namespaces");
    for namespace in namespaces.items() {
        named(&namespace, format::dns_label, "DNS label", out);
    }
}

fn spread(at: &At<'_>, out: &mut Out) {
    let mut seen: Vec<(String, String)> = Vec::new();
    for one in at.items() {
        within(&one.get("maxSkew"), 1, i64::MAX, out);
        let (key, when) = (one.get("topologyKey"), one.get("whenUnsatisfiable"));
        wanted(&key, "topologyKey", out);
        wanted(&when, "whenUnsatisfiable", out);
        one_of(&when, &["DoNotSchedule", "ScheduleAnyway"], out);
        let pair = (key.str().to_owned(), when.str().to_owned());
        if seen.contains(&pair) {
            out.error(
                &one,
                "relation/unique",
                "the same key and `whenUnsatisfiable` stand before it",
                "keep one of them",
            );
        }
        seen.push(pair);
        within(&one.get("minDomains"), 1, i64::MAX, out);
        if one.get("minDomains").is() && when.str() != "DoNotSchedule" {
            out.error(
                &one.get("minDomains"),
                "relation/match",
                "it needs `whenUnsatisfiable: DoNotSchedule`",
                "change one of them",
            );
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            one_of(&one.get(policy), &["Honor", "Ignore"], out);
        }
        selector::selector(&one.get("labelSelector"), out);
    }
}
