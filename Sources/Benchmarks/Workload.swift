// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Spillway

/// A workload to measure: processing done on every packet of a capture.
struct Workload: Sendable {
    /// The name on the command line.
    let name: String
    /// The name in tables.
    let about: String
    /// Processes a capture from beginning to end.
    let run: @Sendable (_ capture: String) throws -> Void

    static let all: [Workload] = [
        Workload(name: "walk", about: "floor: walk the mapped file") { _ = try walk($0) },
        Workload(name: "read", about: "read, count, discard", chains: "wire.rx -> Counter -> Discard"),
        Workload(
            name: "classify",
            about: "check, classify in 4, count, discard",
            elements: """
                sort:
                    type: Classifier
                    rules: {requests: tcp dst port 80, answers: tcp src port 80, datagrams: udp}
                """,
            chains: "wire.rx -> IPCheck -> sort",
            "sort.requests -> Counter -> Discard",
            "sort.answers -> Counter -> Discard",
            "sort.datagrams -> Counter -> Discard",
            "sort.other -> Counter -> Discard"
        ),
        Workload(
            name: "flows",
            about: "check, follow flows, count, discard",
            chains: "wire.rx -> IPCheck -> FlowTable -> Counter -> Discard"
        ),
        Workload(name: "monitor", about: "flow monitor, records written", text: monitor),
        Workload(name: "timed", about: "flow monitor in the timed runtime, flows on the NIC") { capture in
            let instance = try instance(monitor, capture)
            let loader = GraphLoader(catalog: Catalog.standard, services: SystemServices(), readFile: Profiles.read)
            guard let profile = Profiles.load("agilio-cx", loader).profile else {
                throw BenchmarkError("the profile agilio-cx is not right")
            }
            let onNIC = ["wire", "check", "FlowTable@1"]
            let sides = instance.spec.nodes.map { onNIC.contains($0.name) ? Side.nic : .host }
            let runtime = try TimedRuntime(instance, placement: sides, profile: profile, load: .captureTime)
            _ = try runtime.run()
        },
    ]

    static func named(_ name: String) -> Workload? { all.first { $0.name == name } }

    /// The graph of graphs/flow-monitor.yaml without its look into tunnels, and its records discarded.
    private static let monitor = """
        graph: monitor
        elements:
          wire: {type: Wire}
          check: {type: IPCheck, checksum: count}
          metadata: {type: MetadataExtractor, per: flow}
          sink: {type: RecordSink, file: /dev/null}
        chains:
          - wire.rx -> check -> FlowTable -> metadata.records -> Coalescer -> sink
        """

    private init(name: String, about: String, run: @escaping @Sendable (String) throws -> Void) {
        self.name = name
        self.about = about
        self.run = run
    }

    private init(name: String, about: String, elements: String = "", chains: String...) {
        let chains = chains.map { "  - \($0)\n" }.joined()
        let text = "graph: \(name)\nelements:\n  wire: {type: Wire}\n  \(elements)\nchains:\n\(chains)"
        self.init(name: name, about: about, text: text)
    }

    private init(name: String, about: String, text: String) {
        self.init(name: name, about: about) { capture in
            let instance = try Workload.instance(text, capture)
            try DirectRuntime(instance).run()
            if instance.lostItems != 0 { throw BenchmarkError("\(name) lost items") }
            // Dropped packets are not measured: such a number would look good.
            let counts = instance.spec.nodes.indices.map { instance.counts($0) }
            if let drop = counts.flatMap(\.drops).first {
                throw BenchmarkError("\(name) dropped \(drop.count) packets: \(drop.reason)")
            }
        }
    }

    /// A graph given as text, ready to read `capture`.
    private static func instance(_ text: String, _ capture: String) throws -> Instance {
        let services = SystemServices()
        let loader = GraphLoader(catalog: Catalog.standard, services: services) { _ in Array(text.utf8) }
        let loaded = loader.loadGraph("workload.yaml")
        guard let graph = loaded.graph else {
            throw BenchmarkError(loaded.diagnostics.map(\.rendered).joined(separator: "\n"))
        }
        let wire = graph.nodes.firstIndex { $0.isWire }!
        let bindings = [wire: WireBinding(source: try CaptureSource(paths: [capture]))]
        return try Instance(graph, bindings: bindings, services: loader.services)
    }

    /// The number of packets in a pcap file of this machine's byte order.
    static func packets(in path: String) throws -> Int { try walk(path).packets }

    /// The minimum work: reads each record's header and one word of the Ethernet, IPv4 and port fields.
    @inline(never)
    static func walk(_ path: String) throws -> (packets: Int, sum: UInt64) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw BenchmarkError("\(path): \(String(cString: strerror(errno)))") }
        defer { close(file) }
        let size = Int(lseek(file, 0, SEEK_END))
        guard size >= 24, let map = mmap(nil, size, PROT_READ, MAP_PRIVATE, file, 0), map != MAP_FAILED else {
            throw BenchmarkError("\(path) is not a capture")
        }
        defer { munmap(map, size) }
        let magic = map.loadUnaligned(as: UInt32.self)
        guard magic == 0xa1b2_c3d4 || magic == 0xa1b2_3c4d else {
            throw BenchmarkError("\(path) is not a pcap file of this machine's byte order")
        }
        madvise(map, size, MADV_SEQUENTIAL)
        var at = 24
        var packets = 0
        var sum: UInt64 = 0
        while at &+ 16 <= size {
            let length = Int(map.loadUnaligned(fromByteOffset: at &+ 8, as: UInt32.self))
            guard length <= size &- at &- 16 else { break }
            if length >= 38 {
                sum &+= UInt64(map.loadUnaligned(fromByteOffset: at &+ 28, as: UInt16.self))
                sum &+= UInt64(map.loadUnaligned(fromByteOffset: at &+ 42, as: UInt32.self))
                sum &+= UInt64(map.loadUnaligned(fromByteOffset: at &+ 50, as: UInt32.self))
            }
            packets &+= 1
            at &+= 16 &+ length
        }
        return (packets, sum)
    }
}

/// The reason something cannot be measured.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
