//! One role's settings and their command line, shared by the program of this crate and by any binary that carries it.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::faults::Faults;
use crate::{Error, Role};

/// What `parse_args` understands.
pub const USAGE: &str = "ROLE [--listen ADDR] [--feed-url URL] [--store-url URL] [--api-url URL] [--data-dir DIR] \
                         [--seed N] [--no-faults] [--start-faults JSON] [--console]   (ROLE: feed, store, api, load)";

/// How one role runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Which of the four.
    pub role: Role,
    /// Where its own HTTP server listens; port 0 means any free one.
    pub listen: SocketAddr,
    /// The feed, as `http://host:port` without a path.
    pub feed_url: String,
    /// The store, likewise.
    pub store_url: String,
    /// The api, likewise.
    pub api_url: String,
    /// Where the store keeps `market.db`; made when missing.
    pub data_dir: PathBuf,
    /// The same seed makes the same prices and the same mix of requests.
    pub seed: u64,
    /// Whether the load drives the faults on its timetable.
    pub faults: bool,
    /// What is wrong from the start, as `POST /faults` takes it: a version that was released broken.
    pub start_faults: Faults,
    /// Logs to standard output too.
    pub console: bool,
}

impl Settings {
    /// The defaults of a role: fixed neighbouring ports on loopback, data in `./market-data`.
    pub fn new(role: Role) -> Self {
        let port = match role {
            Role::Feed => 7401,
            Role::Store => 7402,
            Role::Api => 7403,
            Role::Load => 7404,
        };
        Self {
            role,
            listen: SocketAddr::from(([127, 0, 0, 1], port)),
            feed_url: "http://127.0.0.1:7401".to_owned(),
            store_url: "http://127.0.0.1:7402".to_owned(),
            api_url: "http://127.0.0.1:7403".to_owned(),
            data_dir: PathBuf::from("market-data"),
            seed: 1,
            faults: true,
            start_faults: Faults::default(),
            console: false,
        }
    }
}

/// `feed --listen 127.0.0.1:7401 …` as settings. The first argument is the role.
///
/// # Errors
/// An unknown role or option, a missing or unreadable value; each says what to write.
pub fn parse_args(args: &[String]) -> Result<Settings, Error> {
    let mut words = args.iter();
    let role = words.next().ok_or_else(|| Error::usage("no role is given", USAGE))?;
    let mut settings = Settings::new(role.parse()?);
    while let Some(option) = words.next() {
        let mut value = || words.next().cloned().ok_or_else(|| Error::usage(format!("{option} needs a value"), USAGE));
        match option.as_str() {
            "--listen" => {
                let text = value()?;
                settings.listen = text
                    .parse()
                    .map_err(|_| Error::usage(format!("--listen {text} is no address"), "write 127.0.0.1:7401"))?;
            }
            "--feed-url" => settings.feed_url = url(option, value()?)?,
            "--store-url" => settings.store_url = url(option, value()?)?,
            "--api-url" => settings.api_url = url(option, value()?)?,
            "--data-dir" => settings.data_dir = PathBuf::from(value()?),
            "--seed" => {
                let text = value()?;
                settings.seed = text
                    .parse()
                    .map_err(|_| Error::usage(format!("--seed {text} is no number"), "write a whole number from 0"))?;
            }
            "--no-faults" => settings.faults = false,
            "--start-faults" => {
                let text = value()?;
                settings.start_faults = Faults::parse(&text).map_err(|why| {
                    Error::usage(format!("--start-faults {text}: {why}"), "write {\"error_ratio\": 0.2}")
                })?;
            }
            "--console" => settings.console = true,
            other => return Err(Error::usage(format!("`{other}` is no option"), USAGE)),
        }
    }
    Ok(settings)
}

fn url(option: &str, text: String) -> Result<String, Error> {
    let text = text.trim_end_matches('/').to_owned();
    match text.strip_prefix("http://") {
        Some(host) if !host.is_empty() && !host.contains('/') => Ok(text),
        _ => Err(Error::usage(
            format!("{option} {text} is no address of a peer"),
            "write it as http://127.0.0.1:7401, without a path",
        )),
    }
}
