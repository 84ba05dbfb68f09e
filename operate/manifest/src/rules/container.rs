//! Containers of a pod: names, images, ports, environment, mounts, security. Probes and resources have files of their own.

use super::words::{exactly_one, named, one_of, port, port_or_name, unique, wanted, within};
use super::{later, probe, resources};
use crate::format;
use crate::validate::{At, Out};

/// What containers of one pod share.
pub(crate) struct Names<'a> {
    host_network: bool,
    volumes: &'a [&'a str],
    dropped: Vec<String>,
    seen: Vec<String>,
}

impl<'a> Names<'a> {
    pub(crate) fn new(host_network: bool, volumes: &'a [&'a str], dropped: Vec<String>) -> Self {
        Names { host_network, volumes, dropped, seen: Vec::new() }
    }

    fn take(&mut self, at: &At<'_>, out: &mut Out) {
        let name = at.get("name");
        if !wanted(&name, "name", out) {
            return;
        }
        named(&name, format::dns_label, "DNS label", out);
        if self.seen.iter().any(|seen| seen == name.str()) {
            out.error(
                &name,
                "relation/unique",
                format!("another container is called `{}`", name.str()),
                "give each a name of its own",
            );
        }
        self.seen.push(name.str().to_owned());
    }

    /// Two containers of a pod cannot have the same port of the host.
    pub(crate) fn host_ports(&self, containers: &At<'_>, out: &mut Out) {
        let mut seen: Vec<(String, String, i64)> = Vec::new();
        for container in containers.items() {
            let ports = container.get("ports");
            for one in ports.items() {
                let Some(host) = one.get("hostPort").int().filter(|port| *port != 0) else { continue };
                let protocol = one.get("protocol");
                let key = (
                    one.get("hostIP").str().to_owned(),
                    if protocol.str().is_empty() { "TCP" } else { protocol.str() }.to_owned(),
                    host,
                );
                if seen.contains(&key) {
                    out.error(
                        &one.get("hostPort"),
                        "relation/unique",
                        format!("port {host} of the host is taken before"),
                        "choose another",
                    );
                }
                seen.push(key);
            }
        }
    }
}

pub(crate) fn main(at: &At<'_>, names: &mut Names<'_>, out: &mut Out) {
    common(at, names, out);
    probe::probes(at, out);
    later::restarts(at, out);
    if at.get("restartPolicy").is() && out.minor < 34 {
        out.error(
            &at.get("restartPolicy"),
            "relation/conflict",
            "only init containers have one",
            "move it to the pod's spec",
        );
    }
}

pub(crate) fn init(at: &At<'_>, names: &mut Names<'_>, out: &mut Out) {
    common(at, names, out);
    let restart = at.get("restartPolicy");
    if restart.str() == "Always" {
        probe::probes(at, out);
        return;
    }
    if restart.is() && out.minor < 34 {
        one_of(&restart, &["Always"], out);
    }
    for key in ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"] {
        if at.get(key).is() {
            out.error(
                &at.get(key),
                "relation/conflict",
                "an init container that ends has no probes and no lifecycle",
                "take it out, or make it a sidecar by `restartPolicy: Always`",
            );
        }
    }
}

fn common(at: &At<'_>, names: &mut Names<'_>, out: &mut Out) {
    names.take(at, out);
    let image = at.get("image");
    if wanted(&image, "image", out) && image.str().trim() != image.str() {
        out.error(&image, "format/value", "blanks around the image", "take them out");
    }
    one_of(&at.get("imagePullPolicy"), &["Always", "IfNotPresent", "Never"], out);
    one_of(&at.get("terminationMessagePolicy"), &["File", "FallbackToLogsOnError"], out);
    ports(&at.get("ports"), names.host_network, out);
    environment(at, names.volumes, out);
    mounts(at, names.volumes, &names.dropped, out);
    resources::of_container(&at.get("resources"), out);
    security(&at.get("securityContext"), out);
    later::resizing(at, out);
}

