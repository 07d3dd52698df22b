#!/bin/bash
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs graphs on several threads under ThreadSanitizer (Tests/RaceCheck): each placement that can be split, and two and three equal
# threads. A race fails, and so does a run that does not balance.
#
# usage: scripts/race-check.sh [CAPTURE [GRAPH ...]]
set -euo pipefail

cd "$(dirname "$0")/.."
capture=${1:-Examples/captures/vlan.pcapng}
shift || true
if [ $# = 0 ]; then
    for graph in graphs/*.yaml; do [[ $graph = *.test.yaml ]] || set -- "$@" "$graph"; done
fi
echo "race-check: building" >&2
SPILLWAY_RACE_CHECK=1 swift build --sanitize=thread --product race-check --scratch-path .build/race-check >&2
TSAN_OPTIONS=halt_on_error=1 SWIFT_BACKTRACE=enable=no .build/race-check/debug/race-check "$capture" "$@"
