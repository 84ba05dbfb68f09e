//! Starts a command as `apm run` does, for trying by hand: `cargo run -p app-run --example run -- python app.py`.
//! `APM_TRY_API` and `APM_TRY_OTLP` name an engine, `APM_TRY_CACHE` a folder for agents, `APM_TRY_WATCH=0` stops watching,
//! `APM_TRY_TIMEOUT` is how many seconds to wait for the first trace before saying why there is none.

use app_run::{RunOptions, Tone};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let cwd = std::env::current_dir().unwrap_or_else(|_| ".".into());
    let mut options = RunOptions::new(std::env::args_os().skip(1).collect(), cwd);
    options.api_url = set("APM_TRY_API").unwrap_or(options.api_url);
    options.otlp_endpoint = set("APM_TRY_OTLP").unwrap_or(options.otlp_endpoint);
    options.cache_dir = set("APM_TRY_CACHE").map(Into::into);
    if let Some(seconds) = set("APM_TRY_TIMEOUT").and_then(|text| text.parse().ok()) {
        options.first_signal_timeout = std::time::Duration::from_secs(seconds);
    }
    options.watch = set("APM_TRY_WATCH").as_deref() != Some("0");
    let mut report = |tone: Tone, text: &str| {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "apm [{tone:?}] {text}");
    };
    let code = match app_run::run(options, &mut report).await {
        Ok(code) => code,
        Err(error) => {
            report(Tone::Problem, &error.to_string());
            error.exit_code()
        }
    };
    std::process::ExitCode::from(u8::try_from(code).unwrap_or(1))
}
