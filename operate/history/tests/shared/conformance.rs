//! What every history must keep, whatever it keeps it in. One list of checks, run on the memory, on SQLite and on a real PostgreSQL.

use base_world::Rng;
use operate_execute::{
    Begun, Entry, Event, Fence, Filter, History, HistoryError, Lease, MemoryHistory, NewRun, Order, RunId, State,
    Status,
};

mod places;

pub(crate) use places::{
    of_many_who_begin_one_does_and_the_others_leave_nothing, of_many_who_want_some_of_the_places_nobody_waits_for_ever,
    several_places_are_taken_whole_or_not_at_all,
};

use crate::support::{Two, begin, begun, command, done, ended, event, leased, plan, run_id};

/// A test a check; `$open` gives a new, empty store.
macro_rules! conformance {
    ($open:expr, $($check:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                let store = $open.await;
                crate::conformance::$check(&store.two()).await;
            }
        )*
    };
    ($open:expr) => {
        conformance!(
            $open,
            a_run_is_kept_with_its_plan_and_its_first_line,
            what_is_not_there_is_named,
            a_journal_is_read_in_pages_and_hangs_together,
            a_stale_token_writes_nothing,
            tokens_rise_for_ever,
            a_lease_holds_for_its_time,
            one_of_many_gets_the_lease,
            a_run_is_begun_with_its_target_or_not_at_all,
            of_many_who_begin_one_does_and_the_others_leave_nothing,
            several_places_are_taken_whole_or_not_at_all,
            of_many_who_want_some_of_the_places_nobody_waits_for_ever,
            many_write_at_once_and_every_line_has_its_place,
            orders_are_numbered_and_nobody_elses,
            lists_are_paged_and_filtered,
            a_row_says_what_the_journal_says,
            a_clock_that_steps_back_breaks_nothing,
            it_answers_as_the_memory_does,
        );
    };
}
pub(crate) use conformance;

pub(crate) async fn a_run_is_kept_with_its_plan_and_its_first_line(two: &Two) {
    let (run, plan) = (run_id("cart-1"), plan("docker:shop", &[("service", "cart"), ("environment", "prod")]));
    two.a.create(&run, &plan, 7, &command(Order::Resume)).await.expect("a new run");
    assert_eq!(two.b.plan(&run).await.expect("a plan"), plan);
    let entries = two.b.entries(&run, 0, 10).await.expect("a journal");
    let created = Event::Created { plan: plan.id().clone(), actor: "ann".into(), reason: "it is late".into() };
    assert_eq!(entries, [Entry::after(None, &run, 7, created)]);
    let again = two.b.create(&run, &plan, 8, &command(Order::Resume)).await;
    assert_eq!(again, Err(HistoryError::Exists(run.clone())));
    let rows = two.a.runs(&Filter { limit: 10, ..Filter::default() }).await.expect("a list");
    assert_eq!(rows.len(), 1, "the second try left something");
    let row = rows.first().expect("one");
    assert_eq!((&row.run, row.title.as_str(), row.target.as_str()), (&run, "deploy to docker:shop", "docker:shop"));
    assert_eq!((row.status, row.created_ms, row.ended_ms, row.sentence.as_str()), (Status::Planned, 7, None, ""));
    assert_eq!(row.labels, plan.labels);
}

pub(crate) async fn what_is_not_there_is_named(two: &Two) {
    let (run, no) = (run_id("nobody"), HistoryError::NoRun(run_id("nobody")));
    let fence = leased(&*two.a, "t", 0, 1_000).await;
    assert_eq!(two.a.plan(&run).await.expect_err("no run"), no);
    assert_eq!(two.a.entries(&run, 0, 10).await.expect_err("no run"), no);
    assert_eq!(two.a.append(&run, fence, 0, begin("a")).await.expect_err("no run"), no);
    assert_eq!(two.a.order(&run, 0, &command(Order::Pause)).await.expect_err("no run"), no);
    assert_eq!(two.a.orders(&run, 0).await.expect_err("no run"), no);
    assert_eq!(two.a.runs(&Filter { limit: 9, ..Filter::default() }).await.expect("a list"), []);
}

