// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The two ends of a flow, as in its forward packets. Both addresses are of one IP version.
public struct FlowEnds: Equatable, Sendable, BitwiseCopyable {
    /// Source of the forward direction.
    public var source: IPAddress
    /// Destination of the forward direction.
    public var destination: IPAddress
    /// The source port; 0 for protocols without ports.
    public var sourcePort: UInt16
    /// The destination port; 0 for protocols without ports.
    public var destinationPort: UInt16
    /// The protocol number after IP.
    public var proto: UInt8

    public init(
        source: IPAddress,
        destination: IPAddress,
        sourcePort: UInt16,
        destinationPort: UInt16,
        proto: UInt8
    ) {
        self.source = source
        self.destination = destination
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.proto = proto
    }
}
