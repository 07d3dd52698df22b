#!/bin/bash
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# A small network to try Spillway in, which touches no interface of the machine: three network namespaces in a row, joined by
# veth cables. Needs root and iproute2.
#
#     client                   middle                   server
#     eth0 ------------- left [br0] right ------------- eth0
#     192.0.2.1, 2001:db8::1                            192.0.2.2, 2001:db8::2
#
# up        makes it; the kernel bridges the middle
# cut       takes the kernel's bridge away: nothing passes but what a program in the middle carries
# join      puts it back
# offloads  on or off: segmentation, checksums and receive offload of all four interfaces
# down      removes it
#
# client, middle or server before a command run it there. LAB in the environment is another name for it all, so that
# several can stand side by side.
#
# usage: lab.sh up|cut|join|down | offloads on|off | client|middle|server COMMAND...
set -euo pipefail

lab=${LAB:-spillway-lab}
client=$lab-client
middle=$lab-middle
server=$lab-server

usage() { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 64; }
[ $# -gt 0 ] || usage
verb=$1
shift
[ "$(id -u)" = 0 ] || { echo "lab: network namespaces need root" >&2; exit 77; }
command -v ip > /dev/null || { echo "lab: ip is missing; it is in the package iproute2" >&2; exit 69; }

down() {
    local name
    for name in "$client" "$middle" "$server"; do ip netns del "$name" 2> /dev/null || true; done
}

join() {
    ip -n "$middle" link add br0 type bridge forward_delay 0
    ip -n "$middle" link set left master br0
    ip -n "$middle" link set right master br0
    ip -n "$middle" link set br0 up
}

up() {
    local name
    for name in "$client" "$middle" "$server"; do
        [ ! -e "/run/netns/$name" ] || { echo "lab: '$name' is there already; 'lab.sh down' removes it" >&2; exit 73; }
    done
    # Half a network is none.
    trap '[ $? = 0 ] || down' EXIT
    for name in "$client" "$middle" "$server"; do
        ip netns add "$name"
        ip -n "$name" link set lo up
    done
    # The kernel of the middle has nothing to say of its own.
    ip netns exec "$middle" sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    ip link add eth0 netns "$client" address 02:00:00:00:00:01 type veth peer name left netns "$middle"
    ip link add eth0 netns "$server" address 02:00:00:00:00:02 type veth peer name right netns "$middle"
    ip -n "$client" address add 192.0.2.1/24 dev eth0
    ip -n "$client" address add 2001:db8::1/64 dev eth0 nodad
    ip -n "$server" address add 192.0.2.2/24 dev eth0
    ip -n "$server" address add 2001:db8::2/64 dev eth0 nodad
    ip -n "$middle" link set left up
    ip -n "$middle" link set right up
    ip -n "$client" link set eth0 up
    ip -n "$server" link set eth0 up
    join
}

offloads() {
    local name place
    command -v ethtool > /dev/null || { echo "lab: ethtool is missing" >&2; exit 69; }
    while read -r name place; do
        ip netns exec "$name" ethtool -K "$place" tso "$1" gso "$1" gro "$1" tx "$1" > /dev/null
    done <<< "$client eth0
$server eth0
$middle left
$middle right"
}

case $verb in
up) up ;;
down) down ;;
join) join ;;
cut) ip -n "$middle" link del br0 ;;
offloads)
    case ${1:-} in
    on | off) offloads "$1" ;;
    *) usage ;;
    esac
    ;;
client | middle | server)
    [ $# -gt 0 ] || usage
    exec ip netns exec "$lab-$verb" "$@"
    ;;
*) usage ;;
esac
