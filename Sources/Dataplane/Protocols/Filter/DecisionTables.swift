// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A test of a field at a fixed offset for a value; or, if `last` is `UInt32.max`, another kind of step.
struct DecisionNode: BitwiseCopyable {
    /// The last byte of the field, which must be captured, or else the decision continues at `short`. The four bytes that end
    /// there are compared.
    var last: UInt32
    /// The relevant bits of these bytes, and their value, in packet byte order.
    var mask: UInt32
    var value: UInt32
    /// Where to continue: the place of a node, in bytes from the first.
    var yes: UInt32
    var no: UInt32
    /// Where to continue if the field is not captured; for another kind of step its number.
    var short: UInt32
    /// Makes the size a power of two, so that a place becomes a number by a shift.
    private let padding: UInt64 = 0

    init(last: UInt32, mask: UInt32, value: UInt32, yes: UInt32, no: UInt32, short: UInt32) {
        self.last = last
        self.mask = mask
        self.value = value
        self.yes = yes
        self.no = no
        self.short = short
    }

    /// The node for an answer: a test that always holds and leads to itself.
    static func answer(_ place: UInt32) -> DecisionNode {
        DecisionNode(last: 3, mask: 0, value: 0, yes: place, no: place, short: place)
    }
}

/// A step that is not a comparison of a field at a fixed offset with one value.
struct SpecialNode: BitwiseCopyable {
    enum Kind: BitwiseCopyable {
        /// Tests the length on the wire.
        case length
        /// Tests `size` bytes at `offset`.
        case bytes
        /// Looks the field up among `count` values from `first` on.
        case choice
        /// Runs the program that begins at `first`.
        case run
    }
    var kind: Kind
    /// The number of bytes in the field; 0 to check nothing but `needed`.
    var size = 0
    var offset = 0
    /// The number of bytes that must be captured.
    var needed = 0
    /// Start of the IPv4 header from whose end offsets are counted; -1 to count from the first byte of the packet.
    var behind = -1
    var mask: UInt32 = 0
    var low: UInt32 = 0
    var span: UInt32 = 0
    var first = 0
    var count = 0
    var yes: UInt32 = 0
    var no: UInt32 = 0
    var short: UInt32 = 0
}

/// One value of a choice.
struct DecisionCase: BitwiseCopyable {
    var value: UInt32
    var next: UInt32
}

/// The memory of a ``DecisionProgram``, as read by per-packet code.
struct DecisionTables {
    /// The answers, in the order of the rules and then none; then the tests.
    let nodes: UnsafePointer<DecisionNode>
    let special: UnsafePointer<SpecialNode>
    let cases: UnsafePointer<DecisionCase>
    let steps: UnsafePointer<BPFProgram.Step>
    /// The entry point of the decision.
    let root: UInt32
    /// The entry points for common IPv4 packets, by protocol.
    let byProtocol: UnsafePointer<UInt32>
    /// Offset of the EtherType, and the last byte of the IPv4 header after it; `UInt32.max` if no rule tests it.
    let etherType: Int
    let headerEnd: UInt32
    /// The place of the first node that is not an answer.
    let firstTest: UInt32
    /// How many tests from `byProtocol` on are made in lockstep, 2 to 4; and the last byte they read, `UInt32.max` if they
    /// cannot be.
    let levels: Int
    let levelsEnd: UInt32

    func deallocate() {
        nodes.deallocate()
        special.deallocate()
        cases.deallocate()
        steps.deallocate()
        byProtocol.deallocate()
    }

    /// The entry point for a common IPv4 packet, by protocol: EtherType 0x0800 or its equivalent, no options, no fragment,
    /// checked with three loads; nil for all others. The IPv4 header must be captured.
    @inline(__always)
    static func usualStart(_ tables: UnsafePointer<DecisionTables>, _ data: UnsafeRawPointer) -> UInt? {
        let header = data + tables.pointee.etherType
        guard _fastPath(header.isUsualIPv4(0)), _fastPath(header.be16(8) & 0x1fff == 0) else { return nil }
        // Places are widened as they are loaded, which costs nothing.
        return UInt(tables.pointee.byProtocol[Int(header.byte(11))])
    }

    /// The place of the answer for a common IPv4 packet; nil if that takes more tests than are made in lockstep.
    ///
    /// All packets go through the same number of tests, those that have an answer stay there, and nothing depends on an
    /// unpredictable branch. It works on a pointer: state that the loop over packets does not need in a register stays in
    /// memory.
    @inline(__always)
    static func classifyUsual(
        _ tables: UnsafePointer<DecisionTables>,
        _ data: UnsafeRawPointer,
        captured: UInt32
    ) -> UInt? {
        guard _fastPath(captured > tables.pointee.levelsEnd), var next = usualStart(tables, data) else { return nil }
        let nodes = UnsafeRawPointer(tables.pointee.nodes)
        next = test(nodes, test(nodes, next, data), data)
        if tables.pointee.levels > 2 {
            next = test(nodes, next, data)
            if tables.pointee.levels > 3 { next = test(nodes, next, data) }
        }
        return _fastPath(next < UInt(tables.pointee.firstTest)) ? next : nil
    }