fn ports(at: &At<'_>, host_network: bool, out: &mut Out) {
    for one in at.items() {
        let (container, host, name) = (one.get("containerPort"), one.get("hostPort"), one.get("name"));
        port(&container, out);
        within(&host, 0, 65_535, out);
        one_of(&one.get("protocol"), &["TCP", "UDP", "SCTP"], out);
        if !name.str().is_empty() {
            port_or_name(&name, out);
        }
        if host_network && host.int().is_some_and(|port| port != 0 && Some(port) != container.int()) {
            out.error(
                &host,
                "relation/match",
                "on the host's network it must be the container's port",
                "write the same, or leave it out",
            );
        }
    }
    unique(at, "name", out);
}

/// What the downward API gives as a variable.
const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

fn environment(at: &At<'_>, volumes: &[&str], out: &mut Out) {
    let env = at.get("env");
    for one in env.items() {
        let (name, from) = (one.get("name"), one.get("valueFrom"));
        if wanted(&name, "name", out) && !format::env_name(name.str(), out.minor) {
            out.error(
                &name,
                "format/name",
                format!("`{}` is no name of a variable", name.str()),
                "letters, digits, `_`, `-` and `.`, no digit first",
            );
        }
        if !from.is() {
            continue;
        }
        let sources = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
        if !one.get("value").str().is_empty() {
            out.error(&from, "relation/conflict", "`value` and `valueFrom` exclude each other", "keep one of them");
            continue;
        }
        match exactly_one(&from, &sources, "source", out) {
            Some("fieldRef") => field_ref(&from.get("fieldRef"), FIELDS, out),
            Some("resourceFieldRef") => resource_ref(&from.get("resourceFieldRef"), out),
            Some("fileKeyRef") => later::file_key(&from.get("fileKeyRef"), volumes, out),
            Some(source @ ("configMapKeyRef" | "secretKeyRef")) => {
                let source = from.get(source);
                if wanted(&source.get("name"), "name", out) {
                    named(&source.get("name"), format::dns_subdomain, "DNS subdomain", out);
                }
                if wanted(&source.get("key"), "key", out) {
                    named(&source.get("key"), format::config_key, "key of a ConfigMap or Secret", out);
                }
            }
            _ => {}
        }
    }
    let all = at.get("envFrom");
    for one in all.items() {
        if let Some(source) = exactly_one(&one, &["configMapRef", "secretRef"], "source", out) {
            let source = one.get(source);
            if wanted(&source.get("name"), "name", out) {
                named(&source.get("name"), format::dns_subdomain, "DNS subdomain", out);
            }
        }
        let prefix = one.get("prefix");
        if !prefix.str().is_empty() && !format::env_name(prefix.str(), out.minor) {
            out.error(
                &prefix,
                "format/name",
                "no name of a variable can begin so",
                "letters, digits, `_`, `-` and `.`, no digit first",
            );
        }
    }
}

/// A field of the pod, of those listed or one label or annotation.
pub(crate) fn field_ref(at: &At<'_>, fields: &[&str], out: &mut Out) {
    let path = at.get("fieldPath");
    if !wanted(&path, "fieldPath", out) {
        return;
    }
    let one_key = |start: &str| {
        path.str()
            .strip_prefix(start)
            .and_then(|rest| rest.strip_suffix("']"))
            .is_some_and(|key| format::qualified_name(&key.to_lowercase()))
    };
    let fine = fields.contains(&path.str()) || one_key("metadata.labels['") || one_key("metadata.annotations['");
    if !fine {
        let fix = format!("one of {}, or metadata.labels['KEY'], metadata.annotations['KEY']", fields.join(", "));
        out.error(&path, "format/value", format!("`{}` cannot be taken from the pod", path.str()), fix);
    }
}

pub(crate) fn resource_ref(at: &At<'_>, out: &mut Out) {
    let resource = at.get("resource");
    if !wanted(&resource, "resource", out) {
        return;
    }
    let known = ["cpu", "memory", "ephemeral-storage"];
    let fine = ["limits.", "requests."].iter().any(|start| {
        resource.str().strip_prefix(start).is_some_and(|name| known.contains(&name) || name.starts_with("hugepages-"))
    });
    if !fine {
        out.error(
            &resource,
            "format/value",
            format!("`{}` is no resource of a container", resource.str()),
            "as limits.cpu or requests.memory",
        );
    }
}

