//! What is behind `apm docker scan`: a scanner of the machine is run on the image, or the image's own package lists are read out of a container that is
//! never started, and compared with a file of advisories. Time and size have limits; what could not be looked at is said.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base_world::World;
use connect_docker::{ContainerSpec, DockerError, Engine};
use futures_util::StreamExt;
use operate_scan::{Advisories, Ecosystem, Package, Scan, apk, base, dpkg, grype, snyk, trivy};
use tokio::io::AsyncReadExt;

/// A scanner that loads its database first takes minutes.
const SCANNER_TIME_MAX: Duration = Duration::from_secs(600);
const REPORT_BYTES_MAX: u64 = 128 << 20;
const ADVISORIES_BYTES_MAX: u64 = 512 << 20;
/// A package list of a large image has some megabytes.
const LIST_BYTES_MAX: usize = 64 << 20;

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scanner {
    Trivy,
    Grype,
    Snyk,
    /// The package lists of the image.
    Packages,
}

impl Scanner {
    pub fn word(self) -> &'static str {
        match self {
            Scanner::Trivy => "trivy",
            Scanner::Grype => "grype",
            Scanner::Snyk => "snyk",
            Scanner::Packages => "packages",
        }
    }

    fn words(self, image: &str) -> Vec<String> {
        let words: &[&str] = match self {
            Scanner::Trivy => &["image", "--quiet", "--format", "json", image],
            Scanner::Grype => &["--quiet", "--output", "json", image],
            Scanner::Snyk => &["container", "test", "--json", image],
            Scanner::Packages => &[],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error(transparent)]
    Engine(#[from] DockerError),
    #[error("`{program}` {why}")]
    Scanner { program: &'static str, why: String },
    #[error("{}: {why}", path.display())]
    Advisories { path: PathBuf, why: String },
    #[error("nothing here can judge {image}: there is no trivy, grype or snyk, and no file of advisories was named")]
    NothingToAsk { image: String },
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    pub image: String,
    /// `None`: the first one that is installed, else the package lists.
    pub with: Option<Scanner>,
    /// In the form of OSV.
    pub advisories: Option<PathBuf>,
}

/// Scans it.
pub async fn scan(engine: &Engine, world: &World, options: &ScanOptions) -> Result<Scan, ScanError> {
    let installed = || [Scanner::Trivy, Scanner::Grype, Scanner::Snyk].into_iter().find(|one| is_installed(one.word()));
    // Who names a file wants it to be used.
    let chosen = options.with.or_else(|| if options.advisories.is_some() { None } else { installed() });
    match (chosen, &options.advisories) {
        (Some(scanner), _) if scanner != Scanner::Packages => by_scanner(scanner, &options.image).await,
        (_, Some(_)) => by_packages(engine, world, options).await,
        (_, None) => Err(ScanError::NothingToAsk { image: options.image.clone() }),
    }
}

fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|paths| std::env::split_paths(&paths).any(|folder| folder.join(program).is_file()))
}

async fn by_scanner(scanner: Scanner, image: &str) -> Result<Scan, ScanError> {
    let program = scanner.word();
    let failed = |why: String| ScanError::Scanner { program, why };
    let mut command = tokio::process::Command::new(program);
    command
        .args(scanner.words(image))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| failed(format!("cannot be started: {error}")))?;
    let output = child.stdout.take().ok_or_else(|| failed("has no output".to_owned()))?;
    let read = async {
        let mut text = String::new();
        output.take(REPORT_BYTES_MAX + 1).read_to_string(&mut text).await.map_err(|error| failed(error.to_string()))?;
        if text.len() as u64 > REPORT_BYTES_MAX {
            return Err(failed(format!("prints more than {REPORT_BYTES_MAX} bytes")));
        }
        Ok(text)
    };
    let text = tokio::time::timeout(SCANNER_TIME_MAX, read)
        .await
        .map_err(|_| failed(format!("took longer than {} minutes", SCANNER_TIME_MAX.as_secs() / 60)))??;
    let read = match scanner {
        Scanner::Grype => grype(&text),
        Scanner::Snyk => snyk(&text),
        _ => trivy(&text),
    };
    // Their exit codes say different things; what they print does not.
    let findings = read.map_err(|error| failed(format!("gave no report: {error}")))?;
    Ok(Scan { image: image.to_owned(), by: program.to_owned(), findings, ..Scan::default() }.tidy())
}

