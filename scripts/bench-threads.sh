#!/bin/bash
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# How much sooner several threads are through with a capture than one: a graph, the flow monitor if no other is named, on one thread, on
# the two sides of a placement, on two equal threads that share the capture, and in two processes at once, which shows what the machine
# gives a second thread at best; in turns. Prints Markdown. Wall time of the whole process, of which the smallest and the median of all
# rounds are told, less that on a capture of one packet. Needs two CPUs that are idle.
#
# usage: scripts/bench-threads.sh [--packets N] [--flows N] [--copies-of CAPTURE] [--rounds N] [--graph FILE] [--placement NAME] [--build DIRECTORY]
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
packets=4000000 flows=10000 rounds=15 copies=() graph=$root/graphs/flow-monitor.yaml placement=flows-on-nic build=$root/.build/release
while [ $# -gt 1 ]; do
    case $1 in
    --packets) packets=$2 ;;
    --flows) flows=$2 ;;
    --copies-of) copies=(--copies-of "$2") ;;
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
"$build/spillway-benchmarks" capture --packets "$packets" --flows "$flows" ${copies[@]+"${copies[@]}"} "$work/long.pcap"
"$build/spillway-benchmarks" capture --packets 1 --flows 1 "$work/short.pcap"

ways=("one thread" "--executors split --placement $placement" "--threads 2" "two processes, each all of it")
# work CAPTURE OPTIONS...
work() {
    local capture=$1
    shift
    "$build/spillway" run "$graph" --wire "wire=$work/$capture.pcap" --set records=/dev/null "$@" > "$work/report" 2> "$work/err" ||
        { cat "$work/err" >&2; exit 1; }
}
for _ in $(seq "$rounds"); do
    for way in "${ways[@]}"; do
        for capture in long short; do
            start=$(date +%s%N)
            case $way in
            --*) read -ra options <<< "$way" && work $capture "${options[@]}" ;;
            two*) work $capture & work $capture && wait $! ;;
            *) work $capture ;;
            esac
            echo "$way	$capture	$(($(date +%s%N) - start))" >> "$work/times"
            if [ "$capture" = long ] && [ "$way" = "one thread" ]; then
                count=$(awk '$1 == "wire" && $2 == "Wire" { print $5; exit }' "$work/report")
            fi
        done
    done
done
made="$flows flows"
if [ ${#copies[@]} -gt 0 ]; then made="copies of $(basename "${copies[1]}")"; fi
echo "$(basename "$graph" .yaml), $count packets ($made), $rounds rounds"
echo
echo "| Threads | ns per packet, smallest | times one thread | ns per packet, median | times one thread |"
echo "| --- | ---: | ---: | ---: | ---: |"
# value WAY CAPTURE smallest|median
value() {
    awk -F '\t' -v way="$1" -v capture="$2" '$1 == way && $2 == capture { print $3 }' "$work/times" | sort -n |
        awk -v what="$3" '{ all[NR] = $1 } END { print what == "smallest" ? all[1] : all[int((NR + 1) / 2)] }'
}
for way in "${ways[@]}"; do
    row="| $([ "${way#--}" = "$way" ] && echo "$way" || echo "\`$way\`") "
    for what in smallest median; do
        one=$(($(value "one thread" long $what) - $(value "one thread" short $what)))
        spent=$(($(value "$way" long $what) - $(value "$way" short $what)))
        row+=$(awk -v spent=$spent -v one=$one -v n="$count" -v twice="$([ "${way#two}" = "$way" ] && echo 1 || echo 2)" 'BEGIN {
            # The ratio of the times that stand there.
            ns = sprintf("%.1f", spent / n / twice); first = sprintf("%.1f", one / n)
            printf "| %s | %.2f ", ns, first / ns
        }')
    done
    echo "$row|"
done
