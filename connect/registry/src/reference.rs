//! References to images as Docker reads them: `shop/cart:1` is `docker.io/shop/cart:1`, and `localhost:5000/a@sha256:…` is what it says. Source: the
//! grammar of the distribution project's `reference` package. It asks nobody whether there is such an image.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, RegistryError};

/// Where an image without a registry in its name comes from.
pub const DOCKER_HUB: &str = "docker.io";
/// Letters of a registry and a repository together.
const NAME_LETTERS_MAX: usize = 255;
const TAG_LETTERS_MAX: usize = 128;

/// An image at a registry: by a tag, by a digest, or by both, when the digest decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// `docker.io`, `registry.example.org:5000`, `[::1]:5000`
    pub registry: String,
    /// `library/postgres`, `shop/cart`
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<Digest>,
}

impl Reference {
    /// What a registry is asked for: the digest, else the tag, else `latest`.
    pub fn wanted(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// The same image by its digest alone: what it is cannot change any more.
    pub fn pinned(&self, digest: &Digest) -> Reference {
        Reference { tag: None, digest: Some(digest.clone()), ..self.clone() }
    }

    /// Without tag and digest, as people write it: `postgres`, not `docker.io/library/postgres`.
    pub fn familiar(&self) -> String {
        match self.registry.as_str() {
            DOCKER_HUB => self.repository.strip_prefix("library/").unwrap_or(&self.repository).to_owned(),
            registry => format!("{registry}/{}", self.repository),
        }
    }

    /// A repository alone, for calls that ask for no single image; a tag or a digest in it is left out.
    pub fn repository(&self) -> Reference {
        Reference { tag: None, digest: None, ..self.clone() }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.familiar())?;
        if let Some(tag) = &self.tag {
            write!(to, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(to, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        let bad = |problem: &str| RegistryError::Reference { text: shown(text), problem: problem.to_owned() };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (
                rest,
                Some(
                    digest
                        .parse::<Digest>()
                        .map_err(|_| bad("its digest is none: write @sha256: and 64 letters of 0-9, a-f"))?,
                ),
            ),
            None => (text, None),
        };
        // A colon before a slash belongs to a port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') && !name.is_empty() => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(bad(
                "a tag has letters, digits, `_`, `.`, `-`, at most 128, and begins with none of `.` and `-`",
            ));
        }
        let (registry, path) = split_registry(name);
        if path.is_empty() {
            return Err(bad("it names no repository"));
        }
        if let Some(registry) = registry.filter(|registry| !is_host(registry)) {
            return Err(bad(&format!("`{registry}` is no name of a registry")));
        }
        if path.chars().any(|letter| letter.is_ascii_uppercase()) {
            return Err(bad("the name of a repository is written in small letters"));
        }
        if !path.split('/').all(is_component) {
            return Err(bad(
                "the parts of a repository's name are small letters and digits, with `.`, `_`, `__` or `-` between them",
            ));
        }
        if registry.is_none() && path.len() == 64 && path.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad("64 hexadecimal letters are an image's id, not a name"));
        }
        let registry = match registry {
            None | Some("index.docker.io" | "registry-1.docker.io") => DOCKER_HUB,
            Some(registry) => registry,
        };
        let repository = match registry {
            DOCKER_HUB if !path.contains('/') => format!("library/{path}"),
            _ => path.to_owned(),
        };
        if registry.len() + repository.len() > NAME_LETTERS_MAX {
            return Err(bad("the name has more than 255 letters"));
        }
        Ok(Reference { registry: registry.to_owned(), repository, tag: tag.map(str::to_owned), digest })
    }
}

/// The first part is a registry when it cannot be a user of Docker Hub.
fn split_registry(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.chars().any(|letter| letter.is_ascii_uppercase()) =>
        {
            (Some(first), rest)
        }
        _ => (None, name),
    }
}

/// A name or an address, and perhaps a port.
pub(crate) fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if port.is_some_and(|port| port.is_empty() || port.parse::<u16>().is_err()) {
        return false;
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        let inner = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    host.split('.').all(label)
}