pub(crate) async fn a_journal_is_read_in_pages_and_hangs_together(two: &Two) {
    let (run, fence) = begun(&*two.a, "r", "t").await;
    let mut written = two.a.entries(&run, 0, 10).await.expect("the first line");
    for number in 0..25 {
        // Two handles in turn: neither may trust what it remembers.
        let history = if number % 3 == 0 { &two.b } else { &two.a };
        written.push(history.append(&run, fence, 1_000 + number, begin(&format!("s{number}"))).await.expect("kept"));
    }
    assert_eq!(Entry::broken(&written), None);
    assert_eq!(two.b.entries(&run, 0, usize::MAX).await.expect("all"), written);
    assert_eq!(two.b.entries(&run, 20, 3).await.expect("a page"), written[20..23]);
    assert_eq!(two.b.entries(&run, 26, 3).await.expect("the end"), []);
    assert_eq!(two.b.entries(&run, 0, 0).await.expect("nothing asked"), []);
}

pub(crate) async fn a_stale_token_writes_nothing(two: &Two) {
    let (run, old) = begun(&*two.a, "r", "t").await;
    two.a.append(&run, old, 1_001, begin("a")).await.expect("still ours");
    let lost = HistoryError::LeaseLost { target: "t".into() };
    let new = leased(&*two.b, "t", 16_001, 15_000).await;
    assert!(new > old);
    assert_eq!(two.a.append(&run, old, 16_002, begin("b")).await.expect_err("stale"), lost);
    assert_eq!(two.a.append(&run, Fence(new.0 + 1), 16_002, begin("b")).await.expect_err("never given"), lost);
    assert_eq!(two.a.renew("t", old, 16_002, 15_000).await.expect_err("stale"), lost);
    two.a.release("t", old).await.expect("nothing happens");
    assert!(matches!(two.a.lease("t", "c", 16_003, 1).await, Ok(Lease::Held { .. })), "a stale release let go");
    two.b.append(&run, new, 16_003, done("a")).await.expect("ours");
    assert_eq!(two.a.entries(&run, 0, 10).await.expect("the journal").len(), 3, "the stale one wrote");
    // A token of another target is none.
    let (other, _) = begun(&*two.a, "r2", "t2").await;
    assert!(two.b.append(&other, new, 16_004, begin("a")).await.is_err(), "a token of another target");
}

pub(crate) async fn tokens_rise_for_ever(two: &Two) {
    let mut last = Fence(0);
    for life in 0..6_i64 {
        let history = if life % 2 == 0 { &two.a } else { &two.b };
        let fence = leased(&**history, "t", life * 1_000, 1_000).await;
        assert!(fence > last, "{fence:?} after {last:?}");
        last = fence;
        if life % 3 == 0 {
            history.release("t", fence).await.expect("given back");
        }
    }
}

pub(crate) async fn a_lease_holds_for_its_time(two: &Two) {
    let fence = leased(&*two.a, "t", 1_000, 500).await;
    let held = |until_ms| Ok(Lease::Held { holder: "apm 1 on host".into(), until_ms });
    assert_eq!(two.b.lease("t", "b", 1_499, 500).await, held(1_500));
    assert!(matches!(two.b.lease("another", "b", 1_000, 500).await, Ok(Lease::Got(_))), "targets are apart");
    two.a.renew("t", fence, 1_400, 500).await.expect("renewed");
    assert_eq!(two.b.lease("t", "b", 1_899, 500).await, held(1_900));
    two.a.release("t", fence).await.expect("released");
    assert!(matches!(two.b.lease("t", "b", 1_500, 500).await, Ok(Lease::Got(_))), "it was given back");
}

