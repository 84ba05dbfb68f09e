//! Names below the folder of logs: which pod, which container, which run of it, and which file came before which. Opens nothing.

use std::cmp::Reverse;
use std::fmt;

use super::PodRef;

impl PodRef {
    /// From `NAMESPACE_POD_UID`; `None` for any other name. No part of it can have an underscore of its own.
    pub fn of_folder(name: &str) -> Option<PodRef> {
        let parts: Vec<&str> = name.split('_').collect();
        let [namespace, pod, uid] = parts[..] else { return None };
        let plain = |part: &str| !part.is_empty() && part.len() <= 253;
        (plain(namespace) && plain(pod) && plain(uid)).then(|| PodRef {
            namespace: namespace.into(),
            name: pod.into(),
            uid: uid.into(),
        })
    }
}

/// The name of a log file. Sorts in the order in which files were written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogName {
    /// How often the container had been started again.
    pub(super) restart: u32,
    age: Age,
}

/// Rotated files first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    /// `0.log.3` is older than `0.log.2`, as logrotate counts.
    Numbered(Reverse<u32>),
    /// `0.log.20260102-030405`, as the kubelet does.
    Stamped(String),
    Current,
}

impl LogName {
    /// `None` for what is no log, or not one that is read: compressed, or half of a compression.
    pub(super) fn of_file(name: &str) -> Option<LogName> {
        let (number, rest) = name.split_once(".log")?;
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let restart = number.parse().ok()?;
        let age = match rest.strip_prefix('.') {
            None if rest.is_empty() => Age::Current,
            Some(stamp) if !stamp.is_empty() && !stamp.ends_with(".gz") && !stamp.ends_with(".tmp") => {
                // Longer ones are dates: those grow with time.
                let numbered = stamp.parse().ok().filter(|_| stamp.len() < 6);
                numbered.map_or_else(|| Age::Stamped(stamp.to_owned()), |number| Age::Numbered(Reverse(number)))
            }
            _ => return None,
        };
        Some(LogName { restart, age })
    }

    /// It has been put aside: nobody begins to write into it.
    pub(super) fn is_rotated(&self) -> bool {
        self.age != Age::Current
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.age {
            Age::Numbered(Reverse(number)) => write!(to, "{}.log.{number}", self.restart),
            Age::Stamped(stamp) => write!(to, "{}.log.{stamp}", self.restart),
            Age::Current => write!(to, "{}.log", self.restart),
        }
    }
}
