//! TLS to an API server: its authority, our certificate, both as PEM. One provider only, aws-lc-rs, chosen by hand.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Whom we trust.
pub(crate) enum Authority<'a> {
    Pem(&'a [u8]),
    /// Those of this machine.
    Machine,
    /// Anyone: the kubeconfig says so.
    Nobody,
}

/// Certificate chain and key, PEM.
pub(crate) type Identity<'a> = (&'a [u8], &'a [u8]);

/// The client's configuration; `Err` says which part of the kubeconfig is wrong, without a byte of it.
pub(crate) fn config(authority: Authority<'_>, identity: Option<Identity<'_>>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let builder = match authority {
        Authority::Nobody => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))),
        Authority::Machine => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            builder.with_root_certificates(roots)
        }
        Authority::Pem(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("certificate-authority", pem)? {
                roots.add(certificate).map_err(|error| format!("certificate-authority: {error}"))?;
            }
            builder.with_root_certificates(roots)
        }
    };
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "client-key is no private key in PEM")?;
            let chain = certificates("client-certificate", certificate)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("client-certificate and client-key: {error}"))
        }
    }
}

fn certificates(name: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(format!("{name} has no certificate in PEM")),
    }
}

/// `insecure-skip-tls-verify`: any certificate will do, but its holder must have the key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
