//! `cargo xtask soak`: the long sweeps that CI has no time for. Each is a journey with larger numbers, so there is one test to keep true. It judges
//! nothing itself.

use crate::{journeys, sh};

/// `kills [N]`: kill -9 under load N times on the same data (300 unless said), a line for each.
pub(crate) fn run(words: &[String]) -> sh::Outcome {
    let kills = match words {
        [sweep] if sweep == "kills" => "300",
        [sweep, kills] if sweep == "kills" && kills.parse::<u32>().is_ok() => kills,
        _ => return Err("say `kills`, or `kills N`".into()),
    };
    let mut test = journeys::command()?;
    sh::run(test.env("APM_KILLS", kills).args(["kill_under_load", "--nocapture"]))
}
