//! What is behind `apm docker scan` and the scan step of a release: a scanner of the machine is run on the image, or the image's own package lists are read out of a container that is
//! never started, and compared with a file of advisories. Time and size have limits; what could not be looked at is said.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base_world::World;
use connect_docker::{ContainerSpec, DockerError, Engine};
use futures_util::StreamExt;
use operate_scan::{Advisories, Ecosystem, Package, Scan, ScanSettings, Scanner, apk, base, dpkg, grype, snyk, trivy};
use tokio::io::AsyncReadExt;

mod step;

pub use step::{ImageJudge, KeepReport};

/// A scanner that loads its database first takes minutes.
const SCANNER_TIME_MAX: Duration = Duration::from_secs(600);
/// Some files of an image on the machine's own disk.
const LISTS_TIME_MAX_MS: u64 = 300_000;
const REPORT_BYTES_MAX: u64 = 128 << 20;
const ADVISORIES_BYTES_MAX: u64 = 512 << 20;
/// A package list of a large image has some megabytes.
const LIST_BYTES_MAX: usize = 64 << 20;

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

/// Who would look into an image; `None`: nobody can.
pub fn who_looks(settings: &ScanSettings) -> Option<Scanner> {
    let installed = || [Scanner::Trivy, Scanner::Grype, Scanner::Snyk].into_iter().find(|one| is_installed(one.word()));
    match (settings.with, &settings.advisories) {
        (Some(Scanner::Packages), None) => None,
        (Some(with), _) => Some(with),
        // Who names a file wants it to be used.
        (None, Some(_)) => Some(Scanner::Packages),
        (None, None) => installed(),
    }
}

/// Scans it; what the settings accept is marked so. A container that is made to read lists is called `container`; one that was left under that name is
/// removed first.
pub async fn scan(
    engine: &Engine,
    world: &World,
    image: &str,
    settings: &ScanSettings,
    container: Option<&str>,
) -> Result<Scan, ScanError> {
    let scan = match who_looks(settings) {
        Some(Scanner::Packages) => by_packages(engine, world, image, settings, container).await?,
        Some(scanner) => by_scanner(scanner, image).await?,
        None => return Err(ScanError::NothingToAsk { image: image.to_owned() }),
    };
    Ok(settings.apply(scan))
}

fn words(scanner: Scanner, image: &str) -> Vec<String> {
    let words: &[&str] = match scanner {
        Scanner::Trivy => &["image", "--quiet", "--format", "json", image],
        Scanner::Grype => &["--quiet", "--output", "json", image],
        Scanner::Snyk => &["container", "test", "--json", image],
        Scanner::Packages => &[],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
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
        .args(words(scanner, image))
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

async fn by_packages(
    engine: &Engine,
    world: &World,
    image: &str,
    settings: &ScanSettings,
    container: Option<&str>,
) -> Result<Scan, ScanError> {
    let mut scan = Scan { image: image.to_owned(), by: Scanner::Packages.word().to_owned(), ..Scan::default() };
    let advisories = match &settings.advisories {
        Some(path) => {
            let told = |why: String| ScanError::Advisories { path: path.clone(), why };
            let bytes = world.disk.read(path, ADVISORIES_BYTES_MAX).map_err(|error| told(error.kind.to_string()))?;
            let text = String::from_utf8(bytes).map_err(|_| told("it is no UTF-8 text".to_owned()))?;
            Advisories::read(&text).map_err(|error| told(error.to_string()))?
        }
        None => Advisories::default(),
    };
    let name = match container {
        Some(name) => {
            engine.remove_container_if_there(name).await?;
            name.to_owned()
        }
        None => {
            let mut unique = [0u8; 6];
            world.random.fill(&mut unique);
            format!("apm-scan-{}", unique.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    };
    let spec = ContainerSpec {
        name: name.clone(),
        image: image.to_owned(),
        // Never started.
        command: Some(vec!["look".to_owned()]),
        ..ContainerSpec::default()
    };
    engine.create_container(&spec).await?;
    let late =
        DockerError::Timeout { doing: format!("read the package lists of `{image}`"), after_ms: LISTS_TIME_MAX_MS };
    // Within the time, so that the container is removed in any case.
    let seen =
        tokio::time::timeout(Duration::from_millis(LISTS_TIME_MAX_MS), lists(engine, &name)).await.unwrap_or(Err(late));
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
        scan.is_blind = true;
        scan.unknown.push("the image has neither dpkg's nor apk's list of packages".to_owned());
    }
    scan.unknown.push("the program's own packages (pip, npm, jars) are not looked at by the package lists".to_owned());
    if advisories.is_empty() {
        scan.is_blind = true;
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
