//! Asks an image what it is: its settings, whether it has a shell, which interpreter it brings and what is installed for it. What is asked runs in a
//! container without a network, which is taken away again whatever comes of it.

use std::time::Duration;

use connect_docker::{ContainerSpec, Engine, LogOptions, NetworkJoin, Result};
use futures_util::StreamExt;
use operate_agents::python::{PROBE, PROBE_MARK};
use operate_agents::{Distribution, Language, Project, Runtime};
use operate_build::Facts;
use serde_json::Value;

/// An interpreter that answers later is not asked again.
const PATIENCE: Duration = Duration::from_secs(60);
const OUTPUT_BYTES_MAX: usize = 8 << 20;

/// The image's settings.
pub(crate) async fn facts(engine: &Engine, image: &str, unique: &str) -> Result<Facts> {
    let all = engine.inspect_image(image).await?;
    let view = connect_docker::ImageView::from_inspect(&all);
    let name = format!("apm-look-{unique}");
    let spec = ContainerSpec {
        name: name.clone(),
        image: image.to_owned(),
        // Never started; an image without a command could not be made into a container else.
        command: Some(vec!["look".to_owned()]),
        ..ContainerSpec::default()
    };
    engine.create_container(&spec).await?;
    let has_shell = engine.has_file(&name, "/bin/sh").await;
    engine.remove_container_if_there(&name).await?;
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    Ok(Facts {
        env: view.env.iter().map(pair).collect(),
        entrypoint: view.entrypoint,
        command: view.command,
        has_shell: has_shell?,
        onbuild: all["Config"]["OnBuild"].as_array().is_some_and(|list| !list.is_empty()),
    })
}

/// The runtime that will run the program; `Err` says in words why none answered.
pub(crate) async fn runtime(
    engine: &Engine,
    image: &str,
    language: Language,
    project: &Project,
    unique: &str,
) -> Result<std::result::Result<Option<Runtime>, String>> {
    let candidates: Vec<Vec<String>> = match language {
        Language::Python => pythons(project),
        Language::Node => vec![vec!["node".to_owned(), "-p".to_owned(), "process.versions.node".to_owned()]],
        _ => return Ok(Ok(None)),
    };
    let mut said = String::new();
    for words in candidates {
        let shown = words.first().cloned().unwrap_or_default();
        match ask(engine, image, words, unique).await? {
            Ok(text) => match read(language, &text) {
                Some(runtime) => return Ok(Ok(Some(runtime))),
                None => said = format!("`{shown}` in the image answered strangely"),
            },
            Err(why) => said = format!("`{shown}` in the image did not answer: {why}"),
        }
    }
    Ok(Err(said))
}

/// The interpreters to try, the program's own first.
fn pythons(project: &Project) -> Vec<Vec<String>> {
    let own = operate_agents::python::interpreter_command(project);
    // `/venv/bin/gunicorn` is run by `/venv/bin/python`.
    let beside = project.command.first().and_then(|program| Some(format!("{}/python", program.rsplit_once('/')?.0)));
    let plain = ["python3", "python"].map(|name| vec![name.to_owned()]);
    let mut all: Vec<Vec<String>> = beside.filter(|_| own == ["python3"]).map(|path| vec![path]).into_iter().collect();
    all.push(own);
    all.extend(plain);
    all.dedup();
    all.iter_mut().for_each(|words| words.extend(["-c".to_owned(), PROBE.to_owned()]));
    all
}

/// What a command prints in a container of the image.
async fn ask(
    engine: &Engine,
    image: &str,
    words: Vec<String>,
    unique: &str,
) -> Result<std::result::Result<String, String>> {
    let name = format!("apm-probe-{unique}");
    let mut words = words.into_iter();
    let spec = ContainerSpec {
        name: name.clone(),
        image: image.to_owned(),
        entrypoint: Some(words.by_ref().take(1).collect()),
        command: Some(words.collect()),
        networks: vec![NetworkJoin { network: "none".to_owned(), aliases: Vec::new() }],
        ..ContainerSpec::default()
    };
    engine.create_container(&spec).await?;
    let answer = answer(engine, &name).await;
    engine.remove_container_if_there(&name).await?;
    Ok(answer)
}

async fn answer(engine: &Engine, name: &str) -> std::result::Result<String, String> {
    let told = |error: connect_docker::DockerError| error.to_string();
    engine.start_container(name).await.map_err(told)?;
    let code = engine.wait_container(name, PATIENCE).await.map_err(told)?;
    let mut lines = engine.logs(name, &LogOptions::default()).await.map_err(told)?;
    let mut text = Vec::new();
    while let Some(line) = lines.next().await {
        let line = line.map_err(told)?;
        text.extend_from_slice(&line.text);
        if !line.goes_on {
            text.push(b'\n');
        }
        if text.len() > OUTPUT_BYTES_MAX {
            return Err(format!("more than {OUTPUT_BYTES_MAX} bytes came"));
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let last = || text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned();
    if code == 0 { Ok(text) } else { Err(format!("exit code {code}: {}", last())) }
}

fn read(language: Language, text: &str) -> Option<Runtime> {
    if language == Language::Node {
        let mut numbers = text.trim().split('.').map_while(|part| part.parse::<u32>().ok());
        return Some(Runtime {
            implementation: "node".to_owned(),
            major: numbers.next()?,
            minor: numbers.next()?,
            abi: String::new(),
            executable: "node".to_owned(),
            installed: Vec::new(),
        });
    }
    let json = text.lines().find_map(|line| line.strip_prefix(PROBE_MARK))?;
    let answer: Value = serde_json::from_str(json).ok()?;
    let word = |key: &str| answer[key].as_str().map(str::to_owned);
    let number = |at: usize| u32::try_from(answer["version"][at].as_u64()?).ok();
    let installed = answer["installed"]
        .as_object()?
        .iter()
        .filter_map(|(name, version)| Some(Distribution { name: name.clone(), version: version.as_str()?.to_owned() }));
    Some(Runtime {
        implementation: word("implementation")?,
        major: number(0)?,
        minor: number(1)?,
        abi: word("abi")?,
        executable: word("executable")?,
        installed: installed.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let node = read(Language::Node, "20.11.1\n").expect("a version");
        assert_eq!((node.major, node.minor), (20, 11));
        assert_eq!(read(Language::Node, "help!"), None);
        let text = "noise\nAPM-PROBE:{\"abi\": \"a\", \"executable\": \"/p\", \"base\": \"\", \"implementation\": \"cpython\", \"version\": [3, 11], \"installed\": {\"Flask\": \"3\"}}\n";
        let python = read(Language::Python, text).expect("an answer");
        assert_eq!((python.tag().as_str(), python.version_of("flask")), ("cpython-3.11", Some("3")));
        assert_eq!(read(Language::Python, "Traceback"), None);
    }

    #[test]
    fn the_program_s_own_interpreter_is_asked_first() {
        let check = |command: &[&str], first: &str| {
            let command = command.iter().map(|word| (*word).to_owned()).collect();
            let found = pythons(&Project { command, ..Project::default() });
            assert_eq!(found[0][0], first);
        };
        check(&["python3.12", "app.py"], "python3.12");
        check(&["/venv/bin/gunicorn", "app:app"], "/venv/bin/python");
        check(&["gunicorn", "app:app"], "python3");
    }
}
