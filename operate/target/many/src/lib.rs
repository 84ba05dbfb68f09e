//! Several targets as one: each act, check and look goes to the place that its object names (`eu:Deployment.apps/shop/cart` to `eu`), in that place's own
//! words, and what comes back names the place again.
//!
//! It does not know what the targets are, but that they are of one kind: what two images of an object are to each other, any of them can say. Which
//! places there are is said by the target of a plan ([`operate_plan::sites`]); who opens them is somebody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use operate_execute::{Context, Done, Image, Met, Target};
use operate_plan::{Act, Class, Condition, Failure, Inventory, ObjectId, Seen};

#[cfg(test)]
mod tests;

/// See the module.
pub struct ManyTargets {
    /// For inventories: the target of the plan.
    name: String,
    places: BTreeMap<String, Arc<dyn Target>>,
}

impl ManyTargets {
    /// `name` is the plan's target; `places` by the names that it gives them.
    pub fn new(name: impl Into<String>, places: BTreeMap<String, Arc<dyn Target>>) -> ManyTargets {
        ManyTargets { name: name.into(), places }
    }

    /// The place of an object, its name, and what the object is called there.
    fn at<'a>(&self, object: &'a ObjectId) -> Result<(&Arc<dyn Target>, &'a str, ObjectId), Failure> {
        let found = object.site().and_then(|(site, there)| Some((self.places.get(site)?, site, there)));
        found.ok_or_else(|| {
            let message = format!("{object} is in no place that this run knows");
            let next = "the plan was made for other places: plan again";
            Failure::new(Class::Invalid, "target.no-such-place", message, next)
        })
    }
}

#[async_trait]
impl Target for ManyTargets {
    async fn survey(&self, objects: &[ObjectId]) -> Inventory {
        let mut inventory = Inventory::new(&self.name);
        let mut by_place: BTreeMap<&str, Vec<ObjectId>> = BTreeMap::new();
        for object in objects {
            match self.at(object) {
                Ok((_, site, there)) => by_place.entry(site).or_default().push(there),
                Err(failure) => inventory.add(object.clone(), Seen::Unknown(failure), "nobody", 0),
            }
        }
        let looks = by_place.iter().filter_map(|(site, there)| Some((*site, self.places.get(*site)?, there)));
        // Side by side: one that is slow to answer keeps nobody waiting but itself.
        let looked = join_all(looks.map(|(site, target, there)| async move { (site, target.survey(there).await) }));
        for (site, seen) in looked.await {
            inventory.facts.extend(seen.facts.into_iter().map(|(object, fact)| (object.at_site(site), fact)));
        }
        inventory
    }

    async fn check(&self, context: &Context, condition: &Condition) -> Result<Met, Failure> {
        let (target, site, object) = self.at(&condition.object)?;
        let there = Condition { object, ..condition.clone() };
        target.check(context, &there).await.map_err(|failure| failure.at_site(site))
    }

    async fn image(&self, context: &Context, object: &ObjectId) -> Result<Image, Failure> {
        let (target, site, object) = self.at(object)?;
        target.image(context, &object).await.map_err(|failure| failure.at_site(site))
    }

    async fn act(&self, context: &Context, act: &Act) -> Result<Done, Failure> {
        let (target, site, object) = self.at(&act.object)?;
        let mut touches = Vec::with_capacity(act.touches.len());
        for touched in &act.touches {
            match touched.site() {
                Some((its, there)) if its == site => touches.push(there),
                _ => {
                    let message = format!("an act at {site} would touch {touched}, which is elsewhere");
                    let next = "the plan is not sound: plan again, and report it";
                    return Err(Failure::new(Class::Invalid, "target.two-places", message, next));
                }
            }
        }
        let there = Act { object, touches, ..act.clone() };
        let done = target.act(context, &there).await.map_err(|failure| failure.at_site(site))?;
        Ok(Done { touched: done.touched.iter().map(|object| object.at_site(site)).collect(), ..done })
    }

    async fn restore(&self, context: &Context, object: &ObjectId, before: &Image) -> Result<(), Failure> {
        let (target, site, object) = self.at(object)?;
        target.restore(context, &object, before).await.map_err(|failure| failure.at_site(site))
    }

    fn is_same(&self, before: &Image, now: &Image) -> bool {
        // All are of one kind.
        self.places.values().next().map_or(before == now, |target| target.is_same(before, now))
    }
}
