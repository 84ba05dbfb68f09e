//! What a query came to, in the API's JSON: scalar, string, vector and matrix, cut to the wanted number of series. Knows
//! nothing of requests.

use axum::response::Response;
use observe_promql::{Answer, PointValue, Value};

use super::success;
use crate::json::{put_histogram_point, put_labels, put_list, put_point, put_string, put_time_ms};

/// The first `limit` series of a vector or matrix, with the warning that Prometheus gives.
pub(super) fn cut(mut answer: Answer, limit: usize) -> Answer {
    fn shorten<T>(items: &mut Vec<T>, limit: usize) -> bool {
        let too_many = limit > 0 && items.len() > limit;
        if too_many {
            items.truncate(limit);
        }
        too_many
    }
    let shortened = match &mut answer.value {
        Value::Vector(points) => shorten(points, limit),
        Value::Matrix(series) => shorten(series, limit),
        Value::Scalar(..) | Value::String(..) => false,
    };
    if shortened {
        answer.annotations.warn("results truncated due to limit");
    }
    answer
}

pub(super) fn answer_response(answer: &Answer) -> Response {
    let mut out = String::new();
    out.push_str("{\"resultType\":\"");
    match &answer.value {
        Value::Scalar(time_ms, value) => {
            out.push_str("scalar\",\"result\":");
            put_point(&mut out, *time_ms, *value);
        }
        Value::String(time_ms, text) => {
            out.push_str("string\",\"result\":[");
            put_time_ms(&mut out, *time_ms);
            out.push(',');
            put_string(&mut out, text);
            out.push(']');
        }
        Value::Vector(points) => {
            out.push_str("vector\",\"result\":[");
            put_list(&mut out, points.iter(), |out, point| {
                out.push_str("{\"metric\":");
                put_labels(out, &point.labels);
                match &point.value {
                    PointValue::Float(value) => {
                        out.push_str(",\"value\":");
                        put_point(out, point.time_ms, *value);
                    }
                    PointValue::Histogram(histogram) => {
                        out.push_str(",\"histogram\":");
                        put_histogram_point(out, point.time_ms, histogram);
                    }
                }
                out.push('}');
            });
            out.push(']');
        }
        Value::Matrix(series) => {
            out.push_str("matrix\",\"result\":[");
            put_list(&mut out, series.iter(), |out, series| {
                out.push_str("{\"metric\":");
                put_labels(out, &series.labels);
                if !series.points.is_empty() {
                    out.push_str(",\"values\":[");
                    put_list(out, series.points.iter(), |out, (time_ms, value)| put_point(out, *time_ms, *value));
                    out.push(']');
                }
                if !series.histograms.is_empty() {
                    out.push_str(",\"histograms\":[");
                    put_list(out, series.histograms.iter(), |out, (t, h)| put_histogram_point(out, *t, h));
                    out.push(']');
                }
                out.push('}');
            });
            out.push(']');
        }
    }
    out.push('}');
    success(&out, &answer.annotations)
}
