//! The parts on their own: sealing, the breaker, the chain of the journal, the fold. The executor as a whole is tried against the fake
//! world, in that crate.

use std::sync::Arc;

use base_world::{Random, Rng};
use operate_plan::{Class, Failure, StepId, digest};
use parking_lot::Mutex;

use crate::*;

struct Seeded(Mutex<Rng>);

impl Random for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        let mut rng = self.0.lock();
        bytes.iter_mut().for_each(|byte| *byte = rng.next_u64().to_le_bytes()[0]);
    }
}

fn seal(key: u8) -> Seal {
    Seal::new(&[key; 32], Arc::new(Seeded(Mutex::new(Rng::new(1))))).expect("a key of 32 bytes")
}

#[test]
fn what_is_sealed_opens_under_its_name_and_key_only() {
    let seal_1 = seal(1);
    let sealed = seal_1.seal("run-1/container/cart", b"PASSWORD=hunter2").expect("sealed");
    assert_eq!(seal_1.open("run-1/container/cart", &sealed).expect("opened"), b"PASSWORD=hunter2");
    assert!(!sealed.contains("hunter2"));
    let again = seal_1.seal("run-1/container/cart", b"PASSWORD=hunter2").expect("sealed");
    assert_ne!(sealed, again, "a nonce was used twice");

    let refused = |seal: &Seal, name: &str, text: &str| seal.open(name, text).expect_err("refused").to_string();
    let expect = "what is sealed as `other` cannot be opened: it was changed, or sealed with another key";
    assert_eq!(refused(&seal_1, "other", &sealed), expect);
    assert!(seal(2).open("run-1/container/cart", &sealed).is_err(), "another key");
    for position in 0..sealed.len() {
        let mut changed = sealed.clone().into_bytes();
        changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ASCII");
        assert!(seal_1.open("run-1/container/cart", &changed).is_err(), "changed at {position}");
    }
    for short in ["", "AQ==", "%%%"] {
        assert!(seal_1.open("x", short).is_err());
    }
    assert!(Seal::new(&[1; 31], Arc::new(Seeded(Mutex::new(Rng::new(1))))).is_err());
}

#[test]
fn a_mark_compares_without_telling() {
    assert_eq!(seal(1).mark(b"hunter2"), seal(1).mark(b"hunter2"));
    assert_ne!(seal(1).mark(b"hunter2"), seal(1).mark(b"hunter3"));
    assert_ne!(seal(1).mark(b"hunter2"), seal(2).mark(b"hunter2"), "anyone could try passwords");
}

#[test]
fn a_breaker_opens_after_failures_in_a_row_and_tries_once() {
    let transient = Failure::new(Class::Transient, "x", "x", "x");
    let refused = Failure::new(Class::Invalid, "x", "x", "x");
    let mut breaker = Breaker::default();
    for _ in 0..5 {
        breaker.failed(&transient, 0);
    }
    breaker.failed(&refused, 0);
    assert_eq!(breaker.admit(0), None, "an answer came between");
    for _ in 0..6 {
        breaker.failed(&transient, 1_000);
    }
    assert_eq!(breaker.admit(1_000), Some(5_000));
    assert_eq!(breaker.admit(4_000), Some(2_000));
    assert_eq!(breaker.admit(6_000), None, "one may try");
    assert_eq!(breaker.admit(6_000), Some(5_000), "the others wait for it");
    breaker.worked();
    assert_eq!(breaker.admit(6_001), None);
}

fn journal() -> Vec<Entry> {
    let run = RunId("r".into());
    let events = [
        Event::Taken { holder: "apm 1".into(), token: 1 },
        Event::StepBegun { step: StepId::from("a") },
        Event::StepDone { step: StepId::from("a") },
        Event::Ended { status: Status::Complete, sentence: "done".into() },
    ];
    let mut entries: Vec<Entry> = Vec::new();
    for (event, at_ms) in events.into_iter().zip(1..) {
        entries.push(Entry::after(entries.last(), &run, at_ms, event));
    }
    entries
}

/// The first broken line after a change.
fn check_chain(change: impl FnOnce(&mut Vec<Entry>), expect: Option<u64>) {
    let mut entries = journal();
    change(&mut entries);
    assert_eq!(Entry::broken(&entries), expect);
}

#[test]
fn a_journal_that_was_edited_shows_where() {
    check_chain(|_| {}, None);
    check_chain(|entries| entries[1].at_ms += 1, Some(2));
    check_chain(|entries| entries[2].event = Event::StepDone { step: StepId::from("b") }, Some(3));
    check_chain(|entries| entries.swap(1, 2), Some(2));
    check_chain(|entries| drop(entries.remove(0)), Some(1));
    check_chain(|entries| drop(entries.remove(2)), Some(3));
    // Whoever recomputes one hash has to recompute all that follow.
    let recomputed = |entries: &mut Vec<Entry>| {
        let run = entries[0].run.clone();
        entries[1] = Entry::after(entries.first(), &run, 9, entries[1].event.clone());
    };
    check_chain(recomputed, Some(3));
}

#[test]
fn a_journal_reads_back_as_it_was_written() {
    for entry in journal() {
        let text = serde_json::to_string(&entry).expect("JSON");
        assert_eq!(serde_json::from_str::<Entry>(&text).expect("an entry"), entry);
    }
    assert_eq!(digest(&journal()), digest(&journal()));
}

#[test]
fn a_status_is_the_fold_of_the_journal() {
    let entries = journal();
    let told: Vec<_> = (0..=entries.len()).map(|count| State::of(&entries[..count]).status().word()).collect();
    assert_eq!(told, ["planned", "running", "running", "running", "complete"]);
    assert!(Status::ALL.iter().filter(|status| status.is_end()).count() == 3);
}
