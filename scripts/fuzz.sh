#!/bin/bash
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds the fuzz targets of Tests/FuzzTests for libFuzzer, optimised and with AddressSanitizer, and runs them one after the other.
# What a target has learnt is kept in .build/fuzz-corpus and used again; inputs that fail are put into .build/fuzz-findings.
# With SEED every run from the same corpus is the same.
#
# usage: scripts/fuzz.sh [RUNS|SECONDSs] [reassembly|defragmenter|http|tls|options|tunnels|neighbours ...]
set -euo pipefail

cd "$(dirname "$0")/.."
amount=${1:-1000000}
shift || true
[ $# -gt 0 ] || set -- reassembly defragmenter http tls options tunnels neighbours
usage() {
    sed -n 's/^# usage: /usage: /p' "$0" >&2
    exit 64
}
case $amount in
*[!0-9s]* | *s?* | s | "") usage ;;
*s) limit=-max_total_time=${amount%s} ;;
*) limit=-runs=$amount ;;
esac
for target; do [ -d "Tests/FuzzTests/Seeds/$target" ] || usage; done

echo "fuzz: building" >&2
# Flags reach every module of a build, so it has a place of its own. Gold cannot link it; lld comes with Swift.
SPILLWAY_FUZZ=1 swift build -c release --product spillway-fuzz --scratch-path .build/fuzz -Xswiftc -enable-testing \
    -Xswiftc -sanitize=fuzzer,address -Xswiftc -use-ld=lld -Xcc -DSPILLWAY_FUZZ >&2

# Where blocks were allocated is told in few words, for that takes long; finding leaks needs ptrace, which containers may forbid;
# Swift's own reports disturb the sanitizer.
export ASAN_OPTIONS=malloc_context_size=3:detect_stack_use_after_return=0:detect_leaks=0 SWIFT_BACKTRACE=enable=no
status=0
mkdir -p .build/fuzz-findings
for target; do
    # Long inputs are slow and find little that short ones do not.
    case $target in
    options) options=(-max_len=250) ;;
    http) options=(-max_len=600 -dict=Tests/FuzzTests/Seeds/http.dict) ;;
    *) options=(-max_len=300) ;;
    esac
    corpus=.build/fuzz-corpus/$target
    log=.build/fuzz-corpus/$target.log
    mkdir -p "$corpus"
    if .build/fuzz/release/spillway-fuzz "$target" "$limit" "${options[@]}" -entropic=0 -timeout=20 -seed="${SEED:-0}" \
        -print_final_stats=1 -artifact_prefix=".build/fuzz-findings/$target-" \
        "$corpus" "Tests/FuzzTests/Seeds/$target" > "$log" 2>&1; then
        sed -n "s/^stat::number_of_executed_units: */fuzz: $target: runs without a finding: /p" "$log" >&2
    else
        status=1
        grep -aE 'Fatal error|ERROR|SUMMARY|written to|^Base64' "$log" >&2 || tail -n 5 "$log" >&2
        echo "fuzz: $target: see $log" >&2
    fi
done
exit $status
