//! Makes vectors: functions, aggregations and operators around smaller queries.

use super::maker::{LABELS, Maker};
use super::queries::{Node, Part, Type, leaf, node, text};

const ELEMENTWISE: [&str; 36] = [
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "deg",
    "exp",
    "floor",
    "histogram_avg",
    "histogram_count",
    "histogram_stddev",
    "histogram_stdvar",
    "histogram_sum",
    "hour",
    "ln",
    "log10",
    "log2",
    "minute",
    "month",
    "rad",
    "round",
    "sgn",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
];
const VECTOR: [&str; 8] = ["absent", "sort", "sort_desc", "timestamp", "start_timestamp", "year", "-", "+"];
const RANGE: [&str; 27] = [
    "absent_over_time",
    "avg_over_time",
    "changes",
    "count_over_time",
    "delta",
    "deriv",
    "first_over_time",
    "idelta",
    "increase",
    "irate",
    "last_over_time",
    "mad_over_time",
    "max_over_time",
    "min_over_time",
    "present_over_time",
    "rate",
    "resets",
    "stddev_over_time",
    "stdvar_over_time",
    "sum_over_time",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
    "rate",
    "increase",
    "sum_over_time",
];
const AGGREGATIONS: [&str; 8] = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];

impl Maker {
    pub(super) fn vector(&mut self, depth: u64) -> Node {
        use Type::Vector;
        if depth == 0 {
            let (selector, modifiers) = (self.selector(), self.modifiers());
            let smoothed = if self.random.once_in(15) { " smoothed" } else { "" };
            return node(Vector, vec![selector, text(smoothed), modifiers]);
        }
        match self.random.below(26) {
            0 | 1 => {
                let name = self.random.pick(&ELEMENTWISE);
                self.around(&format!("{name}("), depth, ")")
            }
            2 => {
                let name = self.random.pick(&VECTOR);
                self.around(&format!("{name}("), depth, ")")
            }
            3..=7 => {
                let name = self.random.pick(&RANGE);
                let extended = matches!(name, "rate" | "increase" | "delta" | "resets" | "changes");
                let inner = self.range_vector(depth - 1, extended);
                node(Vector, vec![text(format!("{name}(")), Part::Node(inner), text(")")])
            }
            8 => {
                let q = self.scalar(0);
                let inner = self.range_vector(depth - 1, false);
                node(Vector, vec![text("quantile_over_time("), Part::Node(q), text(", "), Part::Node(inner), text(")")])
            }
            9 => {
                let (inner, to) = (self.range_vector(depth - 1, false), self.scalar(0));
                if self.random.once_in(3) {
                    let factors = self.random.pick(&["0.5, 0.3", "0.9, 0.1", "1, 0.5", "0.5, 0"]).to_owned();
                    let head = text("double_exponential_smoothing(");
                    return node(Vector, vec![head, Part::Node(inner), text(", "), leaf(factors), text(")")]);
                }
                node(Vector, vec![text("predict_linear("), Part::Node(inner), text(", "), Part::Node(to), text(")")])
            }
            10 | 11 => {
                let (op, grouping) = (self.random.pick(&AGGREGATIONS), self.grouping());
                self.around(&format!("{op}{grouping} ("), depth, ")")
            }
            12 => {
                let op = self.random.pick(&["topk", "bottomk", "limitk", "limit_ratio", "quantile", "limit_ratio"]);
                let deep = u64::from(self.random.once_in(6));
                let (parameter, grouping) = (self.scalar(deep), self.grouping());
                let inner = self.vector(depth - 1);
                node(
                    Vector,
                    vec![
                        text(format!("{op}{grouping} (")),
                        Part::Node(parameter),
                        text(", "),
                        Part::Node(inner),
                        text(")"),
                    ],
                )
            }
            13 => {
                let (label, grouping) = (self.random.pick(&["v", "job", "a b"]), self.grouping());
                self.around(&format!("count_values{grouping} (\"{label}\", "), depth, ")")
            }
            14..=17 => self.binary(depth),
            18 => {
                let op = self.random.pick(&[
                    "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<=", "> bool", "== bool", "</", ">/",
                ]);
                let (scalar, vector) = (self.scalar(depth - 1), self.vector(depth - 1));
                let (left, right) = if self.random.once_in(2) { (scalar, vector) } else { (vector, scalar) };
                node(Vector, vec![text("("), Part::Node(left), text(format!(" {op} ")), Part::Node(right), text(")")])
            }
            19 => {
                let (q, inner) = (self.scalar(0), self.histogram(depth));
                node(Vector, vec![text("histogram_quantile("), Part::Node(q), text(", "), Part::Node(inner), text(")")])
            }
            20 => {
                let inner = self.histogram(depth);
                let qs = self.random.pick(&["0.5", "0.1, 0.99", "0, 1, 2", "NaN, 0.5", "-1, 0.25"]).to_owned();
                node(
                    Vector,
                    vec![text("histogram_quantiles("), Part::Node(inner), text(", \"q\", "), leaf(qs), text(")")],
                )
            }
            21 => {
                let (low, high, inner) = (self.scalar(0), self.scalar(0), self.histogram(depth));
                let comma = || text(", ");
                node(
                    Vector,
                    vec![
                        text("histogram_fraction("),
                        Part::Node(low),
                        comma(),
                        Part::Node(high),
                        comma(),
                        Part::Node(inner),
                        text(")"),
                    ],
                )
            }
            22 => {
                let tail = self.random.pick(&[
                    ", \"dst\", \"$1-x\", \"job\", \"(.)(.*)\")",
                    ", \"job\", \"\", \"\", \"\")",
                    ", \"__name__\", \"n\", \"job\", \"api\")",
                    ", \"job\", \"${2}$1\", \"instance\", \"(\\\\w+):(\\\\d+)\")",
                    ", \"d\", \"$name\", \"job\", \"(?P<name>a.*)\")",
                    ", \"a b\", \"x\", \"job\", \"(\")",
                ]);
                self.around("label_replace(", depth, tail)
            }
            23 => {
                let tail = self.random.pick(&[
                    ", \"dst\", \"-\", \"job\", \"instance\")",
                    ", \"job\", \"\")",
                    ", \"__name__\", \"_\", \"__name__\", \"job\")",
                    ", \"\", \"-\", \"job\")",
                ]);
                self.around("label_join(", depth, tail)
            }
            24 => {
                let tail = self.random.pick(&[
                    ")",
                    ", {version=\"1\"})",
                    ", {build=~\".+\"})",
                    ", {__name__=~\".+_info\"})",
                    ", {__name__=\"build_info\"})",
                    ", {version=~\".*\"})",
                    ", {__name__!=\"target_info\"})",
                ]);
                self.around("info(", depth, tail)
            }
            _ => {
                let (inner, low, high) = (self.vector(depth - 1), self.scalar(0), self.scalar(0));
                match self.random.below(6) {
                    0 => node(
                        Vector,
                        vec![
                            text("clamp("),
                            Part::Node(inner),
                            text(", "),
                            Part::Node(low),
                            text(", "),
                            Part::Node(high),
                            text(")"),
                        ],
                    ),
                    1 => node(
                        Vector,
                        vec![text("clamp_min("), Part::Node(inner), text(", "), Part::Node(low), text(")")],
                    ),
                    2 => node(
                        Vector,
                        vec![text("clamp_max("), Part::Node(inner), text(", "), Part::Node(high), text(")")],
                    ),
                    3 => node(Vector, vec![text("round("), Part::Node(inner), text(", "), Part::Node(low), text(")")]),
                    4 => node(Vector, vec![text("vector("), Part::Node(low), text(")")]),
                    _ => {
                        let name = self.random.pick(&["sort_by_label", "sort_by_label_desc"]);
                        node(
                            Vector,
                            vec![text(format!("{name}(")), Part::Node(inner), text(", \"instance\", \"job\")")],
                        )
                    }
                }
            }
        }
    }

