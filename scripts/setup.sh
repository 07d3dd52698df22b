#!/bin/bash
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing, through apt, and says so on standard error. Does nothing, and needs no network, when all is there.
#
# usage: scripts/setup.sh [build|test|bench|captures]
set -u

purpose=${1:-build}
case $purpose in
build | test | bench | captures) ;;
*)
    sed -n 's/^# usage: /usage: /p' "$0" >&2
    exit 64
    ;;
esac

say() { echo "setup: $*" >&2; }
have() { command -v "$1" > /dev/null 2>&1; }
library() { have pkg-config && pkg-config --exists "$1" 2> /dev/null; }

# needs TEST PACKAGE: the package is missing when the test fails. wants: the same, but we can do without.
missing=()
wished=()
needs() { eval "$1" || missing+=("$2"); }
wants() { eval "$1" || wished+=("$2"); }

needs "have pkg-config" pkg-config
needs "library libpcap" libpcap-dev
needs "library yaml-0.1" libyaml-dev
needs "library zlib" zlib1g-dev
case $purpose in
test)
    # Oracles of some tests, which are skipped without them.
    wants "have tshark" tshark
    wants "have dot" graphviz
    wants "have valgrind" valgrind
    wants "have strip" binutils
    # Tests on interfaces, in namespaces of their own.
    for tool in curl ethtool iperf3 python3 tcpdump; do wants "have $tool" $tool; done
    wants "have ip" iproute2
    wants "have ping" iputils-ping
    wants "have setpriv" util-linux
    wants "python3 -c 'import yaml' 2> /dev/null || /usr/bin/python3 -c 'import yaml' 2> /dev/null" python3-yaml
    wants "python3 -c 'import jsonschema' 2> /dev/null || /usr/bin/python3 -c 'import jsonschema' 2> /dev/null" \
        python3-jsonschema
    ;;
bench)
    needs "have valgrind" valgrind
    needs "have strip" binutils
    ;;
captures)
    needs "have ip" iproute2
    needs "have nginx" nginx-light
    needs "have dnsmasq" dnsmasq-base
    needs "have dig" bind9-dnsutils
    for tool in curl wrk ethtool openssl python3 tcpdump; do needs "have $tool" $tool; done
    needs "have ping" iputils-ping
    needs "have dumpcap" wireshark-common
    ;;
esac

# apt asks nothing: neither on the terminal nor through debconf (wireshark-common would).
apt() {
    local words=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@")
    if [ "$(id -u)" != 0 ]; then words=(sudo -n "${words[@]}"); fi
    "${words[@]}" < /dev/null >&2
}
can_install() {
    have apt-get && { [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2> /dev/null; }; }
}
update() {
    [ -n "${updated:-}" ] && return
    say "reading the lists of packages"
    apt update || say "apt-get update failed; trying with the lists that are there"
    updated=1
}

if [ ${#missing[@]} -gt 0 ]; then
    if ! have apt-get; then
        say "missing, by their Debian names: ${missing[*]}"
        say "there is no apt-get here: install what your system calls them, then try again"
        exit 69
    fi
    if ! can_install; then
        say "missing: ${missing[*]}"
        say "installing needs root, and sudo is missing or asks for a password; run: sudo apt-get install -y ${missing[*]}"
        exit 77
    fi
    update
    say "installing ${missing[*]}"
    if ! apt install -y --no-install-recommends "${missing[@]}"; then
        say "could not install ${missing[*]}"
        exit 69
    fi
fi

if [ ${#wished[@]} -gt 0 ]; then
    if can_install; then
        update
        say "installing ${wished[*]} (used by some tests)"
        apt install -y --no-install-recommends "${wished[@]}" || wished=("${wished[@]}" "(could not be installed)")
    else
        say "without ${wished[*]} some tests are skipped; sudo apt-get install -y ${wished[*]} adds them"
    fi
fi

if ! have swift; then
    say "Swift is missing: install Swift 6.2 or later from https://www.swift.org/install/linux/, then try again"
    exit 69
fi
exit 0
