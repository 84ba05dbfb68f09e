//! Which routes there are, among the manifests and in the namespaces, and in which form the one that is chosen can be weighed. It changes nothing.

use operate_manifest::receivers::DESTINATION_RULE;
use operate_plan::{Inventory, ObjectId};
use serde_json::Value;

use super::super::{ClusterRelease, look, object};
use super::{Behind, Form, Rule, Split, all, kinds, known, namespace, objects, plain, weights};
use crate::Refusal;

/// A route as it will be when the canary begins.
pub(super) struct Candidate<'a> {
    pub(super) id: ObjectId,
    /// With its `spec`.
    pub(super) body: &'a Value,
    /// `None` where the release applies it first.
    pub(super) seen: Option<&'a Value>,
}

/// Those of the release, and those that were seen, as far as the settings leave a choice.
pub(super) fn candidates<'a>(release: &'a ClusterRelease, seen: &'a Inventory) -> Vec<Candidate<'a>> {
    let kinds = kinds(&release.route);
    let mut found: Vec<Candidate<'a>> = Vec::new();
    for item in &release.items {
        let id = object(&item.body);
        if kinds.contains(&&*id.kind) {
            found.push(as_it_will_be(release, seen, id, item));
        }
    }
    for looked_at in objects(release) {
        let fact = seen.present(&looked_at);
        let others: Vec<(ObjectId, &Value)> = match (fact, looked_at.name.split_once('/')) {
            (Some(fact), Some((kind, name))) if looked_at.kind == "weights" => vec![(ObjectId::new(kind, name), fact)],
            (Some(fact), Some((kind, _))) if kinds.contains(&kind) => listed(fact, kind),
            _ => Vec::new(),
        };
        for (id, body) in others {
            if !found.iter().any(|one| one.id == id) {
                let seen = seen.present(&weights(&id));
                found.push(Candidate { id, body: seen.unwrap_or(body), seen: Some(seen.unwrap_or(body)) });
            }
        }
    }
    let name = release.route.name.as_deref();
    found.retain(|one| name.is_none_or(|name| one.id.name.rsplit('/').next() == Some(name)));
    let place = release.route.namespace.as_deref();
    found.retain(|one| place.is_none_or(|place| one.id.name.split('/').next() == Some(place)));
    found
}

fn as_it_will_be<'a>(
    release: &ClusterRelease,
    seen: &'a Inventory,
    id: ObjectId,
    item: &'a super::Item,
) -> Candidate<'a> {
    let there = seen.present(&weights(&id)).filter(|_| !look::differs(release, item, seen));
    Candidate { id, body: there.unwrap_or(&item.body), seen: there }
}

/// Of a fact `all/KIND/NAMESPACE`.
fn listed<'a>(fact: &'a Value, kind: &str) -> Vec<(ObjectId, &'a Value)> {
    let objects = fact["objects"].as_array().into_iter().flatten();
    let id = |body: &Value| {
        ObjectId::new(kind, format!("{}/{}", namespace(body), body["metadata"]["name"].as_str().unwrap_or_default()))
    };
    objects.map(|body| (id(body), body)).collect()
}

/// By Services, or by subsets of a DestinationRule where the route names some.
pub(super) fn form(
    release: &ClusterRelease,
    seen: &Inventory,
    route: &Candidate<'_>,
    splits: &[Split],
    behind: &[Behind<'_>],
) -> Result<Form, Refusal> {
    let refused = |why: String| Refusal::Subset { route: plain(&route.id), why };
    let mut names: Vec<&str> = Vec::new();
    let mut hosts: Vec<&str> = Vec::new();
    let mut whole = false;
    for receiver in splits.iter().flat_map(Split::stable) {
        match receiver["destination"]["subset"].as_str() {
            Some(name) => {
                names.push(name);
                hosts.push(receiver["destination"]["host"].as_str().unwrap_or_default());
            }
            None => whole = true,
        }
    }
    names.sort_unstable();
    names.dedup();
    let [deployment, ..] = behind else { return Ok(Form::Services) };
    if names.is_empty() {
        return Ok(Form::Services);
    }
    if whole || behind.len() > 1 {
        return Err(refused("it sends to subsets in one place and to whole Services in another".to_owned()));
    }
    let home_space = route.id.name.split('/').next().unwrap_or_default();
    let own = release.items.iter().filter(|item| object(&item.body).kind == DESTINATION_RULE);
    let mut rules: Vec<Candidate<'_>> =
        own.map(|item| as_it_will_be(release, seen, object(&item.body), item)).collect();
    // Those beside the route come first.
    let beside = namespace(&deployment.deployment.body);
    let spaces = [Some(home_space), Some(beside).filter(|beside| *beside != home_space)];
    for space in spaces.into_iter().flatten() {
        let Some(fact) = known(seen, &all(DESTINATION_RULE, space))? else { continue };
        for (id, body) in listed(fact, DESTINATION_RULE) {
            if !rules.iter().any(|rule| rule.id == id) {
                let seen = seen.present(&weights(&id)).unwrap_or(body);
                rules.push(Candidate { id, body: seen, seen: Some(seen) });
            }
        }
    }
    let subsets = |rule: &Candidate<'_>| rule.body["spec"]["subsets"].as_array().cloned().unwrap_or_default();
    let sends = |rule: &&Candidate<'_>| {
        let host = rule.body["spec"]["host"].as_str().unwrap_or_default();
        let space = rule.id.name.split('/').next().unwrap_or_default();
        let service = |host: &str, space: &str| super::split::service_of(host, space);
        hosts.iter().all(|sent| service(sent, home_space) == service(host, space))
            && names.iter().all(|name| subsets(rule).iter().any(|subset| subset["name"] == *name))
    };
    let Some(rule) = rules.iter().find(sends) else {
        let spaces = spaces.into_iter().flatten().collect::<Vec<_>>().join(" or ");
        let why = format!("no DestinationRule in {spaces} has the subset {}", names.join(" and "));
        return Err(refused(why));
    };
    let labels = &deployment.deployment.body["spec"]["template"]["metadata"]["labels"];
    for subset in subsets(rule).iter().filter(|subset| names.iter().any(|name| subset["name"] == *name)) {
        let wanted = subset["labels"].as_object().into_iter().flatten();
        if let Some((label, value)) = wanted.into_iter().find(|(name, value)| labels.get(name.as_str()) != Some(value))
        {
            let why = format!(
                "its subset {} wants {label}={}, which the pods of this release do not have, so it would have none in the end",
                subset["name"].as_str().unwrap_or_default(),
                value.as_str().unwrap_or_default()
            );
            return Err(refused(why));
        }
    }
    let owners = rule.seen.map(|seen| seen["owners"].clone());
    let names = names.into_iter().map(str::to_owned).collect();
    Ok(Form::Subsets(Rule { id: rule.id.clone(), owners, home: subsets(rule), names }))
}
