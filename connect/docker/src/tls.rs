//! TLS to an engine over TCP, from the three PEM files Docker keeps. One provider only, aws-lc-rs, chosen by hand.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::place::TlsFiles;

/// The client's configuration; `Err` says which file is wrong.
pub(crate) fn config(files: &TlsFiles) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca.pem", &files.ca)? {
        roots.add(certificate).map_err(|error| format!("ca.pem: {error}"))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?.with_root_certificates(roots);
    let config = match &files.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("key.pem: {error}"))?;
            let chain = certificates("cert.pem", certificate)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| format!("cert.pem and key.pem: {error}"))?
        }
    };
    Ok(Arc::new(config))
}

fn certificates(name: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(format!("{name} has no certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{TlsFiles, config};

    #[test]
    fn a_wrong_file_is_named() {
        let check = |ca: &[u8], expect: &str| {
            let problem = config(&TlsFiles { ca: ca.to_vec(), identity: None }).expect_err("no certificate");
            assert!(problem.contains(expect), "{problem} should speak of {expect}");
        };
        check(b"", "ca.pem has no certificate");
        check(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "ca.pem");
        check(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ca.pem");
    }
}
