// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Makes records of packets or flows: one per packet, or one per flow once the flow has ended.
///
/// Records have the `fields` in the order listed. Per flow: `proto`, `src`, `dst`, `sport`, `dport`, `first_ns`, `last_ns`,
/// `packets_fwd`, `packets_rev`, `bytes_fwd`, `bytes_rev`, `flags_fwd`, `flags_rev`, `end`. Per packet: `time_ns`, `proto`,
/// `src`, `dst`, `sport`, `dport`, `length`, `ip_length`, `payload_length`, `ttl`, `flags`, `direction`. `all` stands for all
/// fields in this order.
///
/// `labels` are columns that hold the same text in every record, behind the fields: `{app: dns}` tells the records of two extractors
/// apart that lead to one sink.
///
/// Forward is the direction from the client, as FlowTable tells it, and `src` is the client. Times are stamps in nanoseconds since
/// 1970; those of a flow are its earliest and its latest. Bytes are those of the IP packets, including headers; `length` is that of
/// the whole frame, even if the capture holds less. TCP flags are all flags seen, as letters of `FSRPAUEC`. Ports are 0 if there are none, also if a fragment
/// without ports came first.
///
/// `end` is the first of these that applies: `rst`, `fin` (a segment with this flag was seen), `idle`, `evicted` (why the flow
/// table ended the flow), `eof` (the input ended, or a new connection reused the 4-tuple).
///
/// Packets leave unchanged on `out`; if that is not connected they end here. If the pool has no free item the record is skipped
/// and counted as `records_missed`.
public final class MetadataExtractor: Element {
    public struct Config: ElementConfig {
        /// The subject of a record.
        public enum Per: String, CaseIterable, Sendable { case flow, packet }
        /// The fields a record can have, under the names used in records; `all` stands for every field of its kind.
        public enum Field: String, CaseIterable, Sendable {
            case all, proto, src, dst, sport, dport
            case firstNs = "first_ns"
            case lastNs = "last_ns"
            case packetsFwd = "packets_fwd"
            case packetsRev = "packets_rev"
            case bytesFwd = "bytes_fwd"
            case bytesRev = "bytes_rev"
            case flagsFwd = "flags_fwd"
            case flagsRev = "flags_rev"
            case end
            case timeNs = "time_ns"
            case length
            case ipLength = "ip_length"
            case payloadLength = "payload_length"
            case ttl, flags, direction
        }
        /// The subject of a record.
        public var per = Per.flow
        /// The fields of a record, in order.
        public var fields: [Field] = [.all]
        /// Columns that are the same in every record.
        public var labels: [Label] = []
        public init() {}

