//! Whether an upstream is well: thresholds over checks and over connections that failed. Pure; the clock is handed in.

/// So many connections refused in a row make an upstream ill, check or not.
pub(crate) const REFUSED_MAX: u32 = 3;
/// Without a check nobody would find out that it is well again: after this time it is tried.
pub(crate) const PENALTY_NS: u64 = 2_000_000_000;

/// After how many answers in a row the verdict turns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    pub(crate) healthy_after: u32,
    pub(crate) unhealthy_after: u32,
    /// Whether checks run, and so will find it well again.
    pub(crate) checked: bool,
}

/// What is known of one upstream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    ill: bool,
    /// Good answers in a row while ill, bad ones in a row while well.
    against: u32,
    refused: u32,
    /// When an unchecked one is tried again.
    until_ns: u64,
    reason: Option<String>,
    ever_checked: bool,
}

impl Health {
    /// An answer of the active check.
    pub(crate) fn checked(&mut self, thresholds: Thresholds, answer: Result<(), String>) {
        let good = answer.is_ok();
        if good {
            self.refused = 0;
        }
        if let Err(reason) = answer {
            self.reason = Some(reason);
        }
        // The first answer decides alone: there is nothing yet that it could contradict.
        let first = !std::mem::replace(&mut self.ever_checked, true);
        if good != self.ill {
            self.against = 0;
            if good {
                self.reason = None;
            }
            return;
        }
        self.against += 1;
        let needed = if self.ill { thresholds.healthy_after } else { thresholds.unhealthy_after };
        if first || self.against >= needed {
            self.ill = !good;
            self.against = 0;
            if good {
                self.reason = None;
            }
        }
    }

    /// A connection for a request could not be made.
    pub(crate) fn refused(&mut self, now_ns: u64, reason: String) {
        self.refused = self.refused.saturating_add(1);
        self.reason = Some(reason);
        if self.refused >= REFUSED_MAX {
            (self.ill, self.against) = (true, 0);
            self.until_ns = now_ns.saturating_add(PENALTY_NS);
        }
    }

    /// A connection for a request was made.
    pub(crate) fn connected(&mut self, thresholds: Thresholds) {
        self.refused = 0;
        // With a check it is the check's to say, or a port that accepts and serves nothing would flap.
        if !thresholds.checked {
            (self.ill, self.reason) = (false, None);
        }
    }

    pub(crate) fn is_well(&self, thresholds: Thresholds, now_ns: u64) -> bool {
        !self.ill || (!thresholds.checked && now_ns >= self.until_ns)
    }

    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` and `-` are answers of the check, `x` a refused connection, `c` one that was made, `.` a second that passes.
    /// The expectation has the verdict after each: `W`ell or `i`ll.
    fn check(healthy_after: u32, unhealthy_after: u32, checked: bool, events: &str, expect: &str) {
        let thresholds = Thresholds { healthy_after, unhealthy_after, checked };
        let (mut health, mut now_ns) = (Health::default(), 0);
        let mut verdicts = String::new();
        for event in events.chars() {
            match event {
                '+' => health.checked(thresholds, Ok(())),
                '-' => health.checked(thresholds, Err("500".into())),
                'x' => health.refused(now_ns, "refused".into()),
                'c' => health.connected(thresholds),
                _ => now_ns += 1_000_000_000,
            }
            verdicts.push(if health.is_well(thresholds, now_ns) { 'W' } else { 'i' });
        }
        assert_eq!(verdicts, expect, "{events}");
    }

    #[test]
    fn thresholds() {
        check(2, 3, true, "+--+---", "WWWWWWi");
        check(2, 3, true, "+----+-++", "WWWiiiiiW");
        // The first answer decides alone.
        check(2, 3, true, "-+-++", "iiiiW");
        check(1, 1, true, "+-+-", "WiWi");
        // Refused connections count without a check, and beside one.
        check(2, 3, true, "+xxx++", "WWWiiW");
        check(2, 3, true, "+xxcxx", "WWWWWW");
        check(2, 3, true, "+xxxc..", "WWWiiii");
        // Unchecked: tried again after the penalty, and ill again with the next refusal.
        check(2, 3, false, "xxx.", "WWii");
        check(2, 3, false, "xxx..x..", "WWiiWiiW");
        check(2, 3, false, "xxx..cx", "WWiiWWW");
    }

    #[test]
    fn the_reason_is_kept_while_it_is_ill() {
        let thresholds = Thresholds { healthy_after: 1, unhealthy_after: 1, checked: true };
        let mut health = Health::default();
        health.checked(thresholds, Err("it answered 500".into()));
        assert_eq!(health.reason(), Some("it answered 500"));
        health.checked(thresholds, Ok(()));
        assert_eq!(health.reason(), None);
    }
}
