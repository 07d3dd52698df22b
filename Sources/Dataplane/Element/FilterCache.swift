// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Compiled filters, and the decisions made of them, so that each is made once for all who ask.
///
/// Before its first packet a graph's filters are asked for when the graph is read, when its elements are made to be checked,
/// and when they are made to run. A long filter takes libpcap most of a second, and many rules take as long to become one
/// decision.
///
/// It holds a bounded number of each; a new one takes the place of the one whose last use is longest ago. It may be used
/// by several threads: two that ask for the same at the same time both make it, rather than one wait for the other.
public final class FilterCache: Sendable {
    private let programs: Mutex<RecentlyUsed<Key, Result<[BPFInstruction]?, FilterError>>>
    private let decisions: Mutex<RecentlyUsed<[[BPFInstruction]?], DecisionProgram>>

    private struct Key: Hashable {
        var filter: String
        var linkType: UInt16
    }

    /// - Parameters:
    ///   - filters: filters kept, each for one link type: up to 32 KiB each.
    ///   - decisions: decisions kept, each among the rules of one element for one link type: up to a megabyte each.
    public init(filters: Int = 4096, decisions: Int = 64) {
        programs = Mutex(RecentlyUsed(capacity: filters))
        self.decisions = Mutex(RecentlyUsed(capacity: decisions))
    }

    /// Filters and decisions that are kept now.
    public var count: (filters: Int, decisions: Int) {
        (programs.withLock { $0.count }, decisions.withLock { $0.count })
    }

    /// The program of `filter` for a link type, with the meanings of ``Services/compileFilter(_:linkType:)``; `compile` is
    /// called when it is not here. That a filter is wrong is kept too; any other error may be another one next time.
    public func program(
        of filter: String,
        linkType: UInt16,
        compile: () throws -> [BPFInstruction]?
    ) throws -> [BPFInstruction]? {
        let key = Key(filter: filter, linkType: linkType)
        if let known = programs.withLock({ $0[key] }) { return try known.get() }
        do {
            let program = try compile()
            programs.withLock { $0.insert(.success(program), for: key) }
            return program
        } catch let error as FilterError {
            programs.withLock { $0.insert(.failure(error), for: key) }
            throw error
        }
    }

    /// The decision among rules with these programs.
    func decision(among programs: [[BPFInstruction]?]) -> DecisionProgram {
        if let known = decisions.withLock({ $0[programs] }) { return known }
        let decision = DecisionProgram(programs)
        decisions.withLock { $0.insert(decision, for: programs) }
        return decision
    }
}

/// A bounded number of values by key; a new one takes the place of the one whose last use is longest ago.
struct RecentlyUsed<Key: Hashable, Value> {
    private let capacity: Int
    private var entries: [Key: (value: Value, lastUse: UInt64)] = [:]
    private var uses: UInt64 = 0

    init(capacity: Int) { self.capacity = max(1, capacity) }

    var count: Int { entries.count }

    /// Reading a value is a use of it.
    subscript(key: Key) -> Value? {
        mutating get {
            guard let index = entries.index(forKey: key) else { return nil }
            uses += 1
            entries.values[index].lastUse = uses
            return entries.values[index].value
        }
    }

    mutating func insert(_ value: Value, for key: Key) {
        uses += 1
        // What is kept here takes far longer to make than this search.
        if entries.count >= capacity, entries[key] == nil,
            let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse })
        {
            entries[oldest.key] = nil
        }
        entries[key] = (value, uses)
    }
}
