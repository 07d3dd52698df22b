// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Where a decision continues: at a node, or at an answer.
enum DecisionTarget: Hashable {
    case node(Int)
    /// The rule with this number matches the packet; the number of rules stands for none.
    case answer(Int)
}

/// One step of a decision.
enum Decision: Hashable {
    /// Goes to `short` unless `needed` bytes are captured (after the header at `behind`), otherwise makes the test.
    case test(FieldTest, needed: Int, behind: Int?, yes: DecisionTarget, no: DecisionTarget, short: DecisionTarget)
    /// Only checks whether `needed` bytes are captured.
    case extent(needed: Int, behind: Int?, yes: DecisionTarget, no: DecisionTarget)
    /// Runs the program of a rule.
    case run(rule: Int, yes: DecisionTarget, no: DecisionTarget)
}

/// Turns the programs of several rules into one decision graph.
///
/// The programs are walked as if run one after another, with symbolic values for data from the packet. Where a branch depends
/// on the packet the walk continues both ways, each with the fact learned there; a branch or load that known facts decide costs
/// nothing. Equal states and equal steps are shared.
///
/// Two things end a walk early: a value that is not tracked (sums and products of packet bytes, loops), and the bounds on the
/// size of the graph. Programs have no side effects, so the rule can then be run from its beginning.
struct DecisionBuilder {
    /// Bounds on the graph and on the work to build it; rules beyond them are run one by one.
    static let maximumNodes = 8_192
    static let maximumWork = 1 << 20
    static let maximumDepth = 1_024

    private struct State: Hashable {
        var rule: Int
        var pc = 0
        var a = SymbolicValue.constant(0)
        var x = SymbolicValue.constant(0)
        /// Empty as long as nothing was stored.
        var memory: [SymbolicValue] = []
        var facts: PacketFacts
    }

    private let programs: [BPFProgram]
    private(set) var nodes: [Decision] = []
    /// Offset at which the rules test for the EtherType of IPv4; nil if they do not.
    private(set) var etherTypeOffset: Int?
    /// The values that one-byte fields are compared with.
    private(set) var comparedBytes: [Int: Set<UInt8>] = [:]
    private var shared: [Decision: DecisionTarget] = [:]
    private var visited: [State: DecisionTarget] = [:]
    /// Instructions walked plus facts compared, which cost about the same.
    private var work = 0
    private var depth = 0
    /// For each rule, the decision that runs it and later ones, one by one.
    private var fallback: [DecisionTarget] = []

    init(_ programs: [BPFProgram]) {
        self.programs = programs
        fallback = [.answer(programs.count)]
        for rule in programs.indices.reversed() {
            fallback.append(node(.run(rule: rule, yes: .answer(rule), no: fallback.last!)))
        }
        fallback.reverse()
    }

    /// The decision for a packet with known `facts`.
    mutating func decide(_ facts: PacketFacts) -> DecisionTarget { firstRule(from: 0, facts) }

    /// The decision among the rules from `rule` on.
    private mutating func firstRule(from rule: Int, _ facts: PacketFacts) -> DecisionTarget {
        rule == programs.count ? .answer(rule) : walk(State(rule: rule, facts: facts))
    }

    private var isExhausted: Bool {
        nodes.count >= DecisionBuilder.maximumNodes || work >= DecisionBuilder.maximumWork
            || depth >= DecisionBuilder.maximumDepth
    }

    private mutating func remember(
        _ state: State,
        _ make: (inout DecisionBuilder) -> DecisionTarget
    ) -> DecisionTarget {
        work += state.facts.count
        if let known = visited[state] { return known }
        depth += 1
        let target = make(&self)
        depth -= 1
        visited[state] = target
        return target
    }

    /// Walks the programs until the next step depends on the packet.
    private mutating func walk(_ start: State) -> DecisionTarget {
        var state = start
        while state.rule < programs.count {
            work += 1
            let step = programs[state.rule].steps[state.pc]
            let k = step.k
            var next = Int(step.next)
            var loaded: Field?
            switch step.operation {
            case .load(let size):
                loaded = .bytes(size: size, offset: Int(k), behind: nil)
                state.a = SymbolicValue(loaded!)
            case .loadIndexed(let size):
                loaded = indexed(size, state.facts.resolve(state.x), k)
                guard let loaded else { return runRule(state) }
                state.a = SymbolicValue(loaded)
            case .loadHeaderLength:
                loaded = .bytes(size: 1, offset: Int(k), behind: nil)
                state.x = .field(loaded!, mask: 15, shift: 2)
            case .constant(.a): state.a = .constant(k)
            case .constant(.x): state.x = .constant(k)
            case .memory(.a): state.a = state.memory.isEmpty ? .constant(0) : state.memory[Int(k)]
            case .memory(.x): state.x = state.memory.isEmpty ? .constant(0) : state.memory[Int(k)]
            case .length(.a): state.a = SymbolicValue(.wireLength)
            case .length(.x): state.x = SymbolicValue(.wireLength)
            case .store(let register):
                if state.memory.isEmpty {
                    state.memory = Array(repeating: .constant(0), count: BPFProgram.memoryWords)
                }
                state.memory[Int(k)] = register == .a ? state.a : state.x
            case .arithmetic(let operation, let source):
                let operand = source == .k ? .constant(k) : state.facts.resolve(state.x)
                if operation == .divide || operation == .modulo {
                    // A divisor from the packet may be 0.
                    guard case .constant(let divisor) = operand else { return runRule(state) }
                    if divisor == 0 {
                        state = State(rule: state.rule + 1, facts: state.facts)
                        continue
                    }
                }
                state.a = .calculated(operation, state.facts.resolve(state.a), operand)
            case .negate: state.a = .calculated(.subtract, .constant(0), state.facts.resolve(state.a))
            case .copyToX: state.x = state.a
            case .copyToA: state.a = state.x
            case .jump: break
            case .branch(let comparison, let source):
                let operand = source == .k ? .constant(k) : state.facts.resolve(state.x)
                switch Condition(comparison, state.facts.resolve(state.a), operand) {
                case .unknown: return runRule(state)
                case .always(let answer): if !answer { next = Int(step.otherwise) }
                case .test(let test, let negated):
                    note(test)
                    guard let holds = state.facts.decide(test) else { return branch(state, step, test, negated) }
                    if holds == negated { next = Int(step.otherwise) }
                }
            case .end:
                if k != 0 { return .answer(state.rule) }
                state = State(rule: state.rule + 1, facts: state.facts)
                continue
            case .endA:
                guard case .constant(let value) = state.facts.resolve(state.a) else { return runRule(state) }
                if value != 0 { return .answer(state.rule) }
                state = State(rule: state.rule + 1, facts: state.facts)
                continue
            }
            if case .bytes(let size, let offset, let behind)? = loaded {
                switch state.facts.areCaptured(offset + size, behind: behind) {
                case true?: break
                case false?:
                    state = State(rule: state.rule + 1, facts: state.facts)
                    continue
                case nil: return load(state, offset + size, behind)
                }
            }
            // Only loops lead back, and their effect depends on the packet.
            if next <= state.pc { return runRule(state) }
            state.pc = next
        }
        return .answer(state.rule)
    }

