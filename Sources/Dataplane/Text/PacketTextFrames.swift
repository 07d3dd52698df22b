// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

// MARK: Fields to bytes

extension PacketFields {
    /// Builds the Ethernet frame with these fields.
    func frame() throws(PacketText.Failure) -> PacketText.Frame {
        func failure(_ message: String) -> PacketText.Failure { PacketText.Failure(message: message, offset: 0) }
        var frame: [UInt8]
        if let hex {
            frame = hex
        } else {
            var type: UInt16
            var content: [UInt8]
            if let etherType {
                type = etherType
                content = payload
            } else {
                guard let source, let destination else {
                    throw failure("a packet needs a source and a destination address")
                }
                if transport == .arp {
                    guard source.version == 4 else { throw failure("ARP is for IPv4 addresses") }
                    type = 0x0806
                    content = arp(source, destination)
                } else {
                    type = source.version == 4 ? 0x0800 : 0x86dd
                    content = try ip(source, destination)
                }
            }
            frame = (destinationMAC ?? [2, 0, 0, 0, 0, 2]) + (sourceMAC ?? [2, 0, 0, 0, 0, 1])
            for (k, vlan) in (vlans ?? []).enumerated() {
                frame.put(UInt16(k == vlans!.count - 1 ? 0x8100 : 0x88a8))
                frame.put(vlan)
            }
            frame.put(type)
            frame += content
        }
        let wireLength = frame.count
        if let captured, captured < frame.count { frame.removeLast(frame.count - captured) }
        return PacketText.Frame(bytes: frame, wireLength: wireLength, time: time)
    }

    private var payload: [UInt8] {
        var payload = data ?? []
        while payload.count < length ?? 0 { payload.append(PacketFields.filler(payload.count)) }
        return payload
    }

    private func arp(_ source: IPAddress, _ destination: IPAddress) -> [UInt8] {
        // RFC 826: hardware type Ethernet, protocol IPv4, address lengths, operation, both ends.
        var bytes: [UInt8] = [0, 1, 8, 0, 6, 4]
        bytes.put(arpOperation ?? UInt16(1))
        bytes += (sourceMAC ?? [2, 0, 0, 0, 0, 1]) + source.bytes
        bytes +=
            (arpOperation ?? 1 == 1 ? Array(repeating: 0, count: 6) : destinationMAC ?? [2, 0, 0, 0, 0, 2])
            + destination.bytes
        return bytes
    }

    private func ip(_ source: IPAddress, _ destination: IPAddress) throws(PacketText.Failure) -> [UInt8] {
        func failure(_ message: String) -> PacketText.Failure { PacketText.Failure(message: message, offset: 0) }
        let addresses = source.bytes + destination.bytes
        let isV4 = source.version == 4
        let proto: UInt8
        var content: [UInt8]
        switch transport ?? .tcp {
        case .tcp: (proto, content) = (6, tcp())
        case .udp: (proto, content) = (17, udp())
        case .icmp: (proto, content) = (isV4 ? 1 : 58, icmp(isV4))
        case .number(let number): (proto, content) = (number, [])
        case .arp: (proto, content) = (0, [])
        }
        let fragment = fragment ?? Fragment(offset: 0, more: false)
        if fragment.offset > 0 {
            content = []
        } else if [6, 17].contains(proto), sourcePort == nil || destinationPort == nil {
            throw failure("a packet needs ports, or 'icmp', 'arp' or 'proto='")
        }
        content += payload
        guard content.count + 60 <= 65535 else { throw failure("the packet does not fit in 65535 bytes") }
        if let place = checksumPlace(proto), fragment.offset == 0 {
            let pseudo = proto == 1 ? 0 : PacketFields.pseudoHeader(addresses, proto, content.count)
            var sum = PacketFields.checksum(content, pseudo)
            // RFC 768: a computed zero is sent as all ones, since zero means that there is none.
            if sum == 0, proto == 17 { sum = 0xffff }
            content.set(badChecksum == true ? PacketFields.spoiled(sum) : sum, at: place)
        }
        var header: [UInt8]
        if isV4 {
            header = [0x45, tos ?? 0]
            header.put(claimedLength ?? UInt16(20 + content.count))
            header.put(id ?? 0)
            header.put(
                UInt16(fragment.offset / 8) | (fragment.more ? 0x2000 : 0) | (dontFragment == true ? 0x4000 : 0)
            )
            header += [ttl ?? 64, proto, 0, 0] + addresses
            let sum = PacketFields.checksum(header, 0)
            header.set(badIPChecksum == true ? PacketFields.spoiled(sum) : sum, at: 10)
        } else {
            let isFragment = self.fragment != nil
            let class_ = tos ?? 0
            header = [0x60 | class_ >> 4, class_ << 4, 0, 0]
            header.put(claimedLength ?? UInt16(content.count + (isFragment ? 8 : 0)))
            header += [isFragment ? 44 : proto, ttl ?? 64] + addresses
            if isFragment {
                header += [proto, 0]
                header.put(UInt16(fragment.offset) | (fragment.more ? 1 : 0))
                header += [0, 0]
                header.put(id ?? 0)
            }
        }
        return header + content
    }

