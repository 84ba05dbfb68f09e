//! Sessions of browsers: a token shown once becomes a random id in a cookie. And the brake on wrong guesses.
//!
//! Sessions live in memory, are capped and end by themselves; a restart signs everybody out. Knows no HTTP, no cookie's
//! syntax and no token: who may open one is decided by the caller. Time is given, in nanoseconds that never go back.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use base_world::Random;
use parking_lot::Mutex;

use crate::Role;

const SECOND_NS: u64 = 1_000_000_000;
/// A session ends a week after it began, or after half a day in which nobody used it.
pub(crate) const AGE_SECONDS_MAX: u64 = 7 * 86_400;
const IDLE_SECONDS_MAX: u64 = 12 * 3600;
/// With more at once, the one that lay unused longest ends.
const SESSIONS_MAX: usize = 1000;
/// A wrong token costs its sender so much time …
const GUESS_NS: u64 = 6 * SECOND_NS;
/// … which may be owed up to here: ten quick tries, then one in six seconds.
const OWED_NS_MAX: u64 = 10 * GUESS_NS;
/// Addresses that are remembered one by one; what comes beyond them shares one account.
const ADDRESSES_MAX: usize = 1000;

struct Session {
    role: Role,
    opened_ns: u64,
    used_ns: u64,
    /// When the token ends that opened it.
    ends_ns: u64,
}

impl Session {
    fn ended(&self, now_ns: u64) -> bool {
        now_ns >= self.ends_ns
            || now_ns.saturating_sub(self.opened_ns) > AGE_SECONDS_MAX * SECOND_NS
            || now_ns.saturating_sub(self.used_ns) > IDLE_SECONDS_MAX * SECOND_NS
    }
}

/// Who is signed in. The map's hashes are keyed at random, so the time of a look-up tells nothing about an id.
pub(crate) struct Sessions {
    random: Box<dyn Random>,
    open: Mutex<HashMap<String, Session>>,
}

impl Sessions {
    /// `random` must be fit for secrets.
    pub(crate) fn new(random: Box<dyn Random>) -> Self {
        Sessions { random, open: Mutex::default() }
    }

    /// Its id: 256 random bits as hex. It ends after `left_ms` at the latest.
    pub(crate) fn open(&self, role: Role, now_ns: u64, left_ms: Option<u64>) -> String {
        let mut bytes = [0; 32];
        self.random.fill(&mut bytes);
        let id = bytes.iter().fold(String::with_capacity(64), |mut id, byte| {
            // Writing to a string does not fail.
            let _ = write!(id, "{byte:02x}");
            id
        });
        let ends_ns = left_ms.map_or(u64::MAX, |ms| now_ns.saturating_add(ms.saturating_mul(1_000_000)));
        let mut open = self.open.lock();
        open.retain(|_, session| !session.ended(now_ns));
        if open.len() >= SESSIONS_MAX {
            let oldest = open.iter().min_by_key(|(_, session)| session.used_ns).map(|(id, _)| id.clone());
            oldest.and_then(|id| open.remove(&id));
        }
        open.insert(id.clone(), Session { role, opened_ns: now_ns, used_ns: now_ns, ends_ns });
        id
    }

    /// The role of a session that has not ended; asking is using.
    pub(crate) fn role_of(&self, id: &str, now_ns: u64) -> Option<Role> {
        let mut open = self.open.lock();
        if open.get(id)?.ended(now_ns) {
            open.remove(id);
            return None;
        }
        let session = open.get_mut(id)?;
        session.used_ns = now_ns;
        Some(session.role)
    }

    pub(crate) fn close(&self, id: &str) {
        self.open.lock().remove(id);
    }
}

/// Slows down who guesses: for each address, until when its wrong tries are paid off.
#[derive(Default)]
pub(crate) struct Guesses(Mutex<HashMap<Option<IpAddr>, u64>>);

impl Guesses {
    /// Charges a try before it is looked at, so that many at once are counted too. An error is the wait in seconds.
    pub(crate) fn charge(&self, from: Option<IpAddr>, now_ns: u64) -> Result<(), u64> {
        let mut owed = self.0.lock();
        if owed.len() >= ADDRESSES_MAX {
            owed.retain(|_, until_ns| *until_ns > now_ns);
        }
        let account = network(from).filter(|ip| owed.len() < ADDRESSES_MAX || owed.contains_key(&Some(*ip)));
        let until_ns = owed.entry(account).or_insert(now_ns);
        let after_ns = now_ns.max(*until_ns) + GUESS_NS;
        match (after_ns - now_ns).checked_sub(OWED_NS_MAX) {
            Some(wait_ns @ 1..) => Err(wait_ns.div_ceil(SECOND_NS)),
            _ => {
                *until_ns = after_ns;
                Ok(())
            }
        }
    }

