//! TLS and mutual TLS. One configuration serves every handshake; what it asks for keys and authorities is what the
//! files said last, so that nothing is closed when they change.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use models::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, InconsistentKeys, RootCertStore, ServerConfig,
    SignatureScheme,
};

use super::expiry::not_after;
use super::read;
use super::watch::Files;

/// Longest time for a handshake.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where certificate, key and authorities are.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    /// Of clients, which then need a certificate.
    pub(super) client_ca: Option<PathBuf>,
}

impl TlsFiles {
    pub(super) fn paths(&self) -> Vec<&Path> {
        let paths = [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()];
        paths.into_iter().flatten().map(PathBuf::as_path).collect()
    }
}

/// What handshakes are made with.
pub(crate) struct Tls {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    material: ArcSwap<Material>,
}

/// What the files hold.
struct Material {
    key: Arc<CertifiedKey>,
    /// Who judges the certificates of clients.
    clients: Option<Arc<dyn ClientCertVerifier>>,
    /// When the first certificate of the chain ends.
    not_after: Option<Timestamp>,
}

impl Tls {
    /// What the files hold.
    ///
    /// # Errors
    ///
    /// Names the flag of the file that cannot be used, why, and what was expected; nothing of a key.
    pub(crate) fn load(files: TlsFiles) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let material = ArcSwap::from_pointee(Material::of(&files, &provider)?);
        Ok(Self { files, provider, material })
    }

    /// The configuration of a listener.
    ///
    /// # Errors
    ///
    /// The provider has nothing for the protocol versions there are: it does.
    pub(crate) fn config(self: &Arc<Self>) -> std::io::Result<ServerConfig> {
        let config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?;
        if self.files.client_ca.is_none() {
            return Ok(config.with_no_client_auth().with_cert_resolver(Arc::<Self>::clone(self)));
        }
        let verifier: Arc<dyn ClientCertVerifier> = Arc::<Self>::clone(self);
        let mut config =
            config.with_client_cert_verifier(verifier).with_cert_resolver(Arc::<Self>::clone(self));
        // A session that is resumed is not judged again: an authority that was taken away would go on vouching.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// Says in the metrics until when the certificate is valid.
    pub(super) fn report(&self) {
        if let Some(not_after) = self.material.load().not_after {
            metrics::gauge!("tls_certificate_not_after_seconds").set(not_after.as_second() as f64);
        }
    }

    /// Until when it is valid, and whether clients need a certificate.
    pub(super) fn summary(&self) -> String {
        let until = self.material.load().not_after.map(|at| format!("valid until {at}"));
        let until = until.unwrap_or_else(|| "valid for how long cannot be read".to_owned());
        let clients = if self.files.client_ca.is_some() { ", clients need one too" } else { "" };
        format!("a certificate {until}{clients}")
    }
}

pub(super) fn describe() {
    metrics::describe_gauge!(
        "tls_certificate_not_after_seconds",
        "When the certificate in force, or one it was sent with, ends, UNIX seconds."
    );
}

impl Files for Tls {
    fn what(&self) -> &'static str {
        "tls"
    }

    fn paths(&self) -> Vec<&Path> {
        self.files.paths()
    }

    fn read_again(&self) -> Result<(), String> {
        self.material.store(Arc::new(Material::of(&self.files, &self.provider)?));
        self.report();
        Ok(())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Material {
    fn of(files: &TlsFiles, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let bytes = |flag: &str, file: &Path| read(file).map_err(|wrong| format!("{flag}: {wrong}"));
        let cert = bytes("--tls-cert", &files.cert)?;
        let key = bytes("--tls-key", &files.key)?;
        let client_ca = files.client_ca.as_deref().map(|file| bytes("--tls-client-ca", file)).transpose()?;
        Self::parse(&cert, &key, client_ca.as_deref(), provider)
    }

    fn parse(
        cert: &[u8],
        key: &[u8],
        client_ca: Option<&[u8]>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let chain = certificates(cert).map_err(|wrong| format!("--tls-cert: {wrong}"))?;
        let key = private_key(key).map_err(|wrong| format!("--tls-key: {wrong}"))?;
        let not_after = chain.iter().filter_map(|certificate| not_after(certificate)).min();
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                "--tls-key: the key is not that of the certificate: expected the one it was made for".to_owned()
            }
            Error::InvalidCertificate(_) => {
                "--tls-cert: the certificate cannot be read: expected X.509, that of the server first".to_owned()
            }
            // What the library says of a key may quote it.
            _ => "--tls-key: the key cannot be used: expected RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519".to_owned(),
        })?;
        let clients = client_ca.map(|pem| authorities(pem, provider)).transpose();
        let clients = clients.map_err(|wrong| format!("--tls-client-ca: {wrong}"))?;
        Ok(Self { key: Arc::new(key), clients, not_after })
    }
}

/// The certificates of a file, at least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    // What the library says may quote a line.
    let found = found.map_err(|_| "the file is not PEM, or cut off: expected certificates".to_owned())?;
    if found.is_empty() {
        return Err("the file has no certificate: expected PEM with `-----BEGIN CERTIFICATE-----`".to_owned());
    }
    Ok(found)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        "the file has no private key: expected PEM with `-----BEGIN PRIVATE KEY-----` (or RSA, or EC), without a passphrase".to_owned()
    })
}

fn authorities(pem: &[u8], provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for (certificate, number) in certificates(pem)?.into_iter().zip(1..) {
        let added = roots.add(certificate);
        added.map_err(|_| format!("certificate {number} of the file cannot be read: expected X.509"))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    verifier.build().map_err(|error| error.to_string())
}

impl ResolvesServerCert for Tls {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.material.load().key))
    }
}

/// Asks those who judge now.
impl ClientCertVerifier for Tls {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // They may change; and who is trusted is nobody's business who is not.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let material = self.material.load();
        let clients = material.clients.as_ref().ok_or_else(|| Error::General("nobody judges".to_owned()))?;
        clients.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Any bytes as certificates, key and authorities: read or refused in words of our own.
#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(bytes: &[u8]) {
    let provider = Arc::new(ring::default_provider());
    if let Err(wrong) = Material::parse(bytes, bytes, Some(bytes), &provider) {
        assert!(wrong.starts_with("--tls-"), "{wrong}");
    }
    let _ = (authorities(bytes, &provider), not_after(bytes));
}