async fn by_packages(engine: &Engine, world: &World, options: &ScanOptions) -> Result<Scan, ScanError> {
    let mut scan = Scan { image: options.image.clone(), by: Scanner::Packages.word().to_owned(), ..Scan::default() };
    let advisories = match &options.advisories {
        Some(path) => {
            let told = |why: String| ScanError::Advisories { path: path.clone(), why };
            let bytes = world.disk.read(path, ADVISORIES_BYTES_MAX).map_err(|error| told(error.kind.to_string()))?;
            let text = String::from_utf8(bytes).map_err(|_| told("it is no UTF-8 text".to_owned()))?;
            Advisories::read(&text).map_err(|error| told(error.to_string()))?
        }
        None => Advisories::default(),
    };
    let mut unique = [0u8; 6];
    world.random.fill(&mut unique);
    let name = format!("apm-scan-{}", unique.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let spec = ContainerSpec {
        name: name.clone(),
        image: options.image.clone(),
        // Never started.
        command: Some(vec!["look".to_owned()]),
        ..ContainerSpec::default()
    };
    engine.create_container(&spec).await?;
    let seen = lists(engine, &name).await;
    engine.remove_container_if_there(&name).await?;
    let files = seen?;
    let text = |path: &str| files.get(path).map(String::as_str);
    scan.base = text("etc").or(text("usr")).and_then(base);
    let mut all: Vec<(Ecosystem, Vec<Package>)> = Vec::new();
    let debian: Vec<Package> = [text("dpkg"), text("status.d")].into_iter().flatten().flat_map(dpkg).collect();
    let alpine: Vec<Package> = text("apk").into_iter().flat_map(apk).collect();
    all.extend((!debian.is_empty()).then_some((Ecosystem::Debian, debian)));
    all.extend((!alpine.is_empty()).then_some((Ecosystem::Alpine, alpine)));
    if all.is_empty() {
        scan.unknown.push("the image has neither dpkg's nor apk's list of packages".to_owned());
    }
    scan.unknown.push("the program's own packages (pip, npm, jars) are not looked at by the package lists".to_owned());
    if advisories.is_empty() {
        scan.unknown.push("the file of advisories is empty".to_owned());
    }
    scan.packages = Some(all.iter().map(|(_, packages)| packages.len()).sum());
    for (ecosystem, packages) in &all {
        scan.findings.extend(advisories.match_all(*ecosystem, scan.base.as_ref(), packages));
    }
    Ok(scan.tidy())
}

/// The texts of the files that matter, by a short name.
async fn lists(engine: &Engine, container: &str) -> Result<BTreeMap<&'static str, String>, DockerError> {
    let places = [
        ("etc", "/etc/os-release"),
        ("usr", "/usr/lib/os-release"),
        ("dpkg", "/var/lib/dpkg/status"),
        ("status.d", "/var/lib/dpkg/status.d"),
        ("apk", "/lib/apk/db/installed"),
    ];
    let mut found = BTreeMap::new();
    for (name, path) in places {
        let Some(mut stream) = engine.read_files(container, path).await? else { continue };
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk?);
            if bytes.len() > LIST_BYTES_MAX {
                return Err(DockerError::TooLarge { doing: format!("reading {path}"), limit_bytes: LIST_BYTES_MAX });
            }
        }
        // A link, or what is no tar file, gives no text.
        let text = texts(&bytes);
        if !text.is_empty() {
            found.insert(name, text);
        }
    }
    Ok(found)
}

/// All texts of a tar file, an empty line between them.
fn texts(bytes: &[u8]) -> String {
    let mut all = String::new();
    let mut tar = tar::Archive::new(Cursor::new(bytes));
    for entry in tar.entries().into_iter().flatten() {
        let Ok(mut entry) = entry else { break };
        let mut text = Vec::new();
        // Checksums lie beside distroless lists.
        let is_sum = entry.path().is_ok_and(|path| path.extension().is_some_and(|ending| ending == "md5sums"));
        if entry.header().entry_type().is_file() && !is_sum && entry.read_to_end(&mut text).is_ok() {
            all.push_str(&String::from_utf8_lossy(&text));
            all.push_str("\n\n");
        }
    }
    all
}
