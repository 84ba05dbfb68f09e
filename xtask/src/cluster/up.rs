//! Starting a cluster, or what is missing of it, and saying how to use it. It does not know the words each part is started with.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::instance::{Instance, VERSION, Wishes};
use super::{certificates, control_plane, down, fleet, image, instance, kubeconfig, namespace, node, processes};
use crate::{sh, tools};

/// Starts it, or says that it is up.
pub(super) fn up(name: &str, wishes: &Wishes) -> sh::Outcome {
    let begin = Instant::now();
    let was_up = ensure(name, wishes)?;
    let instance = Instance::open(name)?;
    let state = if was_up { "was up".into() } else { format!("is up after {:.1} s", begin.elapsed().as_secs_f64()) };
    let version = match (&instance.minor, &instance.emulate) {
        (Some(minor), _) => format!("v{}", tools::release(minor)?),
        (None, Some(minor)) => format!("{VERSION}, emulating {minor}"),
        (None, None) => VERSION.into(),
    };
    let (server, advice) = (instance.server(), kubeconfig::advice(&instance)?);
    println!("cluster {name} {state}: Kubernetes {version} at {server}\n{advice}");
    Ok(())
}

/// Starts it or what is missing of it; true if nothing was. One that cannot be started is taken away again.
pub(super) fn ensure(name: &str, wishes: &Wishes) -> sh::Outcome<bool> {
    let _alone = alone(name)?;
    // Without its namespaces nothing of it can be used again.
    let usable = |known: &Instance| !known.has_node() || processes::alive(known, "namespace").is_some();
    let known = Instance::find(name)?.filter(usable);
    let fresh = known.is_none();
    let mut instance = match known {
        Some(known) => fitting(known, wishes)?,
        None => create(name, wishes)?,
    };
    let was_up = !fresh && instance.parts().iter().all(|part| processes::alive(&instance, part).is_some());
    if wishes.kwok_nodes.is_some() && !instance.kwok {
        instance.kwok = true;
        instance.save()?;
    }
    let started = start(&instance, wishes);
    if started.is_err() && fresh {
        down::take_away(&instance)?;
    }
    started.map(|()| was_up)
}

/// Ends parts at once and starts them again.
pub(super) fn restart(name: &str, parts: &[String]) -> sh::Outcome {
    let _alone = alone(name)?;
    let instance = Instance::open(name)?;
    let known = instance.parts();
    for part in parts {
        if part == "namespace" || !known.contains(&part.as_str()) {
            return Err(format!("no part `{part}` to restart; there are {}", known.join(", ")));
        }
        processes::kill(&instance, part)?;
    }
    start(&instance, &Wishes::default())
}

/// `kubectl` as the administrator of this cluster.
pub(super) fn kubectl(instance: &Instance) -> sh::Outcome<Command> {
    let mut command = sh::program(program("kubectl")?);
    command.arg("--kubeconfig").arg(kubeconfig::path(instance, "admin"));
    // It would leave what it has learned of each cluster in the user's home.
    command.env("KUBECACHEDIR", instance.folder.join("kubectl"));
    Ok(command)
}

/// A program that `cargo xtask tools` has built.
pub(super) fn program(name: &str) -> sh::Outcome<PathBuf> {
    let path = tools::folder()?.join("bin").join(name);
    if path.is_file() { Ok(path) } else { Err(format!("no {name} at {}: run `cargo xtask tools`", path.display())) }
}

/// A command that runs where the parts run: in the cluster's namespaces, if it has any.
pub(super) fn within(instance: &Instance, program: &Path) -> sh::Outcome<Command> {
    if !instance.has_node() {
        return Ok(Command::new(program));
    }
    let holder = processes::alive(instance, "namespace").ok_or("the cluster's namespaces are gone: run `up` again")?;
    let mut command = Command::new("nsenter");
    command.args(["--target", &holder.to_string(), "--net", "--mount", "--"]).arg(program);
    Ok(command)
}

/// Held while something is done to a cluster of this name; lies beside its folder, which comes and goes.
pub(super) fn alone(name: &str) -> sh::Outcome<File> {
    let path = instance::folder(name)?.with_extension("lock");
    let wrong = |error: std::io::Error| format!("cannot lock {}: {error}", path.display());
    sh::write(&path, "")?;
    let file = File::open(&path).map_err(wrong)?;
    file.lock().map_err(wrong)?;
    Ok(file)
}

fn start(instance: &Instance, wishes: &Wishes) -> sh::Outcome {
    if instance.has_node() {
        node::start_runtime(instance)?;
    }
    control_plane::start(instance)?;
    kubeconfig::make_tokens(instance)?;
    if instance.has_node() {
        image::load_own(instance)?;
        node::start(instance)?;
    }
    if instance.kwok {
        fleet::start(instance, wishes.kwok_nodes.unwrap_or(0))?;
    }
    Ok(())
}

/// A cluster that runs cannot become another.
fn fitting(known: Instance, wishes: &Wishes) -> sh::Outcome<Instance> {
    let differs = |wish: &Option<String>, is: &Option<String>| wish.is_some() && wish != is;
    let other = differs(&wishes.minor, &known.minor) || differs(&wishes.emulate, &known.emulate);
    let other = other.then_some("another minor version");
    let other = other.or((wishes.control_plane_only && known.has_node()).then_some("a real node"));
    match other {
        Some(what) => Err(format!("cluster `{0}` is there, with {what}: `cluster down --name {0}` first", known.name)),
        None => Ok(known),
    }
}

fn create(name: &str, wishes: &Wishes) -> sh::Outcome<Instance> {
    if let Some(minor) = &wishes.minor {
        // A kubelet must not be newer than its API server, and older ones are not built.
        if !wishes.control_plane_only {
            return Err("an older minor has no real node: say `--control-plane-only`, and `--kwok N` for pods".into());
        }
        if wishes.emulate.is_some() {
            return Err("`--minor` is a real one, `--emulate` the newest behaving as the one before: say one".into());
        }
        tools::control_plane(minor)?;
    }
    // What an earlier one left that was killed.
    if let Some(left) = Instance::find(name)? {
        down::take_away(&left)?;
    }
    instance::remove(&instance::folder(name)?)?;
    let network = if wishes.control_plane_only { None } else { Some(namespace::free_network()?) };
    let instance = Instance::plan(name, wishes, network)?;
    for folder in ["logs", "pids", "pki", "var-log", "cni-state", "kubelet-state"] {
        let folder = instance.folder.join(folder);
        std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    }
    instance.save()?;
    let prepared = prepare(&instance);
    if prepared.is_err() {
        down::take_away(&instance)?;
    }
    prepared.map(|()| instance)
}

fn prepare(instance: &Instance) -> sh::Outcome {
    certificates::make(instance)?;
    kubeconfig::make(instance)?;
    if instance.has_node() { namespace::make(instance) } else { Ok(()) }
}
