// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

@Suite struct ItemTests {
    @Test func settingAnItemInHalvesSetsAllOfIt() {
        #expect(MemoryLayout<Item>.size == 64 && MemoryLayout<Item>.offset(of: \.l3) == Item.tailOffset)
        let data = UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1)
        defer { data.deallocate() }
        let expected = Item(
            data: data,
            length: 3,
            wireLength: 4,
            time: 5,
            sequence: 6,
            linkType: 276,
            interface: 7
        )
        var item = Item(data: data, length: 9, wireLength: 9, time: 9, sequence: 9, linkType: 9, interface: 9)
        item.flow = FlowRef(index: 9, generation: 9)
        item.ipVersion = 4
        item.withPacket {
            $0.set(
                data: data,
                length: 3,
                wireLength: 4,
                time: 5,
                sequence: 6,
                tail: Item.tail(linkType: 276, interface: 7)
            )
        }
        withUnsafeBytes(of: expected) { a in withUnsafeBytes(of: item) { b in #expect(a.elementsEqual(b)) } }
    }

    /// What was joined has a size in place of a number.
    @Test func whatWasJoinedKnowsItsPieces() {
        let data = UnsafeMutableRawPointer(bitPattern: 64)!
        var item = Item(data: data, length: 1, wireLength: 1, time: 0, sequence: 0, linkType: 1, interface: 7)
        #expect(item.joined == .nothing && item.pieceSize == 0 && item.interface == 7)
        item.join(.segments, of: 1448)
        #expect(item.joined == .segments && item.pieceSize == 1448 && item.interface == 0)
    }
}