        static let ofFlow: [Field] = [
            .proto, .src, .dst, .sport, .dport, .firstNs, .lastNs, .packetsFwd, .packetsRev, .bytesFwd, .bytesRev,
            .flagsFwd, .flagsRev, .end,
        ]
        static let ofPacket: [Field] = [
            .timeNs, .proto, .src, .dst, .sport, .dport, .length, .ipLength, .payloadLength, .ttl, .flags, .direction,
        ]
    }
    public enum Drop: Int, DropReason {
        case linkType
        public var about: String {
            switch self {
            case .linkType: "the headers of its link type are not known, so there is nothing to say of it"
            }
        }
    }
    public static let summary = "makes a record of each packet or each flow"
    public static let category = Category.metadata
    public static let depends = Depends.flow
    public static func inputs(_ config: Config) -> [Input] {
        [
            Input(
                "in",
                .only(.packet),
                reads: .headers,
                needsFlow: config.per == .flow,
                config.per == .flow ? "packets with their flow" : "packets"
            )
        ]
    }
    public static func outputs(_ config: Config) -> [Output] {
        [
            Output("records", .kind(.record(config.per.rawValue)), "one record for each \(config.per.rawValue)"),
            Output("out", .sameAs(input: 0), optional: true, "the packets, unchanged"),
        ]
    }
    public static let parameters: [Parameter<Config>] = [
        .init("per", \.per, "what a record is made of"),
        .init("fields", \.fields, "what a record holds, in this order"),
        .init("labels", labels: \.labels, "columns that hold the same text in every record, behind the fields"),
    ]
    public static let handlers = [
        Handler<MetadataExtractor>("records", "records made") { Int($0.records) },
        Handler<MetadataExtractor>("records_missed", "records left out because the pool was empty") { Int($0.missed) },
    ]
    public static let operations: [Operation] = [.parse, .update, .record]
    public static let stateBytesPerFlow = FlowArray<Counts>.bytesPerFlow + MemoryLayout<Ends>.stride
    public static let examples = [
        Example(
            "one record for a flow",
            config: "{fields: [proto, src, dport, packets_fwd, packets_rev, flags_fwd, end]}",
            in: [
                "in": [
                    "10.0.0.1:1000 > 10.0.0.2:80 S seq=1", "10.0.0.2:80 > 10.0.0.1:1000 SA seq=9 ack=2",
                    "10.0.0.1:1000 > 10.0.0.2:80 FA seq=2 ack=10",
                ]
            ],
            out: [
                "records": ["proto=tcp src=10.0.0.1 dport=80 packets_fwd=2 packets_rev=1 flags_fwd=FSA end=fin"],
                "out": ["* > * S", "* > * SA", "* > * FA"],
            ]
        ),
        Example(
            "a label in each record",
            config: "{per: packet, fields: [dport], labels: {app: dns}}",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:53 udp len=20"]],
            out: ["records": ["dport=53 app=dns"], "out": ["* > * udp len=20"]]
        ),
        Example(
            "a record for each packet",
            config: "{per: packet, fields: [src, ttl, payload_length]}",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:53 udp len=20"]],
            out: ["records": ["src=10.0.0.1 ttl=64 payload_length=20"], "out": ["* > * udp len=20"]]
        ),
    ]

    /// State updated by every packet of a flow, in one cache line; index 0 is forward and 1 reverse.
    struct Counts: BitwiseCopyable {
        var flags: (UInt8, UInt8) = (0, 0)
        var first: Int64 = 0
        var last: Int64 = 0
        var packets: (UInt64, UInt64) = (0, 0)
        var bytes: (UInt64, UInt64) = (0, 0)
    }
    /// State set by the first packet of a flow.
    struct Ends: BitwiseCopyable {
        var source = IPAddress(v4: 0)
        var destination = IPAddress(v4: 0)
        var sourcePort: UInt16 = 0
        var destinationPort: UInt16 = 0
        var proto: UInt8 = 0
    }

    private let isPerFlow: Bool
    private let number: UInt16
    /// Bytes of a record's fields.
    private let size: Int
    private let labels: LabelColumns
    private let fields: [(field: Config.Field, offset: Int)]
    private let counts: FlowArray<Counts>
    /// By flow index, beside ``counts``.
    private let ends: ZeroedMemory<Ends>
    private var records: UInt64 = 0
    private var missed: UInt64 = 0

    public init(_ config: Config, _ setup: Setup) throws {
        isPerFlow = config.per == .flow
        let known = isPerFlow ? Config.ofFlow : Config.ofPacket
        var errors = config.fields.filter { $0 != .all && !known.contains($0) }.map { field in
            ParameterError(
                "'\(field.rawValue)' is not a field of a \(config.per.rawValue)'s record; those are "
                    + known.map(\.rawValue).joined(separator: ", "),
                at: 0
            )
        }
        if config.fields.contains(.all), config.fields.count > 1 {
            errors.append(ParameterError("'all' stands alone", at: 0))
        }
        let chosen = config.fields == [.all] ? known : config.fields
        labels = try LabelColumns(config.labels, besides: chosen.map(\.rawValue), errors)
        let layout = Layout(
            config.per.rawValue,
            chosen.map { ($0.rawValue, MetadataExtractor.type(of: $0)) } + labels.columns
        )
        number = setup.layouts.register(layout)
        size = layout.size
        fields = zip(chosen, layout.fields).map { ($0, $1.offset) }
        let flows = isPerFlow ? setup.flows : 0
        counts = try FlowArray(flows: flows)
        ends = try ZeroedMemory(flows)
        super.init()
    }

