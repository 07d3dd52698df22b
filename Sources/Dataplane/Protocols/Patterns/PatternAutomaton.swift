// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Finds many byte strings at once: the automaton of Aho and Corasick (CACM 18(6), 1975) as one dense table, with a
/// filter that jumps over bytes where no pattern can begin.
///
/// The filter is that of Wu and Manber (TR 94-17) in one bit: every pattern has at least `stride + gramSize - 1` bytes,
/// so one that begins at any of `stride` places covers the gram of `gramSize` bytes that stands at the last of them.
/// Where that gram is in no pattern's beginning, no pattern begins at these places. The automaton runs only where the
/// filter cannot say no, and always over the last few bytes; so its state at the end of a piece is what it would be had
/// it read every byte.
///
/// The table has a row for each state: its depth, the pattern that ends there, the nearest shorter suffix at which one
/// ends, and for each class of bytes the row that comes next. A state is the place of its row, 0 being the one before
/// any byte. Rows are numbered by depth, so those used most lie together.
final class PatternAutomaton {
    let count: Int
    /// States, with the first.
    let states: Int
    private let memory: ZeroedMemory<UInt32>
    fileprivate let table: UnsafeMutablePointer<UInt32>
    /// For each byte the column of its class.
    fileprivate let columns: UnsafeMutablePointer<UInt16>
    fileprivate let filter: UnsafeMutablePointer<UInt64>
    /// Bits to set in a gram so that letters of both cases are one; it joins other bytes too, which a filter may.
    fileprivate let fold: UInt32
    /// The bytes of a gram, out of the four that are read.
    fileprivate let mask: UInt32
    /// Shifts a product of 32 bits to the bits that number the filter's.
    fileprivate let shift: UInt32
    fileprivate let stride: Int

    fileprivate static let depth = 0
    fileprivate static let pattern = 1
    fileprivate static let suffix = 2
    private static let firstColumn = 3
    /// Marks a row at which a pattern ends, in rows that lead there.
    fileprivate static let ends: UInt32 = 0x8000_0000

    /// Makes the automaton of `patterns`, none of them empty. Throws ``PatternList/Failure`` when two are the same or
    /// all together too long, and ``OutOfMemory``.
    init(_ patterns: [[UInt8]], ignoresCase: Bool) throws {
        let patterns = ignoresCase ? patterns.map { $0.map(PatternAutomaton.lowered) } : patterns
        let total = patterns.reduce(0) { $0 + $1.count }
        if total > PatternList.mostBytesInAll {
            throw PatternList.Failure(
                message: "the patterns have \(total) bytes together; \(PatternList.mostBytesInAll) are the most"
            )
        }
        count = patterns.count
        // Bytes that no pattern has are one class, the first.
        var columnOf = Array(repeating: UInt16(PatternAutomaton.firstColumn), count: 256)
        var width = PatternAutomaton.firstColumn + 1
        for byte in Set(patterns.joined()).sorted() {
            columnOf[Int(byte)] = UInt16(width)
            width += 1
        }
        if ignoresCase {
            for upper in UInt8(ascii: "A")...UInt8(ascii: "Z") { columnOf[Int(upper)] = columnOf[Int(upper | 0x20)] }
        }
        memory = try ZeroedMemory((1 + total) * width)
        table = memory.base
        columns = .allocate(capacity: 256)
        columns.initialize(from: columnOf, count: 256)

        // The tree of patterns, one depth after the other; 0 says that no row comes next, since none leads to the
        // first.
        var rows: UInt32 = 1
        var at = Array(repeating: UInt32(0), count: patterns.count)
        for depth in 0..<(patterns.map(\.count).max() ?? 0) {
            for (number, pattern) in patterns.enumerated() where depth < pattern.count {
                let next = table + Int(at[number]) + Int(columnOf[Int(pattern[depth])])
                if next.pointee == 0 {
                    next.pointee = rows * UInt32(width)
                    rows += 1
                    table[Int(next.pointee) + PatternAutomaton.depth] = UInt32(depth + 1)
                }
                at[number] = next.pointee
            }
        }
        states = Int(rows)

        // The gram that stands at the last of `stride` places. Few grams keep the filter sparse, and 16 KiB of it in
        // the first cache; only lists of very many patterns need more.
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

        try join(patterns, at, width)
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
        columns.deallocate()
        filter.deallocate()
    }

