//! One program at a time on one release, and the knowledge that it is dead. The lock is a file that the program gets as its standard input: it
//! is held as long as this process or the program lives (flock(2) belongs to the open file, which both have), however either of them ends.
//! The file says which revision the program was started for, so that a record that says pending can be told to be left by a dead program of
//! this machine. About programs of other machines it knows nothing.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::Stdio;

use operate_plan::{Class, Failure};
use serde::{Deserialize, Serialize};

use super::record::Record;
use super::{At, Helm, mark};

const NOTE_BYTES_MAX: u64 = 4096;
/// Helm's clock and ours are one; it writes whole seconds into some of its fields.
const SLACK_MS: i64 = 2_000;

/// What a program was started for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) attempt: String,
    /// That it would make.
    pub(crate) revision: u64,
    pub(crate) at_ms: i64,
}

impl Started {
    /// Whether a record was begun by this start of a program.
    pub(crate) fn made(&self, record: &Record) -> bool {
        record.revision == self.revision
            && record.updated_ms >= self.at_ms - SLACK_MS
            // A rollback takes the labels of where it goes back to.
            && (record.status == "pending-rollback" || record.label(mark::ATTEMPT) == Some(self.attempt.as_str()))
    }
}

pub(crate) struct Lock {
    file: File,
    /// By whoever had it before.
    pub(crate) before: Option<Started>,
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("{} cannot be used: {error}", path.display());
    Failure::new(Class::Invalid, "helm.folder", message, "make it this user's own and writable")
}

/// A folder for its owner alone.
pub(crate) fn private(folder: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| unusable(folder, &error))
}

impl Helm {
    /// `None`: a program is at work on the release.
    pub(crate) fn lock(&self, at: &At) -> Result<Option<Lock>, Failure> {
        private(&self.folder)?;
        let path = self.folder.join(format!("{}.{}.lock", at.namespace, at.name));
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = opened.map_err(|error| unusable(&path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(unusable(&path, &error)),
        }
        let mut text = String::new();
        // Half a note is no note: whoever wrote it had started nothing yet.
        let read = (&mut file).take(NOTE_BYTES_MAX).read_to_string(&mut text).is_ok();
        let before = read.then(|| serde_json::from_str(&text).ok()).flatten();
        Ok(Some(Lock { file, before }))
    }
}

impl Lock {
    /// Written down before the program starts.
    pub(crate) fn note(&mut self, started: &Started) -> Result<(), Failure> {
        let text = serde_json::to_string(started).unwrap_or_default();
        let written = (|| {
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.file.write_all(text.as_bytes())?;
            self.file.sync_data()?;
            // Whoever has it as its input reads nothing.
            self.file.seek(std::io::SeekFrom::End(0)).map(drop)
        })();
        written.map_err(|error: std::io::Error| unusable(Path::new("the lock of a Helm release"), &error))
    }

    /// For the program.
    pub(crate) fn input(&self) -> Result<Stdio, Failure> {
        let same = self.file.try_clone();
        same.map(Stdio::from).map_err(|error| unusable(Path::new("the lock of a Helm release"), &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_held_as_long_as_the_program_lives() {
        let folder = tempfile::tempdir().expect("a folder");
        let helm = Helm {
            program: "helm".into(),
            kubeconfig: None,
            context: None,
            folder: folder.path().join("helm"),
            post_renderer: None,
        };
        let at = At { namespace: "shop".into(), name: "cart".into() };
        let mut lock = helm.lock(&at).expect("a folder").expect("free");
        assert_eq!(lock.before, None);
        let started = Started { attempt: "a".into(), revision: 3, at_ms: 7 };
        lock.note(&started).expect("written");
        let mut program =
            std::process::Command::new("sleep").arg("600").stdin(lock.input().expect("a file")).spawn().expect("sleep");
        drop(lock);
        assert!(helm.lock(&at).expect("a folder").is_none(), "the program has it");
        let other = At { namespace: "shop".into(), name: "cart2".into() };
        assert!(helm.lock(&other).expect("a folder").is_some());
        program.kill().expect("killed");
        program.wait().expect("over");
        assert_eq!(helm.lock(&at).expect("a folder").expect("free").before, Some(started));
    }
}
