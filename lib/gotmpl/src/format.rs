//! Go's `fmt.Sprintf` for what templates hold. <https://pkg.go.dev/fmt>

use crate::builtin::shown;
use crate::value::{Value, exponent_form, show_float};

/// The widest and the most exact that is printed; Go's own bound is 1e6.
const WIDTH_MAX: usize = 10_000;

#[derive(Default)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    zero: bool,
    space: bool,
    width: usize,
    precision: Option<usize>,
}

/// What does not fit is told in the text, as Go does; an error is only what passes a limit.
pub(crate) fn sprintf(pattern: &str, args: &[Value]) -> Result<String, String> {
    let (mut out, mut rest, mut used) = (String::new(), pattern, 0);
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let (flags, tail) = flags(after, args, &mut used)?;
        let mut chars = tail.chars();
        let verb = chars.next();
        rest = chars.as_str();
        match verb {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match args.get(used) {
                None => out.push_str(&format!("%!{verb}(MISSING)")),
                Some(arg) => {
                    used += 1;
                    out.push_str(&padded(one(verb, arg, &flags), &flags));
                }
            },
        }
    }
    out.push_str(rest);
    if let Some(extra) = args.get(used..).filter(|extra| !extra.is_empty()) {
        let told = |arg: &Value| match arg {
            Value::Nil => "<nil>".to_owned(),
            arg => format!("{}={}", arg.type_name(), shown(arg)),
        };
        out.push_str(&format!("%!(EXTRA {})", extra.iter().map(told).collect::<Vec<_>>().join(", ")));
    }
    Ok(out)
}

fn flags<'p>(text: &'p str, args: &[Value], used: &mut usize) -> Result<(Flags, &'p str), String> {
    let mut flags = Flags::default();
    let mut rest = text;
    while let Some(flag) = rest.chars().next().filter(|c| "+-# 0".contains(*c)) {
        match flag {
            '+' => flags.plus = true,
            '-' => flags.minus = true,
            '#' => flags.sharp = true,
            ' ' => flags.space = true,
            _ => flags.zero = true,
        }
        rest = &rest[1..];
    }
    let mut number = |rest: &mut &'p str| -> Result<Option<usize>, String> {
        let number = if let Some(tail) = rest.strip_prefix('*') {
            *rest = tail;
            let arg = args.get(*used);
            *used += 1;
            match arg {
                Some(Value::Int(number)) => usize::try_from(*number).ok(),
                _ => return Err("a width that is no number".to_owned()),
            }
        } else {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            *rest = tail;
            if number.is_empty() { None } else { Some(number.parse().unwrap_or(usize::MAX)) }
        };
        match number {
            Some(number) if number > WIDTH_MAX => Err(format!("a width or precision above {WIDTH_MAX}")),
            number => Ok(number),
        }
    };
    flags.width = number(&mut rest)?.unwrap_or(0);
    if let Some(tail) = rest.strip_prefix('.') {
        rest = tail;
        flags.precision = Some(number(&mut rest)?.unwrap_or(0));
    }
    Ok((flags, rest))
}

fn padded(text: String, flags: &Flags) -> String {
    let missing = flags.width.saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    let numeric = text.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit());
    if flags.minus {
        return text + &" ".repeat(missing);
    }
    if flags.zero && numeric {
        let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
        return format!("{sign}{}{digits}", "0".repeat(missing));
    }
    " ".repeat(missing) + &text
}

fn one(verb: char, arg: &Value, flags: &Flags) -> String {
    let signed = |text: String| match (text.starts_with(['-', '+']), flags.plus, flags.space) {
        (false, true, _) => format!("+{text}"),
        (false, false, true) => format!(" {text}"),
        _ => text,
    };
    match (verb, arg) {
        ('v', Value::Float(value)) => signed(float('g', *value, flags)),
        ('v' | 'd', Value::Int(value)) => signed(value.to_string()),
        ('v' | 's', Value::Text(text)) => cut(text, flags),
        ('v', Value::Nil | Value::Bool(_)) => shown(arg),
        ('v' | 's', Value::List(_) | Value::Texts(_) | Value::Map(_) | Value::Struct(_)) => shown(arg),
        ('T', arg) => if *arg == Value::Nil { "<nil>" } else { arg.type_name() }.to_owned(),
        ('t', Value::Bool(value)) => value.to_string(),
        ('q', Value::Text(text)) => format!("{:?}", cut(text, flags)),
        ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('X', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02X}")).collect(),
        ('x', Value::Int(value)) => radix(*value, if flags.sharp { "0x" } else { "" }, |v| format!("{v:x}")),
        ('X', Value::Int(value)) => radix(*value, if flags.sharp { "0X" } else { "" }, |v| format!("{v:X}")),
        ('o', Value::Int(value)) => radix(*value, if flags.sharp { "0" } else { "" }, |v| format!("{v:o}")),
        ('b', Value::Int(value)) => radix(*value, "", |v| format!("{v:b}")),
        ('c', Value::Int(value)) => {
            u32::try_from(*value).ok().and_then(char::from_u32).unwrap_or('\u{fffd}').to_string()
        }
        ('f' | 'F' | 'e' | 'E' | 'g' | 'G', Value::Float(value)) => signed(float(verb, *value, flags)),
        (verb, Value::Nil) => format!("%!{verb}(<nil>)"),
        (verb, arg) => format!("%!{verb}({}={})", arg.type_name(), shown(arg)),
    }
}

fn cut(text: &str, flags: &Flags) -> String {
    flags.precision.map_or_else(|| text.to_owned(), |most| text.chars().take(most).collect())
}

fn radix(value: i64, prefix: &str, write: impl Fn(u64) -> String) -> String {
    format!("{}{prefix}{}", if value < 0 { "-" } else { "" }, write(value.unsigned_abs()))
}

fn float(verb: char, value: f64, flags: &Flags) -> String {
    if !value.is_finite() {
        return show_float(value);
    }
    let text = match (verb, flags.precision) {
        ('f' | 'F', precision) => format!("{value:.*}", precision.unwrap_or(6)),
        ('e' | 'E', precision) => exponent_form(&format!("{value:.*e}", precision.unwrap_or(6))),
        (_, None) => show_float(value),
        (_, Some(precision)) => significant(value, precision),
    };
    if verb.is_ascii_uppercase() { text.to_ascii_uppercase() } else { text }
}

/// Go's and C's `%.Ng`: so many digits at most, no zeros at the end, an exponent where it is shorter.
pub fn significant(value: f64, digits: usize) -> String {
    let digits = digits.max(1);
    let written = format!("{value:.*e}", digits - 1);
    let exponent = written.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok()).unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let most = i32::try_from(digits).unwrap_or(i32::MAX);
    if !(-4..most).contains(&exponent) {
        let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
        return exponent_form(&format!("{}e{exponent}", trimmed(mantissa)));
    }
    let decimals = usize::try_from(most - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{value:.decimals$}"))
}