    pub(super) fn around(&mut self, head: &str, depth: u64, tail: &str) -> Node {
        let inner = self.vector(depth - 1);
        node(Type::Vector, vec![text(head), Part::Node(inner), text(tail)])
    }

    /// Something of which a quantile has a meaning, mostly.
    pub(super) fn histogram(&mut self, depth: u64) -> Node {
        let known = [
            "b_bucket",
            "nh",
            "nc",
            "dual",
            "mix",
            "{__name__=~\"nh|dual|b_bucket\"}",
            "rate(b_bucket[3m])",
            "rate(nh[5m])",
            "increase(nc[4m])",
            "sum by (le) (rate(b_bucket[2m]))",
            "sum(nh)",
            "nh </ 1",
            "nc >/ 1.5",
        ];
        match self.random.once_in(5) {
            true => self.vector(depth - 1),
            false => node(Type::Vector, vec![leaf(self.random.pick(&known))]),
        }
    }

    pub(super) fn binary(&mut self, depth: u64) -> Node {
        let set = self.random.once_in(4);
        let comparison = !set && self.random.once_in(3);
        let op = match (set, comparison) {
            (true, _) => self.random.pick(&["and", "or", "unless"]),
            (_, true) => self.random.pick(&["==", "!=", ">", "<", ">=", "<=", "> bool", "== bool", "!= bool"]),
            _ => self.random.pick(&["+", "-", "*", "/", "%", "^", "atan2", "</", ">/", "+", "-"]),
        };
        let mut matching = String::new();
        if self.random.once_in(2) {
            let names: Vec<&str> = (0..1 + self.random.below(3)).map(|_| self.random.pick(&LABELS)).collect();
            matching = format!(" {} ({})", self.random.pick(&["on", "ignoring"]), names.join(", "));
            if !set && self.random.once_in(3) {
                let side = self.random.pick(&[
                    "group_left",
                    "group_right",
                    "group_left ()",
                    "group_left (x)",
                    "group_right (code, version)",
                ]);
                matching.push_str(&format!(" {side}"));
            }
        }
        if !set && self.random.once_in(6) {
            matching.push_str(self.random.pick(&[
                " fill (0)",
                " fill_left (1)",
                " fill_right (2.5)",
                " fill_left (1) fill_right (-2)",
                " fill (NaN)",
            ]));
        }
        let (left, right) = (self.vector(depth - 1), self.vector(depth - 1));
        // Often the two sides have something to do with each other.
        let right = if self.random.once_in(3) { left.clone() } else { right };
        node(
            Type::Vector,
            vec![text("("), Part::Node(left), text(format!(" {op}{matching} ")), Part::Node(right), text(")")],
        )
    }
}
