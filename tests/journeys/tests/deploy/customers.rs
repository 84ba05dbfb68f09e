//! People who use a service all the time, and what they noticed of a release: which of their requests failed, and from when to when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tests_journeys::{http, wait};

/// People wait no longer for an answer. A connection that nobody ends, to a pod that is gone, would otherwise count as a minute in which nobody was
/// served, while everybody else is.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two requests.
const PERIOD: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Good,
    /// An error of the service.
    Error,
    /// Nobody listened.
    Nothing,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) took: Duration,
    pub(crate) answer: Answer,
}

/// They go on asking until they are told to stop.
pub(crate) struct Customers {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicUsize>,
    asking: Option<JoinHandle<Vec<Request>>>,
}

impl Customers {
    /// Starts them, and waits until they have been content for a while: the past that a release is held against.
    pub(crate) fn of(url: &str) -> Customers {
        let (stop, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted, pages) = (Arc::clone(&stop), Arc::clone(&good), pages(url));
        let ask = move || {
            let mut requests = Vec::new();
            for page in pages.iter().cycle() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let at = Instant::now();
                let answer = match http::try_get_within(page, PATIENCE) {
                    Ok(reply) if reply.status < 500 => Answer::Good,
                    Ok(_) => Answer::Error,
                    Err(_) => Answer::Nothing,
                };
                counted.fetch_add(usize::from(answer == Answer::Good), Ordering::Relaxed);
                requests.push(Request { at, took: at.elapsed(), answer });
                thread::sleep(PERIOD.saturating_sub(at.elapsed()));
            }
            requests
        };
        let customers = Customers { stop, good, asking: Some(thread::spawn(ask)) };
        customers.good_answers(300);
        customers
    }

    /// Waits for so many more.
    pub(crate) fn good_answers(&self, more: usize) {
        let before = self.good.load(Ordering::Relaxed);
        wait::until("good answers", 120, || {
            let now = self.good.load(Ordering::Relaxed) - before;
            if now >= more { Ok(()) } else { Err(format!("{now} of {more}")) }
        });
    }

    /// What they noticed.
    pub(crate) fn leave(mut self) -> Vec<Request> {
        self.stop.store(true, Ordering::Relaxed);
        let asking = self.asking.take().expect("they leave once");
        asking.join().expect("customers do not panic")
    }
}

impl Drop for Customers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn pages(url: &str) -> Vec<String> {
    ["/quotes/AAPL", "/quotes", "/history/AAPL?limit=20", "/quotes/MSFT"].map(|page| format!("{url}{page}")).into()
}

/// From the first request that failed of those since a moment to the first good one after the last that failed; `None` when none failed.
pub(crate) fn hurt(requests: &[Request], since: Instant) -> Option<Duration> {
    let later: Vec<_> = requests.iter().filter(|request| request.at >= since).collect();
    let first = later.iter().find(|request| request.answer != Answer::Good)?;
    let last = later.iter().rposition(|request| request.answer != Answer::Good)?;
    let well = later.get(last + 1).unwrap_or_else(|| panic!("the last request failed too: {:?}", later[last]));
    Some(well.at + well.took - first.at)
}
