// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CZlib
import Glibc

/// The bytes of one capture, with a window in memory: all of a mapped file, a buffer's worth of a stream.
class Input {
    /// The file as the user named it.
    final let name: String
    /// The first byte not yet read, and the end of the window.
    @exclusivity(unchecked) final var next: UnsafeMutableRawPointer
    @exclusivity(unchecked) final var end: UnsafeMutableRawPointer

    /// When `next` passes this, call ``giveBack()``.
    @exclusivity(unchecked) final var giveBackAt = UnsafeMutableRawPointer(bitPattern: UInt.max)!

    init(name: String, window: UnsafeMutableRawBufferPointer) {
        self.name = name
        next = window.baseAddress!
        end = next + window.count
    }

    /// Unread bytes in the window.
    final var available: Int { end - next }
    /// The offset of `next` from the start of the file (of its decompressed bytes, if it is compressed).
    var position: Int { fatalError("abstract") }
    /// Bytes of the file itself that have been read, compressed or not.
    var consumed: Int { position }
    /// Whether bytes stay in place as long as the input lives, so that items may point to them.
    var lasts: Bool { fatalError("abstract") }
    /// Makes the window hold at least `count` bytes from `next` on; false if the input ends before. This may move the bytes,
    /// and may wait for a pipe.
    func fetch(_ count: Int) throws(CaptureError) -> Bool { available >= count }
    /// Releases the memory of bytes read long ago.
    func giveBack() {}

    /// An error `ahead` bytes after `next`.
    final func damage(_ code: String, _ reason: String, ahead: Int = 0) -> CaptureError {
        CaptureError(file: name, offset: position + ahead, reason: reason, code: code)
    }
}

/// Warnings from inputs to their user, and the user's request to stop.
final class Attention {
    /// Sentences about omissions.
    var warnings: [String] = []
    /// The longest wait for a pipe before it is polled again, in milliseconds.
    static let longestWait: Int32 = 100
    /// Polled before each wait for a pipe, now and then during it, and when a signal interrupts it; true ends the input.
    private let shouldStop: (() -> Bool)?

    init(shouldStop: (() -> Bool)?) { self.shouldStop = shouldStop }

    /// Throws ``CaptureError/stopped`` if the user has asked to stop. It is thrown like damage, since whatever waits for more
    /// bytes must give up, but it is not an error.
    func checkStop(_ name: String) throws(CaptureError) {
        guard shouldStop?() == true else { return }
        throw CaptureError(file: name, reason: "was stopped", code: CaptureError.stopped)
    }
}

/// A regular file, mapped as a whole.
final class MappedInput: Input {
    private let map: FileMap
    private let reader: Int
    private var claim: FileClaim?

    /// The bytes of `map`.
    init(name: String, _ map: FileMap, claim: FileClaim?) {
        self.map = map
        self.claim = claim
        reader = map.addReader()
        super.init(name: name, window: map.bytes)
        giveBackAt = next + MappedInput.step
    }

    deinit {
        claim = nil
        map.removeReader(reader)
    }

    /// How much is released at a time, and how much of what was read is kept: most items are gone by then, and others are read
    /// again from the file.
    private static let step = 32 << 20
    private static let kept = 8 << 20

    override func giveBack() {
        map.note(reader, at: position - MappedInput.kept)
        giveBackAt = next + MappedInput.step
    }

    override var position: Int { next - map.bytes.baseAddress! }
    override var lasts: Bool { true }
}

/// A pipe, compressed file or decompressing program, read through a reusable buffer.
final class StreamedInput: Input {
    private let descriptor: Int32
    private let ownsDescriptor: Bool
    private var claim: FileClaim?
    /// The program that the bytes come from, if it is one of ours.
    private let decompressor: Decompressor?
    /// Set if the bytes are compressed.
    private var gzip: GzipDecoder?
    private var buffer: UnsafeMutableRawBufferPointer
    /// Offset of the buffer's beginning in the file.
    private var start = 0
    private var ended = false
    /// An error in the stream; reported once the bytes before it have been read.
    private var trouble: CaptureError?
    private let attention: Attention

    private static let initialBytes = 256 << 10

    /// The bytes of `descriptor`, which this then owns unless it is standard input.
    convenience init(
        name: String,
        descriptor: Int32,
        claim: FileClaim?,
        attention: Attention
    ) throws(CaptureError) {
        try self.init(name, descriptor, descriptor != STDIN_FILENO, nil, claim, attention)
    }

    /// What a program makes of a file.
    convenience init(
        name: String,
        _ decompressor: Decompressor,
        claim: FileClaim?,
        attention: Attention
    ) throws(CaptureError) {
        try self.init(name, decompressor.output, false, decompressor, claim, attention)
    }

    private init(
        _ name: String,
        _ descriptor: Int32,
        _ ownsDescriptor: Bool,
        _ decompressor: Decompressor?,
        _ claim: FileClaim?,
        _ attention: Attention
    ) throws(CaptureError) {
        self.descriptor = descriptor
        self.ownsDescriptor = ownsDescriptor
        self.decompressor = decompressor
        self.claim = claim
        self.attention = attention
        buffer = .allocate(byteCount: StreamedInput.initialBytes, alignment: 64)
        super.init(name: name, window: UnsafeMutableRawBufferPointer(rebasing: buffer[..<0]))
        // Every compressed byte passes through the decoder, including those read to recognise it.
        if try fetch(2), next.load(as: UInt8.self) == 0x1f, (next + 1).load(as: UInt8.self) == 0x8b {
            gzip = GzipDecoder(UnsafeRawBufferPointer(start: next, count: available))
            end = next
        }
    }

