//! CSV with a header, every record with the line it begins on.

use csv::ByteRecord;

/// A CSV file being read.
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    reader: csv::Reader<&'a [u8]>,
    record: ByteRecord,
    header: Vec<String>,
    counted_to: usize,
    line: u64,
}

impl<'a> Table<'a> {
    /// Opens the file and reads its header.
    pub(super) fn open(bytes: &'a [u8]) -> Self {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let (record, header) = (ByteRecord::new(), Vec::new());
        let mut table = Self { bytes, reader, record, header, counted_to: 0, line: 1 };
        if table.advance().is_some() {
            table.header = (0..table.record.len()).map(|index| table.field(index)).collect();
        }
        table
    }

    /// The header's fields as they stand in the file.
    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    /// The column whose normalised header (see [`normal`]) satisfies `wanted`.
    pub(super) fn column(&self, wanted: impl Fn(&str) -> bool) -> Option<usize> {
        self.header.iter().position(|field| wanted(&normal(field)))
    }

    /// Goes on to the next record and says which line it begins on, from 1.
    pub(super) fn advance(&mut self) -> Option<u64> {
        // Records are bytes and may have any number of fields, so only the slice's end ends them.
        if !self.reader.read_byte_record(&mut self.record).unwrap_or(false) {
            return None;
        }
        let start = self.record.position().map_or(0, csv::Position::byte);
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(self.bytes.len());
        // The reader's position lies before line ends and blank lines that it skips: count past them.
        let blank = self.bytes[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = &self.bytes[self.counted_to.min(start + blank)..start + blank];
        self.line += line_ends(passed);
        self.counted_to = start + blank;
        Some(self.line)
    }

    /// A field of the current record; empty where it has no such field.
    pub(super) fn field(&self, column: usize) -> String {
        String::from_utf8_lossy(self.record.get(column).unwrap_or_default()).into_owned()
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').count().saturating_sub(1) as u64
}

/// A header in lower case, `_`, `.` and `-` as spaces: archives spell the same word in many ways.
pub(super) fn normal(field: &str) -> String {
    field.trim().to_lowercase().replace(['_', '.', '-'], " ")
}

/// Without the byte order mark that some editors put first.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}