fn mounts(at: &At<'_>, volumes: &[&str], dropped: &[String], out: &mut Out) {
    let mounts = at.get("volumeMounts");
    let mut paths: Vec<String> = Vec::new();
    for one in mounts.items() {
        let (name, path) = (one.get("name"), one.get("mountPath"));
        if dropped.iter().any(|dropped| dropped == name.str()) {
            continue;
        }
        if wanted(&name, "name", out) && !volumes.contains(&name.str()) {
            out.error(
                &name,
                "relation/missing",
                format!("the pod has no volume `{}`", name.str()),
                "add it to `volumes`, or mount one of those",
            );
        }
        if wanted(&path, "mountPath", out) {
            if paths.iter().any(|seen| seen == path.str()) {
                out.error(
                    &path,
                    "relation/unique",
                    format!("something is mounted at `{}` already", path.str()),
                    "mount it elsewhere",
                );
            }
            paths.push(path.str().to_owned());
        }
        let (sub, expression) = (one.get("subPath"), one.get("subPathExpr"));
        if !sub.str().is_empty() && !expression.str().is_empty() {
            out.error(
                &expression,
                "relation/conflict",
                "`subPath` and `subPathExpr` exclude each other",
                "keep one of them",
            );
        }
        for inner in [&sub, &expression] {
            if inner.str().starts_with('/') || inner.str().split('/').any(|part| part == "..") {
                out.error(inner, "format/value", "it must stay below the volume", "write a relative path without `..`");
            }
        }
        one_of(&one.get("mountPropagation"), &["None", "HostToContainer", "Bidirectional"], out);
        if one.get("mountPropagation").str() == "Bidirectional" && !at.get("securityContext").get("privileged").bool() {
            out.error(
                &one.get("mountPropagation"),
                "relation/match",
                "Bidirectional is for privileged containers",
                "write HostToContainer",
            );
        }
    }
    let devices = at.get("volumeDevices");
    for one in devices.items() {
        let (name, path) = (one.get("name"), one.get("devicePath"));
        if wanted(&name, "name", out) && !volumes.contains(&name.str()) {
            out.error(
                &name,
                "relation/missing",
                format!("the pod has no volume `{}`", name.str()),
                "add it to `volumes`",
            );
        }
        wanted(&path, "devicePath", out);
    }
}

fn security(at: &At<'_>, out: &mut Out) {
    for key in ["runAsUser", "runAsGroup"] {
        within(&at.get(key), 0, i64::from(i32::MAX), out);
    }
    one_of(&at.get("procMount"), &["Default", "Unmasked"], out);
    seccomp(&at.get("seccompProfile"), out);
    let escalation = at.get("allowPrivilegeEscalation");
    let denied = matches!(escalation.word(), Some(lib_yaml_edit::Word::Bool(false)));
    if denied && at.get("privileged").bool() {
        out.error(
            &escalation,
            "relation/conflict",
            "a privileged container cannot be without it",
            "take `privileged: true` out",
        );
    }
    let capabilities = at.get("capabilities");
    let added = capabilities.get("add");
    if denied && added.items().any(|one| matches!(one.str(), "CAP_SYS_ADMIN")) {
        out.error(&escalation, "relation/conflict", "CAP_SYS_ADMIN cannot be without it", "do not add that capability");
    }
}

pub(crate) fn seccomp(at: &At<'_>, out: &mut Out) {
    let (kind, file) = (at.get("type"), at.get("localhostProfile"));
    one_of(&kind, &["Localhost", "RuntimeDefault", "Unconfined"], out);
    if kind.str() == "Localhost" && file.str().is_empty() {
        out.error(&file, "field/required", "`type: Localhost` needs a profile", "set `localhostProfile`");
    }
    if kind.str() != "Localhost" && file.is() {
        out.error(&file, "relation/conflict", "only `type: Localhost` has a profile of its own", "take it out");
    }
}
