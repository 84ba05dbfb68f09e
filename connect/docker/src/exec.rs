//! A command run inside of a running container, its output gathered up to a limit. It hands nothing to the command's input.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::BytesMut;
use serde_json::{Value, json};

use crate::call::{Call, segment};
use crate::containers::object;
use crate::logs::{Channel, Frames};
use crate::spec::Names;
use crate::{DockerError, Engine, Object, Result};

/// What to run.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ExecSpec {
    pub command: Vec<String>,
    /// Values may be secret: only names are shown by `Debug`.
    pub env: BTreeMap<String, String>,
    pub user: Option<String>,
    pub working_folder: Option<String>,
    /// Of each channel, what is kept; the rest is read and dropped. 0 keeps nothing.
    pub output_bytes_max: usize,
}

impl fmt::Debug for ExecSpec {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = to.debug_struct("ExecSpec");
        shown
            .field("command", &self.command)
            .field("env", &Names(&self.env))
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecOutcome {
    /// 126 and 127, as a shell says them, when the command could not be started.
    pub exit_code: i64,
    pub output: Vec<u8>,
    pub errors: Vec<u8>,
    /// More was written than kept.
    pub cut: bool,
}

impl Engine {
    /// Runs it and waits for its end, at most so long. After a timeout the command goes on inside of the container: the engine cannot end it.
    pub async fn exec(&self, container: &str, spec: &ExecSpec, at_most: Duration) -> Result<ExecOutcome> {
        match tokio::time::timeout(at_most, self.exec_to_end(container, spec, at_most)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(DockerError::Timeout {
                // The words behind it may be anything, a password too.
                doing: format!("run `{}` in {}", spec.command.first().map_or("", String::as_str), object(container)),
                after_ms: u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }

    async fn exec_to_end(&self, container: &str, spec: &ExecSpec, at_most: Duration) -> Result<ExecOutcome> {
        let env: Vec<String> = spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut body = json!({"AttachStdout": true, "AttachStderr": true, "Cmd": spec.command, "Env": env});
        for (key, value) in [("User", &spec.user), ("WorkingDir", &spec.working_folder)] {
            if let Some(value) = value {
                body[key] = json!(value);
            }
        }
        let to = format!("/containers/{}/exec", segment(container, false));
        let made = self.json(Call::post(to, "run a command in", object(container)).json(body)).await?;
        let id = made["Id"].as_str().unwrap_or_default().to_owned();
        let exec = || Object::new("exec", &id);

        let start = Call::post(format!("/exec/{}/start", segment(&id, false)), "start", exec()).within(at_most);
        let mut body = self.open(start.json(json!({"Detach": false, "Tty": false}))).await?.body;
        let (mut frames, mut output, mut errors, mut cut) =
            (Frames::new(false), BytesMut::new(), BytesMut::new(), false);
        while let Some(bytes) = body.chunk().await? {
            frames.push(bytes, |channel, piece| {
                let kept = if channel == Channel::Output { &mut output } else { &mut errors };
                let room = spec.output_bytes_max.saturating_sub(kept.len()).min(piece.len());
                cut |= room < piece.len();
                kept.extend_from_slice(&piece[..room]);
            });
        }
        let seen: Value =
            self.json(Call::get(format!("/exec/{}/json", segment(&id, false)), "inspect", exec())).await?;
        let exit_code = seen["ExitCode"].as_i64().ok_or_else(|| DockerError::Garbled {
            doing: format!("run a command in {}", object(container)),
            reason: "its output ended, but the engine gives no exit code".into(),
        })?;
        Ok(ExecOutcome { exit_code, output: output.to_vec(), errors: errors.to_vec(), cut })
    }
}
