//! `info(v, {…})`: the labels of info metrics, such as `target_info`, added to the series of the same `job` and `instance`.

use ahash::{HashMap, HashSet};
use std::collections::{BTreeMap, BTreeSet};

use base_signal::{Labels, MatchOp, Matcher};

use super::column::{Series, Steps, merge_same_labels};
use super::select::Wanted;
use super::{Evaluated, Evaluator, Result, execution, names};
use crate::plan::Reading;
use crate::syntax::{Call, Expr, ExprKind, Modifiers, NAME, ValueType};

/// By these an info series belongs to others.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// The info series of one base series at one step: its name, its place.
type Found = BTreeMap<String, usize>;

impl Evaluator<'_> {
    pub(super) fn info_function(&mut self, call: &Call, steps: &Steps) -> Result<Evaluated> {
        let arg = self.arg(call, 0)?;
        let base = self.series(arg, steps)?;
        let written = match call.args.get(1).map(|arg| &arg.unwrapped().kind) {
            Some(ExprKind::Selector(selector)) => selector.matchers.clone(),
            _ => Vec::new(),
        };
        let (of_name, of_data): (Vec<Matcher>, Vec<Matcher>) = written.into_iter().partition(|m| m.name == NAME);
        let of_name = name_matchers(of_name)?;
        let is_info = |one: &Series| of_name.iter().all(|m| m.matches(names::metric_name(&one.labels)));
        let ignored: Vec<bool> = base.iter().map(is_info).collect();
        let mut info = Vec::new();
        let reading = self.info_reading(arg.unwrapped())?;
        for mut matchers in
            identifying(base.iter().zip(&ignored).filter(|(_, ignored)| !**ignored).map(|(one, _)| one))?
        {
            matchers.extend(of_data.iter().cloned());
            matchers.extend(of_name.iter().cloned());
            info.extend(self.selected(&matchers, reading, steps, Wanted::FloatTime)?);
        }
        self.enriched(base, &ignored, &info, &of_data, steps)
    }

    /// The matching info series at each step, then the base series with their labels.
    fn enriched(
        &mut self,
        base: Vec<Series>,
        ignored: &[bool],
        info: &[Series],
        of_data: &[Matcher],
        steps: &Steps,
    ) -> Result<Evaluated> {
        let wanted: HashSet<&str> = of_data.iter().map(|m| m.name.as_str()).collect();
        let must_match = of_data.iter().any(|m| !m.matches(""));
        let mut by_identity: HashMap<Labels, Vec<usize>> = HashMap::default();
        for (place, one) in info.iter().enumerate() {
            by_identity.entry(identity(&one.labels)).or_default().push(place);
        }
        // Checked for all, whether or not a base series meets them.
        for step in 0..steps.count {
            if base.iter().any(|one| one.is_present(step)) {
                by_identity.values().try_for_each(|places| newest(info, places, step).map(|_| ()))?;
            }
        }
        let mut out: Vec<Series> = Vec::new();
        for (one, ignored) in base.into_iter().zip(ignored) {
            let places = by_identity.get(&identity(&one.labels)).filter(|_| !ignored);
            let Some(places) = places else {
                if *ignored || !must_match {
                    out.push(one);
                }
                continue;
            };
            // One result for each set of info series that is met over the steps.
            let mut results: HashMap<Found, usize> = HashMap::default();
            for step in (0..steps.count).filter(|step| one.is_present(*step)) {
                let found = newest(info, places, step)?;
                if found.is_empty() && must_match {
                    continue;
                }
                let place = match results.get(&found) {
                    Some(place) => *place,
                    None => {
                        let mut column = self.column(with_info(&one.labels, &found, info, &wanted)?, steps)?;
                        column.drop_name = one.drop_name;
                        out.push(column);
                        results.insert(found, out.len() - 1);
                        out.len() - 1
                    }
                };
                let Some(slot) = out.get_mut(place) else { continue };
                match (one.histogram(step), one.float(step)) {
                    (Some(histogram), _) => slot.set_histogram(step, histogram.clone()),
                    (None, Some(value)) => slot.values[step] = value,
                    (None, None) => {}
                }
            }
        }
        Ok(Evaluated::Series(merge_same_labels(out)?))
    }

    /// Info series are read where the first argument is, if all of it is read at one place.
    fn info_reading(&self, arg: &Expr) -> Result<Reading> {
        let mut seen = Seen::default();
        self.references(arg, &mut Vec::new(), &mut seen)?;
        Ok(match (seen.first, seen.uniform) {
            (Some(reading), true) => reading,
            _ => Reading { fixed_ms: None, offset_ms: 0 },
        })
    }

    /// Whether there is a selector within; what it reads is noted.
    fn references<'e>(&self, expr: &'e Expr, path: &mut Vec<&'e Modifiers>, seen: &mut Seen) -> Result<bool> {
        if !matches!(expr.value_type(), ValueType::Vector | ValueType::Matrix) {
            return Ok(false);
        }
        let own = match &expr.kind {
            ExprKind::Selector(selector) => Some(&selector.modifiers),
            ExprKind::Range(range) => Some(&range.selector.modifiers),
            _ => None,
        };
        if let Some(modifiers) = own {
            let mut reading = self.modifiers(modifiers)?;
            for outer in path.iter().rev() {
                if reading.fixed_ms.is_some() {
                    break;
                }
                let outer = self.modifiers(outer)?;
                reading = Reading { fixed_ms: outer.fixed_ms, offset_ms: reading.offset_ms + outer.offset_ms };
            }
            seen.see(reading);
            return Ok(true);
        }
        if let ExprKind::Subquery(subquery) = &expr.kind {
            path.push(&subquery.modifiers);
        }
        let mut any = false;
        let only_first = matches!(&expr.kind, ExprKind::Call(call) if call.function.name == "info");
        for child in expr.children().into_iter().take(if only_first { 1 } else { usize::MAX }) {
            any |= self.references(child, path, seen)?;
        }
        if matches!(expr.kind, ExprKind::Subquery(_)) {
            path.pop();
        }
        // What reads nothing stands at the step itself.
        seen.uniform &= any;
        Ok(any)
    }
}

