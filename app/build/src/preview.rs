//! What a build would do, without an engine: from the Dockerfile and the folder's names. What the base image brings is not known then, and said so.

use base_world::World;
use operate_build::{Asked, Facts, Inject, Labels, agent_image, carrier, docker_build, stage};
use operate_dockerfile::{Dockerfile, Stages};

use crate::build::telemetry;
use crate::project::{Source, project};
use crate::{BuildError, Options};

/// A build as it would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    pub service: String,
    pub language: &'static str,
    pub because: String,
    pub inject: &'static str,
    /// The generated Dockerfile; `IMAGE` stands for the user's image.
    pub stage: Option<String>,
    pub entry: Option<String>,
    pub warnings: Vec<String>,
    /// The docker commands that do the same.
    pub commands: Vec<String>,
}

pub fn preview(world: &World, options: &Options) -> Result<Preview, BuildError> {
    let source = Source::read(&*world.disk, options)?;
    let file = Dockerfile::parse(&source.text);
    let target = (!options.target.is_empty()).then_some(options.target.as_str());
    let facts = Facts::of(&file, &Stages::of(&file, target));
    let project = project(&*world.disk, &options.context, facts.program());
    let detected = operate_agents::detect(&project);
    let telemetry = telemetry(options, &project);
    let labels = Labels {
        version: options.version.clone(),
        revision: options.revision.clone(),
        created: None,
        source: options.source.clone(),
    };
    let mut out = Preview {
        service: telemetry.service.clone(),
        language: detected.language.name(),
        because: detected.because,
        inject: options.inject.word(),
        ..Preview::default()
    };
    let (context, path) = (options.context.display().to_string(), source.path.display().to_string());
    let behind = options.inject == Inject::Build;
    let own = [if behind { "IMAGE".to_owned() } else { String::new() }];
    let tags: Vec<String> = if behind { own.to_vec() } else { options.tags.clone() };
    out.commands.push(docker_build(&Asked {
        context: &context,
        file: &path,
        target: &options.target,
        tags: &tags,
        args: options.args.keys().map(String::as_str).collect(),
        labels: if behind { Vec::new() } else { labels.pairs().into_iter().collect() },
        platform: &options.platform,
        cache_from: &options.cache_from,
    }));
    if options.inject == Inject::None {
        return Ok(out);
    }
    let carrier = carrier(detected.language, None, None, &project).map_err(|why| BuildError::NoAgent { why })?;
    let made = match options.inject {
        Inject::Build => stage("IMAGE", &facts, &carrier, &telemetry, &labels)?,
        Inject::SideContainer => agent_image(&carrier),
        _ => {
            out.warnings.clone_from(&carrier.warnings);
            out.warnings.extend(carrier.nothing_because.clone());
            return Ok(out);
        }
    };
    out.warnings = made.warnings;
    out.warnings.extend(carrier.nothing_because.clone());
    out.entry = made.files.into_iter().find(|(path, ..)| path == "entry").map(|(_, text, _)| text);
    out.stage = Some(made.dockerfile);
    let tags = if behind { options.tags.clone() } else { vec!["AGENT".to_owned()] };
    out.commands.push(docker_build(&Asked {
        context: "STAGE",
        tags: &tags,
        platform: &options.platform,
        ..Asked::default()
    }));
    Ok(out)
}
