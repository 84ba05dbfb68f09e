#!/bin/sh
# A PostgreSQL of one's own, until standard input ends: `postgres.sh FOLDER`.
#
# It listens on a free port of loopback, asks for a password, and has its data and socket in the folder. Prints one line when it answers: the URL of
# its superuser. Whoever started it holds its standard input; when that closes, however its holder ended, the server and the folder are taken away.
set -u
folder=$1
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
# Debian keeps the server's programs apart from the PATH, a folder each version.
programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
# A terminal's Ctrl-C reaches the whole group; the end of the input is what counts.
trap : INT TERM HUP

# The server refuses to run as root.
as_server() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --init-groups "$@"
    else
        "$@"
    fi
}

clean() {
    [ -f "$folder/data/postmaster.pid" ] && as_server "$programs/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1
    rm -rf "$folder"
}

fail() {
    echo "postgres.sh: $1" >&2
    tail -n 20 "$folder/log" >&2 2>/dev/null
    clean
    exit 1
}

[ -n "$programs" ] || fail "no PostgreSQL: run \`cargo xtask tools\`"
printf '%s' "$password" >"$folder/password" || fail "$folder cannot be written"
chmod 700 "$folder"
if [ "$(id -u)" = 0 ]; then
    chown -R postgres: "$folder"
fi
as_server "$programs/initdb" -D "$folder/data" -U apm --auth=scram-sha-256 --pwfile="$folder/password" -E UTF8 --locale=C.UTF-8 \
    --no-sync >"$folder/log" 2>&1 </dev/null || fail "initdb failed"

# Somebody else may take a free port first: then another.
port=0
for round in 1 2 3 4 5; do
    port=$((20000 + $(od -An -N2 -tu2 /dev/urandom | tr -d ' ') % 12000))
    as_server "$programs/pg_ctl" -D "$folder/data" -l "$folder/server.log" -w -t 60 \
        -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$folder -c fsync=off -c max_connections=200" \
        start >>"$folder/log" 2>&1 </dev/null && break
    [ "$round" = 5 ] && fail "the server does not start: $(tail -n 5 "$folder/server.log")"
done
echo "postgres://apm:$password@127.0.0.1:$port/postgres"
exec >/dev/null
cat >/dev/null
clean
