// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Several filters compiled into one decision: which of them is the first to match a packet.
///
/// The result is exactly that of running the filters' BPF programs one after the other; tests that filters share are made once,
/// and what one test implies for another is used.
///
/// Immutable once made, so elements of several graphs and threads may share it.
public final class DecisionProgram: @unchecked Sendable {
    /// The number of rules; also the answer for packets that no rule matches.
    public let ruleCount: Int
    let tables: UnsafePointer<DecisionTables>
    /// The layout, kept for ``description``.
    private let listing: DecisionLayout

    /// Builds the decision from one program per rule, in order. Nil stands for a rule that matches no packet, as does an
    /// invalid program: an unknown instruction, a jump out of the program, a division by a constant 0.
    public init(_ rules: [[BPFInstruction]?]) {
        let programs = rules.map { $0.flatMap(BPFProgram.init) ?? BPFProgram([.reject])! }
        ruleCount = programs.count
        listing = DecisionLayout(programs)
        let tables = UnsafeMutablePointer<DecisionTables>.allocate(capacity: 1)
        tables.initialize(to: listing.allocate())
        self.tables = UnsafePointer(tables)
    }

    deinit {
        tables.pointee.deallocate()
        tables.deallocate()
    }

    /// The number of the first rule that matches the packet at `data`, or ``ruleCount``; and how many tests that took.
    ///
    /// Filters see `wireLength` as `len`.
    public func classify(_ data: UnsafeRawBufferPointer, wireLength: UInt32) -> (rule: Int, tests: Int) {
        // An empty buffer may have no address; nothing is read from it.
        let start = data.baseAddress ?? UnsafeRawPointer(tables)
        let captured = UInt32(clamping: data.count)
        if let place = DecisionTables.classifyUsual(tables, start, captured: captured) {
            return (DecisionTables.rule(place), tables.pointee.levels + 1)
        }
        let found = DecisionTables.classify(tables, start, captured: captured, wire: wireLength)
        return (found.rule, found.tests + 1)
    }

    /// The number of nodes in the decision.
    public var nodeCount: Int { listing.nodes.count - ruleCount - 1 }
}

// MARK: Listing

extension DecisionProgram: CustomStringConvertible {
    /// The nodes of the decision, one per line: the test, and where it leads.
    public var description: String {
        var text = ""
        if !listing.byProtocol.isEmpty {
            text += "IPv4 behind EtherType at \(listing.etherType), no options, no fragment; by protocol:\n"
            var last = 0
            for number in 1...256 where number == 256 || listing.byProtocol[number] != listing.byProtocol[last] {
                text += "  \(last)" + (number - 1 > last ? "-\(number - 1)" : "") + " -> "
                text += name(listing.byProtocol[last]) + "\n"
                last = number
            }
        }
        text += "others -> \(name(listing.root))\n"
        for (number, node) in listing.nodes.dropFirst(ruleCount + 1).enumerated() {
            text += "\(number): \(describe(node))\n"
        }
        return text
    }

    private func name(_ link: UInt32) -> String {
        guard let rule = listing.answer(at: link) else {
            return String(DecisionLayout.number(link) - ruleCount - 1)
        }
        return rule == ruleCount ? "other" : "rule \(rule)"
    }

    private func describe(_ node: DecisionNode) -> String {
        if node.last != .max {
            let test = SpecialNode(
                kind: .bytes,
                size: 4,
                offset: Int(node.last) - 3,
                needed: Int(node.last) + 1,
                mask: UInt32(bigEndian: node.mask),
                low: UInt32(bigEndian: node.value),
                yes: node.yes,
                no: node.no,
                short: node.short
            )
            return describe(test)
        }
        return describe(listing.special[Int(node.short)])
    }

    private func describe(_ node: SpecialNode) -> String {
        let place = node.behind < 0 ? "" : "header at \(node.behind) + "
        let bytes = "[\(place)\(node.offset):\(node.size)]"
        let short = "  short \(name(node.short))"
        switch node.kind {
        case .run: return "program at step \(node.first)  yes \(name(node.yes))  no \(name(node.no))"
        case .choice:
            let cases = listing.cases[node.first..<node.first + node.count]
            return "\(bytes) & \(hexadecimal(node.mask)) is "
                + cases.map { "\(hexadecimal($0.value)): \(name($0.next))" }.joined(separator: ", ")
                + "  no \(name(node.no))" + short
        case .length: return "length" + range(node)
        case .bytes: return (node.mask == 0 ? "\(node.needed) bytes" : bytes) + range(node) + short
        }
    }

    private func range(_ node: SpecialNode) -> String {
        let targets = "  yes \(name(node.yes))  no \(name(node.no))"
        if node.mask == 0 { return targets }
        let low = hexadecimal(node.low)
        let test = node.span == 0 ? " == \(low)" : " in \(low)...\(hexadecimal(node.low + node.span))"
        return " & \(hexadecimal(node.mask))" + test + targets
    }

    private func hexadecimal(_ value: UInt32) -> String { "0x" + String(value, radix: 16) }
}
