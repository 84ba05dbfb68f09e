//! Which manifests a command is about, and in which cluster: the words that `render`, `diff`, `apply` and `rollback` share.

use std::path::{Path, PathBuf};

use app_deploy::{Asked, Plain};
use clap::Args as ClapArgs;

use super::check::stdin;
use crate::args::Places;
use crate::deploy::actor;
use crate::output::Failure;

/// Which manifests.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct Which {
    /// Manifests, folders that are searched for them, charts, kustomizations, or `-` for standard input [default: those of the service in apm.yaml, else k8s]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) set: Set,
    /// The version: containers of the service's image get it [default: they stay as they are, and the content is the version]
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
}

/// What they belong to.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct Set {
    /// The service of apm.yaml whose settings hold, or a name for this set of manifests [default: the only one on Kubernetes, else the project]
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// For objects that name none [default: that of the settings]
    #[arg(long, short, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

/// In which cluster, and where runs are kept.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct Where {
    /// The context of the kubeconfig [default: that of the settings, else the current one]
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    #[command(flatten)]
    pub(crate) places: Places,
}

impl Set {
    pub(crate) fn asked(&self, context: Option<&String>) -> Asked {
        let plain = Plain { context: context.cloned(), namespace: self.namespace.clone(), ..Plain::default() };
        Asked { service: self.service.clone(), actor: actor(), plain: Some(plain), ..Asked::default() }
    }
}

impl Which {
    /// The same for the desk; standard input is read here.
    pub(crate) fn asked(&self, context: Option<&String>) -> Result<Asked, Failure> {
        let mut asked = self.set.asked(context);
        asked.version = self.version.clone();
        let (streams, paths): (Vec<_>, Vec<_>) = self.paths.iter().cloned().partition(|path| path == Path::new("-"));
        if let Some(plain) = &mut asked.plain {
            plain.paths = paths;
            plain.given = if streams.is_empty() { None } else { Some(stdin()?) };
        }
        Ok(asked)
    }
}
