//! A program on a pseudo-terminal, with somebody who reads and types.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::home::until;

pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    shown: Arc<Mutex<String>>,
    /// What was read already.
    read: usize,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Terminal {
    pub(crate) fn start(command: &mut Command, columns: u16, rows: u16) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it can be opened");
        let name = ptsname(&master, Vec::new()).expect("it has a name").into_string().expect("ASCII");
        tcsetwinsize(&master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).expect("a size");
        let slave = File::options().read(true).write(true).open(name).expect("the other end");
        let stdio = || Stdio::from(slave.try_clone().expect("a copy"));
        command.env("TERM", "xterm-256color").stdin(stdio()).stdout(stdio()).stderr(stdio());
        let child = command.spawn().expect("apm can be started");
        // A command keeps its ends; without them the reader sees the end of the program.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut screen = File::from(master);
        let keyboard = screen.try_clone().expect("a copy");
        let shown = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&shown);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // A terminal whose program is gone answers with an error.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                seen.lock().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Terminal { child, keyboard, shown, read: 0, reader: Some(reader) }
    }

    pub(crate) fn shown(&self) -> String {
        self.shown.lock().clone()
    }

    /// Waits for words that were not read yet.
    pub(crate) fn sees(&mut self, words: &str) {
        let find = || {
            let shown = self.shown();
            shown.get(self.read..).and_then(|new| Some(self.read + new.find(words)? + words.len()))
        };
        self.read = until(&format!("`{words}`"), || self.shown(), find);
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal is there");
    }

    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let child = &mut self.child;
        let shown = Arc::clone(&self.shown);
        let text = || shown.lock().clone();
        let status = until("the program to end", text, || child.try_wait().expect("a child can be waited for"));
        // Its last words may still be on their way.
        self.reader.take().map(std::thread::JoinHandle::join);
        (status.code(), self.shown())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
