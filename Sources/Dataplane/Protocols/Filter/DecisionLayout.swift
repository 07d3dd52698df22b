// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The nodes of a decision in memory order.
struct DecisionLayout {
    /// The rules' programs, one after another.
    private var steps: [BPFProgram.Step] = []
    private(set) var nodes: [DecisionNode] = []
    private(set) var special: [SpecialNode] = []
    private(set) var cases: [DecisionCase] = []
    private(set) var root: UInt32 = 0
    /// Entry points for common IPv4 packets, by protocol; empty if no rule tests for IPv4.
    private(set) var byProtocol: [UInt32] = []
    private(set) var etherType = 0
    /// How many tests from `byProtocol` on are made in lockstep, and the last byte that they read.
    private(set) var levels = 0
    private(set) var levelsEnd = UInt32.max
    /// The number of answers: the rules, and none.
    private let answers: Int

    /// More lockstep tests than this would make packets that need few wait for those that need many.
    private static let mostLevels = 4
    /// Bytes after the IPv4 header that lockstep tests may read: the fixed TCP header.
    private static let transportBytes: UInt32 = 20

    /// At least this many consecutive equalities on one field become a choice.
    private static let fewestCases = 4

    init(_ programs: [BPFProgram]) {
        answers = programs.count + 1
        nodes = (0..<answers).map { DecisionNode.answer(DecisionLayout.place($0)) }
        var starts: [Int] = []
        for program in programs {
            starts.append(steps.count)
            steps += program.steps
        }
        var builder = DecisionBuilder(programs)
        let root = builder.decide(PacketFacts())
        var usual: [DecisionTarget] = []
        if let etherType = builder.etherTypeOffset {
            self.etherType = etherType
            usual = DecisionLayout.usualPackets(&builder, etherType)
        }
        place([root] + usual, builder.nodes, starts)
        findLevels()
    }

    /// The place of node `number`.
    static func place(_ number: Int) -> UInt32 { UInt32(number * MemoryLayout<DecisionNode>.stride) }
    /// The number of the node at a place.
    static func number(_ place: UInt32) -> Int { Int(place) / MemoryLayout<DecisionNode>.stride }

    /// The rule whose answer is at this place, or the number of rules for none; nil if a test is there.
    func answer(at place: UInt32) -> Int? {
        let number = DecisionLayout.number(place)
        return number < answers ? number : nil
    }

    /// Finds how many tests can be made in lockstep: as long as each compares a header field at a fixed offset.
    private mutating func findLevels() {
        if byProtocol.isEmpty { return }
        var reached = Set(byProtocol)
        var end = UInt32(etherType) + 21
        for level in 1...DecisionLayout.mostLevels {
            let tests = reached.map { nodes[DecisionLayout.number($0)] }
            end = max(end, tests.map(\.last).max() ?? .max)
            if end > UInt32(etherType) + 21 + DecisionLayout.transportBytes { return }
            reached = Set(tests.flatMap { [$0.yes, $0.no] })
            // At least two; more only if needed.
            if level < 2 { continue }
            levels = level
            levelsEnd = end
            if reached.allSatisfy({ answer(at: $0) != nil }) { return }
        }
    }

    /// The decisions by protocol for IPv4 packets without options that are not fragments.
    private static func usualPackets(_ builder: inout DecisionBuilder, _ etherType: Int) -> [DecisionTarget] {
        func equal(_ size: Int, _ offset: Int, _ mask: UInt32, _ value: UInt32) -> FieldTest {
            FieldTest(field: .bytes(size: size, offset: offset, behind: nil), mask: mask, low: value, span: 0)
        }
        let header = etherType + 2
        var facts = PacketFacts()
        facts.learn(captured: header + 20, behind: nil, true)
        facts.learn(equal(2, etherType, 0xffff, 0x0800), true)
        facts.learn(equal(1, header, 0xff, 0x45), true)
        facts.learn(equal(2, header + 6, 0x1fff, 0), true)
        let compared = builder.comparedBytes[header + 9] ?? []
        var others = facts
        for number in compared.sorted() { others.learn(equal(1, header + 9, 0xff, UInt32(number)), false) }
        let other = builder.decide(others)
        return (0...255).map { number in
            guard compared.contains(UInt8(number)) else { return other }
            var known = facts
            known.learn(equal(1, header + 9, 0xff, UInt32(number)), true)
            return builder.decide(known)
        }
    }

    /// Places the nodes reachable from `targets`, keeping those of a path close together.
    private mutating func place(_ targets: [DecisionTarget], _ decisions: [Decision], _ starts: [Int]) {
        var places: [Int: Int] = [:]
        var order: [Int] = []
        var choices: [Int: Choice] = [:]
        var waiting = Array(targets.reversed())
        while let target = waiting.popLast() {
            guard case .node(let number) = target, places[number] == nil else { continue }
            places[number] = answers + order.count
            order.append(number)
            if let choice = Choice(number, decisions) {
                choices[number] = choice
                waiting += [choice.otherwise] + choice.cases.map(\.target) + [choice.short]
                continue
            }
            switch decisions[number] {
            case .test(_, _, _, let yes, let no, let short): waiting += [short, no, yes]
            case .extent(_, _, let yes, let no), .run(_, let yes, let no): waiting += [no, yes]
            }
        }
        func link(_ target: DecisionTarget) -> UInt32 {
            switch target {
            case .node(let number): DecisionLayout.place(places[number]!)
            case .answer(let rule): DecisionLayout.place(rule)
            }
        }
        for number in order {
            if let choice = choices[number] {
                add(choice, link)
            } else {
                add(decisions[number], starts, link)
            }
        }
        let links = targets.map(link)
        root = links[0]
        byProtocol = Array(links.dropFirst())
    }

