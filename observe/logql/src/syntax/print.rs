//! A tree as text: the canonical spelling, which parses to the same tree.

use std::fmt;

use base_signal::MatchOp;

use super::parse_log::BARE_STAGES;
use super::units::print_duration;
use super::{
    Binary, BinaryOp, Conversion, Expr, ExprKind, Extract, FilterText, FormatValue, Grouping, LabelFilter,
    LabelFilterKind, LineFilter, LineOp, LogExpr, Pick, RangeAggregation, Selector, Stage, StageKind, sign_text,
};

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Log(log) => log.fmt(f),
            ExprKind::Range(range) => range.fmt(f),
            ExprKind::Aggregate(a) => {
                f.write_str(a.op.name())?;
                if let Some(grouping) = &a.grouping {
                    write!(f, " {grouping} ")?;
                }
                match a.parameter {
                    Some(parameter) => write!(f, "({parameter}, {})", a.of),
                    None => write!(f, "({})", a.of),
                }
            }
            ExprKind::Binary(binary) => binary.fmt(f),
            ExprKind::Number(number) => write!(f, "{number}"),
            ExprKind::Vector(number) => write!(f, "vector({number})"),
            ExprKind::LabelReplace(l) => {
                write!(f, "label_replace({}", l.of)?;
                for text in [&l.target, &l.replacement, &l.source, &l.regex] {
                    write!(f, ", {}", Quoted(text))?;
                }
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Brackets around every operand that is itself an operation: never wrong, and no precedence to remember.
        let side = |expr: &Expr, f: &mut fmt::Formatter<'_>| match expr.kind {
            ExprKind::Binary(_) => write!(f, "({expr})"),
            _ => write!(f, "{expr}"),
        };
        side(&self.left, f)?;
        write!(f, " {}", sign_text(self.op))?;
        if self.bool_result {
            f.write_str(" bool")?;
        }
        if let Some(matching) = &self.matching {
            let word = if matching.on { "on" } else { "ignoring" };
            write!(f, " {word} ({})", matching.labels.join(", "))?;
            if let Some((left, include)) = &matching.group {
                let word = if *left { "group_left" } else { "group_right" };
                write!(f, " {word} ({})", include.join(", "))?;
            }
        }
        f.write_str(" ")?;
        side(&self.right, f)
    }
}

impl fmt::Display for RangeAggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.op.name())?;
        if let Some(parameter) = self.parameter {
            write!(f, "{parameter}, ")?;
        }
        self.log.fmt(f)?;
        if let Some(unwrap) = &self.unwrap {
            match unwrap.conversion {
                Conversion::None => write!(f, " | unwrap {}", unwrap.label)?,
                Conversion::Duration => write!(f, " | unwrap duration({})", unwrap.label)?,
                Conversion::Bytes => write!(f, " | unwrap bytes({})", unwrap.label)?,
            }
            unwrap.filters.iter().try_for_each(|filter| write!(f, " {}", Filtering(filter)))?;
        }
        write!(f, " [{}]", print_duration(self.range_ns))?;
        if self.offset_ns != 0 {
            write!(f, " offset {}", print_duration(self.offset_ns))?;
        }
        f.write_str(")")?;
        match &self.grouping {
            Some(grouping) => write!(f, " {grouping}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", if self.without { "without" } else { "by" }, self.labels.join(", "))
    }
}

