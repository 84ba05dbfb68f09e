//! Ingresses and their classes.

use super::words::{exactly_one, ip, named, one_of, port, wanted};
use crate::format;
use crate::validate::{At, Out};

const CLASS: &str = "kubernetes.io/ingress.class";

pub(crate) fn ingress(root: &At<'_>, out: &mut Out) {
    let spec = root.get("spec");
    let (rules, fallback, class) = (spec.get("rules"), spec.get("defaultBackend"), spec.get("ingressClassName"));
    if rules.len() == 0 && !fallback.is() {
        out.error(&rules, "field/required", "neither rules nor a default backend", "add one of them");
    }
    if fallback.is() {
        backend(&fallback, out);
    }
    for rule in rules.items() {
        host(&rule.get("host"), out);
        let http = rule.get("http");
        let paths = http.get("paths");
        if http.is() && paths.len() == 0 {
            out.error(&paths, "field/required", "no path is said", "add one to `paths`");
        }
        for one in paths.items() {
            path(&one, out);
        }
    }
    let tls = spec.get("tls");
    for one in tls.items() {
        let hosts = one.get("hosts");
        for name in hosts.items() {
            if !name.str().is_empty() && !format::dns_subdomain(name.str()) && !format::wildcard_domain(name.str()) {
                out.error(
                    &name,
                    "format/name",
                    format!("`{}` is no host", name.str()),
                    "as example.org or *.example.org",
                );
            }
        }
        named(&one.get("secretName"), format::dns_subdomain, "DNS subdomain", out);
    }
    named(&class, format::dns_subdomain, "DNS subdomain", out);
    let metadata = root.get("metadata");
    let annotations = metadata.get("annotations");
    if class.is() && annotations.get(CLASS).is() {
        out.error(
            &class,
            "relation/conflict",
            format!("the annotation `{CLASS}` says it too"),
            "keep `ingressClassName`",
        );
    }
}

fn host(at: &At<'_>, out: &mut Out) {
    let text = at.str();
    if text.is_empty() {
        return;
    }
    let fits = if text.contains('*') { format::wildcard_domain(text) } else { format::dns_subdomain(text) };
    if ip(text) {
        out.error(at, "format/value", "a host is a name, no address", "write a DNS name, or leave it out");
    } else if !fits {
        out.error(
            at,
            "format/name",
            format!("`{text}` is no host"),
            "as example.org or *.example.org, in lower case, no port",
        );
    }
}

fn path(at: &At<'_>, out: &mut Out) {
    let (kind, path) = (at.get("pathType"), at.get("path"));
    if wanted(&kind, "pathType", out) {
        one_of(&kind, &["Exact", "Prefix", "ImplementationSpecific"], out);
    }
    let text = path.str();
    if matches!(kind.str(), "Exact" | "Prefix") {
        let bad = ["//", "/./", "/../", "%2f", "%2F"].iter().find(|part| text.contains(**part));
        if !text.starts_with('/') {
            out.error(&path, "format/value", "the path must begin with `/`", "write it so");
        } else if let Some(bad) = bad {
            out.error(
                &path,
                "format/value",
                format!("`{bad}` in a path"),
                "take it out, or write `pathType: ImplementationSpecific`",
            );
        } else if text.ends_with("/..") || text.ends_with("/.") {
            out.error(&path, "format/value", "the path ends in dots", "take them out");
        }
    } else if !text.is_empty() && !text.starts_with('/') {
        out.error(&path, "format/value", "the path must begin with `/`", "write it so");
    }
    backend(&at.get("backend"), out);
}

fn backend(at: &At<'_>, out: &mut Out) {
    match exactly_one(at, &["service", "resource"], "backend", out) {
        Some("service") => {
            let service = at.get("service");
            let name = service.get("name");
            if wanted(&name, "name", out)
                && !(format::dns_1035(name.str()) || out.minor >= 34 && format::dns_label(name.str()))
            {
                out.error(
                    &name,
                    "format/name",
                    format!("`{}` is no name of a Service", name.str()),
                    "lower-case letters, digits and `-`, a letter first",
                );
            }
            let target = service.get("port");
            let (number, name) = (target.get("number"), target.get("name"));
            match (number.int().is_some_and(|n| n != 0), !name.str().is_empty()) {
                (true, true) => out.error(
                    &target,
                    "relation/conflict",
                    "`number` and `name` exclude each other",
                    "keep one of them",
                ),
                (false, false) => {
                    out.error(&target, "field/required", "no port is said", "set `port.number` or `port.name`")
                }
                (true, false) => port(&number, out),
                (false, true) => super::words::port_or_name(&name, out),
            }
        }
        Some("resource") => {
            let resource = at.get("resource");
            for key in ["kind", "name"] {
                let at = resource.get(key);
                if wanted(&at, key, out) && !format::path_segment(at.str()) {
                    out.error(&at, "format/name", format!("`{}` is no {key}", at.str()), "no `/`, no `%`");
                }
            }
            named(&resource.get("apiGroup"), format::dns_subdomain, "DNS subdomain", out);
        }
        _ => {}
    }
}

pub(crate) fn class(spec: &At<'_>, out: &mut Out) {
    let controller = spec.get("controller");
    let (domain, path) = controller.str().split_once('/').unwrap_or(("", ""));
    if wanted(&controller, "controller", out)
        && (!format::dns_subdomain(domain) || path.is_empty() || controller.str().len() > 250)
    {
        out.error(
            &controller,
            "format/value",
            format!("`{}` is no controller", controller.str()),
            "a domain and a path, as example.org/ingress",
        );
    }
}
