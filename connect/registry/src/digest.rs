//! Digests: `sha256:…` and `sha512:…`, read strictly and computed piece by piece. Source: OCI image specification, "descriptor". It fetches nothing.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256, Sha512};

/// What bytes are, whatever anyone calls them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

/// The text is no digest that can be checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no digest: sha256: with 64, or sha512: with 128 letters of 0-9, a-f is one")]
pub struct NoDigest(String);

impl Digest {
    /// The sha256 of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        let mut hash = Hashing::Sha256(Sha256::new());
        hash.add(bytes);
        hash.finish()
    }

    /// `sha256:…`
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The letters after the colon.
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }

    /// As the tag under which registries without the referrers API keep what belongs to an image: `sha256-…`.
    pub(crate) fn as_tag(&self) -> String {
        self.0.replacen(':', "-", 1)
    }

    /// Computes the same kind of digest.
    pub(crate) fn hashing(&self) -> Hashing {
        if self.0.starts_with("sha512:") { Hashing::Sha512(Sha512::new()) } else { Hashing::Sha256(Sha256::new()) }
    }

    /// The same kind of digest of these bytes.
    pub(crate) fn same_of(&self, bytes: &[u8]) -> Digest {
        let mut hash = self.hashing();
        hash.add(bytes);
        hash.finish()
    }
}

/// A digest being computed.
pub(crate) enum Hashing {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hashing {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        match self {
            Hashing::Sha256(hash) => hash.update(bytes),
            Hashing::Sha512(hash) => hash.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        match self {
            Hashing::Sha256(hash) => Digest(format!("sha256:{:x}", hash.finalize())),
            Hashing::Sha512(hash) => Digest(format!("sha512:{:x}", hash.finalize())),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let letters = match text.split_once(':') {
            Some(("sha256", hex)) => (hex, 64),
            Some(("sha512", hex)) => (hex, 128),
            _ => ("", 1),
        };
        // Capitals would be another text for the same bytes.
        let is_hex = letters.0.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if letters.0.len() == letters.1 && is_hex {
            Ok(Digest(text.to_owned()))
        } else {
            Err(NoDigest(text.chars().take(200).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_computed_and_read() {
        // FIPS 180-4's example "abc".
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").as_str(), abc);
        let long: Digest = format!("sha512:{}", "0".repeat(128)).parse().expect("a digest");
        assert!(long.same_of(b"abc").as_str().starts_with("sha512:ddaf35a193617aba"));
        assert_eq!(abc.parse::<Digest>().expect("a digest").as_tag(), abc.replace(':', "-"));
        for text in
            ["", "sha256:", "sha256:12", &abc.to_uppercase(), &abc.replace("sha256", "sha1"), &format!("{abc}0")]
        {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
