// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Writes what a wire sends to a capture file: pcapng where the name ends in `.pcapng`, else pcap with nanosecond
/// stamps.
public final class CaptureWriter: PacketDestination {
    @exclusivity(unchecked) private var encoder: CaptureEncoder
    private let path: String

    /// Creates the file at once, so that a wrong path is told before anything runs; `-` is standard output.
    public init(path: String) throws {
        self.path = path
        encoder = CaptureEncoder(format: CaptureWriter.format(of: path), sink: try FileSink(path))
    }

    /// The format in which a file of this name is written.
    public static func format(of path: String) -> CaptureFormat { path.hasSuffix(".pcapng") ? .pcapng : .pcap }

    public func write(_ item: Packet) throws {
        do {
            try encoder.write(item)
        } catch let error as CaptureEncoderError {
            throw OutputError(file: path, reason: error.reason, code: error.code)
        }
    }

    /// Completes the file; one without packets is a valid capture too.
    public func close() throws { try encoder.finish() }
}
