#!/bin/bash
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# Makes the captures in Examples/captures anew: real programs talk to each other in two network namespaces made for the
# purpose, and nothing leaves them. Needs root, a kernel with veth and TAP, and python3, nginx, dnsmasq, curl, wrk, dig, ping,
# openssl, ethtool, tcpdump and dumpcap (scripts/setup.sh captures).
#
# usage: scripts/make-captures.sh [DIRECTORY]
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/Examples/captures}
client=spillway-client
server=spillway-server
work=$(mktemp -d)
pids=()

[ "$(id -u)" = 0 ] || { echo "make-captures: network namespaces need root" >&2; exit 77; }
for tool in ip python3 nginx dnsmasq curl wrk dig ping openssl ethtool tcpdump dumpcap; do
    command -v $tool > /dev/null || { echo "make-captures: $tool is missing; scripts/setup.sh captures installs it" >&2; exit 69; }
done
for namespace in $client $server; do
    [ ! -e /run/netns/$namespace ] || { echo "make-captures: a namespace named $namespace exists already" >&2; exit 73; }
done

cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
    wait 2> /dev/null || true
    ip netns del $client 2> /dev/null || true
    ip netns del $server 2> /dev/null || true
    rm -rf "$work" /etc/netns/$client
}
trap cleanup EXIT

# Runs a program in a namespace. In the background `ip netns exec` is written out: it becomes the program, so that $! is
# the program's process id and not that of a shell around it.
on() { ip netns exec "$@"; }

# Two hosts and a cable. Offloads are off, so that frames are as they would be on a wire: at most 1514 bytes, with right
# checksums.
ip netns add $client
ip netns add $server
ip link add veth0 netns $client address 02:00:00:00:00:01 type veth peer name veth0 netns $server
ip -n $server link set veth0 address 02:00:00:00:00:02
number=1
for namespace in $client $server; do
    ip -n $namespace link set lo up
    on $namespace ethtool -K veth0 tso off gso off gro off tx off rxvlan off txvlan off > /dev/null 2>&1 || true
    ip -n $namespace link set veth0 up
    ip -n $namespace address add 192.0.2.$number/24 dev veth0
    ip -n $namespace address add 2001:db8::$number/64 dev veth0 nodad
    # VLAN 5, and VLAN 7 within the provider's 100.
    ip netns exec $namespace "$root/scripts/vlan-port.py" veth0 vlan5=5 inner=100,7 & pids+=($!)
    for link in vlan5 inner; do
        for _ in $(seq 50); do ip -n $namespace link show $link > /dev/null 2>&1 && break || sleep 0.1; done
        on $namespace sysctl -qw net.ipv6.conf.$link.disable_ipv6=1
        ip -n $namespace link set $link mtu 1492 up
    done
    ip -n $namespace address add 198.51.100.$number/24 dev vlan5
    ip -n $namespace address add 203.0.113.$number/24 dev inner
    number=10
done

# The server: pages of several sizes over HTTP and TLS, and names for them.
mkdir -p "$work/html" "$work/logs" /etc/netns/$client
echo "nameserver 192.0.2.10" > /etc/netns/$client/resolv.conf
for size in 64 1024 16384 131072; do
    head -c $size < <(yes "Spillway runs packet graphs and compares their placements.") > "$work/html/$size.txt"
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=www.example.test \
    -keyout "$work/key.pem" -out "$work/certificate.pem" 2> /dev/null
cat > "$work/nginx.conf" <<END
user root;
daemon off;
worker_processes 1;
pid $work/nginx.pid;
error_log $work/logs/error.log;
events { worker_connections 256; }
http {
    access_log off;
    default_type text/plain;
    types { text/plain txt; }
    gzip on;
    gzip_min_length 512;
    server {
        listen 80;
        listen [::]:80;
        listen 443 ssl;
        listen [::]:443 ssl;
        server_name www.example.test;
        root $work/html;
        ssl_certificate $work/certificate.pem;
        ssl_certificate_key $work/key.pem;
        location /close/ { alias $work/html/; keepalive_timeout 0; }
        location /upload { client_max_body_size 1m; return 204; }
    }
}
END
ip netns exec $server nginx -c "$work/nginx.conf" -p "$work" & pids+=($!)
ip netns exec $server dnsmasq --keep-in-foreground --no-resolv --no-hosts --conf-file=/dev/null --pid-file="$work/dns.pid" \
    --user=root --local-ttl=300 --address=/example.test/192.0.2.10 --address=/www.example.test/2001:db8::10 \
    --address=/www.example.test/192.0.2.10 --txt-record=text.example.test,"made for a capture" & pids+=($!)
