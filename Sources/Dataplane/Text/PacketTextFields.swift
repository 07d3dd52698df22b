// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

extension PacketText {
    /// The most bytes of a packet's data among its fields.
    public static let shownData = 48

    /// The fields of a packet, for programs: named as the words of its text, with ends as in records.
    public static func fields(_ item: Packet) -> [(name: String, value: FieldValue)] {
        PacketFields(item.bytes, linkType: item.linkType, wireLength: item.wireLength).values
    }
}

extension PacketFields {
    fileprivate var values: [(name: String, value: FieldValue)] {
        var out: [(name: String, value: FieldValue)] = []
        func add<T>(_ name: String, _ value: T?, _ make: (T) -> FieldValue) {
            if let value { out.append((name, make(value))) }
        }
        func number<T: UnsignedInteger>(_ name: String, _ value: T?) { add(name, value) { .number(UInt64($0)) } }
        switch transport {
        case .tcp: add("proto", "tcp") { .text($0) }
        case .udp: add("proto", "udp") { .text($0) }
        case .icmp: add("proto", "icmp") { .text($0) }
        case .arp: add("proto", "arp") { .text($0) }
        case .number(let number): add("proto", number) { .text(String($0)) }
        case nil: break
        }
        add("src", source) { .text($0.description) }
        add("dst", destination) { .text($0.description) }
        number("sport", sourcePort)
        number("dport", destinationPort)
        add("flags", flags) { bits in
            .text(String(unsafeUninitializedCapacity: 8) { writeFlags(bits, to: $0.baseAddress!) })
        }
        number("seq", seq)
        number("ack", ack)
        number("win", window)
        number("urg", urgent)
        number("mss", mss)
        number("wscale", windowScale)
        add("sack", sackPermitted) { .boolean($0) }
        add("ts", timestamps) { .numbers([UInt64($0.value), UInt64($0.echo)]) }
        add("blocks", blocks) { .numbers($0.flatMap { [UInt64($0.left), UInt64($0.right)] }) }
        number("type", icmpType)
        number("code", icmpCode)
        number("rest", icmpRest)
        number("op", arpOperation)
        number("ttl", ttl)
        number("tos", tos)
        number("id", id)
        add("df", dontFragment) { .boolean($0) }
        add("frag", fragment) { .number(UInt64($0.offset)) }
        add("more_frags", fragment) { .boolean($0.more) }
        number("iplen", claimedLength)
        add("len", length) { .number(UInt64($0)) }
        add("data", data) { .text(PacketFields.shown($0.prefix(PacketText.shownData))) }
        add("data_is_cut", data) { .boolean($0.count > PacketText.shownData) }
        add("vlan", vlans) { .numbers($0.map(UInt64.init)) }
        add("smac", sourceMAC) { .text(PacketFields.mac($0)) }
        add("dmac", destinationMAC) { .text(PacketFields.mac($0)) }
        number("ether", etherType)
        add("badcsum", badChecksum) { .boolean($0) }
        add("badipcsum", badIPChecksum) { .boolean($0) }
        add("trunc", captured) { .number(UInt64($0)) }
        add("hex", hex) { .text($0.prefix(2 * PacketText.shownData).map(PacketFields.hexadecimal).joined()) }
        return out
    }
}
