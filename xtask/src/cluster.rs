//! `cargo xtask cluster`: a real Kubernetes of our own on this machine, or several, each with a name: started, asked for, loaded with images, taken away
//! without a trace. It does not know what is tested on it.

mod certificates;
mod control_plane;
mod down;
mod fleet;
mod hold;
mod image;
mod instance;
mod kubeconfig;
mod namespace;
mod node;
mod processes;
mod up;

use std::path::PathBuf;

use crate::sh;
use instance::Instance;
pub(crate) use instance::Wishes;

const USAGE: &str = "\
up [--name N] [--control-plane-only] [--kwok NODES]   start it, or what is missing of it
     [--minor 1.X]              a real control plane of an older minor, built if need be; has no real node
     [--emulate 1.X]            the newest, behaving as the minor before
  down [--name N]               take it away
  hold [as for up]              the same until its input ends, for tests that may be killed; prints the kubeconfig's path
  list                          the clusters of this user
  kubeconfig [--name N] [USER]  the path of a kubeconfig: admin, token, exec or viewer
  load [--name N] IMAGE…        images of a Docker engine, or archives of `docker save`, into its containerd
  restart [--name N] PART…      end parts as kill -9 does and start them again, such as kube-apiserver";

/// Does what the first word says.
pub(crate) fn run(words: &[String]) -> sh::Outcome {
    let (what, words) = words.split_first().ok_or_else(|| format!("say what to do:\n  {USAGE}"))?;
    let said = Said::parse(words)?;
    match (what.as_str(), said.rest.as_slice()) {
        ("up", []) => up::up(&said.name, &said.wishes),
        ("hold", []) => hold::hold(&said.name, &said.wishes),
        ("down", []) => down::down(&said.name),
        ("list", []) => list(),
        ("kubeconfig", []) => kubeconfig_of(&said.name, "admin"),
        ("kubeconfig", [user]) => kubeconfig_of(&said.name, user),
        ("load", [_, ..]) => image::load(&Instance::open(&said.name)?, &said.rest),
        ("restart", [_, ..]) => up::restart(&said.name, &said.rest),
        _ => Err(format!("`cluster {what}` does not take that; there are:\n  {USAGE}")),
    }
}

/// What was said behind the command.
struct Said {
    name: String,
    wishes: Wishes,
    rest: Vec<String>,
}

impl Said {
    fn parse(words: &[String]) -> sh::Outcome<Self> {
        let mut said = Self { name: "default".into(), wishes: Wishes::default(), rest: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
            match word.as_str() {
                "--name" => said.name = value()?.clone(),
                "--minor" => said.wishes.minor = Some(value()?.clone()),
                "--emulate" => said.wishes.emulate = Some(value()?.clone()),
                "--control-plane-only" => said.wishes.control_plane_only = true,
                "--kwok" => {
                    let nodes = value()?.parse().map_err(|_| "`--kwok` needs a number of nodes".to_owned())?;
                    said.wishes.kwok_nodes = Some(nodes);
                }
                flag if flag.starts_with("--") => return Err(format!("no `{flag}`; there are:\n  {USAGE}")),
                _ => said.rest.push(word.clone()),
            }
        }
        Ok(said)
    }
}

/// A control plane of one's own for as long as `work` takes, which is given the program `kubectl` and the administrator's kubeconfig.
pub(crate) fn for_as_long<T>(
    name: &str,
    wishes: &Wishes,
    work: impl FnOnce(PathBuf, PathBuf) -> sh::Outcome<T>,
) -> sh::Outcome<T> {
    up::ensure(name, wishes)?;
    let paths = || Ok((up::program("kubectl")?, kubeconfig::path(&Instance::open(name)?, "admin")));
    let done = paths().and_then(|(kubectl, kubeconfig)| work(kubectl, kubeconfig));
    down::gone(name).and(done)
}

fn list() -> sh::Outcome {
    for name in Instance::all()? {
        let instance = Instance::open(&name)?;
        let running = instance.parts().iter().filter(|part| processes::alive(&instance, part).is_some()).count();
        println!("{name:<16} {running} of {} parts run  {}", instance.parts().len(), instance.server());
    }
    Ok(())
}

fn kubeconfig_of(name: &str, user: &str) -> sh::Outcome {
    let path = kubeconfig::path(&Instance::open(name)?, user);
    if path.is_file() {
        println!("{}", path.display());
        Ok(())
    } else {
        Err(format!("no kubeconfig for `{user}` at {}: there are admin, token, exec and viewer", path.display()))
    }
}