/// Where selectors read.
#[derive(Debug)]
struct Seen {
    first: Option<Reading>,
    uniform: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Seen { first: None, uniform: true }
    }
}

impl Seen {
    fn see(&mut self, reading: Reading) {
        let same = |a: Reading, b: Reading| match (a.fixed_ms, b.fixed_ms) {
            (Some(left), Some(right)) => left - a.offset_ms == right - b.offset_ms,
            (None, None) => a.offset_ms == b.offset_ms,
            _ => false,
        };
        match self.first {
            None => self.first = Some(reading),
            Some(first) => self.uniform &= same(first, reading),
        }
    }
}

/// `target_info` unless the name is asked for; of what is only asked not to be, all that end in `_info`.
fn name_matchers(mut written: Vec<Matcher>) -> Result<Vec<Matcher>> {
    if written.is_empty() {
        return Ok(vec![matcher(MatchOp::Equal, NAME, "target_info")?]);
    }
    if !written.iter().any(|m| matches!(m.op, MatchOp::Equal | MatchOp::Regex)) {
        written.insert(0, matcher(MatchOp::Regex, NAME, ".+_info")?);
    }
    Ok(written)
}

fn matcher(op: MatchOp, name: &str, value: &str) -> Result<Matcher> {
    Matcher::new(name, op, value).or_else(|why| execution(why.to_string()))
}

fn identity(labels: &Labels) -> Labels {
    labels.without(|name| !IDENTIFYING.contains(&name))
}

/// For each set of identifying labels that series have, matchers of the values seen.
fn identifying<'s>(base: impl Iterator<Item = &'s Series>) -> Result<Vec<Vec<Matcher>>> {
    let mut seen: BTreeMap<[bool; 2], [BTreeSet<&str>; 2]> = BTreeMap::new();
    for one in base {
        let values = IDENTIFYING.map(|name| one.labels.get(name).unwrap_or_default());
        let present = values.map(|value| !value.is_empty());
        if present != [false, false] {
            let sets = seen.entry(present).or_default();
            sets.iter_mut().zip(values).for_each(|(set, value)| {
                set.insert(value);
            });
        }
    }
    let mut out = Vec::new();
    for (present, sets) in seen {
        let mut matchers = Vec::new();
        for ((name, present), set) in IDENTIFYING.into_iter().zip(present).zip(sets) {
            matchers.push(match present {
                false => matcher(MatchOp::Equal, name, "")?,
                true => {
                    let any: Vec<String> = set.into_iter().map(regex::escape).collect();
                    matcher(MatchOp::Regex, name, &any.join("|"))?
                }
            });
        }
        out.push(matchers);
    }
    Ok(out)
}

/// The info series of one identity at a step, by name; of two of one name, the one with the newer sample.
fn newest(info: &[Series], places: &[usize], step: usize) -> Result<Found> {
    let mut found = Found::new();
    for place in places {
        if let Some(one) = info.get(*place).filter(|one| one.histogram(step).is_some()) {
            let shown = names::show(&one.labels);
            return execution(format!("this should be an info metric, with float samples: {shown}"));
        }
        let Some((one, time_s)) = info.get(*place).and_then(|one| Some((one, one.float(step)?))) else { continue };
        let name = names::metric_name(&one.labels).to_owned();
        let Some(before) = found.get(&name).and_then(|before| info.get(*before)) else {
            found.insert(name, *place);
            continue;
        };
        let before_s = before.float(step).unwrap_or(f64::NAN);
        if before_s == time_s {
            let time_ms = (time_s * 1000.0).round() as i64;
            return execution(format!(
                "found duplicate series for info metric: existing {} @ {time_ms}, new {} @ {time_ms}",
                names::show(&before.labels),
                names::show(&one.labels)
            ));
        }
        if before_s < time_s {
            found.insert(name, *place);
        }
    }
    Ok(found)
}

fn with_info(labels: &Labels, found: &Found, info: &[Series], wanted: &HashSet<&str>) -> Result<Labels> {
    let mut added: BTreeMap<&str, &str> = BTreeMap::new();
    for one in found.values().filter_map(|place| info.get(*place)) {
        for (name, value) in one.labels.iter() {
            if name == NAME || (!wanted.is_empty() && !wanted.contains(name)) {
                continue;
            }
            if added.get(name).is_some_and(|before| *before != value) {
                return execution(format!("conflicting label: {name}"));
            }
            if labels.get(name).is_none() {
                added.insert(name, value);
            }
        }
    }
    let mut builder = labels.to_builder();
    for (name, value) in added {
        builder.set(name, value);
    }
    Ok(builder.build())
}
