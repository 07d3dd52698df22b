// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Finds many byte strings at once: the automaton of Aho and Corasick (CACM 18(6), 1975), with a filter that skips bytes where
/// no pattern can begin.
///
/// The filter is that of Wu and Manber (TR 94-17) in one bit: every pattern has at least `stride + gramSize - 1` bytes, so one
/// that begins at any of `stride` places covers the gram of `gramSize` bytes at the last of them. If that gram is in no
/// pattern's beginning, no pattern begins at these places. The automaton runs only where the filter cannot rule patterns out,
/// and always over the last few bytes; so its state at the end of a piece is as if it had read every byte.
///
/// States are numbered by depth, the children of each consecutively. The first states, which are used most, have a row with the
/// next state for each class of bytes; the others have only their children and the longest suffix that is also a state, from
/// which the search continues if no child fits. So memory grows with the bytes of the patterns, and the part in use fits the
/// second-level cache.
final class PatternAutomaton {
    let count: Int
    /// The number of states, including the initial one.
    let states: Int
    private let memory: ZeroedMemory<UInt32>
    fileprivate let nodes: UnsafeMutablePointer<Node>
    private let outputs: UnsafeMutablePointer<Output>
    /// Memory of states, rows and filter, in bytes.
    let memoryBytes: Int
    fileprivate let rows: UnsafeMutablePointer<UInt32>
    /// The number of states with a row, and the shift from a state's number to the start of its row.
    fileprivate let rowCount: UInt32
    fileprivate let rowShift: UInt32
    /// For each byte the column of its class.
    fileprivate let columns: UnsafeMutablePointer<UInt16>
    fileprivate let filter: UnsafeMutablePointer<UInt64>
    /// Bits to set in a gram to ignore case; this conflates other bytes too, which a filter may do.
    fileprivate let fold: UInt32
    /// The bytes of a gram, among the four that are read.
    fileprivate let mask: UInt32
    /// Shifts a 32-bit product down to the number of a filter bit.
    fileprivate let shift: UInt32
    fileprivate let stride: Int

    /// A state. Four of them fill a cache line.
    fileprivate struct Node {
        var firstChild: UInt32 = 0
        /// The longest proper suffix that is a state.
        var suffix: UInt32 = 0
        var childCount: UInt16 = 0
        /// The column that leads to the first child, and the one that leads here.
        var firstColumn: UInt16 = .max
        var column: UInt16 = 0
        /// Its depth, with ``ends`` set if a pattern ends here.
        var mark: UInt16 = 0
    }
    /// Patterns that end at a state.
    private struct Output {
        /// The number of the pattern, from 1; 0 for none.
        var pattern: UInt32 = 0
        /// The longest proper suffix at which a pattern ends; 0 for none.
        var suffix: UInt32 = 0
    }
    fileprivate static let ends: UInt16 = 0x8000
    fileprivate static let depth: UInt16 = 0x7fff

    /// Builds the automaton of `patterns`, none of them empty. Throws ``PatternList/Failure`` if two are equal or all together
    /// are too long, and ``OutOfMemory``. Rows take at most `rowBytes`, or there is only one.
    init(_ patterns: [[UInt8]], ignoresCase: Bool, rowBytes: Int = 512 << 10) throws {
        let patterns = ignoresCase ? patterns.map { $0.map(\.lowered) } : patterns
        let total = patterns.reduce(0) { $0 + $1.count }
        if total > PatternList.mostBytesInAll {
            throw PatternList.Failure(
                message: "the patterns have \(total) bytes together; \(PatternList.mostBytesInAll) are the most"
            )
        }
        let sorted = patterns.indices.sorted { patterns[$0].lexicographicallyPrecedes(patterns[$1]) }
        for (a, b) in zip(sorted, sorted.dropFirst()) where patterns[a] == patterns[b] {
            throw PatternList.Failure(message: "pattern \(max(a, b)) is the same as pattern \(min(a, b))")
        }
        count = patterns.count
        // Bytes that appear in no pattern form one class, column 0.
        var columnOf = Array(repeating: UInt16(0), count: 256)
        for (number, byte) in Set(patterns.joined()).sorted().enumerated() { columnOf[Int(byte)] = UInt16(number + 1) }
        if ignoresCase {
            for upper in UInt8(ascii: "A")...UInt8(ascii: "Z") { columnOf[Int(upper)] = columnOf[Int(upper | 0x20)] }
        }
        let width = Int(columnOf.max()!) + 1
        columns = .allocate(capacity: 256)
        columns.initialize(from: columnOf, count: 256)
        let (nodes, outputs) = PatternAutomaton.tree(patterns, sorted, columnOf)
        states = nodes.count
        self.nodes = .allocate(capacity: states)
        self.nodes.initialize(from: nodes, count: states)
        self.outputs = .allocate(capacity: states)
        self.outputs.initialize(from: outputs, count: states)
        rowShift = UInt32(Int.bitWidth - (width - 1).leadingZeroBitCount)
        rowCount = UInt32(min(states, max(1, (rowBytes / 4) >> Int(rowShift))))
        memory = try ZeroedMemory(Int(rowCount) << Int(rowShift))
        rows = memory.base

        // With few grams the filter is sparse, and 16 KiB of it fit the first-level cache; only lists of very many patterns
        // need more.
        let shortest = patterns.map(\.count).min() ?? 4
        let gramSize = min(shortest, 4)
        let isLarge = patterns.count > 8192
        stride = min(shortest - gramSize + 1, max(1, 8192 / max(1, patterns.count)))
        mask = gramSize == 4 ? .max : (1 << UInt32(8 * gramSize)) - 1
        fold = ignoresCase ? 0x2020_2020 : 0
        let bits = isLarge ? 20 : 17
        shift = UInt32(32 - bits)
        filter = .allocate(capacity: 1 << (bits - 6))
        filter.initialize(repeating: 0, count: 1 << (bits - 6))
        memoryBytes =
            states * (MemoryLayout<Node>.stride + MemoryLayout<Output>.stride)
            + (Int(rowCount) << Int(rowShift)) * MemoryLayout<UInt32>.stride + (8 << (bits - 6))

        join(width)
        for pattern in patterns {
            for place in 0..<stride {
                let gram = (0..<gramSize).reduce(UInt32(0)) { $0 | UInt32(pattern[place + $1]) << UInt32(8 * $1) }
                let bit = PatternSearch.hash(gram, fold, mask, shift)
                filter[Int(bit >> 6)] |= 1 << UInt64(bit & 63)
            }
        }
    }