    /// Equalities on one field, each tested when the one before does not hold.
    private struct Choice {
        var test: FieldTest
        var needed: Int
        var behind: Int?
        var cases: [(value: UInt32, target: DecisionTarget)] = []
        var otherwise: DecisionTarget
        var short: DecisionTarget

        /// The chain that begins at a node; nil if it is too short to gain from a look-up.
        init?(_ number: Int, _ decisions: [Decision]) {
            guard case .test(let test, let needed, let behind, _, _, let short) = decisions[number], test.span == 0,
                test.field != .wireLength
            else { return nil }
            self.test = test
            self.needed = needed
            self.behind = behind
            self.short = short
            otherwise = .node(number)
            var values: Set<UInt32> = []
            // A later test may need more captured bytes, because it absorbed the check of a load behind it: it remains a node.
            while case .node(let next) = otherwise,
                case .test(let other, let more, _, let yes, let no, _) = decisions[next], more <= needed,
                other.span == 0, other.field == test.field, other.mask == test.mask, values.insert(other.low).inserted
            {
                cases.append((other.low, yes))
                otherwise = no
            }
            if cases.count < DecisionLayout.fewestCases { return nil }
            cases.sort { $0.value < $1.value }
        }
    }

    private mutating func add(_ choice: Choice, _ link: (DecisionTarget) -> UInt32) {
        guard case .bytes(let size, let offset, let behind) = choice.test.field else { return }
        add(
            SpecialNode(
                kind: .choice,
                size: size,
                offset: offset,
                needed: choice.needed,
                behind: behind ?? -1,
                mask: choice.test.mask,
                first: cases.count,
                count: choice.cases.count,
                no: link(choice.otherwise),
                short: link(choice.short)
            )
        )
        cases += choice.cases.map { DecisionCase(value: $0.value, next: link($0.target)) }
    }

    private mutating func add(_ decision: Decision, _ starts: [Int], _ link: (DecisionTarget) -> UInt32) {
        switch decision {
        case .run(let rule, let yes, let no):
            add(SpecialNode(kind: .run, first: starts[rule], yes: link(yes), no: link(no)))
        case .extent(let needed, let behind, let yes, let no):
            let test = FieldTest(field: .bytes(size: 0, offset: 0, behind: behind), mask: 0, low: 0, span: 0)
            add(test, needed, behind, link(yes), link(no), link(no))
        case .test(let test, let needed, let behind, let yes, let no, let short):
            add(test, needed, behind, link(yes), link(no), link(short))
        }
    }

    private mutating func add(
        _ test: FieldTest,
        _ needed: Int,
        _ behind: Int?,
        _ yes: UInt32,
        _ no: UInt32,
        _ short: UInt32
    ) {
        guard case .bytes(let size, let offset, _) = test.field else {
            let node = SpecialNode(
                kind: .length,
                mask: test.mask,
                low: test.low,
                span: test.span,
                yes: yes,
                no: no,
                short: short
            )
            return add(node)
        }
        if behind == nil, test.span == 0, size > 0, needed == offset + size, needed >= 4, needed <= Int(UInt32.max) {
            nodes.append(
                DecisionNode(
                    last: UInt32(needed - 1),
                    mask: test.mask.bigEndian,
                    value: test.low.bigEndian,
                    yes: yes,
                    no: no,
                    short: short
                )
            )
        } else {
            add(
                SpecialNode(
                    kind: .bytes,
                    size: size,
                    offset: offset,
                    needed: needed,
                    behind: behind ?? -1,
                    mask: test.mask,
                    low: test.low,
                    span: test.span,
                    yes: yes,
                    no: no,
                    short: short
                )
            )
        }
    }

    private mutating func add(_ node: SpecialNode) {
        nodes.append(DecisionNode(last: .max, mask: 0, value: 0, yes: 0, no: 0, short: UInt32(special.count)))
        special.append(node)
    }

    /// Copies everything to memory that per-packet code reads by pointer.
    func allocate() -> DecisionTables {
        func copy<T: BitwiseCopyable>(_ values: [T]) -> UnsafePointer<T> {
            let pointer = UnsafeMutablePointer<T>.allocate(capacity: max(1, values.count))
            values.withUnsafeBufferPointer { source in
                if let start = source.baseAddress { pointer.initialize(from: start, count: source.count) }
            }
            return UnsafePointer(pointer)
        }
        return DecisionTables(
            nodes: copy(nodes),
            special: copy(special),
            cases: copy(cases),
            steps: copy(steps),
            root: root,
            byProtocol: copy(byProtocol),
            etherType: etherType,
            headerEnd: byProtocol.isEmpty ? .max : UInt32(etherType + 21),
            firstTest: DecisionLayout.place(answers),
            levels: levels,
            levelsEnd: levelsEnd
        )
    }
}
