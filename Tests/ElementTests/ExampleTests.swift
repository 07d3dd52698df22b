// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Testing

/// The examples in the documents are run.
struct ExampleTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var type: String
        var example: Example
        var testDescription: String { "\(type): \(example.title)" }
    }

    static let cases = Catalog.standard.types
        // What a filter accepts is libpcap's to say, which is not here.
        .filter { !$0.parameters.contains { $0.type == .filters } }
        .flatMap { type in type.examples.map { Case(type: type.name, example: $0) } }

    @Test(arguments: cases)
    func example(_ item: Case) throws {
        let example = item.example
        var harness = try ElementHarness(item.type, example.config)
        harness.optionalPorts = Set(example.inputs.map(\.port) + example.outputs.map(\.port))
        let run = try harness.run(Dictionary(uniqueKeysWithValues: example.inputs.map { ($0.port, $0.packets) }))
        for (port, patterns) in example.outputs {
            let items = try #require(run.outputs[port], "there is no output \(port)")
            #expect(items.count == patterns.count, "\(port): \(items.map(\.text))")
            for (item, pattern) in zip(items, patterns) {
                #expect(try item.matches(pattern), "\(port): \(item.text) is not \(pattern)")
            }
        }
        for (port, items) in run.outputs where !example.outputs.contains(where: { $0.port == port }) {
            #expect(items.isEmpty, "\(port): \(items.map(\.text))")
        }
        let drops = run.drops.filter { !$0.key.hasPrefix("unused_") }
        #expect(drops == Dictionary(uniqueKeysWithValues: example.drops.map { ($0.reason, UInt64($0.count)) }))
        #expect(run.lostItems == 0)
    }

    @Test func thereAreExamples() { #expect(ExampleTests.cases.count >= 10) }
}
