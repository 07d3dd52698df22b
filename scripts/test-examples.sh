#!/bin/bash
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds the package that uses Spillway as a library with an element of its own, and tries it as its README says.
set -euo pipefail

cd "$(dirname "$0")/../Examples/custom-element"
echo "examples: building and running Examples/custom-element" >&2
swift build --build-tests >&2
swift test --skip-build >&2
tool=.build/debug/custom-spillway
$tool show TTLGuard | grep --quiet "RFC 5082"
$tool check ttl-guard.yaml >&2
$tool test ttl-guard.test.yaml >&2
$tool run ttl-guard.yaml --wire wire=../captures/web.pcap > /dev/null
