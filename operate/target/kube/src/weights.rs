//! Who gets how much of what a route sends, as a thing of its own beside the route: `weights/KIND.GROUP/NAMESPACE/NAME`. Of the object only its lists
//! of receivers (see `operate_manifest::receivers`) are looked at, set, and put back: whatever else it says is somebody else's, and may change meanwhile.
//!
//! A list is set only where it is what it was said to be; otherwise whoever changed it is named. It plans no share and knows no version.

mod fields;

use std::time::Duration;

use connect_kube::{KubeError, WriteOptions};
use operate_execute::{Image, Met};
use operate_manifest::receivers::{DESTINATION_RULE, alike, receivers, told};
use operate_plan::{Act, Class, Condition, Failure, ObjectId};
use serde_json::{Value, json};

use crate::failure::{failure, foreign};
use crate::{KubeTarget, at, status, writing};

pub(crate) const KIND: &str = "weights";

/// Between two tries where somebody writes the object at the same moment.
const TRY_AGAIN: Duration = Duration::from_millis(100);
const TRIES_MAX: usize = 8;

/// The object whose weights are meant.
fn owner(object: &ObjectId) -> Result<ObjectId, Failure> {
    let (kind, name) = object.name.split_once('/').ok_or_else(|| foreign("weigh", object))?;
    Ok(ObjectId::new(kind, name))
}

async fn found(target: &KubeTarget, object: &ObjectId) -> Result<(ObjectId, Option<Value>), Failure> {
    let owner = owner(object)?;
    let found = at::get(target, &owner).await?;
    Ok((owner, found))
}

/// What a planner has to know: whom it sends to, from where, what its controllers say, and whose its fields are.
pub(crate) async fn look(target: &KubeTarget, object: &ObjectId) -> Result<Option<Value>, Failure> {
    let (_, Some(now)) = found(target, object).await? else { return Ok(None) };
    Ok(Some(json!({
        "uid": now["metadata"]["uid"], "spec": now["spec"], "reported": status::reported(&now), "owners": fields::owners(&now),
    })))
}

pub(crate) async fn image(target: &KubeTarget, object: &ObjectId) -> Result<Image, Failure> {
    let (owner, Some(now)) = found(target, object).await? else { return Ok(Image::Absent) };
    let lists = receivers(&owner.kind, &now).into_iter().map(|(at, list)| json!({"at": at, "list": list}));
    Ok(Image::Present(json!({"weights": lists.collect::<Vec<_>>(), "owners": fields::owners(&now)})))
}

/// That the lists are what the plan made them. One that is not will not become so by waiting.
pub(crate) async fn check(target: &KubeTarget, condition: &Condition) -> Result<Met, Failure> {
    let object = &condition.object;
    if condition.verb != "weighs" {
        return Err(foreign(&condition.verb, object));
    }
    let (owner, Some(now)) = found(target, object).await? else { return Ok(Met::No("it is not there".into())) };
    match lists(&condition.with).find(|list| !alike(&now.pointer(&list.at).cloned().unwrap_or_default(), &list.is)) {
        Some(list) => Err(changed(&owner, &now, &list)),
        None => Ok(Met::Yes),
    }
}

/// One list of an act or a condition.
struct List {
    at: String,
    is: Value,
    to: Value,
}

fn lists(with: &Value) -> impl Iterator<Item = List> {
    let lists = with["lists"].as_array().into_iter().flatten();
    lists.map(|list| List {
        at: list["at"].as_str().unwrap_or_default().to_owned(),
        is: list["is"].clone(),
        to: list["to"].clone(),
    })
}

/// Who has put something else there.
fn changed(owner: &ObjectId, now: &Value, list: &List) -> Failure {
    let is = |value: &Value| told(&owner.kind, value.as_array().map_or(&[][..], Vec::as_slice));
    let seen = now.pointer(&list.at).map_or_else(|| "is gone".to_owned(), |now| format!("says {}", is(now)));
    let message = format!(
        "{} was changed by {}: {} {seen}, not {}",
        plain(owner),
        fields::last_of(now, &list.at),
        list.at,
        is(&list.is)
    );
    let next = "let one of the two decide on the weights: have whoever changed it leave them alone while a release is on its way (Argo CD: `ignoreDifferences`), then release again";
    Failure::new(Class::Conflict, "kube.weights", message, next)
}

/// `HTTPRoute shop/cart`.
fn plain(owner: &ObjectId) -> String {
    format!("{} {}", owner.kind.split('.').next().unwrap_or_default(), owner.name)
}

