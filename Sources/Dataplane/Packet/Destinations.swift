// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A destination of bytes, used by one thread.
public protocol ByteSink: AnyObject {
    /// Writes all bytes, or throws.
    func write(_ bytes: UnsafeRawBufferPointer) throws
    /// Flushes buffered bytes.
    func flush() throws
}

/// The reason for which a packet was not sent.
public enum SendFault: Int, CaseIterable, Sendable {
    /// What sends it had no room, and has had none for a while.
    case queueFull
    /// It is longer than the link takes.
    case tooLong
    /// Only a part of it was captured.
    case truncated
    /// Its outermost header is not the link's.
    case linkType
    /// The interface is down, or gone.
    case down
}

/// The destination of a wire's packets.
public protocol PacketDestination: AnyObject {
    /// Writes one packet, timestamped with the item's own time.
    func write(_ item: Packet) throws
    /// Writes the packets of a batch in order, up to the first that fails. Those that a link does not take are passed to `refused`.
    func write(_ batch: Batch, refused: (Int, SendFault) -> Void) throws
    /// Passes on what is buffered, in a run that goes on.
    func flush() throws
    /// Completes the output.
    func close() throws
}

extension PacketDestination {
    public func write(_ batch: Batch, refused: (Int, SendFault) -> Void) throws {
        for k in 0..<batch.count { try write(batch[k]) }
    }
    /// Nothing is buffered.
    public func flush() throws {}
}
