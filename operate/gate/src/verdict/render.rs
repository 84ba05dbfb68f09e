//! A verdict as text for a terminal: its sentence, then a table. Decides nothing and writes to nothing.

use super::{Judged, Layer, Mark, Outcome, Verdict, numbers};

impl Verdict {
    /// One sentence, an aligned table, the scores and the notes; ends in a newline. No colours.
    pub fn render(&self) -> String {
        let mut text = format!("{}\n\n", self.sentence);
        let mut rows = vec![["", "metric", "new", "old", "change", "p", "weight"].map(str::to_owned)];
        rows.extend(self.metrics.iter().map(row));
        table(&rows, &mut text);
        let scores: Vec<String> = self
            .layers
            .iter()
            .map(|layer| {
                let score = layer.score.map_or("unknown".into(), |score| format!("{score:.0}"));
                format!("{} {score}", layer.layer.name())
            })
            .collect();
        text.push_str(&format!("\nhealth: {}\n", scores.join(", ")));
        if self.outcome == Outcome::Fail && self.hurt_ms > 0 {
            text.push_str(&format!("people were hurt for {}\n", crate::duration::written(self.hurt_ms / 1000 * 1000)));
        }
        for note in &self.notes {
            text.push_str(&format!("note: {note}\n"));
        }
        text
    }
}

fn row(metric: &Judged) -> [String; 7] {
    let number = |value: Option<f64>| value.map_or("-".into(), |value| numbers::value(metric.unit, value));
    let sign = if metric.outcome == Mark::Low { -1.0 } else { 1.0 };
    [
        metric.outcome.name().into(),
        format!("{}{}", metric.name, if metric.critical { " *" } else { "" }),
        number(metric.new),
        number(metric.old),
        metric.effect.map_or("-".into(), |effect| numbers::difference(metric.unit, sign * effect)),
        metric.p_value.map_or("-".into(), |p| numbers::chance(p).replace("p ", "").replace("= ", "")),
        format!("{:.0}", metric.weight),
    ]
}

/// Words to the left, numbers to the right.
fn table(rows: &[[String; 7]], text: &mut String) {
    let width = |column: usize| rows.iter().map(|row| row.get(column).map_or(0, |cell| cell.chars().count())).max();
    let widths: Vec<usize> = (0..7).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count());
            line.push_str(&if column < 2 { format!("{cell}{gap}  ") } else { format!("{gap}{cell}  ") });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

impl Mark {
    /// As in the table.
    pub fn name(self) -> &'static str {
        match self {
            Mark::Pass => "pass",
            Mark::High => "HIGH",
            Mark::Low => "LOW",
            Mark::Unsure => "unsure",
            Mark::NoData => "no data",
            Mark::Unknown => "unknown",
        }
    }
}

impl Layer {
    pub fn name(self) -> &'static str {
        match self {
            Layer::Service => "service",
            Layer::Container => "container",
            Layer::Host => "host",
            Layer::Checks => "checks",
        }
    }
}
