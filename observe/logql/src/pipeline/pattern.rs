//! Loki's patterns: literals with captures between them, `<ip> - <_> "<method> <path>"`. A capture is never empty.

/// A compiled pattern. Literals and captures alternate.
#[derive(Clone, Debug)]
pub(super) struct LinePattern {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// `None` is `<_>`.
    Capture(Option<String>),
}

impl LinePattern {
    /// The error says what is wrong with the pattern.
    pub(super) fn new(text: &str) -> Result<Self, &'static str> {
        let mut parts: Vec<Part> = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let name = rest.strip_prefix('<').and_then(|r| r.split_once('>')).map(|(name, _)| name);
            let is_name = |n: &str| {
                n.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            };
            match name.filter(|name| is_name(name)) {
                Some(name) => {
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    } else if matches!(parts.last(), Some(Part::Capture(_))) {
                        return Err("found consecutive capture: there must be text between two captures");
                    }
                    let taken = parts.iter().any(|p| matches!(p, Part::Capture(Some(n)) if n == name));
                    if taken {
                        return Err("duplicate capture name");
                    }
                    parts.push(Part::Capture((name != "_").then(|| name.to_owned())));
                    rest = &rest[name.len() + 2..];
                }
                None => {
                    literal.push(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(LinePattern { parts })
    }

    pub(super) fn has_names(&self) -> bool {
        self.parts.iter().any(|p| matches!(p, Part::Capture(Some(_))))
    }

    /// The literals: every line that matches contains them.
    pub(super) fn literals(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|p| match p {
            Part::Literal(text) => Some(text.as_str()),
            Part::Capture(_) => None,
        })
    }

    /// Whether the whole line has this form.
    pub(super) fn is_match(&self, line: &str) -> bool {
        self.captures(line, &mut |_, _| {})
    }

    /// Gives the named captures in turn. False when the line ends before the pattern or begins otherwise; what was
    /// captured until then has been given, as Loki does.
    pub(super) fn captures<'a>(&self, line: &'a str, found: &mut dyn FnMut(&str, &'a str)) -> bool {
        let mut rest = line;
        let mut open: Option<&Option<String>> = None;
        for part in &self.parts {
            let text = match part {
                Part::Capture(name) => {
                    open = Some(name);
                    continue;
                }
                Part::Literal(text) => text,
            };
            let Some(at) = rest.find(text.as_str()) else { return false };
            match open.take() {
                Some(_) if at == 0 => return false,
                Some(Some(name)) => found(name, &rest[..at]),
                Some(None) => {}
                None if at > 0 => return false,
                None => {}
            }
            rest = &rest[at + text.len()..];
        }
        match open {
            Some(_) if rest.is_empty() => false,
            Some(Some(name)) => {
                found(name, rest);
                true
            }
            Some(None) => true,
            None => rest.is_empty(),
        }
    }
}
