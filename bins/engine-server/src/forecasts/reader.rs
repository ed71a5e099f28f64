//! What the threads ask with: the network, and files where a provider is one.

use std::io::Read as _;
use std::time::Duration;

use providers::http::{Client, MAX_BODY};
use providers::settings::FILE;
use providers::{Fetch, FetchError, Request};

/// HTTP and HTTPS, and files of this machine.
pub(crate) struct Reader {
    client: Client,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { client: Client::new() }
    }
}

impl Fetch for Reader {
    fn fetch(&self, request: &Request, timeout: Duration) -> Result<Vec<u8>, FetchError> {
        match request.url.strip_prefix(FILE) {
            Some(path) => read(path, &request.url),
            None => self.client.fetch(request, timeout),
        }
    }
}

fn read(path: &str, url: &str) -> Result<Vec<u8>, FetchError> {
    let broken = |problem: String| FetchError::Connection { url: url.to_owned(), problem };
    let said = |error: std::io::Error| broken(error.to_string());
    // A pipe would hold the thread for as long as nobody writes to it.
    if !std::fs::metadata(path).map_err(said)?.is_file() {
        return Err(broken("it is not a file".to_owned()));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(said)?;
    file.take(MAX_BODY + 1).read_to_end(&mut bytes).map_err(said)?;
    if bytes.len() as u64 > MAX_BODY {
        return Err(FetchError::TooLarge { url: url.to_owned(), limit: MAX_BODY });
    }
    Ok(bytes)
}
