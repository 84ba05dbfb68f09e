//! Asks the interpreter that will run the program what it is and what is installed for it. Does not know what the answer is
//! used for.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use operate_agents::python::{PROBE, PROBE_MARK};
use operate_agents::{Distribution, Runtime};
use serde::Deserialize;

const OUTPUT_BYTES_MAX: usize = 8 * 1024 * 1024;

#[derive(Debug, Deserialize)]
struct Answer {
    abi: String,
    executable: String,
    base: String,
    implementation: String,
    version: (u32, u32),
    installed: std::collections::BTreeMap<String, Option<String>>,
}

/// The interpreter, and the one it was made from where it is a virtual environment's.
#[derive(Debug, Clone)]
pub(crate) struct Interpreter {
    pub(crate) runtime: Runtime,
    pub(crate) base: String,
}

/// Runs the probe. The error is a sentence for the person.
pub(crate) async fn probe(command: &[String], cwd: &Path) -> Result<Interpreter, String> {
    let shown = command.join(" ");
    let Some((program, arguments)) = command.split_first() else { return Err("no interpreter is known".to_owned()) };
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .args(["-c", PROBE])
        .current_dir(cwd)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(Duration::from_secs(60), child).await {
        Err(_) => return Err(format!("`{shown}` did not answer within 60 seconds")),
        Ok(Err(error)) => return Err(format!("`{shown}` cannot be started: {error}")),
        Ok(Ok(output)) => output,
    };
    if output.stdout.len() > OUTPUT_BYTES_MAX {
        return Err(format!("`{shown}` answered with more than {OUTPUT_BYTES_MAX} bytes"));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let Some(json) = text.lines().find_map(|line| line.strip_prefix(PROBE_MARK)) else {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
        return Err(format!("`{shown}` could not be asked for its version and packages ({last})"));
    };
    let answer: Answer =
        serde_json::from_str(json).map_err(|error| format!("`{shown}` answered strangely: {error}"))?;
    let installed = answer
        .installed
        .into_iter()
        .filter_map(|(name, version)| Some(Distribution { name, version: version? }))
        .collect();
    let runtime = Runtime {
        implementation: answer.implementation,
        major: answer.version.0,
        minor: answer.version.1,
        abi: answer.abi,
        executable: answer.executable,
        installed,
    };
    Ok(Interpreter { runtime, base: answer.base })
}
