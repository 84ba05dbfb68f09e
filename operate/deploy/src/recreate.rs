//! The order of a release that replaces containers in place: all at once (recreate) or one after the other (rolling). It knows the order,
//! not the single steps.

use operate_plan::{Inventory, Plan};

use crate::line::{DEPLOYING, Line, VERIFYING};
use crate::refusal::version_of;
use crate::{Release, Strategy, container_id, names, sides, steps};

pub(crate) fn plan(release: &Release, seen: &Inventory, now_ms: i64) -> Plan {
    let names = names(release);
    // The old containers bore these names until the new ones took their place, so both are found by them, each in its time.
    let release = &sides::told(release, &names, &names);
    let mut line = Line::new(release);
    line.prepare(seen);
    match release.strategy {
        Strategy::Rolling => names.iter().for_each(|name| replace(&mut line, &[name], seen)),
        _ => replace(&mut line, &names.iter().collect::<Vec<_>>(), seen),
    }
    if let Some(judge) = line.judge() {
        line.add(VERIFYING, judge);
    }
    for name in names.iter().filter(|name| seen.present(&container_id(*name)).is_some()) {
        line.add(VERIFYING, steps::remove(&format!("{name}-previous"), "the new version has proved itself"));
    }
    let before = names.into_iter().find_map(|name| Some(version_of(seen.present(&container_id(name))?)));
    line.plan(before, seen, now_ms)
}

/// Replaces these containers: whatever can be done before the gap is done before it.
fn replace(line: &mut Line<'_>, names: &[&String], seen: &Inventory) {
    let release = line.release;
    let create = |name: &&String| steps::create(release, format!("create-{name}"), &format!("{name}-next"));
    line.add_side_by_side(DEPLOYING, names.iter().map(create).collect());
    let old: Vec<_> = names.iter().filter_map(|name| Some((*name, seen.present(&container_id(*name))?))).collect();
    let stop = |(name, value): &(&String, &serde_json::Value)| {
        steps::stop(release, name, &value["id"], "two containers cannot own its name and its ports")
    };
    line.add_side_by_side(DEPLOYING, old.iter().map(stop).collect());
    let keep = |(name, _): &(&String, _)| {
        let reason = "it is put back if the new one fails";
        steps::rename(
            format!("keep-{name}"),
            &format!("keep the old {name}"),
            reason,
            name,
            &format!("{name}-previous"),
        )
    };
    line.add_side_by_side(DEPLOYING, old.iter().map(keep).collect());
    let take = |name: &&String| {
        let reason = "others find it by its name";
        steps::rename(
            format!("name-{name}"),
            &format!("give the new one the name {name}"),
            reason,
            &format!("{name}-next"),
            name,
        )
    };
    line.add_side_by_side(DEPLOYING, names.iter().map(take).collect());
    let start = |name: &&String| steps::start(release, name, "the new version takes over");
    line.add_side_by_side(DEPLOYING, names.iter().map(start).collect());
}
