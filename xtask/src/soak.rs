//! `cargo xtask soak`: the long sweeps that CI has no time for. Each is a test of CI with larger numbers, so there is one test to keep true. It judges
//! nothing itself.

use crate::{connectors, journeys, sh};

/// `kills [N]`: kill -9 of the engine under load N times on the same data (300 unless said). `deploy [N]`: releases on a real Docker engine, killed at
/// N random instants (200 unless said). A line for each.
pub(crate) fn run(words: &[String]) -> sh::Outcome {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let count = match words.get(1).map(|word| word.parse::<u32>()) {
        None => None,
        Some(Ok(count)) => Some(count),
        Some(Err(_)) => return Err(SAY.into()),
    };
    match words[..] {
        ["kills"] | ["kills", _] => {
            let mut test = journeys::command()?;
            test.env("APM_KILLS", count.unwrap_or(300).to_string());
            sh::run(test.args(["kill_under_load", "--nocapture"]))
        }
        ["deploy"] | ["deploy", _] => connectors::docker(&[("APM_TEST_INSTANTS", &count.unwrap_or(200).to_string())]),
        _ => Err(SAY.into()),
    }
}

const SAY: &str = "say `kills [N]` or `deploy [N]`";
