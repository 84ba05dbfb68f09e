//! `apm deploy prune`: shows which old runs may go, asks, and has them removed. Which those are is decided at the desk.

use app_deploy::Retention;
use base_world::World;
use clap::Args as ClapArgs;
use operate_execute::RunId;

use super::{actor, desk, project};
use crate::args::{Global, Places};
use crate::output::{Failure, say};

#[derive(Debug, ClapArgs)]
pub(crate) struct PruneArgs {
    /// Runs that ended longer ago: 90d, 12h
    #[arg(long, default_value = "90d", value_name = "AGE", value_parser = age)]
    older: u64,
    /// Of each service and environment, the newest so many stay whatever their age
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: u32,
    /// Remove this run too if it is so old, although it has a tag
    #[arg(long, value_name = "RUN")]
    force: Vec<String>,
    /// Only list them
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    places: Places,
}

/// Milliseconds of `90d`, `12h`, `30m`.
fn age(text: &str) -> Result<u64, String> {
    let split = text.trim().split_at_checked(text.trim().len().saturating_sub(1));
    let (count, unit) = split.unwrap_or_default();
    let unit_ms: Option<u64> = match unit {
        "d" => Some(86_400_000),
        "h" => Some(3_600_000),
        "m" => Some(60_000),
        _ => None,
    };
    let read = unit_ms.and_then(|unit_ms| count.parse::<u64>().ok()?.checked_mul(unit_ms));
    read.ok_or_else(|| "write it as `90d`, `12h` or `30m`".to_owned())
}

pub(super) async fn prune(global: &Global, args: &PruneArgs) -> Result<u8, Failure> {
    let project = project(&World::real(), global)?;
    let desk = desk(global, &project, &args.places).await?;
    let forced: Vec<RunId> = args.force.iter().cloned().map(RunId).collect();
    let keep = usize::try_from(args.keep).unwrap_or(usize::MAX);
    let rows = desk.prunable(Retention { older_ms: args.older, keep }, &forced).await?;
    if rows.is_empty() {
        say(global, "no run is so old");
        return Ok(0);
    }
    if args.dry_run || !args.yes {
        for row in &rows {
            say(global, &format!("{}  {:<12} {}", row.run, row.status.word(), row.title));
        }
    }
    if args.dry_run {
        return Ok(0);
    }
    if !args.yes && !super::start::agreed("remove them for good?")? {
        return Err(Failure::Refused(base_explain::Report::new("nobody agreed; nothing was removed")));
    }
    let hours = args.older / 3_600_000;
    let why = format!("ended more than {hours} h ago; the newest {keep} of each service and environment stay");
    let pruned = desk.prune(&rows, &forced, &actor(), "", &why).await?;
    say(global, &format!("{} runs and {} artefacts are gone; the audit log says so", pruned.runs, pruned.artefacts));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn an_age_has_a_unit() {
        assert_eq!((age("90d"), age("12h"), age(" 5m ")), (Ok(7_776_000_000), Ok(43_200_000), Ok(300_000)));
        for wrong in ["", "d", "90", "90 days", "-1d", "1.5h", "9é", "99999999999999999d"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
