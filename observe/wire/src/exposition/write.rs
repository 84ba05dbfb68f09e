//! From families to text, for `/metrics` and federation. The caller keeps the samples of a family together.

use std::fmt::Write;

use base_signal::MetricKind;

use super::Format;

/// Writes families in turn; [`TextWriter::finish`] ends the text.
#[derive(Debug)]
pub struct TextWriter {
    format: Format,
    text: String,
}

/// An exemplar to write beside a sample; only OpenMetrics shows it.
#[derive(Clone, Copy, Debug)]
pub struct ExemplarOf<'a> {
    pub labels: &'a [(&'a str, &'a str)],
    pub value: f64,
    pub time_ms: Option<i64>,
}

impl TextWriter {
    pub fn new(format: Format) -> Self {
        TextWriter { format, text: String::new() }
    }

    /// Opens a family. `name` is the one its samples carry, for counters with `_total`.
    pub fn family(&mut self, name: &str, kind: MetricKind, help: &str) -> &mut Self {
        let open = self.format == Format::OpenMetrics;
        // OpenMetrics names a counter's family without its suffix.
        let family =
            if open && kind == MetricKind::Counter { name.strip_suffix("_total").unwrap_or(name) } else { name };
        let word = match kind {
            MetricKind::Unknown if !open => "untyped",
            MetricKind::Info | MetricKind::StateSet | MetricKind::GaugeHistogram if !open => "gauge",
            kind => kind.as_str(),
        };
        if !help.is_empty() {
            let _ = write!(self.text, "# HELP {family} ");
            escape(&mut self.text, help, open);
            self.text.push('\n');
        }
        let _ = writeln!(self.text, "# TYPE {family} {word}");
        self
    }

    /// Writes a sample of the family that was opened last; `name` has its suffix (`_bucket`, `_total`).
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.sample_with(name, labels, value, None, None)
    }

    pub fn sample_with(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        value: f64,
        time_ms: Option<i64>,
        exemplar: Option<ExemplarOf<'_>>,
    ) -> &mut Self {
        self.text.push_str(name);
        if !labels.is_empty() {
            self.pairs(labels);
        }
        let _ = write!(self.text, " {}", format_float(value));
        self.time(time_ms);
        if let (Some(exemplar), Format::OpenMetrics) = (exemplar, self.format) {
            self.text.push_str(" # ");
            self.pairs(exemplar.labels);
            let _ = write!(self.text, " {}", format_float(exemplar.value));
            self.time(exemplar.time_ms);
        }
        self.text.push('\n');
        self
    }

    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn pairs(&mut self, labels: &[(&str, &str)]) {
        self.text.push('{');
        for (i, (name, value)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{name}=\"", if i == 0 { "" } else { "," });
            escape(&mut self.text, value, true);
            self.text.push('"');
        }
        self.text.push('}');
    }

    fn time(&mut self, time_ms: Option<i64>) {
        let Some(time_ms) = time_ms else { return };
        let _ = match self.format {
            Format::Prometheus => write!(self.text, " {time_ms}"),
            Format::OpenMetrics => write!(self.text, " {}", time_ms as f64 / 1000.0),
        };
    }
}

fn escape(text: &mut String, value: &str, quotes: bool) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quotes => text.push_str("\\\""),
            c => text.push(c),
        }
    }
}

/// A number as Go's `strconv.FormatFloat(f, 'g', -1, 64)` prints it, with `+Inf`, `-Inf` and `NaN`.
pub fn format_float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    // With the fewest digits, Go switches to an exponent below 1e-4 and from 1e21 on.
    let size = number.abs();
    if size == 0.0 || (1e-4..1e21).contains(&size) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}e{sign}{exponent:0>2}")
}
