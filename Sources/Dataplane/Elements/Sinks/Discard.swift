// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The end of a path: items that arrive are used up.
///
/// What is discarded on purpose counts as used, not as dropped.
public final class Discard: Element {
    public typealias Config = NoConfig
    public static let summary = "uses up every item that arrives"
    public static let category = Category.sinks
    public static let depends = Depends.item
    public static func inputs(_: Config) -> [Input] { [Input("in", .any, reads: .arrival, "items to discard")] }
    public static func outputs(_: Config) -> [Output] { [] }
    public static let examples = [
        Example("a packet ends here", in: ["in": ["10.0.0.1:1000 > 10.0.0.2:80 S"]], out: [:])
    ]

    public init(_: Config, _: Setup) {
        super.init()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        context.use(batch)
    }
}
