// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Writes packets to a capture file, timestamped with their own time in nanoseconds.
///
/// `format: auto` writes pcapng to a file whose name ends in `.pcapng`, and pcap otherwise; a file whose name ends in `.gz` is
/// compressed with gzip. `file: -` is standard output. A pcap file holds one link type, that of its first packet; packets of others
/// are dropped. pcapng holds any. A packet whose time the format cannot hold is dropped too: neither holds times before 1970, and
/// pcap none after February 2106.
///
/// After a write error, later packets are dropped and the run ends with the error.
public final class PacketSink: Element {
    public struct Config: ElementConfig {
        /// The format of the file; `auto` chooses by its name.
        public enum Format: String, CaseIterable, Sendable { case auto, pcap, pcapng }
        /// The file's name; `-` is standard output.
        public var file = ""
        /// The format of the file.
        public var format = Format.auto
        public init() {}
    }
    public enum Drop: Int, DropReason {
        case otherLinkType, timeOutOfRange, writeFailed
        public var about: String {
            switch self {
            case .otherLinkType: "a pcap file holds one link type and it has another"
            case .timeOutOfRange: "the format cannot hold its time: before 1970, or in pcap after February 2106"
            case .writeFailed: "writing has failed before"
            }
        }
    }
    public static let summary = "writes packets to a capture file"
    public static let category = Category.sinks
    public static let depends = Depends.item
    /// It writes one file.
    public static let divides = Divides.never
    public static func inputs(_: Config) -> [Input] {
        [Input("in", .only(.packet), reads: .payload, "packets to write")]
    }
    public static func outputs(_: Config) -> [Output] { [] }
    public static let parameters: [Parameter<Config>] = [
        .init("file", file: \.file, required: true, "where to; `-` is standard output"),
        .init("format", \.format, "the format of the file; auto = by its name"),
    ]
    public static let handlers = [
        Handler<PacketSink>("packets", "packets written") { Int($0.packets) },
        Handler<PacketSink>("bytes", "captured bytes of those packets") { Int($0.bytes) },
    ]
    public static let operations: [Operation] = [.copyBytes]
    public static let examples = [
        Example(
            "a packet is written",
            config: "{file: out.pcap}",
            in: ["in": ["10.0.0.1:1000 > 10.0.0.2:80 S"]],
            out: [:]
        )
    ]

    private let config: Config
    private let services: any Services
    @exclusivity(unchecked) private var encoder: CaptureEncoder?
    private var failure: (any Error)?
    private var packets: UInt64 = 0
    private var bytes: UInt64 = 0

    public init(_ config: Config, _ setup: Setup) throws {
        self.config = config
        services = setup.services
        super.init()
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        var copied = 0
        context.forEach(batch) { p in
            if let reason = write(p) { return .drop(reason) }
            copied &+= Int(p.length)
            packets &+= 1
            return .use
        }
        bytes &+= UInt64(copied)
        context.did(.copyBytes, copied)
    }

    /// Writes a packet; returns the drop reason if that fails.
    @inline(never)
    private func write(_ p: Packet) -> Drop? {
        if failure != nil { return .writeFailed }
        do {
            try open()
            try encoder!.write(p)
            return nil
        } catch let error as CaptureEncoderError {
            switch error {
            case .secondLinkType: return .otherLinkType
            case .time: return .timeOutOfRange
            }
        } catch {
            failure = error
            return .writeFailed
        }
    }

    /// Opens the file unless it is open.
    public override func open() throws {
        if encoder != nil { return }
        let format: CaptureFormat =
            switch config.format {
            case .auto: CaptureFormat(ofFile: config.file)
            case .pcap: .pcap
            case .pcapng: .pcapng
            }
        encoder = CaptureEncoder(format: format, sink: try services.openSink(config.file))
    }

    public override func sync() throws { try encoder?.sync() }

    public override func flush() throws {
        if let failure { throw failure }
        // Even without packets, so that the file exists.
        try open()
        try encoder!.finish()
    }
}
