// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Passes well-formed IPv4 and IPv6 packets and drops all others, each with its reason.
///
/// Link headers are skipped (Ethernet and Linux cooked with VLAN tags, PPPoE and LLC/SNAP, raw IP, BSD loopback, PPP, Cisco HDLC;
/// MPLS labels before IP). The IP version, header length,
/// total length and, for IPv4, the header checksum (RFC 791, RFC 1071) must be correct. An IPv4 header that was not captured
/// completely cannot be checked and is dropped. With `checksum: count` packets with a wrong checksum are only counted: captures
/// taken at a sender often hold checksums that the NIC had yet to fill in. TCP and UDP checksums are not checked.
public final class IPCheck: Element {
    public struct Config: ElementConfig {
        /// A packet with a wrong IPv4 header checksum is dropped (`verify`), or passes and is counted (`count`).
        public enum Policy: String, CaseIterable, Sendable { case verify, count }
        /// How wrong IPv4 header checksums are handled.
        public var checksum = Policy.verify
        public init() {}
    }
    public enum Drop: Int, DropReason, HeaderDropReason {
        case linkType, notIp, truncated, badVersion, badHeaderLength, badLength, badChecksum
        public var about: String {
            switch self {
            case .badChecksum: "the IPv4 header checksum is wrong"
            default: aboutHeaders
            }
        }
    }
    public static let summary = "drops packets whose IP header is not right"
    public static let category = Category.checking
    public static let depends = Depends.item
    public static func inputs(_: Config) -> [Input] { [Input("in", .only(.packet), reads: .headers, "any packets")] }
    /// Packets, even if a stream comes in: headers are parsed again, which loses which payload bytes are new.
    public static func outputs(_: Config) -> [Output] { [Output("out", .kind(.packet), "IP packets")] }
    public static let parameters: [Parameter<Config>] = [
        .init("checksum", \.checksum, "drop packets with a wrong IPv4 header checksum, or only count them")
    ]
    public static let handlers = [
        Handler<IPCheck>("bad_checksums", "IPv4 packets with a wrong header checksum") { Int($0.badChecksums) }
    ]
    public static let operations: [Operation] = [.parse, .checksumBytes]
    public static let examples = [
        Example(
            "a good packet passes",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:80 S"]],
            out: ["out": ["10.0.0.1:1000 > 10.0.0.2:80 S"]]
        ),
        Example(
            "a wrong header checksum",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:80 S badipcsum"]],
            out: ["out": []],
            drops: ["bad_checksum": 1]
        ),
    ]

    private let verify: Bool
    private var badChecksums: UInt64 = 0

    public init(_ config: Config, _: Setup) {
        verify = config.checksum == .verify
        super.init()
    }

    /// Counts for a batch beyond those of the common case.
    private struct Tally {
        /// Start of the run of packets that have passed but not been emitted yet.
        var start = 0
        /// Bytes summed beyond 20 per packet; negative if fewer were.
        var extraSummed = 0
        var bad: UInt64 = 0
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        var tally = Tally()
        var k = IPCheck.firstUnusual(batch, from: 0)
        while k < batch.count {
            look(k, of: batch, &tally, context)
            k = IPCheck.firstUnusual(batch, from: k + 1)
        }
        context.emit(batch, from: tally.start, to: batch.count, 0)
        badChecksums &+= tally.bad
        context.did(.parse, batch.count)
        context.did(.checksumBytes, batch.count &* 20 &+ tally.extraSummed)
    }

    /// The first packet from `k` on that is not a common one with a correct checksum. A separate function: a loop without calls
    /// keeps its constants in registers.
    @inline(never)
    private static func firstUnusual(_ batch: Batch, from k: Int) -> Int {
        var k = k
        while k < batch.count {
            let p = batch[k]
            let data = p.data
            if !Headers.locateUsual(p) || !Checksum.isRight20(data + 14) { break }
            k &+= 1
        }
        return k
    }

    /// Checks packet `k` in full; if it fails, emits those before it and drops it.
    @inline(never)
    private func look(_ k: Int, of batch: Batch, _ tally: inout Tally, _ context: borrowing Context) {
        let (wrong, summed) = check(batch[k])
        tally.extraSummed += summed - 20
        if wrong == .badChecksum { tally.bad += 1 }
        guard let wrong, wrong != .badChecksum || verify else { return }
        context.emit(batch, from: tally.start, to: k, 0)
        tally.start = k + 1
        context.drop(batch.index[k], wrong)
    }

    /// The fault of a packet, nil if there is none, and the number of bytes summed to find out.
    private func check(_ p: Packet) -> (Drop?, Int) {
        let status = Headers.locate(p)
        guard status == .ip else { return (Drop(status), 0) }
        guard p.ipVersion == 4 else { return (nil, 0) }
        let ip = IPv4View(known: p)
        return (ip.isChecksumRight ? nil : .badChecksum, ip.headerLength)
    }
}
