//! The commands of a shell script: enough of a POSIX shell's grammar to tell which programs a RUN starts, with which words,
//! and how they are joined. Does not expand anything and does not judge.

mod reader;

use reader::{Origin, Reader};

use crate::syntax::{Heredoc, Instruction};
use base_explain::Span;

/// How a command is joined to its neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// The start or the end of the script.
    Edge,
    And,
    Or,
    /// `;`, a new line, a bracket or a keyword.
    Then,
    Pipe,
    Background,
}

/// A word of a command, quotes taken away.
#[derive(Debug, Clone)]
pub struct ShellWord {
    pub text: String,
    pub span: Span,
    pub quoted: bool,
    /// Its `$(…)` are listed as commands already.
    expanded: bool,
}

/// `NAME=value` before a command, or alone.
#[derive(Debug, Clone)]
pub struct Assignment {
    pub name: String,
    pub value: String,
    pub span: Span,
}

#[derive(Debug, Clone)]
pub struct Command {
    pub words: Vec<ShellWord>,
    pub assignments: Vec<Assignment>,
    pub before: Join,
    pub after: Join,
    /// Files it writes to with `>` or `>>`.
    pub writes: Vec<String>,
    /// Inside of `$(…)`, backticks, or the text of `sh -c`.
    pub nested: bool,
    /// Inside of brackets `( … )`.
    pub subshell: bool,
    /// In a heredoc's body.
    pub in_heredoc: bool,
    /// The words' spans are those of shell words in the file: text can be added between them. Not so in the exec form and in
    /// the text of `sh -c`, whose words all have the span of the whole text.
    pub exact: bool,
}

impl Command {
    /// The program's name without its folder; what `sudo`, `env`, `exec`, `time`, `nice` and their like start.
    pub fn program(&self) -> &str {
        self.program_at().map_or("", |at| base_name(self.words.get(at).map_or("", |word| word.text.as_str())))
    }

    fn program_at(&self) -> Option<usize> {
        let mut at = 0;
        loop {
            let word = self.words.get(at)?;
            let wrapper = matches!(
                base_name(&word.text),
                "sudo" | "env" | "exec" | "time" | "nice" | "command" | "nohup" | "eatmydata" | "gosu" | "doas"
            );
            if !wrapper {
                return Some(at);
            }
            let named_user = base_name(&word.text) == "gosu";
            let mut next = at + 1 + usize::from(named_user);
            while let Some(word) = self.words.get(next) {
                let takes_value = matches!(word.text.as_str(), "-u" | "-g" | "-n" | "-C");
                if !word.text.starts_with('-') && !word.text.contains('=') {
                    break;
                }
                next += 1 + usize::from(takes_value);
            }
            if next >= self.words.len() {
                return Some(at);
            }
            at = next;
        }
    }

    /// What follows the program.
    pub fn arguments(&self) -> &[ShellWord] {
        self.program_at().and_then(|at| self.words.get(at + 1..)).unwrap_or(&[])
    }

    /// The arguments that are no options.
    pub fn operands(&self) -> impl Iterator<Item = &ShellWord> {
        self.arguments().iter().filter(|word| !word.text.starts_with('-'))
    }

    pub fn has(&self, option: &str) -> bool {
        self.arguments().iter().any(|word| word.text == option)
    }

    /// A short option, alone or among others: `y` in `-qy`.
    pub fn has_short(&self, option: char) -> bool {
        let short = |text: &str| text.starts_with('-') && !text.starts_with("--") && text.contains(option);
        self.arguments().iter().any(|word| short(&word.text))
    }

    pub fn span(&self) -> Span {
        let first = self.words.first().map(|word| word.span);
        let last = self.words.last().map(|word| word.span);
        let assigned = self.assignments.first().map(|one| one.span);
        match (first.or(assigned), last.or(assigned)) {
            (Some(first), Some(last)) => first.to(last),
            _ => Span::new(0, 0),
        }
    }
}

pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The commands of a RUN, or of a shell-form CMD, ENTRYPOINT or HEALTHCHECK.
pub fn commands(instruction: &Instruction, file: &str) -> Vec<Command> {
    let mut out = Vec::new();
    if let Some(exec) = &instruction.exec {
        let words: Vec<_> = exec
            .iter()
            .map(|w| ShellWord { text: w.value.clone(), span: w.span, quoted: true, expanded: false })
            .collect();
        let mut reader = Reader::new(Origin::File(0), "", 0, &mut out);
        reader.command.words = words;
        reader.command.exact = false;
        reader.end(Join::Edge);
        return out;
    }
    let health = instruction.kind == crate::syntax::Kind::Healthcheck;
    let start = match instruction.words.get(1).filter(|_| health) {
        Some(second) => second.range.start,
        None => instruction.rest.start,
    };
    let text = instruction.logical.text.get(start..instruction.rest.end).unwrap_or("");
    Reader::new(Origin::Logical(&instruction.logical, start), text, 0, &mut out).run();
    for heredoc in &instruction.heredocs {
        if is_script(instruction, heredoc, &out) {
            let from = out.len();
            Reader::new(Origin::File(heredoc.body.start), heredoc.body.of(file), 0, &mut out).run();
            for command in out.iter_mut().skip(from) {
                command.in_heredoc = true;
            }
        }
    }
    out
}

/// A heredoc is a script when nothing reads it, or when a shell does.
fn is_script(instruction: &Instruction, heredoc: &Heredoc, commands: &[Command]) -> bool {
    if instruction.kind != crate::syntax::Kind::Run {
        return false;
    }
    let direct: Vec<_> = commands.iter().filter(|command| !command.words.is_empty()).collect();
    match direct.as_slice() {
        [] => instruction.heredocs.first().is_some_and(|first| first.opener == heredoc.opener),
        [only] => is_shell(only.program()) && only.operands().next().is_none(),
        _ => false,
    }
}

pub(crate) fn is_shell(program: &str) -> bool {
    matches!(program, "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh")
}
