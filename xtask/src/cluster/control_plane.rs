//! The control plane: etcd, API server, controller manager and scheduler, each with the words it is started with. It does not know about nodes.

use std::process::Command;

use super::instance::Instance;
use super::up::{kubectl, program, within};
use super::{kubeconfig, processes};
use crate::sh;

/// Starts what does not run, and waits until the API server answers.
pub(super) fn start(instance: &Instance) -> sh::Outcome {
    ensure(instance, "etcd", etcd)?;
    ensure(instance, "kube-apiserver", api_server)?;
    ready(instance)?;
    ensure(instance, "kube-controller-manager", controller_manager)?;
    ensure(instance, "kube-scheduler", scheduler)
}

/// Starts a part unless it runs.
pub(super) fn ensure(instance: &Instance, part: &str, command: fn(&Instance) -> sh::Outcome<Command>) -> sh::Outcome {
    if instance.parts().contains(&part) && processes::alive(instance, part).is_none() {
        processes::start(instance, part, &mut command(instance)?)?;
    }
    Ok(())
}

/// Waits for `/readyz`.
fn ready(instance: &Instance) -> sh::Outcome {
    let mut ended = None;
    let ready = processes::wait(90, || {
        ended = ["etcd", "kube-apiserver"].into_iter().find(|part| processes::alive(instance, part).is_none());
        let ask = || sh::output(kubectl(instance)?.args(["get", "--raw", "/readyz", "--request-timeout", "5s"]));
        ended.is_some() || ask().is_ok()
    });
    match ended {
        Some(part) => Err(format!("{part} ended:\n{}", processes::last_lines(instance, part))),
        None if ready => Ok(()),
        None => Err(format!("the API server is not ready:\n{}", processes::last_lines(instance, "kube-apiserver"))),
    }
}

fn etcd(instance: &Instance) -> sh::Outcome<Command> {
    let client = format!("http://127.0.0.1:{}", instance.ports.etcd);
    let peer = format!("http://127.0.0.1:{}", instance.ports.etcd_peer);
    let mut command = within(instance, &system("etcd")?)?;
    command.args(["--name", "apm", "--data-dir", &instance.path("etcd"), "--log-level", "warn"]);
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("apm={peer}")]);
    // A cluster for tests need not outlive the machine's power.
    command.arg("--unsafe-no-fsync");
    Ok(command)
}

fn api_server(instance: &Instance) -> sh::Outcome<Command> {
    let pki = |file: &str| instance.path(&format!("pki/{file}"));
    let mut command = within(instance, &of_its_minor(instance, "kube-apiserver")?)?;
    command.arg(format!("--etcd-servers=http://127.0.0.1:{}", instance.ports.etcd));
    command.arg(format!("--bind-address={}", instance.address())).arg(format!("--secure-port={}", instance.ports.api));
    command.arg(format!("--tls-cert-file={}", pki("server.crt")));
    command.arg(format!("--tls-private-key-file={}", pki("server.key")));
    command.arg(format!("--client-ca-file={}", pki("ca.crt")));
    command.arg(format!("--service-account-key-file={}", pki("sa.pub")));
    command.arg(format!("--service-account-signing-key-file={}", pki("sa.key")));
    command.arg("--service-account-issuer=https://kubernetes.default.svc");
    command.args(["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"]);
    command.arg(format!("--service-cluster-ip-range={}", instance.services()));
    command.args(["--allow-privileged=true", "--profiling=false"]);
    // Lists by watching need an etcd of 3.5; with Debian's each watch of kwok's would end at once, and it would be blind until its next list.
    command.arg("--feature-gates=WatchList=false");
    command.arg(format!("--kubelet-certificate-authority={}", pki("ca.crt")));
    command.arg(format!("--kubelet-client-certificate={}", pki("apiserver.crt")));
    command.arg(format!("--kubelet-client-key={}", pki("apiserver.key")));
    command.arg("--kubelet-preferred-address-types=InternalIP");
    if instance.has_node() {
        command.arg(format!("--advertise-address={}", instance.address()));
    } else {
        // Nobody reaches loopback from a pod, and there are none: an address for documentation (RFC 5737).
        command.args(["--advertise-address=192.0.2.1", "--endpoint-reconciler-type=none"]);
    }
    emulate(instance, &mut command);
    Ok(command)
}

fn controller_manager(instance: &Instance) -> sh::Outcome<Command> {
    let pki = |file: &str| instance.path(&format!("pki/{file}"));
    let mut command = within(instance, &of_its_minor(instance, "kube-controller-manager")?)?;
    client(instance, &mut command, "controller-manager", instance.ports.controller_manager);
    command.arg(format!("--root-ca-file={}", pki("ca.crt")));
    command.arg(format!("--service-account-private-key-file={}", pki("sa.key")));
    command.arg(format!("--cluster-signing-cert-file={}", pki("ca.crt")));
    command.arg(format!("--cluster-signing-key-file={}", pki("ca.key")));
    command.args(["--use-service-account-credentials=true", "--allocate-node-cidrs=false"]);
    command.arg(format!("--flex-volume-plugin-dir={}", instance.path("volume-plugins")));
    Ok(command)
}

fn scheduler(instance: &Instance) -> sh::Outcome<Command> {
    let mut command = within(instance, &of_its_minor(instance, "kube-scheduler")?)?;
    client(instance, &mut command, "scheduler", instance.ports.scheduler);
    Ok(command)
}

/// What both have that only talk to the API server.
fn client(instance: &Instance, command: &mut Command, user: &str, port: u16) {
    let config = kubeconfig::path(instance, user);
    for flag in ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"] {
        command.arg(format!("--{flag}={}", config.display()));
    }
    command.args(["--leader-elect=false", "--bind-address=127.0.0.1"]).arg(format!("--secure-port={port}"));
    command.arg(format!("--tls-cert-file={}", instance.path("pki/server.crt")));
    command.arg(format!("--tls-private-key-file={}", instance.path("pki/server.key")));
    // A fleet of pretended pods is not to wait for a client's own manners.
    command.args(["--kube-api-qps=300", "--kube-api-burst=600"]);
    emulate(instance, command);
}

fn of_its_minor(instance: &Instance, name: &str) -> sh::Outcome<std::path::PathBuf> {
    match &instance.minor {
        Some(minor) => program(&format!("{name}-{minor}")),
        None => program(name),
    }
}

fn emulate(instance: &Instance, command: &mut Command) {
    if let Some(minor) = &instance.emulate {
        command.arg(format!("--emulated-version={minor}"));
    }
}

/// A program of the distribution, also where a user's PATH does not look.
pub(super) fn system(name: &str) -> sh::Outcome<std::path::PathBuf> {
    let found = std::env::split_paths(&processes::path()).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| format!("no {name}: run `cargo xtask tools`"))
}
