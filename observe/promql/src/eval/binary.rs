//! Operators: numbers with numbers, vectors with numbers. Vectors with vectors are matched in `matching.rs`.

use std::sync::Arc;

use base_signal::NativeHistogram;

use super::column::{Series, Steps, is_missing, missing};
use super::native::Native;
use super::{Evaluated, Evaluator, Result};
use crate::syntax::{Binary, BinaryOp, Span, quote};

/// The result of an operator on two floats, and whether a comparison lets the sample through.
pub(super) fn floats(op: BinaryOp, left: f64, right: f64) -> (f64, bool) {
    match op {
        BinaryOp::Add => (left + right, true),
        BinaryOp::Sub => (left - right, true),
        BinaryOp::Mul => (left * right, true),
        BinaryOp::Div => (left / right, true),
        BinaryOp::Mod => (left % right, true),
        BinaryOp::Pow => (left.powf(right), true),
        BinaryOp::Atan2 => (left.atan2(right), true),
        BinaryOp::Equal => (left, left == right),
        BinaryOp::NotEqual => (left, left != right),
        BinaryOp::Less => (left, left < right),
        BinaryOp::LessEqual => (left, left <= right),
        BinaryOp::Greater => (left, left > right),
        BinaryOp::GreaterEqual => (left, left >= right),
        BinaryOp::TrimUpper | BinaryOp::TrimLower | BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => (left, false),
    }
}

/// Whether the result is no longer the metric it came from.
pub(super) fn drops_name(op: BinaryOp, return_bool: bool) -> bool {
    use BinaryOp::*;
    return_bool || matches!(op, Add | Sub | Mul | Div | Mod | Pow | Atan2)
}

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// Every histogram times, divided by, or trimmed at the scalar of its step.
fn scale(series: &mut Series, op: BinaryOp, scalar: &[f64]) {
    let Some(histograms) = &mut series.histograms else { return };
    for (slot, scalar) in histograms.iter_mut().zip(scalar) {
        *slot = slot.as_deref().and_then(|histogram| histogram_with_float(op, histogram, *scalar));
    }
}

pub(super) fn histogram_with_float(
    op: BinaryOp,
    histogram: &NativeHistogram,
    number: f64,
) -> Option<Arc<NativeHistogram>> {
    let mut native = Native::new(histogram);
    match op {
        BinaryOp::Mul => native.multiply(number),
        BinaryOp::Div => native.divide(number),
        BinaryOp::TrimUpper => return Some(native.trimmed(number, true).finish()),
        BinaryOp::TrimLower => return Some(native.trimmed(number, false).finish()),
        _ => return None,
    }
    Some(native.finish())
}

impl Evaluator<'_> {
    pub(super) fn binary(&mut self, binary: &Binary, span: Span, steps: &Steps) -> Result<Evaluated> {
        let op = binary.op;
        match (self.eval(&binary.left, steps)?, self.eval(&binary.right, steps)?) {
            (Evaluated::Scalar(mut left), Evaluated::Scalar(right)) => {
                for (l, r) in left.iter_mut().zip(right) {
                    let (value, holds) = floats(op, *l, r);
                    *l = if op.is_comparison() { truth(holds) } else { value };
                }
                Ok(Evaluated::Scalar(left))
            }
            (Evaluated::Series(left), Evaluated::Scalar(right)) => {
                Ok(Evaluated::Series(self.with_scalar(binary, span, left, &right, false)?))
            }
            (Evaluated::Scalar(left), Evaluated::Series(right)) => {
                Ok(Evaluated::Series(self.with_scalar(binary, span, right, &left, true)?))
            }
            (Evaluated::Series(left), Evaluated::Series(right)) if op.is_set() => {
                Ok(Evaluated::Series(self.set_operation(binary, left, right, steps)?))
            }
            (Evaluated::Series(left), Evaluated::Series(right)) => {
                Ok(Evaluated::Series(self.vectors(binary, span, left, right, steps)?))
            }
            _ => super::execution("an operator stands only between scalars and instant vectors"),
        }
    }

    fn with_scalar(
        &mut self,
        binary: &Binary,
        span: Span,
        series: Vec<Series>,
        scalar: &[f64],
        scalar_is_left: bool,
    ) -> Result<Vec<Series>> {
        let op = binary.op;
        let trims = matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
        let scales = op == BinaryOp::Mul || (!scalar_is_left && (op == BinaryOp::Div || trims));
        for step in 0..scalar.len() {
            // Of the samples at one step that cannot be, only the last is told.
            let unfit = series.iter().rev().find_map(|one| match one.histogram(step) {
                Some(_) => (!scales).then_some("histogram"),
                None => (trims && one.float(step).is_some()).then_some("float"),
            });
            if let Some(unfit) = unfit {
                let (left, right) = if scalar_is_left { ("float", unfit) } else { (unfit, "float") };
                self.info(span, incompatible_text(op, left, right));
            }
        }
        let mut out = Vec::with_capacity(series.len());
        for mut one in series {
            if scales {
                scale(&mut one, op, scalar);
            } else {
                one.histograms = None;
            }
            if trims {
                one.values.fill(missing());
            }
            for (value, scalar) in one.values.iter_mut().zip(scalar) {
                if is_missing(*value) {
                    continue;
                }
                let own = *value;
                let (result, holds) = if scalar_is_left { floats(op, *scalar, own) } else { floats(op, own, *scalar) };
                *value = if binary.return_bool {
                    truth(holds)
                } else if !holds {
                    missing()
                } else if op.is_comparison() {
                    // The vector's value stays, on whichever side it stood.
                    own
                } else {
                    result
                };
            }
            one.drop_name |= drops_name(op, binary.return_bool);
            if !one.is_empty() {
                out.push(one);
            }
        }
        Ok(out)
    }
}

pub(super) fn incompatible_text(op: BinaryOp, left: &str, right: &str) -> String {
    let op = op.as_str();
    format!("incompatible sample types encountered for binary operator {}: {left} {op} {right}", quote(op))
}
