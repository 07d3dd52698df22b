// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// What sources that read captures know besides their packets.
public protocol CaptureInput: PacketSource {
    /// Sentences about harmless omissions, for example bytes after compressed data.
    var warnings: [String] { get }
    /// The distinct link types that the files announce before their first packets: all of pcap files, and of pcapng files those
    /// at their beginning. Packets of others may come.
    var announcedLinkTypes: [UInt16] { get }
}

/// The packets of one or several capture files, one after another, as the source of one wire.
///
/// Files are pcap or pcapng, plain or compressed with gzip, or with zstd, xz, lz4 or bzip2 if that program is installed; `-` is
/// standard input. A plain regular file is mapped and its packets are used in place; bytes from a pipe or a decompressor are copied into the items. A mapped file must not be truncated by others
/// while it is read.
///
/// A damaged file supplies the packets before the damage; then the source ends and ``failure`` gives the reason.
public final class CaptureSource: PacketSource, CaptureInput {
    private let files: [CaptureFile]
    /// The file being read.
    private var current = 0
    /// The sizes of the files before it, and of all; 0 if one has no known end.
    private var sizeBefore = 0
    private let sizeOfAll: Int
    private let attention: Attention
    /// In separate memory, so that it is used without exclusivity checks.
    private let state = UnsafeMutablePointer<Reading>.allocate(capacity: 1)
    /// The file being read if it is of the most common kind: mapped and plain pcap. Borrowed from `files`, so that a batch
    /// costs no reference counting.
    private var usual: (input: Unmanaged<Input>, decoder: Unmanaged<PcapDecoder>)?
    /// ``nextTime``, once known.
    private var known: Int64?
    private var trouble: CaptureError?
    /// Items initially taken for a batch; adapts to recent batch lengths.
    private var guess = 64
    /// Room for an index when none is needed.
    private let noIndex = UnsafeMutablePointer<Int32>.allocate(capacity: 1)

    /// Opens all files and reads their headers. Throws the ``CaptureError`` of the first that is not a capture.
    ///
    /// - Parameter shouldStop: polled before the source waits for a pipe, and when a signal interrupts that; true ends the
    ///   source as if its input had ended after the last whole packet. The signal's handler must have been installed without
    ///   SA_RESTART.
    public init(paths: [String], shouldStop: (() -> Bool)? = nil) throws {
        if paths.count(where: { $0 == "-" }) > 1 {
            throw CaptureError(file: "-", reason: "can be read only once", code: "repeated_input")
        }
        attention = Attention(shouldStop: shouldStop)
        var files: [CaptureFile] = []
        do throws(CaptureError) {
            for path in paths { files.append(try CaptureFile(path: path, attention: attention)) }
        } catch {
            if error.code != CaptureError.stopped { throw error }
        }
        self.files = files
        sizeOfAll = files.contains { $0.size == 0 } ? 0 : files.reduce(0) { $0 + $1.size }
        noIndex.initialize(to: 0)
        state.initialize(to: Reading(items: UnsafeMutablePointer(bitPattern: 64)!, indices: noIndex))
        super.init()
    }

    deinit {
        state.deinitialize(count: 1)
        state.deallocate()
        noIndex.deallocate()
    }

    /// Sentences about harmless omissions, for example bytes after compressed data.
    public var warnings: [String] { attention.warnings }

    /// The distinct link types that the files announce before their first packets: all of pcap files, and of pcapng files those
    /// at their beginning. Packets of others may come.
    public var announcedLinkTypes: [UInt16] { Set(files.flatMap(\.announcedLinkTypes)).sorted() }

    public override var share: (done: Int, all: Int)? {
        guard sizeOfAll > 0 else { return nil }
        return (sizeBefore + (current < files.count ? files[current].done : 0), sizeOfAll)
    }

    public override var failure: (any Error)? { trouble }

    public override var shard: Shard? { didSet { state.pointee.shard = shard } }

    public override var linkTypes: [(linkType: UInt16, packets: UInt64)] { state.pointee.linkTypes.all }

    public override var nextTime: Int64 {
        if let known { return known }
        // A batch that ends before all time: it stops at the first packet, whose time is then known.
        state.pointee.limit = .min
        state.pointee.indices = noIndex
        state.pointee.count = 0
        state.pointee.passed = 0
        state.pointee.mostPassed = 0
        state.pointee.room = 1
        state.pointee.nextTime = .max
        advance(nil)
        known = state.pointee.nextTime
        return state.pointee.nextTime
    }

