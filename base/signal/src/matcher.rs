//! Label matchers, shared by all three languages. Knows how to test one value, not how to find series.

use std::fmt;

use crate::{LabelsRef, Pattern, PatternError};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

/// `name op value`; an absent label has the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    pub name: String,
    pub op: MatchOp,
    pub value: String,
    /// Present exactly when `op` is a regex.
    pattern: Option<Pattern>,
}

impl Matcher {
    /// Compiles the value when the operator wants a regex, which alone can fail.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, PatternError> {
        let (name, value) = (name.into(), value.into());
        let pattern = match op {
            MatchOp::Regex | MatchOp::NotRegex => Some(Pattern::anchored(&value)?),
            MatchOp::Equal | MatchOp::NotEqual => None,
        };
        Ok(Matcher { name, op, value, pattern })
    }

    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Matcher { name: name.into(), op: MatchOp::Equal, value: value.into(), pattern: None }
    }

    pub fn pattern(&self) -> Option<&Pattern> {
        self.pattern.as_ref()
    }

    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.pattern) {
            (MatchOp::Equal, _) => self.value == value,
            (MatchOp::NotEqual, _) => self.value != value,
            (MatchOp::Regex, Some(pattern)) => pattern.is_match(value),
            (MatchOp::NotRegex, Some(pattern)) => !pattern.is_match(value),
            (MatchOp::Regex | MatchOp::NotRegex, None) => false,
        }
    }

    /// Whether a series without the label passes: such a matcher cannot narrow a search by itself.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    pub fn matches_labels(&self, labels: LabelsRef<'_>) -> bool {
        self.matches(labels.get(&self.name).unwrap_or_default())
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        };
        write!(f, "{}{op}{:?}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_on_labels_and_as_they_are_written() {
        let labels = crate::Labels::from_pairs([("job", "api")]);
        let table = [
            ("job", MatchOp::Equal, "api", true, false, r#"job="api""#),
            ("job", MatchOp::NotEqual, "api", false, true, r#"job!="api""#),
            ("job", MatchOp::Regex, "a.*|x", true, false, r#"job=~"a.*|x""#),
            ("job", MatchOp::NotRegex, "a.*", false, true, r#"job!~"a.*""#),
            ("job", MatchOp::Regex, "ap", false, false, r#"job=~"ap""#),
            // An absent label is an empty one.
            ("none", MatchOp::Equal, "", true, true, r#"none="""#),
            ("none", MatchOp::NotEqual, "x", true, true, r#"none!="x""#),
            ("none", MatchOp::Regex, ".*", true, true, r#"none=~".*""#),
            ("none", MatchOp::Regex, ".+", false, false, r#"none=~".+""#),
        ];
        for (name, op, value, matches, empty, shown) in table {
            let matcher = Matcher::new(name, op, value).unwrap();
            assert_eq!(matcher.to_string(), shown);
            assert_eq!((matcher.matches_labels(labels.as_ref()), matcher.matches_empty()), (matches, empty), "{shown}");
            assert_eq!(matcher.pattern().is_some(), matches!(op, MatchOp::Regex | MatchOp::NotRegex));
        }
        assert!(Matcher::new("job", MatchOp::Regex, "(").is_err());
        assert!(Matcher::new("job", MatchOp::Equal, "(").is_ok());
        assert_eq!(Matcher::equal("a", "b"), Matcher::new("a", MatchOp::Equal, "b").unwrap());
        assert_ne!(Matcher::equal("a", "b"), Matcher::new("a", MatchOp::NotEqual, "b").unwrap());
    }
}
