//! Taking ports, and telling who holds one that is taken.

use std::net::SocketAddr;

use base_explain::Report;
use tokio::net::TcpListener;

use crate::start::NotStarted;

/// Binds `address`, which came from `flag`; `off` is none. Beyond loopback only when there is a token.
pub(crate) async fn bind(
    name: &str,
    flag: &str,
    address: &str,
    has_token: bool,
) -> Result<Option<TcpListener>, NotStarted> {
    if address == "off" {
        return Ok(None);
    }
    // Without the main port there would be no way to ask anything.
    let or_off = if flag == "--listen" { String::new() } else { format!(", or `{flag} off`") };
    let resolved: Vec<SocketAddr> = match tokio::net::lookup_host(with_host(address)).await {
        Ok(found) => found.collect(),
        Err(error) => {
            return Err(Report::new(format!("`{address}` is no address to listen on"))
                .because(error.to_string())
                .hint(format!("write `{flag} 127.0.0.1:PORT`{or_off}"))
                .into());
        }
    };
    let Some(at) = resolved.first().copied() else {
        let report = Report::new(format!("`{address}` names no address"));
        return Err(report.hint(format!("write `{flag} 127.0.0.1:PORT`")).into());
    };
    if !at.ip().is_loopback() && !has_token {
        let report = Report::new(format!("listening on {at} would open {name} to others, and there is no token"));
        let hint = "give one with --token-file FILE or APM_TOKEN, or listen on 127.0.0.1";
        return Err(NotStarted::Refused(report.hint(hint)));
    }
    match TcpListener::bind(at).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let holder = holder(at.port()).map_or_else(
                || "another program holds it".to_owned(),
                |(pid, program)| format!("`{program}` (pid {pid}) holds it"),
            );
            Err(Report::new(format!("the port {} of {name} is taken", at.port()))
                .because(holder)
                .hint(format!("stop it, or choose another: `{flag} 127.0.0.1:0` takes any free port"))
                .into())
        }
        Err(error) => Err(Report::new(format!("{name} cannot listen on {at}"))
            .because(error.to_string())
            .hint(format!("choose another address with {flag}"))
            .into()),
    }
}

/// `:4300` and `4300` mean loopback.
fn with_host(address: &str) -> String {
    match address.strip_prefix(':') {
        Some(port) => format!("127.0.0.1:{port}"),
        None if address.bytes().all(|b| b.is_ascii_digit()) => format!("127.0.0.1:{address}"),
        None => address.to_owned(),
    }
}

/// Pid and name of the process that listens on a local port: its socket's inode stands in /proc/net/tcp, and the process
/// with that inode among its files is the holder. Only processes that we may look into are found.
fn holder(port: u16) -> Option<(u32, String)> {
    let world = base_world::World::real();
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| crate::memory::read(&world, path))
        .flat_map(|text| listening_inodes(&text, port))
        .collect();
    let wanted: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(files) = std::fs::read_dir(entry.path().join("fd")) else { continue };
        let holds = files.flatten().any(|file| {
            let target = std::fs::read_link(file.path());
            target.is_ok_and(|target| wanted.iter().any(|wanted| target.as_os_str() == wanted.as_str()))
        });
        if holds {
            let program = crate::memory::read(&world, &format!("/proc/{pid}/comm")).unwrap_or_default();
            return Some((pid, program.trim().to_owned()));
        }
    }
    None
}

/// Columns of /proc/net/tcp: number, local address, remote address, state (0A is LISTEN), …, inode as the tenth.
fn listening_inodes(text: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    let inode = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let listens = columns.get(1)?.ends_with(&suffix) && *columns.get(3)? == "0A";
        listens.then(|| columns.get(9).map(|inode| (*inode).to_owned())).flatten()
    };
    text.lines().skip(1).filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_holder() {
        let first = bind("page", "--listen", "127.0.0.1:0", false).await.unwrap().unwrap();
        let address = first.local_addr().unwrap().to_string();
        let NotStarted::Broken(report) = bind("page", "--listen", &address, false).await.unwrap_err() else {
            panic!("a taken port is nobody's refusal")
        };
        let text = report.one_line();
        assert!(text.contains(&format!("pid {}", std::process::id())), "{text}");
        assert!(text.contains("--listen"), "{text}");
    }

    #[tokio::test]
    async fn beyond_loopback_only_with_a_token() {
        let NotStarted::Refused(report) = bind("page", "--listen", "0.0.0.0:0", false).await.unwrap_err() else {
            panic!("it could be done, and may not")
        };
        let text = report.one_line();
        assert!(text.contains("--token-file"), "{text}");
        assert!(bind("page", "--listen", "0.0.0.0:0", true).await.unwrap().is_some());
        assert!(bind("otlp", "--otlp-grpc", "off", false).await.unwrap().is_none());
    }
}
