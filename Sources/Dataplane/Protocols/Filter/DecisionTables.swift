// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Whether a field at a fixed offset has a value; or, where `last` is `UInt32.max`, a step of another kind.
struct DecisionNode: BitwiseCopyable {
    /// The last byte of the field, which must be captured, else the decision goes on at `short`. The four bytes that
    /// end there are compared.
    var last: UInt32
    /// The bits of these bytes that count, and their value, in the order of the packet's bytes.
    var mask: UInt32
    var value: UInt32
    /// Where to go on: the place of a node, in bytes from the first.
    var yes: UInt32
    var no: UInt32
    /// The same; for a step of another kind its number.
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

    /// The node that stands for an answer: a test that always holds and leads to itself.
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
    /// How many bytes the field has; 0 asks for nothing but `needed`.
    var size = 0
    var offset = 0
    /// How many bytes must be captured.
    var needed = 0
    /// Where the IPv4 header begins from whose end bytes are counted; -1 for the first byte of the packet.
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

/// The memory of a ``DecisionProgram``, as per-packet code reads it.
struct DecisionTables {
    /// First come the answers, the rules' and that of none, in their order; then the tests.
    let nodes: UnsafePointer<DecisionNode>
    let special: UnsafePointer<SpecialNode>
    let cases: UnsafePointer<DecisionCase>
    let steps: UnsafePointer<BPFProgram.Step>
    /// Where the decision begins.
    let root: UInt32
    /// Where it begins for usual IPv4 packets, by protocol.
    let byProtocol: UnsafePointer<UInt32>
    /// Where the EtherType stands, and the last byte of the IPv4 header behind it; `UInt32.max` where no rule asks for
    /// one.
    let etherType: Int
    let headerEnd: UInt32
    /// The place of the first node that is not an answer.
    let firstTest: UInt32
    /// How many tests from `byProtocol` on are made in step, 2 to 4; and the last byte that is read for that, `UInt32.max`
    /// where it cannot be done.
    let levels: Int
    let levelsEnd: UInt32

    func deallocate() {
        nodes.deallocate()
        special.deallocate()
        cases.deallocate()
        steps.deallocate()
        byProtocol.deallocate()
    }

    /// Where usual IPv4 packets go on by protocol: EtherType 0x0800 or what stands in its place, no options, no fragment,
    /// which three loads tell; nil for all others. The IPv4 header must be captured.
    @inline(__always)
    static func usualStart(_ tables: UnsafePointer<DecisionTables>, _ data: UnsafeRawPointer) -> UInt? {
        let header = data + tables.pointee.etherType
        guard _fastPath(header.isUsualIPv4(0)), _fastPath(header.be16(8) & 0x1fff == 0) else { return nil }
        // Places are widened where they are loaded, which costs nothing there.
        return UInt(tables.pointee.byProtocol[Int(header.byte(11))])
    }

    /// The place of the answer for a usual IPv4 packet; nil where that takes more than the tests that are made in step.
    ///
    /// All packets go through as many of these, those that are through stay where they are, and nothing depends on a branch
    /// that could only be guessed. It works on a pointer: what the loop over packets does not need in a register stays
    /// where it is.
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

    /// The rule whose answer stands at a place.
    @inline(__always)
    static func rule(_ place: UInt) -> Int { Int(bitPattern: place / UInt(MemoryLayout<DecisionNode>.stride)) }

    /// The rule that takes a packet, found one test after the other; the number of rules when none does. And how many tests
    /// that took, without the first, which every packet takes: telling usual packets from others.
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

    /// Where to go on from a test of a field whose bytes are captured.
    @inline(__always)
    private static func test(_ nodes: UnsafeRawPointer, _ place: UInt, _ data: UnsafeRawPointer) -> UInt {
        let node = (nodes + Int(bitPattern: place)).assumingMemoryBound(to: DecisionNode.self)
        let bytes = data.loadUnaligned(fromByteOffset: Int(node.pointee.last) &- 3, as: UInt32.self)
        return UInt(bytes & node.pointee.mask == node.pointee.value ? node.pointee.yes : node.pointee.no)
    }

    /// Where to go on from a step that is not a test of a field at a fixed offset; and the branches that a program took
    /// there.
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

    /// Where to go on from a test of the length, of a field behind an IPv4 header, or among many values.
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
