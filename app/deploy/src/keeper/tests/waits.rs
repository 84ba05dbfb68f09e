//! Runs that wait for a calendar, and runs whose undo is tried again.

use super::*;
use operate_target_fake::Faults;

#[tokio::test]
async fn a_release_waits_while_changes_are_frozen_unless_somebody_says_why_not() {
    let rig = Rig::new();
    let life = rig.life("apm 1", 0);
    let now_ms = World::real().clock.now_ms();
    let frozen = |from_ms: i64, to_ms: i64, environment: &str| {
        rig.image("shop/cart:2");
        let freeze = format!("{{ from_ms: {from_ms}, to_ms: {to_ms}, reason: sale, environments: [{environment}] }}");
        rig.settings
            .lock()
            .push_str(&format!("freezes: [{freeze}]\nwindows: [{{ zone: UTC, environments: [prod] }}]\n"));
    };
    let waits = async || {
        let plan = life.keeper.plan(&asked(), None).await.unwrap().plan;
        plan.steps.iter().any(|step| step.id.0 == operate_plan::WINDOW)
    };
    frozen(now_ms - 1, now_ms + 3_600_000, "prod");
    assert!(!waits().await, "another environment");
    frozen(now_ms - 2, now_ms - 1, "default");
    assert!(!waits().await, "over");
    frozen(now_ms + 1_800_000, now_ms + 3_600_000, "default");
    assert!(waits().await, "it may have begun when the first change is made");
    frozen(now_ms - 1, now_ms + 3_600_000, "default");
    let run = life.create().await;
    assert_eq!(life.until(&run, |event| matches!(event, Event::Asked { .. })).await, Status::Waiting);
    assert_eq!(rig.containers(), []);
    let approve = |reason: &str| {
        let order = Order::Approve(operate_plan::WINDOW.into());
        Command { order, actor: "bob (admin)".into(), reason: reason.into() }
    };
    let error = life.keeper.order(&run, approve(" "), "admin").await.expect_err("a reason is wanted");
    assert!(is(&error, "NoReason") && error.report().hint.is_some(), "{error:?}");
    life.keeper.order(&run, approve("the cart is broken"), "admin").await.unwrap();
    assert_eq!((life.end(&run).await, rig.containers()), (Status::Complete, cart("2")));
    life.idle().await;
    rig.image("shop/cart:3");
    rig.settings.lock().push_str("windows: [{ days: monday }]\n");
    let error = life.keeper.plan(&asked(), None).await.map(|_| ()).expect_err("no day");
    assert!(is(&error, "Settings") && error.to_string().contains("mon-thu,sat"), "{error}");
}

#[tokio::test]
async fn an_undo_that_failed_is_tried_again_where_it_stopped() {
    let rig = Rig::new();
    let life = rig.life("apm 1", 0);
    let first = life.create().await;
    life.end(&first).await;
    life.idle().await;
    rig.paper.answers.store(false, Ordering::Relaxed);
    rig.image("shop/cart:2");
    let run = life.create().await;
    life.until(&run, |event| matches!(event, Event::Acted { step, .. } if step.0 == "start-shop-cart")).await;
    rig.paper.world.set_faults(Faults::new(1, 100, &[operate_target_fake::Fault::Denied]));
    life.order(&run, Order::Cancel).await.unwrap();
    assert_eq!(life.end(&run).await, Status::Failed);
    life.idle().await;
    let again = |order| Command { order, actor: "bob (admin)".into(), reason: "it may again".into() };
    let error = life.keeper.order(&run, again(Order::Pause), "admin").await.expect_err("only that");
    assert!(is(&error, "Ended"), "{error:?}");

    rig.paper.world.set_faults(Faults::none());
    life.keeper.order(&run, again(Order::Resume), "admin").await.unwrap();
    let undone = |event: &Event| matches!(event, Event::Ended { status: Status::RolledBack, .. });
    assert_eq!((life.until(&run, undone).await, rig.containers()), (Status::RolledBack, cart("1")));
    life.idle().await;
    assert_eq!(life.rows(Some(Status::RolledBack)).await, [run]);
    assert_eq!(life.audit().await.last().unwrap(), "bob (admin) admin resume");
}