    deinit {
        memory.deallocate()
        nodes.deallocate()
        outputs.deallocate()
        columns.deallocate()
        filter.deallocate()
    }

    /// Builds the trie of the patterns. Those that begin with the bytes of a state are consecutive in `sorted`.
    private static func tree(
        _ patterns: [[UInt8]],
        _ sorted: [Int],
        _ columnOf: [UInt16]
    ) -> ([Node], [Output]) {
        var nodes = [Node()]
        var outputs = [Output()]
        var ranges = [0..<sorted.count]
        var state = 0
        while state < nodes.count {
            let depth = Int(nodes[state].mark)
            var rest = ranges[state]
            if let first = rest.first, patterns[sorted[first]].count == depth {
                outputs[state].pattern = UInt32(sorted[first] + 1)
                rest = rest.dropFirst()
            }
            nodes[state].firstChild = UInt32(nodes.count)
            while let first = rest.first {
                let byte = patterns[sorted[first]][depth]
                let end = rest.first { patterns[sorted[$0]][depth] != byte } ?? rest.upperBound
                let column = columnOf[Int(byte)]
                if nodes[state].childCount == 0 { nodes[state].firstColumn = column }
                nodes[state].childCount += 1
                nodes.append(Node(column: column, mark: UInt16(depth + 1)))
                outputs.append(Output())
                ranges.append(first..<end)
                rest = end..<rest.upperBound
            }
            state += 1
        }
        return (nodes, outputs)
    }

    /// Turns the trie into an automaton: finds the suffixes, and writes the rows. A state's suffix is done first, since it is
    /// shorter.
    private func join(_ width: Int) {
        for state in 0..<states {
            let node = nodes[state]
            if state < Int(rowCount), state > 0 {
                let row = rows + (state << Int(rowShift))
                for column in 0..<width { row[column] = next(node.suffix, UInt16(column)) }
            }
            for child in Int(node.firstChild)..<Int(node.firstChild) + Int(node.childCount) {
                let column = nodes[child].column
                let suffix = state == 0 ? 0 : next(node.suffix, column)
                nodes[child].suffix = suffix
                outputs[child].suffix = outputs[Int(suffix)].pattern != 0 ? suffix : outputs[Int(suffix)].suffix
                if outputs[child].pattern != 0 || outputs[child].suffix != 0 {
                    nodes[child].mark |= PatternAutomaton.ends
                }
                if state < Int(rowCount) { rows[(state << Int(rowShift)) + Int(column)] = UInt32(child) }
            }
        }
    }

    /// The next state after `state` for a class of bytes.
    @inline(__always)
    private func next(_ state: UInt32, _ column: UInt16) -> UInt32 {
        PatternAutomaton.next(state, column, nodes, rows, rowCount, rowShift)
    }

    @inline(__always)
    fileprivate static func next(
        _ state: UInt32,
        _ column: UInt16,
        _ nodes: UnsafePointer<Node>,
        _ rows: UnsafePointer<UInt32>,
        _ rowCount: UInt32,
        _ rowShift: UInt32
    ) -> UInt32 {
        var state = state
        while state >= rowCount {
            let node = nodes + Int(state)
            let first = node.pointee.firstChild
            if node.pointee.firstColumn == column { return first }
            var child: UInt32 = 1
            while child < UInt32(node.pointee.childCount) {
                if nodes[Int(first &+ child)].column == column { return first &+ child }
                child &+= 1
            }
            state = node.pointee.suffix
        }
        return rows[(Int(state) &<< Int(rowShift)) &+ Int(column)]
    }

