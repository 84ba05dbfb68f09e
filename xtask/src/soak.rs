//! `cargo xtask soak`: the long sweeps that CI has no time for. Each is a test of CI with larger numbers, so there is one test to keep true. It judges
//! nothing itself.

use crate::{connectors, journeys, sh, verdicts};

/// `kills [N]`: kill -9 of the engine under load N times on the same data (300 unless said). `deploy [N]`: releases on a real Docker engine, killed at
/// N random instants (200 unless said). `cluster [N]`: the same on a real Kubernetes (100 unless said). `minors [N]`: the
/// verdicts on N mutations of each good object beside real API servers of every minor that can be built (300 unless said), then the tests of the
/// connector and the target on the oldest.
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
        ["deploy"] | ["deploy", _] => killed("operate-target-docker", count.unwrap_or(200)),
        ["cluster"] | ["cluster", _] => killed("operate-target-kube", count.unwrap_or(100)),
        ["minors"] | ["minors", _] => {
            verdicts::sweep(count.unwrap_or(300))?;
            connectors::older(OLDEST)
        }
        _ => Err(SAY.into()),
    }
}

fn killed(package: &str, instants: u32) -> sh::Outcome {
    let instants = instants.to_string();
    connectors::more(package, "killed_at_random_instants", &[("APM_TEST_INSTANTS", &instants)])
}

/// The oldest minor that manifests are judged for.
const OLDEST: &str = "1.30";

const SAY: &str = "say `kills [N]`, `deploy [N]`, `cluster [N]` or `minors [N]`";
