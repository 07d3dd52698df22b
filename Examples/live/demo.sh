#!/bin/bash
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs the commands of README.md beside it in a lab of its own (lab.sh), each graph for a few seconds, and checks what comes out. Every
# command that starts with 'page' or 'begin' must stand in README.md as it is here. Needs root, iproute2, ping, curl and python3;
# without the programs, or the right to make namespaces, it ends with status 69 or 77 and has tried nothing.
#
# usage: Examples/live/demo.sh [SPILLWAY]
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
[ $# -le 1 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 64; }
tool=${1:-}
for built in release debug; do [ -n "$tool" ] || [ ! -x "$root/.build/$built/spillway" ] || tool=$root/.build/$built/spillway; done
[ -x "$tool" ] || { echo "demo: spillway is not built; 'make build' builds it" >&2; exit 66; }
[ "$(id -u)" = 0 ] || { echo "demo: network namespaces need root" >&2; exit 77; }
for needed in ip ping curl python3; do
    command -v $needed > /dev/null || { echo "demo: $needed is missing" >&2; exit 69; }
done

export LAB=spillway-demo-$$
ip netns add $LAB-probe 2> /dev/null || { echo "demo: network namespaces cannot be made here" >&2; exit 77; }
ip netns del $LAB-probe
page=$root/Examples/live/README.md
work=$(mktemp -d)
runner=
server=
cleanup() {
    [ -z "$runner" ] || kill -KILL "$runner" 2> /dev/null || true
    [ -z "$server" ] || kill -KILL "$server" 2> /dev/null || true
    wait 2> /dev/null || true
    "$root/Examples/live/lab.sh" down
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# The page's paths start at the root of the repository; what is written stays in a directory of our own.
mkdir "$work/bin" "$work/served"
ln -s "$(realpath "$tool")" "$work/bin/spillway"
ln -s "$root/graphs" "$root/Examples" "$work"
export PATH=$work/bin:$PATH
cd "$work"

fail() {
    echo "demo: $*" >&2
    for file in report errors; do [ ! -s $file ] || sed "s/^/    $file: /" $file >&2; done
    exit 1
}
on_page() { grep -qxF "sudo $*" "$page" || fail "not on the page: sudo $*"; }
page() {
    on_page "$@"
    echo "\$ $*"
    "$@" > printed 2>&1 || { sed 's/^/    /' printed >&2; fail "status $?: $*"; }
}
await() {
    for _ in $(seq 200); do
        if "$@" > /dev/null 2>&1; then return; fi
        sleep 0.05
    done
    fail "in vain: $*"
}
# A packet socket that is bound has the number of an interface.
listens() { [ "$(Examples/live/lab.sh middle awk 'NR > 1 && $5 > 0' /proc/net/packet | wc -l)" -ge "$1" ]; }
# begin SOCKETS COMMAND: starts a run in the middle, until end.
begin() {
    local sockets=$1
    shift
    on_page "$@"
    echo "\$ $*"
    "$@" > report 2> errors &
    runner=$!
    for _ in $(seq 600); do
        if listens "$sockets"; then return; fi
        kill -0 $runner 2> /dev/null || break
        sleep 0.05
    done
    fail "it does not listen: $*"
}
end() {
    kill "-$1" $runner
    wait $runner || fail "it ended with status $?"
    runner=
    ! grep "kernel dropped" errors || fail "the kernel dropped packets"
}
# What the report says: handler NAME, or column WIRE NUMBER.
handler() { awk -v name="$1" '$1 == name { print $2 }' report; }
column() { awk -v name="$1" -v n="$2" '/^wire /{ inside = 1 } inside && $1 == name { print $n; exit }' report; }
equal() { [ "$2" = "$3" ] || fail "$1: $2, not $3"; }
above() { [ -n "$2" ] && [ "$2" -gt "$3" ] || fail "$1: '$2', not above $3"; }
fetch() {
    page Examples/live/lab.sh client curl --silent --output fetched --max-time 30 http://192.0.2.2/megabyte
    cmp fetched served/megabyte || fail "the download is another"
}
unlike() { if "$@" > /dev/null 2>&1; then fail "passed, and should not: $*"; fi; }

page Examples/live/lab.sh up
head -c 1000000 /dev/urandom > served/megabyte
ip netns exec "$LAB-server" python3 -m http.server --directory served --bind :: 80 > server.log 2>&1 &
server=$!
await Examples/live/lab.sh server curl --silent --output /dev/null http://192.0.2.2/
page Examples/live/lab.sh client ping -c 3 -i 0.2 192.0.2.2

# The kernel carries, the graph watches.
begin 1 Examples/live/lab.sh middle spillway run graphs/flow-monitor.yaml --wire wire=if:left --set records=flows.json
page Examples/live/lab.sh client ping -c 3 -i 0.2 192.0.2.2
fetch
sleep 0.2
kill -USR1 $runner
await grep -q "^flows.created" errors
end INT
python3 - flows.json << 'END' || { cat flows.json >&2; fail "the records are wrong"; }
import json, sys
flows = [json.loads(line) for line in open(sys.argv[1])]
ping = [f for f in flows if f["proto"] == "1"]
http = [f for f in flows if f["proto"] == "tcp" and f["dport"] == 80]
assert len(ping) == 1 and ping[0]["packets_fwd"] == ping[0]["packets_rev"] == 3, ping
assert len(http) == 1 and http[0]["bytes_rev"] > 1000000 and "F" in http[0]["flags_fwd"], http
END

# Only the graph carries.
page Examples/live/lab.sh cut
unlike Examples/live/lab.sh client ping -c 1 -W 1 192.0.2.2
begin 4 Examples/live/lab.sh middle spillway run Examples/live/bridge.yaml --wire left=if:left,promisc --wire right=if:right,promisc
page Examples/live/lab.sh client ping -c 3 -i 0.2 192.0.2.2
page Examples/live/lab.sh client ping -c 3 -i 0.2 2001:db8::2
fetch
end TERM
equal "from left to right" "$(column left 2)" "$(column right 4)"
equal "from right to left" "$(column right 2)" "$(column left 4)"
above "packets" "$(column left 2)" 10

begin 4 Examples/live/lab.sh middle spillway run Examples/live/bridge-mirror.yaml --wire left=if:left --wire right=if:right
fetch
end INT
equal "copies" "$(handler file.packets)" $(($(column left 2) + $(column right 2)))
spillway run graphs/flow-monitor.yaml --wire wire=mirror.pcap > seen 2> errors || fail "the copies cannot be read"
grep -q '"dport":80' seen || fail "the copies are of something else"

begin 4 Examples/live/lab.sh middle spillway run Examples/live/bridge-classify.yaml --wire left=if:left --wire right=if:right
fetch
page Examples/live/lab.sh client ping -c 3 -i 0.2 192.0.2.2
end INT
above "http_to_right.packets" "$(handler http_to_right.packets)" 5
above "http_to_left.packets" "$(handler http_to_left.packets)" 5
above "other_to_right.packets" "$(handler other_to_right.packets)" 2

begin 4 Examples/live/lab.sh middle spillway run Examples/live/bridge-guard.yaml --wire left=if:left --wire right=if:right --set rate=1kpps
"$root/Examples/live/lab.sh" client python3 - << 'END' &
import socket, time
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.monotonic() + 2
while time.monotonic() < end:
    for _ in range(100):
        link.sendto(bytes(100), ("192.0.2.2", 9))
    time.sleep(0.01)
END
flood=$!
fetch
wait $flood
end TERM
above "packets over the rate" "$(handler over.packets)" 1000
above "packets within the rate" "$(handler limit.passed)" 1000
# 1000 a second, and the 10 that the bucket holds, in what can be some tenths more than two seconds.
above "3000 less packets within the rate" $((3000 - $(handler limit.passed))) 0

page Examples/live/lab.sh down
echo "demo: all as it should be"
