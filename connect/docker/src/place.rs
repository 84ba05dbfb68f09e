//! Where an engine listens, in the words of `DOCKER_HOST`. It opens nothing.

use std::fmt;
use std::path::PathBuf;

/// What a client needs for TLS: the contents of the PEM files, not their paths. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authority that signed the engine's certificate.
    pub ca: Vec<u8>,
    /// Our certificate and key; an engine that asks for none can do without.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for TlsFiles {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("TlsFiles").field("identity", &self.identity.is_some()).finish_non_exhaustive()
    }
}

/// The address of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `unix:///var/run/docker.sock`
    Unix(PathBuf),
    /// `tcp://host:2375`, or `:2376` with TLS.
    Tcp { host: String, port: u16, tls: Option<TlsFiles> },
    /// `npipe:////./pipe/docker_engine`, on Windows.
    NamedPipe(String),
}

impl Place {
    /// Reads an address as `DOCKER_HOST` and contexts give it. `tls` says whether one without a port means 2376.
    pub fn parse(text: &str, tls: Option<TlsFiles>) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(format!("`{text}`: a unix socket has an absolute path, as in unix:///var/run/docker.sock")),
            "npipe" => Ok(Self::NamedPipe(rest.replace('/', "\\"))),
            "tcp" | "http" | "https" => tcp(text, rest, tls),
            "ssh" => Err(format!(
                "`{text}`: an engine over ssh is not spoken to here; forward its socket \
                 (`ssh -L /tmp/docker.sock:/var/run/docker.sock HOST`) and say DOCKER_HOST=unix:///tmp/docker.sock"
            )),
            _ => Err(format!("`{text}`: `{scheme}` is none of unix, tcp and npipe")),
        }
    }
}

fn tcp(text: &str, rest: &str, tls: Option<TlsFiles>) -> Result<Place, String> {
    let authority = rest.split('/').next().unwrap_or_default();
    // "[::1]:2375" has colons inside of the brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { "localhost" } else { host };
    let port = match port {
        Some(port) => port.parse().map_err(|_| format!("`{text}`: `{port}` is no port number"))?,
        None if tls.is_some() => 2376,
        None => 2375,
    };
    Ok(Place::Tcp { host: host.to_owned(), port, tls })
}

impl fmt::Display for Place {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(to, "unix://{}", path.display()),
            Self::Tcp { host, port, .. } if host.contains(':') => write!(to, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(to, "tcp://{host}:{port}"),
            Self::NamedPipe(path) => write!(to, "npipe://{}", path.replace('\\', "/")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    /// The address read and written again, or a word of the refusal.
    fn check(text: &str, expect: Result<&str, &str>) {
        match (Place::parse(text, None), expect) {
            (Ok(place), Ok(expect)) => assert_eq!(place.to_string(), expect, "{text}"),
            (Err(problem), Err(expect)) => assert!(problem.contains(expect), "{problem} should speak of {expect}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn addresses() {
        check("unix:///var/run/docker.sock", Ok("unix:///var/run/docker.sock"));
        check("tcp://127.0.0.1:2375", Ok("tcp://127.0.0.1:2375"));
        check("tcp://engine.example.org", Ok("tcp://engine.example.org:2375"));
        check("engine.example.org:99", Ok("tcp://engine.example.org:99"));
        check("tcp://[::1]:2375", Ok("tcp://[::1]:2375"));
        check("tcp://[::1]", Ok("tcp://[::1]:2375"));
        check("tcp://:2375/", Ok("tcp://localhost:2375"));
        check("npipe:////./pipe/docker_engine", Ok("npipe:////./pipe/docker_engine"));
        check("unix://docker.sock", Err("absolute path"));
        check("tcp://host:abc", Err("`abc` is no port number"));
        check("tcp://host:99999", Err("no port number"));
        check("ssh://user@host", Err("forward its socket"));
        check("fd://", Err("`fd` is none of"));
    }
}
