//! Servers built from the Go module proxy by a throw-away module: `tests/journeys/lock/NAME/go.mod` with its go.sum, so that what is built is pinned
//! down to the last dependency. They are counterparts in tests and never shipped.

use super::Got;
use super::cache::{Cache, fingerprint};
use crate::sh;

/// Prometheus 3 and promtool.
pub(super) fn prometheus(cache: &Cache) -> sh::Outcome<Got> {
    // The module v0.315.0 is the release 3.15.0; built as a dependency it would call itself `(devel)`.
    let flags = "-s -w -X github.com/prometheus/common/version.Version=3.15.0";
    let packages = ["github.com/prometheus/prometheus/cmd/prometheus", "github.com/prometheus/prometheus/cmd/promtool"];
    let fresh = build(cache, "prometheus", flags, &packages)?;
    Ok(Got { version: "3.15.0".into(), fresh })
}

/// cAdvisor's library behind a page of its own: see `main.go` beside the lock.
pub(super) fn cadvisor(cache: &Cache) -> sh::Outcome<Got> {
    let fresh = build(cache, "cadvisor", "-s -w", &["apm.test/cadvisor"])?;
    Ok(Got { version: "0.57.0".into(), fresh })
}

/// A Kubernetes of one version, whole: what runs a cluster, and `kubectl`.
pub(super) fn kubernetes(cache: &Cache) -> sh::Outcome<Got> {
    // Built as a dependency it would not know its version, and clients could not parse what it says.
    let version = "k8s.io/component-base/version";
    let flags = format!("-s -w -X {version}.gitVersion=v1.36.3 -X {version}.gitMajor=1 -X {version}.gitMinor=36");
    let names = ["apiserver", "controller-manager", "scheduler", "proxy"].map(|name| format!("kube-{name}"));
    let names = names.iter().map(String::as_str).chain(["kubelet", "kubectl"]);
    let packages: Vec<String> = names.map(|name| format!("k8s.io/kubernetes/cmd/{name}")).collect();
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    let fresh = build(cache, "kubernetes", &flags, &packages)?;
    Ok(Got { version: "1.36.3".into(), fresh })
}

/// The older minors whose control plane is built: each has a lock of its own. 1.31 cannot have one, because the checksum database does not know all of
/// its modules; 1.33 to 1.35 have none yet.
pub(crate) const MINORS: [&str; 2] = ["1.30", "1.32"];

/// The control plane of an older minor; its programs have the minor behind their names. Its newest release whose modules are all known.
pub(super) fn control_plane(cache: &Cache, minor: &str) -> sh::Outcome<Got> {
    let name = format!("kubernetes-{minor}");
    let version = release(minor)?;
    let to = "k8s.io/component-base/version";
    let number = minor.trim_start_matches("1.");
    let flags = format!("-s -w -X {to}.gitVersion=v{version} -X {to}.gitMajor=1 -X {to}.gitMinor={number}");
    let packages: Vec<String> = programs(minor).iter().map(|name| format!("k8s.io/kubernetes/cmd/{name}")).collect();
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    let fresh = build_as(cache, &name, &flags, &packages, &format!("-{minor}"))?;
    Ok(Got { version, fresh })
}

/// What of a minor can be built: a module of the scheduler is refused for 1.32, and the controller manager needs it too.
pub(crate) fn programs(minor: &str) -> &'static [&'static str] {
    match minor {
        "1.32" => &["kube-apiserver"],
        _ => &["kube-apiserver", "kube-controller-manager", "kube-scheduler"],
    }
}

/// The release that the lock of a minor names, as `1.30.14`.
pub(crate) fn release(minor: &str) -> sh::Outcome<String> {
    let lock = sh::root().join("tests/journeys/lock").join(format!("kubernetes-{minor}/go.mod"));
    let text = sh::read(&lock)?;
    let version = text.lines().find_map(|line| line.strip_prefix("require k8s.io/kubernetes v"));
    version.map(str::to_owned).ok_or_else(|| format!("{} requires no `k8s.io/kubernetes`", lock.display()))
}

/// A DNS server for the names of a cluster.
pub(super) fn coredns(cache: &Cache) -> sh::Outcome<Got> {
    let fresh = build(cache, "coredns", "-s -w", &["apm.test/coredns"])?;
    Ok(Got { version: "1.15.0".into(), fresh })
}

