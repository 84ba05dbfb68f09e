//! The functions of the language: their names and types. What they compute is elsewhere; a name that is here and cannot be
//! computed yet is refused by the engine, by name.

use super::ast::ValueType;

#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: &'static str,
    pub args: &'static [ValueType],
    pub variadic: Variadic,
    pub returns: ValueType,
}

/// What may be added to or left out of `args`: the last one is optional or repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variadic {
    No,
    /// The last argument may be left out, or stand up to so many times.
    UpTo(usize),
    /// The last argument may be left out, or stand any number of times.
    Any,
}

const V: ValueType = ValueType::Vector;
const M: ValueType = ValueType::Matrix;
const S: ValueType = ValueType::Scalar;
const T: ValueType = ValueType::String;

/// Finds a function by its exact name.
pub fn find_function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().and_then(|i| FUNCTIONS.get(i))
}

const fn function(name: &'static str, args: &'static [ValueType], variadic: Variadic, returns: ValueType) -> Function {
    Function { name, args, variadic, returns }
}

/// All of Prometheus 3.15, sorted by name.
pub static FUNCTIONS: &[Function] = &[
    function("abs", &[V], Variadic::No, V),
    function("absent", &[V], Variadic::No, V),
    function("absent_over_time", &[M], Variadic::No, V),
    function("acos", &[V], Variadic::No, V),
    function("acosh", &[V], Variadic::No, V),
    function("asin", &[V], Variadic::No, V),
    function("asinh", &[V], Variadic::No, V),
    function("atan", &[V], Variadic::No, V),
    function("atanh", &[V], Variadic::No, V),
    function("avg_over_time", &[M], Variadic::No, V),
    function("ceil", &[V], Variadic::No, V),
    function("changes", &[M], Variadic::No, V),
    function("clamp", &[V, S, S], Variadic::No, V),
    function("clamp_max", &[V, S], Variadic::No, V),
    function("clamp_min", &[V, S], Variadic::No, V),
    function("cos", &[V], Variadic::No, V),
    function("cosh", &[V], Variadic::No, V),
    function("count_over_time", &[M], Variadic::No, V),
    function("day_of_month", &[V], Variadic::UpTo(1), V),
    function("day_of_week", &[V], Variadic::UpTo(1), V),
    function("day_of_year", &[V], Variadic::UpTo(1), V),
    function("days_in_month", &[V], Variadic::UpTo(1), V),
    function("deg", &[V], Variadic::No, V),
    function("delta", &[M], Variadic::No, V),
    function("deriv", &[M], Variadic::No, V),
    function("double_exponential_smoothing", &[M, S, S], Variadic::No, V),
    function("end", &[], Variadic::No, S),
    function("exp", &[V], Variadic::No, V),
    function("first_over_time", &[M], Variadic::No, V),
    function("floor", &[V], Variadic::No, V),
    function("histogram_avg", &[V], Variadic::No, V),
    function("histogram_count", &[V], Variadic::No, V),
    function("histogram_fraction", &[S, S, V], Variadic::No, V),
    function("histogram_quantile", &[S, V], Variadic::No, V),
    function("histogram_quantiles", &[V, T, S, S], Variadic::UpTo(9), V),
    function("histogram_stddev", &[V], Variadic::No, V),
    function("histogram_stdvar", &[V], Variadic::No, V),
    function("histogram_sum", &[V], Variadic::No, V),
    function("hour", &[V], Variadic::UpTo(1), V),
    function("idelta", &[M], Variadic::No, V),
    function("increase", &[M], Variadic::No, V),
    function("info", &[V, V], Variadic::UpTo(1), V),
    function("irate", &[M], Variadic::No, V),
    function("label_join", &[V, T, T, T], Variadic::Any, V),
    function("label_replace", &[V, T, T, T, T], Variadic::No, V),
    function("last_over_time", &[M], Variadic::No, V),
    function("ln", &[V], Variadic::No, V),
    function("log10", &[V], Variadic::No, V),
    function("log2", &[V], Variadic::No, V),
    function("mad_over_time", &[M], Variadic::No, V),
    function("max_of", &[S, S], Variadic::No, S),
    function("max_over_time", &[M], Variadic::No, V),
    function("min_of", &[S, S], Variadic::No, S),
    function("min_over_time", &[M], Variadic::No, V),
    function("minute", &[V], Variadic::UpTo(1), V),
    function("month", &[V], Variadic::UpTo(1), V),
    function("pi", &[], Variadic::No, S),
    function("predict_linear", &[M, S], Variadic::No, V),
    function("present_over_time", &[M], Variadic::No, V),
    function("quantile_over_time", &[S, M], Variadic::No, V),
    function("rad", &[V], Variadic::No, V),
    function("range", &[], Variadic::No, S),
    function("rate", &[M], Variadic::No, V),
    function("resets", &[M], Variadic::No, V),
    function("round", &[V, S], Variadic::UpTo(1), V),
    function("scalar", &[V], Variadic::No, S),
    function("sgn", &[V], Variadic::No, V),
    function("sin", &[V], Variadic::No, V),
    function("sinh", &[V], Variadic::No, V),
    function("sort", &[V], Variadic::No, V),
    function("sort_by_label", &[V, T], Variadic::Any, V),
    function("sort_by_label_desc", &[V, T], Variadic::Any, V),
    function("sort_desc", &[V], Variadic::No, V),
    function("sqrt", &[V], Variadic::No, V),
    function("start", &[], Variadic::No, S),
    function("start_timestamp", &[V], Variadic::No, V),
    function("stddev_over_time", &[M], Variadic::No, V),
    function("stdvar_over_time", &[M], Variadic::No, V),
    function("step", &[], Variadic::No, S),
    function("sum_over_time", &[M], Variadic::No, V),
    function("tan", &[V], Variadic::No, V),
    function("tanh", &[V], Variadic::No, V),
    function("time", &[], Variadic::No, S),
    function("timestamp", &[V], Variadic::No, V),
    function("ts_of_first_over_time", &[M], Variadic::No, V),
    function("ts_of_last_over_time", &[M], Variadic::No, V),
    function("ts_of_max_over_time", &[M], Variadic::No, V),
    function("ts_of_min_over_time", &[M], Variadic::No, V),
    function("vector", &[S], Variadic::No, V),
    function("year", &[V], Variadic::UpTo(1), V),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_so_that_the_search_finds_them() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        assert!(FUNCTIONS.iter().all(|f| find_function(f.name) == Some(f)));
    }
}
