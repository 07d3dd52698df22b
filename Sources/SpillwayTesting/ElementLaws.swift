// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The laws that every element obeys, tested on one type.
///
/// ```swift
/// @Test func ttlGuardKeepsTheLaws() { #expect(ElementLaws.breaches(of: TTLGuard.self) == []) }
/// ```
/// The element runs on its own examples and on ``Traffic``, both dense and with pauses around its own timers, at several batch
/// sizes:
/// - Every declared example gives the declared result.
/// - Where batches are cut changes nothing: the items at each output with their order, times, numbers and bytes; files;
///   operations, drops and handlers.
/// - Items are conserved, even if the pool is small or optional ports are not connected, and none is held after the end.
/// - A repeated run gives the same bytes; so does another seed, unless the element is random.
/// - Only declared operations are counted, and each declared one is counted in some run.
/// - Items are dropped only for declared reasons.
///
/// In debug builds the runtime also checks every call of an element, and stops the program with a sentence if items are lost,
/// emitted twice or out of turn, or timers armed that were not declared.
public enum ElementLaws {
    /// The breaches found, one sentence each with the parameters of the run; empty if all laws hold.
    ///
    /// - Parameters:
    ///   - type: The element's type.
    ///   - configs: Parameters to try, in YAML flow style: `{min: 3}`. Those of the examples are tried as well, and the defaults unless
    ///     a parameter is required.
    ///   - packets: More packets, in the text form of ``PacketText``, for cases the general traffic does not reach. They arrive
    ///     at every input in a run of their own, to which all laws apply.
    ///   - isRandom: Outputs may depend on the seed.
    ///   - seed: The seed of the traffic.
    ///   - catalog: The types that must precede the element, such as one that makes its records.
    public static func breaches<E: Element>(
        of type: E.Type,
        configs: [String] = [],
        packets: [String] = [],
        isRandom: Bool = false,
        seed: UInt64 = 1,
        catalog: Catalog = .standard
    ) -> [String] {
        breaches(
            of: ElementDescriptor(type),
            configs: configs,
            packets: packets,
            isRandom: isRandom,
            seed: seed,
            catalog: catalog
        )
    }

    /// The breaches of a type in a catalog.
    public static func breaches(
        of type: ElementDescriptor,
        configs: [String] = [],
        packets: [String] = [],
        isRandom: Bool = false,
        seed: UInt64 = 1,
        catalog: Catalog = .standard
    ) -> [String] {
        var trial = Trial(type: type, packets: packets, isRandom: isRandom, seed: seed, catalog: catalog)
        for example in type.examples { trial.tryExample(example) }
        var all = configs + type.examples.map(\.config)
        if !type.parameters.contains(where: { $0.defaultText == nil }) { all.append("") }
        var seen: Set<String> = []
        for config in all where seen.insert(config).inserted { trial.tryConfig(config) }
        trial.judgeOperations()
        return trial.breaches
    }

    /// The batch sizes that must make no difference; all are compared with the first.
    public static let batchSizes = [1, 2, 7, 64, 256]
}

/// One type under test.
private struct Trial {
    let type: ElementDescriptor
    let packets: [String]
    let isRandom: Bool
    let seed: UInt64
    let catalog: Catalog
    var breaches: [String] = []
    private var counted: Set<Operation> = []
    private var hasRun = false

    init(type: ElementDescriptor, packets: [String], isRandom: Bool, seed: UInt64, catalog: Catalog) {
        self.type = type
        self.packets = packets
        self.isRandom = isRandom
        self.seed = seed
        self.catalog = catalog
    }

    /// Many runs break a law in the same way: each way is reported once per configuration.
    private mutating func breach(_ place: String, _ words: String) {
        let line = place.isEmpty ? "\(type.name): \(words)" : "\(type.name) \(place): \(words)"
        if !breaches.contains(line) { breaches.append(line) }
    }

    // MARK: Examples

    mutating func tryExample(_ example: Example) {
        let place = "example '\(example.title)'"
        do {
            var harness = try ElementHarness(type, example.config, catalog: catalog)
            harness.optionalPorts = Set(example.inputs.map(\.port) + example.outputs.map(\.port))
            for port in example.inputs.map(\.port) where !harness.element.inputs.contains(where: { $0.name == port }) {
                breach(place, "there is no input '\(port)'")
            }
            for size in ElementLaws.batchSizes {
                harness.batch = size
                let run = try harness.run(
                    Dictionary(example.inputs.map { ($0.port, $0.packets) }, uniquingKeysWith: +)
                )
                try judge(run, of: example, at: place)
                judgeCounts(run, of: harness, at: place)
            }
        } catch {
            breach(place, "it cannot be run: \(words(error))")
        }
    }

