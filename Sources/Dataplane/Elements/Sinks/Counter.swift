// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Counts items and their bytes and passes them on.
///
/// Bytes are those of whole frames, even if the capture holds fewer.
public final class Counter: Element {
    public typealias Config = NoConfig
    public static let summary = "counts items and bytes"
    public static let category = Category.sinks
    public static let depends = Depends.item
    public static func inputs(_: Config) -> [Input] { [Input("in", .any, reads: .arrival, "items to count")] }
    public static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "the same items")] }
    public static let handlers = [
        Handler<Counter>("packets", "items counted") { Int($0.packets) },
        Handler<Counter>("bytes", "bytes counted, of whole frames") { Int($0.bytes) },
    ]
    public static let operations: [Operation] = [.update]
    public static let examples = [
        Example(
            "a packet passes unchanged",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:80 S seq=7"]],
            out: ["out": ["10.0.0.1:1000 > 10.0.0.2:80 S seq=7"]]
        )
    ]

    private var packets: UInt64 = 0
    private var bytes: UInt64 = 0

    public init(_: Config, _: Setup) {
        super.init()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        var sum: UInt64 = 0
        for k in 0..<batch.count { sum &+= UInt64(batch[k].wireLength) }
        bytes &+= sum
        packets &+= UInt64(batch.count)
        context.did(.update, batch.count)
        context.emit(batch, 0)
    }
}
