//! One by one: what goes together, what is tried again and when, what is given up, what is turned away.

use std::path::Path;
use std::time::Duration;

use base_world::sim::{PowerLoss, SimWorld};
use observe_source::SourceError;
use observe_wire::delivery::{Delivery, Mark};
use observe_wire::otlp::Encoding;

use super::{append, ids, open};
use crate::{Outcome, Queue, QueueSettings, Step, Told, of_status};

fn taken() -> Outcome {
    of_status(204, String::new(), None)
}

fn sent(queue: &mut Queue) -> Option<Vec<u32>> {
    match queue.step().expect("next") {
        Step::Send(batch) => Some(ids(&batch.body)),
        Step::Idle => None,
        Step::Wait(span) => panic!("it waits {span:?}"),
    }
}

fn wait(queue: &mut Queue) -> Duration {
    match queue.step().expect("next") {
        Step::Wait(span) => span,
        other => panic!("it does not wait: {other:?}"),
    }
}

/// Ten messages of 400 bytes, synced.
fn ten(queue: &mut Queue) {
    for id in 1..=10 {
        append(queue, "anonymous", id, 400, Encoding::Protobuf).expect("append");
    }
    queue.sync_handle().run().expect("sync");
}

#[test]
fn nothing_leaves_before_it_is_durable_and_then_in_order_in_requests_of_a_size() {
    let sim = SimWorld::new(1);
    let mut queue = open(&sim);
    append(&mut queue, "anonymous", 1, 400, Encoding::Protobuf).expect("append");
    assert_eq!(sent(&mut queue), None);
    for id in 2..=7 {
        append(&mut queue, "anonymous", id, 400, Encoding::Protobuf).expect("append");
    }
    append(&mut queue, "anonymous", 8, 5000, Encoding::Protobuf).expect("append");
    append(&mut queue, "other", 9, 100, Encoding::Protobuf).expect("append");
    append(&mut queue, "other", 10, 100, Encoding::Json).expect("append");
    append(&mut queue, "other", 11, 100, Encoding::Json).expect("append");
    queue.sync_handle().run().expect("sync");
    let mut requests = Vec::new();
    while let Some(request) = sent(&mut queue) {
        // The same until it is settled.
        assert_eq!(sent(&mut queue).as_ref(), Some(&request));
        requests.push(request);
        assert_eq!(queue.done(taken()), Told::Sent);
    }
    // By size, a large one alone, a tenant apart, JSON alone.
    assert_eq!(requests, [vec![1, 2, 3, 4, 5], vec![6, 7], vec![8], vec![9], vec![10], vec![11]]);
    let figures = queue.figures();
    assert_eq!((figures.taken_items, figures.sent_items, figures.sent_requests), (11, 11, 6));
    assert_eq!((figures.waiting_bytes, figures.lag_ms), (0, None));
}

#[test]
fn a_failure_is_told_once_and_tried_again_later_and_later() {
    let sim = SimWorld::new(1);
    let mut queue = open(&sim);
    ten(&mut queue);
    let mut waits = Vec::new();
    for attempt in 0..12 {
        assert_eq!(sent(&mut queue), Some(vec![1, 2, 3, 4, 5]));
        let told = queue.done(of_status(503, "starting".into(), None));
        assert_eq!(told, Told::Again { first: attempt == 0, why: "starting".into() });
        let span = wait(&mut queue);
        waits.push(span.as_millis() as u64);
        sim.clock.advance_ms(span.as_millis() as u32 + 1);
    }
    assert!((75..=125).contains(&waits[0]), "{waits:?}");
    assert!(waits.windows(2).take(5).all(|pair| pair[1] > pair[0]), "{waits:?}");
    assert!(waits.iter().all(|ms| *ms <= 6250) && waits[11] >= 3750, "{waits:?}");
    assert!(queue.figures().lag_ms.expect("lag") > 10_000);
    // What the other side asks for is kept to, within reason.
    assert_eq!(sent(&mut queue), Some(vec![1, 2, 3, 4, 5]));
    queue.done(of_status(429, "slower".into(), Some(Duration::from_secs(40))));
    assert_eq!(wait(&mut queue), Duration::from_secs(40));
    sim.clock.advance_ms(40_000);
    assert_eq!(sent(&mut queue), Some(vec![1, 2, 3, 4, 5]));
    assert_eq!(queue.done(taken()), Told::SentAgain);
    assert_eq!(sent(&mut queue), Some(vec![6, 7, 8, 9, 10]));
    assert_eq!(queue.done(taken()), Told::Sent);
    assert_eq!(queue.figures().failed_requests, 13);
}

