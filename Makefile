# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# Results go to standard output, everything else to standard error.

CAPTURE ?= Examples/captures/web.pcap
SOURCES = Package.swift Plugins Sources Tests $(wildcard Examples/*/Package.swift Examples/*/Sources Examples/*/Tests)
SPILLWAY = .build/debug/spillway
RUNS ?= 1000000

.PHONY: help demo build test soak fuzz bench format lint docs captures clean

help: ## Lists the targets.
	@sed -n 's/^\([a-z]*\): .*## /\1\t/p' Makefile | expand -t 12

demo: ## Compares the placements of the flow monitor on a real capture.
	@scripts/setup.sh build
	@echo "demo: building the release version" >&2
	@swift build -c release --product spillway >&2
	@.build/release/spillway compare graphs/flow-monitor.yaml --wire wire=$(CAPTURE) --profile agilio-cx

build: ## Builds everything for debugging.
	@scripts/setup.sh build
	@swift build

test: ## Installs what is missing, builds, and runs all tests.
	@scripts/setup.sh test
	@swift build --build-tests
	@scripts/test-examples.sh
	@swift test --skip-build
	@SEED=1 scripts/fuzz.sh 20000

soak: ## Tests for longer: 1,000 random graphs, a release build, what attacks cost, and more fuzzing.
	@scripts/setup.sh test
	@swift build --build-tests
	@SPILLWAY_RANDOM_GRAPHS=0-999 swift test --skip-build --filter randomLoopsAndTimersDoTheSame
	@scripts/release-tests.sh
	@scripts/fuzz.sh $(RUNS)

fuzz: ## Fuzzes every target for RUNS inputs, or RUNS=60s for a time.
	@scripts/setup.sh build
	@scripts/fuzz.sh $(RUNS)

bench: ## Measures CPU time and instructions for each packet.
	@scripts/setup.sh bench
	@swift build -c release --product spillway-benchmarks >&2
	@.build/release/spillway-benchmarks
	@.build/release/spillway-benchmarks --instructions

format: ## Lays out Swift sources and graph files.
	@swift format --in-place --parallel --recursive $(SOURCES)
	@swift build --product spillway >&2
	@$(SPILLWAY) format $(wildcard graphs/*.yaml graphs/*/*.yaml)

lint: ## Checks the layout of Swift sources and graph files, and the graphs.
	@swift format lint --strict --parallel --recursive $(SOURCES)
	@swift build --product spillway >&2
	@$(SPILLWAY) format --check $(wildcard graphs/*.yaml graphs/*/*.yaml)
	@$(SPILLWAY) check $(wildcard graphs/*.yaml graphs/*/*.yaml)

docs: ## Writes elements-docs and the JSON schema from the elements' declarations.
	@scripts/setup.sh build
	@swift build --product spillway >&2
	@$(SPILLWAY) docs --write
	@mkdir -p graphs/schema
	@$(SPILLWAY) schema > graphs/schema/graph.json

captures: ## Makes Examples/captures anew (needs root).
	@scripts/setup.sh captures
	@scripts/make-captures.sh

clean: ## Removes what was built.
	@rm -rf .build Examples/*/.build
