#!/bin/sh
# A Docker engine of one's own, until standard input ends: `dockerd.sh FOLDER [FOLDER-TO-REMOVE]`.
#
# It gets its own data, containerd, socket, bridge, subnet and cgroup. Published ports are served by Docker's own proxy, not by firewall rules; the one
# rule set lets its containers talk to each other where another engine of the machine has closed forwarding.
#
# Prints one line when the engine answers: `BRIDGE GATEWAY`. A line `start` on its input starts an engine that was killed again. The socket is
# FOLDER/docker.sock. Whoever started it holds its standard input; when that
# closes, however its holder ended, everything is taken away again: containers, processes, mounts, bridges, rules, cgroups, the folder (or the one named
# beside it).
set -u
folder=$1
remove=${2:-$1}
PATH="$PATH:/usr/sbin:/sbin"
export PATH
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH DOCKER_CONFIG
export DOCKER_CLI_HINTS=false HOME="$folder/home"
mkdir -p "$folder/home"
socket="unix://$folder/docker.sock"
bridge=
subnet=
engine=
# New bridges let packets for 127.0.0.1 through, so that a container can be let in to one port of the machine that listens on loopback only.
localnet=/proc/sys/net/ipv4/conf/default/route_localnet
# A terminal's Ctrl-C reaches the whole group; the end of the input is what counts.
trap : INT TERM HUP

fail() {
    echo "dockerd.sh: $1" >&2
    tail -n 20 "$folder/dockerd.log" >&2 2>/dev/null
    clean
    exit 1
}

# The first of sixteen subnets that nobody uses. Making the bridge is what takes it, so two engines cannot take the same.
take_bridge() {
    for number in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
        name="apmd$number"
        second=$((200 + number))
        # Left behind by one that was killed together with its guard: its owner is gone.
        owner=$(cat "/sys/class/net/$name/ifalias" 2>/dev/null)
        if [ -n "$owner" ] && [ ! -d "/proc/$owner" ]; then
            clean_network "$name" "10.$second"
        fi
        ip -4 route show | grep -q "10\.$second\." && continue
        ip link add "$name" type bridge 2>/dev/null || continue
        bridge=$name
        subnet="10.$second"
        ip link set "$name" alias "$$"
        ip addr add "$subnet.0.1/24" dev "$name" && ip link set "$name" up && return 0
        return 1
    done
    return 1
}

clean_network() {
    for link in $(ip -o -4 addr show | awk -v subnet="$2." 'index($4, subnet) == 1 { print $2 }'); do
        ip link del "$link" 2>/dev/null
    done
    ip link del "$1" 2>/dev/null
    # Another engine of ours may still need it.
    ip -br link | grep -q '^apmd' || echo 0 >"$localnet" 2>/dev/null
    for table in filter nat; do
        iptables-save -t "$table" 2>/dev/null | grep -- "-d $2\." | sed 's/^-A/-D/' | while read -r rule; do
            # The rule is words of iptables itself.
            # shellcheck disable=SC2086
            iptables -w -t "$table" $rule 2>/dev/null
        done
    done
}

# Processes of this engine: their command line names the folder, or they are in its cgroup.
ours() {
    for process in /proc/[0-9]*; do
        case $(cat "$process/comm" 2>/dev/null) in
        dockerd | containerd | containerd-shim*)
            tr '\0' '\n' <"$process/cmdline" 2>/dev/null | grep -qF "$folder/" && echo "${process#/proc/}"
            ;;
        esac
    done
    [ -n "$bridge" ] && find /sys/fs/cgroup -path "*/$bridge/*" -name cgroup.procs -exec cat {} + 2>/dev/null
}

clean() {
    if [ -n "$engine" ] && kill -0 "$engine" 2>/dev/null; then
        containers=$(timeout 20 docker -H "$socket" ps -aq 2>/dev/null)
        # shellcheck disable=SC2086
        [ -n "$containers" ] && timeout 60 docker -H "$socket" rm -f -v $containers >/dev/null 2>&1
        timeout 20 docker -H "$socket" network prune -f >/dev/null 2>&1
        kill -TERM "$engine" 2>/dev/null
        waited=0
        while kill -0 "$engine" 2>/dev/null && [ $waited -lt 150 ]; do
            sleep 0.1
            waited=$((waited + 1))
        done
    fi
    for round in 1 2 3; do
        left=$(ours)
        [ -z "$left" ] && break
        # shellcheck disable=SC2086
        kill -KILL $left 2>/dev/null
        sleep "0.$round"
    done
    awk -v folder="$folder/" 'index($5, folder) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r mount; do
        umount -l "$mount" 2>/dev/null
    done
    if [ -n "$bridge" ]; then
        clean_network "$bridge" "$subnet"
        find /sys/fs/cgroup -depth -type d -path "*/$bridge*" -exec rmdir {} + 2>/dev/null
    fi
    rm -rf "$remove"
}

for program in ip iptables docker dockerd containerd runc; do
    command -v "$program" >/dev/null || fail "no $program: run \`cargo xtask tools\`"
done
echo 1 >"$localnet" 2>/dev/null
take_bridge || fail "no free subnet of 10.200 to 10.215, or no right to make a bridge"

iptables -w -I FORWARD -s "$subnet.0.0/16" -d "$subnet.0.0/16" -j ACCEPT 2>/dev/null || fail "iptables refuses a rule"

start() {
    setsid dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/dockerd.pid" -H "$socket" \
        --bridge "$bridge" --default-address-pool "base=$subnet.128.0/17,size=24" --cgroup-parent "/$bridge" --exec-opt native.cgroupdriver=cgroupfs \
        --iptables=false --ip-forward=false --ip-masq=false --shutdown-timeout 5 --log-level info \
        </dev/null >>"$folder/dockerd.log" 2>&1 &
    engine=$!
}
start

waited=0
until docker -H "$socket" version >/dev/null 2>&1; do
    kill -0 "$engine" 2>/dev/null || fail "dockerd ended"
    [ $waited -lt 600 ] || fail "dockerd does not answer after a minute"
    sleep 0.1
    waited=$((waited + 1))
done
echo "$bridge $subnet.0.1"
exec >/dev/null
while read -r word; do
    [ "$word" = start ] && start
done
clean
