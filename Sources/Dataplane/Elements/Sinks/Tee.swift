// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Sends every item to all outputs: the item itself to `out1`, copies of it to the others.
///
/// A copy has its own bytes, so changes in one branch are not seen in another. If the pool has no free item the copy is skipped
/// and counted as `copies_missed`; the item itself always goes on.
public final class Tee: Element {
    public struct Config: ElementConfig {
        /// The number of outputs.
        public var outputs = 2
        public init() {}
    }
    public static let summary = "copies items to several outputs"
    public static let category = Category.sinks
    public static let depends = Depends.item
    public static func inputs(_: Config) -> [Input] { [Input("in", .any, reads: .payload, "items to copy")] }
    public static func outputs(_ config: Config) -> [Output] {
        (1...config.outputs).map {
            Output("out\($0)", .sameAs(input: 0), $0 == 1 ? "the same items" : "copies of the items")
        }
    }
    public static let parameters: [Parameter<Config>] = [
        .init("outputs", \.outputs, in: 2...16, "how many outputs there are")
    ]
    public static let handlers = [
        Handler<Tee>("copies_missed", "copies left out because the pool was empty") { Int($0.missed) }
    ]
    public static let operations: [Operation] = [.copyBytes]
    public static let examples = [
        Example(
            "both branches see the packet",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:80 S seq=7"]],
            out: [
                "out1": ["10.0.0.1:1000 > 10.0.0.2:80 S seq=7"],
                "out2": ["10.0.0.1:1000 > 10.0.0.2:80 S seq=7"],
            ]
        ),
        Example(
            "three branches",
            config: "{outputs: 3}",
            in: ["in": ["10.0.0.1 > 10.0.0.2 icmp"]],
            out: ["out1": ["* > * icmp"], "out2": ["* > * icmp"], "out3": ["* > * icmp"]]
        ),
    ]

    private let outputs: Int
    private var missed: UInt64 = 0

    public init(_ config: Config, _: Setup) {
        outputs = config.outputs
        super.init()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        var missed: UInt64 = 0
        var copied = 0
        context.forEach(batch) { p, context in
            for output in 1..<outputs {
                guard let copy = context.copy(context.index(of: p)) else {
                    missed &+= 1
                    continue
                }
                // Distinguishes copies that meet again further on.
                context[copy].made = p.made &+ UInt16(truncatingIfNeeded: output)
                copied &+= Int(p.length)
                context.emit(copy, output)
            }
            return .emit(0)
        }
        self.missed &+= missed
        context.did(.copyBytes, copied)
    }
}