    private func tcp() -> [UInt8] {
        var options: [UInt8] = []
        if let mss {
            options += [2, 4]
            options.put(mss)
        }
        if sackPermitted == true { options += [4, 2] }
        if let timestamps {
            options += [8, 10]
            options.put(timestamps.value)
            options.put(timestamps.echo)
        }
        if let windowScale { options += [3, 3, windowScale] }
        if let blocks, !blocks.isEmpty {
            options += [5, UInt8(2 + 8 * blocks.count)]
            for block in blocks {
                options.put(block.left)
                options.put(block.right)
            }
        }
        while options.count % 4 != 0 { options.append(1) }
        var header: [UInt8] = []
        header.put(sourcePort ?? 0)
        header.put(destinationPort ?? 0)
        header.put(seq ?? 0)
        header.put(ack ?? 0)
        header += [UInt8(truncatingIfNeeded: (20 + options.count) * 4), flags ?? 0x10]
        header.put(window ?? 65535)
        header += [0, 0]
        header.put(urgent ?? 0)
        return header + options
    }

    private func udp() -> [UInt8] {
        var header: [UInt8] = []
        header.put(sourcePort ?? 0)
        header.put(destinationPort ?? 0)
        header.put(UInt16(truncatingIfNeeded: 8 + payload.count))
        return header + [0, 0]
    }

    private func icmp(_ isV4: Bool) -> [UInt8] {
        var header: [UInt8] = [icmpType ?? (isV4 ? 8 : 128), icmpCode ?? 0, 0, 0]
        header.put(icmpRest ?? UInt32(0))
        return header
    }
}

private func checksumPlace(_ proto: UInt8) -> Int? {
    switch proto {
    case 6: 16
    case 17: 6
    case 1, 58: 2
    default: nil
    }
}

extension PacketFields {
    /// The sum of the pseudo-header over both addresses.
    private static func pseudoHeader(_ addresses: [UInt8], _ proto: UInt8, _ length: Int) -> UInt64 {
        addresses.withUnsafeBytes {
            Checksum.pseudoHeader(addresses: $0.baseAddress!, addresses.count, proto: proto, length: length)
        }
    }

    /// The checksum field for `bytes`, whose own field is zero, in network order.
    private static func checksum(_ bytes: [UInt8], _ more: UInt64) -> UInt16 {
        bytes.withUnsafeBytes { UInt16(bigEndian: Checksum.field(Checksum.sum($0.baseAddress!, bytes.count) &+ more)) }
    }

    /// A wrong checksum that is not zero, by which UDP says that there is none.
    private static func spoiled(_ sum: UInt16) -> UInt16 { sum ^ 0x0100 == 0 ? 0x0200 : sum ^ 0x0100 }
}

extension [UInt8] {
    fileprivate mutating func put(_ n: UInt16) {
        self += [UInt8(truncatingIfNeeded: n >> 8), UInt8(truncatingIfNeeded: n)]
    }
    fileprivate mutating func put(_ n: UInt32) {
        put(UInt16(truncatingIfNeeded: n >> 16))
        put(UInt16(truncatingIfNeeded: n))
    }
    fileprivate mutating func set(_ n: UInt16, at place: Int) {
        self[place] = UInt8(truncatingIfNeeded: n >> 8)
        self[place + 1] = UInt8(truncatingIfNeeded: n)
    }
}

extension IPAddress {
    /// The address in network order, 4 or 16 bytes.
    fileprivate var bytes: [UInt8] {
        let words = version == 4 ? [low << 32] : [high, low]
        let all = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) } }
        return version == 4 ? Array(all[..<4]) : all
    }
}

// MARK: Bytes to fields

