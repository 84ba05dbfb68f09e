//! Tar files as they are needed: the build context of a folder, and contexts of ours made of texts and an agent's folder. Files are read while the engine
//! reads; owner and group are root's, as Docker's own client sends them. Nothing outside of the folder is followed.
#![expect(
    clippy::disallowed_methods,
    reason = "a context is made of links, modes and times, which base/world does not carry"
)]

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use operate_build::{Ignored, tar_dockerignore};
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;

/// What the engine is sent at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that wait for the engine.
const CHUNKS_MAX: usize = 16;
/// Folders within folders; deeper ones are a mistake, or a trap.
const DEPTH_MAX: usize = 100;

/// What a build is made of.
#[derive(Debug, Clone)]
pub struct Context {
    folder: PathBuf,
    ignored: Ignored,
    /// The Dockerfile's path in the tar file.
    pub dockerfile: String,
    /// Texts that are sent in place of files.
    instead: Vec<(String, Vec<u8>)>,
}

impl Context {
    /// `dockerfile` is where it lies, and `text` what is in it; outside of the folder it travels under a name of ours, which the build does not see.
    pub fn new(folder: &Path, dockerfile: &Path, text: &[u8], dockerignore: &str) -> io::Result<Context> {
        let (real, file) = (fs::canonicalize(folder)?, fs::canonicalize(dockerfile)?);
        let inside = file.strip_prefix(&real).ok().and_then(Path::to_str).map(str::to_owned);
        Ok(match inside {
            Some(path) => Context {
                folder: real,
                ignored: Ignored::new(dockerignore, &path),
                instead: Vec::new(),
                dockerfile: path,
            },
            None => {
                let path = ".apm.Dockerfile".to_owned();
                let instead = vec![
                    (".dockerignore".to_owned(), tar_dockerignore(dockerignore, &path).into_bytes()),
                    (path.clone(), text.to_vec()),
                ];
                Context { folder: real, ignored: Ignored::new(dockerignore, &path), instead, dockerfile: path }
            }
        })
    }

    /// The tar file.
    pub fn stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        stream(move |tar| {
            // The folder itself: its mode is part of what the engine's cache knows a context by.
            let about = fs::symlink_metadata(&self.folder).map_err(|error| named(&self.folder, &error.to_string()))?;
            tar.file(".", &self.folder, &about)?;
            for (path, text) in &self.instead {
                tar.text(path, text, false)?;
            }
            self.walk(tar, "", 0)
        })
    }

    fn walk(&self, tar: &mut Tar, below: &str, depth: usize) -> io::Result<()> {
        let folder = self.folder.join(below);
        if depth > DEPTH_MAX {
            return Err(named(&folder, "it lies deeper than folders may be nested in a context"));
        }
        for name in names(&folder)? {
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            if self.instead.iter().any(|(sent, _)| *sent == path) {
                continue;
            }
            let real = self.folder.join(&path);
            let about = fs::symlink_metadata(&real).map_err(|error| named(&real, &error.to_string()))?;
            if self.ignored.sends(&path) {
                tar.file(&path, &real, &about)?;
            }
            if about.is_dir() && self.ignored.enters(&path) {
                self.walk(tar, &path, depth + 1)?;
            }
        }
        Ok(())
    }
}

/// Names in a folder, sorted, so that the same folder gives the same tar file.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| named(folder, &error.to_string()))? {
        let name = entry?.file_name();
        let name = name.into_string().map_err(|name| named(&folder.join(name), "its name is no UTF-8"))?;
        names.push(name);
    }
    names.sort();
    Ok(names)
}

fn named(path: &Path, reason: &str) -> io::Error {
    io::Error::other(format!("{}: {reason}", path.display()))
}

/// A tar file under way.
pub struct Tar(Builder<Chunks>);

