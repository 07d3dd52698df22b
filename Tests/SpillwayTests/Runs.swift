// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import TestSupport
import Testing

/// The first packets of captures.
final class FirstPackets: PacketSource {
    private let source: CaptureSource
    private var left: Int
    private let shift: Int64

    /// - Parameter shift: Nanoseconds by which the packets come later than they were captured.
    init(_ path: String, _ count: Int, shift: Int64 = 0) throws {
        source = try CaptureSource(paths: [path])
        left = count
        self.shift = shift
    }

    override var nextTime: Int64 {
        let next = left > 0 ? source.nextTime : .max
        return next == .max ? .max : next + shift
    }

    override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        let n = source.fill(pool, indices, max: min(max, left), before: limit - shift, sequence: sequence)
        let last = n > 0 ? pool.now(indices[n - 1]) + shift : 0
        for k in 0..<n {
            let now = pool.now(indices[k])
            pool.items[Int(indices[k])].time += shift
            if pool.now(indices[k]) != now + shift { pool.enter(indices[k], at: now + shift) }
        }
        left -= n
        let own = shard == nil ? n : keepOwn(pool, indices, n)
        counters.pointee.packets += UInt64(own)
        counters.pointee.passed = UInt64(n - own)
        if n > 0 { counters.pointee.last = last }
        return own
    }

    /// Moves the packets of its share to the front.
    private func keepOwn(_ pool: Pool, _ indices: UnsafeMutablePointer<Int32>, _ n: Int) -> Int {
        let all = Array(UnsafeBufferPointer(start: indices, count: n))
        let own = all.filter { shard!.holds(pool[$0]) }
        let others = all.filter { !own.contains($0) }
        for (k, i) in (own + others).enumerated() { indices[k] = i }
        pool.giveBack(indices + own.count, count: others.count)
        return own.count
    }

    override var failure: (any Error)? { source.failure }
    override var linkTypes: [(linkType: UInt16, packets: UInt64)] { source.linkTypes }
}

/// Every wire of a graph that leads into it bound to the same capture.
struct Ends {
    var bindings: [Int: WireBinding] = [:]
    /// By the wires' names.
    var sent: [String: CollectedPackets] = [:]

    /// - Parameter apart: Nanoseconds by which the packets of each wire come later than those of the wire before.
    init(_ spec: GraphSpec, capture: String, packets: Int, apart: Int64) throws {
        var shift: Int64 = 0
        for (number, node) in spec.nodes.enumerated() where node.isWire {
            let packets =
                spec.edges.contains { $0.from == number } ? try FirstPackets(capture, packets, shift: shift) : nil
            shift += apart
            let destination = CollectedPackets()
            sent[node.name] = destination
            bindings[number] = WireBinding(source: packets, destination: destination)
        }
    }
}

/// An instance of a graph with every wire that leads into it bound to the same capture.
struct Bound {
    let instance: Instance
    let files = KeptFiles()
    /// By the wires' names.
    let sent: [String: CollectedPackets]

    /// - Parameter apart: Nanoseconds by which the packets of each wire come later than those of the wire before.
    init(
        _ spec: GraphSpec,
        capture: String,
        packets: Int = .max,
        apart: Int64 = 0,
        options: Instance.Options = .init()
    ) throws {
        let ends = try Ends(spec, capture: capture, packets: packets, apart: apart)
        sent = ends.sent
        instance = try Instance(spec, bindings: ends.bindings, services: files, options: options)
    }

    /// The names of elements whose counters do not balance, and items nobody has.
    var imbalances: [String] {
        var out = instance.spec.nodes.indices.map { instance.counts($0) }.filter { !$0.balances }.map { "\($0)" }
        if instance.lostItems != 0 { out.append("\(instance.lostItems) items lost") }
        return out
    }
}

/// A direct run of a graph.
func runDirect(
    _ spec: GraphSpec,
    capture: String,
    packets: Int = .max,
    apart: Int64 = 0,
    batch: Int
) throws -> Bound {
    var options = Instance.Options()
    options.batch = batch
    let bound = try Bound(spec, capture: capture, packets: packets, apart: apart, options: options)
    try DirectRuntime(bound.instance).run()
    return bound
}

/// A timed run of a graph, at the capture's own speed where nothing else is said, on a device that can queue everything.
func runTimed(
    _ spec: GraphSpec,
    capture: String,
    packets: Int = .max,
    apart: Int64 = 0,
    sides: [Side],
    load: Pace = .captureTime
) throws -> Bound {
    let bound = try Bound(spec, capture: capture, packets: packets, apart: apart)
    let outcome = try TimedRuntime(
        bound.instance,
        placement: sides,
        profile: try patientDevice(),
        load: load
    ).run()
    #expect(outcome.dropped == 0)
    return bound
}

/// The shipped example, with so much room that it drops nothing.
func patientDevice() throws -> DeviceProfile {
    let loader = GraphLoader(catalog: .standard, services: SystemServices(), readFile: Profiles.read)
    let (profile, diagnostics) = Profiles.load("example-nic", loader)
    var device = try #require(profile, "\(diagnostics)")
    device.nic.queue = 65_536
    device.host.queue = 65_536
    device.mac.buffer = 65_536
    device.mac.txQueue = 65_536
    device.plain.parking = 1 << 40
    device.channel.toHost.ring = 65_536
    device.channel.toNIC.ring = 65_536
    return device
}
