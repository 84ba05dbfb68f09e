//! The certificate in force: read from two files, looked at again every second, exchanged as a pair or not at all. A pair that is half written does not
//! fit, and the old one stays until it does.

use std::sync::Arc;

use base_world::Disk;
use parking_lot::RwLock;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::{AdmissionError, Options};

const FILE_BYTES_MAX: u64 = 1 << 20;

/// What two files said.
#[derive(PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

pub(crate) struct Certificate {
    current: RwLock<Arc<CertifiedKey>>,
    /// What was read last, good or bad: a bad pair is complained of once.
    seen: RwLock<Files>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate")
    }
}

fn read(options: &Options, disk: &dyn Disk) -> Result<Files, AdmissionError> {
    let certificate = disk.read(&options.certificate, FILE_BYTES_MAX)?;
    Ok(Files { certificate, key: disk.read(&options.key, FILE_BYTES_MAX)? })
}

fn pair(files: &Files, options: &Options) -> Result<Arc<CertifiedKey>, AdmissionError> {
    let pem = |path: &std::path::Path, problem: String| AdmissionError::Pem { path: path.to_owned(), problem };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&files.certificate).collect();
    let chain = chain.map_err(|error| pem(&options.certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(pem(&options.certificate, "no certificate in the form of PEM is in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&files.key)
        .map_err(|error| pem(&options.key, format!("no private key in the form of PEM: {error}")))?;
    let made = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| AdmissionError::Pair {
        certificate: options.certificate.clone(),
        key: options.key.clone(),
        problem: error.to_string(),
    })?;
    Ok(Arc::new(made))
}

impl Certificate {
    pub(crate) fn open(options: &Options, disk: &dyn Disk) -> Result<Certificate, AdmissionError> {
        let files = read(options, disk)?;
        Ok(Certificate { current: RwLock::new(pair(&files, options)?), seen: RwLock::new(files) })
    }

    /// Looks at the files; whether another certificate is in force now.
    pub(crate) fn look(&self, options: &Options, disk: &dyn Disk) -> Result<bool, AdmissionError> {
        let files = read(options, disk)?;
        if *self.seen.read() == files {
            return Ok(false);
        }
        let made = pair(&files, options);
        *self.seen.write() = files;
        *self.current.write() = made?;
        Ok(true)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read()))
    }
}
