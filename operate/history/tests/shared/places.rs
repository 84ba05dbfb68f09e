//! What every history must keep of who gets a target: of many one does; of a target of several places all are taken or none, and nobody waits for
//! somebody who waits for him.

use operate_execute::{Begun, Fence, Filter, HistoryError, Lease, Status};

use super::begins;
use crate::support::{Two, begin, leased, run_id};

pub(crate) async fn several_places_are_taken_whole_or_not_at_all(two: &Two) {
    let both = "us=kube:us/shop + eu=kube:eu/shop";
    let us = leased(&*two.a, "kube:us/shop", 0, 1_000).await;
    assert!(matches!(begins(&*two.b, "r1", both, 500).await, Begun::Held { until_ms: 1_000, .. }));
    assert_eq!(two.a.lease("kube:eu/shop", "c", 500, 100).await, Ok(Lease::Got(Fence(1))), "it was taken in passing");
    let Begun::Got(fence) = begins(&*two.b, "r1", both, 2_000).await else { panic!("both are free") };
    assert!(fence > us && fence > Fence(1), "one token for both, higher than any before: {fence:?}");
    for place in ["kube:eu/shop", "kube:us/shop", "x=kube:eu/shop + y=kube:ap/shop"] {
        assert!(matches!(two.a.lease(place, "c", 16_999, 1).await, Ok(Lease::Held { .. })), "{place}");
        assert!(matches!(two.a.lease("kube:ap/shop", "c", 16_999, 0).await, Ok(Lease::Got(_))));
        let occupied = begins(&*two.a, "r2", place, 17_000).await;
        assert_eq!(occupied, Begun::Occupied { run: run_id("r1"), status: Status::Running }, "{place}");
    }
    two.b.append(&run_id("r1"), fence, 17_001, begin("a")).await.expect("nobody has either");
    two.b.renew(both, fence, 17_001, 1_000).await.expect("nobody has either");
    // One of them is lost, and with it the right to write.
    let _ = leased(&*two.a, "kube:us/shop", 20_000, 1_000).await;
    let lost = HistoryError::LeaseLost { target: both.to_owned() };
    assert_eq!(two.b.append(&run_id("r1"), fence, 20_001, begin("b")).await.expect_err("lost"), lost);
    assert_eq!(two.b.renew(both, fence, 20_001, 1_000).await.expect_err("lost"), lost);
    // Who goes on takes both, and gives both back.
    let again = leased(&*two.b, both, 30_000, 1_000).await;
    assert!(again > fence);
    two.b.release(both, again).await.expect("given back");
    for place in ["kube:eu/shop", "kube:us/shop"] {
        assert!(matches!(two.a.lease(place, "c", 30_001, 1).await, Ok(Lease::Got(_))), "{place}");
    }
}

pub(crate) async fn of_many_who_want_some_of_the_places_nobody_waits_for_ever(two: &Two) {
    // Each wants two of three, named in another order.
    const WANTS: [&str; 6] = ["a=t1 + b=t2", "b=t2 + c=t3", "c=t3 + a=t1", "b=t2 + a=t1", "t2", "a=t3 + b=t2"];
    for round in 0..5 {
        let tries = WANTS.iter().enumerate().map(|(number, target)| {
            let history = if number % 2 == 0 { two.a.clone() } else { two.b.clone() };
            let holder = format!("apm {number}");
            tokio::spawn(async move { (*target, history.lease(target, &holder, round * 1_000, 1_000).await) })
        });
        let mut taken: Vec<String> = Vec::new();
        let tries: Vec<_> = tries.collect();
        for one in tries {
            let (target, got) = one.await.expect("no panic");
            if matches!(got.expect("an answer"), Lease::Got(_)) {
                taken.extend(operate_plan::leases(target));
            }
        }
        let mut once = taken.clone();
        once.sort();
        once.dedup();
        assert!(!taken.is_empty() && once.len() == taken.len(), "round {round}: {taken:?}");
    }
}

pub(crate) async fn of_many_who_begin_one_does_and_the_others_leave_nothing(two: &Two) {
    for round in 0..10 {
        let target = format!("t{round}");
        let tries = (0..6).map(|number| {
            let history = if number % 2 == 0 { two.a.clone() } else { two.b.clone() };
            let target = target.clone();
            tokio::spawn(async move { begins(&*history, &format!("run-{round}-{number}"), &target, 1_000).await })
        });
        let tries: Vec<_> = tries.collect();
        let mut got = 0;
        for one in tries {
            got += u32::from(matches!(one.await.expect("no panic"), Begun::Got(_)));
        }
        let rows = two.a.runs(&Filter { limit: 100, ..Filter::default() }).await.expect("a list");
        let kept = rows.iter().filter(|row| row.target == target);
        let statuses: Vec<Status> = kept.map(|row| row.status).collect();
        assert_eq!((got, statuses), (1, vec![Status::Running]), "round {round}");
    }
}