#[test]
fn a_refusal_costs_only_the_message_that_earned_it() {
    let sim = SimWorld::new(1);
    let mut queue = open(&sim);
    ten(&mut queue);
    let (mut accepted, mut dropped) = (Vec::new(), Vec::new());
    while let Some(request) = sent(&mut queue) {
        let outcome = if request.contains(&3) { of_status(400, "bad".into(), None) } else { taken() };
        match queue.done(outcome) {
            Told::OneByOne => assert_eq!(request, [1, 2, 3, 4, 5]),
            Told::Dropped { items: 1, why } => dropped.push((request, why)),
            Told::Sent => accepted.push(request),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(accepted, [vec![1], vec![2], vec![4], vec![5], vec![6, 7, 8, 9, 10]]);
    assert_eq!(dropped, [(vec![3], "bad".to_owned())]);
    let figures = queue.figures();
    assert_eq!((figures.sent_items, figures.dropped_items), (9, 1));
}

#[test]
fn what_a_status_means() {
    let kind = |status: u16| match of_status(status, String::new(), None) {
        Outcome::Taken { .. } => "taken",
        Outcome::Later { .. } => "later",
        Outcome::Refused { .. } => "refused",
        Outcome::Stored(_) => "stored",
    };
    let expect = [
        ("taken", &[200, 202, 204][..]),
        ("refused", &[400, 413, 415, 422]),
        ("later", &[301, 401, 403, 404, 408, 429, 500, 502, 503, 504]),
    ];
    for (expect, statuses) in expect {
        for status in statuses {
            assert_eq!(kind(*status), expect, "{status}");
        }
    }
    let sim = SimWorld::new(1);
    let mut queue = open(&sim);
    ten(&mut queue);
    sent(&mut queue);
    let told = queue.done(Outcome::Taken { left_out: 2, why: "too old".into() });
    assert_eq!(told, Told::LeftOut { items: 2, why: "too old".into() });
    assert_eq!((queue.figures().sent_items, queue.figures().left_out_items), (3, 2));
}

#[test]
fn a_full_queue_turns_away_and_takes_again_when_some_was_sent() {
    let sim = SimWorld::new(1);
    let mut queue = open(&sim);
    let mut id = 0;
    let full = loop {
        id += 1;
        match append(&mut queue, "anonymous", id, 1500, Encoding::Protobuf) {
            Ok(()) => assert!(id < 10_000, "there is no end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, SourceError::Shed { what: "queue", .. }), "{full:?}");
    queue.sync_handle().run().expect("sync");
    let figures = queue.figures();
    assert!(figures.disk_bytes <= 1 << 20, "{figures:?}");
    assert!(figures.disk_bytes > 3 << 18, "room is wasted: {figures:?}");
    assert_eq!(figures.full_requests, 1);
    // A restart keeps it full, and all of it is there.
    sim.disk.reboot(PowerLoss::DropAll);
    let mut queue = open(&sim);
    assert!(append(&mut queue, "anonymous", 0, 1500, Encoding::Protobuf).is_err());
    let mut found = Vec::new();
    while let Some(request) = sent(&mut queue) {
        found.extend(request);
        queue.done(taken());
        queue.keep().expect("keep");
    }
    assert_eq!(found, (1..id).collect::<Vec<_>>());
    append(&mut queue, "anonymous", id, 1500, Encoding::Protobuf).expect("there is room again");
    assert!(queue.figures().disk_bytes < 300 << 10, "{:?}", queue.figures());
}

#[test]
fn after_a_quiet_end_nothing_is_sent_twice() {
    let sim = SimWorld::new(1);
    let mut queue = open(&sim);
    ten(&mut queue);
    assert_eq!(sent(&mut queue), Some(vec![1, 2, 3, 4, 5]));
    queue.done(taken());
    queue.keep().expect("keep");
    sim.disk.reboot(PowerLoss::DropAll);
    let mut queue = open(&sim);
    assert_eq!(sent(&mut queue), Some(vec![6, 7, 8, 9, 10]));
}

/// Ten messages; the first five are sent, and the answer is lost with us.
fn sent_and_crashed(sim: &SimWorld) -> (Queue, Delivery) {
    let mut queue = open(sim);
    ten(&mut queue);
    let Step::Send(batch) = queue.step().expect("next") else { panic!("nothing to send") };
    let delivery = queue.delivery(&batch);
    sim.disk.reboot(PowerLoss::DropAll);
    (open(sim), delivery)
}

#[test]
fn what_the_other_side_has_is_not_sent_again_after_a_crash() {
    let sim = SimWorld::new(1);
    let (mut queue, before) = sent_and_crashed(&sim);
    let Step::Send(batch) = queue.step().expect("next") else { panic!("nothing to send") };
    assert_eq!(queue.delivery(&batch), before, "the same request has the same name");
    assert_eq!((before.first, before.last.through), (1, 5));
    // It says that it has three of them.
    let third = {
        let mut alone = one_by_one(&sim);
        let mut last = None;
        for _ in 0..3 {
            let Step::Send(batch) = alone.step().expect("next") else { panic!("nothing to send") };
            last = Some(batch.last);
            alone.done(taken());
        }
        last.expect("three")
    };
    assert_eq!(queue.done(Outcome::Stored(third)), Told::Sent);
    assert_eq!(queue.figures().sent_items, 3);
    assert_eq!(sent(&mut queue), Some(vec![4, 5, 6, 7, 8]));
}

/// Of the same files, with requests of one message each.
fn one_by_one(sim: &SimWorld) -> Queue {
    let settings = QueueSettings { batch_bytes_max: 1, ..super::settings() };
    Queue::open(&sim.world(), Path::new(super::FOLDER), settings).expect("open").0
}

#[test]
fn a_queue_that_was_set_back_takes_another_name_and_loses_nothing() {
    let sim = SimWorld::new(1);
    let (mut queue, before) = sent_and_crashed(&sim);
    for strange in [
        // Beyond what is here, and another message under a number of ours.
        Mark { through: 900, stamp: before.last.stamp },
        Mark { through: 5, stamp: !before.last.stamp },
    ] {
        let Step::Send(batch) = queue.step().expect("next") else { panic!("nothing to send") };
        let name = queue.delivery(&batch).queue;
        assert_eq!(queue.done(Outcome::Stored(strange)), Told::Renamed);
        let Step::Send(again) = queue.step().expect("next") else { panic!("nothing to send") };
        assert_eq!(again, batch);
        assert_ne!(queue.delivery(&again).queue, name);
    }
    queue.keep().expect("keep");
    let Step::Send(batch) = queue.step().expect("next") else { panic!("nothing to send") };
    let name = queue.delivery(&batch);
    sim.disk.reboot(PowerLoss::DropAll);
    assert_eq!(open(&sim).delivery(&batch), name, "the new name is kept");
}

#[test]
fn after_a_failure_of_the_disk_it_says_so_sends_what_it_has_and_comes_back() {
    let sim = SimWorld::new(1);
    let mut queue = open(&sim);
    ten(&mut queue);
    append(&mut queue, "anonymous", 11, 400, Encoding::Protobuf).expect("append");
    sim.disk.fail_at(sim.disk.operations() + 1);
    queue.sync_handle().run().expect_err("the disk fails");
    let why = queue.trouble().expect("trouble");
    assert!(why.contains("remote-write"), "{why}");
    let refused = append(&mut queue, "anonymous", 12, 400, Encoding::Protobuf);
    assert!(matches!(refused, Err(SourceError::Unavailable { .. })), "{refused:?}");
    assert_eq!(sent(&mut queue), Some(vec![1, 2, 3, 4, 5]));
    queue.done(taken());
    // While one is on its way the log is opened again; once it works.
    assert_eq!(sent(&mut queue), Some(vec![6, 7, 8, 9, 10]));
    sim.disk.fail_at(sim.disk.operations() + 1);
    queue.keep().expect_err("the disk fails on");
    assert!(queue.trouble().is_some());
    sim.clock.advance_ms(5001);
    queue.keep().expect("keep");
    assert_eq!((queue.trouble(), queue.take_damage()), (None, vec![]));
    queue.done(taken());
    append(&mut queue, "anonymous", 12, 400, Encoding::Protobuf).expect("append");
    queue.sync_handle().run().expect("sync");
    // Whoever sent the eleventh was told of an error and sends it again; that it is here too is allowed.
    assert_eq!(sent(&mut queue), Some(vec![11, 12]));
}
