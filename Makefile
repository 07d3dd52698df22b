# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# Results go to standard output, everything else to standard error.

CAPTURE ?= Examples/captures/web.pcap
SOURCES = Package.swift Plugins Sources Tests $(wildcard Examples/*/Package.swift Examples/*/Sources Examples/*/Tests)
SPILLWAY = .build/debug/spillway
RUNS ?= 1000000
PREFIX ?= /usr/local
# What is installed; 'make static' names another that can be.
PROGRAM ?= .build/release/spillway
INSTALLED = $(DESTDIR)$(PREFIX)
SHARED = $(INSTALLED)/share
# Relative to the repository; they stay side by side, as graphs name the schema and compounds by path.
INSTALLED_FILES = $(wildcard graphs/*.yaml graphs/lib/*.yaml graphs/profiles/*.yaml graphs/schema/*.json Examples/live/*.yaml)

.PHONY: help demo build test soak race-check fuzz bench format lint docs captures static install uninstall clean

help: ## Lists the targets.
	@sed -n 's/^\([a-z-]*\): .*## /\1\t/p' Makefile | expand -t 12

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
	@scripts/race-check.sh

soak: ## Tests for longer: 1,000 random graphs, half an hour on interfaces, a release build, what attacks cost, and more fuzzing.
	@scripts/setup.sh test
	@swift build --build-tests
	@SPILLWAY_RANDOM_GRAPHS=0-999 swift test --skip-build --filter randomLoopsAndTimersDoTheSame
	@SPILLWAY_SOAK=10 swift test --skip-build --filter LongTests
	@scripts/release-tests.sh
	@scripts/fuzz.sh $(RUNS)

race-check: ## Runs graphs on several threads under ThreadSanitizer.
	@scripts/setup.sh build
	@scripts/race-check.sh

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

static: ## Builds a release version in .build/static that needs no Swift libraries where it runs.
	@scripts/setup.sh build
	@swift build -c release --static-swift-stdlib --product spillway --scratch-path .build/static >&2
	@echo .build/static/release/spillway

install: ## Installs PROGRAM, graphs, completions and a manual page under PREFIX, within DESTDIR.
	@test -x $(PROGRAM) || { echo "install: no $(PROGRAM); 'swift build -c release --product spillway' or 'make static' builds one" >&2; exit 66; }
	@install -d $(INSTALLED)/bin $(SHARED)/bash-completion/completions $(SHARED)/zsh/site-functions \
	    $(SHARED)/fish/vendor_completions.d $(SHARED)/man/man1
	@install -m 755 $(PROGRAM) $(INSTALLED)/bin/spillway
	@$(foreach file,$(INSTALLED_FILES),install -D -m 644 $(file) $(SHARED)/spillway/$(file) &&) true
	@$(PROGRAM) --generate-completion-script bash > $(SHARED)/bash-completion/completions/spillway
	@$(PROGRAM) --generate-completion-script zsh > $(SHARED)/zsh/site-functions/_spillway
	@$(PROGRAM) --generate-completion-script fish > $(SHARED)/fish/vendor_completions.d/spillway.fish
	@if command -v python3 > /dev/null; then \
	    $(PROGRAM) --experimental-dump-help | scripts/man-page.py "$$($(PROGRAM) --version)" > $(SHARED)/man/man1/spillway.1; \
	else echo "install: no python3, so no manual page" >&2; fi

uninstall: ## Removes what 'make install' with the same PREFIX and DESTDIR has installed.
	@rm -f $(INSTALLED)/bin/spillway $(SHARED)/bash-completion/completions/spillway $(SHARED)/zsh/site-functions/_spillway \
	    $(SHARED)/fish/vendor_completions.d/spillway.fish $(SHARED)/man/man1/spillway.1
	@rm -rf $(SHARED)/spillway

clean: ## Removes what was built.
	@rm -rf .build Examples/*/.build
