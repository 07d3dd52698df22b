// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

// Chains: the hops of each become nodes, then links between their ports.
extension GraphBuilder {
    /// The node name of a hop; a bare type makes a new element. Nil if there is no such node, which is reported.
    func node(of hop: Hop, _ scope: inout Scope) -> String? {
        if scope.handles[hop.node] != nil { return hop.node }
        if types[hop.node] != nil || scope.module.compounds[hop.node] != nil {
            var name: String
            repeat {
                scope.numbers[hop.node, default: 0] += 1
                name = "\(hop.node)@\(scope.numbers[hop.node]!)"
            } while scope.handles[name] != nil
            add(name, hop.node, at: hop.nodeMark, typeMark: hop.nodeMark, place: scope.pin, [], &scope)
            return name
        }
        // `Counter@2` may name an element that a later chain makes.
        return hop.node.utf8.contains(UInt8(ascii: "@")) ? hop.node : missing(hop, &scope)
    }

    private func missing(_ hop: Hop, _ scope: inout Scope) -> String? {
        let isType = hop.node.first?.isUppercase ?? false
        if !session.isFull, !(isType && scope.module.lacksCompounds) {
            let names = scope.names + typeNames(scope.module)
            let likely = session.likely(hop.node, among: names)
            session.report(
                isType ? .unknownType : .unknownElement,
                "there is no element\(isType ? " type" : "") '\(hop.node)'",
                at: hop.nodeMark,
                suggestion: likely.map(didYouMean)
            )
            // If that is meant, it counts as used, and its ports are not reported.
            if let likely, let handle = scope.handles[likely] {
                taint(handle)
                scope.handles[likely]?.isUsed = true
            }
        }
        return nil
    }

    /// Adds the links of one chain.
    func follow(_ chain: Chain, _ nodes: [String?], _ scope: inout Scope) {
        if session.isFull { return }
        var ends: [(input: Input?, output: Output?)] = []
        for (i, hop) in chain.hops.enumerated() {
            var end: (input: Input?, output: Output?) = (nil, nil)
            defer { ends.append(end) }
            guard let hop, let name = nodes[i] else {
                if hop == nil { scope.chainsAreWhole = false }
                continue
            }
            guard let handle = scope.handles[name] else {
                _ = missing(hop, &scope)
                continue
            }
            scope.handles[name]?.isUsed = true
            if handle.isFailed { continue }
            let isFirst = i == 0
            let isLast = i == chain.hops.count - 1
            guard let found = self.ends(of: hop, name, handle, isFirst: isFirst, isLast: isLast) else {
                taint(handle)
                continue
            }
            end = found
        }
        for i in chain.hops.indices.dropLast() {
            guard let from = ends[i].output, let to = ends[i + 1].input, let a = chain.hops[i],
                let b = chain.hops[i + 1]
            else {
                // The valid end has lost its other end.
                if let from = ends[i].output { taint(from.vertex) }
                if let to = ends[i + 1].input { taint(to.vertex) }
                continue
            }
            if let first = connect(Link(from: from, to: to, fromMark: a.mark, toMark: b.mark)) {
                session.report(
                    .outputUsedTwice,
                    "the \(outputName(from)) leads somewhere already",
                    at: a.mark,
                    suggestion: "a Tee makes copies",
                    notes: [Session.Note("first here", first.fromMark)]
                )
                taint(to.vertex)
            }
        }
    }

    private func outputName(_ output: Output) -> String {
        guard let element = vertices[output.vertex].element else { return vertices[output.vertex].name }
        return "output '\(element.configured.outputs[output.port].name)' of '\(vertices[output.vertex].name)'"
    }

    /// The ports of a hop: an input unless it is the first of its chain, an output unless it is the last. Nil if it has no such
    /// port, which is reported.
    private func ends(
        of hop: Hop,
        _ name: String,
        _ handle: Handle,
        isFirst: Bool,
        isLast: Bool
    ) -> (input: Input?, output: Output?)? {
        let isAlone = isFirst && isLast
        var input = handle.inputs.first?.end
        var output = handle.outputs.first?.end
        let described = "'\(name)' is \(handle.what)"
        if let port = hop.port {
            let asInput = handle.inputs.first { $0.name == port }
            let asOutput = handle.outputs.first { $0.name == port }
            let known = (handle.inputs.map(\.name) + handle.outputs.map(\.name)).filter { !$0.isEmpty }
            let ports = handle.hasPorts ? "; its ports are \(known.joined(separator: ", "))" : ", a node without ports"
            let note = Session.Note(
                described + (known.isEmpty && handle.hasPorts ? "; it has no ports" : ports),
                handle.mark
            )
            guard handle.hasPorts, asInput != nil || asOutput != nil else {
                let valid =
                    (isFirst && !isAlone ? [] : handle.inputs.map(\.name))
                    + (isLast && !isAlone ? [] : handle.outputs.map(\.name))
                let likely = handle.hasPorts ? session.likely(port, among: valid) : nil
                session.report(
                    .unknownPort,
                    "element '\(name)' has no port '\(port)'",
                    at: hop.mark,
                    suggestion: handle.hasPorts
                        ? likely.map { didYouMean("\(hop.node).\($0)") } : didYouMean(name),
                    notes: [note]
                )
                return nil
            }
            if !isAlone, isFirst && asOutput == nil || isLast && asInput == nil {
                session.report(
                    .wrongDirection,
                    isFirst
                        ? "'\(port)' is an input of '\(name)'; a chain begins with an output"
                        : "'\(port)' is an output of '\(name)'; a chain ends with an input",
                    at: hop.mark,
                    notes: [note]
                )
                return nil
            }
            if !isFirst, !isLast, asInput != nil, asOutput != nil {
                session.report(
                    .ambiguousPort,
                    "'\(name)' has both an input and an output '\(port)'",
                    at: hop.mark,
                    suggestion: "end one chain here and begin another",
                    notes: [note]
                )
                return nil
            }
            if let asInput { input = asInput.end }
            if let asOutput { output = asOutput.end }
        }
        let lacksInput = !isFirst && input == nil
        let lacksOutput = !isLast && output == nil
        if lacksInput || lacksOutput {
            session.report(
                .noPort,
                lacksInput
                    ? "'\(name)' has no input, so nothing can lead to it"
                    : "'\(name)' has no output, so the chain cannot go on",
                at: hop.mark,
                notes: [Session.Note(described, handle.mark)]
            )
            return nil
        }
        return (isFirst ? nil : input, isLast ? nil : output)
    }
}
