//! `apm k8s`: what has to do with Kubernetes and is no deployment. Each command has a file of its own.

mod check;
mod inject;
mod install;
mod look;
mod release;
mod render;
mod which;

use clap::{Args as ClapArgs, Subcommand};

use crate::args::Global;
use crate::output::Failure;

#[derive(Debug, ClapArgs)]
pub(crate) struct K8sArgs {
    #[command(subcommand)]
    command: K8sCommand,
}

#[derive(Debug, Subcommand)]
enum K8sCommand {
    /// List the contexts of the kubeconfig
    Contexts(look::ContextsArgs),
    /// Show how workloads are, and the reason why one is not ready
    Status(look::StatusArgs),
    /// Find what a server would refuse in manifests, what is unsafe, about to go, or leads nowhere
    Check(check::CheckArgs),
    /// Show manifests as an environment makes them, what that changes, or write it as a kustomization
    Render(Box<render::RenderArgs>),
    /// Show what an apply would change on the cluster; of a Secret only that a value changes
    Diff(Box<release::DiffArgs>),
    /// Apply manifests: planned, in order, waited for, and undone when it does not get ready
    Apply(Box<release::ApplyArgs>),
    /// Put every object of a set of manifests back as it was at an earlier version
    Rollback(Box<release::RollbackArgs>),
    /// Put telemetry into pods: an agent, its variables, sidecars; in files, or as a webhook
    Inject(Box<inject::InjectArgs>),
    /// Take out of files what was injected, to the byte
    Uninject(inject::UninjectArgs),
    /// Put apm itself into a cluster: the engine, a collector on each node; without Helm, from the same chart
    Install(Box<install::InstallArgs>),
    /// Take out of a cluster what `install` put there
    Uninstall(install::UninstallArgs),
}

pub(crate) fn k8s(global: &Global, args: &K8sArgs) -> Result<u8, Failure> {
    match &args.command {
        K8sCommand::Contexts(args) => look::contexts(global, args),
        K8sCommand::Status(args) => look::status(global, args),
        K8sCommand::Check(args) => check::check(global, args),
        K8sCommand::Render(args) => render::render(global, args),
        K8sCommand::Diff(args) => release::diff(global, args),
        K8sCommand::Apply(args) => release::apply(global, args),
        K8sCommand::Rollback(args) => release::rollback(global, args),
        K8sCommand::Inject(args) => inject::inject(global, args),
        K8sCommand::Uninject(args) => inject::uninject(global, args),
        K8sCommand::Install(args) => install::install(global, args),
        K8sCommand::Uninstall(args) => install::uninstall(global, args),
    }
}
