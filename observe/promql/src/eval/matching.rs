//! Vectors with vectors: which series of one side meets which of the other is found once, from labels; what changes from
//! step to step is only which of them have a sample.

use ahash::{HashMap, HashSet};
use std::sync::Arc;

use base_signal::{CounterReset, Labels, NativeHistogram};

use super::binary::{drops_name, floats, histogram_with_float};
use super::column::{Series, Steps, merge_same_labels};
use super::native::{self, Native};
use super::{Evaluator, Result, execution, names, no_histograms};
use crate::syntax::{Binary, BinaryOp, Cardinality, Matching, Span, quote};

/// The series of both sides that share the labels that must match.
#[derive(Default)]
struct Group {
    left: Vec<usize>,
    right: Vec<usize>,
}

fn match_groups(left: &[Series], right: &[Series], matching: &Matching) -> Vec<Group> {
    let mut places: HashMap<Labels, usize> = HashMap::default();
    let mut groups: Vec<Group> = Vec::new();
    for (side, series) in [left, right].into_iter().enumerate() {
        for (i, one) in series.iter().enumerate() {
            let labels = names::match_labels(&one.labels, &matching.labels, matching.on);
            let place = *places.entry(labels).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Group::default());
            }
            let group = &mut groups[place];
            if side == 0 { group.left.push(i) } else { group.right.push(i) }
        }
    }
    groups
}

/// One of the two samples an operator works on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Series(usize),
    /// Nothing there: the value of `fill`.
    Filled,
}

impl Evaluator<'_> {
    pub(super) fn set_operation(
        &mut self,
        binary: &Binary,
        mut left: Vec<Series>,
        mut right: Vec<Series>,
        steps: &Steps,
    ) -> Result<Vec<Series>> {
        for group in match_groups(&left, &right, &binary.matching) {
            let any = |series: &[Series], members: &[usize], step: usize| {
                members.iter().filter_map(|i| series.get(*i)).any(|one| one.is_present(step))
            };
            for step in 0..steps.count {
                let drop_left = match binary.op {
                    BinaryOp::And => !any(&right, &group.right, step),
                    BinaryOp::Unless => any(&right, &group.right, step),
                    _ => false,
                };
                let drop_right = binary.op != BinaryOp::Or || any(&left, &group.left, step);
                for (series, members, dropped) in
                    [(&mut left, &group.left, drop_left), (&mut right, &group.right, drop_right)]
                {
                    for i in members.iter().filter(|_| dropped) {
                        if let Some(one) = series.get_mut(*i) {
                            one.clear(step);
                        }
                    }
                }
            }
        }
        left.append(&mut right);
        merge_same_labels(left)
    }

    /// Arithmetic and comparison of two vectors.
    pub(super) fn vectors(
        &mut self,
        binary: &Binary,
        span: Span,
        left: Vec<Series>,
        right: Vec<Series>,
        steps: &Steps,
    ) -> Result<Vec<Series>> {
        let groups = match_groups(&left, &right, &binary.matching);
        // From here the right side is the "one" side; `group_right` is told apart only where values are computed.
        let swapped = binary.matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let mut join = Join { binary, span, swapped, many, one, pairs: HashMap::default(), out: Vec::new() };
        let groups: Vec<Group> = groups
            .into_iter()
            .map(|group| if swapped { Group { left: group.right, right: group.left } } else { group })
            .collect();
        for step in 0..steps.count {
            join.refuse_duplicates(&groups, step)?;
        }
        for group in &groups {
            join.group(self, group, steps)?;
        }
        merge_same_labels(join.out)
    }
}

struct Join<'e> {
    binary: &'e Binary,
    span: Span,
    swapped: bool,
    many: Vec<Series>,
    one: Vec<Series>,
    /// The result series of a pair.
    pairs: HashMap<(Side, Side), usize>,
    out: Vec<Series>,
}

