// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// EtherTypes, which identify the content of a frame (IEEE 802 registration authority).
public enum EtherType {
    /// IPv4 (RFC 894).
    @inlinable @inline(__always) public static var ipv4: UInt16 { 0x0800 }
    /// ARP (RFC 826).
    @inlinable @inline(__always) public static var arp: UInt16 { 0x0806 }
    /// IPv6 (RFC 2464).
    @inlinable @inline(__always) public static var ipv6: UInt16 { 0x86dd }
    /// A VLAN tag (IEEE 802.1Q).
    @inlinable @inline(__always) public static var vlan: UInt16 { 0x8100 }
    /// A service VLAN tag, outside other tags (IEEE 802.1ad, QinQ).
    @inlinable @inline(__always) public static var serviceVLAN: UInt16 { 0x88a8 }

    /// Whether a VLAN tag follows: 802.1Q, 802.1ad, and the types 0x9100 and 0x9200 that predate 802.1ad.
    @inlinable @inline(__always)
    public static func isTag(_ type: UInt16) -> Bool {
        type == vlan || type == serviceVLAN || type == 0x9100 || type == 0x9200
    }
}

/// IP protocol numbers (https://www.iana.org/assignments/protocol-numbers).
public enum IPProtocol {
    /// ICMP for IPv4 (RFC 792).
    @inlinable @inline(__always) public static var icmp: UInt8 { 1 }
    /// TCP (RFC 9293).
    @inlinable @inline(__always) public static var tcp: UInt8 { 6 }
    /// UDP (RFC 768).
    @inlinable @inline(__always) public static var udp: UInt8 { 17 }
    /// ICMP for IPv6 (RFC 4443).
    @inlinable @inline(__always) public static var icmpV6: UInt8 { 58 }

    /// Whether the header begins with two ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
    @inlinable @inline(__always)
    public static func hasPorts(_ proto: UInt8) -> Bool {
        proto == 6 || proto == 17 || proto == 33 || proto == 132 || proto == 136
    }

    /// IPv6 hop-by-hop options (RFC 8200 section 4.3).
    @inlinable @inline(__always) public static var hopByHop: UInt8 { 0 }
    /// IPv6 routing header (RFC 8200 section 4.4).
    @inlinable @inline(__always) public static var routing: UInt8 { 43 }
    /// IPv6 fragment header (RFC 8200 section 4.5).
    @inlinable @inline(__always) public static var fragment: UInt8 { 44 }
    /// Authentication header (RFC 4302).
    @inlinable @inline(__always) public static var authentication: UInt8 { 51 }
    /// No next header (RFC 8200 section 4.7).
    @inlinable @inline(__always) public static var noNextHeader: UInt8 { 59 }
    /// IPv6 destination options (RFC 8200 section 4.6).
    @inlinable @inline(__always) public static var destinationOptions: UInt8 { 60 }
}
