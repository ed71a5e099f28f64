//! Files, gzip undone.

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use flate2::read::MultiGzDecoder;

/// Most bytes of a file once unpacked: some hundred years of minutes.
const MOST_BYTES: u64 = 1 << 30;
const GZIP: &[u8] = &[0x1f, 0x8b];

/// The content of a file, unpacked where it is gzip (seen from its first bytes, not from its name).
///
/// # Errors
///
/// The file cannot be read, is damaged, or is longer than a GiB.
pub(crate) fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let name = shown(path);
    let file = fs::File::open(path).with_context(|| format!("{name}: cannot be opened"))?;
    let mut raw = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut raw).with_context(|| format!("{name}: cannot be read"))?;
    let bytes = if raw.starts_with(GZIP) {
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(raw.as_slice())
            .take(MOST_BYTES + 1)
            .read_to_end(&mut unpacked)
            .with_context(|| format!("{name}: damaged gzip"))?;
        unpacked
    } else {
        raw
    };
    if bytes.len() as u64 > MOST_BYTES {
        bail!("{name}: longer than {MOST_BYTES} bytes: expected a trace");
    }
    Ok(bytes)
}

/// A path as messages name it.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The last part of a path: what a report calls it.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| shown(path), |name| name.to_string_lossy().into_owned())
}