    deinit { ends.deallocate() }

    private static func type(of field: Config.Field) -> Layout.FieldType {
        switch field {
        case .all, .proto: .proto
        case .src, .dst: .address
        case .sport, .dport: .u16
        case .firstNs, .lastNs, .timeNs: .time
        case .packetsFwd, .packetsRev, .bytesFwd, .bytesRev: .u64
        case .flagsFwd, .flagsRev, .flags: .flags
        case .end: .word(FlowEnd.words)
        case .length, .ipLength, .payloadLength: .u32
        case .ttl: .u8
        case .direction: .word(["fwd", "rev"])
        }
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        if isPerFlow {
            count(batch)
            context.did(.update, batch.count)
        } else {
            recordPackets(batch, context)
            return
        }
        pass(batch, context)
    }

    /// Emits the packets if `out` is connected; otherwise they end here.
    @inline(__always)
    private func pass(_ batch: Batch, _ context: borrowing Context) {
        if context.isConnected(1) { context.emit(batch, 1) } else { context.use(batch) }
    }

    // MARK: Flows

    @inline(__always)
    private func count(_ batch: Batch) {
        for k in 0..<batch.count {
            let p = batch[k]
            guard let flow = counts[p.flow] ?? begin(p) else { continue }
            let length = UInt64(p.ipLength)
            var tcp: UInt8 = 0
            if p.ipProtocol == IPProtocol.tcp, p.hasTransport { tcp = TCPView(known: p).flags.rawValue }
            if p.time > flow.pointee.last {
                flow.pointee.last = p.time
            } else if p.time < flow.pointee.first {
                flow.pointee.first = p.time
            }
            if !p.isReverse {
                flow.pointee.packets.0 &+= 1
                flow.pointee.bytes.0 &+= length
                flow.pointee.flags.0 |= tcp
            } else {
                flow.pointee.packets.1 &+= 1
                flow.pointee.bytes.1 &+= length
                flow.pointee.flags.1 |= tcp
            }
        }
    }

    /// Begins the state of a flow at its first packet here.
    @inline(never)
    private func begin(_ p: Packet) -> UnsafeMutablePointer<Counts>? {
        var start = Counts()
        start.first = p.time
        start.last = p.time
        guard let flow = counts.begin(p.flow, start) else { return nil }
        var ends = MetadataExtractor.ends(of: p)
        if p.isReverse {
            swap(&ends.source, &ends.destination)
            swap(&ends.sourcePort, &ends.destinationPort)
        }
        self.ends.base[Int(p.flow.index)] = ends
        return flow
    }

    /// Addresses, ports and protocol of a packet; zeros where it has none.
    private static func ends(of p: Packet) -> Ends {
        var ends = Ends()
        if let ip = IPv4View(p) {
            ends.source = ip.source
            ends.destination = ip.destination
        } else if let ip = IPv6View(p) {
            ends.source = ip.source
            ends.destination = ip.destination
        } else {
            return ends
        }
        ends.proto = p.ipProtocol
        if let ports = PortsView(p) {
            ends.sourcePort = ports.source
            ends.destinationPort = ports.destination
        }
        return ends
    }

