// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Sends each packet to the output of the first rule that matches, or to `other` if none does.
///
/// A rule is a name and a filter in pcap-filter(7) syntax, as in tcpdump; each rule is an output of that name. Rules are tried
/// in written order and the first match wins, so put specific rules first:
///
/// ```yaml
/// graph: sort-packets
/// elements:
///   wire: {type: Wire}
///   sort:
///     type: Classifier
///     rules:
///       syn: tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn
///       web: tcp dst port 80
///       dns: udp port 53
/// chains:
///   - wire.rx -> sort
///   - sort.syn -> Counter -> Discard
///   - sort.web -> Counter -> Discard
///   - sort.dns -> Counter -> Discard
///   - sort.other -> Discard
/// ```
///
/// All rules are compiled into one decision: a test that several rules share is made once, and the result is that of running
/// the filters one after another. Filters are compiled for the link type of each packet, so one graph serves captures of any
/// kind; a filter that does not exist for a link type, such as `ether host` on raw IP or `inbound` on Ethernet, matches none of its
/// packets, and the run warns of it. If a filter
/// cannot be compiled for an arriving link type for another reason, its rule matches none of its packets either, and the run
/// ends with that error.
///
/// Common surprises, all as in tcpdump:
/// - A test of bytes that were not captured fails, even under `not`: the rule as a whole does not match.
/// - `tcp`, `port 80` and the like see untagged packets only; packets with a VLAN tag need `vlan and tcp`. The word `vlan`
///   shifts everything written after it by one tag.
/// - IPv6 extension headers are not followed: ports are expected right after the IPv6 header (`tcp` without a port looks behind
///   one fragment header), and `tcp[...]` and `udp[...]` apply to IPv4 only.
/// - Ports are matched in first fragments only; `less` and `greater` mean the length on the wire.
///
/// Names of hosts and networks are not looked up; write addresses. Filters that look beyond the headers, such as `tcp[20:4]`,
/// work wherever the bytes are available, but the channel model counts headers only.
public final class Classifier: Element {
    public struct Config: ElementConfig {
        /// The outputs in order, each with its filter; the first that matches wins.
        public var rules: [NamedFilter] = []
        public init() {}
    }
    public static let summary = "sorts packets by filters in pcap-filter syntax"
    public static let category = Category.checking
    public static let depends = Depends.item
    public static func inputs(_: Config) -> [Input] {
        [Input("in", .only(.packet), reads: .headers, "packets to sort")]
    }
    public static func outputs(_ config: Config) -> [Output] {
        config.rules.map { Output($0.name, .sameAs(input: 0), "packets that match \($0.filter)") }
            + [Output("other", .sameAs(input: 0), optional: true, "packets that no rule takes")]
    }
    public static let parameters: [Parameter<Config>] = [
        .init("rules", filters: \.rules, required: true, "names of outputs, each with its filter; the first match wins")
    ]
    public static let handlers = [
        Handler<Classifier>("rules", "rules there are", sum: .greatest) { $0.rules.count },
        Handler<Classifier>("nodes", "steps the decision for Ethernet was compiled to", sum: .greatest) {
            $0.decisions[0].program.nodeCount
        },
    ]
    public static let operations: [Operation] = [.parse, .test]
    public static let examples = [
        Example(
            "the first rule that matches wins",
            config: "{rules: {web: tcp dst port 80, tcp: tcp}}",
            in: [
                "in": [
                    "10.0.0.1:1000 > 10.0.0.2:80 S", "10.0.0.1:1000 > 10.0.0.2:81 S",
                    "10.0.0.1:53 > 10.0.0.2:53 udp len=9",
                ]
            ],
            out: [
                "web": ["10.0.0.1:1000 > 10.0.0.2:80 S"],
                "tcp": ["10.0.0.1:1000 > 10.0.0.2:81 S"],
                "other": ["10.0.0.1:53 > 10.0.0.2:53 udp"],
            ]
        )
    ]
    /// The maximum number of rules.
    public static let maximumRules = 256
    /// The maximum total length of all filters in bytes, as their compile time grows with it.
    public static let maximumBytes = 32_768

    private let rules: [NamedFilter]
    private let services: any Services
    /// One decision per link type, and the rules that have no filter for it; the first is for Ethernet.
    private var decisions: [(linkType: UInt16, program: DecisionProgram, absent: [NamedFilter])] = []
    /// The first error in compiling a filter while packets arrived.
    private var failure: (any Error)?
    /// The number of packets classified together, and room for their results.
    private static let stage = 64
    private let found = UnsafeMutablePointer<UInt16>.allocate(capacity: stage)
    private var linkType: UInt16
    private var tables: UnsafePointer<DecisionTables>

    public init(_ config: Config, _ setup: Setup) throws {
        try Classifier.check(config.rules)
        rules = config.rules
        services = setup.services
        let services = setup.services
        let known = (services as? any FilterServices)?.linkTypes ?? []
        var linkTypes = [LinkType.ethernet]
        for linkType in known where !linkTypes.contains(linkType) { linkTypes.append(linkType) }
        let programs = try ParameterError.collecting(config.rules) { rule throws(ParameterError) in
            try Classifier.checkName(rule)
            return try linkTypes.map { linkType throws(ParameterError) in
                try Classifier.compile(rule, linkType, services)
            }
        }
        for (k, linkType) in linkTypes.enumerated() {
            let absent = zip(config.rules, programs).filter { $1[k] == nil }.map(\.0)
            decisions.append((linkType, Classifier.decision(programs.map { $0[k] }, services), absent))
        }
        linkType = LinkType.ethernet
        tables = decisions[0].program.tables
        super.init()
    }

