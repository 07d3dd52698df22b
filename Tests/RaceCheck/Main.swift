// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import Dataplane
import GraphFile

/// Runs graphs on several threads, for ThreadSanitizer to watch (scripts/race-check.sh): both sides of each placement, and equal threads
/// that share a capture, with their counters read now and then.
///
/// usage: race-check CAPTURE GRAPH...
@main enum RaceCheck {
    static func main() throws {
        let capture = CommandLine.arguments[1]
        for path in CommandLine.arguments[2...] {
            let services = SystemServices()
            let loader = GraphLoader(catalog: .standard, services: services) {
                try services.readFile($0, most: GraphLoader.longestFile)
            }
            guard let spec = loader.loadGraph(path).graph else { throw Failure(description: "\(path) is no graph") }
            // Not every placement can be split, and not every graph shared.
            let splits = spec.placements.map { try? Cut(spec, placement: $0.sides, named: $0.name) }
            let shares = (2...3).map { try? Cut(spec, threads: $0) }
            for cut in splits.compactMap({ $0 }) { try run(spec, cut, capture, ring: 64) }
            for cut in shares.compactMap({ $0 }) { try run(spec, cut, capture, ring: 1024) }
        }
    }

    private struct Failure: Error, CustomStringConvertible { var description: String }

    private static func run(_ spec: GraphSpec, _ cut: Cut, _ capture: String, ring: Int) throws {
        let bindings = try (0..<cut.copies).map { copy in
            let wires = spec.nodes.indices.filter { spec.nodes[$0].isWire }
            return try Dictionary(
                uniqueKeysWithValues: wires.map { number in
                    let source = try CaptureSource(paths: [capture])
                    if let divides = cut.divides {
                        source.shard = Shard(number: copy, of: cut.copies, by: divides, seed: 1)
                    }
                    return (number, WireBinding(source: source))
                }
            )
        }
        let runtime = try SplitRuntime(spec, cut, bindings: bindings, services: Nowhere(), ring: { _ in ring })
        for instance in runtime.instances { try instance.open() }
        var balances = true
        func look() {
            balances = balances && runtime.lostItems == 0
            balances = balances && spec.nodes.indices.allSatisfy { runtime.counts($0).balances }
        }
        runtime.shouldStop = {
            runtime.whileAtRest(look)
            runtime.sync()
            return false
        }
        try runtime.run()
        look()
        print("\(spec.name): \(cut.about), \(balances ? "balances" : "does not balance")")
        if !balances { throw Failure(description: "\(spec.name) does not balance") }
    }
}

/// Throws away what elements write.
private struct Nowhere: Services {
    private let system = SystemServices()

    private final class Sink: ByteSink {
        func write(_: UnsafeRawBufferPointer) {}
        func flush() {}
    }

    func openSink(_: String) -> any ByteSink { Sink() }

    func readFile(_ name: String, most: Int) throws -> [UInt8] { try system.readFile(name, most: most) }

    func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? {
        try system.compileFilter(filter, linkType: linkType)
    }
}
