//! A second opinion on where HTTP/1 requests begin and end. Heads that another server could frame differently, the stuff
//! of request smuggling, are made unreadable, so that the parser behind refuses them with 400 and closes. RFC 9112 §6.3
//! leaves it to a server to mend some of them; a front refuses them all. It knows no I/O and keeps no bodies.

use memchr::memchr;

/// What is kept of a line that arrives in pieces: enough for every name and value that matters here.
const LINE_BYTES_MAX: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a head, or before the next one.
    Head,
    /// So many bytes of a body.
    Skip(u64),
    ChunkSize,
    /// A chunk with its line end.
    Chunk(u64),
    Trailers,
    /// Not ours to judge: h2, or a tunnel.
    Through,
    /// Whatever still comes is no longer read.
    Refused,
}

#[derive(Debug)]
pub(crate) struct Framing {
    state: State,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    lines_seen: u32,
    length: Option<u64>,
    is_chunked: bool,
}

impl Default for Framing {
    fn default() -> Self {
        Framing { state: State::Head, line: Vec::new(), lines_seen: 0, length: None, is_chunked: false }
    }
}

impl Framing {
    /// Whether a head has begun and not ended; a refused one ends with the connection.
    pub(crate) fn in_head(&self) -> bool {
        self.state == State::Refused || self.state == State::Head && (self.lines_seen > 0 || !self.line.is_empty())
    }

    /// Everything from here on passes unseen.
    pub(crate) fn pass_all(&mut self) {
        self.state = State::Through;
    }

    /// Follows what was read; spoils it from where a refused line ends.
    pub(crate) fn follow(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while at < bytes.len() {
            let Some(rest) = bytes.get(at..) else { return };
            match &mut self.state {
                State::Through => return,
                State::Refused => {
                    if let Some(unread) = bytes.get_mut(at..) {
                        spoil(unread, 0);
                    }
                    return;
                }
                State::Skip(left) | State::Chunk(left) => {
                    let step = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= step as u64;
                    at += step;
                    if *left == 0 {
                        self.state = if matches!(self.state, State::Skip(_)) { State::Head } else { State::ChunkSize };
                    }
                }
                State::Head | State::ChunkSize | State::Trailers => {
                    let Some(end) = memchr(b'\n', rest) else {
                        let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
                        self.line.extend(rest.iter().take(room));
                        return;
                    };
                    let refused = if self.line.is_empty() {
                        let line = rest.get(..end).unwrap_or_default();
                        self.judge(line)
                    } else {
                        let mut line = std::mem::take(&mut self.line);
                        line.extend(rest.iter().take(end));
                        let refused = self.judge(&line);
                        line.clear();
                        self.line = line;
                        refused
                    };
                    if refused {
                        self.state = State::Refused;
                        if let Some(unread) = bytes.get_mut(at..) {
                            spoil(unread, end + 1);
                        }
                        return;
                    }
                    at += end + 1;
                }
            }
        }
    }

    /// Takes a line without its LF; true when it is refused.
    fn judge(&mut self, line: &[u8]) -> bool {
        let Some(line) = line.strip_suffix(b"\r") else {
            // A bare LF ends a line for some and not for others.
            return true;
        };
        match self.state {
            State::Head => self.judge_head(line),
            State::ChunkSize => match chunk_size(line) {
                Some(0) => {
                    self.state = State::Trailers;
                    false
                }
                Some(size) => {
                    self.state = State::Chunk(size + 2);
                    false
                }
                None => true,
            },
            State::Trailers => {
                if line.is_empty() {
                    self.begin();
                }
                false
            }
            State::Skip(_) | State::Chunk(_) | State::Through | State::Refused => false,
        }
    }

    fn begin(&mut self) {
        (self.state, self.lines_seen, self.length, self.is_chunked) = (State::Head, 0, None, false);
    }

    fn judge_head(&mut self, line: &[u8]) -> bool {
        if line.is_empty() {
            // Empty lines before a request are skipped, as parsers do.
            let (length, is_chunked) = (self.length, self.is_chunked);
            self.begin();
            self.state = match (is_chunked, length) {
                (true, _) => State::ChunkSize,
                (false, Some(length)) if length > 0 => State::Skip(length),
                _ => State::Head,
            };
            return false;
        }
        self.lines_seen = self.lines_seen.saturating_add(1);
        if self.lines_seen == 1 {
            if line == b"PRI * HTTP/2.0" {
                self.state = State::Through;
            }
            return false;
        }
        let Some(colon) = memchr(b':', line) else { return true };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        // A blank in or before a name, or a folded line: read in many ways.
        if name.is_empty() || name.iter().any(|byte| byte.is_ascii_whitespace()) {
            return true;
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let number = Some(value).filter(|value| !value.is_empty() && value.iter().all(u8::is_ascii_digit));
            let number = number.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
            let is_first = self.length.is_none() && !self.is_chunked;
            self.length = number;
            return !is_first || number.is_none();
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let is_first = self.length.is_none() && !self.is_chunked;
            self.is_chunked = true;
            return !is_first || !value.eq_ignore_ascii_case(b"chunked");
        }
        false
    }
}

