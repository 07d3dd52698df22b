// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

@Suite struct NeighbourViewTests {
    @Test func whatIsWrittenIsRead() throws {
        var bytes = [UInt8](repeating: 0xa5, count: 34)
        try bytes.withUnsafeMutableBytes { bytes in
            let station = EthernetAddress(0x0200_0000_0007)
            let message = try #require(
                MutableNeighbourView(writing: bytes, type: NeighbourView.advertisement, ethernet: station)
            )
            message.target = IPAddress("2001:db8::1")!
            message.isSolicited = true
            message.overrides = true
            message.isRouter = true
            message.isRouter = false
            let view = try #require(NeighbourView(UnsafeRawBufferPointer(rebasing: bytes[..<32])))
            #expect(view.type == 136 && view.code == 0 && !view.isRouter && view.isSolicited && view.overrides)
            #expect(view.target == message.target && view.target == IPAddress("2001:db8::1"))
            #expect(view.ethernet(NeighbourOption.target) == station && view.ethernet(NeighbourOption.source) == nil)
        }
        #expect(bytes[4...7] == [0x60, 0, 0, 0] && bytes[32...] == [0xa5, 0xa5])
    }

    @Test(
        arguments: [
            ([], 0, false), ([1, 1, 0, 0, 0, 0, 0, 1], 1, false), ([1, 1, 0, 0, 0, 0, 0], 0, true),
            ([1, 0, 0, 0, 0, 0, 0, 1], 0, true), ([1, 2, 0, 0, 0, 0, 0, 1], 0, true),
            ([1, 1, 0, 0, 0, 0, 0, 1, 9, 255, 0, 0, 0, 0, 0, 1], 1, true),
            ([9, 2, 0, 0, 0, 0, 0, 1, 9, 255, 0, 0, 0, 0, 0, 1], 1, false),
        ] as [([UInt8], Int, Bool)]
    )
    func options(_ options: [UInt8], _ count: Int, _ isMalformed: Bool) throws {
        let bytes = [135] + [UInt8](repeating: 0, count: 23) + options
        try bytes.withUnsafeBytes { bytes in
            var found = try #require(NeighbourView(bytes)).options
            var all = 0
            while found.next() != nil { all += 1 }
            #expect(all == count && found.isMalformed == isMalformed)
        }
    }

    @Test func otherBytesAreNone() {
        for bytes in [[UInt8](repeating: 135, count: 23), [UInt8](repeating: 134, count: 24)] {
            #expect(bytes.withUnsafeBytes { NeighbourView($0) == nil })
        }
    }
}
