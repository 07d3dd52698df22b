// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Writes the packets sent by a wire to a capture file: pcapng if the name ends in `.pcapng`, otherwise pcap with nanosecond
/// timestamps; compressed with gzip if `.gz` follows.
public final class CaptureWriter: PacketDestination {
    @exclusivity(unchecked) private var encoder: CaptureEncoder
    private let path: String

    /// Creates the file at once, so that a wrong path is reported before anything runs; `-` is standard output.
    public init(path: String) throws {
        self.path = path
        encoder = CaptureEncoder(format: CaptureWriter.format(of: path), sink: try FileSink.open(path))
    }

    /// The capture format for a file of this name.
    public static func format(of path: String) -> CaptureFormat { CaptureFormat(ofFile: path) }

    public func write(_ item: Packet) throws {
        do {
            try encoder.write(item)
        } catch let error as CaptureEncoderError {
            // The packets before it are whole.
            try encoder.finish()
            throw OutputError(file: path, reason: error.reason, code: error.code)
        }
    }

    public func flush() throws { try encoder.sync() }

    /// Completes the file; one without packets is still a valid capture.
    public func close() throws { try encoder.finish() }
}
