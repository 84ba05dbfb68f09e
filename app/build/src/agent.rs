//! Gets an agent's files into the cache, once for each set: Python's wheels for the image's interpreter, Node's packages by their lock, Java's jar by its
//! hash. Whole or not at all, and nothing is run that comes with them. It does not know how they are switched on.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base_http::{Client, HttpConfig, Limits};
use base_world::{Disk, replace_file};
use operate_agents::{Language, Launch, Runtime, python};
use operate_build::{JAVA_AGENT, NODE_LOCK, NODE_PACKAGE};
use sha2::{Digest, Sha256};

use crate::{BuildError, Line, Options, Say};

const FETCH_TIME_MAX: Duration = Duration::from_secs(600);
/// Twice what Java's agent has today.
const JAR_BYTES_MAX: usize = 64 << 20;

/// Where an agent lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Agent {
    Folder(PathBuf),
    /// Java's, under whatever name.
    Jar(PathBuf),
    /// Nothing is copied.
    Nothing,
}

/// What is asked for.
pub(crate) struct Wanted<'a> {
    pub(crate) language: Language,
    /// Python's.
    pub(crate) launch: Option<&'a Launch>,
    pub(crate) runtime: Option<&'a Runtime>,
    /// `amd64`, as images say it.
    pub(crate) architecture: &'a str,
}

pub(crate) async fn get(
    disk: &dyn Disk,
    wanted: &Wanted<'_>,
    options: &Options,
    say: &mut Say<'_>,
) -> Result<Agent, BuildError> {
    if let Some(given) = &options.agent {
        return match (given.is_dir(), given.is_file()) {
            (true, _) => Ok(Agent::Folder(given.clone())),
            (_, true) if wanted.language == Language::Java => Ok(Agent::Jar(given.clone())),
            _ => Err(BuildError::Fetch { why: format!("{} is no folder", given.display()) }),
        };
    }
    let fetch = |why: String| BuildError::Fetch { why };
    let home = options.cache.join("agents");
    match wanted.language {
        Language::Python => match (wanted.launch, wanted.runtime) {
            (Some(launch), Some(runtime)) => {
                wheels(disk, launch, runtime, wanted.architecture, &home, say).await.map(Agent::Folder).map_err(fetch)
            }
            _ => Err(fetch("the image's Python is not known".to_owned())),
        },
        Language::Node => packages(disk, &home, say).await.map(Agent::Folder).map_err(fetch),
        Language::Java => jar(disk, &home, say).await.map(Agent::Folder).map_err(fetch),
        Language::Go | Language::Rust | Language::Unknown => Ok(Agent::Nothing),
        other => Err(fetch(format!("{}'s is not fetched here", other.name()))),
    }
}

/// A folder that is filled beside its place and then put there, so that half of one never counts.
async fn whole(
    disk: &dyn Disk,
    place: &Path,
    fill: impl AsyncFnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    if tokio::fs::metadata(place).await.is_ok() {
        return Ok(place.to_owned());
    }
    let staging = place.with_extension(format!("partial-{}", std::process::id()));
    let _ = tokio::fs::remove_dir_all(&staging).await;
    disk.create_folder(&staging).map_err(|error| error.to_string())?;
    let outcome = fill(&staging).await;
    let moved = match outcome {
        Ok(()) => tokio::fs::rename(&staging, place).await.map_err(|error| format!("{}: {error}", place.display())),
        Err(why) => Err(why),
    };
    if moved.is_err() {
        let _ = tokio::fs::remove_dir_all(&staging).await;
        // Another build was first with the same.
        if tokio::fs::metadata(place).await.is_ok() {
            return Ok(place.to_owned());
        }
    }
    moved.map(|()| place.to_owned())
}

/// What wheels are named after: the C library and the processor.
fn platforms(abi: &str, architecture: &str) -> Vec<String> {
    let machine = match architecture {
        "arm64" => "aarch64",
        "386" => "i686",
        "amd64" | "" => "x86_64",
        other => other,
    };
    let names: &[&str] = if abi.contains("musl") {
        &["musllinux_1_2", "musllinux_1_1"]
    } else {
        &["manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux_2_5", "manylinux1"]
    };
    names.iter().map(|name| format!("{name}_{machine}")).collect()
}

