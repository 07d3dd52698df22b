// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import Synchronization
import TestSupport
import Testing

/// Every shipped graph, as it is set without a word from its user, over captures of every kind: a run ends, as well or with an
/// error of the capture, and every element balances.
@Suite struct CollectionTests {
    /// The captures of other projects, but for the largest: they take most of the time and are much like others.
    static let captures: [String] = {
        guard Shared.isThere else { return [] }
        let directory = Shared.captures
        let names = try! FileManager.default.contentsOfDirectory(atPath: directory)
        return names.sorted().map { "\(directory)/\($0)" }.filter { path in
            let facts = try? FileManager.default.attributesOfItem(atPath: path)
            return facts?[.type] as? FileAttributeType == .typeRegular && (facts?[.size] as? Int ?? 0) <= 256 << 10
        }
    }()

    @Test(.enabled(if: Shared.isThere), arguments: shippedGraphs)
    func everyGraphEndsOnEveryCapture(_ name: String) throws {
        let spec = try shippedGraph(name)
        #expect(Self.captures.count > 500)
        for capture in Self.captures where !ends(spec, capture) { break }
    }

    /// Stamps at the end of the time that can be said: nothing may be due behind them, so a time-out must not wait for it.
    @Test(arguments: shippedGraphs)
    func aCaptureThatEndsWithTimeEnds(_ name: String) throws {
        let scratch = Scratch()
        defer { scratch.remove() }
        let packets = try ["S seq=1", "A seq=2", "A seq=3"].map {
            try PacketText.frame("10.0.0.1:1 > 10.0.0.2:2 \($0)")
        }
        let times: [UInt64] = [0, .max / 2 - 1_000_000_000, .max]
        let path = try scratch.file("late.pcapng", pcapng(zip(times, packets).map { ($0, $1.bytes) }))
        let settings = name == "flow-monitor" ? [(key: "idle", value: "300 s")] : []
        // Batches of one, so that timers are looked at before each packet.
        _ = ends(try shippedGraph(name, settings), path, batch: 1)
    }

    /// A capture in memory, its times in nanoseconds.
    private func pcapng(_ packets: [(time: UInt64, bytes: [UInt8])]) -> [UInt8] {
        func number(_ n: UInt32) -> [UInt8] { withUnsafeBytes(of: n.littleEndian) { Array($0) } }
        func block(_ type: UInt32, _ body: [UInt8]) -> [UInt8] {
            let body = body + Array(repeating: 0, count: -body.count & 3)
            let length = number(UInt32(body.count + 12))
            return number(type) + length + body + length
        }
        let version = number(1) + Array(repeating: 0xff, count: 8)
        // Ethernet, no limit; option 9 with 9 says that times are in nanoseconds.
        let interface = number(1) + number(0) + [9, 0, 1, 0, 9, 0, 0, 0] + number(0)
        return block(PcapngBlock.section, number(PcapngBlock.byteOrderMagic) + version)
            + block(PcapngBlock.interface, interface)
            + packets.flatMap { time, bytes in
                let stamp = number(UInt32(time >> 32)) + number(UInt32(truncatingIfNeeded: time))
                let length = number(UInt32(bytes.count))
                return block(PcapngBlock.enhancedPacket, number(0) + stamp + length + length + bytes)
            }
    }

    /// Whether a run ends; what is wrong with it otherwise is recorded.
    private func ends(_ spec: GraphSpec, _ capture: String, batch: Int = 64) -> Bool {
        let problems = Mutex<[String]>([])
        let ended = DispatchSemaphore(value: 0)
        // On a thread of its own, so that one that does not end can be told.
        Thread.detachNewThread {
            let found = Self.problems(spec, capture, batch)
            problems.withLock { $0 = found }
            ended.signal()
        }
        guard ended.wait(timeout: .now() + 60) == .success else {
            Issue.record("\(spec.name) does not end on \(capture)")
            return false
        }
        for problem in problems.withLock({ $0 }) { Issue.record("\(spec.name) on \(capture): \(problem)") }
        return true
    }

    private static func problems(_ spec: GraphSpec, _ capture: String, _ batch: Int) -> [String] {
        do {
            var bindings: [Int: WireBinding] = [:]
            for (number, node) in spec.nodes.enumerated() where node.isWire {
                let isRead = spec.edges.contains { $0.from == number }
                bindings[number] = WireBinding(source: isRead ? try CaptureSource(paths: [capture]) : nil)
            }
            var options = Instance.Options()
            options.batch = batch
            let instance = try Instance(spec, bindings: bindings, services: MemoryServices(), options: options)
            try DirectRuntime(instance).run()
            var found = spec.nodes.indices.map { instance.counts($0) }.filter { !$0.balances }.map { "\($0)" }
            if instance.lostItems != 0 { found.append("\(instance.lostItems) items lost") }
            for case let failure? in bindings.values.map({ $0.source?.failure }) where !(failure is CaptureError) {
                found.append("\(failure)")
            }
            return found
        } catch {
            // A file that is no capture at all.
            return error is CaptureError ? [] : ["\(error)"]
        }
    }
}