/// Overwrites a refused line and what follows: no parser takes a NUL in a head or a chunk's size, and an end of the head
/// makes it look at once.
fn spoil(unread: &mut [u8], line_bytes: usize) {
    let bare = line_bytes.saturating_sub(4);
    for (index, byte) in unread.iter_mut().enumerate() {
        *byte = if index < bare.max(usize::from(line_bytes > 0)) {
            0
        } else if index % 2 == bare % 2 {
            b'\r'
        } else {
            b'\n'
        };
    }
}

/// Hexadecimal, with an extension behind `;` that is ignored.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.get(..memchr(b';', line).unwrap_or(line.len()))?.trim_ascii_end();
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `passed` is what is left as it was: everything, or what is before the refused line. However it is cut.
    fn check(input: &str, passed: &str) {
        let input = input.replace('|', "\r\n");
        let passed = passed.replace('|', "\r\n");
        for piece in [1, 2, 3, 7, 64, usize::MAX] {
            let (mut framing, mut seen) = (Framing::default(), Vec::new());
            for bytes in input.as_bytes().chunks(piece.min(input.len())) {
                let mut bytes = bytes.to_vec();
                framing.follow(&mut bytes);
                seen.extend(bytes);
            }
            let same = seen.iter().zip(input.as_bytes()).take_while(|(one, other)| one == other).count();
            let line = input[passed.len()..].find('\n').map_or(input.len(), |end| passed.len() + end + 1);
            let expected = if passed == input { same == input.len() } else { (passed.len()..line).contains(&same) };
            assert!(expected, "in pieces of {piece}: {:?} of {input:?}", &input[..same]);
            assert_eq!(seen.contains(&0), passed != input, "in pieces of {piece}: {input:?}");
            assert!(passed == input || !seen[line..].iter().any(u8::is_ascii_graphic), "{input:?} is read on");
        }
    }

    fn passes(input: &str) {
        check(input, input);
    }

    #[test]
    fn what_is_framed_in_one_way_passes() {
        passes("GET / HTTP/1.1|host: a||");
        passes("||GET / HTTP/1.1|host: a||GET /2 HTTP/1.1|host: a||");
        passes("POST / HTTP/1.1|Content-Length: 5||\n\n:\n\nGET / HTTP/1.1|host: a||");
        passes("POST / HTTP/1.1|content-length: 0||GET / HTTP/1.1||");
        passes(
            "POST / HTTP/1.1|Transfer-Encoding: Chunked||3;x=y|\n\n\n|A|0123456789|0|x-sum: 1||GET / HTTP/1.1|a: b||",
        );
        passes("PRI * HTTP/2.0||SM||\n\n\n");
    }

    #[test]
    fn what_others_could_frame_differently_does_not() {
        let post = "POST / HTTP/1.1|host: a|";
        for (head, refused) in [
            ("content-length: 5|", "transfer-encoding: chunked"),
            ("transfer-encoding: chunked|", "content-length: 5"),
            ("content-length: 5|", "content-length: 5"),
            ("content-length: 5|", "Content-Length: 6"),
            ("transfer-encoding: chunked|", "transfer-encoding: chunked"),
            ("", "transfer-encoding: gzip, chunked"),
            ("", "transfer-encoding: xchunked"),
            ("", "transfer-encoding:"),
            ("", "content-length: +5"),
            ("", "content-length: 5, 5"),
            ("", "content-length:"),
            ("", "content-length: 99999999999999999999"),
            ("", "content-length : 5"),
            ("", "transfer-encoding\t: chunked"),
            ("x: 1|", " folded: 1"),
            ("", "no colon"),
        ] {
            check(&format!("{post}{head}{refused}||GET"), &format!("{post}{head}"));
        }
        // A bare LF.
        check("GET / HTTP/1.1\nhost: a||", "");
        check("GET / HTTP/1.1|host: a\n|", "GET / HTTP/1.1|");
        // Sizes of chunks.
        let chunked = "POST / HTTP/1.1|transfer-encoding: chunked||";
        for size in ["0x5", "-5", "", "5 5", "g", "ffffffffffffffff", "5\rx"] {
            check(&format!("{chunked}{size}|hello|0||"), chunked);
        }
        // After a body the next head is judged as well.
        let first = "POST / HTTP/1.1|content-length: 4||\n\n\n\n";
        check(&format!("{first}{post}content-length: x|"), &format!("{first}{post}"));
        let first = "POST / HTTP/1.1|transfer-encoding: chunked||4|\n\n\n\n|0||";
        check(&format!("{first}{post}content-length: x|"), &format!("{first}{post}"));
    }
}
