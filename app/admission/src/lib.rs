//! What is behind `apm k8s inject --serve`: the admission webhook over TLS. Bytes in, `operate/manifest` answers, bytes out.
//!
//! The certificate is read again when its files change; connections that are open keep the old one, new ones get the new one. It decides nothing about
//! pods, asks no API server, and prints nothing.

mod certificate;
mod server;

use std::net::SocketAddr;
use std::path::PathBuf;

use base_world::DiskError;
use operate_manifest::inject::Admission;

pub use server::Server;

/// How the webhook listens and answers.
#[derive(Debug, Clone)]
pub struct Options {
    pub listen: SocketAddr,
    /// PEM: the server's certificate and what lies between it and the authority.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
    pub admission: Admission,
    /// Connections at a time; more wait.
    pub connections_max: usize,
}

/// Why the webhook does not listen.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{path}: {problem}")]
    Pem { path: PathBuf, problem: String },
    #[error("the certificate {certificate} and the key {key} cannot be used together: {problem}")]
    Pair { certificate: PathBuf, key: PathBuf, problem: String },
    #[error("cannot listen on {address}: {cause}")]
    Listen { address: SocketAddr, cause: std::io::Error },
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}
