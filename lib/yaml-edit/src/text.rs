//! Small looks at a text by byte: from characters to bytes, over blanks and comments, to the ends of lines. Knows no node.

/// Every how many characters a byte offset is kept.
const STRIDE: usize = 256;

/// From the parser's character offsets to bytes.
#[derive(Debug)]
pub(crate) struct Offsets<'t> {
    text: &'t str,
    /// None where all is ASCII: there they are the same.
    marks: Option<Vec<u32>>,
}

impl<'t> Offsets<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let marks = (!text.is_ascii()).then(|| {
            text.char_indices().step_by(STRIDE).map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX)).collect()
        });
        Offsets { text, marks }
    }

    pub(crate) fn byte(&self, index: usize) -> usize {
        let Some(marks) = &self.marks else { return index.min(self.text.len()) };
        let Some(&mark) = marks.get(index / STRIDE) else { return self.text.len() };
        let rest = self.text.get(mark as usize..).unwrap_or("");
        rest.char_indices().nth(index % STRIDE).map_or(self.text.len(), |(at, _)| mark as usize + at)
    }
}

/// The first byte from `at` that is no blank, line break or comment.
pub(crate) fn skip_trivia(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = at;
    loop {
        match bytes.get(at) {
            Some(b' ' | b'\t' | b'\n' | b'\r') => at += 1,
            // A byte order mark.
            Some(0xEF) if text.get(at..).is_some_and(|rest| rest.starts_with('\u{feff}')) => at += 3,
            Some(b'#') if at == 0 || matches!(bytes.get(at - 1), Some(b' ' | b'\t' | b'\n' | b'\r')) => {
                at = line_end(text, at);
            }
            _ => return at,
        }
    }
}

/// The line's end: of the `\n` or `\r\n` that closes it, or of the text.
pub(crate) fn line_end(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or(&[]);
    let end = at + rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
    if end > at && text.as_bytes().get(end - 1) == Some(&b'\r') && end < text.len() { end - 1 } else { end }
}

/// Behind the line break that closes this line, or the text's end.
pub(crate) fn next_line(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or(&[]);
    at + rest.iter().position(|&b| b == b'\n').map_or(rest.len(), |n| n + 1)
}

/// The line's first byte.
pub(crate) fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |n| n + 1)
}

/// Only blanks stand before it on its line.
pub(crate) fn opens_line(text: &str, at: usize) -> bool {
    text.get(line_start(text, at)..at).is_some_and(|before| before.trim_matches([' ', '\u{feff}']).is_empty())
}
