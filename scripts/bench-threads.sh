#!/bin/bash
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# How much sooner several threads are through with a capture than one: the flow monitor on one thread, on its placement's two sides, and
# on two equal threads that share the capture, in turns. Prints Markdown. Wall time of the whole process, of which the smallest of all
# rounds counts, less that on an empty capture. Needs two CPUs that are idle.
#
# usage: scripts/bench-threads.sh [--packets N] [--flows N] [--rounds N] [--graph FILE] [--placement NAME] [--build DIRECTORY]
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
packets=4000000 flows=10000 rounds=7 graph=$root/graphs/flow-monitor.yaml placement=flows-on-nic build=$root/.build/release
while [ $# -gt 1 ]; do
    case $1 in
    --packets) packets=$2 ;;
    --flows) flows=$2 ;;
    --rounds) rounds=$2 ;;
    --graph) graph=$2 ;;
    --placement) placement=$2 ;;
    --build) build=$2 ;;
    *) break ;;
    esac
    shift 2
done
if [ $# -gt 0 ]; then
    sed -n 's/^# usage: /usage: /p' "$0" >&2
    exit 64
fi
for program in spillway spillway-benchmarks; do
    [ -x "$build/$program" ] || { echo "bench-threads: '$build/$program' is not there; 'swift build -c release' makes it" >&2; exit 66; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$build/spillway-benchmarks" capture --packets "$packets" --flows "$flows" "$work/long.pcap"
"$build/spillway-benchmarks" capture --packets 1 --flows 1 "$work/empty.pcap"

ways=("one thread" "--executors split --placement $placement" "--threads 2")
declare -A best
# time WAY CAPTURE OPTIONS...
measure() {
    local way=$1 capture=$2 start end
    shift 2
    start=$(date +%s%N)
    "$build/spillway" run "$graph" --wire "wire=$work/$capture.pcap" --set records=/dev/null "$@" > /dev/null 2> "$work/err" ||
        { cat "$work/err" >&2; exit 1; }
    end=$(date +%s%N)
    local spent=$((end - start)) key=$way,$capture
    if [ -z "${best[$key]:-}" ] || [ "$spent" -lt "${best[$key]}" ]; then best[$key]=$spent; fi
}
for _ in $(seq "$rounds"); do
    for way in "${ways[@]}"; do
        for capture in long empty; do
            options=()
            if [ "$way" != "one thread" ]; then read -ra options <<< "$way"; fi
            measure "$way" $capture "${options[@]}"
        done
    done
done
echo "$(basename "$graph" .yaml), $packets packets of $flows flows, smallest of $rounds rounds"
echo
echo "| Threads | ns per packet | times one thread |"
echo "| --- | ---: | ---: |"
one=$((best["one thread,long"] - best["one thread,empty"]))
for way in "${ways[@]}"; do
    spent=$((best["$way,long"] - best["$way,empty"]))
    awk -v way="$way" -v spent="$spent" -v one="$one" -v n="$packets" \
        'BEGIN {
            # The ratio of the times that stand there.
            ns = sprintf("%.1f", spent / n); first = sprintf("%.1f", one / n)
            printf "| %s | %s | %.2f |\n", way ~ /^-/ ? "`" way "`" : way, ns, first / ns
        }'
done
