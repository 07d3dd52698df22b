#!/bin/bash
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds the example packages, which use Spillway as a library, and runs each on a shipped capture.
set -euo pipefail

cd "$(dirname "$0")/.."
for package in Examples/*/Package.swift; do
    [ -e "$package" ] || continue
    directory=$(dirname "$package")
    echo "examples: $directory" >&2
    swift build --package-path "$directory" >&2
    [ ! -x "$directory/try.sh" ] || "$directory/try.sh" >&2
done