/// Sets each list, where it is still what it was; and where `owners` are given, gives the fields back to them.
pub(crate) async fn act(target: &KubeTarget, act: &Act) -> Result<String, Failure> {
    if act.verb != "weigh" {
        return Err(foreign(&act.verb, &act.object));
    }
    let owner = owner(&act.object)?;
    let wanted = |now: &Value| {
        let mut body = now.clone();
        for list in lists(&act.with) {
            let seen = now.pointer(&list.at).cloned().unwrap_or_default();
            match body.pointer_mut(&list.at) {
                _ if alike(&seen, &list.to) => {}
                Some(place) if alike(&seen, &list.is) => *place = list.to,
                _ => return Err(changed(&owner, now, &list)),
            }
        }
        Ok(body)
    };
    written(target, &owner, &act.with["owners"], wanted).await?;
    Ok(String::new())
}

/// Puts the lists back; whatever else somebody changed meanwhile stays as it is.
pub(crate) async fn restore(target: &KubeTarget, object: &ObjectId, before: &Image) -> Result<(), Failure> {
    // It was not there, and is none of ours: whoever made it meanwhile keeps it.
    let Image::Present(before) = before else { return Ok(()) };
    let owner = owner(object)?;
    written(target, &owner, &before["owners"], |now| put_back(&owner, now, before)).await
}

