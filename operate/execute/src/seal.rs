//! Secrets at rest: what an object was before an act may hold passwords, so it is sealed with AES-256-GCM (NIST SP 800-38D) under a key
//! that lies outside the data folder, and shown as a keyed mark (HMAC-SHA-256, RFC 2104). It does not know what is secret about a value.
//!
//! Sealed text: base64 of `version (1) | nonce (12) | ciphertext and tag`; the name of what is sealed is the additional data, so that one
//! sealed value cannot stand in for another.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base_world::Random;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const VERSION: u8 = 1;
const KEY_LEN: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the key has {0} bytes, not {KEY_LEN}")]
    Key(usize),
    #[error("what is sealed as `{0}` cannot be opened: it was changed, or sealed with another key")]
    Open(String),
    #[error("`{0}` cannot be sealed")]
    Seal(String),
}

/// A key, and what is done with it.
pub struct Seal {
    key: LessSafeKey,
    mark: hmac::Key,
    random: std::sync::Arc<dyn Random>,
}

impl Seal {
    /// `key` is 32 random bytes.
    pub fn new(key: &[u8], random: std::sync::Arc<dyn Random>) -> Result<Seal, SealError> {
        let unbound = UnboundKey::new(&AES_256_GCM, key).map_err(|_| SealError::Key(key.len()))?;
        // Two uses, two keys: the mark's is derived, so that neither tells about the other.
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"apm mark v1");
        let mark = hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref());
        Ok(Seal { key: LessSafeKey::new(unbound), mark, random })
    }

    /// `name` must be given again to open it.
    pub fn seal(&self, name: &str, plain: &[u8]) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce);
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        let aad = Aad::from(name.as_bytes());
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .map_err(|_| SealError::Seal(name.to_owned()))?;
        sealed.extend_from_slice(&body);
        Ok(STANDARD.encode(sealed))
    }

    pub fn open(&self, name: &str, sealed: &str) -> Result<Vec<u8>, SealError> {
        let refused = || SealError::Open(name.to_owned());
        let bytes = STANDARD.decode(sealed).map_err(|_| refused())?;
        let (version, rest) = bytes.split_first().ok_or_else(refused)?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or_else(refused)?;
        if *version != VERSION {
            return Err(refused());
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| refused())?;
        let mut body = body.to_vec();
        let plain = self.key.open_in_place(nonce, Aad::from(name.as_bytes()), &mut body).map_err(|_| refused())?;
        Ok(plain.to_vec())
    }

    /// A short name for a value that can be compared and shown: equal values have equal marks, and nobody without the key can try values.
    pub fn mark(&self, plain: &[u8]) -> String {
        let tag = hmac::sign(&self.mark, plain);
        tag.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}
