// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// What may go wrong only after a while: for as long as `SPILLWAY_SOAK` says, in minutes of traffic and hundreds of interrupts; without it a
/// slice of that.
@Suite(.enabled(if: Lab.isPossible), .serialized) struct LongTests {
    private static let minutes = ProcessInfo.processInfo.environment["SPILLWAY_SOAK"].flatMap { Int($0) }

    /// Mixed traffic over a bridge: what comes in on one side leaves on the other, to the packet, and memory stays as it is.
    @Test(arguments: [1, 2]) func aBridgeStaysAsItIs(_ threads: Int) throws {
        let lab = try Lab()
        try lab.write(BridgeTests.bridge, to: "bridge.yaml")
        let seconds = Self.minutes.map { 60 * $0 } ?? 4
        try lab.run(
            """
            begin \(2 + 2 * threads) spillway run bridge.yaml --threads \(threads) --wire left=if:m0 --wire right=if:m1 --format json
            await a ping -q -c 1 -W 1 10.77.0.2
            mkdir served; for n in 1 100000 5000000; do head -c $n /dev/urandom > served/$n; done
            serve --directory served
            memory() { awk '/VmRSS/ {print $2}' /proc/$runner/status; }
            load() {
                end=$(($(date +%s) + $1))
                while [ $(date +%s) -lt $end ]; do
                    a ping -q -c 50 -i 0.002 -s 1000 10.77.0.2 > pings
                    a ping -q -c 20 -i 0.002 -s 1452 fd77::2 > pings6
                    for n in 1 100000 5000000; do a curl -s -m 60 -o got http://10.77.0.2:8000/$n; cmp got served/$n; done
                    a curl -s -m 60 -g -o got "http://[fd77::2]:8000/5000000"; cmp got served/5000000
                done
            }
            load 2
            memory > before
            load \(seconds)
            memory > after
            kill $server; sleep 1
            end INT
            """
        )
        let report = try JSONSerialization.jsonObject(with: lab.bytes("out")) as! [String: Any]
        let wires = report["wires"] as! [[String: Any]]
        #expect(report["balances"] as? Bool == true)
        #expect(wires[0]["packets_in"] as? Int == wires[1]["packets_out"] as? Int)
        #expect(wires[1]["packets_in"] as? Int == wires[0]["packets_out"] as? Int)
        #expect(try !lab.text("err").contains("kernel dropped"))
        func kilobytes(_ file: String) throws -> Int {
            try #require(Int(lab.text(file).trimmingCharacters(in: .whitespacesAndNewlines)))
        }
        // Pages that were never used before may still be touched: a pool is used from one end.
        #expect(try kilobytes("after") < kilobytes("before") + 8192, "\(threads) threads")
    }

    /// TCP both ways, over both versions of IP, and datagrams, as fast as they go: for a minute in all, if longer than a slice.
    @Test(.enabled(if: Program.isThere("iperf3")), arguments: ["on", "off"]) func iperfRuns(_ offloads: String) throws {
        let lab = try Lab()
        try lab.write(BridgeTests.bridge, to: "bridge.yaml")
        let seconds = Self.minutes == nil ? 1 : 15
        try lab.run(
            """
            for n in "$A a0" "$B b0" "$M m0" "$M m1"; do set -- $n
                ip netns exec $1 ethtool -K $2 tso \(offloads) gso \(offloads) gro \(offloads) tx \(offloads) > ethtool 2>&1 || true
            done
            begin 4 spillway run bridge.yaml --wire left=if:m0 --wire right=if:m1 --format json
            (exec ip netns exec $B iperf3 -s > served 2>&1) & server=$!
            await a iperf3 -c 10.77.0.2 -n 1K
            measure() { a iperf3 -t \(seconds) -J "$@" | python3 -c \
                'import json, sys; end = json.load(sys.stdin)["end"]; print(end.get("sum_received", end.get("sum"))["bytes"])'; }
            for way in "-c 10.77.0.2" "-c 10.77.0.2 -R" "-c fd77::2" "-c 10.77.0.2 -u -b 50M"; do measure $way >> bytes; done
            kill $server; sleep 0.5
            end INT
            """
        )
        let bytes = try lab.text("bytes").split(separator: "\n").compactMap { Int($0) }
        #expect(bytes.count == 4 && bytes.allSatisfy { $0 > 1_000_000 * seconds }, "\(bytes)")
        let report = try JSONSerialization.jsonObject(with: lab.bytes("out")) as! [String: Any]
        let wires = report["wires"] as! [[String: Any]]
        #expect(report["balances"] as? Bool == true)
        #expect(wires[0]["packets_in"] as? Int == wires[1]["packets_out"] as? Int)
        #expect(wires[1]["packets_in"] as? Int == wires[0]["packets_out"] as? Int)
        #expect(try lab.text("status") == "0\n")
    }

    /// However short it ran, an interrupt gives a report in which every counter balances.
    @Test func anInterruptAtAnyMomentGivesAReport() throws {
        let lab = try Lab()
        try lab.write(BridgeTests.bridge, to: "bridge.yaml")
        let times = Self.minutes.map { 100 * $0 } ?? 8
        try lab.run(
            """
            (while a ping -q -f -c 2000 -w 2 10.77.0.2; do true; done > pings 2>&1 || true) &
            for n in $(seq \(times)); do
                threads=$((1 + n % 2))
                begin $((2 + 2 * threads)) spillway run bridge.yaml --threads $threads --wire left=if:m0 --wire right=if:m1 --format json
                sleep 0.$(printf %03d $((RANDOM % 300)))
                case $((n % 3)) in 0) end INT ;; *) end TERM ;; esac
                cat status >> statuses; cat out >> reports
            done
            """
        )
        #expect(try lab.text("statuses") == String(repeating: "0\n", count: times))
        #expect(try lab.count("\"balances\": true", in: "reports") == times)
        #expect(try lab.count("\"interrupted\": true", in: "reports") == times)
    }
}
