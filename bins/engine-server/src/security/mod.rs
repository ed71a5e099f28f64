//! Who is let in, and over what: tokens, certificates, and the files that they stand in.

mod expiry;
mod tls;
mod tokens;
mod watch;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::Arg;

use crate::args::{Given, switch, text};
pub(crate) use tls::{HANDSHAKE_TIMEOUT, Tls, TlsFiles};
pub(crate) use tokens::{MAX_TOKEN, Role, Tokens};
use watch::{Prints, Watch};

/// Most bytes of a file of tokens or certificates.
const MAX_FILE: u64 = 1 << 20;

/// Which files say who is let in.
#[derive(Debug)]
pub(crate) struct SecuritySettings {
    tokens: Option<PathBuf>,
    tls: Option<TlsFiles>,
    metrics_tokens: bool,
    metrics_tls: bool,
}

/// The flags, under their heading.
pub(crate) fn flags() -> [Arg; 6] {
    let tokens = "A file of `ROLE TOKEN` a line, ROLE being read, write or write:namespace[,namespace..]; then nobody gets in without one, but for the probes [default: none, anyone may read]";
    let cert = "PEM file of the certificate that the API is served with, by https, and those that lead to its authority [default: none, plain http]";
    let key = "PEM file of its private key";
    let client_ca = "PEM file of authorities: clients need a certificate of one of them";
    [
        // Whoever takes it for the token itself shall not find it in --help.
        text("tokens", "TOKENS", "FILE", tokens).hide_env_values(true),
        text("tls-cert", "TLS_CERT", "FILE", cert),
        text("tls-key", "TLS_KEY", "FILE", key),
        text("tls-client-ca", "TLS_CLIENT_CA", "FILE", client_ca),
        switch(
            "metrics-tokens",
            "METRICS_TOKENS",
            "Ask on the metrics port for a token, too [default: false]",
        ),
        switch(
            "metrics-tls",
            "METRICS_TLS",
            "Serve the metrics port with the same certificates, too [default: false]",
        ),
    ]
}

impl SecuritySettings {
    /// What was meant.
    ///
    /// # Errors
    ///
    /// Names the flag or variable, and which other one it needs.
    pub(crate) fn read(given: &Given<'_>) -> anyhow::Result<Self> {
        let path = |id| given.text(id).map(PathBuf::from);
        let needs = |id, other| {
            let (flag, variable) = other;
            Err(given.wrong(id, &format_args!("expected {flag} (or {variable}) beside it")))
        };
        let (tls_cert, tls_key) = (("--tls-cert", "TLS_CERT"), ("--tls-key", "TLS_KEY"));
        let tls = match (path("tls-cert"), path("tls-key"), path("tls-client-ca")) {
            (Some(cert), Some(key), client_ca) => Some(TlsFiles { cert, key, client_ca }),
            (Some(_), None, _) => return needs("tls-cert", tls_key),
            (None, Some(_), _) => return needs("tls-key", tls_cert),
            (None, None, Some(_)) => return needs("tls-client-ca", tls_cert),
            (None, None, None) => None,
        };
        let settings = Self {
            tokens: path("tokens"),
            tls,
            metrics_tokens: given.switch("metrics-tokens")?,
            metrics_tls: given.switch("metrics-tls")?,
        };
        if settings.metrics_tokens && settings.tokens.is_none() {
            return needs("metrics-tokens", ("--tokens", "TOKENS"));
        }
        if settings.metrics_tls && settings.tls.is_none() {
            return needs("metrics-tls", tls_cert);
        }
        Ok(settings)
    }
}

/// What is in force. What changes on the disk is put in force here.
pub(crate) struct Security {
    pub(crate) tokens: Option<Arc<Tokens>>,
    pub(crate) tls: Option<Arc<Tls>>,
    metrics_tokens: bool,
    metrics_tls: bool,
    watches: Vec<Watch>,
}

impl Security {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// Says which file cannot be used, why, and what was expected; never what stands in it.
    pub(crate) fn load(settings: &SecuritySettings) -> anyhow::Result<Self> {
        let mut watches = Vec::new();
        let tokens = match &settings.tokens {
            None => None,
            Some(file) => {
                let before = Prints::of(&[file]);
                let tokens = Tokens::load(file.clone()).map_err(|wrong| anyhow!("--tokens: {wrong}"))?;
                let tokens = Arc::new(tokens);
                watches.push(Watch::new(Arc::<Tokens>::clone(&tokens), before));
                Some(tokens)
            }
        };
        let tls = match &settings.tls {
            None => None,
            Some(files) => {
                let before = Prints::of(&files.paths());
                let tls = Arc::new(Tls::load(files.clone()).map_err(anyhow::Error::msg)?);
                watches.push(Watch::new(Arc::<Tls>::clone(&tls), before));
                Some(tls)
            }
        };
        let SecuritySettings { metrics_tokens, metrics_tls, .. } = *settings;
        Ok(Self { tokens, tls, metrics_tokens, metrics_tls, watches })
    }

    /// Follows the files from now on, as long as the process lives.
    ///
    /// # Errors
    ///
    /// The system gives no thread, the only way to fail.
    pub(crate) fn follow(&mut self) -> anyhow::Result<()> {
        watch::describe();
        tls::describe();
        if let Some(tls) = &self.tls {
            tls.report();
        }
        watch::start(std::mem::take(&mut self.watches))
            .context("cannot follow the files of tokens and certificates")
    }

    /// Who is asked for tokens on the metrics port.
    pub(crate) fn metrics_tokens(&self) -> Option<&Arc<Tokens>> {
        self.tokens.as_ref().filter(|_| self.metrics_tokens)
    }

    /// What the metrics port is served with.
    pub(crate) fn metrics_tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref().filter(|_| self.metrics_tls)
    }

    /// What `--check` says of it, one line each.
    pub(crate) fn summary(&self) -> impl Iterator<Item = String> {
        let tokens = self.tokens.iter().map(|tokens| format!("tokens = {}", tokens.summary()));
        tokens.chain(self.tls.iter().map(|tls| format!("tls = {}", tls.summary())))
    }
}

/// `https` where there is something to serve it with.
pub(crate) fn scheme(tls: Option<&Arc<Tls>>) -> &'static str {
    if tls.is_some() { "https" } else { "http" }
}

/// The bytes of a file of bounded size.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| format!("the file cannot be opened: {error}"))?;
    let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("the file cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("the file is larger than {MAX_FILE} bytes: expected a smaller one"));
    }
    Ok(bytes)
}

/// Any bytes as what stands in these files.
#[cfg(feature = "fuzzing")]
pub fn fuzz(bytes: &[u8]) {
    tokens::fuzz(bytes);
    tls::fuzz(bytes);
}
