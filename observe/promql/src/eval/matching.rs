//! Vectors with vectors: which series of one side meets which of the other is found once, from labels; what changes from
//! step to step is only which of them have a sample.

use ahash::{HashMap, HashSet};
use std::sync::Arc;

use base_signal::{CounterReset, Labels, NativeHistogram};

use super::binary::{drops_name, floats, histogram_with_float};
use super::column::{Series, Steps, merge_same_labels};
use super::native::Native;
use super::{Evaluator, Result, execution, names};
use crate::syntax::{Binary, BinaryOp, Cardinality, Matching, Span};

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
        let said = (0..steps.count).map(|_| None).collect();
        let mut join = Join { binary, swapped, many, one, pairs: HashMap::default(), said, out: Vec::new() };
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
        for (_, said) in join.said.into_iter().flatten() {
            match said {
                Said::Warning(text) => self.warn(span, text),
                Said::Info(text) => self.info(span, text),
            }
        }
        merge_same_labels(join.out)
    }
}

struct Join<'e> {
    binary: &'e Binary,
    swapped: bool,
    many: Vec<Series>,
    one: Vec<Series>,
    /// The result series of a pair.
    pairs: HashMap<(Side, Side), usize>,
    /// The last thing to say at each step, with its place in the order of the samples.
    said: Vec<Option<(usize, Said)>>,
    out: Vec<Series>,
}

impl Join<'_> {
    fn group(&mut self, evaluator: &Evaluator<'_>, group: &Group, steps: &Steps) -> Result<()> {
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
                if self.compute((Side::Series(many), one), place, step)? {
                    matched = true;
                    self.check_unique(first, several, place, &mut seen)?;
                }
            }
            if let (Some(one), Some(_), false) = (one, fill_many, matched) {
                let one = Side::Series(one);
                let place = self.pair(evaluator, Side::Filled, one, steps)?;
                self.compute((Side::Filled, one), place, step)?;
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
        // Of several, the one that shows first when the "one" side is read.
        let duplicates = groups.iter().filter(|group| group.right.len() > 1).filter_map(|group| {
            let mut ones = group.right.iter().copied().filter(|i| present(&self.one, *i));
            Some((ones.next()?, ones.next()?))
        });
        match duplicates.min_by_key(|(_, second)| *second) {
            Some((first, second)) if fills || self.many.iter().any(|many| many.is_present(step)) => {
                self.duplicate(first, second)
            }
            _ => Ok(()),
        }
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
        if drops_name(self.binary.op, false) {
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
        let mut column = evaluator.column(labels, steps)?;
        column.drop_name = self.binary.return_bool;
        self.out.push(column);
        self.pairs.insert((many, one), place);
        Ok(place)
    }

    /// Writes the result of one pair at one step; false when the operator has none for such samples.
    fn compute(&mut self, (many, one): (Side, Side), place: usize, step: usize) -> Result<bool> {
        let matching = &self.binary.matching;
        let (many_series, one_series) = (side(many, &self.many), side(one, &self.one));
        let (left_series, right_series) =
            if self.swapped { (one_series, many_series) } else { (many_series, one_series) };
        let order = match (many, one) {
            (Side::Series(place), _) => place,
            (Side::Filled, Side::Series(place)) => self.many.len() + place,
            (Side::Filled, Side::Filled) => usize::MAX,
        };
        let value = |series: Option<&Series>, fill: Option<f64>| match series {
            Some(series) => match series.histogram(step) {
                Some(histogram) => Some(Operand::Histogram(histogram.clone())),
                None => series.float(step).map(Operand::Float),
            },
            None => fill.map(Operand::Float),
        };
        let (left_fill, right_fill) = match self.swapped {
            true => (matching.fill_right, matching.fill_left),
            false => (matching.fill_left, matching.fill_right),
        };
        let (Some(left), Some(right)) = (value(left_series, left_fill), value(right_series, right_fill)) else {
            return Ok(false);
        };
        let result = operate(self.binary.op, &left, &right);
        if let Some(said) = result.said
            && let Some(last) = self.said.get_mut(step)
            && last.as_ref().is_none_or(|(before, _)| *before <= order)
        {
            *last = Some((order, said));
        }
        let Some((operand, holds)) = result.value else { return Ok(false) };
        if let Some(slot) = self.out.get_mut(place) {
            match operand {
                _ if self.binary.return_bool => slot.values[step] = f64::from(u8::from(holds)),
                Operand::Float(value) if holds => slot.values[step] = value,
                Operand::Histogram(histogram) if holds => slot.set_histogram(step, histogram),
                _ => {}
            }
        }
        Ok(true)
    }
}

