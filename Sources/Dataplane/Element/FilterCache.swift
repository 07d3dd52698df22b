// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Compiled filters, and the decisions built from them, so that each is computed once.
///
/// Before the first packet a graph's filters are needed when the graph is read, when its elements are made for checking, and
/// when they are made to run. A long filter takes libpcap most of a second, and many rules take as long to become one decision.
///
/// The cache holds a bounded number of each and evicts the least recently used. It is safe to use from several threads: two
/// that ask for the same at the same time both compute it, rather than one waiting for the other.
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

    /// Filters and decisions now in the cache.
    public var count: (filters: Int, decisions: Int) {
        (programs.withLock { $0.count }, decisions.withLock { $0.count })
    }

    /// The program of `filter` for a link type, with the meanings of ``Services/compileFilter(_:linkType:)``; calls `compile`
    /// if it is not cached. That a filter is wrong is cached too; other errors are not, as they may not recur.
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

/// A bounded number of values by key; evicts the least recently used.
struct RecentlyUsed<Key: Hashable, Value> {
    private let capacity: Int
    private var entries: [Key: (value: Value, lastUse: UInt64)] = [:]
    private var uses: UInt64 = 0

    init(capacity: Int) { self.capacity = max(1, capacity) }

    var count: Int { entries.count }

    /// Reading a value counts as a use.
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
        // Computing an entry takes far longer than this search.
        if entries.count >= capacity, entries[key] == nil,
            let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse })
        {
            entries[oldest.key] = nil
        }
        entries[key] = (value, uses)
    }
}
