//! The connector to image registries, in the words of the OCI distribution specification 1.1 (<https://github.com/opencontainers/distribution-spec>),
//! which Docker's registry, Docker Hub and all others speak: manifests, blobs, tags, referrers, and the logins for them.
//!
//! What a registry sends is believed only as far as its digest says: content that is not what was asked for is thrown away and named
//! ([`RegistryError::WrongDigest`]). Every call has a time limit and everything read a size limit. Errors have a kind and a next step.
//!
//! Logins come through one seam, [`Login`]. [`DockerLogins`] fills it with what `docker login` keeps; a cloud fills it with tokens of its own
//! and stands before it in [`FirstOf`].
//!
//! It does not know what a release or a plan is, unpacks no layer, and reads no environment variable that is not handed in, but for the proxy variables
//! and SSL_CERT_FILE, which the HTTP client heeds. It tries nothing again, except after a token has run out and inside of an upload that broke off.

mod auth;
mod blobs;
mod call;
mod challenge;
mod client;
mod copy;
mod digest;
mod docker_logins;
mod error;
mod helper;
mod login;
mod manifest;
mod manifests;
mod place;
mod platform;
mod private;
mod rate;
mod reference;
mod referrers;
mod tags;
mod upload;

pub use blobs::Blob;
pub use client::{Client, Options};
pub use copy::Copied;
pub use digest::{Digest, NoDigest};
pub use docker_logins::{DockerLogins, Kept};
pub use error::{Kind, RegistryError, Said};
pub use login::{Always, Credentials, FirstOf, Login, Nobody};
pub use manifest::{Content, Descriptor, Manifest, media};
pub use manifests::Resolved;
pub use platform::Platform;
pub use rate::RateLimit;
pub use reference::{DOCKER_HUB, Reference};

/// What every call gives.
pub type Result<T> = std::result::Result<T, RegistryError>;
