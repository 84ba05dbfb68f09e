//! Files by their absolute paths, and the tar files in which they travel.

use std::collections::BTreeMap;
use std::io::Read;

/// Contents by path: `/etc/os-release`.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What is at the path: a file, or all of a folder; named as Docker names it, from the last part on. `None` where nothing is.
pub(crate) fn pack(files: &Files, path: &str) -> Option<Vec<u8>> {
    let below = format!("{path}/");
    let last = path.rsplit('/').next().unwrap_or_default();
    let mut tar = tar::Builder::new(Vec::new());
    let mut found = false;
    for (name, content) in files.iter().filter(|(name, _)| *name == path || name.starts_with(&below)) {
        found = true;
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let name = format!("{last}{}", name.get(path.len()..).unwrap_or_default());
        tar.append_data(&mut header, name, content.as_slice()).ok()?;
    }
    if found { tar.into_inner().ok() } else { None }
}

/// All files of a tar file, below a folder.
pub(crate) fn unpack(tar: &[u8], folder: &str) -> Files {
    let mut files = Files::new();
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries().into_iter().flatten() {
        let Ok(mut entry) = entry else { break };
        let mut content = Vec::new();
        let Ok(path) = entry.path().map(|path| path.display().to_string()) else { continue };
        if entry.header().entry_type().is_file() && entry.read_to_end(&mut content).is_ok() {
            files.insert(format!("{}/{}", folder.trim_end_matches('/'), path.trim_start_matches("./")), content);
        }
    }
    files
}