pub(crate) async fn one_of_many_gets_the_lease(two: &Two) {
    for round in 0..5_i64 {
        let tries = (0..8).map(|number| {
            let history = if number % 2 == 0 { two.a.clone() } else { two.b.clone() };
            tokio::spawn(async move {
                let holder = format!("apm {number}");
                (holder.clone(), history.lease("t", &holder, round * 1_000, 1_000).await.expect("an answer"))
            })
        });
        let tries: Vec<_> = tries.collect();
        let (mut winners, mut told) = (Vec::new(), Vec::new());
        for one in tries {
            match one.await.expect("no panic") {
                (holder, Lease::Got(fence)) => winners.push((holder, fence)),
                (_, Lease::Held { holder, .. }) => told.push(holder),
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        let (winner, fence) = winners.remove(0);
        assert!(told.iter().all(|holder| *holder == winner), "{told:?} were told, {winner} has it");
        assert_eq!(fence, Fence(round as u64 + 1));
    }
}

/// Begins a run on a target.
async fn begins(history: &dyn History, run: &str, target: &str, now_ms: i64) -> Begun {
    let (run, plan, command) = (run_id(run), plan(target, &[("service", "cart")]), command(Order::Resume));
    let new = NewRun { run: &run, plan: &plan, command: &command };
    history.begin(new, now_ms, "apm 1 on host", 15_000).await.expect("an answer")
}

pub(crate) async fn a_run_is_begun_with_its_target_or_not_at_all(two: &Two) {
    let run = run_id("r1");
    let Begun::Got(fence) = begins(&*two.a, "r1", "t", 1_000).await else { panic!("nobody is there") };
    let kinds =
        async |run: &RunId| two.b.entries(run, 0, 9).await.map(|entries| (entries.len(), Entry::broken(&entries)));
    assert_eq!(kinds(&run).await, Ok((2, None)));
    let last = two.b.entries(&run, 1, 9).await.expect("a line").remove(0).event;
    assert_eq!(last, Event::Taken { holder: "apm 1 on host".into(), token: fence.0 });
    let held = Begun::Held { holder: "apm 1 on host".into(), until_ms: 16_000 };
    assert_eq!(begins(&*two.b, "r2", "t", 15_999).await, held);
    assert!(matches!(two.b.lease("t", "b", 15_999, 1).await, Ok(Lease::Held { .. })), "the target is not taken");
    // Its executor is gone, but what it began is not over.
    let occupied = |status| Begun::Occupied { run: run_id("r1"), status };
    assert_eq!(begins(&*two.b, "r2", "t", 16_000).await, occupied(Status::Running));
    // Nor was the lease taken in passing.
    two.a
        .append(&run, fence, 16_001, Event::Ordered { number: 1, command: command(Order::Pause) })
        .await
        .expect("ours");
    assert_eq!(begins(&*two.b, "r2", "t", 17_000).await, occupied(Status::Paused));
    assert_eq!(kinds(&run_id("r2")).await, Err(HistoryError::NoRun(run_id("r2"))));
    two.a.append(&run, fence, 17_001, ended(Status::Complete)).await.expect("ours");
    let Begun::Got(next) = begins(&*two.b, "r2", "t", 17_002).await else { panic!("it has ended") };
    assert!(next > fence);
    // A run that exists is not begun, and its target not taken.
    let new = NewRun { run: &run, plan: &plan("t9", &[]), command: &command(Order::Resume) };
    assert_eq!(two.a.begin(new, 0, "b", 10).await, Err(HistoryError::Exists(run.clone())));
    assert_eq!(two.a.lease("t9", "b", 0, 10).await, Ok(Lease::Got(Fence(1))));
    // One that was only planned is in nobody's way.
    two.a.create(&run_id("p"), &plan("t8", &[]), 0, &command(Order::Resume)).await.expect("planned");
    assert!(matches!(begins(&*two.b, "r8", "t8", 0).await, Begun::Got(_)));
}

pub(crate) async fn many_write_at_once_and_every_line_has_its_place(two: &Two) {
    let (run, fence) = begun(&*two.a, "r", "t").await;
    let writers = (0..8).map(|number| {
        let (history, run) = (if number % 2 == 0 { two.a.clone() } else { two.b.clone() }, run.clone());
        tokio::spawn(async move {
            for line in 0..5 {
                let step = format!("w{number}-{line}");
                history.append(&run, fence, 2_000, begin(&step)).await.expect("kept");
                history.order(&run, 2_000, &command(Order::Pause)).await.expect("kept");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
    let entries = two.b.entries(&run, 0, usize::MAX).await.expect("all");
    assert_eq!((entries.len(), Entry::broken(&entries)), (41, None));
    let numbers: Vec<u64> = two.a.orders(&run, 0).await.expect("all").iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<u64>>());
}

pub(crate) async fn orders_are_numbered_and_nobody_elses(two: &Two) {
    let (run, _) = begun(&*two.a, "r", "t").await;
    let (other, _) = begun(&*two.a, "r2", "t2").await;
    assert_eq!(two.b.orders(&run, 0).await.expect("none yet"), []);
    let orders = [command(Order::Pause), command(Order::Skip("a".into())), command(Order::Resume)];
    for (order, number) in orders.iter().zip(1..) {
        assert_eq!(two.a.order(&run, 5, order).await.expect("kept"), number);
    }
    assert_eq!(two.b.order(&other, 5, &command(Order::Cancel)).await.expect("kept"), 1);
    let kept: Vec<_> = (1..).zip(orders).collect();
    assert_eq!(two.b.orders(&run, 0).await.expect("all"), kept);
    assert_eq!(two.b.orders(&run, 2).await.expect("the last"), kept[2..]);
    assert_eq!(two.b.orders(&run, 3).await.expect("no more"), []);
}

pub(crate) async fn lists_are_paged_and_filtered(two: &Two) {
    for number in 0..12_u64 {
        let target = format!("t{number}");
        let service = if number % 2 == 0 { "cart" } else { "pay" };
        let environment = if number % 3 == 0 { "prod" } else { "dev" };
        let plan = plan(&target, &[("service", service), ("environment", environment)]);
        let run = run_id(&format!("run-{number}"));
        // The clock goes backwards: the order of a list is that of making.
        two.a.create(&run, &plan, 9_000 - number as i64, &command(Order::Resume)).await.expect("a new run");
        if number % 4 == 0 {
            let fence = leased(&*two.a, &target, 0, 1_000).await;
            two.a.append(&run, fence, 1, ended(Status::RolledBack)).await.expect("kept");
        }
    }
    let check = async |filter: Filter, expect: &[u64]| {
        let rows = two.b.runs(&filter).await.expect("a list");
        let names: Vec<String> = rows.into_iter().map(|row| row.run.0).collect();
        let expect: Vec<String> = expect.iter().map(|number| format!("run-{number}")).collect();
        assert_eq!(names, expect, "{filter:?}");
    };
    let all = Filter { limit: 100, ..Filter::default() };
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let before = |number: u64| Some(run_id(&format!("run-{number}")));
    let (cart, prod) = (label("service", "cart"), label("environment", "prod"));
    check(all.clone(), &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]).await;
    check(Filter { limit: 3, ..all.clone() }, &[11, 10, 9]).await;
    check(Filter { limit: 0, ..all.clone() }, &[]).await;
    check(Filter { limit: 3, before: before(9), ..all.clone() }, &[8, 7, 6]).await;
    check(Filter { before: before(0), ..all.clone() }, &[]).await;
    check(Filter { before: Some(run_id("nobody")), ..all.clone() }, &[]).await;
    check(Filter { status: Some(Status::RolledBack), ..all.clone() }, &[8, 4, 0]).await;
    check(Filter { status: Some(Status::Failed), ..all.clone() }, &[]).await;
    check(Filter { labels: vec![cart.clone()], ..all.clone() }, &[10, 8, 6, 4, 2, 0]).await;
    check(Filter { labels: vec![cart.clone(), prod.clone()], ..all.clone() }, &[6, 0]).await;
    check(Filter { labels: vec![cart.clone(), label("service", "pay")], ..all.clone() }, &[]).await;
    check(Filter { labels: vec![label("service", "' OR 1=1 --")], ..all.clone() }, &[]).await;
    let narrow = Filter { labels: vec![cart], status: Some(Status::RolledBack), before: before(8), limit: 1, ..all };
    check(narrow, &[4]).await;
}

pub(crate) async fn a_row_says_what_the_journal_says(two: &Two) {
    let (run, fence) = begun(&*two.a, "r", "t").await;
    let mut seen = std::collections::BTreeSet::new();
    // A fixed walk through all events, then the end.
    let numbers = (0..60_u64).map(|number| number * 7 + number / 16);
    let events = numbers.map(event).chain([Event::UndoBegun { why: "it failed".into() }, ended(Status::Failed)]);
    for (event, at_ms) in events.zip(2_000..) {
        let history = if at_ms % 5 == 0 { &two.b } else { &two.a };
        history.append(&run, fence, at_ms, event).await.expect("kept");
        let entries = two.b.entries(&run, 0, usize::MAX).await.expect("all");
        let state = State::of(&entries);
        let rows = two.b.runs(&Filter { limit: 1, ..Filter::default() }).await.expect("a list");
        let row = rows.first().expect("one");
        assert_eq!(row.status, state.status(), "after {:?}", entries.last());
        assert_eq!(row.ended_ms.is_some(), row.status.is_end());
        seen.insert(row.status);
    }
    let row = two.a.runs(&Filter { limit: 1, ..Filter::default() }).await.expect("a list").remove(0);
    assert_eq!((row.status, row.ended_ms, row.sentence.as_str()), (Status::Failed, Some(2_061), "it is failed"));
    assert!(seen.len() >= 5, "the walk saw only {seen:?}");
}

pub(crate) async fn a_clock_that_steps_back_breaks_nothing(two: &Two) {
    let (run, fence) = begun(&*two.a, "r", "t").await;
    for at_ms in [5_000, 4_000, -7, i64::MIN, i64::MAX, 3_000] {
        two.a.append(&run, fence, at_ms, begin("a")).await.expect("kept");
    }
    assert_eq!(Entry::broken(&two.b.entries(&run, 0, 100).await.expect("all")), None);
    // It was leased at 1,000 for 15,000. An hour back is no hour on.
    for now_ms in [900, 0, -3_600_000, 15_999] {
        let answer = two.b.lease("t", "b", now_ms, 15_000).await.expect("an answer");
        assert!(matches!(answer, Lease::Held { until_ms: 16_000, .. }), "at {now_ms}: {answer:?}");
    }
    // Renewed by the clock that went back, it holds by that clock.
    two.a.renew("t", fence, -3_600_000, 15_000).await.expect("ours");
    assert!(matches!(two.b.lease("t", "b", -3_590_000, 1).await, Ok(Lease::Held { .. })), "given away early");
    two.a.append(&run, fence, -3_590_000, done("a")).await.expect("still ours");
}

/// Some hundreds of random calls, the same answers.
pub(crate) async fn it_answers_as_the_memory_does(two: &Two) {
    let memory = MemoryHistory::default();
    let mut rng = Rng::new(20_261_121);
    let mut now_ms = 0_i64;
    for call in 0..400 {
        now_ms += rng.below(400) as i64;
        let history: &dyn History = if rng.chance(50) { &*two.a } else { &*two.b };
        let run = RunId(format!("run-{}", rng.below(4)));
        let target = format!("t{}", rng.below(3));
        let fence = Fence(rng.below(4) + 1);
        let number = rng.next_u64();
        let (expect, found) = match rng.below(10) {
            0 => {
                let plan = plan(&target, &[("service", if number.is_multiple_of(2) { "cart" } else { "pay" })]);
                let command = command(Order::Resume);
                let expect = memory.create(&run, &plan, now_ms, &command).await;
                (format!("{expect:?}"), format!("{:?}", history.create(&run, &plan, now_ms, &command).await))
            }
            8 => {
                let plan = plan(&target, &[("service", "cart")]);
                let (run, command) = (RunId(format!("begun-{}", rng.below(4))), command(Order::Resume));
                let new = NewRun { run: &run, plan: &plan, command: &command };
                let expect = memory.begin(new, now_ms, "apm", 600).await;
                (format!("{expect:?}"), format!("{:?}", history.begin(new, now_ms, "apm", 600).await))
            }
            1 => {
                let expect = memory.lease(&target, "apm", now_ms, 600).await;
                (format!("{expect:?}"), format!("{:?}", history.lease(&target, "apm", now_ms, 600).await))
            }
            2 => {
                let expect = memory.renew(&target, fence, now_ms, 600).await;
                (format!("{expect:?}"), format!("{:?}", history.renew(&target, fence, now_ms, 600).await))
            }
            3 => {
                let expect = memory.release(&target, fence).await;
                (format!("{expect:?}"), format!("{:?}", history.release(&target, fence).await))
            }
            4 => {
                let command = command(Order::Skip(format!("s{number}").as_str().into()));
                let expect = memory.order(&run, now_ms, &command).await;
                (format!("{expect:?}"), format!("{:?}", history.order(&run, now_ms, &command).await))
            }
            5 => {
                let expect = memory.orders(&run, number % 4).await;
                (format!("{expect:?}"), format!("{:?}", history.orders(&run, number % 4).await))
            }
            6 => {
                let event = if rng.chance(5) { ended(Status::Complete) } else { event(number) };
                let expect = memory.append(&run, fence, now_ms, event.clone()).await;
                (format!("{expect:?}"), format!("{:?}", history.append(&run, fence, now_ms, event).await))
            }
            7 => {
                let limit = (number % 9) as usize;
                let expect = memory.entries(&run, number % 5, limit).await;
                (format!("{expect:?}"), format!("{:?}", history.entries(&run, number % 5, limit).await))
            }
            _ => {
                let filter = Filter {
                    status: rng.chance(30).then(|| Status::ALL[rng.index(9)]),
                    labels: if rng.chance(50) { vec![("service".into(), "cart".into())] } else { Vec::new() },
                    before: rng.chance(30).then_some(run),
                    limit: (number % 5) as usize,
                    ..Filter::default()
                };
                (format!("{:?}", memory.runs(&filter).await), format!("{:?}", history.runs(&filter).await))
            }
        };
        assert_eq!(found, expect, "call {call}");
    }
}
