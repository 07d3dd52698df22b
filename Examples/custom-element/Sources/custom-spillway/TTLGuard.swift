// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway

/// Drops packets that have too few hops left.
///
/// A sender that is one hop away sends with a TTL of 255, so `min: 255` lets only neighbours pass (RFC 5082).
final class TTLGuard: Element {
    struct Config: ElementConfig {
        var min = 2
    }
    enum Drop: Int, DropReason {
        case notIp, tooFewHops
        var about: String {
            switch self {
            case .notIp: "it has no IP header"
            case .tooFewHops: "its TTL or hop limit is below `min`"
            }
        }
    }
    static let summary = "drops packets whose TTL or hop limit is too low"
    static let category = Category.checking
    static let depends = Depends.item
    static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .headers, "any packets")] }
    static func outputs(_: Config) -> [Output] { [Output("out", .sameAs(input: 0), "packets with hops left")] }
    static let parameters: [Parameter<Config>] = [
        .init("min", \.min, in: 1...255, "the lowest TTL (IPv4) or hop limit (IPv6) that passes")
    ]
    static let operations: [Operation] = [.parse, .test]
    static let examples = [
        Example(
            "the last hop is dropped",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:80 S ttl=2", "10.0.0.1:1000 > 10.0.0.2:80 A ttl=1"]],
            out: ["out": ["10.0.0.1:1000 > 10.0.0.2:80 S ttl=2"]],
            drops: ["too_few_hops": 1]
        )
    ]

    private let min: UInt8

    init(_ config: Config, _: Setup) {
        min = UInt8(config.min)
        super.init()
    }

    override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        context.forEach(batch) { packet in
            // A view is there when the header is, so nothing is left to check before a field is read.
            guard let hops = IPv4View(packet)?.timeToLive ?? IPv6View(packet)?.hopLimit else {
                return .drop(Drop.notIp)
            }
            return hops >= min ? .emit(0) : .drop(Drop.tooFewHops)
        }
        context.did(.parse, batch.count)
        context.did(.test, batch.count)
    }
}
