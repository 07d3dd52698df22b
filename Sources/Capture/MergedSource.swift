// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The packets of several captures merged by time, as the source of one wire. Of packets with the same time those of the capture
/// named first come first.
///
/// A damaged capture supplies the packets before the damage; the others go on.
public final class MergedSource: PacketSource, CaptureInput {
    private let sources: [CaptureSource]

    /// Opens all captures; throws the ``CaptureError`` of the first that is none. `shouldStop` is as for a ``CaptureSource``.
    public init(paths: [String], shouldStop: (() -> Bool)? = nil) throws {
        if paths.count(where: { $0 == "-" }) > 1 {
            throw CaptureError(file: "-", reason: "can be read only once", code: "repeated_input")
        }
        sources = try paths.map { try CaptureSource(paths: [$0], shouldStop: shouldStop) }
        super.init()
    }

    /// Sentences about harmless omissions, for example bytes after compressed data.
    public var warnings: [String] { sources.flatMap(\.warnings) }

    /// The distinct link types that the captures announce before their first packets.
    public var announcedLinkTypes: [UInt16] { Set(sources.flatMap(\.announcedLinkTypes)).sorted() }

    public override var shard: Shard? { didSet { for source in sources { source.shard = shard } } }

    public override var failure: (any Error)? { sources.lazy.compactMap(\.failure).first }

    public override var linkTypes: [(linkType: UInt16, packets: UInt64)] {
        var counts: [UInt16: UInt64] = [:]
        for one in sources.flatMap(\.linkTypes) { counts[one.linkType, default: 0] += one.packets }
        return counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    public override var share: (done: Int, all: Int)? {
        let shares = sources.compactMap(\.share)
        guard shares.count == sources.count else { return nil }
        return (shares.reduce(0) { $0 + $1.done }, shares.reduce(0) { $0 + $1.all })
    }

    public override var nextTime: Int64 { sources.reduce(.max) { min($0, $1.nextTime) } }

    public override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        var count = 0
        var passed: UInt64 = 0
        while count < max, passed < max {
            // The capture whose packet is next, and when another's is.
            var first = 0
            var time = Int64.max
            var bound = Int64.max
            for k in sources.indices {
                let next = sources[k].nextTime
                if next < time {
                    // What was first gives way at its own time: it is named before this one only if times are equal.
                    bound = min(bound, time)
                    (first, time) = (k, next)
                } else {
                    bound = min(bound, next == .max ? next : next + 1)
                }
            }
            if time >= limit { break }
            let n = sources[first].fill(
                pool,
                indices + count,
                max: max - count,
                before: min(limit, bound),
                sequence: sequence &+ UInt64(count) &+ passed
            )
            passed &+= sources[first].counters.pointee.passed
            if n == 0, sources[first].counters.pointee.passed == 0 { break }
            count += n
        }
        counters.pointee = sources.reduce(into: Counters()) { $0.add($1.counters.pointee) }
        counters.pointee.passed = passed
        return count
    }
}