async fn wheels(
    disk: &dyn Disk,
    launch: &Launch,
    runtime: &Runtime,
    architecture: &str,
    home: &Path,
    say: &mut Say<'_>,
) -> Result<PathBuf, String> {
    let platforms = platforms(&runtime.abi, architecture);
    let first = platforms.first().cloned().unwrap_or_default();
    let place =
        home.join("python-image").join(format!("{}-{first}-{}", runtime.tag(), python::set_digest(&launch.packages)));
    if tokio::fs::metadata(&place).await.is_err() {
        say(Line::Note(format!("fetching the Python agent ({} packages, once for this set)", launch.packages.len())));
    }
    let version = format!("{}.{}", runtime.major, runtime.minor);
    whole(disk, &place, async |staging: &Path| {
        let list = staging.with_extension("txt");
        let pinned: Vec<&str> = launch.packages.iter().map(|one| one.pinned.as_str()).collect();
        replace_file(disk, &list, (pinned.join("\n") + "\n").as_bytes()).map_err(|error| error.to_string())?;
        let common =
            ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--quiet", "--python-version", &version];
        let mut last = "there is neither python3 with pip nor uv on this machine".to_owned();
        for installer in
            [&["python3", "-m", "pip", "install"][..], &["python", "-m", "pip", "install"], &["uv", "pip", "install"]]
        {
            let mut words: Vec<String> = common.iter().map(|word| (*word).to_owned()).collect();
            if installer.first() == Some(&"uv") {
                words.extend(["--python-platform".to_owned(), uv_platform(&first)]);
            } else {
                words.extend(
                    ["--no-input", "--disable-pip-version-check", "--retries", "1", "--implementation", "cp"]
                        .map(str::to_owned),
                );
                words.extend(platforms.iter().flat_map(|platform| ["--platform".to_owned(), platform.clone()]));
            }
            words.extend([
                "--target".to_owned(),
                staging.display().to_string(),
                "--requirement".to_owned(),
                list.display().to_string(),
            ]);
            match run(installer, &words, None).await {
                Ok(()) => {
                    let _ = disk.remove(&list);
                    return Ok(());
                }
                Err(Failed::NotThere) => {}
                Err(Failed::Said(why)) => last = why,
            }
        }
        let _ = disk.remove(&list);
        Err(last)
    })
    .await
}

/// `manylinux_2_28_x86_64` as uv says it.
fn uv_platform(platform: &str) -> String {
    let machine = if platform.ends_with("aarch64") { "aarch64" } else { "x86_64" };
    let libc = if platform.starts_with("musl") { "unknown-linux-musl" } else { "manylinux_2_28" };
    format!("{machine}-{libc}")
}

async fn packages(disk: &dyn Disk, home: &Path, say: &mut Say<'_>) -> Result<PathBuf, String> {
    let place = home.join("node").join(python::content_digest(NODE_LOCK));
    if tokio::fs::metadata(&place).await.is_err() {
        say(Line::Note("fetching the Node agent (once)".to_owned()));
    }
    whole(disk, &place, async |staging: &Path| {
        for (name, text) in [("package.json", NODE_PACKAGE), ("package-lock.json", NODE_LOCK)] {
            replace_file(disk, &staging.join(name), text.as_bytes()).map_err(|error| error.to_string())?;
        }
        let words =
            ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"].map(str::to_owned);
        run(&["npm"], &words, Some(staging)).await.map_err(|failed| match failed {
            Failed::NotThere => "there is no npm on this machine".to_owned(),
            Failed::Said(why) => why,
        })
    })
    .await
}

async fn jar(disk: &dyn Disk, home: &Path, say: &mut Say<'_>) -> Result<PathBuf, String> {
    let place = home.join("java").join(JAVA_AGENT.version);
    if tokio::fs::metadata(&place).await.is_err() {
        say(Line::Note(format!("fetching the Java agent {} (once)", JAVA_AGENT.version)));
    }
    whole(disk, &place, async |staging: &Path| {
        let client = Client::new(HttpConfig::default()).map_err(|error| error.to_string())?;
        let limits = Limits { timeout: FETCH_TIME_MAX, body_bytes: JAR_BYTES_MAX };
        let answer = client.get(JAVA_AGENT.url, &[], limits).await.map_err(|error| error.to_string())?;
        if answer.status != 200 {
            return Err(format!("{} answers {}", JAVA_AGENT.url, answer.status));
        }
        let hash: String = Sha256::digest(&answer.body).iter().map(|byte| format!("{byte:02x}")).collect();
        if hash != JAVA_AGENT.sha256 {
            return Err(format!("{} has the hash {hash}, not the recorded one, and was refused", JAVA_AGENT.url));
        }
        let to = staging.join("opentelemetry-javaagent.jar");
        replace_file(disk, &to, &answer.body).map_err(|error| error.to_string())
    })
    .await
}

enum Failed {
    NotThere,
    Said(String),
}

