//! `topk`, `bottomk`, `limitk`: series of the input, with samples only where they were chosen.

use super::aggregate::Groups;
use super::column::{Series, Steps};
use super::{Evaluator, Result, execution};
use crate::syntax::{Aggregate, AggregateOp, Span};

/// A candidate: its value and the place of its series.
type Item = (f64, usize);

impl Evaluator<'_> {
    pub(super) fn choose(&mut self, aggregate: &Aggregate, span: Span, steps: &Steps) -> Result<Vec<Series>> {
        let Some(param) = &aggregate.param else { return execution("a number of series is wanted") };
        let k = self.scalar(param, steps)?;
        let series = self.series(&aggregate.expr, steps)?;
        if aggregate.op == AggregateOp::LimitRatio {
            return self.limit_ratio(param.unwrapped().span, &k, series);
        }
        let mut series = series;
        // Infinities and NaN first: what Prometheus refuses, whatever the data.
        let largest = k.iter().copied().fold(f64::NEG_INFINITY, |a, b| if b > a { b } else { a });
        if k.iter().all(|k| !k.is_nan()) && largest < 1.0 {
            return Ok(Vec::new());
        }
        if k.iter().any(|k| k.is_nan()) {
            return execution("Parameter value is NaN");
        }
        for value in &k {
            let shown = super::functions::short(*value);
            if *value <= i64::MIN as f64 {
                return execution(format!("Scalar value {shown} underflows int64"));
            }
            if *value >= i64::MAX as f64 {
                return execution(format!("Scalar value {shown} overflows int64"));
            }
        }
        let op = aggregate.op;
        if op != AggregateOp::Limitk && series.iter().any(|one| one.histograms.is_some()) {
            self.info(span, format!("ignored histogram in {} aggregation", op.as_str()));
        }
        let groups = Groups::of(&series, &aggregate.labels, aggregate.without);
        let mut chosen = vec![Vec::new(); steps.count];
        let mut order = Vec::new();
        for (step, chosen) in chosen.iter_mut().enumerate() {
            let count = k.get(step).map_or(0, |k| *k as i64).clamp(0, series.len() as i64) as usize;
            for members in groups.members.iter().filter(|_| count > 0) {
                let picked = pick(op, count, members, &series, step);
                chosen.extend(picked.iter().map(|(_, place)| *place));
            }
            if steps.is_instant() {
                order.clone_from(chosen);
            }
            chosen.sort_unstable();
        }
        for (place, one) in series.iter_mut().enumerate() {
            for (step, chosen) in chosen.iter().enumerate() {
                if chosen.binary_search(&place).is_err() {
                    one.clear(step);
                }
            }
        }
        if steps.is_instant() {
            let mut slots: Vec<Option<Series>> = series.into_iter().map(Some).collect();
            return Ok(order.into_iter().filter_map(|place| slots.get_mut(place)?.take()).collect());
        }
        series.retain(|one| !one.is_empty());
        Ok(series)
    }
}

impl Evaluator<'_> {
    /// A part of the series of every group; since a hash decides, groups do not matter.
    fn limit_ratio(&mut self, span: Span, ratio: &[f64], mut series: Vec<Series>) -> Result<Vec<Series>> {
        if ratio.iter().all(|ratio| *ratio == 0.0) {
            return Ok(Vec::new());
        }
        if ratio.iter().any(|ratio| ratio.is_nan()) {
            return execution("Ratio value is NaN");
        }
        let largest = ratio.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let smallest = ratio.iter().copied().fold(f64::INFINITY, f64::min);
        let text = "ratio value should be between -1 and 1, got";
        if largest > 1.0 {
            self.warn(span, format!("{text} {}, capping to 1", super::functions::short(largest)));
        }
        if smallest < -1.0 {
            self.warn(span, format!("{text} {}, capping to -1", super::functions::short(smallest)));
        }
        for one in &mut series {
            for (step, ratio) in ratio.iter().enumerate() {
                if *ratio == 0.0 || !super::ratio::is_in(ratio.clamp(-1.0, 1.0), &one.labels) {
                    one.clear(step);
                }
            }
        }
        series.retain(|one| !one.is_empty());
        Ok(series)
    }
}

fn pick(op: AggregateOp, count: usize, members: &[usize], series: &[Series], step: usize) -> Vec<Item> {
    let sample = |place: &usize| series.get(*place).map(|one| (one, *place));
    if op == AggregateOp::Limitk {
        let present = members.iter().filter_map(sample).filter(|(one, _)| one.is_present(step));
        return present.take(count).map(|(_, place)| (0.0, place)).collect();
    }
    let candidates = members.iter().filter_map(sample).filter_map(|(one, place)| Some((one.float(step)?, place)));
    let smallest_on_top = op == AggregateOp::Topk;
    let mut heap = Heap { items: Vec::with_capacity(count), smallest_on_top };
    for item in candidates {
        heap.offer(item, count);
    }
    heap.into_best_first()
}

/// A binary heap whose ties fall as in Go's `container/heap`, for which of two equal series stays is visible to users.
struct Heap {
    items: Vec<Item>,
    smallest_on_top: bool,
}

impl Heap {
    fn less(&self, a: f64, b: f64) -> bool {
        a.is_nan() || if self.smallest_on_top { a < b } else { a > b }
    }

    fn offer(&mut self, item: Item, count: usize) {
        if self.items.len() < count {
            self.items.push(item);
            self.up(self.items.len() - 1);
            return;
        }
        let Some(top) = self.items.first_mut() else { return };
        let better = if self.smallest_on_top { top.0 < item.0 } else { top.0 > item.0 };
        if better || (top.0.is_nan() && !item.0.is_nan()) {
            *top = item;
            self.down();
        }
    }

    fn up(&mut self, mut child: usize) {
        while child > 0 {
            let parent = (child - 1) / 2;
            if !self.less(self.items[child].0, self.items[parent].0) {
                return;
            }
            self.items.swap(parent, child);
            child = parent;
        }
    }

    fn down(&mut self) {
        let mut parent = 0;
        loop {
            let mut child = 2 * parent + 1;
            if child >= self.items.len() {
                return;
            }
            if child + 1 < self.items.len() && self.less(self.items[child + 1].0, self.items[child].0) {
                child += 1;
            }
            if !self.less(self.items[child].0, self.items[parent].0) {
                return;
            }
            self.items.swap(parent, child);
            parent = child;
        }
    }

    /// By insertion, as Go sorts short slices: stable, the worst to the end.
    fn into_best_first(mut self) -> Vec<Item> {
        for i in 1..self.items.len() {
            let mut j = i;
            while j > 0 && self.less(self.items[j - 1].0, self.items[j].0) {
                self.items.swap(j, j - 1);
                j -= 1;
            }
        }
        self.items
    }
}
