// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

extension DeviceProfile {
    /// Reads a profile from the value tree of its file. All that is wrong is reported at once; the profile is nil then.
    ///
    /// A number stands as `{value: X, source: "..."}`; one without a source is an error, because a model is only as
    /// good as what is known about its numbers.
    public static func read(_ value: Value) -> (profile: DeviceProfile?, errors: [ParameterError]) {
        let reader = ProfileReader()
        let top = reader.section(value, "the profile", "")
        let name = top.text("profile")
        let about = top.text("about", optional: true)
        let notModelled = top.words("not_modelled")
        let nic = executor(top.section("nic"))
        let host = executor(top.section("host"))
        let macSection = top.section("mac")
        let mac = MACProfile(
            packetRate: macSection.number("packet_rate", Units.packetRates, 1...1_000_000_000_000),
            buffer: macSection.number("buffer", Units.none, 0...1_000_000)
        )
        macSection.end()
        let channel = channel(top.section("channel"))
        top.end()
        guard reader.errors.isEmpty else { return (nil, reader.errors.sorted { $0.mark < $1.mark }) }
        return (
            DeviceProfile(
                name: name,
                about: about,
                notModelled: notModelled,
                nic: nic,
                host: host,
                mac: mac,
                channel: channel,
                figures: reader.figures
            ), []
        )
    }

    private static func executor(_ section: ProfileSection) -> ExecutorProfile {
        let profile = ExecutorProfile(
            cores: section.number("cores", Units.none, 1...65_536),
            threads: section.number("threads", Units.none, 1...1024),
            clock: section.number("clock", Units.frequencies, 1_000_000...1_000_000_000_000),
            dispatch: section.word("dispatch", ExecutorProfile.Dispatch.self) ?? .shared,
            perItem: section.number("per_item", Units.cycles, 0...Units.mostCycles),
            send: section.number("send", Units.cycles, 0...Units.mostCycles),
            queue: section.number("queue", Units.none, 1...1_048_576),
            memory: section.optional("memory", Units.sizes, 0...(1 << 50)),
            flows: section.optional("flows", Units.none, 0...(1 << 40)),
            memoryRate: section.optional("memory_rate", Units.accessRates, 1_000...1_000_000_000_000),
            costs: costs(section.section("cycles"))
        )
        section.end()
        return profile
    }

    private static func costs(_ section: ProfileSection) -> [OperationCost] {
        let costs = Operation.allCases.map { section.cost($0.name) }
        section.end()
        return costs
    }

    private static func channel(_ section: ProfileSection) -> ChannelProfile {
        let rate = section.number("rate", Units.transfers, 1...32_000, among: PCIeLink.transferRates.map { $0 * 100 })
        let link = PCIeLink(
            generation: (PCIeLink.transferRates.firstIndex(of: rate / 100) ?? 0) + 1,
            lanes: section.number("lanes", Units.none, 8...16, among: [8, 16]),
            maxPayload: section.number("max_payload", Units.sizes, 128...512, among: [128, 256, 512]),
            maxReadRequest: section.number("max_read_request", Units.sizes, 128...4096),
            completionBoundary: section.number("completion_boundary", Units.sizes, 64...128, among: [64, 128]),
            cutsAtBoundary: section.optional("cut_at_boundary", Units.none, 0...1) == 1
        )
        let driver = section.word("driver", DriverModel.all.map(\.name)).flatMap { name in
            DriverModel.all.first { $0.name == name }
        }
        let interrupt = section.optionalSection("interrupt")
        let notification: ChannelProfile.Notification =
            interrupt.map {
                .interrupt(
                    after: $0.number("after", Units.none, 1...4096),
                    within: $0.number("within", Units.times, 0...1_000_000_000_000),
                    cycles: $0.number("cycles", Units.cycles, 0...Units.mostCycles)
                )
            } ?? .polling
        interrupt?.end()
        let channel = ChannelProfile(
            link: link,
            driver: driver ?? .simple,
            toHost: direction(section.section("to_host")),
            toNIC: direction(section.section("to_nic")),
            notification: notification
        )
        section.end()
        return channel
    }

    private static func direction(_ section: ProfileSection) -> ChannelProfile.Direction {
        let direction = ChannelProfile.Direction(
            latency: section.number("latency", Units.times, 0...1_000_000_000_000),
            latencyPerByte: section.number("latency_per_byte", Units.byteTimes, 0...1_000_000_000_000),
            ring: section.number("ring", Units.none, 1...1_048_576),
            inFlight: section.optional("in_flight", Units.none, 1...65_536),
            issueInterval: section.optional("issue_interval", Units.times, 0...1_000_000_000) ?? 0
        )
        section.end()
        return direction
    }
}

