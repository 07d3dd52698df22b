// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// What changes in the headers of a frame that is cut.
enum Frames {
    /// Whether IP comes right behind the link header and VLAN tags: what else may stand there has lengths too.
    static func isBare(_ p: Packet) -> Bool {
        guard p.linkType == LinkType.ethernet else { return p.l3 == 0 }
        let type = (p.networkHeader - 2).loadUnaligned(as: UInt16.self).bigEndian
        return type == (p.ipVersion == 4 ? EtherType.ipv4 : EtherType.ipv6)
    }

    /// The payload bytes of the segments or datagrams that were joined to a packet; 0 if none were, or those of a tunnel in it.
    static func segmentSize(_ p: Packet) -> Int {
        switch p.joined {
        case .segments where p.ipProtocol == IPProtocol.tcp, .datagrams where p.ipProtocol == IPProtocol.udp:
            Int(p.pieceSize)
        default: 0
        }
    }

    /// The place of the checksum in the transport header; nil if it is none that hosts leave to their cards.
    static func checksumField(_ p: Packet) -> Int? {
        switch p.ipProtocol {
        case IPProtocol.tcp: 16
        case IPProtocol.udp: 6
        default: nil
        }
    }

    /// Sets the lengths in the headers; `end` is that of the frame.
    static func setLengths(_ start: UnsafeMutableRawPointer, _ p: Packet, end: Int) {
        let ip = start + Int(p.l3)
        if p.ipVersion == 4 {
            (ip + 2).storeBytes(of: UInt16(truncatingIfNeeded: end - Int(p.l3)).bigEndian, as: UInt16.self)
        } else {
            (ip + 4).storeBytes(of: UInt16(truncatingIfNeeded: end - Int(p.l3) - 40).bigEndian, as: UInt16.self)
        }
    }

    /// Fills in the checksum of an IPv4 header of so many bytes.
    static func sumHeader(_ ip: UnsafeMutableRawPointer, _ count: Int) {
        (ip + 10).storeBytes(of: 0, as: UInt16.self)
        (ip + 10).storeBytes(of: Checksum.field(Checksum.sum(ip, count)), as: UInt16.self)
    }

    /// Fills in the transport checksum of a frame that ends at `end`.
    static func sum(_ start: UnsafeMutableRawPointer, _ p: Packet, end: Int) {
        guard let field = checksumField(p) else { return }
        let place = start + Int(p.l4) + field
        place.storeBytes(of: checksum(start, p, field: field, end: end), as: UInt16.self)
    }

    /// The transport checksum of a frame that ends at `end`, as it is stored, whatever is in its field.
    static func checksum(_ start: UnsafeRawPointer, _ p: Packet, field: Int, end: Int) -> UInt16 {
        let l4 = Int(p.l4)
        // The sum of a word and its complement is zero.
        let old = (start + l4 + field).loadUnaligned(as: UInt16.self)
        let sum = pseudoHeader(start, p, end: end) &+ Checksum.sum(start + l4, end - l4) &+ UInt64(~old)
        let value = Checksum.field(sum)
        // RFC 768: 0 would say that there is none.
        return value == 0 && p.ipProtocol == IPProtocol.udp ? 0xffff : value
    }

    /// The sum of the pseudo-header of a frame that ends at `end`.
    static func pseudoHeader(_ start: UnsafeRawPointer, _ p: Packet, end: Int) -> UInt64 {
        let (at, size) = p.ipVersion == 4 ? (12, 8) : (8, 32)
        let addresses = start + Int(p.l3) + at
        return Checksum.pseudoHeader(addresses: addresses, size, proto: p.ipProtocol, length: end - Int(p.l4))
    }
}