    public override func flowEnded(_ flow: FlowRef, _ reason: FlowEnd, _ context: borrowing Context) {
        guard let counts = counts.end(flow)?.pointee else { return }
        guard let i = context.originate(capacity: size + labels.bytes) else {
            missed &+= 1
            return
        }
        let record = context[i].writableData
        let ends = ends.base[Int(flow.index)]
        for (field, offset) in fields {
            let out = record + offset
            switch field {
            case .firstNs: out.storeBytes(of: counts.first.littleEndian, as: Int64.self)
            case .lastNs: out.storeBytes(of: counts.last.littleEndian, as: Int64.self)
            case .packetsFwd: out.storeBytes(of: counts.packets.0.littleEndian, as: UInt64.self)
            case .packetsRev: out.storeBytes(of: counts.packets.1.littleEndian, as: UInt64.self)
            case .bytesFwd: out.storeBytes(of: counts.bytes.0.littleEndian, as: UInt64.self)
            case .bytesRev: out.storeBytes(of: counts.bytes.1.littleEndian, as: UInt64.self)
            case .flagsFwd: out.storeBytes(of: counts.flags.0, as: UInt8.self)
            case .flagsRev: out.storeBytes(of: counts.flags.1, as: UInt8.self)
            case .end:
                let flags = TCPFlags(rawValue: counts.flags.0 | counts.flags.1)
                let end = reason.strongest(rst: flags.isRST, fin: flags.isFIN)
                out.storeBytes(of: end, as: UInt8.self)
            default: ends.store(field, to: out)
            }
        }
        finish(i, flow, context)
    }

    // MARK: Packets

    private func recordPackets(_ batch: Batch, _ context: borrowing Context) {
        for k in 0..<batch.count {
            let one = Batch(items: batch.items, index: batch.index + k, count: 1)
            if Headers.locate(batch[k]) == .linkType {
                context.drop(batch.index[k], Drop.linkType)
            } else {
                recordPacket(batch.index[k], context)
                pass(one, context)
            }
        }
        context.did(.parse, batch.count)
    }

    private func recordPacket(_ parent: Int32, _ context: borrowing Context) {
        let p = context[parent]
        guard let i = context.make(from: parent, capacity: size + labels.bytes) else {
            missed &+= 1
            return
        }
        let record = context[i].writableData
        let ends = MetadataExtractor.ends(of: p)
        let isIP = p.ipVersion == 4 || p.ipVersion == 6
        for (field, offset) in fields {
            let out = record + offset
            switch field {
            case .timeNs: out.storeBytes(of: p.time.littleEndian, as: Int64.self)
            case .length: out.storeBytes(of: p.wireLength.littleEndian, as: UInt32.self)
            case .ipLength: out.storeBytes(of: (isIP ? p.ipLength : 0).littleEndian, as: UInt32.self)
            case .payloadLength:
                let headers = UInt32(p.payload &- p.l3)
                let length = isIP && p.ipLength > headers ? p.ipLength &- headers : 0
                out.storeBytes(of: length.littleEndian, as: UInt32.self)
            case .ttl:
                let ttl = IPv4View(p)?.timeToLive ?? IPv6View(p)?.hopLimit ?? 0
                out.storeBytes(of: ttl, as: UInt8.self)
            case .flags:
                let flags = TCPView(fixedPart: p)?.flags ?? []
                out.storeBytes(of: flags.rawValue, as: UInt8.self)
            case .direction: out.storeBytes(of: p.isReverse ? 1 : 0, as: UInt8.self)
            default: ends.store(field, to: out)
            }
        }
        finish(i, p.flow, context)
    }

    private func finish(_ i: Int32, _ flow: FlowRef, _ context: borrowing Context) {
        labels.complete(context[i].writableData, size: size)
        context[i].layout = number
        context[i].flow = flow
        records &+= 1
        context.did(.record, 1)
        context.emit(i, 0)
    }
}

extension MetadataExtractor.Ends {
    /// Stores one of the fields that identify the two ends.
    fileprivate func store(_ field: MetadataExtractor.Config.Field, to out: UnsafeMutableRawPointer) {
        switch field {
        case .proto: out.storeBytes(of: proto, as: UInt8.self)
        case .src: source.store(to: out)
        case .dst: destination.store(to: out)
        case .sport: out.storeBytes(of: sourcePort.littleEndian, as: UInt16.self)
        case .dport: out.storeBytes(of: destinationPort.littleEndian, as: UInt16.self)
        default: break
        }
    }
}
