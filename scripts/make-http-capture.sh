#!/bin/bash
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# Makes a large capture of real HTTP traffic to measure with: wrk asks nginx for bodies of 64 bytes to 100 KiB over
# connections that are kept, and over a new one for each request, between two network namespaces made for the purpose.
# Nothing leaves them. Needs root, a kernel with veth, nginx, wrk, ethtool and tcpdump (scripts/setup.sh captures).
#
# usage: scripts/make-http-capture.sh FILE [MEGABYTES]
set -euo pipefail

file=${1:?usage: scripts/make-http-capture.sh FILE [MEGABYTES]}
megabytes=${2:-350}
client=spillway-client
server=spillway-server
work=$(mktemp -d)
pids=()

[ "$(id -u)" = 0 ] || { echo "make-http-capture: network namespaces need root" >&2; exit 77; }
for tool in ip nginx wrk ethtool tcpdump; do
    command -v $tool > /dev/null || { echo "make-http-capture: $tool is missing; scripts/setup.sh captures installs it" >&2; exit 69; }
done
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
    wait 2> /dev/null || true
    ip netns del $client 2> /dev/null || true
    ip netns del $server 2> /dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

ip netns add $client
ip netns add $server
ip link add veth0 netns $client type veth peer name veth0 netns $server
number=1
for namespace in $client $server; do
    ip -n $namespace link set lo up
    # As on a wire: frames of at most 1514 bytes.
    ip netns exec $namespace ethtool -K veth0 tso off gso off gro off tx off > /dev/null 2>&1 || true
    ip -n $namespace link set veth0 up
    ip -n $namespace address add 192.0.2.$number/24 dev veth0
    ip netns exec $namespace sysctl -qw net.ipv4.ip_local_port_range="1024 65000" net.ipv4.tcp_tw_reuse=1
    number=10
done

mkdir "$work/html"
for size in 64 1024 16384 102400; do
    head -c $size /dev/zero | tr '\0' 'x' > "$work/html/$size.txt"
done
chmod -R a+rX "$work"
cat > "$work/nginx.conf" << CONF
worker_processes 1;
daemon off;
pid $work/nginx.pid;
error_log $work/error.log;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; keepalive_requests 100000000;
  limit_rate 3m;   # of each connection, in bytes a second: else the large bodies leave no room for the others
  server { listen 80 backlog=4096; root $work/html; }
}
CONF
ip netns exec $server nginx -c "$work/nginx.conf" -p "$work" & pids+=($!)
sleep 0.5
# No connection may begin before the capture does.
ip netns exec $client tcpdump -i veth0 -s 0 -B 524288 -w "$work/all.pcap" tcp port 80 2> "$work/tcpdump.log" & tcpdump=$!
pids+=($tcpdump)
until grep -q 'listening on' "$work/tcpdump.log"; do sleep 0.1; done
isFull() {
    local size
    size=$(stat -c %s "$work/all.pcap") || exit 1
    [ "$size" -ge $((megabytes * 1000000)) ]
}
# Asks for a second, or until the capture is large enough.
ask() {
    if isFull; then return; fi
    # A shell that is stopped before it has become wrk must not clean up.
    (trap - EXIT; exec ip netns exec $client wrk -t1 -c20 -d1s "$@" > /dev/null) & local wrk=$!
    while kill -0 $wrk 2> /dev/null; do
        if isFull; then kill $wrk 2> /dev/null || true; fi
        sleep 0.02
    done
    wait $wrk || true
}
until isFull; do
    for body in 64 1024 16384 102400; do
        ask http://192.0.2.10/$body.txt
        [ $body = 102400 ] || ask -H 'Connection: close' http://192.0.2.10/$body.txt
    done
done
sleep 0.5
kill -INT $tcpdump
wait $tcpdump 2> /dev/null || true
sed -n 's/^\([0-9]* packets dropped by kernel\)/make-http-capture: \1/p' "$work/tcpdump.log" >&2
mv "$work/all.pcap" "$file"
echo "make-http-capture: $(stat -c %s "$file") bytes in $file" >&2