    deinit { found.deallocate() }

    /// Checks how many rules there are, and how long.
    private static func check(_ rules: [NamedFilter]) throws(ParameterError) {
        guard let first = rules.first else { throw ParameterError("there are no rules", at: 0) }
        guard rules.count <= maximumRules else {
            throw ParameterError("\(rules.count) rules are too many, at most \(maximumRules)", at: first.mark)
        }
        let bytes = rules.reduce(0) { $0 + $1.filter.utf8.count }
        guard bytes <= maximumBytes else {
            throw ParameterError("\(bytes) bytes of filters are too many, at most \(maximumBytes)", at: first.mark)
        }
    }

    /// Checks whether the name of a rule can be that of a port.
    private static func checkName(_ rule: NamedFilter) throws(ParameterError) {
        if rule.name == "in" || rule.name == "other" {
            throw ParameterError("a rule cannot be named '\(rule.name)', which is a port already", at: rule.mark)
        }
        let bytes = rule.name.utf8
        let isLetter = { (byte: UInt8) in UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte }
        guard let head = bytes.first, isLetter(head),
            bytes.allSatisfy({
                isLetter($0) || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || $0 == UInt8(ascii: "_")
            })
        else {
            throw ParameterError(
                "a rule cannot be named '\(rule.name)': use lower-case letters, digits and '_', a letter first",
                at: rule.mark
            )
        }
    }

    public override func process(_ batch: Batch, from input: Int, _ context: borrowing Context) {
        var next = batch.index
        let end = next + batch.count
        var tests = batch.count
        while next < end {
            let linkType = batch.items[Int(next.pointee)].linkType
            if linkType != self.linkType { change(to: linkType) }
            let stage = min(end, next + Classifier.stage)
            let stop = Classifier.findUsual(tables, linkType, next, stage, batch.items, found)
            context.emit(Batch(items: batch.items, index: next, count: stop - next), by: found)
            tests &+= (stop - next) &* tables.pointee.levels
            next = stop
            if next == stage || batch.items[Int(next.pointee)].linkType != linkType { continue }
            let p = Packet(batch.items + Int(next.pointee))
            let answer = DecisionTables.classify(
                tables,
                p.data,
                captured: p.length,
                wire: p.wireLength
            )
            tests &+= answer.tests
            context.emit(next.pointee, answer.rule)
            next += 1
        }
        context.did(.parse, batch.count)
        context.did(.test, tests)
    }

    /// Classifies packets as long as they are common ones of this link type; returns where it stopped. A separate function,
    /// since a loop without calls keeps its state in registers. And it does not append to the outputs: the address of the next
    /// packet's place in a queue would depend on this packet's rule, which the processor would have to predict.
    @inline(never)
    private static func findUsual(
        _ tables: UnsafePointer<DecisionTables>,
        _ linkType: UInt16,
        _ first: UnsafePointer<Int32>,
        _ end: UnsafePointer<Int32>,
        _ items: UnsafeMutablePointer<Item>,
        _ found: UnsafeMutablePointer<UInt16>
    ) -> UnsafePointer<Int32> {
        var next = first
        var out = found
        while next < end {
            let p = Packet(items + Int(next.pointee))
            guard p.linkType == linkType else { break }
            let data = p.data
            guard let place = DecisionTables.classifyUsual(tables, data, captured: p.length) else { break }
            out.pointee = UInt16(truncatingIfNeeded: DecisionTables.rule(place))
            out += 1
            next += 1
        }
        return next
    }

    // MARK: Decisions

    /// The rules that match no packet of a link type, as there is no such filter for it; of those types that were known before the run,
    /// or came.
    public func absentRules(_ linkType: UInt16) -> [NamedFilter] {
        decisions.first { $0.linkType == linkType }?.absent ?? []
    }

    /// The program of a rule for a link type; nil if it matches none of its packets.
    private static func compile(
        _ rule: NamedFilter,
        _ linkType: UInt16,
        _ services: any Services
    ) throws(ParameterError) -> [BPFInstruction]? {
        do { return try services.compileFilter(rule.filter, linkType: linkType) } catch {
            let place = linkType == LinkType.ethernet ? "" : " for link type \(linkType)"
            throw ParameterError("rule '\(rule.name)'\(place): \(error)", at: rule.mark, code: "bad_filter")
        }
    }

    /// The decision among the programs of all rules, shared with other classifiers that have the same.
    private static func decision(_ programs: [[BPFInstruction]?], _ services: any Services) -> DecisionProgram {
        (services as? any FilterServices)?.filters?.decision(among: programs) ?? DecisionProgram(programs)
    }

    /// Switches to the decision for another link type, compiled when its first packet arrives unless that type was known in
    /// advance.
    @inline(never)
    private func change(to linkType: UInt16) {
        let program: DecisionProgram
        if let known = decisions.first(where: { $0.linkType == linkType }) {
            program = known.program
        } else {
            let programs = rules.map { compileNow($0, linkType) }
            program = Classifier.decision(programs, services)
            decisions.append((linkType, program, zip(rules, programs).filter { $1 == nil }.map(\.0)))
        }
        self.linkType = linkType
        tables = program.tables
    }

    /// Packets cannot wait for an error to be handled; it is thrown once they are through.
    private func compileNow(_ rule: NamedFilter, _ linkType: UInt16) -> [BPFInstruction]? {
        do { return try Classifier.compile(rule, linkType, services) } catch {
            failure = failure ?? error
            return nil
        }
    }

    public override func flush() throws {
        if let failure { throw failure }
    }
}