async fn written(
    target: &KubeTarget,
    owner: &ObjectId,
    owners: &Value,
    wanted: impl Fn(&Value) -> Result<Value, Failure>,
) -> Result<(), Failure> {
    let at = at::at(target, owner).await?;
    // A field that its definition does not know any more is somebody else's mistake.
    let options = WriteOptions { strict: false, ..writing() };
    for _ in 0..TRIES_MAX {
        let Some(now) = target.cluster.get_if_there(&at).await.map_err(|error| failure(&error))? else {
            let message = format!("{} is gone", plain(owner));
            let next = "somebody deleted it: make it again, then release again";
            return Err(Failure::new(Class::Conflict, "kube.weights", message, next));
        };
        let body = wanted(&now)?;
        let now = match body == now {
            true => Ok(now),
            // With its resourceVersion: what somebody wrote meanwhile is not overwritten.
            false => target.cluster.replace(&at, &body, &options).await.map(|written| written.object),
        };
        match now {
            Ok(now) => match fields::given_back(owners, &now) {
                None => return Ok(()),
                Some(patch) => match target.cluster.patch(&at, &patch, &writing()).await {
                    Ok(_) => return Ok(()),
                    Err(KubeError::Conflict { .. } | KubeError::Invalid { .. }) => {}
                    Err(error) => return Err(failure(&error)),
                },
            },
            Err(KubeError::Conflict { .. }) => {}
            Err(error) => return Err(failure(&error)),
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
    let message = format!("{} changes faster than it can be written", plain(owner));
    let next = "see who writes it: kubectl get -o yaml --show-managed-fields";
    Err(Failure::new(Class::Transient, "kube.changed", message, next))
}

/// The object with the lists that were recorded. A rule that was moved meanwhile is found by whom it sends to.
fn put_back(owner: &ObjectId, now: &Value, before: &Value) -> Result<Value, Failure> {
    let mut body = now.clone();
    let mut free: Vec<(String, Vec<Value>)> =
        receivers(&owner.kind, now).into_iter().map(|(at, list)| (at, list.clone())).collect();
    for was in before["weights"].as_array().into_iter().flatten() {
        let at = was["at"].as_str().unwrap_or_default();
        let list = was["list"].as_array().cloned().unwrap_or_default();
        let fits = |(_, now): &(String, Vec<Value>)| same_receivers(&list, now);
        let here = free.iter().position(|one| one.0 == at && fits(one)).or_else(|| free.iter().position(fits));
        let Some(here) = here else {
            let gone = List { at: at.to_owned(), is: was["list"].clone(), to: Value::Null };
            return Err(changed(owner, now, &gone));
        };
        let (place, seen) = free.remove(here);
        if let Some(place) = body.pointer_mut(&place) {
            let mut list = list;
            if owner.kind == DESTINATION_RULE {
                // Subsets that somebody added meanwhile are nobody's weights.
                let ours = |name: &Value| list.iter().any(|one| *name == format!("{}-canary", text(&one["name"])));
                let strangers: Vec<_> = seen
                    .into_iter()
                    .filter(|one| !ours(&one["name"]) && !list.iter().any(|was| was["name"] == one["name"]))
                    .collect();
                list.extend(strangers);
            }
            if !alike(place, &Value::Array(list.clone())) {
                *place = Value::Array(list);
            }
        }
    }
    Ok(body)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether two lists are of the same rule: one may have receivers more, and their weights differ.
fn same_receivers(one: &[Value], other: &[Value]) -> bool {
    let who = |receiver: &Value| match &receiver["destination"] {
        Value::Null => json!([receiver["name"], receiver["namespace"], receiver["port"]]),
        destination => destination.clone(),
    };
    let holds = |all: &[Value], few: &[Value]| few.iter().all(|one| all.iter().any(|other| who(one) == who(other)));
    holds(one, other) || holds(other, one)
}

/// Every list that was recorded is there again, and nobody of ours is left in any.
pub(crate) fn is_same(before: &Value, now: &Value) -> bool {
    let lists = |image: &Value| image["weights"].as_array().cloned().unwrap_or_default();
    let mut left = lists(now);
    lists(before).iter().all(|was| {
        let here = |now: &Value| alike(&was["list"], &now["list"]) || holds_subsets(&was["list"], &now["list"]);
        let found = left.iter().position(here);
        found.map(|at| left.remove(at)).is_some()
    })
}

/// Subsets and perhaps some of somebody else.
fn holds_subsets(was: &Value, now: &Value) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (was, now) = (list(was), list(now));
    let are_subsets = !was.is_empty() && now.iter().chain(&was).all(|one| one["labels"].is_object());
    let ours = |one: &Value| was.iter().any(|was| one["name"] == format!("{}-canary", text(&was["name"])));
    are_subsets && was.iter().all(|was| now.contains(was)) && !now.iter().any(|one| ours(one) && !was.contains(one))
}

#[cfg(test)]
mod tests {
    use operate_manifest::receivers::HTTP_ROUTE;

    use super::*;

    fn to(parts: &[(&str, u32)]) -> Value {
        parts.iter().map(|(name, weight)| json!({"name": name, "port": 80, "weight": weight})).collect()
    }

    fn route(rules: &[&Value]) -> Value {
        let rules: Vec<_> = rules.iter().map(|list| json!({"backendRefs": list})).collect();
        json!({"kind": "HTTPRoute", "spec": {"rules": rules}, "metadata": {}})
    }

    fn recorded(object: &Value) -> Value {
        let lists = receivers(HTTP_ROUTE, object).into_iter().map(|(at, list)| json!({"at": at, "list": list}));
        json!({"weights": lists.collect::<Vec<_>>()})
    }

    /// What becomes of `now` where these lists were recorded; `None` where it is refused.
    fn check(was: &[&Value], now: &[&Value], expect: Option<&[&Value]>) {
        let (before, now) = (recorded(&route(was)), route(now));
        let body = put_back(&ObjectId::new(HTTP_ROUTE, "shop/cart"), &now, &before);
        assert_eq!(body.as_ref().ok(), expect.map(route).as_ref(), "{body:?}");
        if let Ok(body) = body {
            assert!(is_same(&before, &recorded(&body)));
        }
    }

    #[test]
    fn lists_are_put_back_wherever_their_rule_is_by_now() {
        let (whole, split) = (to(&[("cart", 1)]), to(&[("cart", 95), ("cart-canary", 5)]));
        let other = to(&[("other", 1)]);
        check(&[&whole], &[&split], Some(&[&whole]));
        // Somebody added a rule above it, which stays.
        check(&[&whole], &[&other, &split], Some(&[&other, &whole]));
        // Somebody sends to somebody else altogether.
        check(&[&whole], &[&other], None);
        // A step back is no step to the beginning.
        let half = to(&[("cart", 50), ("cart-canary", 50)]);
        check(&[&split], &[&half], Some(&[&split]));
        assert!(!is_same(&recorded(&route(&[&whole])), &recorded(&route(&[&split]))));
    }

    #[test]
    fn subsets_of_others_stay_and_ours_go() {
        let subset = |name: &str| json!({"name": name, "labels": {"app": name}});
        let rule = |subsets: &[Value]| json!({"spec": {"subsets": subsets}, "metadata": {}});
        let id = ObjectId::new(DESTINATION_RULE, "shop/cart");
        let before = json!({"weights": [{"at": "/spec/subsets", "list": [subset("stable")]}]});
        let now = rule(&[json!({"name": "stable", "labels": {"app": "x"}}), subset("stable-canary"), subset("theirs")]);
        let body = put_back(&id, &now, &before).expect("a body");
        assert_eq!(body, rule(&[subset("stable"), subset("theirs")]));
        let image = |object: &Value| json!({"weights": [{"at": "/spec/subsets", "list": object["spec"]["subsets"]}]});
        assert!(is_same(&before, &image(&body)) && !is_same(&before, &image(&now)));
    }

    #[test]
    fn whoever_changed_a_list_is_named() {
        let mut now = route(&[&to(&[("cart", 1)])]);
        now["metadata"]["managedFields"] = json!([
            {"manager": "argocd-controller", "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:rules": {}}}},
            {"manager": "apm", "operation": "Update", "time": "2026-01-02T00:00:00Z", "fieldsV1": {"f:metadata": {}}}]);
        let list = List {
            at: "/spec/rules/0/backendRefs".into(),
            is: to(&[("cart", 95), ("cart-canary", 5)]),
            to: Value::Null,
        };
        let told = changed(&ObjectId::new(HTTP_ROUTE, "shop/cart"), &now, &list).message;
        let expect = "HTTPRoute shop/cart was changed by argocd-controller at 2026-01-01T00:00:00Z: /spec/rules/0/backendRefs says cart 1, not cart 95, cart-canary 5";
        assert_eq!(told, expect);
    }
}