impl Join<'_> {
    fn group(&mut self, evaluator: &mut Evaluator<'_>, group: &Group, steps: &Steps) -> Result<()> {
        // `fill_left` speaks of the "many" side even under `group_right`: so does Prometheus.
        let matching = &self.binary.matching;
        let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
        let fills = fill_many.is_some() || fill_one.is_some();
        if (group.left.is_empty() || group.right.is_empty()) && !fills {
            return Ok(());
        }
        // Two results of one group may end up with the same labels only when there are two pairs.
        let several = group.left.len() > 1;
        for step in 0..steps.count {
            let present = |series: &[Series], i: usize| series.get(i).is_some_and(|one| one.is_present(step));
            let one = group.right.iter().copied().find(|i| present(&self.one, *i));
            let mut matched = false;
            let mut seen: HashSet<Labels> = HashSet::default();
            for many in group.left.iter().copied() {
                if !present(&self.many, many) {
                    continue;
                }
                let one = match (one, fill_one) {
                    (Some(one), _) => Side::Series(one),
                    (None, Some(_)) => Side::Filled,
                    (None, None) => break,
                };
                let place = self.pair(evaluator, Side::Series(many), one, steps)?;
                let first = !matched;
                if self.compute(evaluator, (Side::Series(many), one), place, step)? {
                    matched = true;
                    self.check_unique(first, several, place, &mut seen)?;
                }
            }
            if let (Some(one), Some(_), false) = (one, fill_many, matched) {
                let one = Side::Series(one);
                let place = self.pair(evaluator, Side::Filled, one, steps)?;
                self.compute(evaluator, (Side::Filled, one), place, step)?;
            }
        }
        Ok(())
    }

    /// At one step a match may give one result, or with `group_left` results that differ in labels.
    fn check_unique(&self, first: bool, several: bool, place: usize, seen: &mut HashSet<Labels>) -> Result<()> {
        if !several {
            return Ok(());
        }
        if self.binary.matching.cardinality == Cardinality::OneToOne {
            if first {
                return Ok(());
            }
            return execution(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
            );
        }
        let labels = self.out.get(place).map(|series| series.labels.clone());
        if !labels.is_none_or(|labels| seen.insert(labels)) {
            return execution("multiple matches for labels: grouping labels must ensure unique matches");
        }
        Ok(())
    }

    /// The "one" side may have one sample a group, unless there is nothing on the other side to meet it at all.
    fn refuse_duplicates(&self, groups: &[Group], step: usize) -> Result<()> {
        let matching = &self.binary.matching;
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        let present = |series: &[Series], i: usize| series.get(i).is_some_and(|one| one.is_present(step));
        for group in groups.iter().filter(|group| group.right.len() > 1) {
            let mut ones = group.right.iter().copied().filter(|i| present(&self.one, *i));
            if let (Some(first), Some(second)) = (ones.next(), ones.next())
                && (fills || self.many.iter().any(|many| many.is_present(step)))
            {
                return self.duplicate(first, second);
            }
        }
        Ok(())
    }

    fn duplicate(&self, first: usize, second: usize) -> Result<()> {
        let matching = &self.binary.matching;
        let (Some(first), Some(second)) = (self.one.get(first), self.one.get(second)) else { return Ok(()) };
        let group = names::match_labels(&second.labels, &matching.labels, matching.on);
        let mut shown = [names::show(&first.labels), names::show(&second.labels)];
        shown.sort();
        let [first, second] = shown;
        let side = if self.swapped { "left" } else { "right" };
        execution(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{first}, {second}]\
             ;many-to-many matching not allowed: matching labels must be unique on one side",
            names::show(&group)
        ))
    }

    fn labels(&self, many: Side, one: Side) -> Labels {
        let matching = &self.binary.matching;
        let own = |side: Side, series: &[Series]| match side {
            Side::Series(i) => series.get(i).map(|one| one.labels.clone()),
            Side::Filled => None,
        };
        let group = |labels: &Labels| names::match_labels(labels, &matching.labels, matching.on);
        let (many, one) = match (own(many, &self.many), own(one, &self.one)) {
            (Some(many), Some(one)) => (many, one),
            (Some(many), None) => {
                let one = group(&many);
                (many, one)
            }
            (None, Some(one)) => (group(&one), one),
            (None, None) => return Labels::empty(),
        };
        let mut labels = many;
        if drops_name(self.binary.op, self.binary.return_bool) {
            labels = names::without_name(&labels);
        }
        if matching.cardinality == Cardinality::OneToOne {
            let named = |name: &str| matching.labels.iter().any(|n| n == name);
            labels = labels.without(|name| named(name) != matching.on);
        }
        if matching.include.is_empty() {
            return labels;
        }
        let mut builder = labels.to_builder();
        for name in &matching.include {
            // An empty value removes the label.
            builder.set(name.clone(), one.get(name).unwrap_or_default());
        }
        builder.build()
    }

    /// The place of the pair's result series.
    fn pair(&mut self, evaluator: &Evaluator<'_>, many: Side, one: Side, steps: &Steps) -> Result<usize> {
        if let Some(place) = self.pairs.get(&(many, one)) {
            return Ok(*place);
        }
        let labels = self.labels(many, one);
        let place = self.out.len();
        self.out.push(evaluator.column(labels, steps)?);
        self.pairs.insert((many, one), place);
        Ok(place)
    }

    /// Writes the result of one pair at one step; false when the operator has none for such samples.
    fn compute(
        &mut self,
        evaluator: &mut Evaluator<'_>,
        (many, one): (Side, Side),
        place: usize,
        step: usize,
    ) -> Result<bool> {
        let matching = &self.binary.matching;
        let (many_series, one_series) = (side(many, &self.many), side(one, &self.one));
        let (left_series, right_series) =
            if self.swapped { (one_series, many_series) } else { (many_series, one_series) };
        let histogram = |series: Option<&Series>| series.is_some_and(|s| s.histogram(step).is_some());
        let (left_histogram, right_histogram) = (histogram(left_series), histogram(right_series));
        let op = self.binary.op;
        if let (Some(left), Some(right), BinaryOp::Equal | BinaryOp::NotEqual) =
            (left_series.and_then(|s| s.histogram(step)), right_series.and_then(|s| s.histogram(step)), op)
        {
            let holds = Native::new(left).equals(&Native::new(right)) == (op == BinaryOp::Equal);
            if let Some(slot) = self.out.get_mut(place) {
                if self.binary.return_bool {
                    slot.values[step] = f64::from(u8::from(holds));
                } else if holds {
                    slot.set_histogram(step, left.clone());
                }
            }
            return Ok(true);
        }
        if let (Some(left), Some(right)) = (left_series, right_series)
            && let Some(result) = self.histograms(evaluator, (left, right), step)?
        {
            if let Some(slot) = self.out.get_mut(place) {
                slot.set_histogram(step, result);
            }
            return Ok(true);
        }
        if left_histogram || right_histogram {
            let float_only = match (left_histogram, right_histogram) {
                (true, true) => !matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Equal | BinaryOp::NotEqual),
                (true, false) => {
                    !matches!(op, BinaryOp::Mul | BinaryOp::Div | BinaryOp::TrimLower | BinaryOp::TrimUpper)
                }
                _ => op != BinaryOp::Mul,
            };
            if !float_only {
                return no_histograms(&format!("operator {}", quote(op.as_str())));
            }
            let name = |histogram| if histogram { "histogram" } else { "float" };
            evaluator.incompatible(op, self.span, name(left_histogram), name(right_histogram));
            return Ok(false);
        }
        if matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper) {
            evaluator.incompatible(op, self.span, "float", "float");
            return Ok(false);
        }
        let many = many_series.map_or(matching.fill_left, |s| s.float(step));
        let one = one_series.map_or(matching.fill_right, |s| s.float(step));
        let (left, right) = if self.swapped { (one, many) } else { (many, one) };
        let (Some(left), Some(right)) = (left, right) else { return Ok(false) };
        let (value, holds) = floats(op, left, right);
        let value = if self.binary.return_bool { f64::from(u8::from(holds)) } else { value };
        if (holds || self.binary.return_bool)
            && let Some(slot) = self.out.get_mut(place).and_then(|series| series.values.get_mut(step))
        {
            *slot = value;
        }
        Ok(true)
    }
}

