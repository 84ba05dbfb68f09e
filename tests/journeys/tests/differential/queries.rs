//! Queries by the grammar: every function, aggregation, operator and modifier, as trees, so that one that differs can be made
//! smaller. Now and then a text is spoiled, for errors are answers too.

use super::series::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar,
    Vector,
    Matrix,
}

/// A part of a query: texts between smaller parts.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    of: Type,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    /// A name or number, which the shape leaves out.
    Leaf(String),
    Node(Node),
}

impl Node {
    pub(crate) fn text(&self) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) | Part::Leaf(text) => text.clone(),
            Part::Node(node) => node.text(),
        };
        self.parts.iter().map(part).collect()
    }

    /// The query without names and numbers.
    pub(crate) fn shape(&self) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Leaf(_) => "_".to_owned(),
            Part::Node(node) => node.shape(),
        };
        self.parts.iter().map(part).collect()
    }

    fn inner(&self) -> Vec<&Node> {
        let mut out = Vec::new();
        for part in &self.parts {
            if let Part::Node(node) = part {
                out.push(node);
                out.extend(node.inner());
            }
        }
        out
    }

    /// Queries with something left out, the smallest first.
    pub(crate) fn smaller(&self) -> Vec<Node> {
        let mut out: Vec<Node> = self.inner().into_iter().filter(|node| node.of != Type::Matrix).cloned().collect();
        for (place, part) in self.parts.iter().enumerate() {
            let Part::Node(node) = part else { continue };
            let same = node.inner().into_iter().filter(|inner| inner.of == node.of).cloned();
            for candidate in same.chain(node.smaller().into_iter().filter(|smaller| smaller.of == node.of)) {
                let mut copy = self.clone();
                copy.parts[place] = Part::Node(candidate);
                out.push(copy);
            }
        }
        out.sort_by_key(|node| node.text().len());
        out
    }
}

pub(crate) struct Maker {
    random: Random,
}

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
const LABELS: [&str; 8] = ["job", "instance", "code", "x", "le", "__name__", "version", "nothing"];
const NAMES: [&str; 19] = [
    "c_total",
    "errors",
    "g",
    "m",
    "nh",
    "ng",
    "nc",
    "mix",
    "b_bucket",
    "b_sum",
    "b_count",
    "dual",
    "target_info",
    "build_info",
    "nothing_at_all",
    "c_total",
    "nh",
    "nc",
    "g",
];

fn leaf(text: impl Into<String>) -> Part {
    Part::Leaf(text.into())
}

fn text(text: impl Into<String>) -> Part {
    Part::Text(text.into())
}

fn node(of: Type, parts: Vec<Part>) -> Node {
    Node { of, parts }
}

impl Maker {
    pub(crate) fn new(random: Random) -> Self {
        Maker { random }
    }

    pub(crate) fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    pub(crate) fn query(&mut self) -> Node {
        match self.random.below(20) {
            0 => self.scalar(3),
            1 => self.matrix(1),
            _ => self.vector(3),
        }
    }

    /// One time in a few with a piece of it lost, doubled or exchanged.
    pub(crate) fn spoiled(&mut self, query: &str) -> String {
        if !self.random.once_in(7) {
            return query.to_owned();
        }
        let mut chars: Vec<char> = query.chars().collect();
        let place = self.random.below(chars.len() as u64) as usize;
        match self.random.below(4) {
            0 => {
                chars.remove(place);
            }
            1 => chars.insert(place, chars[place]),
            2 => chars.truncate(place),
            _ => {
                let put = self.random.pick(&[
                    "(", ")", "[", "]", "{", "}", ",", "=", "=~", "\"", "by", "5m", "1", "@", " offset ", "sum", ":",
                    "!", "\\", "é", "and", "bool", "on(", "start()", "..", "0x", "#",
                ]);
                chars.splice(place..place, put.chars());
            }
        }
        chars.into_iter().collect()
    }

    fn number(&mut self) -> Part {
        let all = [
            "0", "1", "2", "-1", "0.5", "0.9", "1e3", "Inf", "-Inf", "NaN", "5m", "0x1F", "3.14", "1.5", "10", "1_000",
        ];
        leaf(self.random.pick(&all))
    }

