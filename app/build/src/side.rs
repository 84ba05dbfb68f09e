//! The agent beside the image: in a named volume, or in an image of its own whose volume is shared. The user's image stays as it was built.

use std::collections::BTreeMap;

use connect_docker::{BuildOptions, ContainerSpec, Engine, Mount};
use operate_build::{HOME, Join, agent_image, environment, volume_name};

use crate::agent::Agent;
use crate::build::{Built, Seen, files, one, stage_context};
use crate::context::stream;
use crate::{BuildError, Options, Say};

/// What a volume holds, in words.
const LABEL: &str = "apm.agent";

/// Fills the volume of this service and version. It is written once: a container that runs with it would meet other files.
pub(crate) async fn volume(
    engine: &Engine,
    options: &Options,
    seen: &Seen,
    agent: Agent,
    unique: &str,
    built: &mut Built,
) -> Result<(), BuildError> {
    let version = version(options, &built.image);
    let name = volume_name(&seen.telemetry.service, &version);
    let runtime = seen.runtime.as_ref().map(|runtime| format!(" for {}", runtime.tag())).unwrap_or_default();
    let holds = format!("{}{runtime}", seen.language.name());
    let labels = BTreeMap::from([(LABEL.to_owned(), holds.clone())]);
    let made = engine.ensure_volume(&name, &labels).await?;
    if !made {
        let other =
            engine.inspect_volume(&name).await?["Labels"][LABEL].as_str().unwrap_or("something else").to_owned();
        if other != holds {
            return Err(BuildError::VolumeTaken { name, other, wanted: holds });
        }
    }
    if made {
        let holder = format!("apm-fill-{unique}");
        let spec = ContainerSpec {
            name: holder.clone(),
            image: built.image.clone(),
            command: Some(vec!["fill".to_owned()]),
            mounts: vec![Mount::Volume { name: name.clone(), path: HOME.to_owned(), read_only: false }],
            ..ContainerSpec::default()
        };
        let texts: Vec<_> = seen.carrier.files.iter().map(|(path, text)| (path.clone(), text.clone(), false)).collect();
        let filled = async {
            engine.create_container(&spec).await?;
            let below = HOME.trim_start_matches("/opt/");
            let tar = stream({
                let below = below.to_owned();
                move |tar| files(tar, &below, &agent, &texts)
            });
            engine.write_files(&holder, "/opt", tar).await
        }
        .await;
        let removed = engine.remove_container_if_there(&holder).await;
        if let Err(error) = filled {
            // Half an agent must not be taken for one.
            let _ = engine.remove_volume_if_there(&name).await;
            return Err(error.into());
        }
        removed?;
    }
    built.run_words = run_words(seen, &["--volume".to_owned(), format!("{name}:{HOME}:ro")]);
    built.agent_in = Some(name);
    Ok(())
}

/// An image with the agent alone.
pub(crate) async fn image(
    engine: &Engine,
    options: &Options,
    seen: &Seen,
    agent: Agent,
    built: &mut Built,
    say: &mut Say<'_>,
) -> Result<(), BuildError> {
    let made = agent_image(&seen.carrier);
    built.stage = Some(made.dockerfile.clone());
    let name = format!("apm-agent/{}:{}", plain(&seen.telemetry.service), plain(&version(options, &built.image)));
    let build =
        BuildOptions { tags: vec![name.clone()], platform: options.platform.clone(), ..BuildOptions::default() };
    one(engine, &build, stage_context(made, agent), say).await?;
    built.run_words = run_words(seen, &["--volumes-from".to_owned(), "AGENT:ro".to_owned()]);
    built.agent_in = Some(name);
    Ok(())
}

/// A repository's name has no capitals.
fn plain(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c.to_ascii_lowercase() } else { '-' };
    text.chars().map(keep).collect()
}

/// The tag's, as a deployment of it will say it; without one the commit's or the image's.
fn version(options: &Options, image: &str) -> String {
    let of_tag = options.tags.first().and_then(|tag| Some(tag.rsplit('/').next()?.split_once(':')?.1.to_owned()));
    let known = of_tag.or_else(|| options.version.clone()).or_else(|| options.revision.clone());
    known.unwrap_or_else(|| crate::build::short(image).to_owned())
}

fn run_words(seen: &Seen, place: &[String]) -> Vec<String> {
    let mut words = place.to_vec();
    for one in environment(&seen.carrier, &seen.telemetry, &seen.facts.env) {
        // `docker run` sets a variable, it cannot join one: what the image has is written out.
        let theirs = seen.facts.variable(&one.name);
        let value = match (&one.join, theirs) {
            (Join::Before(gap), Some(theirs)) => format!("{}{gap}{theirs}", one.value),
            (Join::After(gap), Some(theirs)) => format!("{theirs}{gap}{}", one.value),
            _ => one.value.clone(),
        };
        words.extend(["--env".to_owned(), format!("{}={value}", one.name)]);
    }
    words
}