/// The units of a profile's numbers, each with its factor; plain numbers where the unit is empty.
private enum Units {
    typealias Table = [(unit: String, factor: Int64)]
    static let none: Table = []
    /// Cycles are plain decimal numbers, kept in thousandths.
    static let cycles: Table = [("", 1_000)]
    static let mostCycles = 100_000_000_000
    static let frequencies: Table = [("Hz", 1), ("kHz", 1_000), ("MHz", 1_000_000), ("GHz", 1_000_000_000)]
    /// In MT/s.
    static let transfers: Table = [("MT/s", 1), ("GT/s", 1_000)]
    /// In picoseconds.
    static let times: Table = [("ps", 1), ("ns", 1_000), ("us", 1_000_000), ("ms", 1_000_000_000)]
    /// In femtoseconds.
    static let byteTimes: Table = [("fs", 1), ("ps", 1_000), ("ns", 1_000_000)]
    static let packetRates: Table = [("pps", 1), ("kpps", 1_000), ("Mpps", 1_000_000), ("Gpps", 1_000_000_000)]
    static let accessRates: Table = [("op/s", 1), ("kop/s", 1_000), ("Mop/s", 1_000_000), ("Gop/s", 1_000_000_000)]
    static let sizes: Table = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]
}

/// What reading a profile has found so far.
private final class ProfileReader {
    var errors: [ParameterError] = []
    var figures: [DeviceProfile.Figure] = []

    func fail(_ message: String, at mark: Mark, suggestion: String? = nil) {
        errors.append(ParameterError(message, at: mark, suggestion: suggestion))
    }

    func section(_ value: Value, _ name: String, _ path: String) -> ProfileSection {
        guard case .map(let entries, let mark) = value else {
            fail("expected \(name) to be a map", at: value.mark)
            return ProfileSection(self, [], value.mark, path, broken: true)
        }
        return ProfileSection(self, entries, mark, path, broken: false)
    }
}

/// One map of a profile: its keys are asked for one by one, and those nobody asked for are errors.
private final class ProfileSection {
    private let reader: ProfileReader
    private let entries: [(key: String, keyMark: Mark, value: Value)]
    private let mark: Mark
    private let path: String
    /// It was reported that this is no map, or is missing; its keys are then not missed as well.
    private let broken: Bool
    private var asked: [String] = []

    init(
        _ reader: ProfileReader,
        _ entries: [(key: String, keyMark: Mark, value: Value)],
        _ mark: Mark,
        _ path: String,
        broken: Bool
    ) {
        self.reader = reader
        self.entries = entries
        self.mark = mark
        self.path = path
        self.broken = broken
        for (k, entry) in entries.enumerated() where entries[..<k].contains(where: { $0.key == entry.key }) {
            reader.fail("'\(entry.key)' is given twice", at: entry.keyMark)
        }
    }

    private func find(_ key: String, optional: Bool = false) -> Value? {
        asked.append(key)
        if let entry = entries.first(where: { $0.key == key }) { return entry.value }
        if !optional, !broken {
            reader.fail("the profile needs '\(full(key))'", at: mark)
        }
        return nil
    }