impl fmt::Display for LogExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.selector.fmt(f)?;
        self.stages.iter().try_for_each(|stage| write!(f, " {stage}"))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, m) in self.matchers.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            write!(f, "{}{}{}", m.name, match_sign(m.op), Quoted(&m.value))?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            StageKind::Line(filter) => filter.fmt(f),
            StageKind::Label(filter) => Filtering(filter).fmt(f),
            StageKind::Json(extracts) => {
                f.write_str("| json")?;
                list(f, extracts)
            }
            StageKind::Logfmt { strict, keep_empty, extracts } => {
                f.write_str("| logfmt")?;
                f.write_str(if *strict { " --strict" } else { "" })?;
                f.write_str(if *keep_empty { " --keep-empty" } else { "" })?;
                list(f, extracts)
            }
            StageKind::Regexp(text) => write!(f, "| regexp {}", Quoted(text)),
            StageKind::Pattern(text) => write!(f, "| pattern {}", Quoted(text)),
            StageKind::Unpack => f.write_str("| unpack"),
            StageKind::LineFormat(text) => write!(f, "| line_format {}", Quoted(text)),
            StageKind::LabelFormat(formats) => {
                f.write_str("| label_format")?;
                for (i, (name, value)) in formats.iter().enumerate() {
                    write!(f, "{} {name}=", if i == 0 { "" } else { "," })?;
                    match value {
                        FormatValue::Label(label) => f.write_str(label)?,
                        FormatValue::Template(text) => Quoted(text).fmt(f)?,
                    }
                }
                Ok(())
            }
            StageKind::Decolorize => f.write_str("| decolorize"),
            StageKind::Drop(picks) => {
                f.write_str("| drop")?;
                list(f, picks)
            }
            StageKind::Keep(picks) => {
                f.write_str("| keep")?;
                list(f, picks)
            }
        }
    }
}

impl fmt::Display for Extract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, Quoted(&self.expression))
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pick::Name(name) => f.write_str(name),
            Pick::Match(m) => write!(f, "{}{}{}", m.name, match_sign(m.op), Quoted(&m.value)),
        }
    }
}

impl fmt::Display for LineFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.op {
            LineOp::Contains => "|=",
            LineOp::NotContains => "!=",
            LineOp::Regex => "|~",
            LineOp::NotRegex => "!~",
            LineOp::Pattern => "|>",
            LineOp::NotPattern => "!>",
        })?;
        for (i, text) in self.any.iter().enumerate() {
            f.write_str(if i == 0 { " " } else { " or " })?;
            match text {
                FilterText::Text(text) => Quoted(text).fmt(f)?,
                FilterText::Regex(pattern) => Quoted(pattern.as_str()).fmt(f)?,
                FilterText::Ip(range) => write!(f, "ip({})", Quoted(range))?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for LabelFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |op: BinaryOp| sign_text(op);
        match &self.kind {
            LabelFilterKind::And(left, right) => write!(f, "({left} and {right})"),
            LabelFilterKind::Or(left, right) => write!(f, "({left} or {right})"),
            LabelFilterKind::Match(m) => write!(f, "{}{}{}", m.name, match_sign(m.op), Quoted(&m.value)),
            LabelFilterKind::Number { name, op, value } => write!(f, "{name}{}{value}", sign(*op)),
            LabelFilterKind::Duration { name, op, value_ns } => {
                write!(f, "{name}{}{}", sign(*op), print_duration(*value_ns))
            }
            LabelFilterKind::Bytes { name, op, value_bytes } => write!(f, "{name}{}{value_bytes}B", sign(*op)),
            LabelFilterKind::Ip { name, negative, range } => {
                write!(f, "{name}{}ip({})", if *negative { "!=" } else { "=" }, Quoted(range))
            }
        }
    }
}

/// A label filter as a stage.
struct Filtering<'a>(&'a LabelFilter);

impl fmt::Display for Filtering<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without brackets `| json != "x"` would be a parser and a line filter.
        if is_named_as_a_stage(self.0) { write!(f, "| ({})", self.0) } else { write!(f, "| {}", self.0) }
    }
}

fn is_named_as_a_stage(filter: &LabelFilter) -> bool {
    let name = match &filter.kind {
        LabelFilterKind::And(..) | LabelFilterKind::Or(..) => return false,
        LabelFilterKind::Match(matcher) => &matcher.name,
        LabelFilterKind::Number { name, .. }
        | LabelFilterKind::Duration { name, .. }
        | LabelFilterKind::Bytes { name, .. }
        | LabelFilterKind::Ip { name, .. } => name,
    };
    BARE_STAGES.contains(&name.as_str())
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        write!(f, "{} {item}", if i == 0 { "" } else { "," })?;
    }
    Ok(())
}

fn match_sign(op: MatchOp) -> &'static str {
    match op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Regex => "=~",
        MatchOp::NotRegex => "!~",
    }
}

/// In double quotes with Go's escapes.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if (c as u32) < 0x20 || c as u32 == 0x7f => write!(f, "\\u{:04x}", c as u32)?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}
