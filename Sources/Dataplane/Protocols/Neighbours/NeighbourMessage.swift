// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// What a packet is to whoever resolves IPv6 addresses: another packet, or a message of neighbour discovery, to be checked by
/// ``fault(_:)`` before its words are believed.
struct NeighbourMessage {
    let ip: IPv6View
    let message: NeighbourView
    /// Extension headers stand before it.
    let isExtended: Bool

    /// What is wrong with a message by itself (RFC 4861 sections 7.1.1 and 7.1.2).
    enum Fault: CaseIterable {
        /// The capture ends within it.
        case truncated
        /// Shorter than its fixed fields.
        case short
        /// In a fragment, or with a fragment header (RFC 6980).
        case fragment
        /// It came through a router, so it may be anybody's.
        case hopLimit
        case checksum
        case code
        /// The target is a group.
        case target
        /// An option without length, or longer than the message.
        case option
        /// Who has no address yet asks one host, or says where it is; or an answer to all says that it answers one.
        case probe
        /// Its source is a group, or its link-layer address is one.
        case sender

        /// One phrase about it, for drop reasons.
        var about: String {
            switch self {
            case .truncated: "the capture ends within the message of neighbour discovery"
            case .short: "the message of neighbour discovery is too short"
            case .fragment: "the message of neighbour discovery has a fragment header (RFC 6980)"
            case .hopLimit: "its hop limit is not 255, so it is not from this link"
            case .checksum: "its ICMPv6 checksum is wrong"
            case .code: "its ICMPv6 code is not 0"
            case .target: "the address it is about is a group"
            case .option: "one of its options has no length, or is longer than the message"
            case .probe: "its source, destination and options contradict each other"
            case .sender: "its source, or the link-layer address in it, is a group"
            }
        }
    }

    /// What a packet holds.
    enum Kind {
        case other
        /// A message of neighbour discovery so short, or cut off, that its target cannot be read.
        case bad(Fault)
        case message(NeighbourMessage)
    }

    /// Looks at a packet: IPv6 right behind an Ethernet header with or without VLAN tags.
    static func find(_ p: Packet) -> Kind {
        guard p.linkType == LinkType.ethernet, p.hasIP(), p.ipVersion == 6, p.ipProtocol == IPProtocol.icmpV6,
            !p.isLaterFragment, EthernetView(p)?.content?.etherType == EtherType.ipv6, let ip = IPv6View(p)
        else { return .other }
        let bytes = p.bytesOfIP(from: p.l4)
        guard let type = bytes.first, type == NeighbourView.solicitation || type == NeighbourView.advertisement else {
            return .other
        }
        guard let message = NeighbourView(bytes) else { return .bad(p.length < p.ipEnd ? .truncated : .short) }
        if p.length < p.ipEnd { return .bad(.truncated) }
        return .message(
            NeighbourMessage(ip: ip, message: message, isExtended: Int(p.l4) - Int(p.l3) != IPv6View.size)
        )
    }

    /// What is wrong with the message; nil if it is valid. Everything is read for it, also for the checksum.
    func fault() -> Fault? {
        if isExtended, ip.extensions.contains(where: { $0.kind == IPProtocol.fragment }) { return .fragment }
        if ip.hopLimit != 255 { return .hopLimit }
        let icmp = ICMPView(message.base, message.count)
        if !icmp.isChecksumRight(ip.addressSum) { return .checksum }
        if message.code != 0 { return .code }
        if message.target.isMulticast { return .target }
        var options = message.options
        while options.next() != nil {}
        if options.isMalformed { return .option }
        if ip.source.isMulticast { return .sender }
        if message.type == NeighbourView.solicitation {
            let ethernet = message.ethernet(NeighbourOption.source)
            if ip.source.isUnspecified {
                // The group of the target, and no word on where it is: it must not be believed yet.
                if ip.destination != message.target.solicitedNode || ethernet != nil { return .probe }
            } else if let ethernet, !ethernet.isUnicast {
                return .sender
            }
        } else {
            if ip.destination.isMulticast, message.isSolicited { return .probe }
            if let ethernet = message.ethernet(NeighbourOption.target), !ethernet.isUnicast { return .sender }
        }
        return nil
    }

    /// The bytes of a message with its IPv6 header.
    static let size = IPv6View.size + MutableNeighbourView.sizeWithEthernet

    /// Writes a message with its IPv6 header, and the Ethernet address of its sender, to ``size`` bytes; `fill` sets the flags of an
    /// advertisement.
    static func write(
        _ bytes: UnsafeMutableRawBufferPointer,
        type: UInt8,
        from source: IPAddress,
        to destination: IPAddress,
        about target: IPAddress,
        ethernet: EthernetAddress,
        fill: (MutableNeighbourView) -> Void = { _ in }
    ) {
        precondition(bytes.count == size, "a message of neighbour discovery has one size")
        let content = UnsafeMutableRawBufferPointer(rebasing: bytes[IPv6View.size...])
        guard let ip = MutableIPv6View(writing: bytes),
            let message = MutableNeighbourView(writing: content, type: type, ethernet: ethernet),
            let icmp = MutableICMPView(content)
        else { return }
        ip.payloadLength = UInt16(content.count)
        ip.nextHeader = IPProtocol.icmpV6
        ip.hopLimit = 255
        ip.source = source
        ip.destination = destination
        message.target = target
        fill(message)
        icmp.fillChecksum(ip.view.addressSum)
    }
}
