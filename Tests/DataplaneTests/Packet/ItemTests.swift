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
}