    fn scalar(&mut self, depth: u64) -> Node {
        use Type::Scalar;
        if depth == 0 {
            return match self.random.below(8) {
                0 => node(Scalar, vec![text("time()")]),
                1 => node(Scalar, vec![text(self.random.pick(&["pi()", "start()", "end()", "step()", "range()"]))]),
                _ => node(Scalar, vec![self.number()]),
            };
        }
        match self.random.below(6) {
            0 => {
                let op = self
                    .random
                    .pick(&["+", "-", "*", "/", "%", "^", "atan2", "== bool", "!= bool", "< bool", ">= bool"]);
                let (left, right) = (self.scalar(depth - 1), self.scalar(depth - 1));
                node(Scalar, vec![text("("), Part::Node(left), text(format!(" {op} ")), Part::Node(right), text(")")])
            }
            1 => node(Scalar, vec![text("scalar("), Part::Node(self.vector(depth - 1)), text(")")]),
            2 => {
                let name = self.random.pick(&["min_of", "max_of"]);
                let (left, right) = (self.scalar(depth - 1), self.scalar(depth - 1));
                node(Scalar, vec![text(format!("{name}(")), Part::Node(left), text(", "), Part::Node(right), text(")")])
            }
            _ => self.scalar(0),
        }
    }

    fn matcher(&mut self) -> String {
        self.random
            .pick(&[
                "job=\"api\"",
                "job!=\"api\"",
                "job=~\"a.*|web\"",
                "job!~\"d.\"",
                "code=\"500\"",
                "instance=~\"[ab]:1\"",
                "x=\"\"",
                "x!=\"\"",
                "le=~\"0.1|5|[+]Inf\"",
                "\"la.bel\"=\"y\"",
                "job=~\"(?i)API\"",
                "instance=~\".+:\\\\d\"",
            ])
            .to_owned()
    }

    fn selector(&mut self) -> Part {
        let name = self.random.pick(&NAMES).to_owned();
        leaf(match self.random.below(14) {
            0 => format!("{name}{{{}}}", self.matcher()),
            1 => format!("{name}{{{}, {}}}", self.matcher(), self.matcher()),
            2 => "{\"my.metric\"}".to_owned(),
            3 => format!("{{\"my.metric\", {}}}", self.matcher()),
            4 => "{__name__=~\"c_total|errors|g\"}".to_owned(),
            5 => "{__name__=~\"n.\"}".to_owned(),
            6 => "{__name__=~\"m|mix|nc\"}".to_owned(),
            _ => name,
        })
    }

    fn duration(&mut self) -> String {
        self.random
            .pick(&[
                "1m",
                "2m",
                "5m",
                "30s",
                "90s",
                "15s",
                "1m",
                "4m13s",
                "10m",
                "45",
                "1m + 15s",
                "step() * 4",
                "min_of(2m, 90s)",
                "-(1m - 3m)",
                "range() + 1m",
                "max_of(step(), 2m)",
            ])
            .to_owned()
    }

    /// ` offset …`, ` @ …`, or nothing.
    fn modifiers(&mut self) -> Part {
        leaf(match self.random.below(12) {
            0 => " offset 1m".to_owned(),
            1 => " offset -45s".to_owned(),
            2 => " @ 1709237400".to_owned(),
            3 => " @ start()".to_owned(),
            4 => " @ end() offset 30s".to_owned(),
            5 => " offset (step() + 10s)".to_owned(),
            _ => String::new(),
        })
    }

    fn range_vector(&mut self, depth: u64, extended: bool) -> Node {
        if depth > 0 && self.random.once_in(4) {
            let step = self.random.pick(&["", "15s", "1m", "20s", "step()"]).to_owned();
            let (inner, length, modifiers) = (self.vector(depth - 1), self.duration(), self.modifiers());
            return node(
                Type::Matrix,
                vec![
                    text("("),
                    Part::Node(inner),
                    text(")["),
                    leaf(length),
                    text(":"),
                    leaf(step),
                    text("]"),
                    modifiers,
                ],
            );
        }
        let extension = match self.random.below(if extended { 4 } else { 40 }) {
            0 => " anchored",
            1 => " smoothed",
            _ => "",
        };
        let (selector, length, modifiers) = (self.selector(), self.duration(), self.modifiers());
        node(Type::Matrix, vec![selector, text("["), leaf(length), text("]"), text(extension), modifiers])
    }

    fn matrix(&mut self, depth: u64) -> Node {
        let extended = self.random.once_in(5);
        self.range_vector(depth, extended)
    }

    fn grouping(&mut self) -> String {
        let names: Vec<&str> = (0..self.random.below(3)).map(|_| self.random.pick(&LABELS)).collect();
        match self.random.below(5) {
            0 | 1 => String::new(),
            2 => format!(" without ({})", names.join(", ")),
            _ => format!(" by ({})", names.join(", ")),
        }
    }

    fn vector(&mut self, depth: u64) -> Node {
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

    fn around(&mut self, head: &str, depth: u64, tail: &str) -> Node {
        let inner = self.vector(depth - 1);
        node(Type::Vector, vec![text(head), Part::Node(inner), text(tail)])
    }

    /// Something of which a quantile has a meaning, mostly.
    fn histogram(&mut self, depth: u64) -> Node {
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

    fn binary(&mut self, depth: u64) -> Node {
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
