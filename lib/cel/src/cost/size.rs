//! Sizes and costs as whole numbers that stop at the greatest one. Knows no expression.

/// From how many elements to how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub min: u64,
    pub max: u64,
}

impl Size {
    pub(super) const UNKNOWN: Size = Size { min: 0, max: u64::MAX };

    pub fn fixed(count: u64) -> Size {
        Size { min: count, max: count }
    }

    /// None to so many.
    pub fn up_to(max: u64) -> Size {
        Size { min: 0, max }
    }

    pub(super) fn union(self, other: Size) -> Size {
        Size { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    pub(super) fn plus(self, other: Size) -> Size {
        Size { min: add(self.min, other.min), max: add(self.max, other.max) }
    }

    pub(super) fn product(self, other: Size) -> Size {
        Size { min: times(self.min, other.min), max: times(self.max, other.max) }
    }
}

pub(super) fn add(one: u64, other: u64) -> u64 {
    one.saturating_add(other)
}

pub(super) fn times(one: u64, other: u64) -> u64 {
    one.saturating_mul(other)
}

/// So many units, each of this cost, rounded up.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "cel-go computes it so, and a cast stops at both ends"
)]
pub(super) fn factor(units: u64, cost: f64) -> u64 {
    (units as f64 * cost).ceil() as u64
}