impl Tar {
    /// A file with this text.
    pub fn text(&mut self, path: &str, text: &[u8], executable: bool) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(if executable { 0o755 } else { 0o644 });
        self.0.append_data(&mut header, path, text)
    }

    /// A file, link or folder of the disk, folders without what is in them. Others (sockets, devices) are left out.
    fn file(&mut self, path: &str, real: &Path, about: &fs::Metadata) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_metadata(about);
        header.set_uid(0);
        header.set_gid(0);
        if about.is_dir() {
            header.set_entry_type(EntryType::Directory);
            header.set_size(0);
            return self.0.append_data(&mut header, format!("{path}/"), io::empty());
        }
        if about.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            let to = fs::read_link(real).map_err(|error| named(real, &error.to_string()))?;
            return self.0.append_link(&mut header, path, to);
        }
        if about.is_file() {
            header.set_entry_type(EntryType::Regular);
            let file = File::open(real).map_err(|error| named(real, &error.to_string()))?;
            let whole = Whole { file, left: about.len(), path: real };
            return self.0.append_data(&mut header, path, whole);
        }
        Ok(())
    }

    /// A folder and all that is in it, as `path`, readable by everyone: whose user the container's is is not known.
    pub fn folder(&mut self, path: &str, real: &Path, wanted: &dyn Fn(&str) -> bool) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_mode(0o755);
        header.set_entry_type(EntryType::Directory);
        header.set_size(0);
        self.0.append_data(&mut header, format!("{path}/"), io::empty())?;
        for name in names(real)? {
            let (below, from) = (format!("{path}/{name}"), real.join(&name));
            let about = fs::symlink_metadata(&from)?;
            if about.is_dir() {
                self.folder(&below, &from, wanted)?;
            } else if about.is_symlink() {
                self.file(&below, &from, &about)?;
            } else if wanted(&name) {
                self.open_file(&below, &from)?;
            }
        }
        Ok(())
    }

    /// A file that everyone may read.
    pub fn open_file(&mut self, path: &str, real: &Path) -> io::Result<()> {
        let file = File::open(real).map_err(|error| named(real, &error.to_string()))?;
        let about = file.metadata()?;
        let mut header = Header::new_gnu();
        header.set_metadata(&about);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mode(header.mode()? | 0o444);
        self.0.append_data(&mut header, path, Whole { file, left: about.len(), path: real })
    }
}

/// Exactly as many bytes as the header promised, or an error: a file that changes while it is sent would shift all that follows.
struct Whole<'a> {
    file: File,
    left: u64,
    path: &'a Path,
}

impl Read for Whole<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let room = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if room == 0 {
            return Ok(0);
        }
        let count = self.file.read(into.get_mut(..room).unwrap_or_default())?;
        if count == 0 {
            return Err(named(self.path, "it became shorter while it was sent"));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// What is written, in pieces, to whoever reads the stream.
struct Chunks {
    to: mpsc::Sender<io::Result<Bytes>>,
    full: Vec<u8>,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.full.extend_from_slice(bytes);
        if self.full.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = Bytes::from(std::mem::take(&mut self.full));
        self.to.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// A tar file that `fill` writes on a thread of its own, as it is read.
pub(crate) fn stream(
    fill: impl FnOnce(&mut Tar) -> io::Result<()> + Send + 'static,
) -> BoxStream<'static, io::Result<Bytes>> {
    let (to, mut from) = mpsc::channel(CHUNKS_MAX);
    tokio::task::spawn_blocking(move || {
        let mut tar = Tar(Builder::new(Chunks { to: to.clone(), full: Vec::new() }));
        let filled = fill(&mut tar).and_then(|()| tar.0.into_inner()?.flush());
        if let Err(error) = filled {
            // Nobody may be there to hear it.
            let _ = to.blocking_send(Err(error));
        }
    });
    futures_util::stream::poll_fn(move |context| from.poll_recv(context)).boxed()
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn what_is_in_the_tar_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("src/deep")).expect("made");
        let long = "x".repeat(150);
        for path in ["Dockerfile", "src/a", "src/deep/b", "secret", &format!("src/{long}")] {
            fs::write(at(path), path).expect("written");
        }
        std::os::unix::fs::symlink("/etc/passwd", at("link")).expect("linked");
        let context = Context::new(folder.path(), &at("Dockerfile"), b"", "secret\nsrc/deep\n").expect("a context");
        assert_eq!(context.dockerfile, "Dockerfile");
        let chunks: Vec<Bytes> = context.stream().try_collect().await.expect("whole");
        let mut tar = tar::Archive::new(io::Cursor::new(chunks.concat()));
        let mut found = Vec::new();
        for entry in tar.entries().expect("a tar file") {
            let mut entry = entry.expect("an entry");
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            assert_eq!(entry.header().uid().expect("a number"), 0);
            let to = entry.link_name().expect("a name").map(|to| to.display().to_string());
            found.push((entry.path().expect("a path").display().to_string(), to.unwrap_or(text)));
        }
        let expect = [
            ("./", ""),
            ("Dockerfile", "Dockerfile"),
            ("link", "/etc/passwd"),
            ("src/", ""),
            ("src/a", "src/a"),
            (&format!("src/{long}"), &format!("src/{long}")),
        ];
        assert_eq!(found, expect.map(|(path, text)| (path.to_owned(), text.to_owned())));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("Dockerfile");
        fs::write(&file, "FROM x\n").expect("written");
        let context = Context::new(folder.path(), &file, b"FROM x\n", "").expect("a context");
        let gone = folder.path().to_owned();
        drop(folder);
        let error = context.stream().try_collect::<Vec<_>>().await.expect_err("it is gone");
        assert!(error.to_string().contains(&gone.display().to_string()), "{error}");
    }
}
