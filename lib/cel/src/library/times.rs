//! Parts of times and durations. Time zones by name are not known: they are told as unknown. Knows no clock.

use super::no;
use crate::calendar::{Civil, SECOND_NS, civil, offset};
use crate::env::{Cx, Run};
use crate::error::EvalError;
use crate::value::Value::{self, Duration, Int, Text, Timestamp};

type Out = Result<Value, EvalError>;

pub(super) const FUNCTIONS: &[(&str, Run)] = &[
    ("timestamp.getFullYear() -> int\ntimestamp.getFullYear(string) -> int", |_, args| part(args, |t| t.year)),
    ("timestamp.getMonth() -> int\ntimestamp.getMonth(string) -> int", |_, args| part(args, |t| t.month - 1)),
    ("timestamp.getDayOfYear() -> int\ntimestamp.getDayOfYear(string) -> int", |_, args| part(args, |t| t.day_of_year)),
    ("timestamp.getDayOfMonth() -> int\ntimestamp.getDayOfMonth(string) -> int", |_, args| part(args, |t| t.day - 1)),
    ("timestamp.getDate() -> int\ntimestamp.getDate(string) -> int", |_, args| part(args, |t| t.day)),
    ("timestamp.getDayOfWeek() -> int\ntimestamp.getDayOfWeek(string) -> int", |_, args| part(args, |t| t.weekday)),
    ("timestamp.getHours() -> int\ntimestamp.getHours(string) -> int\nduration.getHours() -> int", hours),
    ("timestamp.getMinutes() -> int\ntimestamp.getMinutes(string) -> int\nduration.getMinutes() -> int", minutes),
    ("timestamp.getSeconds() -> int\ntimestamp.getSeconds(string) -> int\nduration.getSeconds() -> int", seconds),
    (
        "timestamp.getMilliseconds() -> int\ntimestamp.getMilliseconds(string) -> int\nduration.getMilliseconds() -> int",
        milliseconds,
    ),
];

fn part(args: &[Value], of: impl Fn(Civil) -> i64) -> Out {
    match args {
        [Timestamp(ns)] => Ok(Int(of(civil(*ns, 0)))),
        [Timestamp(ns), Text(zone)] => {
            let signed = if zone.starts_with(['+', '-']) { zone.to_string() } else { format!("+{zone}") };
            let offset_s = match &**zone {
                "UTC" | "" => 0,
                _ => offset(&signed)
                    .ok_or_else(|| EvalError::Unknown(format!("the time zone `{zone}` is not known here")))?,
            };
            Ok(Int(of(civil(*ns, offset_s))))
        }
        _ => no("a part of a timestamp"),
    }
}

fn hours(_: &mut Cx<'_>, args: &[Value]) -> Out {
    if let [Duration(ns)] = args { Ok(Int(ns / SECOND_NS / 3600)) } else { part(args, |t| t.hour) }
}

fn minutes(_: &mut Cx<'_>, args: &[Value]) -> Out {
    if let [Duration(ns)] = args { Ok(Int(ns / SECOND_NS / 60)) } else { part(args, |t| t.minute) }
}

fn seconds(_: &mut Cx<'_>, args: &[Value]) -> Out {
    if let [Duration(ns)] = args { Ok(Int(ns / SECOND_NS)) } else { part(args, |t| t.second) }
}

fn milliseconds(_: &mut Cx<'_>, args: &[Value]) -> Out {
    if let [Duration(ns)] = args { Ok(Int(ns / 1_000_000)) } else { part(args, |t| t.ns / 1_000_000) }
}
