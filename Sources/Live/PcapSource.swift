// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CPcap
import Dataplane

/// Reads an interface through libpcap, which lends the bytes of a packet only while it hands it over: they are copied once.
final class PcapSource: LiveSource {
    private static let most = 64
    /// Where packets begin in memory.
    private static let alignment = 16
    /// How often a silent interface is looked at, in nanoseconds.
    private static let interval: Int64 = 100_000_000
    /// How long nothing is waited for where nothing tells that packets are there, in nanoseconds.
    private static let pause: Int64 = 1_000_000

    /// Packets that were read and not supplied yet.
    private struct Arrivals {
        var memory: UnsafeMutableRawPointer
        var used = 0
        var frames: UnsafeMutablePointer<Frame>
        var at = 0
        var end = 0
        var fraction: Int64
    }

    private let name: String
    private let options: Options
    private let isPrompt: Bool
    /// nil while the interface is away.
    private var handle: PcapHandle?
    private var descriptor: Int32
    /// The interface's number; nil for a device of libpcap that is no interface.
    private var index: Int32?
    private let arrivals: UnsafeMutablePointer<Arrivals>
    private var dropped: UInt64 = 0
    private var lookAt: Int64 = 0
    private var trouble: InterfaceError?

    init(_ name: String, _ options: Options, isPrompt: Bool, clock: LiveClock) throws(InterfaceError) {
        let handle = try PcapHandle(name, options, isPrompt: isPrompt)
        (self.name, self.options, self.isPrompt, self.handle) = (name, options, isPrompt, handle)
        descriptor = handle.descriptor
        let interface = try? Interface(name)
        index = interface?.index
        arrivals = .allocate(capacity: 1)
        let stride = PcapHandle.longest + PcapSource.alignment
        arrivals.initialize(
            to: Arrivals(
                memory: .allocate(byteCount: PcapSource.most * stride, alignment: 64),
                frames: .allocate(capacity: PcapSource.most),
                fraction: handle.fraction
            )
        )
        super.init(handle.linkType, clock: clock)
        if let interface { longest = UInt32(interface.mtu + LiveSource.linkBytes) }
        clock.watch(descriptor)
    }

    deinit {
        arrivals.pointee.memory.deallocate()
        arrivals.pointee.frames.deallocate()
        arrivals.deallocate()
    }

    override var kernelDrops: UInt64 {
        dropped += handle?.takeDrops() ?? 0
        return dropped
    }

    override var failure: (any Error)? { trouble }

    override func poll() -> Poll {
        if arrivals.pointee.at == arrivals.pointee.end {
            if trouble != nil { return .ended }
            receive()
        }
        if arrivals.pointee.at < arrivals.pointee.end {
            return .ready(functional(arrivals.pointee.frames[arrivals.pointee.at].stamp))
        }
        return .idle(until: descriptor < 0 ? clock.now + PcapSource.pause : .max)
    }

    override func fill(
        _ pool: Pool,
        _ indices: UnsafeMutablePointer<Int32>,
        max: Int,
        before limit: Int64,
        sequence: UInt64
    ) -> Int {
        var count = 0
        while count < max, arrivals.pointee.at < arrivals.pointee.end {
            let frame = arrivals.pointee.frames[arrivals.pointee.at]
            let time = functional(frame.stamp)
            if time >= limit || pool.take(1, into: indices + count) == 0 { break }
            make(indices[count], frame, pool, sequence: sequence &+ UInt64(count), at: time)
            count &+= 1
            arrivals.pointee.at &+= 1
        }
        return count
    }

    /// Reads what has arrived; the items of what was read before are at rest.
    private func receive() {
        (arrivals.pointee.used, arrivals.pointee.at, arrivals.pointee.end) = (0, 0, 0)
        guard let handle else { return look() }
        let n = pcap_dispatch(
            handle.pointer,
            Int32(PcapSource.most),
            PcapSource.keep,
            UnsafeMutableRawPointer(arrivals).assumingMemoryBound(to: UInt8.self)
        )
        if arrivals.pointee.end > 0 { return wake(arrivals.pointee.end) }
        if n >= 0 { return look() }
        // It went away under libpcap, which does not follow it.
        guard index != nil else {
            trouble = InterfaceError(interface: name, reason: handle.words)
            return
        }
        noteOutage()
        _ = kernelDrops
        self.handle = nil
        look()
    }

    /// Copies a packet.
    private static let keep: pcap_handler = { user, header, bytes in
        guard let user, let header = header?.pointee, let bytes else { return }
        let arrivals = UnsafeMutableRawPointer(user).assumingMemoryBound(to: Arrivals.self)
        let length = min(Int(header.caplen), PcapHandle.longest)
        let start = arrivals.pointee.memory + arrivals.pointee.used
        start.copyMemory(from: bytes, byteCount: length)
        arrivals.pointee.used &+= (length &+ alignment &- 1) & ~(alignment &- 1)
        arrivals.pointee.frames[arrivals.pointee.end] = Frame(
            data: start,
            length: UInt32(length),
            wireLength: max(header.len, UInt32(length)),
            stamp: Int64(header.ts.tv_sec) &* 1_000_000_000 &+ Int64(header.ts.tv_usec) &* arrivals.pointee.fraction
        )
        arrivals.pointee.end &+= 1
    }

    /// Looks now and then whether a silent interface is there, and opens it again when it was made anew.
    private func look() {
        guard let index, clock.now >= lookAt else { return }
        lookAt = clock.now + PcapSource.interval
        guard let interface = try? Interface(name), interface.isUp else { return noteOutage() }
        if handle != nil, interface.index == index { return noteReturn() }
        noteOutage()
        do throws(InterfaceError) {
            let handle = try PcapHandle(name, options, isPrompt: isPrompt)
            guard handle.linkType == linkType else {
                throw InterfaceError(interface: name, reason: "has come back with frames of another kind")
            }
            clock.watch(handle.descriptor, insteadOf: descriptor)
            (self.handle, self.index, descriptor) = (handle, interface.index, handle.descriptor)
            noteReturn()
        } catch {
            // It may be there, but not ready yet.
            if error.kind != .missing, error != .down(name) { trouble = error }
        }
    }
}