    private func full(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// Reports the keys that were not asked for.
    func end() {
        for entry in entries where !asked.contains(entry.key) {
            reader.fail(
                "\(path.isEmpty ? "a profile" : "'\(path)'") has no '\(entry.key)'; it has "
                    + asked.joined(separator: ", "),
                at: entry.keyMark,
                suggestion: nearest(to: entry.key, among: asked)
            )
        }
    }

    func section(_ key: String) -> ProfileSection {
        guard let value = find(key) else { return ProfileSection(reader, [], mark, full(key), broken: true) }
        return reader.section(value, "'\(full(key))'", full(key))
    }

    func optionalSection(_ key: String) -> ProfileSection? {
        find(key, optional: true).map { reader.section($0, "'\(full(key))'", full(key)) }
    }

    func text(_ key: String, optional: Bool = false) -> String {
        guard let value = find(key, optional: optional) else { return "" }
        return attempt { () throws(ParameterError) in try value.string() } ?? ""
    }

    func words(_ key: String) -> [String] {
        guard let value = find(key, optional: true) else { return [] }
        return attempt { () throws(ParameterError) in
            var words: [String] = []
            for item in try value.items() { words.append(try item.string()) }
            return words
        } ?? []
    }

    /// A number; where `among` is given, one of those, in the unit of the table's first row.
    func number(_ key: String, _ units: Units.Table, _ range: ClosedRange<Int>, among: [Int]? = nil) -> Int {
        find(key).flatMap { figure($0, key, units, range, among) } ?? range.lowerBound
    }

    func optional(_ key: String, _ units: Units.Table, _ range: ClosedRange<Int>) -> Int? {
        find(key, optional: true).flatMap { figure($0, key, units, range, nil) }
    }

    func word<E: RawRepresentable & CaseIterable>(_ key: String, _: E.Type) -> E? where E.RawValue == String {
        word(key, E.allCases.map(\.rawValue)).flatMap(E.init(rawValue:))
    }

    func word(_ key: String, _ words: [String]) -> String? {
        guard let value = find(key), let (scalar, _) = sourced(value, key, extra: []) else { return nil }
        return attempt { () throws(ParameterError) in try scalar.choice(of: words) }
    }

    /// What an operation costs: cycles, and where they are given wait and accesses; `free` is 0 cycles.
    func cost(_ key: String) -> OperationCost {
        guard let value = find(key) else { return OperationCost(cycles: 0) }
        if case .scalar(let text, _) = value, text.hasPrefix("free: ") {
            reader.figures.append(.init(path: full(key), value: "free", source: String(text.dropFirst(6))))
            return OperationCost(cycles: 0)
        }
        guard let (scalar, others) = sourced(value, key, extra: ["wait", "accesses"]) else {
            return OperationCost(cycles: 0)
        }
        func read(_ value: Value?) -> Int {
            guard let value else { return 0 }
            if case .scalar("free", _) = value { return 0 }
            return attempt { () throws(ParameterError) in
                try parse(value, Units.cycles, 0...Units.mostCycles)
            } ?? 0
        }
        for name in ["wait", "accesses"] {
            guard let other = others[name] else { continue }
            reader.figures.append(
                .init(path: "\(full(key)).\(name)", value: other.text, source: reader.figures.last?.source ?? "")
            )
        }
        return OperationCost(cycles: read(scalar), wait: read(others["wait"]), accesses: read(others["accesses"]))
    }

    private func figure(
        _ value: Value,
        _ key: String,
        _ units: Units.Table,
        _ range: ClosedRange<Int>,
        _ among: [Int]?
    ) -> Int? {
        guard let (scalar, _) = sourced(value, key, extra: []) else { return nil }
        return attempt { () throws(ParameterError) in
            let n = try parse(scalar, units, range)
            if let among, !among.contains(n) {
                let factor = Int(units.last { unit in among.allSatisfy { $0 % Int(unit.factor) == 0 } }?.factor ?? 1)
                let unit = units.last { Int($0.factor) == factor }?.unit ?? ""
                throw ParameterError(
                    "\(scalar.text) is not one of "
                        + among.map { unit.isEmpty ? "\($0)" : "\($0 / factor) \(unit)" }.joined(separator: ", "),
                    at: scalar.mark
                )
            }
            return n
        }
    }

    /// The parts of `{value: X, source: "..."}`; notes the figure.
    private func sourced(_ value: Value, _ key: String, extra: [String]) -> (Value, [String: Value])? {
        guard case .map(let entries, _) = value else {
            reader.fail(
                "'\(full(key))' has no source",
                at: value.mark,
                suggestion: "{value: \(value.text), source: assumption}"
            )
            return nil
        }
        var parts: [String: Value] = [:]
        let names = ["value", "source"] + extra
        for entry in entries {
            guard names.contains(entry.key) else {
                reader.fail(
                    "a number has no '\(entry.key)'; it has " + names.joined(separator: ", "),
                    at: entry.keyMark,
                    suggestion: nearest(to: entry.key, among: names)
                )
                continue
            }
            parts[entry.key] = entry.value
        }
        guard let scalar = parts["value"] else {
            reader.fail("'\(full(key))' has no value", at: value.mark)
            return nil
        }
        guard case .scalar(let source, let sourceMark)? = parts["source"] else {
            reader.fail("'\(full(key))' has no source", at: value.mark)
            return nil
        }
        if source.allSatisfy(\.isWhitespace) { reader.fail("the source of '\(full(key))' is empty", at: sourceMark) }
        reader.figures.append(.init(path: full(key), value: scalar.text, source: source))
        return (scalar, parts)
    }

    private func parse(
        _ value: Value,
        _ units: Units.Table,
        _ range: ClosedRange<Int>
    ) throws(ParameterError) -> Int {
        if units.isEmpty { return try value.integer(in: range) }
        var text = try value.string()
        var table = units
        // A number without unit is read with one that is never shown.
        if units[0].unit.isEmpty {
            text += " cycles"
            table = [("cycles", units[0].factor)]
        }
        let n: Int64
        do throws(Quantity.Failure) {
            n = try Quantity.parse(text, table, what: "quantity", example: "2 \(table.last?.unit ?? "")").0
        } catch {
            if units[0].unit.isEmpty {
                throw ParameterError("'\(value.text)' is not a number with at most three decimals", at: value.mark)
            }
            throw ParameterError(error.message, at: value.mark, suggestion: error.suggestion)
        }
        guard range.contains(Int(n)) else { throw ParameterError("\(value.text) is out of range", at: value.mark) }
        return Int(n)
    }

    private func attempt<T>(_ body: () throws(ParameterError) -> T) -> T? {
        do throws(ParameterError) { return try body() } catch {
            reader.errors.append(error)
            return nil
        }
    }
}
