//! The four processes of the demo as data: arguments and environment, for whoever starts them.

use std::path::Path;

use crate::Role;

/// The ports of the four HTTP servers on 127.0.0.1, chosen by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The feed's.
    pub feed: u16,
    /// The store's.
    pub store: u16,
    /// The public api's.
    pub api: u16,
    /// The load's (health and metrics only).
    pub load: u16,
}

/// One process to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Which role it plays.
    pub role: Role,
    /// What [`crate::parse_args`] takes: the role first.
    pub args: Vec<String>,
    /// Variables to set on the child, on top of what it inherits.
    pub env: Vec<(String, String)>,
}

/// The four processes, in the way of the data; they may be started in any order. `otlp_endpoint` is a collector's HTTP
/// address without a path, for example `http://127.0.0.1:4318`.
pub fn children(otlp_endpoint: &str, data_dir: &Path, ports: Ports) -> Vec<Child> {
    Role::ALL
        .into_iter()
        .map(|role| {
            let port = match role {
                Role::Feed => ports.feed,
                Role::Store => ports.store,
                Role::Api => ports.api,
                Role::Load => ports.load,
            };
            let mut args = vec![role.to_string(), "--listen".to_owned(), format!("127.0.0.1:{port}")];
            for (option, port) in [("--feed-url", ports.feed), ("--store-url", ports.store), ("--api-url", ports.api)] {
                args.extend([option.to_owned(), format!("http://127.0.0.1:{port}")]);
            }
            args.extend(["--data-dir".to_owned(), data_dir.display().to_string()]);
            let env = [
                ("OTEL_SERVICE_NAME", role.service_name().to_owned()),
                // A name that outlives a restart keeps the demo's series in one piece.
                (
                    "OTEL_RESOURCE_ATTRIBUTES",
                    format!("service.instance.id=127.0.0.1:{port},deployment.environment.name=demo"),
                ),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp_endpoint.to_owned()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
                ("OTEL_METRIC_EXPORT_INTERVAL", "5000".to_owned()),
                ("OTEL_BSP_SCHEDULE_DELAY", "1000".to_owned()),
                ("OTEL_BLRP_SCHEDULE_DELAY", "1000".to_owned()),
            ];
            Child { role, args, env: env.map(|(name, value)| (name.to_owned(), value)).into() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_children_describes_is_what_parse_args_takes() {
        let ports = Ports { feed: 1, store: 2, api: 3, load: 4 };
        let made = children("http://127.0.0.1:4318", Path::new("/data dir"), ports);
        let roles: Vec<Role> = made.iter().map(|child| child.role).collect();
        assert_eq!(roles, Role::ALL);
        for (child, port) in made.iter().zip([1, 2, 3, 4]) {
            let settings = crate::parse_args(&child.args).unwrap();
            assert_eq!((settings.role, settings.listen.port()), (child.role, port));
            assert_eq!(settings.api_url, "http://127.0.0.1:3");
            assert_eq!(settings.data_dir, Path::new("/data dir"));
        }
    }

    fn check_refused(args: &[&str], expect: &str) {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let error = crate::parse_args(&args).unwrap_err().to_string();
        assert!(error.starts_with(expect), "{args:?}: {error}");
    }

    #[test]
    fn wrong_arguments_are_named() {
        check_refused(&[], "no role is given\n  hint: ROLE [--listen ADDR]");
        check_refused(&["broker"], "`broker` is no role\n  hint: the roles are feed, store, api and load");
        check_refused(&["feed", "--listen"], "--listen needs a value");
        check_refused(&["feed", "--listen", "7401"], "--listen 7401 is no address\n  hint: write 127.0.0.1:7401");
        check_refused(&["api", "--store-url", "localhost"], "--store-url localhost is no address of a peer");
        check_refused(&["api", "--quiet"], "`--quiet` is no option");
    }
}
