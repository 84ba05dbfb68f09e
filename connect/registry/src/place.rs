//! Where a registry answers: `docker.io` at `registry-1.docker.io`, everything over TLS but what is on this machine or was named as insecure. Also which
//! addresses that it hands out are its own.

use url::Url;

use crate::reference::{DOCKER_HUB, is_host};
use crate::{RegistryError, Result};

/// Docker Hub's API.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// The address of a registry, with a path below `/v2/`.
pub(crate) fn url(registry: &str, path: &str, insecure: &[String]) -> Result<Url> {
    let host = if registry == DOCKER_HUB { DOCKER_HUB_HOST } else { registry };
    let scheme = if is_plain(registry, insecure) { "http" } else { "https" };
    let bad = |problem: String| RegistryError::Reference { text: registry.to_owned(), problem };
    if !is_host(host) {
        return Err(bad(format!("`{host}` is no name of a registry")));
    }
    Url::parse(&format!("{scheme}://{host}/v2/{path}")).map_err(|error| bad(error.to_string()))
}

/// Passwords go over an open wire only inside of this machine, or where somebody has said so.
pub(crate) fn is_plain(registry: &str, insecure: &[String]) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => registry,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    loopback || host == "localhost" || host.ends_with(".localhost") || insecure.iter().any(|named| named == registry)
}

/// The same scheme, host and port: only there may our authorization go.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// Without query and user: what may be shown.
pub(crate) fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_what_was_named_is_asked_without_tls() {
        let check = |registry: &str, expect: &str| {
            let found = url(registry, "", &["plain.example.org:80".to_owned()]).map(|url| url.to_string());
            assert_eq!(found.as_deref().ok(), Some(expect).filter(|text| !text.is_empty()), "{registry}");
        };
        check("docker.io", "https://registry-1.docker.io/v2/");
        check("r.example.org:5000", "https://r.example.org:5000/v2/");
        check("127.0.0.1:5000", "http://127.0.0.1:5000/v2/");
        check("[::1]:5000", "http://[::1]:5000/v2/");
        check("localhost", "http://localhost/v2/");
        check("plain.example.org:80", "http://plain.example.org/v2/");
        check("plain.example.org", "https://plain.example.org/v2/");
        check("localhost.example.org", "https://localhost.example.org/v2/");
        check("127.0.0.1.example.org", "https://127.0.0.1.example.org/v2/");
        check("a/b", "");
        check("u:p@r.example.org", "");
    }
}