impl Join<'_> {
    /// Arithmetic that histograms are good for; `None` for all else.
    fn histograms(
        &self,
        evaluator: &mut Evaluator<'_>,
        (left, right): (&Series, &Series),
        step: usize,
    ) -> Result<Option<Arc<NativeHistogram>>> {
        let op = self.binary.op;
        let numbers = (left.float(step), right.float(step));
        Ok(match (left.histogram(step), right.histogram(step), numbers) {
            (Some(left), None, (_, Some(number))) if matches!(op, BinaryOp::Mul | BinaryOp::Div) => {
                histogram_with_float(op, left, number)
            }
            (None, Some(right), (Some(number), _)) if op == BinaryOp::Mul => histogram_with_float(op, right, number),
            (Some(left), Some(right), _) if matches!(op, BinaryOp::Add | BinaryOp::Sub) => {
                let (mut result, other) = (Native::new(left), Native::new(right));
                let done = if op == BinaryOp::Add { result.add(&other) } else { result.subtract(&other) };
                if done.is_err() {
                    return no_histograms(&format!("operator {} with buckets that differ", quote(op.as_str())));
                }
                if native::hints_collide([left.as_ref(), right.as_ref()].into_iter()) {
                    let what = if op == BinaryOp::Add { "addition" } else { "subtraction" };
                    evaluator.warn(self.span, format!("conflicting counter resets during histogram {what}"));
                }
                if op == BinaryOp::Sub {
                    result.hint = CounterReset::Gauge;
                }
                Some(result.finish())
            }
            _ => None,
        })
    }
}

fn side(side: Side, series: &[Series]) -> Option<&Series> {
    match side {
        Side::Series(i) => series.get(i),
        Side::Filled => None,
    }
}
