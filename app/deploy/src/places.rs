//! Ports and volumes as `docker run -p` and `-v` spell them. It does not know whether anybody has them already.

use base_explain::Report;
use operate_deploy::{Port, Publish, Volume};

/// `80`, `8080:80` or `127.0.0.1:8080:80`.
pub(crate) fn port(text: &str) -> Result<Port, Report> {
    let bad = || Report::new(format!("`{text}` is no port")).hint("write HOST:CONTAINER, such as 127.0.0.1:8080:80");
    let number = |text: &str| text.parse::<u16>().map_err(|_| bad());
    Ok(match text.rsplitn(3, ':').collect::<Vec<_>>()[..] {
        [container] => Port { container: number(container)?, publish: None },
        [container, host] => Port {
            container: number(container)?,
            publish: Some(Publish { address: String::new(), port: number(host)? }),
        },
        [container, host, address] => Port {
            container: number(container)?,
            // An address of IPv6 stands in brackets, which the engine does not want.
            publish: Some(Publish { address: address.trim_matches(['[', ']']).to_owned(), port: number(host)? }),
        },
        _ => return Err(bad()),
    })
}

/// `data:/data` or `/etc/x:/x:ro`.
pub(crate) fn volume(text: &str) -> Result<Volume, Report> {
    let bad = || {
        Report::new(format!("`{text}` is no volume"))
            .hint("write NAME:/PATH or /HOST/PATH:/PATH, with :ro for reading only")
    };
    let (source, rest) = text.split_once(':').ok_or_else(bad)?;
    let (path, read_only) = match rest.strip_suffix(":ro") {
        Some(path) => (path, true),
        None => (rest, false),
    };
    if source.is_empty() || !path.starts_with('/') || path.contains(':') {
        return Err(bad());
    }
    Ok(Volume { source: source.to_owned(), path: path.to_owned(), read_only })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_volumes_are_read_as_docker_reads_them() {
        let publish = |address: &str, port| Some(Publish { address: address.into(), port });
        for (text, publish) in
            [("80", None), ("8080:80", publish("", 8080)), ("127.0.0.1:8080:80", publish("127.0.0.1", 8080))]
        {
            assert_eq!(port(text).map_err(|report| report.one_line()), Ok(Port { container: 80, publish }));
        }
        assert_eq!(port("[::1]:8080:80").expect("an address of IPv6").publish, publish("::1", 8080));
        for text in ["", "x", "70000:80", "1:2:3:x"] {
            assert!(port(text).is_err(), "{text}");
        }
        let read = volume("/etc/x:/x:ro").expect("a volume");
        assert_eq!((read.source.as_str(), read.path.as_str(), read.read_only), ("/etc/x", "/x", true));
        for text in ["data", ":/x", "data:x", "a:/b:/c"] {
            assert!(volume(text).is_err(), "{text}");
        }
    }
}
