//! `apm deploy tag`: names for a run, given or taken away. What a name may be, and what it is good for, is decided elsewhere.

use clap::Args as ClapArgs;
use operate_execute::{RunId, Tag};

use super::actor;
use super::office::Office;
use crate::args::{Global, Places, ServerArgs};
use crate::output::{Failure, say};

#[derive(Debug, ClapArgs)]
pub(crate) struct TagArgs {
    /// The run, as `apm deploy list` names it
    run: String,
    /// Letters, digits, `.`, `_` and `-`: golden, before-black-friday
    #[arg(required = true, value_name = "TAG", value_parser = tag)]
    tags: Vec<Tag>,
    /// Take them away
    #[arg(long)]
    remove: bool,
    /// Why, for the audit log
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn tag(text: &str) -> Result<Tag, String> {
    Tag::new(text).map_err(|error| error.to_string())
}

pub(super) async fn change(global: &Global, args: &TagArgs) -> Result<u8, Failure> {
    let office = Office::open(global, &args.places, &args.server).await?;
    let run = RunId(args.run.clone());
    let (tags, why) = (args.tags.as_slice(), args.reason.as_str());
    let now = match (&office, args.remove) {
        (Office::Here(desk, _), false) => desk.tag(&run, tags, &actor(), "", why).await?,
        (Office::Here(desk, _), true) => desk.untag(&run, tags, &actor(), "", why).await?,
        (Office::There(remote), takes) => remote.retag(&run, tags, takes, &actor(), why).await?,
    };
    let now: Vec<&str> = now.iter().map(Tag::as_str).collect();
    say(global, &if now.is_empty() { format!("{run} has no tag") } else { format!("{run} is {}", now.join(", ")) });
    Ok(0)
}
