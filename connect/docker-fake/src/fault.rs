//! What can go wrong with an answer, and when.

/// How a request is answered wrongly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status and message; nothing is done.
    Refuse(u16, &'static str),
    /// It is done, and the connection ends without an answer.
    LoseAnswer,
    /// Nothing is done, and the connection ends without an answer.
    HangUp,
    /// Nothing is done, and nothing is ever said.
    Silence,
    /// 200 with a page that is no JSON.
    Garbage,
}

#[derive(Debug)]
pub(crate) struct Rule {
    line: String,
    number: Option<u64>,
    left: usize,
    fault: Fault,
}

impl Rule {
    pub(crate) fn on(line: &str, times: usize, fault: Fault) -> Rule {
        Rule { line: line.to_owned(), number: None, left: times, fault }
    }

    pub(crate) fn at(number: u64, line: &str, fault: Fault) -> Rule {
        Rule { line: line.to_owned(), number: Some(number), left: 1, fault }
    }

    /// The fault of the first rule that this request meets, which then has one less left.
    pub(crate) fn meet(rules: &mut [Rule], line: &str, number: u64) -> Option<Fault> {
        let meets = |rule: &&mut Rule| {
            rule.left > 0 && rule.number.is_none_or(|wanted| wanted == number) && line.contains(&rule.line)
        };
        let rule = rules.iter_mut().find(meets)?;
        rule.left -= 1;
        Some(rule.fault.clone())
    }
}