    deinit {
        claim = nil
        buffer.deallocate()
        if ownsDescriptor { close(descriptor) }
    }

    override var position: Int { start + (next - buffer.baseAddress!) }
    override var consumed: Int { decompressor?.consumed ?? gzip?.consumed ?? position }
    override var lasts: Bool { false }

    override func fetch(_ count: Int) throws(CaptureError) -> Bool {
        if available >= count { return true }
        compact()
        while available < count && !ended {
            // The buffer grows with the bytes received, not with what a length field promises.
            if available == buffer.count { grow() }
            let space = UnsafeMutableRawBufferPointer(
                start: end,
                count: buffer.count - available
            )
            do {
                let n = try gzip == nil ? receive(into: space) : inflate(into: space)
                if n == 0 { ended = true } else { end += n }
            } catch {
                trouble = error
                ended = true
            }
        }
        if available < count, let trouble { throw trouble }
        return available >= count
    }

    /// Moves the unread bytes to the front of the buffer.
    private func compact() {
        let base = buffer.baseAddress!
        let unread = available
        start += next - base
        base.copyMemory(from: next, byteCount: unread)
        next = base
        end = base + unread
    }

    private func grow() {
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * buffer.count, alignment: 64)
        let unread = available
        larger.baseAddress!.copyMemory(from: next, byteCount: unread)
        buffer.deallocate()
        buffer = larger
        next = larger.baseAddress!
        end = next + unread
    }

    /// Reads what is available, and waits if nothing is; 0 at the end.
    private func receive(into space: UnsafeMutableRawBufferPointer) throws(CaptureError) -> Int {
        while true {
            try attention.checkStop(name)
            // Whoever is polled is so while nothing comes too.
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&waiting, 1, Attention.longestWait)
            if ready == 0 || ready < 0 && errno == EINTR { continue }
            let n = read(descriptor, space.baseAddress!, space.count)
            if n == 0 { try decompressor?.finish() }
            if n >= 0 { return n }
            if errno != EINTR { throw CaptureError(file: name, system: errno, doing: "read") }
        }
    }

    /// Decompresses some bytes; 0 at the end.
    private func inflate(into space: UnsafeMutableRawBufferPointer) throws(CaptureError) -> Int {
        guard let gzip else { return 0 }
        while true {
            switch gzip.inflate(into: space) {
            case .bytes(let n): return n
            case .wantsInput:
                let n = try receive(into: gzip.input)
                if n > 0 {
                    gzip.accept(n)
                } else if gzip.isBetweenMembers {
                    return 0
                } else {
                    throw CaptureError(
                        file: name,
                        reason: "the compressed data end early, after \(gzip.consumed) bytes",
                        code: "truncated_gzip"
                    )
                }
            case .garbage:
                attention.warnings.append(
                    "\(name): what follows the compressed data at byte \(gzip.consumed) was ignored"
                )
                return 0
            case .damaged(let words):
                throw CaptureError(
                    file: name,
                    reason: "the compressed data are damaged near their byte \(gzip.consumed): \(words)",
                    code: "damaged_gzip"
                )
            }
        }
    }
}

/// Decompresses a gzip file (RFC 1952), which may consist of several members.
private final class GzipDecoder {
    /// Room for compressed bytes.
    let input: UnsafeMutableRawBufferPointer
    /// zlib keeps the address of its stream, so the stream must not move.
    private let stream: UnsafeMutablePointer<z_stream>
    private var isMemberComplete = false
    /// Compressed bytes consumed so far.
    private(set) var consumed = 0

    enum Outcome {
        case bytes(Int)
        case wantsInput
        /// A member ended and is followed by something other than another.
        case garbage
        case damaged(String)
    }

    /// A decoder whose input begins with `first`.
    init(_ first: UnsafeRawBufferPointer) {
        input = .allocate(byteCount: max(64 << 10, first.count), alignment: 64)
        input.copyMemory(from: first)
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // 16 + 15: a gzip header, and the largest window.
        let status = inflateInit2_(stream, 16 + MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib cannot start")
        accept(first.count)
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
        input.deallocate()
    }

    /// No member is incomplete.
    var isBetweenMembers: Bool { isMemberComplete }

    /// `count` bytes were added to `input`.
    func accept(_ count: Int) {
        stream.pointee.next_in = input.baseAddress!.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_in = UInt32(count)
    }

    func inflate(into space: UnsafeMutableRawBufferPointer) -> Outcome {
        while true {
            if stream.pointee.avail_in == 0 { return .wantsInput }
            if isMemberComplete {
                // The first byte decides; the second is checked by zlib.
                if stream.pointee.next_in.pointee != 0x1f { return .garbage }
                inflateReset(stream)
                isMemberComplete = false
            }
            let before = stream.pointee.avail_in
            stream.pointee.next_out = space.baseAddress!.assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_out = UInt32(clamping: space.count)
            let status = CZlib.inflate(stream, Z_NO_FLUSH)
            consumed += Int(before - stream.pointee.avail_in)
            let n = Int(UInt32(clamping: space.count) - stream.pointee.avail_out)
            if status == Z_STREAM_END { isMemberComplete = true }
            if n > 0 { return .bytes(n) }
            if status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR {
                return .damaged(stream.pointee.msg.map { String(cString: $0) } ?? "zlib error \(status)")
            }
        }
    }
}
