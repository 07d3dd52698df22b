// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Answers ARP requests for its IPv4 addresses with one Ethernet address (RFC 826).
///
/// A request for one of `addresses`, to all stations or to `mac`, becomes the answer: it leaves on `reply`, to the sender that it
/// names, with its VLAN tags. A host that probes whether an address is taken (sender 0.0.0.0, RFC 5227) is answered too. With a
/// network among `addresses` all requests for it are answered, as by a proxy (RFC 1027).
///
/// Everything else leaves on `rest`: other packets, ARP about other addresses, answers for a NeighbourResolver. ARP that cannot
/// be used is dropped with its reason. Who says that one of `addresses` is its own, in a request, an answer or an announcement, is in
/// conflict with this element (RFC 5227): the message is counted, and dropped so that nobody behind believes it. The address is
/// not defended by an announcement: ARP is not authenticated, and answering each claim would double a flood of them.
public final class ARPResponder: Element {
    public struct Config: ElementConfig {
        /// The addresses and networks that are answered for.
        public var addresses: [IPPrefix] = []
        /// The Ethernet address in answers.
        public var mac = EthernetAddress(0)
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case truncated, badHardware, badProtocol, badSender, conflict
        init(_ fault: ARPMessage.Fault) {
            switch fault {
            case .truncated: self = .truncated
            case .hardware: self = .badHardware
            case .proto: self = .badProtocol
            case .sender: self = .badSender
            }
        }
        public var about: String {
            if self == .conflict { return Responder.conflict }
            return ARPMessage.Fault.allCases.first { Drop($0) == self }?.about ?? ""
        }
    }
    public static let summary = "answers ARP requests for its addresses"
    public static let category = Category.neighbours
    public static let depends = Depends.item
    public static func inputs(_: Config) -> [Input] { Responder.inputs(reads: .headers) }
    public static func outputs(_: Config) -> [Output] { Responder.outputs("answers to requests for its addresses") }
    public static let parameters: [Parameter<Config>] = [
        Responder.addresses(\.addresses, versions: [4]),
        Responder.mac(\.mac),
    ]
    public static let handlers = [
        Handler<ARPResponder>("replies", "requests answered, probes among them") { Int($0.replies) },
        Handler<ARPResponder>("probes", "requests answered whose sender has no address yet") { Int($0.probes) },
        Handler<ARPResponder>("conflicts", "messages of others that claim one of the addresses") { Int($0.conflicts) },
    ]
    public static let operations: [Operation] = [.test, .parse, .update, .copyBytes]
    public static let examples = [
        Example(
            "a request is answered, everything else passes",
            config: "{addresses: [10.0.0.2], mac: 02:00:00:00:00:0a}",
            in: [
                "in": [
                    "10.0.0.1 > 10.0.0.2 arp dmac=ff:ff:ff:ff:ff:ff vlan=5",
                    "10.0.0.1 > 10.0.0.3 arp dmac=ff:ff:ff:ff:ff:ff", "10.0.0.1:1000 > 10.0.0.2:80 S",
                ]
            ],
            out: [
                "reply": ["10.0.0.2 > 10.0.0.1 arp op=2 vlan=5 smac=02:00:00:00:00:0a dmac=02:00:00:00:00:01"],
                "rest": ["10.0.0.1 > 10.0.0.3 arp op=1", "* > 10.0.0.2:80 S"],
            ]
        ),
        Example(
            "a probe is answered, an announcement is a conflict",
            config: "{addresses: [10.0.0.0/24], mac: 02:00:00:00:00:0a}",
            in: [
                "in": [
                    "0.0.0.0 > 10.0.0.2 arp dmac=ff:ff:ff:ff:ff:ff", "10.0.0.2 > 10.0.0.2 arp dmac=ff:ff:ff:ff:ff:ff",
                ]
            ],
            out: ["reply": ["10.0.0.2 > 0.0.0.0 arp op=2"], "rest": []],
            drops: ["conflict": 1]
        ),
    ]

    private let addresses: AddressSet
    private let mac: EthernetAddress
    private var replies: UInt64 = 0
    private var probes: UInt64 = 0
    private var conflicts: UInt64 = 0

    public init(_ config: Config, _: Setup) {
        addresses = AddressSet(config.addresses)
        mac = config.mac
        super.init()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        var work = Responder.Work()
        context.forEach(batch) { p, context in
            // Where IP was found there is no ARP.
            if p.ipVersion == 4 || p.ipVersion == 6 { return .emit(Responder.rest) }
            switch ARPMessage(p) {
            case .other: return .emit(Responder.rest)
            case .bad(let fault):
                work.parsed &+= 1
                return .drop(Drop(fault))
            case .message(let message):
                work.parsed &+= 1
                return take(p, message, &work, context)
            }
        }
        work.count(batch.count, context)
    }

    private func take(
        _ p: Packet,
        _ message: ARPView,
        _ work: inout Responder.Work,
        _ context: borrowing Context
    ) -> Context.Verdict {
        guard let sender = message.senderIPv4, let station = message.senderEthernet, let target = message.targetIPv4,
            let frame = EthernetView(p)
        else { return .emit(Responder.rest) }
        // What this element sent itself may come back.
        if station == mac { return .emit(Responder.rest) }
        if addresses.contains(sender) {
            conflicts &+= 1
            return .drop(Drop.conflict)
        }
        guard message.operation == ARPView.request, addresses.contains(target),
            frame.destination == mac || frame.destination.isMulticast
        else { return .emit(Responder.rest) }
        // The message, and as much padding as an Ethernet frame needs; the capture may have more, or say that there was more.
        let end = message.base - p.data + ARPView.sizeForIPv4
        let length = max(end, min(Int(p.length), 60))
        work.copied &+= p.isWritable ? 0 : length
        context.own(context.index(of: p), length: length)
        p.wireLength = UInt32(length)
        let data = p.writableData
        (data + end).initializeMemory(as: UInt8.self, repeating: 0, count: length - end)
        let bytes = UnsafeMutableRawBufferPointer(start: data + (end - ARPView.sizeForIPv4), count: length - end + 28)
        guard let header = MutableEthernetView(p), let answer = MutableARPView(bytes) else {
            return .emit(Responder.rest)
        }
        header.destination = station
        header.source = mac
        answer.operation = ARPView.reply
        answer.targetEthernet = station
        answer.targetIPv4 = sender
        answer.senderEthernet = mac
        answer.senderIPv4 = target
        work.updated &+= 1
        replies &+= 1
        if sender.isUnspecified { probes &+= 1 }
        return .emit(Responder.reply)
    }
}
