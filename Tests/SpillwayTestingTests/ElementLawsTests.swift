// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

/// Elements that break one law each: the laws must say so, and nothing else.
@Suite struct ElementLawsTests {
    @Test func theCutsOfBatchesAreSeen() {
        expect(ElementLaws.breaches(of: LastOfBatchFirst.self), "batches of")
        expect(ElementLaws.breaches(of: BatchCounter.self), "batches of", "operations are")
        expect(ElementLaws.breaches(of: PauseMark.self), "batches of", "the handler 'pauses'")
    }

    @Test func operationsAreDeclaredAndCounted() {
        expect(ElementLaws.breaches(of: WrongOperations.self), "it counts 'hash'", "it declares 'timer'")
    }

    @Test func theSeedIsSeen() {
        expect(ElementLaws.breaches(of: SeedDependent.self), "another seed")
        #expect(ElementLaws.breaches(of: SeedDependent.self, isRandom: true) == [])
    }

    @Test func whatIsHeldForEverIsSeen() {
        expect(ElementLaws.breaches(of: KeepsTheFirst.self), "held after the end")
    }

    @Test func examplesMustGiveWhatTheySay() {
        expect(ElementLaws.breaches(of: WrongExample.self), "example 'it drops'", "not 0", "drops are []")
    }

    @Test func configsAreJudgedAlone() {
        let type = Catalog.standard["Classifier"]!
        #expect(
            ElementLaws.breaches(of: type, configs: ["{no_such: 1}"]).contains { $0.contains("no parameter 'no_such'") }
        )
        // It has a required parameter, and no example here.
        expect(ElementLaws.breaches(of: NeedsParameter.self), "no run was made")
        #expect(ElementLaws.breaches(of: NeedsParameter.self, configs: ["{texts: [a]}"]) == [])
    }

    @Test func packetsReachWhatTrafficDoesNot() {
        expect(ElementLaws.breaches(of: SeldomTests.self), "it declares 'test'")
        let packets = ["10.0.0.1:1000 > 10.0.0.2:80 A ttl=77"]
        #expect(ElementLaws.breaches(of: SeldomTests.self, packets: packets) == [])
    }

    /// Each of `words` is in some breach, and each breach has some of them.
    private func expect(_ breaches: [String], _ words: String...) {
        for word in words { #expect(breaches.contains { $0.contains(word) }, "\(word): \(breaches)") }
        for breach in breaches { #expect(words.contains { breach.contains($0) }, "\(breach)") }
    }
}

/// What the elements here have in common.
private protocol Passing: ElementType where Config == NoConfig {}

extension Passing {
    static var summary: String { "passes packets on" }
    static var category: Category { .testing }
    static var depends: Depends { .item }
    static func inputs(_: NoConfig) -> [Input] { [Input("in", .only(.packet), reads: .headers, "packets")] }
    static func outputs(_: NoConfig) -> [Output] {
        [Output("out", .sameAs(input: 0), "packets"), Output("other", .sameAs(input: 0), "others")]
    }
}

/// Lets the last item of a batch go another way.
private final class LastOfBatchFirst: ElementBase, Passing {
    init(_: NoConfig, _: Setup) { super.init() }
    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        context.emit(batch, from: 0, to: batch.count - 1, 0)
        context.emit(batch.index[batch.count - 1], 1)
    }
}

private final class BatchCounter: ElementBase, Passing {
    static let operations: [Operation] = [.update]
    init(_: NoConfig, _: Setup) { super.init() }
    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        context.did(.update, 1)
        context.emit(batch, 0)
    }
}

/// Sees pauses of more than 20 s between batches, which no close traffic has.
private final class PauseMark: ElementBase, Passing {
    static let handlers = [Handler<PauseMark>("pauses", "pauses seen") { $0.pauses }]
    /// Never armed: it says around which pauses to try.
    static func shortestTimer(_: NoConfig) -> ShortestTimer? { .after(20_000_000_000) }
    private var pauses = 0
    private var last = Int64.max
    init(_: NoConfig, _: Setup) { super.init() }
    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        // The end of the batch before is not what it keeps, but its beginning.
        let time = batch[0].time
        if last < time, time - last > 20_000_000_000 { pauses += 1 }
        last = time
        context.emit(batch, 0)
    }
}

private final class WrongOperations: ElementBase, Passing {
    static let operations: [Operation] = [.timer]
    init(_: NoConfig, _: Setup) { super.init() }
    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        context.did(.hash, batch.count)
        context.emit(batch, 0)
    }
}

private final class SeedDependent: ElementBase, Passing {
    private let seed: UInt64
    init(_: NoConfig, _ setup: Setup) {
        seed = setup.elementSeed
        super.init()
    }
    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count { context.emit(batch.index[k], Int((seed ^ batch[k].sequence) & 1)) }
    }
}

private final class KeepsTheFirst: ElementBase, Passing {
    static func heldItems(_: NoConfig) -> Int { 1 }
    private var has = false
    init(_: NoConfig, _: Setup) { super.init() }
    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        if has { return context.emit(batch, 0) }
        has = true
        context.hold(batch.index[0])
        context.emit(batch, from: 1, to: batch.count, 0)
    }
}

private final class WrongExample: ElementBase, Passing {
    static let examples = [
        Example("it drops", in: ["in": ["10.0.0.1:1 > 10.0.0.2:2 S"]], out: ["out": []], drops: ["gone": 1])
    ]
    init(_: NoConfig, _: Setup) { super.init() }
    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) { context.emit(batch, 0) }
}

private final class SeldomTests: ElementBase, Passing {
    static let operations: [Operation] = [.test]
    init(_: NoConfig, _: Setup) { super.init() }
    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count where batch[k].length == 54 && batch[k].bytes[22] == 77 {
            context.did(.test, 1)
        }
        context.emit(batch, 0)
    }
}

private final class NeedsParameter: Element {
    struct Config: ElementConfig { var texts: [String] = [] }
    static let summary = "passes packets on"
    static let category = Category.testing
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .arrival, "packets")] }
    static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "packets")] }
    static let parameters: [Parameter<Config>] = [.init("texts", strings: \.texts, required: true, "some texts")]
    init(_: Config, _: Setup) { super.init() }
    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) { context.emit(batch, 0) }
}
