// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import SpillwayTesting

/// A packet of `length` bytes on the wire at `time`.
func emptyPacket(_ time: Int64, length: Int = 100) -> ElementHarness.Packet {
    ElementHarness.Packet(bytes: Array(repeating: 0, count: min(length, 64)), wireLength: length, time: time)
}
