// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

@testable import Dataplane

/// Something that is fuzzed: a function that takes any bytes, and traps where something does not hold that must.
struct FuzzTarget: Sendable, CustomStringConvertible {
    let name: String
    let run: @Sendable (UnsafeRawBufferPointer) -> Void
    /// Inputs to begin with, by name; the files in Seeds are made of them.
    let seeds: [(name: String, bytes: [UInt8])]

    var description: String { name }

    static let all = [
        FuzzTarget(name: "reassembly", run: FuzzReassembly.run, seeds: FuzzReassembly.seeds),
        FuzzTarget(name: "defragmenter", run: FuzzDefragmenter.run, seeds: FuzzDefragmenter.seeds),
        FuzzTarget(name: "http", run: FuzzHTTP.run, seeds: FuzzHTTP.seeds),
        FuzzTarget(name: "tls", run: FuzzTLS.run, seeds: FuzzTLS.seeds),
        FuzzTarget(name: "options", run: FuzzOptions.run, seeds: FuzzOptions.seeds),
        FuzzTarget(name: "tunnels", run: FuzzTunnels.run, seeds: FuzzTunnels.seeds),
        FuzzTarget(name: "neighbours", run: FuzzNeighbours.run, seeds: FuzzNeighbours.seeds),
    ]
}

/// Traps, with words also in a release build, where `condition` does not hold.
@inline(__always)
func require(_ condition: Bool, _ message: @autoclosure () -> String = "it does not hold", line: UInt = #line) {
    if !condition { fatalError("\(message()), line \(line)") }
}

/// The bytes of an input, read from the front.
struct FuzzInput {
    private let bytes: UnsafeRawBufferPointer
    private var at = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isEmpty: Bool { at == bytes.count }

    /// The next byte; 0 behind the last.
    mutating func byte() -> Int {
        if isEmpty { return 0 }
        defer { at += 1 }
        return Int(bytes[at])
    }

    /// The next `count` bytes, or as many as there are.
    mutating func take(_ count: Int) -> UnsafeRawBufferPointer {
        let end = min(bytes.count, at + count)
        defer { at = end }
        return UnsafeRawBufferPointer(rebasing: bytes[at..<end])
    }
}

extension Int {
    /// Whether bit `number` is set.
    func bit(_ number: Int) -> Bool { self >> number & 1 != 0 }

    /// The choice among `values` that the two bits from `number` on name.
    func choice<T>(_ number: Int, _ values: (T, T, T, T)) -> T {
        switch self >> number & 3 {
        case 0: values.0
        case 1: values.1
        case 2: values.2
        default: values.3
        }
    }
}

/// What happened, in 64 bits.
struct FuzzTranscript: Equatable {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    mutating func add(_ number: some BinaryInteger) { value = mix64(value ^ UInt64(truncatingIfNeeded: number)) }

    /// Eight bytes at a time, as loops are instrumented.
    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var at = 0
        while at + 8 <= bytes.count {
            add(bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            at += 8
        }
        var last: UInt64 = 1
        while at < bytes.count {
            last = last << 8 | UInt64(bytes[at])
            at += 1
        }
        add(last)
    }

    /// The same however the bytes are divided among calls.
    mutating func add(bytesOfSome bytes: UnsafeRawBufferPointer) {
        for byte in bytes { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    }
}
