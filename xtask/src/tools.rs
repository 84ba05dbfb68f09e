//! `cargo xtask tools`: gets the real counterparts that the journeys and benches talk to. Each is pinned, checked by hash where its registry gives
//! one, and put into a cache outside the clone; the second call finds it there. It does not know what the tools are used for.

mod browser;
mod cache;
mod debian;
mod go;
mod python;

use std::path::PathBuf;
use std::time::Instant;

use crate::sh;
use cache::Cache;
pub(crate) use go::{MINORS, programs, release};

/// One counterpart: its name for `--only`, and what gets it.
struct Tool {
    name: &'static str,
    get: fn(&Cache) -> sh::Outcome<Got>,
}

/// The control planes of older minors. A build takes minutes and 300 MB each: they come when they are named, or when a cluster of that minor is started.
const ASKED_FOR: &[Tool] = &[
    Tool { name: "kubernetes-1.30", get: |cache| go::control_plane(cache, "1.30") },
    Tool { name: "kubernetes-1.32", get: |cache| go::control_plane(cache, "1.32") },
];

/// What a tool turned out to be.
struct Got {
    version: String,
    /// Whether it had to be built or fetched just now.
    fresh: bool,
}

const TOOLS: &[Tool] = &[
    Tool { name: "strace", get: |_| debian::get("strace", "strace") },
    Tool { name: "chromium", get: |_| debian::get("chromium", "chromium") },
    // The engine with its containerd and runc; the `docker` first on the PATH may be another, newer one.
    Tool { name: "docker.io", get: |_| debian::package("docker.io") },
    Tool { name: "docker-registry", get: |_| debian::package("docker-registry") },
    Tool { name: "busybox-static", get: |_| debian::package("busybox-static") },
    Tool { name: "iptables", get: |_| debian::package("iptables") },
    Tool { name: "iproute2", get: |_| debian::package("iproute2") },
    Tool { name: "postgresql", get: |_| debian::package("postgresql") },
    // What images are built with, and what their base images are made of.
    Tool { name: "node", get: |_| debian::get("node", "nodejs") },
    Tool { name: "npm", get: |_| debian::get("npm", "npm") },
    Tool { name: "openjdk-17-jdk-headless", get: |_| debian::package("openjdk-17-jdk-headless") },
    Tool { name: "browser", get: browser::get },
    Tool { name: "python-flask", get: |cache| python::get(cache, "flask") },
    Tool { name: "python-sdk", get: |cache| python::get(cache, "sdk") },
    Tool { name: "python-grpc", get: |cache| python::get(cache, "grpc") },
    Tool { name: "prometheus", get: go::prometheus },
    Tool { name: "victoria-metrics", get: |_| debian::package("victoria-metrics") },
    Tool { name: "cadvisor", get: go::cadvisor },
    // A real Kubernetes: see `cargo xtask cluster`.
    Tool { name: "etcd", get: |_| debian::get("etcd", "etcd-server") },
    Tool { name: "containerd", get: |_| debian::package("containerd") },
    Tool { name: "runc", get: |_| debian::package("runc") },
    Tool { name: "containernetworking-plugins", get: |_| debian::package("containernetworking-plugins") },
    Tool { name: "nftables", get: |_| debian::package("nftables") },
    Tool { name: "openssl", get: |_| debian::package("openssl") },
    Tool { name: "kubernetes", get: go::kubernetes },
    Tool { name: "coredns", get: go::coredns },
    Tool { name: "kwok", get: go::kwok },
    Tool { name: "kubeconform", get: go::kubeconform },
    Tool { name: "helm", get: go::helm },
    Tool { name: "routes", get: go::routes },
];

/// Makes sure that the control plane of an older minor is there, and says its release, as `1.30.14`.
pub(crate) fn control_plane(minor: &str) -> sh::Outcome<String> {
    if !MINORS.contains(&minor) {
        return Err(format!("no control plane of {minor} can be had; there are {}", MINORS.join(", ")));
    }
    let release = release(minor)?;
    eprintln!("Kubernetes {release}, built if it is not in the cache (minutes)");
    go::control_plane(&Cache::open()?, minor)?;
    Ok(release)
}

/// Gets all but older minors, or those named after `--only`. All are tried; the error names those that failed.
pub(crate) fn run(words: &[String]) -> sh::Outcome {
    let wanted = wanted(words)?;
    let cache = Cache::open()?;
    println!("cache: {}", cache.folder().display());
    let mut failed = Vec::new();
    for tool in wanted {
        let start = Instant::now();
        match (tool.get)(&cache) {
            Ok(got) => println!(
                "{:<15} {:<28} {:>7.1} s  {}",
                tool.name,
                got.version,
                start.elapsed().as_secs_f64(),
                if got.fresh { "built" } else { "cached" }
            ),
            Err(problem) => failed.push(format!("{}: {problem}", tool.name)),
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// The folder all of them lie in.
pub(crate) fn folder() -> sh::Outcome<PathBuf> {
    Ok(Cache::open()?.folder().to_path_buf())
}

fn wanted(words: &[String]) -> sh::Outcome<Vec<&'static Tool>> {
    match words {
        [] => Ok(TOOLS.iter().collect()),
        [only, names @ ..] if only == "--only" && !names.is_empty() => names
            .iter()
            .map(|name| {
                let mut tools = TOOLS.iter().chain(ASKED_FOR);
                let all: Vec<&str> = tools.clone().map(|tool| tool.name).collect();
                let found = tools.find(|tool| tool.name == name);
                found.ok_or_else(|| format!("no tool `{name}`; there are {}", all.join(", ")))
            })
            .collect(),
        _ => Err("say nothing, or `--only NAME…`".into()),
    }
}
