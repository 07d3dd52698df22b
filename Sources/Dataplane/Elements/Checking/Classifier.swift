// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Sends each packet to the output of the first rule that takes it, and to `other` when none does.
///
/// A rule is a name and a filter in the syntax of pcap-filter(7), as tcpdump has it; each is an output of that name.
/// Rules are tried in the order they are written and the first that matches wins, so the special ones come first:
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
/// All rules are made into one decision: what several rules ask is asked once, and the answer is that of the filters
/// run one after the other. Filters are compiled for the link type of each packet, so one graph serves captures of any
/// kind; a filter that a link type does not have, such as `ether host` on raw IP, takes none of its packets. When a filter
/// cannot be compiled for a link type that comes, for another reason, its rule takes none of its packets either, and the run
/// ends with that error.
///
/// Things that surprise, all as in tcpdump:
/// - A test of bytes that were not captured fails, also under `not`: the rule as a whole does not match.
/// - `tcp`, `port 80` and the like look at untagged packets only; packets with a VLAN tag need `vlan and tcp`.
///   The word `vlan` moves all that is written behind it by one tag.
/// - IPv6 extension headers are not followed: ports are looked for right behind the IPv6 header only (`tcp` without a
///   port looks behind one fragment header), and `tcp[...]` and `udp[...]` look at IPv4 alone.
/// - Ports are looked for in first fragments only; `less` and `greater` mean the length on the wire.
///
/// Names of hosts and networks are not looked up; write addresses. Filters that look behind the headers, such as
/// `tcp[20:4]`, work wherever the bytes are at hand, but the model of the channel counts headers only.
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
        Handler<Classifier>("rules", "rules there are") { $0.rules.count },
        Handler<Classifier>("nodes", "steps the decision for Ethernet was compiled to") {
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
    /// How many rules there may be.
    public static let maximumRules = 256
    /// How many bytes the filters of all rules may have together: the time to compile them grows with that.
    public static let maximumBytes = 32_768

    private let rules: [NamedFilter]
    private let services: any Services
    /// One decision for each link type; the first is the one for Ethernet.
    private var decisions: [(linkType: UInt16, program: DecisionProgram)] = []
    /// Why a filter could not be compiled while packets came.
    private var failure: (any Error)?
    /// Packets sorted together, and room for their rules.
    private static let stage = 64
    private let found = UnsafeMutablePointer<UInt16>.allocate(capacity: stage)
    /// The decision used last.
    private var linkType: UInt16
    private var tables: UnsafePointer<DecisionTables>

    public init(_ config: Config, _ setup: Setup) throws {
        try Classifier.check(config.rules)
        rules = config.rules
        services = setup.services
        let services = setup.services
        let known = (services as? any FilterServices)?.linkTypes ?? []
        for linkType in [LinkType.ethernet] + known where !decisions.contains(where: { $0.linkType == linkType }) {
            let programs = try config.rules.map { try Classifier.compile($0, linkType, services) }
            decisions.append((linkType, Classifier.decision(programs, services)))
        }
        linkType = LinkType.ethernet
        tables = decisions[0].program.tables
        super.init()
    }

    deinit { found.deallocate() }

    /// Checks what each rule alone cannot know: how many there are, and whether their names can name ports.
    private static func check(_ rules: [NamedFilter]) throws(ParameterError) {
        guard let first = rules.first else { throw ParameterError("there are no rules", at: 0) }
        guard rules.count <= maximumRules else {
            throw ParameterError("\(rules.count) rules are too many, at most \(maximumRules)", at: first.mark)
        }
        let bytes = rules.reduce(0) { $0 + $1.filter.utf8.count }
        guard bytes <= maximumBytes else {
            throw ParameterError("\(bytes) bytes of filters are too many, at most \(maximumBytes)", at: first.mark)
        }
        for rule in rules {
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

    /// Finds the rules of packets as long as they are usual ones of this link type; returns where it stopped. A function of its
    /// own: a loop without calls keeps what it needs in registers. And one that does not append to the outputs: where the
    /// next packet's place in a queue is read depends on this packet's rule, which the processor would have to guess.
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

    /// The program of a rule for a link type; nil when it takes none of its packets.
    private static func compile(
        _ rule: NamedFilter,
        _ linkType: UInt16,
        _ services: any Services
    ) throws -> [BPFInstruction]? {
        do { return try services.compileFilter(rule.filter, linkType: linkType) } catch let error as FilterError {
            let place = linkType == LinkType.ethernet ? "" : " for link type \(linkType)"
            throw ParameterError("rule '\(rule.name)'\(place): \(error)", at: rule.mark, code: "bad_filter")
        }
    }

    /// The decision among the programs of all rules, shared with others that have the same.
    private static func decision(_ programs: [[BPFInstruction]?], _ services: any Services) -> DecisionProgram {
        (services as? any FilterServices)?.filters?.decision(among: programs) ?? DecisionProgram(programs)
    }

    /// Sets the decision for packets of another link type, compiled when the first of them comes unless it was known that
    /// they would.
    @inline(never)
    private func change(to linkType: UInt16) {
        let program: DecisionProgram
        if let known = decisions.first(where: { $0.linkType == linkType }) {
            program = known.program
        } else {
            program = Classifier.decision(rules.map { compileNow($0, linkType) }, services)
            decisions.append((linkType, program))
        }
        self.linkType = linkType
        tables = program.tables
    }

    /// Packets cannot wait for an error to be dealt with; it is thrown when they are through.
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