    private mutating func judge(_ run: ElementHarness.Run, of example: Example, at place: String) throws {
        for (port, patterns) in example.outputs {
            guard let items = run.outputs[port] else {
                breach(place, "there is no output '\(port)'")
                continue
            }
            if items.count != patterns.count {
                breach(place, "\(items.count) items leave by '\(port)', not \(patterns.count): \(items.map(\.text))")
            }
            for (item, pattern) in zip(items, patterns) where try !item.matches(pattern) {
                breach(place, "by '\(port)' leaves \(item.text), not \(pattern)")
            }
        }
        for (port, items) in run.outputs where !example.outputs.contains(where: { $0.port == port }) && !items.isEmpty {
            breach(place, "by '\(port)' leave items that it does not name: \(items.map(\.text))")
        }
        let drops = run.drops.filter { !$0.key.hasPrefix("unused_") }
        let wanted = Dictionary(example.drops.map { ($0.reason, UInt64($0.count)) }, uniquingKeysWith: +)
        if drops != wanted { breach(place, "drops are \(list(drops)), not \(list(wanted))") }
    }

    // MARK: Traffic

    /// The packets of a run, by input.
    private typealias Inputs = [String: [ElementHarness.Packet]]

    mutating func tryConfig(_ config: String) {
        let place = config.isEmpty ? "" : config
        do {
            var harness = try ElementHarness(type, config, catalog: catalog)
            // So large that no batch exhausts it: drops for lack of items may depend on batches.
            harness.pool = 16_384
            harness.seed = seed
            let gaps = Traffic.gaps(around: spans(harness.element))
            let names = harness.element.inputs.map(\.name)
            func inputs(_ packets: (UInt64) throws -> [ElementHarness.Packet]) rethrows -> Inputs {
                var all: Inputs = [:]
                for (number, name) in names.enumerated() { all[name] = try packets(seed &+ UInt64(number)) }
                return all
            }
            // Once with raw packets where streams are expected; in order in the other runs.
            try tryInputs(inputs { try Traffic.noise($0, count: 400) }, harness, at: place)
            harness.reassembles = true
            try tryInputs(inputs { try Traffic.noise($0, count: 250, gaps: gaps) }, harness, at: place)
            try tryInputs(inputs { try Traffic.conversations($0, count: 24) }, harness, at: place)
            // Records come alone in the runs before, and packed from here on.
            harness.coalesces = true
            try tryInputs(inputs { try Traffic.conversations($0, count: 18, gaps: gaps) }, harness, at: place)
            if !packets.isEmpty {
                try tryInputs(inputs { _ in try ElementHarness.packets(packets) }, harness, at: place)
            }
        } catch {
            breach(place, "it cannot be run: \(words(error))")
        }
    }

    /// Times at which an element may act by itself: those of its timers, and all durations among its parameters.
    private func spans(_ element: ConfiguredElement) -> [Int64] {
        var spans: [Int64] = []
        switch element.shortestTimer {
        case .after(let span)?, .tick(let span)?: spans.append(span)
        case nil: break
        }
        for setting in element.settings {
            guard let parameter = type.parameters.first(where: { $0.name == setting.name }),
                case .duration = parameter.type, let span = try? Quantity.parseDuration(setting.text)
            else { continue }
            spans.append(span)
        }
        // Some hundred pauses of this length stay far from the end of time.
        spans = spans.filter { $0 > 1 }.map { min($0, 1_000_000_000_000_000) }
        return spans.isEmpty ? [1_000_000] : spans
    }

