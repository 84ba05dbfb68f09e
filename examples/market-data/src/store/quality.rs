//! Whether the feed's data can be trusted: a few rules a tick, a score over the recent ones.
//!
//! Pure: no clock, no metrics; the consumer counts what the rules find.

use std::collections::HashMap;

use crate::catalogue;
use crate::tick::Tick;

/// A price that moves further than this in one tick is suspicious.
const JUMP_MAX: f64 = 0.1;
/// A tick that was under way longer than this is stale.
const UNDER_WAY_US_MAX: i64 = 2_000_000;
/// Weight of one tick in the score: about the last thousand count.
const SCORE_WEIGHT: f64 = 0.002;

/// What can be wrong with a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    UnknownSymbol,
    Duplicate,
    OutOfOrder,
    Gap,
    Crossed,
    NotPositive,
    Jump,
    Stale,
}

impl Rule {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::UnknownSymbol => "unknown_symbol",
            Self::Duplicate => "duplicate",
            Self::OutOfOrder => "out_of_order",
            Self::Gap => "gap",
            Self::Crossed => "crossed",
            Self::NotPositive => "not_positive",
            Self::Jump => "price_jump",
            Self::Stale => "stale",
        }
    }

    /// Whether a tick that breaks this rule is still worth keeping.
    pub(crate) fn usable(self) -> bool {
        matches!(self, Self::Gap | Self::Jump | Self::Stale)
    }
}

#[derive(Debug)]
struct Last {
    sequence: u64,
    price: f64,
    at_us: i64,
}

#[derive(Debug)]
pub(crate) struct Quality {
    last: HashMap<String, Last>,
    score: f64,
}

impl Default for Quality {
    fn default() -> Self {
        Self { last: HashMap::new(), score: 1.0 }
    }
}

impl Quality {
    /// Every rule that the tick breaks; it becomes the last one of its symbol if it is newer.
    pub(crate) fn judge(&mut self, tick: &Tick, now_us: i64) -> Vec<Rule> {
        let mut broken = Vec::new();
        if catalogue::find(&tick.symbol).is_none() {
            broken.push(Rule::UnknownSymbol);
        }
        if !(tick.price.is_finite() && tick.price > 0.0) {
            broken.push(Rule::NotPositive);
        }
        if tick.bid > tick.ask {
            broken.push(Rule::Crossed);
        }
        if now_us.saturating_sub(tick.at_us) > UNDER_WAY_US_MAX {
            broken.push(Rule::Stale);
        }
        if let Some(last) = self.last.get(&tick.symbol) {
            if tick.sequence == last.sequence {
                broken.push(Rule::Duplicate);
            } else if tick.sequence < last.sequence {
                broken.push(Rule::OutOfOrder);
            } else {
                if tick.sequence > last.sequence + 1 {
                    broken.push(Rule::Gap);
                }
                if (tick.price / last.price - 1.0).abs() > JUMP_MAX {
                    broken.push(Rule::Jump);
                }
            }
        }
        let good = if broken.is_empty() { 1.0 } else { 0.0 };
        self.score += SCORE_WEIGHT * (good - self.score);
        if broken.iter().all(|rule| rule.usable()) {
            let last = Last { sequence: tick.sequence, price: tick.price, at_us: tick.at_us };
            self.last.insert(tick.symbol.clone(), last);
        }
        broken
    }

    /// A feed that starts anew counts anew.
    pub(crate) fn forget_sequences(&mut self) {
        self.last.clear();
    }

    /// 0 (nothing can be trusted) to 1.
    pub(crate) fn score(&self) -> f64 {
        self.score
    }

    /// When the last usable tick of a symbol was made.
    pub(crate) fn last_us(&self, symbol: &str) -> Option<i64> {
        self.last.get(symbol).map(|last| last.at_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks of AAPL as `sequence:price` (`bid>ask` after `x`), one after the other, and the rules each breaks.
    fn check(ticks: &str, expect: &str) {
        let mut quality = Quality::default();
        let mut seen = Vec::new();
        for word in ticks.split_whitespace() {
            let (word, crossed) = word.strip_suffix('x').map_or((word, false), |rest| (rest, true));
            let (sequence, price) = word.split_once(':').unwrap();
            let price: f64 = price.parse().unwrap();
            let tick = Tick {
                symbol: "AAPL".to_owned(),
                sequence: sequence.parse().unwrap(),
                price,
                bid: if crossed { price + 1.0 } else { price },
                ask: price,
                size: 1.0,
                at_us: 0,
            };
            let broken: Vec<&str> = quality.judge(&tick, 0).into_iter().map(Rule::name).collect();
            seen.push(if broken.is_empty() { "ok".to_owned() } else { broken.join("+") });
        }
        assert_eq!(seen.join(" "), expect, "{ticks}");
        assert_eq!(quality.score() < 1.0, expect.split(' ').any(|word| word != "ok"));
    }

    #[test]
    fn rules() {
        check("1:100 2:101 3:102", "ok ok ok");
        check("1:100 1:100 2:101", "ok duplicate ok");
        check("1:100 3:101 2:100 4:101", "ok gap out_of_order ok");
        check("1:100 2:130 3:131", "ok price_jump ok");
        check("1:100x 2:0", "crossed not_positive");
    }

    #[test]
    fn what_is_unknown_or_late_is_found() {
        let tick = |symbol: &str| Tick {
            symbol: symbol.to_owned(),
            sequence: 1,
            price: 1.0,
            bid: 1.0,
            ask: 1.0,
            size: 1.0,
            at_us: 0,
        };
        assert_eq!(Quality::default().judge(&tick("NOPE"), 0), [Rule::UnknownSymbol]);
        assert_eq!(Quality::default().judge(&tick("AAPL"), UNDER_WAY_US_MAX + 1), [Rule::Stale]);
    }
}
