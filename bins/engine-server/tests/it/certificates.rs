//! Certificates made for the moment: no key is kept anywhere but in the folder of its test.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

/// Who vouches for others.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server on loopback, until the first day of a year.
    pub(crate) fn server(&self, until: i32) -> Identity {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        self.identity(params, ExtendedKeyUsagePurpose::ServerAuth, until)
    }

    /// A client, until the first day of a year.
    pub(crate) fn client(&self, until: i32) -> Identity {
        self.identity(CertificateParams::default(), ExtendedKeyUsagePurpose::ClientAuth, until)
    }

    fn identity(
        &self,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
        until: i32,
    ) -> Identity {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        params.insert_extended_key_usage(usage);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A client that trusts whom this vouches for, and shows `identity`.
    pub(crate) fn trusted_by(&self, identity: Option<&Identity>) -> TlsConfig {
        let roots = [Certificate::from_pem(self.pem().as_bytes()).unwrap()];
        let identity = identity.map(|identity| {
            let certificate = Certificate::from_pem(identity.certificate.as_bytes()).unwrap();
            ClientCert::new_with_certs(&[certificate], PrivateKey::from_pem(identity.key.as_bytes()).unwrap())
        });
        TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).client_cert(identity).build()
    }
}

/// Puts a whole file in place of another, or of none.
pub(crate) fn put_file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let (path, half) = (folder.join(name), folder.join(format!("{name}.half")));
    fs::write(&half, text).unwrap();
    fs::rename(&half, &path).unwrap();
    path
}
