//! One role of the demo as a program: `market-data <feed|store|api|load> [options]`.

use std::io::Write as _;
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match examples_market_data::parse_args(&args) {
        Ok(settings) => examples_market_data::run(settings, stopped()).await.map_err(|error| (1, error)),
        Err(error) => Err((2, error)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, error)) => {
            // A closed standard error leaves only the exit code to tell.
            let _ = writeln!(std::io::stderr(), "market-data: {error}");
            ExitCode::from(code)
        }
    }
}

async fn stopped() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}
