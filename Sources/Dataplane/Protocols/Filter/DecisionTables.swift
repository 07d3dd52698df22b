// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A test of one field at a fixed offset; or, where `last` is `UInt32.max`, a step of another kind.
struct DecisionNode: BitwiseCopyable {
    /// The last byte that must be captured, else the decision goes on at `short`.
    var last: UInt32
    /// Where the four bytes begin of which the field is the end.
    var offset: UInt32
    var mask: UInt32
    var low: UInt32
    var span: UInt32
    /// Where to go on: the place of a node in bytes from the first, or the complement of a rule's number.
    var yes: Int32
    var no: Int32
    /// The same; for a step of another kind its number.
    var short: Int32
}

/// A step that is not a test of a field at a fixed offset.
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
    var yes: Int32 = 0
    var no: Int32 = 0
    var short: Int32 = 0
}

/// One value of a choice.
struct DecisionCase: BitwiseCopyable {
    var value: UInt32
    var next: Int32
}

/// The memory of a ``DecisionProgram``, as per-packet code reads it.
struct DecisionTables {
    let nodes: UnsafeMutablePointer<DecisionNode>
    let special: UnsafeMutablePointer<SpecialNode>
    let cases: UnsafeMutablePointer<DecisionCase>
    let steps: UnsafeMutablePointer<BPFProgram.Step>
    /// Where the decision begins.
    let root: Int32
    /// Where it begins for usual IPv4 packets, by protocol.
    let byProtocol: UnsafeMutablePointer<Int32>
    /// Where the EtherType stands, and the last byte of the IPv4 header behind it; `UInt32.max` where no rule asks for one.
    let etherType: Int
    let headerEnd: UInt32

    /// The rule that takes a packet; the number of rules when none does. Adds the steps it took to `tests`.
    ///
    /// Usual IPv4 packets (EtherType 0x0800 or what stands in its place, no options, no fragment) are told by three loads,
    /// and go on at once by protocol.
    @inline(__always)
    func classify(_ data: UnsafeRawPointer, captured: UInt32, wire: UInt32, tests: inout Int) -> Int {
        var next = root
        if captured > headerEnd {
            let header = data + etherType
            if header.be32(0) & 0xffff_ff00 == 0x0800_4500, header.be16(8) & 0x1fff == 0 {
                next = byProtocol[Int(header.byte(11))]
                tests &+= 1
            }
        }
        while next >= 0 {
            tests &+= 1
            let node = UnsafeRawPointer(nodes).advanced(by: Int(next)).assumingMemoryBound(to: DecisionNode.self)
            if captured > node.pointee.last {
                let value = data.be32(Int(node.pointee.offset)) & node.pointee.mask
                next = value &- node.pointee.low <= node.pointee.span ? node.pointee.yes : node.pointee.no
            } else if node.pointee.last != .max {
                next = node.pointee.short
            } else {
                next = follow(special + Int(node.pointee.short), data, captured, wire, &tests)
            }
        }
        return Int(~next)
    }

    /// Where to go on from a special step.
    @inline(never)
    private func follow(
        _ node: UnsafePointer<SpecialNode>,
        _ data: UnsafeRawPointer,
        _ captured: UInt32,
        _ wire: UInt32,
        _ tests: inout Int
    ) -> Int32 {
        var value = wire
        switch node.pointee.kind {
        case .run:
            let steps = UnsafePointer(steps + node.pointee.first)
            let result = BPFProgram.run(steps, data, captured: captured, wire: wire, tests: &tests)
            return result != 0 ? node.pointee.yes : node.pointee.no
        case .length: break
        case .bytes, .choice:
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
