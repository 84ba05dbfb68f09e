//! The packages an image says it has: the files in which dpkg and apk keep them. Sources: deb-control(5) for the form of `/var/lib/dpkg/status`, apk's
//! "Apk spec" for `/lib/apk/db/installed`, os-release(5).

use serde::Serialize;

/// Whose versions they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Ecosystem {
    Debian,
    Alpine,
}

/// One installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// Advisories name what it was built from.
    pub source: String,
    pub source_version: String,
}

/// The system of the base image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Base {
    /// "Debian GNU/Linux 12 (bookworm)"
    pub name: String,
    /// `debian`, `alpine`
    pub id: String,
    /// `12`, `3.19.1`
    pub version: String,
}

/// More packages than any image has.
const PACKAGES_MAX: usize = 100_000;

/// Of `/var/lib/dpkg/status` or a file of `status.d`; only what is installed.
pub fn dpkg(text: &str) -> Vec<Package> {
    let paragraphs = text.split("\n\n").filter_map(|paragraph| {
        let field = |name: &str| {
            let line = paragraph.lines().find(|line| line.split_once(':').is_some_and(|(key, _)| key == name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        // Distroless images leave the status out.
        if field("Status").is_some_and(|status| !status.ends_with(" installed")) {
            return None;
        }
        let (name, version) = (field("Package")?, field("Version")?);
        let source = field("Source").unwrap_or_else(|| name.clone());
        // `glibc (2.36-9)` where the versions differ.
        let (source, source_version) = match source.split_once(" (") {
            Some((source, of)) => (source.to_owned(), of.trim_end_matches(')').to_owned()),
            None => (source, version.clone()),
        };
        Some(Package { name, version, source, source_version })
    });
    paragraphs.take(PACKAGES_MAX).collect()
}

/// Of `/lib/apk/db/installed`.
pub fn apk(text: &str) -> Vec<Package> {
    let paragraphs = text.split("\n\n").filter_map(|paragraph| {
        let field = |letter: &str| {
            paragraph.lines().find_map(|line| line.strip_prefix(letter)?.strip_prefix(':').map(str::to_owned))
        };
        let (name, version) = (field("P")?, field("V")?);
        let source = field("o").unwrap_or_else(|| name.clone());
        Some(Package { name, source, source_version: version.clone(), version })
    });
    paragraphs.take(PACKAGES_MAX).collect()
}

/// Of `/etc/os-release`.
pub fn base(text: &str) -> Option<Base> {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim().trim_matches('"').to_owned())
    };
    let id = value("ID")?;
    let version = value("VERSION_ID").unwrap_or_default();
    Some(Base { name: value("PRETTY_NAME").unwrap_or_else(|| format!("{id} {version}")), id, version })
}
