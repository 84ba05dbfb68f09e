//! A picture that stays in its place on the terminal: drawn over the one before, whatever size the terminal has by now. Escape sequences
//! are those of ECMA-48 and xterm. It does not know what the picture shows.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use unicode_width::UnicodeWidthStr as _;

/// Whether a picture is on the terminal: whoever else would print there waits, or says it by the picture.
static DRAWN: AtomicBool = AtomicBool::new(false);

pub(super) fn is_drawn() -> bool {
    DRAWN.load(Ordering::Relaxed)
}

/// Columns and rows of the terminal at stdout; `None` where there is none.
pub(super) fn size() -> Option<(usize, usize)> {
    let stdout = std::io::stdout();
    let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
    // A terminal that does not tell is taken for the one of old.
    let or = |told: u16, usual: usize| if told == 0 { usual } else { usize::from(told) };
    Some((or(size.ws_col, 80), or(size.ws_row, 24)))
}

/// See the module. The cursor is hidden until it is dropped.
#[derive(Default)]
pub(super) struct Screen {
    /// Widths of the lines that stand there.
    drawn: Vec<usize>,
}

impl Screen {
    /// Takes the picture's place, or the next free lines.
    pub(super) fn draw(&mut self, lines: &[String], columns: usize) {
        DRAWN.store(true, Ordering::Relaxed);
        let text = self.over(lines, columns);
        let mut stdout = std::io::stdout().lock();
        // A terminal that is gone needs no picture.
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    }

    /// What is written: between `?2026` a terminal that knows it shows nothing half done; without `?7` nothing wraps.
    fn over(&mut self, lines: &[String], columns: usize) -> String {
        let up = self.rows(columns);
        let back = if up > 0 { format!("\x1b[{up}A") } else { String::new() };
        let mut text = format!("\x1b[?2026h\x1b[?25l\x1b[?7l{back}\r\x1b[J");
        for line in lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str("\x1b[?7h\x1b[?2026l");
        self.drawn = lines.iter().map(|line| plain(line).width()).collect();
        text
    }

    /// How many rows the lines take by now: one that was narrowed since is folded by the terminal.
    fn rows(&self, columns: usize) -> usize {
        self.drawn.iter().map(|width| width.div_ceil(columns.max(1)).max(1)).sum()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if DRAWN.swap(false, Ordering::Relaxed) {
            let mut stdout = std::io::stdout().lock();
            let _ = stdout.write_all(b"\x1b[?25h\x1b[?7h").and_then(|()| stdout.flush());
        }
    }
}

/// Without colours.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        text.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows that a picture of these lines takes when the terminal has become so narrow.
    fn check(lines: &[&str], columns: usize, up: usize) {
        let mut screen = Screen::default();
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let first = screen.over(&lines, 80);
        assert!(first.contains("\x1b[?7l\r\x1b[J"), "nothing stands there yet: {first:?}");
        let second = screen.over(&lines, columns);
        assert!(second.contains(&format!("\x1b[?7l\x1b[{up}A\r\x1b[J")), "{second:?}, not {up} up");
    }

    #[test]
    fn the_next_picture_covers_the_last_one_whatever_its_width_is_now() {
        check(&["one", "two"], 80, 2);
        check(&["a line of 20 columns", "two"], 19, 3);
        check(&["a line of 20 columns", "two"], 20, 2);
        check(&["a line of 20 columns", ""], 7, 4);
        check(&["\x1b[32mgreen\x1b[0m"], 5, 1);
        check(&["━━━━"], 2, 2);
    }
}
