//! What both say of one query, at one moment and over a range, and where they differ.

use serde_json::Value;
use tests_journeys::http;

use super::series::Random;

/// When a query is asked, as the API's parameters.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    time: String,
    start: String,
    end: String,
    step: String,
}

impl Asked {
    /// Within the samples of a seed, a little before or behind them now and then.
    pub(crate) fn at(begin_s: i64, random: &mut Random) -> Self {
        let moment = |random: &mut Random| {
            let ms = random.below(1_700_000) as i64;
            let ms = if random.once_in(2) { ms / 15_000 * 15_000 } else { ms };
            format!("{:.3}", begin_s as f64 + ms as f64 / 1000.0)
        };
        let (time, start) = (moment(random), moment(random));
        let step = random.pick(&["15", "30", "61.5", "7"]);
        let steps = 2.0 + random.below(8) as f64;
        let end = start.parse::<f64>().unwrap_or(0.0) + step.parse::<f64>().unwrap_or(1.0) * steps;
        Asked { time, start, end: format!("{end:.3}"), step: step.to_owned() }
    }
}

/// In words; `None` when both say the same. Counts in `refused` what both refuse both ways.
pub(crate) fn difference(ours: &str, theirs: &str, query: &str, asked: &Asked, refused: &mut usize) -> Option<String> {
    let mut errors = 0;
    for (path, rest) in [
        ("query", vec![("time", asked.time.as_str())]),
        ("query_range", vec![("start", &asked.start), ("end", &asked.end), ("step", &asked.step)]),
    ] {
        let parameters: Vec<(&str, &str)> = std::iter::once(("query", query)).chain(rest).collect();
        let ask = |url: &str| {
            let reply = http::get(&format!("{url}/api/v1/{path}"), &parameters);
            (reply.status, reply.json())
        };
        let ((our_status, our), (their_status, their)) = (ask(ours), ask(theirs));
        let ordered = path == "query" && is_ordered(query);
        let differs = match () {
            () if our_status != their_status => Some("status".to_owned()),
            () if error(&our) != error(&their) => Some("error".to_owned()),
            () if our["errorType"] != their["errorType"] => Some("errorType".to_owned()),
            () if !too_many(&their["warnings"]) && texts(&our["warnings"]) != texts(&their["warnings"]) => {
                Some("warnings".to_owned())
            }
            () if !too_many(&their["infos"]) && texts(&our["infos"]) != texts(&their["infos"]) => {
                Some("infos".to_owned())
            }
            () if is_last_digit(query) => None,
            () if ordered && !same_order(&our["data"], &their["data"]) => Some("data".to_owned()),
            () if !alike(&our["data"], &their["data"], false) => Some("data".to_owned()),
            () => None,
        };
        // Prometheus leaves some orders to chance, and with them what is chosen of equals.
        let by_chance = |what: &String| {
            what == "data"
                && (0..8).any(|_| {
                    let again = ask(theirs).1;
                    !alike(&again["data"], &their["data"], ordered)
                })
        };
        if let Some(what) = differs.filter(|what| !by_chance(what)) {
            let place = if path == "query" {
                format!("at {}", asked.time)
            } else {
                format!("from {} to {} step {}", asked.start, asked.end, asked.step)
            };
            return Some(format!(
                "  {path} {place}: {what}\n    apm        {}\n    Prometheus {}",
                shown(&our, &what),
                shown(&their, &what)
            ));
        }
        errors += usize::from(their_status / 100 != 2);
    }
    *refused += usize::from(errors == 2);
    None
}

fn shown(answer: &Value, what: &str) -> String {
    let part = if answer[what].is_null() { answer } else { &answer[what] };
    part.to_string().chars().take(900).collect()
}

/// Sorted. Of how many samples a histogram was mended Prometheus counts some several times: the number is left out.
fn texts(list: &Value) -> Vec<String> {
    let text = |text: &Value| without(text.as_str().unwrap_or_default(), ", over ", " samples");
    let mut texts: Vec<String> = list.as_array().into_iter().flatten().map(text).collect();
    texts.sort();
    texts
}

/// Which of several duplicates is named depends on the order of a map in Prometheus: their labels are left out.
fn error(answer: &Value) -> String {
    let text = answer["error"].as_str().unwrap_or_default();
    let text = without(text, "for the match group ", " on the ");
    let text = without(&text, "hand-side of the operation: [", "];many");
    // What is wrong with a regular expression each library says in its own words.
    let text = without(&text, "error parsing regexp: ", "\0");
    without(&text, "found duplicate series for info metric: ", "\0")
}

/// The text without what stands between two others, or behind the first if the second is not there.
fn without(text: &str, from: &str, to: &str) -> String {
    let Some(start) = text.find(from).map(|at| at + from.len()) else { return text.to_owned() };
    let rest = &text[start..];
    let end = rest.find(to).unwrap_or(rest.len());
    format!("{}…{}", &text[..start], &rest[end..])
}

/// More than ten of a kind Prometheus does not tell; which ones is left to chance.
fn too_many(list: &Value) -> bool {
    list.as_array().is_some_and(|list| list.len() > 10)
}

/// `count_values` of numbers whose last digit is the mathematical library's.
fn is_last_digit(query: &str) -> bool {
    query.contains("count_values")
        && ["sin", "cos", "tan", "exp", "l", "log", "sqrt", "std", "^", "deg", "rad", "n.", "nh", "ng", "deriv", "/"]
            .iter()
            .any(|part| query.contains(part))
}

/// Whether values come in an order; which of two equal ones comes first, the order does not say.
fn same_order(ours: &Value, theirs: &Value) -> bool {
    let values = |data: &Value| -> Vec<Value> {
        data["result"].as_array().into_iter().flatten().map(|row| row["value"][1].clone()).collect()
    };
    alike(&Value::Array(values(ours)), &Value::Array(values(theirs)), true)
}

fn is_ordered(query: &str) -> bool {
    ["sort(", "sort_desc(", "sort_by_label(", "sort_by_label_desc("].iter().any(|head| query.starts_with(head))
}

fn alike(ours: &Value, theirs: &Value, ordered: bool) -> bool {
    match (ours, theirs) {
        (Value::Array(ours), Value::Array(theirs)) => {
            let sorted = |values: &[Value]| {
                let mut values = values.to_vec();
                if !ordered && values.iter().all(|value| value["metric"].is_object()) {
                    values.sort_by_key(|value| value["metric"].to_string());
                }
                values
            };
            ours.len() == theirs.len()
                && sorted(ours).iter().zip(&sorted(theirs)).all(|(ours, theirs)| alike(ours, theirs, ordered))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let same = |(key, value): (&String, &Value)| {
                theirs
                    .get(key)
                    .is_some_and(|other| if key == "metric" { value == other } else { alike(value, other, ordered) })
            };
            ours.len() == theirs.len() && ours.iter().all(same)
        }
        (Value::String(ours), Value::String(theirs)) => ours == theirs || close(ours.parse().ok(), theirs.parse().ok()),
        (ours, theirs) => ours == theirs,
    }
}

/// Up to the last bits: mathematical functions of two libraries may differ there.
fn close(ours: Option<f64>, theirs: Option<f64>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => ours == theirs || (ours - theirs).abs() <= 1e-11 * ours.abs().max(theirs.abs()),
        _ => false,
    }
}
