//! What an image runs on: `linux/arm64/v8`. Source: OCI image index, `platform`. It does not know what this machine is but by its own build.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::RegistryError;

/// An operating system and a processor, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    /// `v7`, `v8`; empty: any.
    pub variant: String,
}

impl Platform {
    /// Linux on this processor: what containers run on here.
    pub fn here() -> Platform {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Platform { os: "linux".into(), architecture: architecture.into(), variant: String::new() }
    }

    /// Of a descriptor in an index.
    pub(crate) fn read(value: &Value) -> Option<Platform> {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        value.is_object().then(|| Platform {
            os: text("os"),
            architecture: text("architecture"),
            variant: text("variant"),
        })
    }

    /// Whether what is built for `self` runs where `wanted` is wanted; arm64 without a variant is v8.
    pub(crate) fn suits(&self, wanted: &Platform) -> bool {
        let variant = |platform: &Platform| match (platform.architecture.as_str(), platform.variant.as_str()) {
            ("arm64", "") => "v8".to_owned(),
            (_, variant) => variant.to_owned(),
        };
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (wanted.variant.is_empty() || variant(self) == variant(wanted))
    }

    /// Attestations stand in an index as images for nothing.
    pub(crate) fn is_none(&self) -> bool {
        self.os == "unknown"
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(to, "/{}", self.variant) }
    }
}

impl FromStr for Platform {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        let parts: Vec<_> = text.split('/').map(str::to_owned).collect();
        if parts.iter().all(|part| !part.is_empty()) && (2..=3).contains(&parts.len()) {
            let mut parts = parts.into_iter();
            let mut next = || parts.next().unwrap_or_default();
            return Ok(Platform { os: next(), architecture: next(), variant: next() });
        }
        Err(RegistryError::Platform { text: text.chars().take(100).collect() })
    }
}