/// Pretended nodes and pods.
pub(super) fn kwok(cache: &Cache) -> sh::Outcome<Got> {
    let flags = "-s -w -X sigs.k8s.io/kwok/pkg/consts.Version=v0.8.0";
    let fresh = build(cache, "kwok", flags, &["sigs.k8s.io/kwok/cmd/kwok"])?;
    Ok(Got { version: "0.8.0".into(), fresh })
}

/// Checks manifests against schemas.
pub(super) fn kubeconform(cache: &Cache) -> sh::Outcome<Got> {
    let fresh =
        build(cache, "kubeconform", "-s -w -X main.version=v0.8.0", &["github.com/yannh/kubeconform/cmd/kubeconform"])?;
    Ok(Got { version: "0.8.0".into(), fresh })
}

/// Helm 3.
pub(super) fn helm(cache: &Cache) -> sh::Outcome<Got> {
    let flags = "-s -w -X helm.sh/helm/v3/internal/version.version=v3.22.0";
    let fresh = build(cache, "helm", flags, &["helm.sh/helm/v3/cmd/helm"])?;
    Ok(Got { version: "3.22.0".into(), fresh })
}

/// The definitions (CRDs) of the Gateway API's and Istio's kinds, as files below `share`: nothing is built.
pub(super) fn routes(cache: &Cache) -> sh::Outcome<Got> {
    let files = [
        ("sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"),
        ("sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml"),
        ("sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_referencegrants.yaml"),
        ("sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_gateways.yaml"),
        ("istio.io/api", "kubernetes/customresourcedefinitions.gen.yaml"),
    ];
    let lock = sh::root().join("tests/journeys/lock/routes");
    let module = sh::read(&lock.join("go.mod"))?;
    let place = cache.version("routes", &fingerprint(&format!("{module}{files:?}")))?;
    if !place.done {
        sh::write(&place.folder.join("go.mod"), &module)?;
        sh::write(&place.folder.join("go.sum"), &sh::read(&lock.join("go.sum"))?)?;
        let go = |words: &[&str]| {
            let mut go = sh::program("go");
            go.current_dir(&place.folder).env("GOFLAGS", "-mod=mod").args(words);
            sh::output(&mut go)
        };
        go(&["mod", "download", "sigs.k8s.io/gateway-api", "istio.io/api"])?;
        let mut all = String::new();
        for (module, file) in files {
            let folder = go(&["list", "-m", "-f", "{{.Dir}}", module])?;
            all.push_str("---\n");
            all.push_str(&sh::read(&std::path::Path::new(folder.trim()).join(file))?);
        }
        sh::write(&place.folder.join("routes.yaml"), &all)?;
        place.finish()?;
    }
    cache.share("routes.yaml", &place.folder.join("routes.yaml"))?;
    Ok(Got { version: "gateway 1.4.0, istio 1.28.0".into(), fresh: !place.done })
}

/// Builds the packages of a locked module; true if that was needed.
fn build(cache: &Cache, name: &str, link_flags: &str, packages: &[&str]) -> sh::Outcome<bool> {
    build_as(cache, name, link_flags, packages, "")
}

/// As [`build`], with something behind the programs' names.
fn build_as(cache: &Cache, name: &str, link_flags: &str, packages: &[&str], behind: &str) -> sh::Outcome<bool> {
    let lock = sh::root().join("tests/journeys/lock").join(name);
    let module = sh::read(&lock.join("go.mod"))?;
    // A program of a few lines, where the module's own would bring too much.
    let main = lock.join("main.go");
    let own = if main.is_file() { sh::read(&main)? } else { String::new() };
    let place = cache.version(name, &fingerprint(&(module.clone() + link_flags + &own)))?;
    if !place.done {
        sh::write(&place.folder.join("go.mod"), &module)?;
        sh::write(&place.folder.join("go.sum"), &sh::read(&lock.join("go.sum"))?)?;
        if !own.is_empty() {
            sh::write(&place.folder.join("main.go"), &own)?;
        }
        let mut go = sh::program("go");
        go.current_dir(&place.folder).env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=readonly");
        go.args(["build", "-trimpath", "-ldflags", link_flags, "-o", "./"]).args(packages);
        sh::output(&mut go)?;
        place.finish()?;
    }
    for program in packages.iter().filter_map(|package| package.rsplit('/').next()) {
        cache.bin(&format!("{program}{behind}"), &[], &place.folder.join(program))?;
    }
    Ok(!place.done)
}
