//! Whether the pods of a release keep to the LimitRanges of their namespace, as the API server will judge them when a controller makes them
//! (kubernetes/kubernetes `plugin/pkg/admission/limitranger`): it accepts a Deployment whose pods it will refuse.

use operate_plan::Severity;
use serde_json::Value;

use super::pods::{Amounts, Moves, amount, amounts, containers, shown, size};
use super::{Findings, Room, name, object};

pub(super) fn check(room: &Room<'_>, moves: &[Moves<'_>], findings: &mut Findings) {
    let ranges: Vec<_> = room.seen_of("LimitRange").collect();
    for range in &ranges {
        let place = format!("LimitRange {} of {}", name(range), room.namespace);
        for item in range["spec"]["limits"].as_array().into_iter().flatten() {
            match item["type"].as_str().unwrap_or_default() {
                "Container" => {
                    for one in moves {
                        for container in containers(one.spec(), &ranges) {
                            let who = format!("container {} of {}", container.name, one.title);
                            judge(&place, item, &who, "container", [&container.requests, &container.limits], findings);
                        }
                    }
                }
                "Pod" => {
                    for one in moves {
                        let size = size(one.spec(), &ranges);
                        let of = |word: &str| -> Amounts {
                            let named =
                                size.iter().filter_map(|(name, value)| Some((name.strip_prefix(word)?, *value)));
                            named.map(|(name, value)| (name.to_owned(), value)).collect()
                        };
                        let who = format!("a pod of {}", one.title);
                        judge(&place, item, &who, "pod", [&of("requests."), &of("limits.")], findings);
                    }
                }
                "PersistentVolumeClaim" => {
                    let claims = room.items().filter(|body| object(body).kind == "PersistentVolumeClaim");
                    for claim in claims.filter(|claim| room.seen.present(&object(claim)).is_none()) {
                        let asks = amounts(&claim["spec"]["resources"]["requests"]);
                        let who = format!("claim {}", name(claim));
                        // A claim has no limit of its own.
                        judge(&place, item, &who, "claim", [&asks, &asks], findings);
                    }
                }
                _ => {}
            }
        }
    }
}

fn judge(place: &str, item: &Value, who: &str, each: &str, of: [&Amounts; 2], findings: &mut Findings) {
    let [requests, limits] = of;
    let mut add = |message: String, fix: &str| findings.add("limit-range", Severity::Critical, message, fix);
    for (resource, least) in amounts(&item["min"]) {
        let least_shown = shown(&resource, least);
        match requests.get(&resource).into_iter().chain(limits.get(&resource)).min() {
            None => add(
                format!("{place} wants at least {least_shown} {resource} for each {each}, and {who} says none"),
                "set `resources.requests`",
            ),
            Some(asked) if *asked < least => add(
                format!(
                    "{place} wants at least {least_shown} {resource} for each {each}, and {who} asks for {}",
                    shown(&resource, *asked)
                ),
                "ask for more, or have the LimitRange changed",
            ),
            Some(_) => {}
        }
    }
    for (resource, most) in amounts(&item["max"]) {
        let most_shown = shown(&resource, most);
        match limits.get(&resource).copied().max(requests.get(&resource).copied()) {
            _ if !limits.contains_key(&resource) => add(
                format!("{place} allows at most {most_shown} {resource} for each {each}, and {who} has no limit"),
                "set `resources.limits`",
            ),
            Some(asked) if asked > most => add(
                format!(
                    "{place} allows at most {most_shown} {resource} for each {each}, and {who} wants {}",
                    shown(&resource, asked)
                ),
                "ask for less, or have the LimitRange changed",
            ),
            _ => {}
        }
    }
    for (resource, text) in item["maxLimitRequestRatio"].as_object().into_iter().flatten() {
        let (Some(ratio), Some(limit)) = (amount(text), limits.get(resource)) else { continue };
        let asked = requests.get(resource).copied().unwrap_or(0);
        // limit / request > ratio, without division; the ratio is in billionths too.
        if asked == 0 || limit.saturating_mul(super::pods::ONE) > ratio.saturating_mul(asked) {
            add(
                format!(
                    "{place} allows a limit of at most {} times the request of {resource}, and {who} has {} over {}",
                    shown("", ratio),
                    shown(resource, *limit),
                    shown(resource, asked)
                ),
                "bring request and limit closer together",
            );
        }
    }
}
