//! `apm deploy dora`: DORA's four keys of the project's history, for people or as JSON. What they are and how they compare is decided by
//! the planner's pure part; here they only get words.

use app_config::Span;
use app_deploy::{Ledger, keys};
use base_explain::Report;
use base_world::World;
use operate_plan::{Dora, Key};

use super::office::Office;
use crate::args::Global;
use crate::output::{Failure, say};

pub(super) async fn dora(global: &Global, since: &str, output: &str, office: &Office) -> Result<u8, Failure> {
    let world = World::real();
    let back: Span = since.parse().map_err(|_| {
        let report = Report::new(format!("`--since {since}` is no time"));
        Failure::Usage(report.hint("write a number and a unit: 24h, 7d, 30d, 12w"))
    })?;
    let now_ms = world.clock.now_ms();
    let since_ms = now_ms.saturating_sub(back.as_millis_i64());
    let found = match office {
        Office::Here(desk, _) => {
            let mut ledger = Ledger::default();
            ledger.catch_up(desk).await?;
            keys(&ledger.told(), since_ms, now_ms)
        }
        Office::There(remote) => remote.dora(since_ms).await?,
    };
    if output == "json" {
        let text = serde_json::to_string_pretty(&found).map_err(|error| Failure::Broken(Report::of(&error)))?;
        say(global, &text);
        return Ok(0);
    }
    for line in lines(&found) {
        say(global, &line);
    }
    Ok(0)
}

fn lines(found: &Dora) -> Vec<String> {
    let span = |ms: f64| time(ms / 1000.0);
    let line = |name: &str, key: &Key, words: &dyn Fn(f64) -> String| {
        let value = key.value.map_or_else(|| "unknown".to_owned(), words);
        let of = match key.releases {
            1 => "1 release".to_owned(),
            count => format!("{count} releases"),
        };
        format!("{name:<24}{value:<16}{:<10}{of}", key.band.word()).trim_end().to_owned()
    };
    vec![
        line("deployment frequency", &found.per_day, &|often| format!("{often:.2} a day")),
        line("lead time for changes", &found.lead_ms, &span),
        line("change failure rate", &found.failure_ratio, &|share| format!("{:.0} %", share * 100.0)),
        line("time to restore", &found.restore_ms, &span),
    ]
}

/// `90 s`, `12 min`, `5.5 h`, `3.2 d`.
fn time(seconds: f64) -> String {
    let (size, unit, decimals) = match seconds {
        _ if seconds < 120.0 => (1.0, "s", 0),
        _ if seconds < 7_200.0 => (60.0, "min", 0),
        _ if seconds < 172_800.0 => (3_600.0, "h", 1),
        _ => (86_400.0, "d", 1),
    };
    format!("{:.decimals$} {unit}", seconds / size)
}

#[cfg(test)]
mod tests {
    use operate_plan::{Failed, Reached, dora};

    use super::*;

    #[test]
    fn what_is_not_known_is_called_unknown() {
        let unknown = lines(&dora(&[], 0, 1));
        assert!(unknown.iter().all(|line| line.contains("unknown         unknown   0 releases")), "{unknown:#?}");
        let hour = 3_600_000;
        let failed = Some(Failed { since_ms: 30 * hour, restored_ms: Some(30 * hour + 90_000) });
        let told = [31, 32, 33].map(|at| Reached { ended_ms: at * hour, made_ms: None, failed });
        let found = lines(&dora(&told, 0, 48 * hour));
        let expect = [
            "deployment frequency    3.00 a day      elite     3 releases",
            "lead time for changes   unknown         unknown   0 releases",
            "change failure rate     100 %           low       3 releases",
            "time to restore         90 s            elite     3 releases",
        ];
        assert_eq!(found, expect);
    }
}
