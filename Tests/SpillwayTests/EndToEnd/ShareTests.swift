// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import TestSupport
import Testing

/// Equal threads that share the packets do together what one does: the same packets and records, each flow's in the same order, and the
/// same counters.
@Suite struct ShareTests {
    @Test(arguments: shippedGraphs, ["web.pcap", "vlan.pcapng", "cooked.pcap"])
    func shippedGraphsDoTheSame(_ name: String, _ capture: String) throws {
        let spec = try shippedGraph(name)
        let path = shippedCapture(capture)
        let one = try runDirect(spec, capture: path, packets: 1_200, apart: 77, batch: 64)
        for (threads, ring, batch) in [(2, 1024, 64), (3, 64, 7)] {
            let what = "\(name), \(capture), \(threads) threads"
            let cut: Cut
            do { cut = try Cut(spec, threads: threads) } catch {
                // Only a graph that begins with what cannot be divided.
                let first = spec.edges.filter { spec.nodes[$0.from].isWire }.map { spec.nodes[$0.to].type.divides }
                #expect(first.allSatisfy { $0 == .never }, "\(what): \(error)")
                return
            }
            let ends = try (0..<threads).map { _ in try Ends(spec, capture: path, packets: 1_200, apart: 77) }
            let bindings = ends.indices.map { number in
                ends[number].bindings.mapValues { binding in
                    binding.source?.shard = Shard(number: number, of: threads, by: cut.divides!, seed: 7)
                    return WireBinding(source: binding.source, destination: number == 0 ? binding.destination : nil)
                }
            }
            let files = KeptFiles()
            var options = Instance.Options()
            options.batch = batch
            let shared = try SplitRuntime(
                spec,
                cut,
                bindings: bindings,
                services: files,
                options: options,
                ring: { _ in ring }
            )
            try shared.run()
            let counts = spec.nodes.indices.map { shared.counts($0) }
            #expect(counts.filter { !$0.balances }.map(\.name) == [], "\(what)")
            #expect(shared.lostItems == 0, "\(what)")
            let expected = spec.nodes.indices.map { one.instance.counts($0) }
            for (a, b) in zip(counts, expected) { #expect(ShareTests.text(a) == ShareTests.text(b), "\(what)") }
            for (wire, packets) in one.sent {
                #expect(
                    ShareTests.sorted(ends[0].sent[wire]!) == ShareTests.sorted(packets),
                    "\(what), wire \(wire)"
                )
            }
            #expect(files.contents.keys.sorted() == one.files.contents.keys.sorted(), "\(what)")
            for (file, bytes) in one.files.contents {
                let other = files.contents[file] ?? []
                if bytes.contains(0) {
                    #expect(other.count == bytes.count, "\(what), \(file)")
                } else {
                    #expect(ShareTests.lines(other) == ShareTests.lines(bytes), "\(what), \(file)")
                }
            }
        }
    }

    /// Both directions of a flow, and all its fragments if hosts stay together, belong to one share; together the shares are all packets.
    @Test(arguments: ["web.pcap", "vlan.pcapng", "cooked.pcap"], [Divides.flows, .hosts])
    func sharesAreWhole(_ capture: String, _ divides: Divides) throws {
        let path = shippedCapture(capture)
        let all = try CaptureSource(paths: [path])
        let whole = try ShareTests.packets(of: all)
        var owner: [FlowKey: Int] = [:]
        var seen = Set<UInt64>()
        for number in 0..<4 {
            let source = try CaptureSource(paths: [path])
            source.shard = Shard(number: number, of: 4, by: divides, seed: 3)
            let packets = try ShareTests.packets(of: source)
            #expect(source.packets == UInt64(packets.count))
            #expect(source.packets + source.counters.pointee.others == all.packets)
            #expect(source.bytes + source.counters.pointee.otherBytes == all.bytes)
            #expect(source.span == all.span)
            for (sequence, key) in packets {
                #expect(seen.insert(sequence).inserted, "packet \(sequence) twice")
                guard let key = divides == .hosts ? key?.hosts : key else { continue }
                #expect(owner[key, default: number] == number)
                owner[key] = number
            }
        }
        #expect(seen == Set(whole.map(\.sequence)))
        if capture == "web.pcap" { #expect(Set(owner.values).count > 1) }
    }

    private static func packets(of source: PacketSource) throws -> [(sequence: UInt64, key: FlowKey?)] {
        let pool = try Pool(capacity: 4096)
        let indices = UnsafeMutablePointer<Int32>.allocate(capacity: 4096)
        defer { indices.deallocate() }
        var out: [(sequence: UInt64, key: FlowKey?)] = []
        var next: UInt64 = 0
        while case .ready = source.poll() {
            let n = source.fill(pool, indices, max: 64, before: .max, sequence: next)
            for k in 0..<n {
                let p = pool[indices[k]]
                out.append((p.sequence, Headers.locate(p) == .ip && FlowKey.isComplete(p) ? FlowKey.of(p).key : nil))
            }
            next = source.packets + source.counters.pointee.others
            pool.giveBack(indices, count: n)
        }
        return out
    }

    /// What an element counted. Numbers of connections, which differ, take other room as text, and each thread has timers of its own.
    private static func text(_ c: ElementCounts) -> String {
        let apart: Set<Dataplane.Operation> = [.copyBytes, .textBytes, .timer]
        let operations = c.operations.filter { !apart.contains($0.operation) }.map { "\($0.operation) \($0.count)" }
        let drops = c.drops.map { "\($0.reason) \($0.count)" }.sorted()
        return "\(c.name) in=\(c.entered) made=\(c.made) out=\(c.left) used=\(c.used) held=\(c.held) \(drops) "
            + "\(operations.sorted()) \(c.handlers.filter { $0.name != "bytes" })"
    }

    private static func sorted(_ packets: CollectedPackets) -> [[UInt8]] {
        packets.packets.map { bytes, item in withUnsafeBytes(of: item.time.bigEndian) { Array($0) } + bytes }.sorted {
            $0.lexicographicallyPrecedes($1)
        }
    }

    /// The lines of records, without the numbers that connections have.
    private static func lines(_ bytes: [UInt8]) -> [String] {
        String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { line in
            String(line).replacing(/"stream":\d+/, with: #""stream":0"#).replacing(/^\d+,/, with: "0,")
        }.sorted()
    }
}
