// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A destination of bytes. Written to from one thread.
public protocol ByteSink: AnyObject {
    /// Takes all bytes, or throws.
    func write(_ bytes: UnsafeRawBufferPointer) throws
    /// Hands on what is buffered.
    func flush() throws
}

/// Where the packets of a wire go.
public protocol PacketDestination: AnyObject {
    /// Writes one packet, stamped with the item's functional time.
    func write(_ item: Packet) throws
    /// Writes the packets of a batch, in order, up to the first that fails.
    func write(_ batch: Batch) throws
    /// Completes what was written.
    func close() throws
}

extension PacketDestination {
    public func write(_ batch: Batch) throws { for k in 0..<batch.count { try write(batch[k]) } }
}
