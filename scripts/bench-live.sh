#!/bin/bash
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# What it costs to carry packets between two interfaces: the kernel's bridge, two forwarders in C, one through libpcap, and
# 'spillway run' with Examples/live/bridge.yaml, in turns, between the same two veth cables (Examples/live/lab.sh). Prints Markdown.
# Needs root, iproute2, ethtool, taskset, a C compiler and libpcap's headers.
#
# Each takes small UDP datagrams one way, first RATE a second, then as many as the sender can; then a datagram goes there and back,
# 500 times a second. CPU time is that of the scheduler (/proc/PID/schedstat), user and system. The kernel does a receiver's work on
# behalf of whoever sends: a forwarder's time includes what the server's kernel does until the datagram is queued, and the kernel's
# bridge is part of the sender's time. So "all" adds up sender, forwarder, receiver and ksoftirqd. Of all rounds the least time, the
# least latency and the highest rate count: what else the machine does only adds.
#
# With two CPUs or more the forwarder has CPU 1 for itself, sender and receiver share CPU 0.
#
# usage: scripts/bench-live.sh [--offloads on|off] [--rate N] [--seconds N] [--rounds N] [--bytes N] [--batch N] [--spillway FILE]
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
offloads=off rate=100000 seconds=10 rounds=3 bytes=18 batch=32 spillway=$root/.build/release/spillway
while [ $# -gt 1 ]; do
    case $1 in
    --offloads) offloads=$2 ;;
    --rate) rate=$2 ;;
    --seconds) seconds=$2 ;;
    --rounds) rounds=$2 ;;
    --bytes) bytes=$2 ;;
    --batch) batch=$2 ;;
    --spillway) spillway=$2 ;;
    *) break ;;
    esac
    shift 2
done
if [ $# -gt 0 ] || ! [[ $offloads =~ ^(on|off)$ ]]; then
    sed -n 's/^# usage: /usage: /p' "$0" >&2
    exit 64
fi

say() { echo "bench-live: $*" >&2; }
[ "$(id -u)" = 0 ] || { say "network namespaces need root"; exit 77; }
for tool in ip ethtool taskset cc awk ping; do
    command -v $tool > /dev/null || { say "$tool is missing"; exit 69; }
done
[ -x "$spillway" ] || { say "'$spillway' is not there; 'swift build -c release --product spillway' makes it"; exit 66; }

export LAB=spillway-bench-$$
lab=$root/Examples/live/lab.sh
work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2> /dev/null || true; done
    wait 2> /dev/null || true
    "$lab" down
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

cc -O2 -o "$work/tpacket-forward" "$root/scripts/peers/tpacket-forward.c"
cc -O2 -o "$work/pcap-forward" "$root/scripts/peers/pcap-forward.c" -lpcap
cc -O2 -o "$work/udp-load" "$root/scripts/peers/udp-load.c"
"$lab" up
"$lab" offloads "$offloads"
"$lab" cut

if [ "$(nproc)" -gt 1 ]; then cpu=1; else cpu=0; fi
ends=(taskset -c 0)
middle=(ip netns exec "$LAB-middle" taskset -c "$cpu")

# Programs run in the background as themselves, so that $! is theirs: ip netns exec and taskset become what they start.
start() {
    forwarder=
    case $1 in
    kernel-bridge) "$lab" join ;;
    tpacket-*) "${middle[@]}" "$work/tpacket-forward" -m "${1#tpacket-}" left right > "$work/forwarder" & ;;&
    pcap) "${middle[@]}" "$work/pcap-forward" left right > "$work/forwarder" & ;;&
    spillway)
        "${middle[@]}" "$spillway" run "$root/Examples/live/bridge.yaml" \
            --wire left=if:left,promisc --wire right=if:right,promisc > "$work/forwarder" 2>&1 &
        ;;&
    tpacket-* | pcap | spillway)
        forwarder=$!
        pids+=("$forwarder")
        ;;
    esac
    for _ in $(seq 100); do
        "$lab" client ping -q -c 1 -W 1 192.0.2.2 > /dev/null 2>&1 && return
        sleep 0.1
    done
    say "nothing passes '$1'"
    cat "$work/forwarder" >&2
    exit 1
}
stop() {
    if [ -n "$forwarder" ]; then
        kill -TERM "$forwarder"
        wait "$forwarder" || { say "'$1' ended with status $?"; cat "$work/forwarder" >&2; exit 1; }
    else
        "$lab" cut
    fi
}
listen() {
    # What went to the port of the one before, and did not arrive, is over.
    sleep 0.1
    ip netns exec "$LAB-server" "${ends[@]}" "$work/udp-load" "$1" 5000 > "$work/listener" &
    listener=$!
    pids+=("$listener")
    sleep 0.2
}
unlisten() {
    sleep 0.2
    kill -TERM "$listener"
    wait "$listener"
}
on_cpu() { if [ -n "$1" ]; then awk '{ print $1 }' "/proc/$1/schedstat"; else echo 0; fi; }
softirqs() {
    local file total=0
    for file in $(grep -lx 'ksoftirqd/[0-9]*' /proc/[0-9]*/comm 2> /dev/null); do
        total=$((total + $(awk '{ print $1 }' "${file%comm}schedstat")))
    done
    echo "$total"
}
arrived() { "$lab" server cat /sys/class/net/eth0/statistics/rx_packets; }
value() { sed -n "s/.*\<$2=\([0-9.]*\).*/\1/p" "$work/$1"; }

