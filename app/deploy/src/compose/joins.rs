//! What a container of a compose project is joined to: ports, networks, volumes, secrets and configs. It knows one service at a time.

use operate_compose::Node;
use operate_deploy::{Endpoint, Extra, Port, Publish};

use super::{Taken, texts};
use crate::settings::DeploySettings;

impl Taken<'_> {
    pub(super) fn ports(&mut self, node: &Node, deploy: &mut DeploySettings, extra: &mut Extra) {
        for port in node.get("ports").map(Node::items).unwrap_or_default() {
            let inside = port.get("target").and_then(Node::whole).and_then(|port| u16::try_from(port).ok());
            // Without one the engine chooses.
            let outside = port.text_of("published").unwrap_or("0").parse::<u16>();
            let address = port.text_of("host_ip").unwrap_or_default();
            let bracketed = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
            match (inside, outside, port.text_of("protocol").unwrap_or("tcp")) {
                (Some(inside), Ok(outside), "tcp") if address.is_empty() => {
                    deploy.ports.push(format!("{outside}:{inside}"))
                }
                (Some(inside), Ok(outside), "tcp") => deploy.ports.push(format!("{bracketed}:{outside}:{inside}")),
                (Some(container), Ok(port), "udp") => {
                    extra.udp.push(Port { container, publish: Some(Publish { address: address.to_owned(), port }) });
                }
                (_, Err(_), _) => self.bad(port, "a range to choose a port from is not carried out", "name one port"),
                (_, _, protocol) => {
                    let message = format!("a port of `{protocol}` is not carried out");
                    self.bad(port, message, "tcp and udp are");
                }
            }
        }
        for entry in node.get("expose").map(Node::items).unwrap_or_default() {
            let text = entry.text().unwrap_or_default();
            let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
            match (number.parse::<u16>(), protocol) {
                (Ok(number), "tcp") => deploy.ports.push(number.to_string()),
                (Ok(container), "udp") => extra.udp.push(Port { container, publish: None }),
                _ => self.bad(entry, format!("`{text}` cannot be exposed"), "write one port, such as 80 or 53/udp"),
            }
        }
    }

    pub(super) fn networks(&mut self, name: &str, node: &Node, deploy: &mut DeploySettings, extra: &mut Extra) {
        if let Some(mode) = node.get("network_mode") {
            match mode.text() {
                Some(word @ ("host" | "none" | "bridge")) => deploy.networks = vec![word.to_owned()],
                _ => self.bad(
                    mode,
                    "the network of another container is not carried out",
                    "`host`, `none` and `bridge` are",
                ),
            }
            return;
        }
        for network in node.get("networks").map(Node::pairs).unwrap_or_default() {
            let full = self.full_name("networks", &network.key).to_owned();
            // Others find it by the name of its service.
            let mut aliases = vec![name.to_owned()];
            aliases.extend(network.node.get("aliases").map(texts).unwrap_or_default());
            let address = |key: &str| network.node.text_of(key).unwrap_or_default().to_owned();
            let (ipv4_address, ipv6_address) = (address("ipv4_address"), address("ipv6_address"));
            if !ipv4_address.is_empty() || !ipv6_address.is_empty() {
                let external = self.root.get("networks").and_then(|all| all.get(&network.key)?.get("external"));
                if !external.is_some_and(Node::is_true) {
                    self.bad(
                        &network.node,
                        "an address can be fixed in a network with a subnet only, and none is set up here",
                        "make the network by hand and write `external: true`",
                    );
                }
            }
            if let Some(priority) = network.node.get("priority") {
                self.note(priority, "networks are joined in the order of the file", "put the first one first");
            }
            extra.endpoints.insert(full.clone(), Endpoint { aliases, ipv4_address, ipv6_address });
            deploy.networks.push(full);
        }
    }

    pub(super) fn volumes(&mut self, name: &str, node: &Node, deploy: &mut DeploySettings, extra: &mut Extra) {
        for volume in node.get("volumes").map(Node::items).unwrap_or_default() {
            let kind = volume.text_of("type").unwrap_or_default();
            let target = volume.text_of("target").unwrap_or_default().to_owned();
            let rest = if volume.get("read_only").is_some_and(Node::is_true) { ":ro" } else { "" };
            let bind = volume.get("bind");
            for key in ["propagation", "selinux"] {
                if let Some(node) = bind.and_then(|bind| bind.get(key)) {
                    self.bad(node, format!("`{key}` of a mount is not carried out"), "leave it out");
                }
            }
            if let Some(node) =
                volume.get("volume").and_then(|volume| volume.get("nocopy")).filter(|node| node.is_true())
            {
                self.bad(node, "`nocopy` of a volume is not carried out", "leave it out");
            }
            match (kind, volume.text_of("source")) {
                ("volume", None) => extra.anonymous.push(target),
                ("volume", Some(source)) => {
                    let source = self.full_name("volumes", source);
                    deploy.volumes.push(format!("{source}:{target}{rest}"));
                }
                ("bind", Some(source)) => {
                    let made = bind.and_then(|bind| bind.get("create_host_path")).is_some_and(Node::is_true);
                    let made = made && !self.seen.elsewhere;
                    if !made && !self.is_there(source, name) {
                        self.bad(
                            volume,
                            format!("there is no {source}"),
                            "make it; the short form has the engine make it",
                        );
                    }
                    deploy.volumes.push(format!("{source}:{target}{rest}"));
                }
                ("tmpfs", _) => {
                    let options = volume.get("tmpfs");
                    let size = options.and_then(|options| options.text_of("size")).map(|size| format!("size={size}"));
                    let mode =
                        options.and_then(|options| options.get("mode")?.whole()).map(|mode| format!("mode={mode:o}"));
                    let both: Vec<_> = size.into_iter().chain(mode).collect();
                    extra.tmpfs.insert(target, both.join(","));
                }
                _ => self.bad(volume, "this mount has no source", "name a folder or a volume"),
            }
        }
    }

    /// Secrets and configs are files of this machine, which the container sees and cannot write, as compose does it.
    pub(super) fn grants(&mut self, name: &str, node: &Node, deploy: &mut DeploySettings) {
        for section in ["secrets", "configs"] {
            for grant in node.get(section).map(Node::items).unwrap_or_default() {
                let source = grant.text_of("source").unwrap_or_default();
                let Some(entry) = self.root.get(section).and_then(|all| all.get(source)) else { continue };
                let Some(file) = entry.text_of("file") else {
                    self.bad(
                        entry,
                        format!("`{source}` of `{section}` is no file"),
                        "write it into a file and name that by `file`",
                    );
                    continue;
                };
                if !self.is_there(file, name) {
                    self.bad(entry, format!("there is no {file}"), "write it");
                }
                for key in ["uid", "gid", "mode"] {
                    if let Some(node) = grant.get(key) {
                        self.note(
                            node,
                            format!("`{key}` of `{source}` is not set"),
                            "the file keeps the rights that it has on this machine",
                        );
                    }
                }
                let target = match grant.text_of("target") {
                    Some(target) if target.starts_with('/') => target.to_owned(),
                    Some(target) => format!("/run/secrets/{target}"),
                    None => format!("/{source}"),
                };
                deploy.volumes.push(format!("{file}:{target}:ro"));
            }
        }
    }
}
