//! `apm deploy diff`: what a release would change, before anybody plans it. It decides nothing.

use clap::Args as ClapArgs;
use operate_deploy::Difference;

use super::asked;
use super::judge::{Form, json};
use super::office::Office;
use crate::args::{Global, Places, ReleaseArgs, ServerArgs};
use crate::output::{Failure, paint, say};

#[derive(Debug, ClapArgs)]
pub(crate) struct DiffArgs {
    /// The form of the answer
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    pub(crate) output: Form,
    #[command(flatten)]
    pub(crate) release: ReleaseArgs,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

pub(crate) async fn diff(global: &Global, args: &DiffArgs) -> Result<u8, Failure> {
    let asked = asked(global, &args.release);
    let (service, version, found) = match Office::open(global, &args.places, &args.server).await? {
        Office::Here(desk, project) => {
            let wanted = desk.wanted(&project, &asked).await.map_err(Failure::Usage)?;
            desk.differences(&wanted).await?
        }
        Office::There(remote) => remote.differences(&asked, global.env.as_deref()).await?,
    };
    if args.output == Form::Json {
        json(&found);
    } else if found.is_empty() {
        say(global, &format!("nothing would change: {service} {version} is what runs"));
    }
    if args.output == Form::Text {
        for (text, color) in lines(&found) {
            say(global, &paint(global, color, &text));
        }
    }
    Ok(u8::from(!found.is_empty()))
}

/// A head for each container, then a line for each difference, with its colour.
pub(super) fn lines(found: &[Difference]) -> Vec<(String, &'static str)> {
    let wide = found.iter().map(|one| one.what.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    let mut container = "";
    for one in found {
        if one.container != container {
            container = &one.container;
            lines.push((container.to_owned(), "1"));
        }
        let what = &one.what;
        lines.push(match (&one.was, &one.becomes) {
            (Some(was), Some(becomes)) if was == becomes => (format!("  ~ {what:<wide$}  changed"), "33"),
            (Some(was), Some(becomes)) => (format!("  ~ {what:<wide$}  {was} → {becomes}"), "33"),
            (None, Some(becomes)) => (format!("  + {what:<wide$}  {becomes}"), "32"),
            (Some(was), None) => (format!("  - {what:<wide$}  {was}"), "31"),
            (None, None) => continue,
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_a_line() {
        let one = |what: &str, was: Option<&str>, becomes: Option<&str>| Difference {
            container: "shop-cart".into(),
            what: what.into(),
            was: was.map(str::to_owned),
            becomes: becomes.map(str::to_owned),
        };
        let found = [
            one("image", Some("cart:1"), Some("cart:2")),
            one("env LEVEL", None, Some("debug")),
            one("port 80/tcp", Some("8080"), None),
            one("secret KEY", Some("(secret)"), Some("(secret)")),
        ];
        let lines: Vec<String> = lines(&found).into_iter().map(|(text, _)| text).collect();
        assert_eq!(
            lines,
            [
                "shop-cart",
                "  ~ image        cart:1 → cart:2",
                "  + env LEVEL    debug",
                "  - port 80/tcp  8080",
                "  ~ secret KEY   changed",
            ]
        );
    }
}