    /// The pattern that ends at `state`, the longest if there are several; nil if none does.
    @inline(__always)
    func pattern(at state: UInt32) -> Int? {
        let number = outputs[Int(state)].pattern
        return number == 0 ? nil : Int(number) - 1
    }

    /// The nearest shorter suffix of `state` at which a pattern ends; 0 if there is none.
    @inline(__always)
    func suffix(of state: UInt32) -> UInt32 { outputs[Int(state)].suffix }
}

/// One pass over one piece of a stream. Valid as long as the bytes and the automaton are.
struct PatternSearch {
    private let nodes: UnsafePointer<PatternAutomaton.Node>
    private let rows: UnsafePointer<UInt32>
    private let rowCount: UInt32
    private let rowShift: UInt32
    private let columns: UnsafePointer<UInt16>
    private let filter: UnsafePointer<UInt64>
    private let fold: UInt32
    private let mask: UInt32
    private let shift: UInt32
    private let stride: Int
    private let bytes: UnsafeRawPointer
    private let count: Int
    /// The state after the bytes read; the start for the next piece once ``next()`` has returned false.
    private(set) var state: UInt32
    /// Bytes the automaton has read or skipped: the end of the pattern when ``next()`` has returned true.
    private(set) var position = 0
    /// The automaton reads on as long as the pattern prefix it follows began before here.
    private var goal = 0

    /// Starts before `bytes`, in the final state of the previous piece, or 0 at the beginning of a stream.
    @inline(__always)
    init(_ automaton: PatternAutomaton, _ bytes: UnsafeRawBufferPointer, from state: UInt32) {
        nodes = UnsafePointer(automaton.nodes)
        rows = UnsafePointer(automaton.rows)
        rowCount = automaton.rowCount
        rowShift = automaton.rowShift
        columns = UnsafePointer(automaton.columns)
        filter = UnsafePointer(automaton.filter)
        fold = automaton.fold
        mask = automaton.mask
        shift = automaton.shift
        stride = automaton.stride
        // An empty piece may have no address; none is read then.
        self.bytes = bytes.baseAddress ?? UnsafeRawPointer(rows)
        count = bytes.count
        self.state = state
    }

    /// Advances to the next end of a pattern; returns false if there is none in this piece.
    mutating func next() -> Bool {
        // In local variables, so that they stay in registers.
        var state = self.state
        var at = position
        var goal = self.goal
        let count = self.count
        defer {
            self.state = state
            position = at
            self.goal = goal
        }
        while true {
            while true {
                if at == count { return false }
                if at &- Int(nodes[Int(state)].mark & PatternAutomaton.depth) >= goal { break }
                let column = columns[Int(bytes.byte(at))]
                state = PatternAutomaton.next(state, column, nodes, rows, rowCount, rowShift)
                at &+= 1
                if nodes[Int(state)].mark & PatternAutomaton.ends != 0 { return true }
            }
            // Everything followed from before `from` has ended, so all remaining matches begin there or later.
            let from = at &- Int(nodes[Int(state)].mark & PatternAutomaton.depth)
            let (place, mayBegin) = skip(from)
            goal = mayBegin ? place &+ stride : .max
            if place > at {
                at = place
                state = 0
            }
        }
    }

    /// The first places, from `from` in steps, where a pattern may begin; without `mayBegin`, the last ones that are undecided
    /// because too few bytes follow.
    @inline(__always)
    private func skip(_ from: Int) -> (place: Int, mayBegin: Bool) {
        let lead = stride &- 1
        var at = from &+ lead
        let last = count &- 4
        let last4 = last &- 3 &* stride
        while at <= last4 {
            if (probe(at) | probe(at &+ stride) | probe(at &+ 2 &* stride) | probe(at &+ 3 &* stride)) & 1 != 0 {
                break
            }
            at &+= 4 &* stride
        }
        while at <= last {
            if probe(at) & 1 != 0 { return (at &- lead, true) }
            at &+= stride
        }
        return (at &- lead, false)
    }

    /// A number whose lowest bit is set if the gram at `at` is in the filter.
    @inline(__always)
    private func probe(_ at: Int) -> UInt64 {
        let gram = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
        let bit = PatternSearch.hash(gram, fold, mask, shift)
        return filter[Int(bit &>> 6)] &>> UInt64(bit)
    }

    /// The filter bit for a gram (Fibonacci hashing).
    @inline(__always)
    static func hash(_ gram: UInt32, _ fold: UInt32, _ mask: UInt32, _ shift: UInt32) -> UInt32 {
        (((gram | fold) & mask) &* 0x9e37_79b1) &>> shift
    }
}