    /// The rule whose answer is at a place.
    @inline(__always)
    static func rule(_ place: UInt) -> Int { Int(bitPattern: place / UInt(MemoryLayout<DecisionNode>.stride)) }

    /// The rule that matches a packet, found one test after another, or the number of rules if none does; and how many tests
    /// that took, without the first, which every packet takes to tell common packets from others.
    @inline(never)
    static func classify(
        _ tables: UnsafePointer<DecisionTables>,
        _ data: UnsafeRawPointer,
        captured: UInt32,
        wire: UInt32
    ) -> (rule: Int, tests: Int) {
        var next = UInt(tables.pointee.root)
        if captured > tables.pointee.headerEnd, let start = usualStart(tables, data) { next = start }
        var count = 0
        let nodes = UnsafeRawPointer(tables.pointee.nodes)
        let firstTest = UInt(tables.pointee.firstTest)
        while next >= firstTest {
            count &+= 1
            let node = (nodes + Int(bitPattern: next)).assumingMemoryBound(to: DecisionNode.self)
            let last = node.pointee.last
            if captured > last {
                next = test(nodes, next, data)
            } else if last != .max {
                next = UInt(node.pointee.short)
            } else {
                let step = follow(tables, Int(node.pointee.short), data, captured, wire)
                next = UInt(step.next)
                count &+= step.branches
            }
        }
        return (rule(next), count)
    }

    /// The next place after a test of a field whose bytes are captured.
    @inline(__always)
    private static func test(_ nodes: UnsafeRawPointer, _ place: UInt, _ data: UnsafeRawPointer) -> UInt {
        let node = (nodes + Int(bitPattern: place)).assumingMemoryBound(to: DecisionNode.self)
        let bytes = data.loadUnaligned(fromByteOffset: Int(node.pointee.last) &- 3, as: UInt32.self)
        return UInt(bytes & node.pointee.mask == node.pointee.value ? node.pointee.yes : node.pointee.no)
    }

    /// The next place after a step other than a test of a field at a fixed offset; and the branches that a program took in it.
    @inline(never)
    private static func follow(
        _ tables: UnsafePointer<DecisionTables>,
        _ number: Int,
        _ data: UnsafeRawPointer,
        _ captured: UInt32,
        _ wire: UInt32
    ) -> (next: UInt32, branches: Int) {
        let node = tables.pointee.special + number
        if node.pointee.kind != .run { return (test(node, tables.pointee.cases, data, captured, wire), 0) }
        let program = tables.pointee.steps + node.pointee.first
        let (value, branches) = BPFProgram.run(program, data, captured: captured, wire: wire)
        return (value != 0 ? node.pointee.yes : node.pointee.no, branches)
    }

    /// The next place after a test of the length, of a field behind an IPv4 header, or among many values.
    @inline(__always)
    private static func test(
        _ node: UnsafePointer<SpecialNode>,
        _ cases: UnsafePointer<DecisionCase>,
        _ data: UnsafeRawPointer,
        _ captured: UInt32,
        _ wire: UInt32
    ) -> UInt32 {
        var value = wire
        if node.pointee.kind != .length {
            var base = 0
            if node.pointee.behind >= 0 {
                guard node.pointee.behind < captured else { return node.pointee.short }
                base = Int(data.byte(node.pointee.behind) & 15) &* 4
            }
            guard base &+ node.pointee.needed <= captured else { return node.pointee.short }
            let field = data + (base &+ node.pointee.offset)
            switch node.pointee.size {
            case 0: value = 0
            case 1: value = UInt32(field.byte(0))
            case 2: value = UInt32(field.be16(0))
            default: value = field.be32(0)
            }
        }
        value &= node.pointee.mask
        if node.pointee.kind != .choice {
            return value &- node.pointee.low <= node.pointee.span ? node.pointee.yes : node.pointee.no
        }
        let cases = cases + node.pointee.first
        var low = 0
        var high = node.pointee.count
        while low < high {
            let middle = (low &+ high) &>> 1
            if cases[middle].value < value { low = middle &+ 1 } else { high = middle }
        }
        return low < node.pointee.count && cases[low].value == value ? cases[low].next : node.pointee.no
    }
}