    /// The try was right: its own charge is given back. What wrong ones cost stays, or who has one token could guess another.
    pub(crate) fn refund(&self, from: Option<IpAddr>) {
        let mut owed = self.0.lock();
        let own = network(from);
        let account = if owed.contains_key(&own) { own } else { None };
        if let Some(until_ns) = owed.get_mut(&account) {
            *until_ns = until_ns.saturating_sub(GUESS_NS);
        }
    }
}

/// Whoever has one IPv6 address mostly has its whole /64.
fn network(from: Option<IpAddr>) -> Option<IpAddr> {
    match from? {
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => Some(IpAddr::V4(ip)),
            None => Some(IpAddr::V6((u128::from(ip) >> 64 << 64).into())),
        },
        ip => Some(ip),
    }
}

#[cfg(test)]
mod tests {
    use base_world::os::OsRandom;

    use super::*;

    const HOUR_NS: u64 = 3600 * SECOND_NS;

    #[test]
    fn sessions_end_by_age_by_idleness_and_by_hand() {
        let check = |uses: &[u64], asked_at: u64, expect: Option<Role>| {
            let sessions = Sessions::new(Box::new(OsRandom));
            let id = sessions.open(Role::Viewer, 0, None);
            for at in uses {
                sessions.role_of(&id, at * HOUR_NS);
            }
            assert_eq!(sessions.role_of(&id, asked_at * HOUR_NS), expect, "{uses:?} {asked_at}");
        };
        check(&[], 12, Some(Role::Viewer));
        check(&[], 13, None);
        check(&[11, 22], 33, Some(Role::Viewer));
        let always: Vec<u64> = (0..17).map(|i| i * 10).collect();
        check(&always, 168, Some(Role::Viewer));
        check(&always, 169, None);
        let sessions = Sessions::new(Box::new(OsRandom));
        let id = sessions.open(Role::Admin, 0, None);
        sessions.close(&id);
        assert_eq!(sessions.role_of(&id, 0), None);
        // No session outlives its token.
        let id = sessions.open(Role::Admin, 0, Some(2_000));
        assert_eq!(sessions.role_of(&id, 2 * SECOND_NS - 1), Some(Role::Admin));
        assert_eq!(sessions.role_of(&id, 2 * SECOND_NS), None);
    }

    #[test]
    fn the_one_unused_longest_makes_room() {
        let sessions = Sessions::new(Box::new(OsRandom));
        let ids: Vec<String> = (0..SESSIONS_MAX as u64).map(|at| sessions.open(Role::Viewer, at, None)).collect();
        sessions.role_of(&ids[0], 5000);
        let last = sessions.open(Role::Admin, 5001, None);
        let alive = |id: &String| sessions.role_of(id, 5002).is_some();
        assert_eq!([&ids[0], &ids[1], &ids[2], &last].map(alive), [true, false, true, true]);
        assert!(ids[0].len() == 64 && ids[0] != ids[1]);
    }

    #[test]
    fn guessing_is_slowed_for_the_guesser_alone() {
        let guesses = Guesses::default();
        let ip = |text: &str| Some(text.parse().unwrap());
        let bad = ip("2001:db8::1");
        for _ in 0..10 {
            assert_eq!(guesses.charge(bad, 0), Ok(()));
        }
        assert_eq!(guesses.charge(ip("2001:db8::2"), 0), Err(6), "the same /64");
        assert_eq!(guesses.charge(bad, 5 * SECOND_NS), Err(1));
        assert_eq!(guesses.charge(ip("2001:db8:0:1::1"), 0), Ok(()));
        assert_eq!(guesses.charge(None, 0), Ok(()));
        assert_eq!(guesses.charge(bad, 6 * SECOND_NS), Ok(()));
        assert_eq!(guesses.charge(bad, 6 * SECOND_NS), Err(6), "one more was paid off, not two");
        guesses.refund(bad);
        assert_eq!(guesses.charge(bad, 6 * SECOND_NS), Ok(()));
        assert_eq!(guesses.charge(bad, 6 * SECOND_NS), Err(6), "one was given back, not all");
    }

    #[test]
    fn a_flood_of_addresses_shares_one_account() {
        let guesses = Guesses::default();
        let from = |i: u32| Some(IpAddr::V4(i.into()));
        let refused = (0..5000).filter(|i| guesses.charge(from(*i), 0).is_err()).count();
        assert_eq!(refused, 5000 - ADDRESSES_MAX - 10);
        assert!(guesses.0.lock().len() <= ADDRESSES_MAX + 1);
        assert_eq!(guesses.charge(from(6000), OWED_NS_MAX), Ok(()));
    }
}
