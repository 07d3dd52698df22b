#!/usr/bin/env python3
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
"""bench-streams.py CAPTURE [TWIN] [--rounds N] [--no-peers]

CPU time of the stream graphs on a capture of HTTP traffic (scripts/make-http-capture.sh makes one), as ratios to walking the
mapped file, and beside that tshark, tcpflow and libnids where they are there, each with what it counted. TWIN is the same
traffic reordered, repeated and overlapped: then each graph's time and counts on it follow.

Every round runs all commands once, one after another on one core; the smallest time counts, user and system, less that of a
run on an empty capture. Peers that take more than ten times as long as the graphs run in the first rounds only.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SPILLWAY = ROOT + "/.build/release/spillway"
BENCHMARKS = ROOT + "/.build/release/spillway-benchmarks"
STREAMS = """\
graph: streams
elements:
  wire:  {type: Wire}
  check: {type: IPCheck, checksum: count}
  order: {type: TCPReassembler}
chains:
  - wire.rx -> check -> FlowTable -> order.stream -> Counter -> Discard
  - order.rest -> Discard
"""


def cpu_seconds(command, output):
    """User and system time of a command, its standard output written to a file."""
    with open(output, "w") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"bench-streams: exit status {child.returncode}: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime


class Row:
    def __init__(self, name, command, count, rounds):
        self.name, self.command, self.count, self.rounds = name, command, count, rounds
        self.best, self.start = {}, float("inf")

    def measure(self, which, capture, output):
        seconds = cpu_seconds(self.command(capture), output)
        if which is None:
            self.start = min(self.start, seconds)
        else:
            self.best[which] = min(self.best.get(which, float("inf")), seconds)


def of_graph(*names):
    """Counts among the handlers of a run: connections, requests, responses, bytes; None where it has none."""

    def count(output):
        handlers = {}
        for element in json.load(open(output))["elements"]:
            handlers |= {element["name"] + "." + name: value for name, value in element["handlers"].items()}
        return [handlers.get(name) if name else None for name in names]

    return count


def of_records(records, handlers):
    """The same, requests and responses from the records of the last run."""

    def count(output):
        counts = of_graph(*handlers)(output)
        requests = responses = 0
        for line in open(records):
            record = json.loads(line)
            requests += record["method"] is not None
            responses += record["status"] is not None
        return [counts[0], requests, responses, counts[1]]

    return count


def of_tshark(output):
    streams, requests, responses, size = set(), 0, 0, 0
    for line in open(output):
        stream, method, code, length, again = line.rstrip("\n").split("\t")
        streams.add(stream)
        requests += len(method.split(",")) if method else 0
        responses += len(code.split(",")) if code else 0
        size += int(length or 0) if not again else 0
    streams.discard("")
    return [len(streams), requests, responses, size]


def of_tcpflow(directory):
    def count(_):
        pairs, requests, responses, size = set(), 0, 0, 0
        for name in os.listdir(directory):
            if name == "report.xml":
                continue
            data = open(f"{directory}/{name}", "rb").read()
            size += len(data)
            ends = name.split("c")[0]
            number = name[len(ends):]
            pairs.add((tuple(sorted(ends.split("-"))), number))
            if data.startswith(b"HTTP/"):
                responses += data.count(b"HTTP/1.1 200 OK\r\n")
            else:
                requests += data.count(b"GET /")
        return [len(pairs), requests, responses, size]

    return count


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("capture")
    parser.add_argument("twin", nargs="?")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    for tool in (SPILLWAY, BENCHMARKS):
        if not os.path.exists(tool):
            sys.exit(f"bench-streams: {os.path.relpath(tool)} is missing: swift build -c release")
    scratch = tempfile.mkdtemp()
    try:
        measure(options, scratch)
    finally:
        shutil.rmtree(scratch)


def measure(options, scratch):
    def path(name):
        return f"{scratch}/{name}"

    open(path("streams.yaml"), "w").write(STREAMS)
    patterns = subprocess.run([ROOT + "/scripts/make-patterns.py", "1000"], check=True, capture_output=True).stdout
    open(path("patterns"), "wb").write(patterns)
    head = open(options.capture, "rb").read(24)
    open(path("empty.pcap"), "wb").write(head)

    def run(graph, *settings):
        words = [word for setting in settings for word in ("--set", setting)]
        return lambda capture: [SPILLWAY, "run", graph, "--wire", "wire=" + capture, "--format", "json", *words]

    records = path("records.jsonl")
    waf = [ROOT + "/graphs/waf.yaml", "records=/dev/null", "action=count", "file=" + path("patterns")]
    order = ("order.connections", None, None, "order.stream_bytes")
    rows = [
        Row("walk", lambda capture: [BENCHMARKS, "work", "walk", capture], None, options.rounds),
        Row("streams in order", run(path("streams.yaml")), of_graph(*order), options.rounds),
        Row("http-log", run(ROOT + "/graphs/http-log.yaml", "records=" + records),
            of_records(records, (order[0], order[3])), options.rounds),
        Row("waf, 1000 patterns, requests", run(*waf), of_graph(*order), options.rounds),
        Row("waf, 1000 patterns, both directions", run(*waf, "direction=both"), of_graph(*order), options.rounds),
    ]
    peers = []
    if not options.no_peers:
        if shutil.which("cc"):
            build = ["cc", "-O2", "-o", path("nids"), ROOT + "/scripts/peers/nids-count.c"]
            libraries = ["-lnids", "-lpcap"]
            if subprocess.run(build + libraries, stderr=subprocess.DEVNULL).returncode == 0:
                peers.append(Row("libnids, heads counted", lambda capture: [path("nids"), capture],
                                 lambda output: list(map(int, open(output).read().split())), options.rounds))
        if shutil.which("tcpflow"):
            directory = path("tcpflow")

            def tcpflow(capture):
                shutil.rmtree(directory, ignore_errors=True)
                return ["tcpflow", "-q", "-r", capture, "-o", directory, "-T", "%A.%a-%B.%bc%#"]

            peers.append(Row("tcpflow, files written", tcpflow, of_tcpflow(directory), min(2, options.rounds)))
        if shutil.which("tshark"):
            fields = ("tcp.stream", "http.request.method", "http.response.code", "tcp.len", "tcp.analysis.retransmission")
            words = [word for field in fields for word in ("-e", field)]
            peers.append(Row("tshark, fields printed",
                             lambda capture: ["tshark", "-n", "-r", capture, "-T", "fields", *words], of_tshark, 1))
    rows += peers
    for round in range(options.rounds):
        for row in rows:
            if round >= row.rounds:
                continue
            # The twin first: what a command leaves behind is then of the capture.
            for which, capture in (("twin", options.twin), ("capture", options.capture)):
                if capture:
                    row.measure(which, capture, path("output"))
                    if round == 0:
                        row.counts = getattr(row, "counts", {})
                        row.counts[which] = row.count(path("output")) if row.count else None
            row.measure(None, path("empty.pcap"), path("output"))
        print(f"round {round + 1} of {options.rounds}", file=sys.stderr)

    packets = int(subprocess.run(["capinfos", "-Mrc", options.capture], capture_output=True, text=True).stdout.split()[-1]) \
        if shutil.which("capinfos") else 0
    floor = rows[0].best["capture"] - rows[0].start
    print(f"{packets} packets, {os.path.getsize(options.capture)} bytes\n")
    print("| What | CPU s | ratio to walk | rounds | connections | requests | responses | stream bytes |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for which in ("capture", "twin"):
        for row in rows:
            if which not in row.best:
                continue
            seconds = row.best[which] - row.start
            counts = row.counts[which] or [None] * 4
            cells = [row.name + (" (twin)" if which == "twin" else ""), f"{seconds:.3f}", f"{seconds / floor:.2f}", row.rounds]
            print("| " + " | ".join(map(str, cells + ["" if c is None else c for c in counts])) + " |")
    if options.twin:
        print("\n| What | time on the twin to its own time |\n| --- | ---: |")
        for row in rows[1:]:
            print(f"| {row.name} | {(row.best['twin'] - row.start) / (row.best['capture'] - row.start):.2f} |")


main()
