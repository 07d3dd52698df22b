#!/bin/bash
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds the package that uses Spillway as a library with an element of its own, and tries it as its README says. Before that it runs
# the commands of the guide to interfaces, where network namespaces can be made.
set -euo pipefail

echo "examples: running Examples/live/demo.sh" >&2
cd "$(dirname "$0")/.."
Examples/live/demo.sh .build/debug/spillway >&2 || {
    status=$?
    case $status in
    69 | 77) echo "examples: skipped, as it says" >&2 ;;
    *) exit $status ;;
    esac
}
cd Examples/custom-element
echo "examples: building and running Examples/custom-element" >&2
swift build --build-tests >&2
swift test --skip-build >&2
tool=.build/debug/custom-spillway
$tool show TTLGuard | grep --quiet "RFC 5082"
$tool check ttl-guard.yaml >&2
$tool test ttl-guard.test.yaml >&2
$tool run ttl-guard.yaml --wire wire=../captures/web.pcap > /dev/null