for _ in $(seq 50); do
    on $server ss -Hltn 'sport = :443' | grep -q . && on $server ss -Hlun 'sport = :53' | grep -q . && break
    sleep 0.1
done

# record COMMAND...: starts a capture program; stop: ends it.
record() {
    "$@" > "$work/recorder.log" 2>&1 & recorder=$!
    pids+=($recorder)
    sleep 1
}
stop() {
    sleep 1
    kill -TERM $recorder
    wait $recorder 2> /dev/null || true
}
get() { on $client curl --silent --noproxy '*' --max-time 10 "$@" > /dev/null || true; }

web() {
    on $client ping -q -c 3 -i 0.2 192.0.2.10 > /dev/null
    on $client ping -q -c 3 -i 0.2 2001:db8::10 > /dev/null
    # An echo request too large for one frame: IPv4 fragments.
    on $client ping -q -c 1 -s 3000 192.0.2.10 > /dev/null
    for name in www mail static api; do
        on $client dig +short +tries=1 $name.example.test A > /dev/null
        on $client dig +short +tries=1 $name.example.test AAAA > /dev/null
    done
    on $client dig +short +tries=1 text.example.test TXT > /dev/null
    on $client dig +short +tries=1 +tcp text.example.test TXT > /dev/null
    # A closed UDP port answers with ICMP, a closed TCP port with RST.
    on $client dig +short +tries=1 +time=1 -p 5300 @192.0.2.10 www.example.test > /dev/null || true
    get http://192.0.2.10:81/
    get http://[2001:db8::10]:81/
    # One connection for several requests, then a connection for each.
    local www=http://www.example.test
    get -4 $www/64.txt $www/1024.txt $www/missing.txt $www/16384.txt
    get -6 $www/64.txt $www/1024.txt $www/16384.txt $www/64.txt
    for size in 64 1024 16384; do
        get -4 $www/close/$size.txt
        get -6 $www/close/$size.txt
    done
    get -4 --compressed $www/16384.txt
    get -4 --head $www/131072.txt
    get -4 $www/131072.txt
    get -4 --data-binary @"$work/html/16384.txt" -H 'Expect: 100-continue' $www/upload
    for version in -4 -6; do get $version --insecure https://www.example.test/1024.txt; done
    get -4 --insecure https://www.example.test/64.txt https://www.example.test/16384.txt
    # A download that the client breaks off.
    get -4 --limit-rate 20k --max-time 0.5 $www/131072.txt
    # A steady load: eight connections, each asking again 20 to 60 ms after an answer; then one request to a connection.
    echo 'function delay() return math.random(20, 60) end' > "$work/pause.lua"
    on $client wrk -t 1 -c 8 -d 2s -s "$work/pause.lua" $www/64.txt > /dev/null
    on $client wrk -t 1 -c 4 -d 2s -s "$work/pause.lua" http://192.0.2.10/close/1024.txt > /dev/null
    on $client wrk -t 1 -c 2 -d 1s -s "$work/pause.lua" 'http://[2001:db8::10]/1024.txt' > /dev/null
}

vlan() {
    on $client ping -q -c 1 192.0.2.10 > /dev/null
    on $client ping -q -c 2 -i 0.2 198.51.100.10 > /dev/null
    on $client ping -q -c 2 -i 0.2 203.0.113.10 > /dev/null
    get http://198.51.100.10/1024.txt
    get http://203.0.113.10/1024.txt http://203.0.113.10/16384.txt
    on $client dig +short +tries=1 @203.0.113.10 www.example.test > /dev/null
}

cooked() {
    on $client ping -q -c 1 192.0.2.10 > /dev/null
    get http://192.0.2.10/64.txt
    get 'http://[2001:db8::10]/64.txt'
}

mkdir -p "$out"
record ip netns exec $client tcpdump -i veth0 -s 0 -U --immediate-mode -w "$work/web.pcap"
web
stop
record ip netns exec $client dumpcap -q -i veth0 -n -w "$work/vlan.pcapng"
vlan
stop
record ip netns exec $client tcpdump -i any -y LINUX_SLL2 -s 0 -U --immediate-mode -w "$work/cooked.pcap"
cooked
stop

for name in web.pcap vlan.pcapng cooked.pcap; do
    tcpdump -n -r "$work/$name" > /dev/null 2>&1 || { echo "make-captures: $name was not recorded" >&2; exit 1; }
    install -m 644 "$work/$name" "$out/$name"
    echo "$out/$name: $(stat -c %s "$out/$name") bytes, $(tcpdump -n -r "$out/$name" 2> /dev/null | wc -l) packets" >&2
done