fn is_component(text: &str) -> bool {
    let mut rest = text;
    loop {
        let word = rest.bytes().take_while(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()).count();
        if word == 0 {
            return false;
        }
        rest = &rest[word..];
        if rest.is_empty() {
            return true;
        }
        let between = rest.bytes().take_while(|byte| b"._-".contains(byte)).count();
        let separator = &rest[..between];
        if !matches!(separator, "." | "_" | "__")
            && (separator.is_empty() || separator.bytes().any(|byte| byte != b'-'))
        {
            return false;
        }
        rest = &rest[between..];
    }
}

fn is_tag(text: &str) -> bool {
    let inner = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    !text.is_empty() && text.len() <= TAG_LETTERS_MAX && text.chars().all(inner) && !text.starts_with(['.', '-'])
}

/// What was given, short enough for a sentence.
fn shown(text: &str) -> String {
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4";

    /// registry, repository, what is asked for, and as it is shown; or a word of the error.
    fn check(text: &str, expect: Result<(&str, &str, &str, &str), &str>) {
        match (text.parse::<Reference>(), expect) {
            (Ok(read), Ok((registry, repository, wanted, shown))) => {
                let found = (read.registry.as_str(), read.repository.as_str(), read.wanted(), read.to_string());
                assert_eq!(found, (registry, repository, wanted.to_owned(), shown.to_owned()), "{text}");
                assert_eq!(read.to_string().parse::<Reference>().expect("what is shown can be read"), read);
            }
            (Err(error), Err(word)) => assert!(error.to_string().contains(word), "{text}: {error}"),
            (found, expect) => panic!("{text}: {found:?}, not {expect:?}"),
        }
    }

    #[test]
    fn references_are_read_as_docker_reads_them() {
        check("postgres", Ok(("docker.io", "library/postgres", "latest", "postgres")));
        check("postgres:16.1", Ok(("docker.io", "library/postgres", "16.1", "postgres:16.1")));
        check("shop/cart:1", Ok(("docker.io", "shop/cart", "1", "shop/cart:1")));
        check("docker.io/shop/cart", Ok(("docker.io", "shop/cart", "latest", "shop/cart")));
        check("index.docker.io/library/redis:7", Ok(("docker.io", "library/redis", "7", "redis:7")));
        check("localhost/a:1", Ok(("localhost", "a", "1", "localhost/a:1")));
        check("localhost:5000/a", Ok(("localhost:5000", "a", "latest", "localhost:5000/a")));
        check("127.0.0.1:5000/a/b__c-d:x", Ok(("127.0.0.1:5000", "a/b__c-d", "x", "127.0.0.1:5000/a/b__c-d:x")));
        check("[::1]:5000/a", Ok(("[::1]:5000", "a", "latest", "[::1]:5000/a")));
        check("ghcr.io/org/app:v1", Ok(("ghcr.io", "org/app", "v1", "ghcr.io/org/app:v1")));
        // No dot, no port: a user of Docker Hub.
        check("host/a", Ok(("docker.io", "host/a", "latest", "host/a")));
        let pinned = format!("shop/cart:1@sha256:{HEX}");
        check(&pinned, Ok(("docker.io", "shop/cart", &format!("sha256:{HEX}"), &pinned)));
    }

    #[test]
    fn what_is_no_reference_says_why() {
        check("", Err("no repository"));
        check("registry.example.org/", Err("no repository"));
        check("Shop", Err("small letters"));
        check("shop/Cart:1", Err("small letters"));
        check("a..b", Err("between them"));
        check("a/../b", Err("between them"));
        check("-a", Err("between them"));
        check("a:", Err("a tag has"));
        check("a:.x", Err("a tag has"));
        check("a@sha256:12", Err("digest"));
        check("a@md5:d41d8cd98f00b204e9800998ecf8427e", Err("digest"));
        check("host:99999/a", Err("no name of a registry"));
        check("ho st.x/a", Err("no name of a registry"));
        check(HEX, Err("an image's id"));
        check(&format!("r.example.org/{}", "a".repeat(300)), Err("255"));
        check("http://r/a", Err("no name of a registry"));
    }

    #[test]
    fn a_pinned_reference_has_no_tag() {
        let read: Reference = "r.example.org/a:1".parse().expect("a reference");
        let digest: Digest = format!("sha256:{HEX}").parse().expect("a digest");
        assert_eq!(read.pinned(&digest).to_string(), format!("r.example.org/a@sha256:{HEX}"));
    }
}
