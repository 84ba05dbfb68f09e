//! Each step as the docker command that does the same, for `--dry-run`: a reader checks it against what he knows. It is shown, never run.

use crate::{Release, container, extra_by_hand};

/// `docker create` with everything that was asked for. A secret is given by its name only, which has docker take it from the environment.
pub(crate) fn create(release: &Release, name: &str) -> String {
    let wanted = &release.container;
    let mut words = vec!["docker create".to_owned(), format!("--name {name}")];
    let env = container::environment(release);
    words.extend(env.iter().map(|(name, value)| format!("-e {}", quoted(&format!("{name}={value}")))));
    words.extend(wanted.secrets.keys().map(|name| format!("-e {}", quoted(name))));
    let labels = container::labels(release);
    let label = |(name, value): (&String, &serde_json::Value)| {
        format!("--label {}", quoted(&format!("{name}={}", value.as_str().unwrap_or_default())))
    };
    words.extend(labels.as_object().into_iter().flatten().map(label));
    for port in &wanted.ports {
        words.push(match &port.publish {
            Some(publish) if publish.address.is_empty() => format!("-p {}:{}", publish.port, port.container),
            Some(publish) => format!("-p {}:{}:{}", publish.address, publish.port, port.container),
            None => format!("--expose {}", port.container),
        });
    }
    for volume in &wanted.volumes {
        let rest = if volume.read_only { ":ro" } else { "" };
        words.push(format!("-v {}", quoted(&format!("{}:{}{rest}", volume.source, volume.path))));
    }
    words.extend(wanted.networks.iter().take(1).map(|network| format!("--network {network}")));
    let mut limit = |wanted: bool, word: String| {
        if wanted {
            words.push(word);
        }
    };
    limit(wanted.memory_bytes > 0, format!("--memory {}", wanted.memory_bytes));
    limit(wanted.cpu_millis > 0, format!("--cpus {}.{:03}", wanted.cpu_millis / 1000, wanted.cpu_millis % 1000));
    limit(wanted.pids > 0, format!("--pids-limit {}", wanted.pids));
    limit(wanted.read_only_root, "--read-only".to_owned());
    limit(wanted.stop_grace_s > 0, format!("--stop-timeout {}", wanted.stop_grace_s));
    words.extend(wanted.health.iter().flat_map(extra_by_hand::health));
    words.extend(extra_by_hand::words(&wanted.extra, wanted.networks.first()));
    words.extend(wanted.user.iter().map(|user| format!("--user {}", quoted(user))));
    words.extend(wanted.entrypoint.iter().flatten().take(1).map(|word| format!("--entrypoint {}", quoted(word))));
    let restart = if wanted.restart.is_empty() { "unless-stopped" } else { &wanted.restart };
    words.push(match wanted.extra.restart_max {
        0 => format!("--restart {restart}"),
        most => format!("--restart {restart}:{most}"),
    });
    words.push(quoted(release.exact()));
    let rest = wanted.entrypoint.iter().flatten().skip(1).chain(wanted.command.iter().flatten());
    words.extend(rest.map(|word| quoted(word)));
    let joins = wanted.networks.iter().skip(1).map(|network| {
        let wishes = extra_by_hand::endpoint(&wanted.extra, network, "alias");
        let wishes: String = wishes.iter().map(|word| format!("{word} ")).collect();
        format!(" && docker network connect {wishes}{network} {name}")
    });
    words.join(" ") + &joins.collect::<String>()
}

/// In single quotes where a shell would take it apart.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
