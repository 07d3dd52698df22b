// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// What a frame is to whoever resolves IPv4 addresses: no ARP, ARP that cannot be used, or a message about IPv4 over Ethernet.
enum ARPMessage {
    case other
    case bad(Fault)
    case message(ARPView)

    /// What is wrong with a message by itself.
    enum Fault: CaseIterable {
        /// The frame ends within it.
        case truncated
        /// Not about Ethernet addresses, by type or length.
        case hardware
        /// Not about IPv4 addresses, by type or length.
        case proto
        /// Its sender is a group of stations or hosts.
        case sender

        /// One phrase about it, for drop reasons.
        var about: String {
            switch self {
            case .truncated: "the frame ends within the ARP message"
            case .hardware: "the ARP message is not about Ethernet addresses of 6 bytes"
            case .proto: "the ARP message is not about IPv4 addresses of 4 bytes"
            case .sender: "the ARP message says that its sender is a group, or on no network"
            }
        }
    }

    /// Looks at a packet; only Ethernet frames, with or without VLAN tags, hold such messages.
    init(_ p: Packet) {
        // The address lengths decide where the message ends, so what fails there says why only with all 8 bytes of them.
        guard let content = EthernetView(p)?.content, content.etherType == EtherType.arp else {
            self = .other
            return
        }
        guard let base = content.bytes.baseAddress, content.bytes.count >= 8 else {
            self = .bad(.truncated)
            return
        }
        let fixed = ARPView(base, content.bytes.count)
        guard fixed.hardwareType == 1, fixed.hardwareLength == 6 else {
            self = .bad(.hardware)
            return
        }
        guard fixed.protocolType == EtherType.ipv4, fixed.protocolLength == 4 else {
            self = .bad(.proto)
            return
        }
        guard let message = ARPView(content.bytes) else {
            self = .bad(.truncated)
            return
        }
        // A reply would go to a whole group; a sender without address, which probes for one, is all right (RFC 5227).
        let sender = IPAddress(v4: message.base.be32(14))
        guard EthernetAddress(message.base, 8).isUnicast, sender.isUnspecified || sender.isUsableSource else {
            self = .bad(.sender)
            return
        }
        self = .message(message)
    }
}
