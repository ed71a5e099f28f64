//! Files that are read again when they change, without anybody being told.
//!
//! A look costs a few calls of `stat`. What changed is read once it has rested for a look, so that nothing is read
//! that is half written, nor a certificate whose key is still to come. What cannot be used changes nothing: what
//! was in force stays, one line says so, and a gauge as long as it lasts.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(500);

/// What stands in files.
pub(super) trait Files: Send + Sync {
    /// What they hold: a word for logs and metrics.
    fn what(&self) -> &'static str;

    /// Where they are. Symbolic links are followed, at each look anew.
    fn paths(&self) -> Vec<&Path>;

    /// Puts in force what they hold now, or nothing of it.
    ///
    /// # Errors
    ///
    /// Says what is wrong and what was expected.
    fn read_again(&self) -> Result<(), String>;
}

/// How files look from outside: another look, other contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prints(Vec<Option<Print>>);

type Print = (u64, u64, u64, (i64, i64), (i64, i64));

impl Prints {
    pub(super) fn of(paths: &[impl AsRef<Path>]) -> Self {
        let print = |file: Metadata| {
            let (modified, changed) = ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
            (file.dev(), file.ino(), file.size(), modified, changed)
        };
        Self(paths.iter().map(|path| std::fs::metadata(path).ok().map(print)).collect())
    }
}

/// Files that are looked at.
pub(super) struct Watch {
    files: Arc<dyn Files>,
    /// What was read last.
    read: Prints,
    /// The last look.
    seen: Prints,
    /// Why what was read last is not in force.
    complaint: Option<String>,
}

/// What a look came to.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Unchanged,
    /// Whether it goes on changing is seen at the next look.
    Changing,
    Read,
    /// For the first time.
    Failed(String),
    StillFailing,
}

impl Watch {
    /// `read` is how they looked before they were read.
    pub(super) fn new(files: Arc<dyn Files>, read: Prints) -> Self {
        Self { files, seen: read.clone(), read, complaint: None }
    }

    fn look(&mut self) -> Look {
        let now = Prints::of(&self.files.paths());
        if now != self.seen {
            self.seen = now;
            return Look::Changing;
        }
        // What failed is tried again also where it looks the same: a disk may have been away.
        if now == self.read && self.complaint.is_none() {
            return Look::Unchanged;
        }
        self.read = now;
        match self.files.read_again() {
            Ok(()) => {
                self.complaint = None;
                Look::Read
            }
            Err(complaint) if self.complaint.as_ref() == Some(&complaint) => Look::StillFailing,
            Err(complaint) => {
                self.complaint = Some(complaint.clone());
                Look::Failed(complaint)
            }
        }
    }

    /// Looks, and tells of it.
    fn turn(&mut self) {
        let what = self.files.what();
        let outcome = match self.look() {
            Look::Read => {
                tracing::info!("{what}: what the files hold now is in force");
                "ok"
            }
            Look::Failed(complaint) => {
                tracing::warn!("{what}: {complaint}; what was in force stays in force");
                "failed"
            }
            Look::Unchanged | Look::Changing | Look::StillFailing => return,
        };
        metrics::counter!("security_reloads_total", "files" => what, "outcome" => outcome).increment(1);
        self.publish();
    }

    fn publish(&self) {
        let current = if self.complaint.is_none() { 1.0 } else { 0.0 };
        metrics::gauge!("security_files_current", "files" => self.files.what()).set(current);
    }
}

/// Looks at all of them, as long as the process lives.
pub(super) fn start(mut watches: Vec<Watch>) -> std::io::Result<()> {
    if watches.is_empty() {
        return Ok(());
    }
    for watch in &watches {
        watch.publish();
    }
    let watching = move || {
        loop {
            std::thread::sleep(LOOK);
            watches.iter_mut().for_each(Watch::turn);
        }
    };
    std::thread::Builder::new().name("files".to_owned()).spawn(watching).map(drop)
}

pub(super) fn describe() {
    metrics::describe_gauge!(
        "security_files_current",
        "1 while what the files of tokens or certificates hold is in force, 0 while it cannot be used."
    );
    metrics::describe_counter!(
        "security_reloads_total",
        "Changes of the files of tokens or certificates, by outcome."
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::sync::Mutex;

    /// A file whose text is in force unless it is `bad`.
    struct Text {
        path: PathBuf,
        in_force: Mutex<String>,
    }

    impl Files for Text {
        fn what(&self) -> &'static str {
            "text"
        }

        fn paths(&self) -> Vec<&Path> {
            vec![&self.path]
        }

        fn read_again(&self) -> Result<(), String> {
            match fs::read_to_string(&self.path) {
                Ok(text) if text == "bad" => Err("expected better".to_owned()),
                Ok(text) => {
                    *self.in_force.lock().unwrap() = text;
                    Ok(())
                }
                Err(error) => Err(error.kind().to_string()),
            }
        }
    }

    fn watch(path: PathBuf) -> (Arc<Text>, Watch) {
        let read = Prints::of(&[&path]);
        let in_force = Mutex::new(fs::read_to_string(&path).unwrap());
        let text = Arc::new(Text { path, in_force });
        (Arc::clone(&text), Watch::new(text, read))
    }

    #[test]
    fn what_changed_is_read_once_it_rests() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "a").unwrap();
        let (text, mut watch) = watch(path.clone());
        assert_eq!((watch.look(), watch.look()), (Look::Unchanged, Look::Unchanged));
        for half in ["b, and", "b, and more", "b, and more of it"] {
            fs::write(&path, half).unwrap();
            assert_eq!(watch.look(), Look::Changing);
            assert_eq!(*text.in_force.lock().unwrap(), "a");
        }
        assert_eq!((watch.look(), watch.look()), (Look::Read, Look::Unchanged));
        assert_eq!(*text.in_force.lock().unwrap(), "b, and more of it");
    }

    #[test]
    fn what_cannot_be_used_changes_nothing_and_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "good").unwrap();
        let (text, mut watch) = watch(path.clone());
        fs::write(&path, "bad").unwrap();
        let failed = Look::Failed("expected better".to_owned());
        assert_eq!((watch.look(), watch.look()), (Look::Changing, failed));
        assert_eq!((watch.look(), watch.look()), (Look::StillFailing, Look::StillFailing));
        fs::remove_file(&path).unwrap();
        let gone = Look::Failed("entity not found".to_owned());
        assert_eq!((watch.look(), watch.look(), watch.look()), (Look::Changing, gone, Look::StillFailing));
        assert_eq!(*text.in_force.lock().unwrap(), "good");
        fs::write(&path, "better").unwrap();
        assert_eq!((watch.look(), watch.look(), watch.look()), (Look::Changing, Look::Read, Look::Unchanged));
        assert_eq!(*text.in_force.lock().unwrap(), "better");
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, text) in [("one", "1"), ("two", "2")] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("file"), text).unwrap();
        }
        // As an orchestrator does it: the file is a link into a folder that is a link.
        symlink("one", at("..data")).unwrap();
        symlink("..data/file", at("file")).unwrap();
        let (text, mut watch) = watch(at("file"));
        symlink("two", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        assert_eq!((watch.look(), watch.look()), (Look::Changing, Look::Read));
        assert_eq!(*text.in_force.lock().unwrap(), "2");
    }
}
