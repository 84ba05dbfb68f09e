//! Plans over several worlds, killed at every moment and by thousands of seeds; worlds that go away in the middle and come back.

mod away;
mod rig;
mod seeds;

use std::collections::BTreeMap;

use operate_execute::{Context, Fence, RunId, Target as _};
use operate_plan::{Act, ObjectId, Seen};
use serde_json::{Value, json};

use rig::{Rig, SITES};

fn context() -> Context {
    Context { run: RunId("r".into()), step: "s".into(), fence: Fence(1) }
}

#[test]
fn each_object_is_looked_for_in_its_own_place() {
    let rig = Rig::quiet();
    let target = rig.target();
    let wanted = [
        ObjectId::new("eu:thing", "a"),
        ObjectId::new("us:thing", "a"),
        ObjectId::new("moon:thing", "a"),
        ObjectId::new("thing", "a"),
    ];
    let seen = rig::runtime().block_on(target.survey(&wanted));
    let value = |object: &ObjectId| match seen.look(object) {
        Seen::Present(value) => value["where"].as_str().unwrap_or_default().to_owned(),
        Seen::Absent => "absent".to_owned(),
        Seen::Unknown(failure) => failure.code,
    };
    assert_eq!(wanted.each_ref().map(value), ["eu", "us", "target.no-such-place", "target.no-such-place"]);
}

#[test]
fn an_act_changes_one_place_and_says_so() {
    let rig = Rig::quiet();
    let target = rig.target();
    let object = ObjectId::new("us:thing", "a");
    let act =
        |touches: Vec<ObjectId>| Act { verb: "put".into(), object: object.clone(), with: json!({"x": 1}), touches };
    let elsewhere = act(vec![object.clone(), ObjectId::new("eu:thing", "a")]);
    let runtime = rig::runtime();
    let refused = runtime.block_on(target.act(&context(), &elsewhere)).expect_err("two places");
    assert_eq!((refused.code.as_str(), rig.writes()), ("target.two-places", 0));
    let done = runtime.block_on(target.act(&context(), &act(vec![object.clone()]))).expect("done");
    assert_eq!(done.touched, std::slice::from_ref(&object));
    let now: BTreeMap<&str, Value> =
        SITES.into_iter().map(|site| (site, rig.worlds[site].objects()[&rig::object("a")].clone())).collect();
    assert_eq!(now["us"], json!({"x": 1}));
    assert!(now["eu"]["where"] == "eu" && now["ap"]["where"] == "ap");
    let unknown = Act { verb: "fly".into(), ..act(vec![object.clone()]) };
    let refused = runtime.block_on(target.act(&context(), &unknown)).expect_err("no verb");
    assert!(refused.message.starts_with("us: "), "{refused}");
}