    /// Makes an automaton of the tree: every state leads on for every class, as its longest proper suffix does where
    /// the tree does not.
    private func join(_ patterns: [[UInt8]], _ ends: [UInt32], _ width: Int) throws {
        for (number, row) in ends.enumerated() {
            let pattern = table + Int(row) + PatternAutomaton.pattern
            if pattern.pointee != 0 {
                let text = patterns[number].withUnsafeBytes { bytes in
                    var text = ""
                    escape(bytes, asJSON: false) { text.unicodeScalars.append(Unicode.Scalar($0)) }
                    return text
                }
                throw PatternList.Failure(
                    message: "pattern \(number), '\(text)', is the same as pattern \(pattern.pointee - 1)"
                )
            }
            pattern.pointee = UInt32(number + 1)
        }
        var suffixes = Array(repeating: 0, count: states)
        for state in 0..<states {
            let row = table + state * width
            let suffix = table + suffixes[state]
            for column in PatternAutomaton.firstColumn..<width {
                // What the suffix does is known: it is shorter.
                let other = state == 0 ? 0 : suffix[column]
                let next = row[column]
                if next == 0 {
                    row[column] = other
                    continue
                }
                let place = Int(other & ~PatternAutomaton.ends)
                suffixes[Int(next) / width] = place
                let child = table + Int(next)
                child[PatternAutomaton.suffix] =
                    table[place + PatternAutomaton.pattern] != 0
                    ? UInt32(place) : table[place + PatternAutomaton.suffix]
                if child[PatternAutomaton.pattern] != 0 || child[PatternAutomaton.suffix] != 0 {
                    row[column] = next | PatternAutomaton.ends
                }
            }
        }
    }

    /// The pattern that ends at `state`, the longest if there are several; nil when none does.
    @inline(__always)
    func pattern(at state: UInt32) -> Int? {
        let number = table[Int(state) + PatternAutomaton.pattern]
        return number == 0 ? nil : Int(number) - 1
    }

    /// The nearest shorter suffix of `state` at which a pattern ends; 0 when there is none.
    @inline(__always)
    func suffix(of state: UInt32) -> UInt32 { table[Int(state) + PatternAutomaton.suffix] }

    private static func lowered(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }
}

/// One pass over one piece of a stream. It is valid as long as the bytes and the automaton are.
struct PatternSearch {
    private let table: UnsafePointer<UInt32>
    private let columns: UnsafePointer<UInt16>
    private let filter: UnsafePointer<UInt64>
    private let fold: UInt32
    private let mask: UInt32
    private let shift: UInt32
    private let stride: Int
    private let bytes: UnsafeRawPointer
    private let count: Int
    /// The state behind the bytes read; what the next piece begins with once ``next()`` has returned false.
    private(set) var state: UInt32
    /// Bytes the automaton has read or need not read: where the pattern ends when ``next()`` has returned true.
    private(set) var position = 0
    /// The automaton reads on as long as a prefix of a pattern that it follows began before here.
    private var goal = 0

    /// Begins before `bytes`, in the state that the piece before has left, 0 at the beginning of a stream.
    @inline(__always)
    init(_ automaton: PatternAutomaton, _ bytes: UnsafeRawBufferPointer, from state: UInt32) {
        table = UnsafePointer(automaton.table)
        columns = UnsafePointer(automaton.columns)
        filter = UnsafePointer(automaton.filter)
        fold = automaton.fold
        mask = automaton.mask
        shift = automaton.shift
        stride = automaton.stride
        // A piece without bytes may have no address; none is read then.
        self.bytes = bytes.baseAddress ?? UnsafeRawPointer(table)
        count = bytes.count
        self.state = state
    }

    /// Goes to the next place where a pattern ends, and returns false when there is none in this piece.
    mutating func next() -> Bool {
        // On locals, so that they stay in registers.
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
                if at &- Int(table[Int(state) &+ PatternAutomaton.depth]) >= goal { break }
                let next = table[Int(state) &+ Int(columns[Int(bytes.byte(at))])]
                state = next & ~PatternAutomaton.ends
                at &+= 1
                if next >= PatternAutomaton.ends { return true }
            }
            // What was followed from before `from` has come to its end, so all that is still to be found begins there
            // or later.
            let from = at &- Int(table[Int(state) &+ PatternAutomaton.depth])
            let (place, mayBegin) = skip(from)
            goal = mayBegin ? place &+ stride : .max
            if place > at {
                at = place
                state = 0
            }
        }
    }

    /// The first places, from `from` in steps, where a pattern may begin; without `mayBegin` the last that are not
    /// known, since too few bytes follow.
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

    /// A number whose lowest bit says whether the gram at `at` is one of the filter's.
    @inline(__always)
    private func probe(_ at: Int) -> UInt64 {
        let gram = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
        let bit = PatternSearch.hash(gram, fold, mask, shift)
        return filter[Int(bit &>> 6)] &>> UInt64(bit)
    }

    /// The bit of the filter that stands for a gram (Fibonacci hashing).
    @inline(__always)
    static func hash(_ gram: UInt32, _ fold: UInt32, _ mask: UInt32, _ shift: UInt32) -> UInt32 {
        (((gram | fold) & mask) &* 0x9e37_79b1) &>> shift
    }
}