extension PacketFields {
    /// The fields of a packet, as far as they can be determined; accepts any bytes.
    init(_ bytes: UnsafeRawBufferPointer, linkType: UInt16, wireLength: UInt32) {
        if bytes.count < wireLength { captured = bytes.count }
        guard let base = bytes.baseAddress, bytes.count > 0 else {
            hex = []
            return
        }
        var item = Item(
            data: UnsafeMutableRawPointer(mutating: base),
            length: UInt32(truncatingIfNeeded: bytes.count),
            wireLength: wireLength,
            time: 0,
            sequence: 0,
            linkType: linkType,
            interface: 0
        )
        item.withPacket { read($0) }
    }

    private mutating func read(_ p: Packet) {
        let bytes = p.bytes
        let status = Headers.locate(p)
        var content: (etherType: UInt16, bytes: UnsafeRawBufferPointer)?
        if let ethernet = EthernetView(p) {
            destinationMAC = ethernet.destination.octets
            sourceMAC = ethernet.source.octets
            content = ethernet.content
            if content != nil { vlans = ethernet.tags.map(\.identifier) }
        }
        if status == .ip {
            readIP(p)
        } else if let content {
            if content.etherType == EtherType.arp, let arp = ARPView(content.bytes), readARP(arp) { return }
            etherType = content.etherType
            length = max(bytes.count, Int(p.wireLength)) - (bytes.count - content.bytes.count)
            data = Array(content.bytes)
        } else {
            destinationMAC = nil
            sourceMAC = nil
            hex = Array(bytes)
        }
    }

    private mutating func readARP(_ arp: ARPView) -> Bool {
        guard let sender = arp.senderIPv4, let target = arp.targetIPv4 else { return false }
        transport = .arp
        arpOperation = arp.operation
        source = sender
        destination = target
        return true
    }

    private mutating func readIP(_ p: Packet) {
        let isFragmented = p.isFragment
        var addressSum: UInt64 = 0
        if let ip = IPv4View(p) {
            addressSum = ip.addressSum
            source = ip.source
            destination = ip.destination
            claimedLength = ip.totalLength
            tos = ip.typeOfService
            id = ip.identification
            dontFragment = ip.dontFragment
            ttl = ip.timeToLive
            if isFragmented { fragment = Fragment(offset: ip.fragmentOffset, more: ip.moreFragments) }
            badIPChecksum = !ip.isChecksumRight
        } else if let ip = IPv6View(p) {
            addressSum = ip.addressSum
            source = ip.source
            destination = ip.destination
            claimedLength = ip.payloadLength
            tos = ip.trafficClass
            ttl = ip.hopLimit
            if isFragmented {
                for header in ip.extensions {
                    guard let found = header.fragment else { continue }
                    fragment = Fragment(offset: found.offset, more: found.more)
                    id = UInt16(truncatingIfNeeded: found.identification)
                }
            }
        }
        let end = Int(p.ipEnd)
        // Checksums can be verified only in complete packets.
        let isWhole = end <= p.length && !isFragmented
        switch p.ipProtocol {
        case IPProtocol.tcp:
            transport = .tcp
            if let tcp = TCPView(fixedPart: p) {
                readTCP(tcp)
                if isWhole { badChecksum = !tcp.isChecksumRight(addressSum) }
            }
        case IPProtocol.udp:
            transport = .udp
            if let udp = UDPView(p) {
                sourcePort = udp.sourcePort
                destinationPort = udp.destinationPort
                if isWhole { badChecksum = !udp.isChecksumRight(addressSum) }
            }
        case IPProtocol.icmp where p.ipVersion == 4, IPProtocol.icmpV6 where p.ipVersion == 6:
            transport = .icmp
            if let icmp = ICMPView(p) {
                icmpType = icmp.type
                icmpCode = icmp.code
                icmpRest = icmp.rest
                if isWhole {
                    badChecksum = !(p.ipVersion == 4 ? icmp.isChecksumRight : icmp.isChecksumRight(addressSum))
                }
            }
        default: transport = .number(p.ipProtocol)
        }
        let start = Int(p.payload)
        let bytes = p.bytes
        length = max(0, end - start)
        data = start < min(end, bytes.count) ? Array(bytes[start..<min(end, bytes.count)]) : []
    }

    private mutating func readTCP(_ tcp: TCPView) {
        sourcePort = tcp.sourcePort
        destinationPort = tcp.destinationPort
        seq = tcp.sequenceNumber
        ack = tcp.acknowledgmentNumber
        flags = tcp.flags.rawValue
        window = tcp.window
        urgent = tcp.urgentPointer
        mss = tcp.mss
        windowScale = tcp.windowScale
        if tcp.sackPermitted { sackPermitted = true }
        timestamps = tcp.timestamps.map { Timestamps(value: $0.value, echo: $0.echo) }
        let sackBlocks = tcp.sackBlocks
        if sackBlocks.count > 0 { blocks = sackBlocks.map { Block(left: $0.left, right: $0.right) } }
    }
}