async fn run(installer: &[&str], words: &[String], folder: Option<&Path>) -> Result<(), Failed> {
    let Some((program, first)) = installer.split_first() else { return Err(Failed::NotThere) };
    let mut command = tokio::process::Command::new(program);
    command
        .args(first)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // A person's mirrors count; what would put the packages elsewhere, or instrument the installer, does not.
    for name in
        ["PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH", "NODE_OPTIONS"]
    {
        command.env_remove(name);
    }
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let output = match tokio::time::timeout(FETCH_TIME_MAX, command.output()).await {
        Err(_) => {
            return Err(Failed::Said(format!(
                "`{program}` took longer than {} minutes",
                FETCH_TIME_MAX.as_secs() / 60
            )));
        }
        Ok(Err(_)) => return Err(Failed::NotThere),
        Ok(Ok(output)) => output,
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("No module named pip") {
        return Err(Failed::NotThere);
    }
    let telling =
        said.lines().filter(|line| line.to_ascii_lowercase().contains("error")).take(2).collect::<Vec<_>>().join("; ");
    let shown = if telling.is_empty() { said.lines().last().unwrap_or("no reason given").to_owned() } else { telling };
    Err(Failed::Said(format!("`{}`: {}", installer.join(" "), shown.chars().take(400).collect::<String>())))
}

#[cfg(test)]
mod tests {
    use base_world::World;

    use super::*;

    #[test]
    fn wheels_are_those_of_the_image_s_system() {
        let check = |abi: &str, architecture: &str, first: &str, uv: &str| {
            let names = platforms(abi, architecture);
            assert_eq!((names[0].as_str(), uv_platform(&names[0]).as_str()), (first, uv));
        };
        let gnu = "cpython-311-x86_64-linux-gnu";
        check(gnu, "amd64", "manylinux_2_28_x86_64", "x86_64-manylinux_2_28");
        check(gnu, "", "manylinux_2_28_x86_64", "x86_64-manylinux_2_28");
        check(gnu, "arm64", "manylinux_2_28_aarch64", "aarch64-manylinux_2_28");
        check("cpython-312-x86_64-linux-musl", "amd64", "musllinux_1_2_x86_64", "x86_64-unknown-linux-musl");
        check("cpython-312-aarch64-linux-musl", "arm64", "musllinux_1_2_aarch64", "aarch64-unknown-linux-musl");
    }

    #[tokio::test]
    async fn an_agent_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let (disk, place) = (World::real().disk, folder.path().join("agents/python"));
        let write =
            async |staging: &Path| replace_file(&*disk, &staging.join("half"), b"x").map_err(|error| error.to_string());
        let failed = whole(&*disk, &place, async |staging: &Path| {
            write(staging).await?;
            Err("the network ended".to_owned())
        });
        assert_eq!(failed.await, Err("the network ended".to_owned()));
        assert!(!place.exists(), "half of one counts");
        assert_eq!(disk.list(&folder.path().join("agents")).expect("listed").len(), 0, "half of one is left");
        assert_eq!(whole(&*disk, &place, write).await, Ok(place.clone()));
        assert!(place.join("half").exists());
        // What is there is not made again.
        assert_eq!(whole(&*disk, &place, async |_: &Path| Err("fetched twice".to_owned())).await, Ok(place.clone()));
        // Another build was first with the same: its own is as good.
        let other = folder.path().join("agents/node");
        let late = whole(&*disk, &other, async |_: &Path| {
            disk.create_folder(&other).map_err(|error| error.to_string())?;
            Err("ours failed".to_owned())
        });
        assert_eq!(late.await, Ok(other.clone()));
    }

    #[tokio::test]
    async fn an_installer_says_why_and_one_that_is_not_there_is_passed_over() {
        let run = async |words: &[&str]| {
            let (program, rest) = words.split_at(1);
            let rest: Vec<String> = rest.iter().map(|word| (*word).to_owned()).collect();
            match super::run(program, &rest, None).await {
                Ok(()) => "fine".to_owned(),
                Err(Failed::NotThere) => "not there".to_owned(),
                Err(Failed::Said(why)) => why,
            }
        };
        let sh = |script: &'static str| ["sh", "-c", script];
        assert_eq!(run(&sh("exit 0")).await, "fine");
        assert_eq!(run(&["no-such-installer-anywhere"]).await, "not there");
        assert_eq!(run(&sh("echo 'No module named pip' >&2; exit 1")).await, "not there");
        assert_eq!(
            run(&sh("echo noise; echo 'ERROR: no match' >&2; echo bye >&2; exit 1")).await,
            "`sh`: ERROR: no match"
        );
        assert_eq!(run(&sh("echo bye >&2; exit 1")).await, "`sh`: bye");
        assert_eq!(run(&sh("exit 1")).await, "`sh`: no reason given");
    }
}
