//! Where a cluster with a real node lives: a network namespace and a mount namespace of its own, held by one sleeping process, and a folder in each
//! hierarchy of cgroups. One link leads to this machine, and to nowhere else. So two clusters never meet, and when the last process is gone the kernel
//! takes away links, rules and mounts. It does not know what runs there.

use std::path::PathBuf;
use std::process::Command;

use super::instance::{Instance, NETWORK_FIRST, NETWORKS, link};
use super::processes;
use crate::sh;

const CGROUPS: &str = "/sys/fs/cgroup";
/// Where the library of network plugins keeps its results and where kubelet has its sockets: neither can be told another place. The cluster's own
/// folders lie on them inside; on the machine they are empty.
const MOUNT_POINTS: [&str; 2] = ["/var/lib/cni", "/var/lib/kubelet"];

/// Makes the mounts and sleeps. `$1` is the cluster's folder. What a kubelet would set for the whole machine stands in files of ours instead: it reads
/// that all is as it wishes, and the machine keeps its own.
const HOLD: &str = r#"set -eu
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns /run/containerd
mount --bind "$1/var-log" /var/log
for place in cni kubelet; do
    mount --bind "$1/$place-state" "/var/lib/$place"
done
mkdir -p "$1/sysctl"
pretend() {
    [ -e "/proc/sys/$1" ] || return 0
    file="$3/sysctl/$(echo "$1" | tr / .)"
    echo "$2" >"$file"
    mount --bind "$file" "/proc/sys/$1"
}
pretend vm/overcommit_memory 1 "$1"
pretend vm/panic_on_oom 0 "$1"
pretend kernel/panic 10 "$1"
pretend kernel/panic_on_oops 1 "$1"
pretend kernel/keys/root_maxkeys 1000000 "$1"
pretend kernel/keys/root_maxbytes 25000000 "$1"
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
: >"$1/namespace-ready"
exec sleep infinity
"#;

/// The first network whose link nobody has.
pub(super) fn free_network() -> sh::Outcome<u8> {
    let routes = sh::output(sh::program("ip").args(["-4", "route", "show"]))?;
    let free = |network: &u8| {
        let link = link(*network);
        !PathBuf::from(format!("/sys/class/net/{link}")).exists() && !routes.contains(&format!("10.{network}."))
    };
    let all = (0..NETWORKS).map(|number| NETWORK_FIRST + number);
    all.clone().map(link).for_each(|link| drop_abandoned(&link));
    for network in all.filter(free) {
        // Its making is what takes it; the other end moves into the namespace later.
        let link = link(network);
        let words = ["link", "add", &link, "type", "veth", "peer", "name", &format!("{link}e")];
        if sh::output(sh::program("ip").args(words)).is_ok() {
            let owner = std::process::id().to_string();
            sh::output(sh::program("ip").args(["link", "set", &link, "alias", &owner]))?;
            return Ok(network);
        }
    }
    Err("no free network of 10.216 to 10.231, or no right to make a link: a cluster with a real node needs root".into())
}

/// A link whose other end never moved into a namespace, and whose maker is gone.
fn drop_abandoned(link: &str) {
    let owner = std::fs::read_to_string(format!("/sys/class/net/{link}/ifalias")).unwrap_or_default();
    let owner = owner.trim();
    let here = PathBuf::from(format!("/sys/class/net/{link}e")).exists();
    if here && !owner.is_empty() && !PathBuf::from("/proc").join(owner).exists() {
        let _ = sh::output(sh::program("ip").args(["link", "del", link]));
    }
}