// MARK: Fields to text

extension PacketFields {
    /// The text form, without values that building would choose by default.
    func text(maximumData: Int, naming named: PacketFields = PacketFields()) -> String {
        let maximumData = max(maximumData, named.data?.count ?? 0, named.hex?.count ?? 0)
        var words: [String] = []
        func add<T: Equatable>(
            _ key: String,
            _ path: KeyPath<PacketFields, T?>,
            unless usual: T? = nil,
            _ write: (T) -> String = { "\($0)" }
        ) {
            guard let value = self[keyPath: path], value != usual || named[keyPath: path] != nil else { return }
            words.append("\(key)=\(write(value))")
        }
        if let source, let destination {
            words += [PacketFields.end(source, sourcePort), ">", PacketFields.end(destination, destinationPort)]
        }
        switch transport {
        case .tcp where flags == nil: words.append("tcp")
        case .udp: words.append("udp")
        case .icmp: words.append("icmp")
        case .arp: words.append("arp")
        case .number(let number): words.append("proto=\(number)")
        case .tcp, nil: break
        }
        if let flags {
            words.append(
                flags == 0 ? "-" : String(unsafeUninitializedCapacity: 8) { writeFlags(flags, to: $0.baseAddress!) }
            )
        }
        add("seq", \.seq, unless: 0)
        add("ack", \.ack, unless: 0)
        add("win", \.window, unless: 65535)
        add("urg", \.urgent, unless: 0)
        add("mss", \.mss)
        if sackPermitted == true { words.append("sack") }
        add("ts", \.timestamps) { "\($0.value)/\($0.echo)" }
        add("wscale", \.windowScale)
        add("blocks", \.blocks) { $0.map { "\($0.left)-\($0.right)" }.joined(separator: ",") }
        add("type", \.icmpType)
        add("code", \.icmpCode)
        add("rest", \.icmpRest, unless: 0)
        add("op", \.arpOperation)
        add("ttl", \.ttl, unless: 64)
        add("tos", \.tos, unless: 0)
        add("id", \.id, unless: 0)
        if dontFragment == true { words.append("df") }
        add("frag", \.fragment) { "\($0.offset)\($0.more ? "+" : "")" }
        add("vlan", \.vlans, unless: []) { $0.map { "\($0)" }.joined(separator: ",") }
        // `len` follows from it, so it is left out whatever it is.
        add("iplen", \.claimedLength, unless: claimedLength)
        let isOnlyEthernet = etherType != nil
        if isOnlyEthernet || named.sourceMAC != nil { add("smac", \.sourceMAC, PacketFields.mac) }
        if isOnlyEthernet || named.destinationMAC != nil { add("dmac", \.destinationMAC, PacketFields.mac) }
        add("ether", \.etherType) { "0x" + String($0, radix: 16) }
        add("len", \.length, unless: 0)
        if let data, named.data != nil || !data.enumerated().allSatisfy({ $1 == PacketFields.filler($0) }) {
            let isCut = data.count > maximumData
            words.append(
                "data=\"" + PacketFields.shown(data.prefix(maximumData)) + (isCut ? "\"..." : "\"")
            )
        }
        if badIPChecksum == true { words.append("badipcsum") }
        if badChecksum == true { words.append("badcsum") }
        if let hex { words.append("hex=" + hex.prefix(2 * maximumData).map(PacketFields.hexadecimal).joined()) }
        add("trunc", \.captured)
        return words.joined(separator: " ")
    }

    private static func end(_ address: IPAddress, _ port: UInt16?) -> String {
        guard let port else { return address.description }
        return address.version == 4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }

    /// Bytes as between the quotation marks of `data`.
    static func shown(_ bytes: ArraySlice<UInt8>) -> String { bytes.map(escaped).joined() }

    static func mac(_ bytes: [UInt8]) -> String { bytes.map(hexadecimal).joined(separator: ":") }

    static func hexadecimal(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }

    private static func escaped(_ byte: UInt8) -> String {
        switch byte {
        case 0x0d: "\\r"
        case 0x0a: "\\n"
        case 0x09: "\\t"
        case 0: "\\0"
        case UInt8(ascii: "\""): "\\\""
        case UInt8(ascii: "\\"): "\\\\"
        case 0x20...0x7e: String(UnicodeScalar(byte))
        default: "\\x" + hexadecimal(byte)
        }
    }
}
