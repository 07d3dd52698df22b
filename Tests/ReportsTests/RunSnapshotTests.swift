// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Reports
import Testing

/// Snapshots of runs, as JSON and by name.
@Suite struct RunSnapshotTests {
    /// One of a run in which something of everything has happened.
    static func sample(after seconds: UInt64) -> RunSnapshot {
        let began: Int64 = 1_700_000_000_000_000_000
        var run = RunSnapshot(graph: "web", process: 12, began: began, time: began + Int64(seconds) * 1_000_000_000)
        run.functionalTime = began + 5
        run.poolFree = 900
        run.poolCapacity = 1000
        run.poolShortages = seconds
        run.backwards = 3
        run.elements = [
            ElementCounts(
                name: "wire",
                type: "Wire",
                entered: 0,
                made: 1000 * seconds,
                left: 1000 * seconds,
                used: 0,
                held: 0,
                drops: [("no_items", 0)],
                operations: [],
                handlers: [("packets_out", 0)]
            ),
            ElementCounts(
                name: "guard/sort",
                type: "Classifier",
                entered: 1000 * seconds,
                made: 0,
                left: 990 * seconds,
                used: 0,
                held: 2,
                drops: [("no_rule", 10 * seconds), ("odd", 0)],
                operations: [(.parse, 1000 * seconds), (.test, 0)],
                handlers: [("low", -4)]
            ),
        ]
        run.wires = [
            RunSnapshot.Wire(
                counts: WireCounts(
                    name: "wire",
                    packetsIn: 1000 * seconds,
                    bytesIn: 100_000 * seconds,
                    packetsOut: 0,
                    bytesOut: .max
                ),
                interface: RunReport.Interface(kernelDrops: 7 * seconds, outages: 1)
            )
        ]
        run.edges = [
            RunSnapshot.Edge(name: "wire.rx", items: 1000 * seconds),
            RunSnapshot.Edge(name: "guard/sort.web", items: 990 * seconds),
            RunSnapshot.Edge(name: "guard/sort.rest", items: 0),
        ]
        return run
    }

    @Test func comesBackFromJSON() throws {
        let run = Self.sample(after: 2)
        let json = try #require(JSON(run.json.line))
        let again = try #require(RunSnapshot(json))
        #expect(again.json.text == run.json.text)
        #expect(again.wires[0].counts.bytesOut == .max)
        #expect(again.elements[1].handlers[0].value == -4)
    }

    @Test(arguments: ["[]", "1", "{}", #"{"graph": 1, "process": 2, "time": 3}"#, #"{"graph": "x", "process": -1e9}"#])
    func whatIsNoSnapshotIsNone(_ text: String) throws {
        #expect(RunSnapshot(try #require(JSON(text))) == nil)
    }

    /// Another version may know other things.
    @Test func whatIsMissingIsNothing() throws {
        let text = #"{"graph": "x", "process": 2, "time": 3, "new": [1]}"#
        let run = try #require(JSON(text).flatMap(RunSnapshot.init))
        #expect(run.elements.isEmpty && run.began == 3 && run.poolCapacity == 0)
    }

    @Test func valuesHaveTheNamesOfReports() {
        let run = Self.sample(after: 2)
        func text(_ name: String) -> String? {
            let (values, json) = run.values(named: name)
            return values.count == 1 && values[0].name == name ? json.line : nil
        }
        #expect(text("guard/sort.in") == "2000")
        #expect(text("guard/sort.drops.odd") == "0")
        #expect(text("guard/sort.low") == "-4")
        #expect(text("guard/sort.operations.parse") == "2000")
        #expect(text("guard/sort.outputs.web") == "1980")
        #expect(text("wire.packets_in") == "2000")
        #expect(text("wire.bytes_out") == String(UInt64.max))
        #expect(text("wire.kernel_drops") == "14")
        #expect(text("pool.free") == "900")
        #expect(text("graph") == "\"web\"")
        #expect(run.values(named: "guard/sort.drops").json.line == #"{"no_rule": 20, "odd": 0}"#)
        #expect(run.values(named: "guard/sort").json["drops"]?.line == #"{"no_rule": 20, "odd": 0}"#)
        #expect(run.values(named: "pool").values.map(\.name) == ["pool.free", "pool.capacity", "pool.shortages"])
        for unknown in ["guard", "sort", "wire.", "", "guard/sort.inn"] {
            #expect(run.values(named: unknown).values.isEmpty, "\(unknown)")
        }
        let names = run.values.map(\.name)
        #expect(Set(names).count == names.count)
    }
}
