//! Reads what `strace -f -y` wrote: which thread began and ended which call on which file, and the bytes that passed. It does not know what they mean.

use std::path::Path;

/// A moment of a call. A call that strace saw in one piece is one step that both begins and ends; one that was interrupted by another thread's is two.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub thread: u32,
    /// `pwrite64`, `recvfrom`, …
    pub call: String,
    /// What the descriptor is: a path, or `socket:[4242]`.
    pub file: String,
    /// The bytes printed at this step, those of all vectors together.
    pub data: Vec<u8>,
    pub begins: bool,
    pub ends: bool,
}

/// The words that make strace print what is needed here. Syncs take 5 ms longer than they do: whoever does not wait for one is then seen to be early.
pub fn command(strace: &Path, output: &Path) -> Vec<String> {
    let calls =
        "trace=read,readv,recvfrom,recvmsg,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync";
    let slow = "inject=fsync,fdatasync:delay_exit=5000";
    let (strace, output) = (strace.to_string_lossy(), output.to_string_lossy());
    let words = [&*strace, "-f", "-y", "-s", "65536", "-e", calls, "-e", slow, "-e", "signal=none", "-o", &*output];
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The steps in the order in which they were seen. Calls that failed took no effect and are left out, as are lines of another kind.
pub fn steps(text: &str) -> Vec<Step> {
    let mut open: Vec<Step> = Vec::new();
    text.lines().filter_map(|line| step(line, &mut open)).collect()
}

fn step(line: &str, open: &mut Vec<Step>) -> Option<Step> {
    let (thread, rest) = line.split_once(' ')?;
    let (thread, rest) = (thread.parse().ok()?, rest.trim_start());
    if let Some(resumed) = rest.strip_prefix("<... ") {
        let at = open.iter().position(|other| other.thread == thread)?;
        let begun = open.swap_remove(at);
        let done = returned(resumed)?;
        // Bytes that were written are printed when the call begins, those that were read when it ends.
        let data = shortened(strings(resumed), &begun.call, done);
        return Some(Step { data, begins: false, ends: true, ..begun });
    }
    let (call, arguments) = rest.split_once('(')?;
    let file = arguments.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(file, _)| file);
    let (call, file) = (call.to_owned(), file.to_owned());
    if let Some(arguments) = arguments.strip_suffix(" <unfinished ...>") {
        let begun = Step { thread, call, file, data: strings(arguments), begins: true, ends: false };
        open.push(begun.clone());
        return Some(begun);
    }
    let data = shortened(strings(arguments), &call, returned(arguments)?);
    Some(Step { thread, call, file, data, begins: true, ends: true })
}

/// What the call returned; `None` for an error.
fn returned(text: &str) -> Option<usize> {
    // strace fills up with blanks before the sign.
    let (_, after) = text.rsplit_once(" = ")?;
    after.split(' ').next()?.parse().ok()
}

/// Only so many bytes passed as the call returned. Syncs return 0 and carry none.
fn shortened(mut data: Vec<u8>, call: &str, returned: usize) -> Vec<u8> {
    if !call.contains("sync") {
        data.truncate(returned);
    }
    data
}

/// All quoted strings of the arguments, one after the other.
fn strings(arguments: &str) -> Vec<u8> {
    let mut data = Vec::new();
    let mut bytes = arguments.bytes().peekable();
    let mut inside = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                inside = !inside;
                let cut = !inside && bytes.peek() == Some(&b'.');
                assert!(!cut, "strace printed a string only in part; raise its -s: {arguments:.200}");
            }
            b'\\' if inside => data.push(match bytes.next().unwrap_or_default() {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'v' => 11,
                b'f' => 12,
                first @ b'0'..=b'7' => {
                    let mut value = first - b'0';
                    for _ in 0..2 {
                        let Some(digit) = bytes.next_if(|byte| (b'0'..=b'7').contains(byte)) else { break };
                        value = value.wrapping_mul(8).wrapping_add(digit - b'0');
                    }
                    value
                }
                other => other,
            }),
            other if inside => data.push(other),
            _ => {}
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::{Step, steps};

    #[test]
    fn lines_become_steps() {
        let check = |lines: &[&str], expect: &[(&str, &str, &[u8], bool, bool)]| {
            let seen = steps(&lines.join("\n"));
            let of = |step: &Step| (step.call.clone(), step.file.clone(), step.data.clone(), step.begins, step.ends);
            let seen: Vec<_> = seen.iter().map(of).collect();
            let expected = expect.iter().map(|&(call, file, data, begins, ends)| {
                (call.to_owned(), file.to_owned(), data.to_vec(), begins, ends)
            });
            assert_eq!(seen, expected.collect::<Vec<_>>());
        };
        check(
            &["7 pwrite64(5</d/1.wal>, \"a\\\"b\\n\\0\\1773\", 7, 0) = 7"],
            &[("pwrite64", "/d/1.wal", b"a\"b\n\x00\x7f3", true, true)],
        );
        check(&["7 fdatasync(5</d/1.wal>)    = 0 (DELAYED)"], &[("fdatasync", "/d/1.wal", b"", true, true)]);
        check(
            &["7 writev(9<socket:[4]>, [{iov_base=\"ab\", iov_len=2}, {iov_base=\"cd\", iov_len=2}], 2) = 3"],
            &[("writev", "socket:[4]", b"abc", true, true)],
        );
        check(
            &[
                "7 recvfrom(9<socket:[4]>,  <unfinished ...>",
                "8 +++ exited with 0 +++",
                "7 <... recvfrom resumed>\"ab\", 9, 0, NULL, NULL) = 2",
            ],
            &[("recvfrom", "socket:[4]", b"", true, false), ("recvfrom", "socket:[4]", b"ab", false, true)],
        );
        check(
            &["7 recvfrom(9<socket:[4]>, 0x7f, 9, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)"],
            &[],
        );
        check(
            &["7 fdatasync(5</d/1.wal> <unfinished ...>", "7 <... fdatasync resumed>) = -1 EIO (Input/output error)"],
            &[("fdatasync", "/d/1.wal", b"", true, false)],
        );
    }
}