    private mutating func tryInputs(_ inputs: Inputs, _ harness: ElementHarness, at place: String) throws {
        var harness = harness
        hasRun = true

        harness.batch = ElementLaws.batchSizes[0]
        let whole = try harness.run(inputs)
        judgeCounts(whole, of: harness, at: place)
        for size in ElementLaws.batchSizes.dropFirst() {
            harness.batch = size
            let other = try harness.run(inputs)
            judgeCounts(other, of: harness, at: place)
            if let difference = difference(other, whole) {
                breach(place, "batches of \(size) give something else than batches of 1: \(difference)")
            }
        }

        harness.batch = 64
        let (first, again) = (try harness.run(inputs), try harness.run(inputs))
        if let difference = difference(again, first) {
            breach(place, "the same run again gives something else: \(difference)")
        }
        if !isRandom {
            harness.seed = seed &+ 1
            if let difference = difference(try harness.run(inputs), first) {
                breach(
                    place,
                    "another seed gives something else, and the element is not said to be random: \(difference)"
                )
            }
            harness.seed = seed
        }

        harness.optionalPorts = []
        judgeCounts(try harness.run(inputs), of: harness, at: "\(place) without optional ports")
        harness.optionalPorts = nil
        // Held items may fill the pool, which ends the run.
        harness.batch = 16
        harness.pool = 24
        judgeCounts(try harness.run(inputs), of: harness, at: "\(place) with a pool of \(harness.pool)")
    }

    // MARK: Checks

    /// The laws that apply to each run by itself.
    private mutating func judgeCounts(_ run: ElementHarness.Run, of harness: ElementHarness, at place: String) {
        let counts = run.counts
        if !counts.balances {
            breach(
                place,
                "items are not conserved: \(counts.entered) came and \(counts.made) were made; \(counts.left) left, "
                    + "\(counts.used) were used, \(counts.dropped) dropped, \(counts.held) are held"
            )
        }
        if run.lostItems != 0 { breach(place, "\(run.lostItems) items of the pool are neither free nor held") }
        if counts.held != 0 { breach(place, "\(counts.held) items are held after the end of the input") }
        for (operation, _) in counts.operations {
            counted.insert(operation)
            if !type.operations.contains(operation) {
                breach(place, "it counts '\(operation.name)', which it does not declare")
            }
        }
        let unconnected = harness.element.outputs.filter {
            $0.optional && harness.optionalPorts?.contains($0.name) == false
        }
        let reasons = type.drops.map(\.name) + unconnected.map { "unused_\($0.name)" }
        for (reason, count) in counts.drops where !reasons.contains(reason) {
            breach(place, "\(count) items are dropped for a reason that it does not declare, counted as '\(reason)'")
        }
    }

    /// Every declared operation is counted in some run.
    mutating func judgeOperations() {
        guard hasRun else {
            return breach("", "no run was made: it needs parameters, so say `configs` to be tried")
        }
        for operation in type.operations where !counted.contains(operation) {
            breach(
                "",
                "it declares '\(operation.name)', and no run counts it: try `configs` or `packets` that lead there, or do not "
                    + "declare it"
            )
        }
    }

    /// The first difference between two runs; nil if all results are equal.
    private func difference(_ run: ElementHarness.Run, _ other: ElementHarness.Run) -> String? {
        for (port, items) in run.outputs.sorted(by: { $0.key < $1.key }) {
            let others = other.outputs[port] ?? []
            if let k = zip(items, others).enumerated().first(where: { $1.0 != $1.1 })?.offset {
                return "item \(k) of '\(port)' is \(difference(items[k], others[k]))"
            }
            if items.count != others.count { return "\(items.count) items leave by '\(port)', not \(others.count)" }
        }
        if run.operations != other.operations { return "operations are \(run.operations), not \(other.operations)" }
        if run.drops != other.drops { return "drops are \(list(run.drops)), not \(list(other.drops))" }
        for (a, b) in zip(run.counts.handlers, other.counts.handlers) where a.value != b.value {
            return "the handler '\(a.name)' is \(a.value), not \(b.value)"
        }
        let (files, otherFiles) = (run.services.files, other.services.files)
        if Set(files.keys) != Set(otherFiles.keys) {
            return "it writes the files \(files.keys.sorted()), not \(otherFiles.keys.sorted())"
        }
        for (name, file) in files.sorted(by: { $0.key < $1.key }) {
            if let otherFile = otherFiles[name], !same(file.bytes, otherFile.bytes) {
                return "the file '\(name)' has other bytes"
            }
        }
        return nil
    }

    private func difference(_ item: Collector.Seen, _ other: Collector.Seen) -> String {
        if item.facts != other.facts { return "\(item.facts), not \(other.facts)" }
        let at = zip(item.bytes, other.bytes).enumerated().first { $1.0 != $1.1 }?.offset
        let place = at ?? min(item.bytes.count, other.bytes.count)
        return "\(item.text), which differs from byte \(place) on from \(other.text)"
    }

    private func list(_ counts: [String: UInt64]) -> String {
        "[" + counts.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ") + "]"
    }

    private func words(_ error: any Error) -> String { (error as? ParameterError)?.message ?? "\(error)" }
}
