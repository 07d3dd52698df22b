// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// Compiles filters in pcap-filter syntax.
public enum FilterCompiler {
    /// A stand-in that refuses every filter.
    public static func compile(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? { nil }
}
