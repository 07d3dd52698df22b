#!/bin/bash
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs the tests of the data plane and of the model, and those of what attacks cost, in a release build. Package.swift then describes
# nothing else, and the build has a place of its own: the flag reaches every module.
#
# usage: scripts/release-tests.sh [FILTER]
set -euo pipefail

cd "$(dirname "$0")/.."
filter=${1:-DataplaneTests|ModelTests|AttackCostTests}
export SPILLWAY_RELEASE_TESTS=1
options=(-c release -Xswiftc -enable-testing --scratch-path .build/release-tests)
echo "release-tests: building" >&2
swift build --build-tests "${options[@]}" >&2
swift test --skip-build "${options[@]}" --filter "$filter"
