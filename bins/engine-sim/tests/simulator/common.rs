//! Runs the binary in a folder of its own, so that what it prints holds no path of this machine.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with input files, and the simulator run in it.
pub(crate) struct Desk {
    folder: TempDir,
}

/// What a run printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
}

impl Desk {
    /// A folder with these files, by name and content.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        for (name, content) in files {
            fs::write(desk.path(name), content).unwrap();
        }
        desk
    }

    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self::with(&[])
    }

    /// Packs a file of the folder: `name` becomes `name.gz`.
    pub(crate) fn gzip(&self, name: &str) {
        let packed = fs::File::create(self.path(&format!("{name}.gz"))).unwrap();
        let mut packer = GzEncoder::new(packed, Compression::fast());
        packer.write_all(&fs::read(self.path(name)).unwrap()).unwrap();
        packer.finish().unwrap();
    }

    /// A file of the folder.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The simulator, about to be run in the folder.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_engine-sim"));
        command.current_dir(self.folder.path()).env_remove("NO_COLOR").args(arguments.split_whitespace());
        command
    }

    /// Runs the simulator with these arguments, separated by spaces.
    pub(crate) fn run(&self, arguments: &str) -> Said {
        let Output { status, stdout, stderr } =
            self.command(arguments).output().expect("the simulator starts");
        Said {
            out: String::from_utf8(stdout).expect("UTF-8 on standard output"),
            err: String::from_utf8(stderr).expect("UTF-8 on standard error"),
            code: status.code().expect("the simulator ends by itself"),
        }
    }

    /// Where a file of the folder is.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        Path::new(self.folder.path()).join(name)
    }
}

impl Said {
    /// Standard output of a run that went well.
    pub(crate) fn fine(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }

    /// Everything, as a transcript.
    pub(crate) fn transcript(&self) -> String {
        format!("exit code {}\n--- standard error\n{}--- standard output\n{}", self.code, self.err, self.out)
    }
}

/// A CSV document as records by header.
pub(crate) fn records(text: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|record| record.expect("every row has the header's fields")).collect()
}

/// The report of a run as JSON.
pub(crate) fn json(desk: &Desk, arguments: &str) -> Value {
    serde_json::from_str(&desk.run(arguments).fine()).unwrap()
}

/// What a report says of a policy.
pub(crate) fn result<'a>(report: &'a Value, policy: &str) -> &'a Value {
    let results = report["results"].as_array().unwrap();
    let result = results.iter().find(|result| result["policy"] == policy);
    result.unwrap_or_else(|| panic!("{policy} was run"))
}

/// A number of a JSON object.
pub(crate) fn number(object: &Value, name: &str) -> f64 {
    object[name].as_f64().unwrap_or_else(|| panic!("no number {name} in {object}"))
}
