//! Makes queries: scalars, selectors with their modifiers, range vectors. What makes vectors is in `vectors.rs`.

use super::queries::{Node, Part, Type, leaf, node, text};
use super::series::Random;

pub(super) const LABELS: [&str; 8] = ["job", "instance", "code", "x", "le", "__name__", "version", "nothing"];
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

pub(crate) struct Maker {
    pub(super) random: Random,
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

    pub(super) fn number(&mut self) -> Part {
        let all = [
            "0", "1", "2", "-1", "0.5", "0.9", "1e3", "Inf", "-Inf", "NaN", "5m", "0x1F", "3.14", "1.5", "10", "1_000",
        ];
        leaf(self.random.pick(&all))
    }

    pub(super) fn scalar(&mut self, depth: u64) -> Node {
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

    pub(super) fn matcher(&mut self) -> String {
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

    pub(super) fn selector(&mut self) -> Part {
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

    pub(super) fn duration(&mut self) -> String {
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
    pub(super) fn modifiers(&mut self) -> Part {
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

    pub(super) fn range_vector(&mut self, depth: u64, extended: bool) -> Node {
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

    pub(super) fn matrix(&mut self, depth: u64) -> Node {
        let extended = self.random.once_in(5);
        self.range_vector(depth, extended)
    }

    pub(super) fn grouping(&mut self) -> String {
        let names: Vec<&str> = (0..self.random.below(3)).map(|_| self.random.pick(&LABELS)).collect();
        match self.random.below(5) {
            0 | 1 => String::new(),
            2 => format!(" without ({})", names.join(", ")),
            _ => format!(" by ({})", names.join(", ")),
        }
    }
}
