#!/usr/bin/env python3
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# Writes what independent programs find in the captures of Examples/captures to Examples/captures/oracle/NAME.json, for
# tests to compare with: capinfos counts packets, tcpdump runs filters, tshark joins streams, reads HTTP and TLS and
# joins fragments. Needs capinfos, tcpdump and tshark (Debian: tshark, tcpdump).
#
# usage: scripts/make-oracles.py [NAME...]
import collections
import hashlib
import json
import os
import subprocess
import sys

directory = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Examples", "captures")
names = sys.argv[1:] or ["web.pcap", "vlan.pcapng", "cooked.pcap"]
filters = [
    "ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "tcp port 80", "tcp src port 80", "tcp portrange 443-5000",
    "udp port 53", "src host 192.0.2.1", "dst net 192.0.2.0/28", "ip6 host 2001:db8::10", "greater 1000", "less 60",
    "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn", "tcp[tcpflags] & tcp-rst != 0", "ip[6:2] & 0x3fff != 0",
    "ip[2:2] > 576 and not tcp", "tcp[20:4] = 0x47455420 or tcp[32:4] = 0x47455420", "icmp[icmptype] = icmp-unreach",
    "vlan", "vlan 5", "vlan 100 and vlan 7", "vlan and tcp", "ip proto 17 or (ip6 and udp and port 53)",
]


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def fields(path, *names, where=""):
    """For each packet the first value of each field."""
    command = ["tshark", "-n", "-r", path, "-T", "fields", "-E", "occurrence=f"]
    if where:
        command += ["-Y", where]
    for name in names:
        command += ["-e", name]
    return [line.split("\t") for line in run(*command).splitlines()]


def count(path, filter):
    """How many packets a filter takes; None where tcpdump refuses it for the link type."""
    result = subprocess.run(["tcpdump", "-n", "-r", path, filter], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return len(result.stdout.splitlines()) if result.returncode == 0 else None


def streams(path):
    """Every direction with bytes: who sent them, how many they are, and their digest."""
    ends = {}
    for stream, v4, v6, port in fields(path, "tcp.stream", "ip.src", "ipv6.src", "tcp.srcport", where="tcp"):
        ends.setdefault(int(stream), []).append((v4 or v6, int(port)))
    command = ["tshark", "-n", "-q", "-r", path]
    for stream in sorted(ends):
        command += ["-z", f"follow,tcp,raw,{stream}"]
    found = []
    for block in run(*command).split("Follow: tcp,raw\n")[1:]:
        lines = block.splitlines()
        stream = int(lines[0].split()[-1])
        nodes = []
        for line in lines[1:3]:
            host, port = line.split(": ", 1)[1].rsplit(":", 1)
            nodes.append((host.strip("[]"), int(port)))
        data = [bytearray(), bytearray()]
        for line in lines[3:]:
            text = line.strip()
            if text and not text.startswith("="):
                data[1 if line.startswith("\t") else 0] += bytes.fromhex(text)
        for (host, port), bytes_ in zip(nodes, data):
            if bytes_:
                digest = hashlib.sha256(bytes_).hexdigest()[:16]
                found.append({"src": host, "sport": port, "bytes": len(bytes_), "sha256": digest})
    return found


for name in names:
    path = os.path.normpath(os.path.join(directory, name))
    facts = run("capinfos", "-TmQ", "-rcdaeS", path).strip().split('","')
    http = fields(
        path, "http.request.method", "http.request.uri", "http.host", "http.response.code", "http.content_length",
        where="http.request or http.response",
    )
    requests = collections.Counter(" ".join(row[:3]) for row in http if row[0])
    responses = collections.Counter(row[3] for row in http if row[3])
    joined = [row[0] or row[1] for row in fields(path, "ip.reassembled.length", "ipv6.reassembled.length")]
    oracle = {
        "capture": name,
        "packets": int(facts[1]),
        "bytes": int(facts[2]),
        "filters": {filter: count(path, filter) for filter in filters},
        "streams": sorted(streams(path), key=lambda s: (s["src"], s["sport"])),
        "requests": dict(sorted(requests.items())),
        "responses": dict(sorted(responses.items())),
        "server_names": sorted(
            row[0] for row in fields(path, "tls.handshake.extensions_server_name", where="tls.handshake.type == 1") if row[0]
        ),
        "joined_packets": sorted(int(length) for length in joined if length),
    }
    text = json.dumps(oracle, indent=1).replace("{\n   ", "{").replace(",\n   ", ", ").replace("\n  }", "}")
    os.makedirs(os.path.join(directory, "oracle"), exist_ok=True)
    with open(os.path.join(directory, "oracle", name + ".json"), "w") as file:
        file.write(text + "\n")
    print(f"{name}: {oracle['packets']} packets, {len(oracle['streams'])} streams", file=sys.stderr)
