//! Tells when a source file of the project changed, once for a burst of changes. Does not know what a restart is.
//!
//! Only folders that hold sources are watched: a recursive watch would spend the system's watches on `node_modules`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecursiveMode, Watcher};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

/// Editors write a file in several steps, formatters several files.
const QUIET: Duration = Duration::from_millis(200);
/// A program that is written to without end is still restarted.
const LONGEST: Duration = Duration::from_secs(1);
const FOLDERS_MAX: usize = 4096;

/// Folders that hold no sources of the project. Those whose name begins with a dot are left out too.
const NOT_OURS: &[&str] = &[
    "__pycache__",
    "venv",
    "env",
    "node_modules",
    "site-packages",
    "dist",
    "build",
    "target",
    "vendor",
    "htmlcov",
    "instance",
];

pub(crate) struct Changes {
    events: Receiver<notify::Result<Event>>,
    watcher: notify::RecommendedWatcher,
    root: PathBuf,
    ignore: Vec<PathBuf>,
    suffixes: &'static [&'static str],
    folders: usize,
}

impl Changes {
    /// Begins to watch. The error is a sentence for the person.
    pub(crate) fn of(root: &Path, ignore: &[PathBuf], suffixes: &'static [&'static str]) -> Result<Changes, String> {
        let (sender, events): (Sender<notify::Result<Event>>, _) = channel(1024);
        // A full channel means that a change is about to be told anyway.
        let tell = move |event| drop(sender.try_send(event));
        let watcher = notify::recommended_watcher(tell).map_err(|error| why(&error))?;
        let root = root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?;
        let ignore = ignore.iter().filter_map(|path| path.canonicalize().ok()).collect();
        let mut changes = Changes { events, watcher, root: root.clone(), ignore, suffixes, folders: 0 };
        changes.add(&root)?;
        Ok(changes)
    }

    /// Watches a folder and those below it.
    fn add(&mut self, folder: &Path) -> Result<(), String> {
        let mut waiting = vec![folder.to_owned()];
        while let Some(folder) = waiting.pop() {
            if self.folders >= FOLDERS_MAX {
                return Err(format!("the project has more than {FOLDERS_MAX} folders; those beyond are not watched"));
            }
            match self.watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => self.folders += 1,
                // It was there when its parent was listed and is gone now.
                Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => continue,
                Err(error) => return Err(why(&error)),
            }
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                // Symbolic links are not followed: they may lead in circles.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) && self.is_ours(&entry.path()) {
                    waiting.push(entry.path());
                }
            }
        }
        Ok(())
    }

    fn is_ours(&self, folder: &Path) -> bool {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        !name.starts_with('.')
            && !NOT_OURS.contains(&name)
            && !self.ignore.iter().any(|ignored| folder.starts_with(ignored))
            && !folder.join("pyvenv.cfg").exists()
    }

    /// Waits for the next burst and answers which files changed, relative to the project folder. Never, once the watch ended.
    pub(crate) async fn next(&mut self) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        let mut since = Instant::now();
        loop {
            let event = if changed.is_empty() {
                let event = self.events.recv().await;
                since = Instant::now();
                event
            } else {
                let wait = QUIET.min(LONGEST.saturating_sub(since.elapsed()));
                match tokio::time::timeout(wait, self.events.recv()).await {
                    Ok(event) => event,
                    Err(_) => return changed,
                }
            };
            match event {
                Some(Ok(event)) => self.take(&event, &mut changed),
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    fn take(&mut self, event: &Event, changed: &mut BTreeSet<String>) {
        let counts = match event.kind {
            EventKind::Create(_) | EventKind::Remove(_) => true,
            EventKind::Modify(kind) => !matches!(kind, ModifyKind::Metadata(_)),
            _ => false,
        };
        if !counts {
            return;
        }
        for path in &event.paths {
            if path.is_dir() {
                if matches!(event.kind, EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)))
                    && self.is_ours(path)
                {
                    // Past the limit the first warning said so; files inside are then simply not seen.
                    let _ = self.add(path);
                }
                continue;
            }
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_source = self.suffixes.iter().any(|suffix| name.ends_with(suffix));
            // `.#app.py`, `.app.py.swp`: an editor's own; `.env` alone is the program's.
            let is_editors = name.starts_with('.') && name != ".env";
            if is_source && !is_editors {
                let shown = path.strip_prefix(&self.root).unwrap_or(path);
                changed.insert(shown.display().to_string());
            }
        }
    }
}

fn why(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "the system allows no more file watches (fs.inotify.max_user_watches); raise it, or run with --no-watch"
                .to_owned()
        }
        _ => error.to_string(),
    }
}
