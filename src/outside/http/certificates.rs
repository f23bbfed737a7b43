//! The certificates that the system trusts. They are in hundreds of files, so they are read only when the first TLS
//! handshake begins.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// Verifies certificates with a [`Verifier`], which is created when it is first needed.
#[derive(Debug, Clone)]
pub(super) struct Certificates(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    provider: Arc<CryptoProvider>,
    verifier: OnceLock<Result<Verifier, Error>>,
    /// Whether lath has tried to start a thread that reads the certificates.
    is_begun: AtomicBool,
}

impl Certificates {
    pub(super) fn new(provider: Arc<CryptoProvider>) -> Self {
        Self(Arc::new(Inner { provider, verifier: OnceLock::new(), is_begun: AtomicBool::new(false) }))
    }

    /// Reads the certificates in a thread, while the handshake waits for the server.
    fn read_ahead(&self) {
        if !self.0.is_begun.swap(true, Ordering::Relaxed) {
            let inner = Arc::clone(&self.0);
            // If the thread cannot be started, the certificates are read when they are needed.
            let _ = std::thread::Builder::new().spawn(move || inner.verifier().map(drop));
        }
    }
}

impl Inner {
    fn verifier(&self) -> Result<&Verifier, Error> {
        let verifier = self.verifier.get_or_init(|| Verifier::new(Arc::clone(&self.provider)));
        verifier.as_ref().map_err(Clone::clone)
    }
}

impl ServerCertVerifier for Certificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.0.verifier()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.provider.signature_verification_algorithms)
    }

    /// rustls calls this for the first message of each handshake.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.read_ahead();
        self.0.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs;

    use super::*;

    #[test]
    fn certificates_are_read_when_a_handshake_begins_and_not_before() {
        let certificates = Certificates::new(Arc::new(aws_lc_rs::default_provider()));
        assert!(certificates.0.verifier.get().is_none() && !certificates.0.is_begun.load(Ordering::Relaxed));
        assert!(!certificates.supported_verify_schemes().is_empty());
        assert!(certificates.0.is_begun.load(Ordering::Relaxed));
        let (nothing, name) = (CertificateDer::from(Vec::new()), ServerName::try_from("host").unwrap());
        assert!(certificates.verify_server_cert(&nothing, &[], &name, &[], UnixTime::now()).is_err());
        assert!(certificates.0.verifier.get().is_some());
    }
}
