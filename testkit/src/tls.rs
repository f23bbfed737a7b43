//! Creates a private certificate authority, and a certificate for loopback that is signed by it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificates as text, in the form that files contain (PEM).
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The certificate of the authority, which clients must trust.
    pub authority_pem: String,
    /// The certificate of the server, for `localhost`, 127.0.0.1, 127.0.0.2, ::1 and `registry.example`.
    pub certificate_pem: String,
    pub key_pem: String,
}

impl Certificates {
    /// Creates a new authority and a certificate.
    pub fn for_loopback() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.distinguished_name.push(DnType::CommonName, "authority of lath's tests");
        let authority_key = KeyPair::generate().expect("a key can be made");
        let authority = CertifiedIssuer::self_signed(authority, authority_key).expect("an authority signs itself");
        let names = ["localhost", "127.0.0.1", "127.0.0.2", "::1", "registry.example"].map(str::to_owned);
        let mut params = CertificateParams::new(names).expect("the names are valid");
        params.distinguished_name.push(DnType::CommonName, "localhost");
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &authority).expect("the authority signs");
        Self { authority_pem: authority.pem(), certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    /// Returns the configuration of a server with this certificate.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        let chain = vec![CertificateDer::from_pem_slice(self.certificate_pem.as_bytes()).expect("the PEM is our own")];
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).expect("the PEM is our own");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports the default versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("the key belongs to the certificate");
        Arc::new(config)
    }
}
