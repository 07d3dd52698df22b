// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import Synchronization
import TestSupport
import Testing

/// Compiling a filter may take most of a second, so all who need it on the way from a file to packets share it.
struct FilterSharingTests {
    private static let rules = ["tcp port 80", "udp", "tcp[20:4] = 0x47455420"]
    private static let yaml = """
        graph: g
        elements:
          wire: {type: Wire}
          sort: {type: Classifier, rules: {a: "\(rules[0])", b: "\(rules[1])", c: "\(rules[2])"}}
          again: {type: Classifier, rules: {a: "\(rules[0])", b: "\(rules[1])", c: "\(rules[2])"}}
        chains:
          - wire.rx -> sort
          - sort.a -> Discard
          - sort.b -> Discard
          - sort.c -> Discard
          - sort.other -> again
          - again.a -> Discard
          - again.b -> Discard
          - again.c -> Discard

        """
    /// Each rule once for each link type.
    private static func once(_ linkTypes: UInt16...) -> [String: Int] {
        let asked = linkTypes.flatMap { type in rules.map { ("\($0) on \(type)", 1) } }
        return Dictionary(uniqueKeysWithValues: asked)
    }

    /// Counts what is compiled, and refuses one link type.
    private final class CountingServices: Services {
        private let counts = Mutex<[String: Int]>([:])
        private let refused: UInt16?

        init(refusing refused: UInt16? = nil) { self.refused = refused }

        var compiled: [String: Int] { counts.withLock { $0 } }

        func openSink(_ name: String) throws -> any ByteSink { throw FileError("no files here") }
        func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? {
            counts.withLock { $0["\(filter) on \(linkType)", default: 0] += 1 }
            if linkType == refused { throw FilterError("there is none") }
            return try SystemServices().compileFilter(filter, linkType: linkType)
        }
    }

    private static func load(_ services: CountingServices) throws -> (loader: GraphLoader, graph: GraphSpec) {
        let loader = GraphLoader(catalog: .standard, services: services) { _ in Array(yaml.utf8) }
        let loaded = loader.loadGraph("g.yaml")
        return (loader, try #require(loaded.graph, "\(loaded.diagnostics.map(\.rendered))"))
    }

    /// A filter that libpcap has only for other links is told of, for those that came.
    @Test(arguments: [
        ("web.pcap", ["to", "name", "beacon"], "ETHERNET"), ("cooked.pcap", ["name", "beacon"], "LINUX_SLL"),
    ])
    func filtersThatMatchNothingAreToldOf(_ capture: String, _ rules: [String], _ link: String) throws {
        let spec = try graph(
            yaml: """
                graph: g
                elements:
                  wire: {type: Wire}
                  sort: {type: Classifier, rules: {to: inbound, name: ifname eth0, beacon: wlan type mgt, ip: ip}}
                chains:
                  - wire.rx -> sort
                  - sort.to -> Discard
                  - sort.name -> Discard
                  - sort.beacon -> Discard
                  - sort.ip -> Discard
                  - sort.other -> Discard

                """
        )
        let outcome = try GraphRun.run(spec, wires: [WireArgument(name: "wire", sources: [shippedCapture(capture)])])
        let warnings = outcome.report.warnings.filter { $0.contains("matches no packet") }
        #expect(warnings.count == rules.count)
        for (warning, rule) in zip(warnings, rules) {
            #expect(
                warning.hasPrefix("element 'sort': rule '\(rule)' (") && warning.contains("link type \(link)"),
                "\(warning)"
            )
        }
    }

    @Test func readingCheckingAndRunningCompileEachFilterOnce() throws {
        let services = CountingServices()
        let (loader, graph) = try Self.load(services)
        #expect(services.compiled == Self.once(LinkType.ethernet))
        let wires = [WireArgument(name: "wire", sources: [shippedCapture("web.pcap")])]
        for _ in 0..<2 {
            let outcome = try GraphRun.run(graph, wires: wires, services: loader.services)
            #expect(outcome.report.wires.map(\.packetsIn) == [3793])
        }
        #expect(loader.loadGraph("g.yaml").graph != nil)
        #expect(services.compiled == Self.once(LinkType.ethernet))
        // Both elements have the same rules, so there is one decision.
        let kept = try #require(loader.services.filters)
        #expect(kept.count.filters == 3)
        #expect(kept.count.decisions == 1)
    }

    /// What a capture announces is compiled when the elements are made, not while packets wait.
    @Test func announcedLinkTypesAreCompiledBeforeTheFirstPacket() throws {
        let services = CountingServices()
        let (loader, graph) = try Self.load(services)
        let wires = [WireArgument(name: "wire", sources: [shippedCapture("cooked.pcap"), shippedCapture("web.pcap")])]
        let instance = try GraphRun.modelInstance(
            graph,
            wires: wires,
            options: Instance.Options(),
            services: MemoryServices(loader.services)
        )
        #expect(services.compiled == Self.once(LinkType.ethernet, LinkType.linuxSLL2))
        try DirectRuntime(instance).run()
        #expect(instance.wireCounts()[0].packetsIn > 3793)
        #expect(services.compiled == Self.once(LinkType.ethernet, LinkType.linuxSLL2))
    }

    @Test func aFilterThatFailsForALinkTypeIsAnError() throws {
        let services = CountingServices(refusing: LinkType.linuxSLL2)
        let (loader, graph) = try Self.load(services)
        let capture = shippedCapture("cooked.pcap")
        let words = "element 'sort': rule 'a' for link type 276: there is none"
        // Where it is known that such packets will come, before they do.
        let early = #expect(throws: InstanceError.self) {
            try GraphRun.run(
                graph,
                wires: [WireArgument(name: "wire", sources: [capture])],
                services: loader.services
            )
        }
        #expect(early.map { "\($0)" }?.contains(words) == true, "\(early.map { "\($0)" } ?? "")")
        // Where it is not, when they are through.
        let binding = WireBinding(source: try CaptureSource(paths: [capture]))
        let wire = try #require(graph.index(of: "wire"))
        let instance = try Instance(graph, bindings: [wire: binding], services: loader.services)
        let late = #expect(throws: InstanceError.self) { try DirectRuntime(instance).run() }
        #expect(late.map { "\($0)" }?.contains(words) == true, "\(late.map { "\($0)" } ?? "")")
        let counts = instance.counts(try #require(graph.index(of: "sort")))
        #expect(counts.entered > 0 && counts.entered == counts.left)
    }
}