/// Makes the namespaces, their link and the cgroups.
pub(super) fn make(instance: &Instance) -> sh::Outcome {
    let link = instance.link().ok_or("a namespace for a cluster without a node")?;
    for place in MOUNT_POINTS {
        std::fs::create_dir_all(place).map_err(|error| format!("cannot make {place}: {error}"))?;
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "sh", "-c", HOLD, "sh"]).arg(&instance.folder);
    let holder = processes::start(instance, "namespace", &mut command)?.to_string();
    let ready = instance.folder.join("namespace-ready");
    if !processes::wait(10, || ready.is_file()) {
        return Err(format!("no namespaces: {}", processes::last_lines(instance, "namespace")));
    }
    let (here, there, all) = (instance.gateway(), instance.address(), instance.network.unwrap_or(NETWORK_FIRST));
    let ip = |words: &str| sh::output(sh::program("ip").args(words.split(' '))).map(drop);
    let inside = |words: &str| {
        let mut command = sh::program("nsenter");
        sh::output(command.args(["--target", &holder, "--net", "ip"]).args(words.split(' '))).map(drop)
    };
    ip(&format!("link set {link}e netns {holder} name eth0"))?;
    ip(&format!("addr add {here}/24 dev {link}"))?;
    ip(&format!("link set {link} up"))?;
    inside(&format!("addr add {there}/24 dev eth0"))?;
    inside("link set eth0 up")?;
    inside(&format!("route add default via {here}"))?;
    // Pods and services can be reached from this machine as from any node.
    ip(&format!("route add 10.{all}.0.0/16 via {there}"))?;
    for hierarchy in hierarchies() {
        let folder = hierarchy.join(&link);
        std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        // A new folder of this hierarchy takes nothing in before it is told which processors and which memory.
        for file in ["cpuset.cpus", "cpuset.mems"].map(|file| (hierarchy.join(file), folder.join(file))) {
            if let Ok(text) = std::fs::read_to_string(&file.0) {
                sh::write(&file.1, &text)?;
            }
        }
    }
    Ok(())
}

/// Removes what the kernel does not take away by itself.
pub(super) fn remove(link: &str) -> sh::Outcome {
    if PathBuf::from(format!("/sys/class/net/{link}")).exists() {
        // The kernel may be at it.
        let _ = sh::output(sh::program("ip").args(["link", "del", link]));
    }
    let gone = processes::wait(20, || {
        let mut gone = true;
        for hierarchy in hierarchies() {
            let mut folders = below(hierarchy.join(link));
            folders.reverse();
            for folder in folders {
                gone &= std::fs::remove_dir(folder).is_ok();
            }
        }
        gone
    });
    // Removing a folder takes away mounts on it in other namespaces, so the last cluster does it. What others of the machine keep there is not empty.
    let links = std::fs::read_dir("/sys/class/net").into_iter().flatten().filter_map(Result::ok);
    if !links.into_iter().any(|link| link.file_name().to_string_lossy().starts_with("apmk")) {
        for place in MOUNT_POINTS {
            let _ = std::fs::remove_dir(place);
        }
    }
    if gone { Ok(()) } else { Err(format!("cgroups called {link} cannot be removed: a process is in them")) }
}

/// The processes in the cgroups below this name: those of pods.
pub(super) fn in_cgroups(link: &str) -> Vec<u32> {
    let folders = hierarchies().into_iter().flat_map(|hierarchy| below(hierarchy.join(link)));
    let text = folders.filter_map(|folder| std::fs::read_to_string(folder.join("cgroup.procs")).ok());
    let mut pids: Vec<u32> =
        text.flat_map(|text| text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>()).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// The one of version 2, or those of version 1, each once: some are links to one of two controllers.
fn hierarchies() -> Vec<PathBuf> {
    let all = PathBuf::from(CGROUPS);
    if all.join("cgroup.controllers").exists() {
        return vec![all];
    }
    let entries = std::fs::read_dir(CGROUPS).into_iter().flatten().filter_map(Result::ok);
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .filter(|path| path.join("cgroup.procs").exists())
        .collect()
}

/// A folder and all below, parents first; nothing if it is not there.
fn below(folder: PathBuf) -> Vec<PathBuf> {
    let mut all = if folder.is_dir() { vec![folder] } else { Vec::new() };
    let mut next = 0;
    while let Some(folder) = all.get(next) {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        let folders: Vec<PathBuf> = entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .collect();
        all.extend(folders);
        next += 1;
    }
    all
}
