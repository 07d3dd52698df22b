// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

// Filters are compiled while a graph is read, not only when its elements are made: so all invalid ones are reported at once,
// each at its place, even in compounds that no graph uses.
extension GraphBuilder {
    /// Whether all filters among an element's values compile; reports those that do not.
    func checkFilters(among values: [(name: String, mark: Mark, value: Value)], of type: ElementDescriptor) -> Bool {
        var isGood = true
        for parameter in type.parameters where parameter.type == .filters {
            for given in values where given.name == parameter.name {
                // Values of another shape are reported by their reader.
                let filters = (try? given.value.filters()) ?? []
                for filter in filters where !check(filter) { isGood = false }
                findRepeated(filters)
            }
        }
        return isGood
    }

    /// Reports filters that are written like an earlier one, which leaves nothing to them.
    private func findRepeated(_ filters: [NamedFilter]) {
        var first: [[Substring]: NamedFilter] = [:]
        for filter in filters {
            let words = filter.filter.split { $0.isWhitespace }
            guard let earlier = first[words] else {
                first[words] = filter
                continue
            }
            // Placeholder values say nothing about the real ones.
            let substitutions = [earlier, filter].flatMap { session.substitutions[$0.mark] ?? [] }
            guard !substitutions.contains(where: { $0.binding.isPlaceholder }) else { continue }
            session.report(
                .repeatedFilter,
                "nothing leaves by '\(filter.name)': '\(earlier.name)' before it has the same filter",
                at: filter.mark
            )
        }
    }

    private func check(_ filter: NamedFilter) -> Bool {
        let substitutions = session.substitutions[filter.mark] ?? []
        do {
            let isEmpty = try [LinkType.ethernet, LinkType.raw, LinkType.linuxSLL].allSatisfy {
                try services.compileFilter(filter.filter, linkType: $0) == [.reject]
            }
            if isEmpty, !substitutions.contains(where: { $0.binding.isPlaceholder }) {
                session.report(.emptyFilter, "no packet matches the filter of '\(filter.name)'", at: filter.mark)
            }
            return true
        } catch {
            // A placeholder value says nothing about the real one.
            guard !substitutions.contains(where: { $0.binding.isPlaceholder }) else { return false }
            let notes = substitutions.map {
                Session.Note("'$\($0.name)' is '\($0.binding.text)' here", $0.binding.mark)
            }
            session.report(.badFilter, "the filter is refused: \(error)", at: filter.mark, notes: notes)
            return false
        }
    }
}