/// A sample as an operator sees it.
enum Operand {
    Float(f64),
    Histogram(Arc<NativeHistogram>),
}

/// What an operator made of two samples.
struct Operated {
    /// With whether a comparison lets it through; `None` when there is no such operation.
    value: Option<(Operand, bool)>,
    said: Option<Said>,
}

/// What is said of an operation. Of all at one step, only the last is told.
enum Said {
    Warning(String),
    Info(String),
}

fn operate(op: BinaryOp, left: &Operand, right: &Operand) -> Operated {
    use Operand::{Float, Histogram};
    let done = |histogram: Arc<NativeHistogram>| Operated { value: Some((Histogram(histogram), true)), said: None };
    let incompatible = |left: &str, right: &str| Operated {
        value: None,
        said: Some(Said::Info(super::binary::incompatible_text(op, left, right))),
    };
    match (left, right) {
        (Float(_), Float(_)) if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) => {
            incompatible("float", "float")
        }
        (Float(left), Float(right)) => {
            let (value, holds) = floats(op, *left, *right);
            Operated { value: Some((Float(value), holds)), said: None }
        }
        (Float(number), Histogram(histogram)) => match op {
            BinaryOp::Mul => {
                histogram_with_float(op, histogram, *number).map_or(incompatible("float", "histogram"), done)
            }
            _ => incompatible("float", "histogram"),
        },
        (Histogram(histogram), Float(number)) => match op {
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::TrimUpper | BinaryOp::TrimLower => {
                histogram_with_float(op, histogram, *number).map_or(incompatible("histogram", "float"), done)
            }
            _ => incompatible("histogram", "float"),
        },
        (Histogram(left), Histogram(right)) => match op {
            BinaryOp::Equal | BinaryOp::NotEqual => {
                let holds = Native::new(left).equals(&Native::new(right)) == (op == BinaryOp::Equal);
                Operated { value: Some((Histogram(left.clone()), holds)), said: None }
            }
            BinaryOp::Add | BinaryOp::Sub => combined(op, left, right),
            _ => incompatible("histogram", "histogram"),
        },
    }
}

fn combined(op: BinaryOp, left: &NativeHistogram, right: &NativeHistogram) -> Operated {
    let (mut result, other) = (Native::new(left), Native::new(right));
    let (done, what) = match op {
        BinaryOp::Add => (result.add(&other), "addition"),
        _ => (result.subtract(&other), "subtraction"),
    };
    let Ok(told) = done else {
        let text = format!("incompatible bucket layout encountered for binary operator {}", op.as_str());
        return Operated { value: None, said: Some(Said::Warning(text)) };
    };
    if told.hints_collided {
        let text = format!("conflicting counter resets during histogram {what}");
        return Operated { value: None, said: Some(Said::Warning(text)) };
    }
    if op == BinaryOp::Sub {
        result.hint = CounterReset::Gauge;
    }
    let said =
        told.bounds_differed.then(|| Said::Info(format!("mismatched custom buckets were reconciled during {what}")));
    Operated { value: Some((Operand::Histogram(result.finish()), true)), said }
}

fn side(side: Side, series: &[Series]) -> Option<&Series> {
    match side {
        Side::Series(i) => series.get(i),
        Side::Filled => None,
    }
}