# load NAME rate|flood RATE: writes delivered, sent, seconds, CPU time of the forwarder, CPU time of all. Not for a subshell, which could
# not wait for the listener.
load() {
    local before after
    read -r -a before <<< "$(arrived) $(on_cpu "$forwarder") $(on_cpu "$listener") $(softirqs)"
    "$lab" client "${ends[@]}" "$work/udp-load" send 192.0.2.2 5000 "$3" "$seconds" "$bytes" "$batch" > "$work/sender"
    sleep 0.1
    read -r -a after <<< "$(arrived) $(on_cpu "$forwarder") $(on_cpu "$listener") $(softirqs)"
    unlisten
    local delivered=$((after[0] - before[0])) own=$((after[1] - before[1]))
    # Datagrams whose checksum is wrong arrive at the interface, and not at the program.
    [ "$2" = flood ] || delivered=$(value listener received)
    local all=$((own + after[2] - before[2] + after[3] - before[3] + $(value sender cpu_ns)))
    echo "$1 $2 $delivered $(value sender sent) $(value sender seconds) $own $all" >> "$work/results"
}

names=(kernel-bridge tpacket-block tpacket-frame tpacket-message pcap spillway)
for round in $(seq "$rounds"); do
    for name in "${names[@]}"; do
        say "round $round of $rounds: $name"
        start "$name"
        listen sink
        load "$name" rate "$rate"
        listen hole
        load "$name" flood 0
        listen echo
        "$lab" client "${ends[@]}" "$work/udp-load" ask 192.0.2.2 5000 500 $((seconds * 250)) "$bytes" > "$work/asker"
        unlisten
        echo "$name ask $(value asker received) $(value asker asked) $(value asker p50_ns) $(value asker p99_ns)" >> "$work/results"
        stop "$name"
    done
done

echo "UDP of $((bytes + 42)) bytes a frame, offloads $offloads; $rounds rounds of $seconds s; $(nproc) CPUs, Linux $(uname -r)."
echo
awk -v rate="$rate" -v names="${names[*]}" '
    function least(table, key, x) { if (!(key in table) || x + 0 < table[key]) table[key] = x + 0 }
    function most(table, key, x) { if (!(key in table) || x + 0 > table[key]) table[key] = x + 0 }
    function us(table, name) { return name in table ? sprintf("%.0f", table[name] / 1000) : "-" }
    function added(table, name) { return name in table ? sprintf("%+.0f", (table[name] - table["kernel-bridge"]) / 1000) : "-" }
    function ns(table, name) { return name in table && table[name] > 0 ? sprintf("%.0f", table[name]) : "-" }
    $2 == "rate" { most(share, $1, 100 * $3 / $4); if ($3 > $4 / 2) { least(own, $1, $6 / $3); least(all, $1, $7 / $3) } }
    $2 == "flood" { most(speed, $1, $3 / $5); if ($3 > 0) { least(flooded, $1, $6 / $3); least(allflooded, $1, $7 / $3) } }
    $2 == "ask" && $3 > $4 / 2 { least(p50, $1, $5); least(p99, $1, $6) }
    END {
        print "| | % of " rate "/s | its ns/packet | all ns/packet | flooded: packets/s | its ns/packet | all ns/packet" \
            " | there and back: p50 us | p99 us | p50 added | p99 added |"
        print "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
        n = split(names, name, " ")
        for (k = 1; k <= n; k++) {
            x = name[k]
            printf "| %s | %.2f | %s | %s | %.0f | %s | %s | %s | %s | %s | %s |\n", x, share[x], ns(own, x), ns(all, x), speed[x],
                ns(flooded, x), ns(allflooded, x), us(p50, x), us(p99, x), added(p50, x), added(p99, x)
        }
        s = "spillway"; t = "tpacket-block"
        if (own[t] > 0 && own[s] > 0 && flooded[t] > 0)
            printf "\nspillway : tpacket-forward, CPU time of the forwarder for each packet: %.2f at %s/s, %.2f flooded.\n",
                own[s] / own[t], rate, flooded[s] / flooded[t]
    }' "$work/results"