    /// Continues both ways from a test.
    private mutating func branch(
        _ state: State,
        _ step: BPFProgram.Step,
        _ test: FieldTest,
        _ negated: Bool
    ) -> DecisionTarget {
        if isExhausted { return fallback[state.rule] }
        return remember(state) { builder in
            var yes = state
            yes.pc = Int(negated ? step.otherwise : step.next)
            yes.facts.learn(test, true)
            var no = state
            no.pc = Int(negated ? step.next : step.otherwise)
            no.facts.learn(test, false)
            return builder.test(test, yes: builder.walk(yes), no: builder.walk(no))
        }
    }

    /// Continues both ways from a load that needs this many captured bytes.
    private mutating func load(_ state: State, _ needed: Int, _ behind: Int?) -> DecisionTarget {
        if isExhausted { return fallback[state.rule] }
        return remember(state) { builder in
            var there = state
            there.pc += 1
            there.facts.learn(captured: needed, behind: behind, true)
            var short = state.facts
            short.learn(captured: needed, behind: behind, false)
            let yes = builder.walk(there)
            let no = builder.firstRule(from: state.rule + 1, short)
            return builder.extent(needed, behind, yes: yes, no: no)
        }
    }

    /// The field that an indexed load reads; nil if its offset is not tracked.
    private func indexed(_ size: Int, _ x: SymbolicValue, _ k: UInt32) -> Field? {
        switch x {
        case .constant(let x): .bytes(size: size, offset: Int(x) + Int(k), behind: nil)
        case .field(.bytes(size: 1, let header, behind: nil), mask: 15, shift: 2):
            .bytes(size: size, offset: Int(k), behind: header)
        default: nil
        }
    }

    /// Runs the rule from its beginning; the walk continues with later rules.
    private mutating func runRule(_ state: State) -> DecisionTarget {
        if isExhausted { return fallback[state.rule] }
        return remember(state) { builder in
            let no = builder.firstRule(from: state.rule + 1, state.facts)
            return builder.node(.run(rule: state.rule, yes: .answer(state.rule), no: no))
        }
    }

    /// Records tests that characterise common IPv4 packets.
    private mutating func note(_ test: FieldTest) {
        guard test.span == 0, case .bytes(let size, let offset, behind: nil) = test.field else { return }
        if size == 2, test.mask == 0xffff, test.low == 0x0800, etherTypeOffset == nil, offset < 1 << 16 {
            etherTypeOffset = offset
        }
        if size == 1, test.mask == 0xff { comparedBytes[offset, default: []].insert(UInt8(test.low)) }
    }

    // MARK: Nodes

    private mutating func test(_ test: FieldTest, yes: DecisionTarget, no: DecisionTarget) -> DecisionTarget {
        if yes == no { return yes }
        guard case .bytes(let size, let offset, let behind) = test.field else {
            return node(.test(test, needed: 0, behind: nil, yes: yes, no: no, short: no))
        }
        return node(.test(test, needed: offset + size, behind: behind, yes: yes, no: no, short: no))
    }

    /// Checks whether bytes are captured; a test of these bytes that follows absorbs the check.
    private mutating func extent(
        _ needed: Int,
        _ behind: Int?,
        yes: DecisionTarget,
        no: DecisionTarget
    ) -> DecisionTarget {
        if yes == no { return yes }
        if case .node(let number) = yes,
            case .test(let test, let less, behind, let yes, let testNo, short: _) = nodes[number],
            test.field != .wireLength, less <= needed
        {
            return node(.test(test, needed: needed, behind: behind, yes: yes, no: testNo, short: no))
        }
        return node(.extent(needed: needed, behind: behind, yes: yes, no: no))
    }

    private mutating func node(_ decision: Decision) -> DecisionTarget {
        if let known = shared[decision] { return known }
        let target = DecisionTarget.node(nodes.count)
        nodes.append(decision)
        shared[decision] = target
        return target
    }
}

extension SymbolicValue {
    /// The value of an operation that cannot reject the packet: its divisor, if any, is a nonzero constant.
    fileprivate static func calculated(
        _ operation: BPFOperation.Arithmetic,
        _ a: SymbolicValue,
        _ b: SymbolicValue
    ) -> SymbolicValue {
        calculate(operation, a, b) ?? .opaque
    }
}
