// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

#if DEBUG
/// An element that breaks its contract stops a debug build with its own name and the item's, where it happens.
@Suite struct ContractTests {
    enum Breach: String, CaseIterable, Codable, Sendable {
        case emitsTwice, dropsTwice, usesWhatItDropped, keeps, outputThatIsNot, reasonThatIsNot, timerThatIsNot
        case timerTooSoon, resumesWhatItDoesNotHold, resumesWithoutCause, originatesWithoutCause, outOfTurn,
            endlessTimer
        case endsFlows, emitsWhatItHolds, resumesTwice

        var words: String {
            switch self {
            case .emitsTwice: "bytes) on 'out', but it has left already"
            case .dropsTwice: "bytes) (bad), but it is free"
            case .usesWhatItDropped: "it is free"
            case .keeps: "past its call: what it does not emit, drop or use it must hold"
            case .outputThatIsNot: "on output 9; it has 1 outputs"
            case .reasonThatIsNot: "for reason 99; it declares 1 reasons"
            case .timerThatIsNot: "armed timer 7; timers are 0 to 3"
            case .timerTooSoon: "its shortestTimer says"
            case .resumesWhatItDoesNotHold: "resumed item"
            case .resumesWithoutCause: "without saying which item caused it"
            case .originatesWithoutCause: "made an item without saying which item caused it"
            case .outOfTurn: "out of turn"
            case .endlessTimer: "it would fire without end"
            case .endsFlows: "only a flow table ends flows"
            case .emitsWhatItHolds: "on 'out', but the element holds it: `resume` takes it up again"
            case .resumesTwice: "but it is in the hands of element"
            }
        }
    }

    @Test(arguments: Breach.allCases) func aBreachIsTold(_ breach: Breach) async throws {
        let result = try await #require(
            processExitsWith: .failure,
            observing: [\.standardErrorContent]
        ) { [breach] in
            _ = try ContractTests.run(breach)
        }
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(text.contains(breach.words), "\(text)")
        #expect(breach == .endsFlows || text.contains("'element' (Breacher)"), "\(text)")
    }

    /// The same element does nothing wrong when it is not told to.
    @Test func whoKeepsItIsLeftAlone() throws {
        let run = try ContractTests.run(nil)
        #expect(run.outputs["out"]?.count == 5 && run.lostItems == 0)
    }

    private static func run(_ breach: Breach?) throws -> ElementHarness.Run {
        let catalog = Catalog.standard.adding([ElementDescriptor(Breacher.self)])
        let harness = try ElementHarness("Breacher", breach.map { "{breach: \($0.rawValue)}" } ?? "", catalog: catalog)
        let packets = (1...5).map { "10.0.0.1:1000 > 10.0.0.2:80 A seq=\($0) time=\($0)s" }
        return try harness.run(["in": packets])
    }
}

/// Does one thing wrong.
private final class Breacher: Element {
    struct Config: ElementConfig {
        var breach = ""
    }
    enum Drop: Int, DropReason {
        case bad
        var about: String { "it is bad" }
    }
    static let summary = "breaks its contract"
    static let category = Category.testing
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .payload, "packets")] }
    static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "packets")] }
    static let parameters: [Parameter<Config>] = [.init("breach", \.breach, "what is done wrong")]
    static func shortestTimer(_: Config) -> ShortestTimer? { .after(1_000) }
    private let breach: ContractTests.Breach?
    private var seen = 0
    private var held: Int32 = -1

    init(_ config: Config, _: Setup) {
        breach = ContractTests.Breach(rawValue: config.breach)
        super.init()
    }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        for k in 0..<batch.count {
            seen += 1
            let i = batch.index[k]
            guard seen == 2, let breach else {
                if breach == .outOfTurn, seen == 1 || seen == 3 {
                    keep(i, context)
                    continue
                }
                context.emit(i, 0)
                continue
            }
            switch breach {
            case .emitsTwice:
                context.emit(i, 0)
                context.emit(i, 0)
            case .dropsTwice:
                context.drop(i, 0)
                context.drop(i, 0)
            case .usesWhatItDropped:
                context.drop(i, 0)
                context.use(i)
            case .keeps: break
            case .outputThatIsNot: context.emit(i, 9)
            case .reasonThatIsNot: context.drop(i, 99)
            case .timerThatIsNot: context.arm(7, at: .max - 1)
            case .timerTooSoon: context.arm(0, at: context.now(i) + 999)
            case .resumesWhatItDoesNotHold: context.resume(i, because: i)
            case .resumesWithoutCause:
                context.hold(i)
                context.resume(i)
            case .originatesWithoutCause: _ = context.originate(capacity: 64)
            case .outOfTurn: context.emit(i, 0)
            case .endlessTimer:
                context.arm(0, at: context.now(i) + 1_000)
                context.emit(i, 0)
            case .emitsWhatItHolds:
                context.hold(i)
                context.emit(i, 0)
            case .resumesTwice:
                context.hold(i)
                context.resume(i, because: i)
                context.resume(i, because: i)
            case .endsFlows: context.endFlow(FlowRef(index: 0, generation: 1), .eof, because: i)
            }
        }
    }

    /// The first is kept until the third, and then leaves with its own old turn.
    private func keep(_ i: Int32, _ context: borrowing Context) {
        if held < 0 {
            held = i
            context.hold(i)
            return
        }
        context.emit(i, 0)
        context.resume(held, because: held)
        context.emit(held, 0)
    }

    override func timer(_ id: Int, due: Int64, _ context: borrowing Context) { context.arm(0, at: due) }
}
#endif
