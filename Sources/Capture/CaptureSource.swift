// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The packets of one or several capture files, one file after the other, as the source of one wire.
///
/// Files are pcap or pcapng, plain or compressed with gzip; `-` is standard input. A regular file is mapped and its
/// packets are used where they lie; what comes through a pipe or a decompressor is copied into the items. A mapped
/// file must not be shortened by others while it is read.
///
/// A damaged file gives the packets that stand before the damage; then the source ends and ``failure`` says why.
public final class CaptureSource: PacketSource {
    private let files: [CaptureFile]
    /// The file being read.
    private var current = 0
    private let attention = Attention()
    private var reading: Reading
    /// ``nextTime``, when it has been found out.
    private var known: Int64?
    private var trouble: CaptureError?
    /// Items taken for a batch at first; follows how long batches have been.
    private var guess = 64
    /// Room for one index where none is needed.
    private let noIndex = UnsafeMutablePointer<Int32>.allocate(capacity: 1)

    /// Opens all files and reads their headers. Throws the ``CaptureError`` of the first that is not a capture.
    public init(paths: [String]) throws {
        if paths.count(where: { $0 == "-" }) > 1 {
            throw CaptureError(file: "-", reason: "can be read only once", code: "repeated_input")
        }
        let attention = attention
        files = try paths.map { try CaptureFile(path: $0, attention: attention) }
        noIndex.initialize(to: 0)
        reading = Reading(items: UnsafeMutablePointer(bitPattern: 64)!, indices: noIndex)
        super.init()
    }

    deinit { noIndex.deallocate() }

    /// Sentences about what was left out without harm, for example bytes behind compressed data.
    public var warnings: [String] { attention.warnings }

    /// Asked when a signal arrives while the source waits for a pipe; true ends the source as if the pipe had ended.
    /// The signal's handler must have been installed without SA_RESTART.
    public var shouldStop: (() -> Bool)? {
        get { attention.shouldStop }
        set { attention.shouldStop = newValue }
    }

    public override var failure: (any Error)? { trouble }

    public override var linkTypes: [(linkType: UInt16, packets: UInt64)] { reading.linkTypes.all }

    public override var nextTime: Int64 {
        if let known { return known }
        // A batch before all time: it stops at the first packet, and its time is known.
        reading.limit = .min
        reading.indices = noIndex
        reading.count = 0
        reading.room = 1
        reading.nextTime = .max
        advance(nil)
        known = reading.nextTime
        return reading.nextTime
    }

    public override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        if nextTime >= limit { return 0 }
        known = nil
        reading.items = pool.items
        reading.indices = indices
        reading.count = 0
        reading.room = 0
        reading.limit = limit
        reading.nextTime = .max
        reading.sequence = sequence
        // Where two wires alternate, batches are short: then few items are taken only to be given back.
        var step = min(max, guess)
        while reading.room < max {
            let taken = pool.take(min(step, max - reading.room), into: indices + reading.room)
            if taken == 0 { break }
            reading.room += taken
            if !advance(pool) || reading.count < reading.room { break }
            step *= 2
        }
        if reading.nextTime != .max { known = reading.nextTime }
        let count = reading.count
        pool.giveBack(indices + count, count: reading.room - count)
        guess = Swift.max(4, 2 * count)
        counters.pointee.packets &+= UInt64(count)
        counters.pointee.bytes &+= reading.bytes
        counters.pointee.backwards &+= reading.backwards
        reading.bytes = 0
        reading.backwards = 0
        return count
    }

    /// Reads on until the batch is full, has reached its limit, or the source ends. Without `pool` the batch is empty and
    /// this may wait; with one it ends rather than wait for bytes to come. True when more could follow at once.
    @discardableResult
    private func advance(_ pool: Pool?) -> Bool {
        while current < files.count {
            do throws(CaptureError) {
                let (input, decoder) = try files[current].open()
                let first = reading.count
                // The bytes of a stream move when more are needed, so the items get their own.
                defer {
                    if let pool, !input.lasts {
                        for k in first..<reading.count { pool.own(reading.indices[k]) }
                    }
                }
                guard case .needs(let needed, let what, let size) = try decoder.decode(input, into: &reading) else {
                    return reading.nextTime == .max
                }
                if !input.lasts && reading.count > 0 { return false }
                if try input.fetch(needed) { continue }
                if input.available > 0 {
                    let reason =
                        size == 0
                        ? "\(what) header is cut short after \(input.available) bytes"
                        : "\(what) of \(size) bytes is longer than the rest of the file"
                    throw input.damage("truncated_\(what)", reason)
                }
                files[current].finish()
                current += 1
            } catch {
                trouble = error
                current = files.count
            }
        }
        return false
    }
}
