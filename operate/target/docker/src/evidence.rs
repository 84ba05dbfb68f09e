//! What a container said before it is removed for good by an undo: its last lines, without the values of its variables, and how it stood. Whoever
//! is called at night wants them when the container is gone. It does not know where they are kept.

use async_trait::async_trait;
use connect_docker::{ContainerView, Engine, LogOptions};
use futures_util::StreamExt as _;
use operate_execute::RunId;

use crate::check::masked_from;

/// Lines that are kept.
const LINES_MAX: u64 = 200;
/// Of a value that may be secret; shorter ones are words of every log.
const SECRET_CHARS_MIN: usize = 4;

/// Where it is kept. What cannot be kept must not stop an undo, so nothing comes back.
#[async_trait]
pub trait Evidence: Send + Sync {
    /// `name` is of a file: `shop-cart-next.log`.
    async fn keep(&self, run: &RunId, name: &str, text: &str);
}

/// Hands over what the container said. Nothing is missed if the engine cannot say it.
pub(crate) async fn keep(evidence: &dyn Evidence, engine: &Engine, run: &RunId, view: &ContainerView) {
    let health = if view.health_output.is_empty() {
        String::new()
    } else {
        format!("; its health check: {}", masked_from(view.health_output.trim(), &view.env, SECRET_CHARS_MIN))
    };
    let mut text = format!(
        "{} of {}: {:?}, exit code {}, {} restarts, started {}, ended {}{health}\n",
        view.name, view.image, view.state, view.exit_code, view.restarts, view.started_at, view.finished_at
    );
    let options = LogOptions { tail: Some(LINES_MAX), ..LogOptions::default() };
    match engine.logs(&view.id, &options).await {
        Ok(mut lines) => {
            let mut count = 0;
            while let Some(Ok(line)) = lines.next().await {
                text.push_str(&masked_from(
                    String::from_utf8_lossy(&line.text).trim_end(),
                    &view.env,
                    SECRET_CHARS_MIN,
                ));
                text.push('\n');
                count += 1;
                if count >= LINES_MAX {
                    break;
                }
            }
        }
        Err(error) => text.push_str(&format!("its log cannot be read: {error}\n")),
    }
    evidence.keep(run, &format!("{}.log", view.name), &text).await;
}