    public override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        let first = nextTime
        if first >= limit { return 0 }
        known = nil
        state.pointee.items = pool.items
        state.pointee.pool = .passUnretained(pool)
        state.pointee.indices = indices
        state.pointee.count = 0
        state.pointee.passed = 0
        state.pointee.mostPassed = state.pointee.shard == nil ? 0 : max * state.pointee.shard!.count
        state.pointee.room = 0
        state.pointee.limit = limit
        state.pointee.sequence = sequence
        // When two wires alternate, batches are short: this avoids taking many items only to give them back.
        var step = min(max, guess)
        while state.pointee.room < max {
            let taken = pool.take(min(step, max - state.pointee.room), into: indices + state.pointee.room)
            if taken == 0 { break }
            state.pointee.room += taken
            state.pointee.nextTime = .max
            advance(pool)
            if state.pointee.count < state.pointee.room { break }
            step *= 2
        }
        if state.pointee.nextTime != .max { known = state.pointee.nextTime }
        let (count, passed) = (state.pointee.count, state.pointee.passed)
        pool.giveBack(indices + count, count: state.pointee.room - count)
        guess = Swift.max(4, 2 * count)
        state.pointee.counters.packets &+= UInt64(count)
        state.pointee.counters.others &+= UInt64(passed)
        state.pointee.counters.passed = UInt64(passed)
        state.pointee.counters.backwards = state.pointee.clock.backwards
        state.pointee.counters.ahead = state.pointee.clock.ahead
        state.pointee.counters.pauses = state.pointee.clock.pauses
        if count + passed > 0 {
            state.pointee.counters.first = min(state.pointee.counters.first, first)
            state.pointee.counters.last = state.pointee.clock.now
        }
        counters.pointee = state.pointee.counters
        return count
    }

    /// Reads until the batch is full, has reached its limit, or the source ends. Without `pool` the batch is empty and this may
    /// wait; with one it ends the batch rather than wait for bytes.
    private func advance(_ pool: Pool?) {
        if let usual {
            usual.decoder._withUnsafeGuaranteedRef { decoder in
                usual.input._withUnsafeGuaranteedRef {
                    decoder.decodeUsual($0, into: &state.pointee)
                    if $0.next > $0.giveBackAt { $0.giveBack() }
                }
            }
            // The batch is full; otherwise something unusual is next.
            if state.pointee.nextTime != .max { return }
        }
        while current < files.count {
            do throws(CaptureError) {
                let (input, decoder) = try files[current].open()
                if usual == nil, input.lasts, let decoder = decoder as? PcapDecoder, decoder.isPlain {
                    usual = (Unmanaged.passUnretained(input), Unmanaged.passUnretained(decoder))
                }
                if input.next > input.giveBackAt { input.giveBack() }
                let first = state.pointee.count
                // The bytes of a stream move when more are needed, so the items get their own copy.
                defer {
                    if let pool, !input.lasts {
                        for k in first..<state.pointee.count { pool.own(state.pointee.indices[k]) }
                    }
                }
                let (needed, what, size): (Int, String, Int)
                switch try decoder.decode(input, into: &state.pointee) {
                case .paused: return
                case .wishes(let count):
                    if !input.lasts && state.pointee.count > 0 { return }
                    // An error there is one once the packets before it have been read.
                    if (try? input.fetch(count)) != true { state.pointee.hasEnded = true }
                    continue
                case .needs(let count, let name, let bytes): (needed, what, size) = (count, name, bytes)
                }
                if !input.lasts && state.pointee.count > 0 { return }
                if try input.fetch(needed) { continue }
                if input.available > 0 {
                    let reason =
                        size == 0
                        ? "\(what) header is cut short after \(input.available) bytes"
                        : "\(what) of \(size) bytes is longer than the rest of the file"
                    throw input.damage("truncated_\(what)", reason)
                }
                sizeBefore += files[current].size
                files[current].finish()
                usual = nil
                current += 1
                state.pointee.hasEnded = false
            } catch {
                if error.code != CaptureError.stopped {
                    trouble = error
                    let others = files[(current + 1)...].map(\.path)
                    if !others.isEmpty {
                        attention.warnings.append(
                            "\(error.file): is damaged, so what follows it was not read: "
                                + others.joined(separator: ", ")
                        )
                    }
                }
                usual = nil
                current = files.count
            }
        }
    }
}
