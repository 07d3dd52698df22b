// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Model

/// A report on modelled placements, in all forms.
public protocol ModelReport {
    /// The titles of the columns that tables have behind the names of placements; empty for those in which placements differ.
    var columns: [String] { get set }
    /// The report as text, in lines of at most `width` characters for a terminal; elsewhere its tables are as wide as they are.
    func text(width: Int?) -> String
    /// The report in Markdown.
    var markdown: String { get }
    /// The report as JSON; the names are part of the interface.
    var json: JSON { get }
    /// The figures as a flat list of statistics.
    var statistics: JSON { get }
    /// The load at which latency was modelled.
    var load: Load { get }
    /// The user ended the work before it was complete.
    var wasInterrupted: Bool { get }
}

extension ModelReport {
    /// False: not every model command can be ended early.
    public var wasInterrupted: Bool { false }
}

/// A packet rate in words.
public func rateText(_ rate: Double) -> String {
    switch rate {
    case 100_000...: "\(mega(rate)) Mpps"
    case 1_000...: "\(fixed(rate / 1e3, 3)) kpps"
    case ..<0.001: "\(fixed(rate * 86_400, 3)) packets a day"
    default: "\(fixed(rate, rate == rate.rounded() ? 0 : 3)) pps"
    }
}

/// A bit rate in words.
func bitsText(_ rate: Double) -> String {
    switch rate {
    case 1e8...: "\(giga(rate)) Gbps"
    case 1e5...: "\(fixed(rate / 1e6, 2)) Mbps"
    default: "\(fixed(rate / 1e3, 2)) kbps"
    }
}

/// Millions per second, with more digits for slow devices.
func mega(_ rate: Double) -> String { fixed(rate / 1e6, rate < 1e5 && rate > 0 ? 6 : 3) }

func giga(_ rate: Double) -> String { fixed(rate / 1e9, 2) }

/// Microseconds; histograms cap longer values at 100 s.
func microseconds(_ picoseconds: Int64) -> String {
    picoseconds >= 99_000_000_000_000 ? "> 99 s" : fixed(Double(picoseconds) / 1e6, 2)
}

/// A large number in words: `10.2 M`.
private func many(_ n: Int64) -> String {
    switch n {
    case 1_000_000_000_000_000...: "more than 10^15"
    case 10_000_000_000...: "\(fixed(Double(n) / 1e9, 1)) G"
    case 10_000_000...: "\(fixed(Double(n) / 1e6, 1)) M"
    default: grouped(UInt64(max(0, n)))
    }
}

private func copiesText(_ n: Int64) -> String { n == 1 ? "the recording" : "\(many(n)) copies of the recording" }

extension Load {
    /// The load in words: its rate, and its copies.
    func text(_ recorded: Recorded) -> String {
        let own = rate / recorded.ownRate
        let wire = rate * recorded.wireBytesPerPacket * 8
        let pace =
            !recorded.hasDuration || copies > 1 && own / Double(copies) > 0.9995
            ? "" : " at \(fixed(min(1, own / Double(copies)), 3)) of its pace"
        return "\(rateText(rate)) (\(bitsText(wire)) on the wire): \(copiesText(copies))"
            + (copies == 1 && recorded.hasDuration && abs(own - 1) < 0.0005 ? " as captured" : pace)
            + (isLimitedByPorts ? "; more was asked for than the ports carry" : "")
    }
}

extension Recorded {
    /// The recording in words.
    var text: String {
        counted(UInt64(packets), "packet") + " recorded" + (isPrefix ? " (the capture goes on)" : "")
            + ", \(fixed(bytesPerPacket, 1)) B each and \(fixed(wireBytesPerPacket, 1)) B on the wire, "
            + (hasDuration ? "at \(rateText(ownRate))" : "all at one time")
    }
}

private typealias Column = (
    title: String, alignment: Table.Alignment, words: String, cell: (_ result: PlacementResult) -> String
)

private func columns(baseline: PlacementResult?) -> [Column] {
    let base = Double(baseline?.sustainableRate ?? 0)
    return [
        ("device", .left, "on", { $0.profile }),
        ("Mpps", .right, "Mpps", { mega(Double($0.sustainableRate)) }),
        ("Gbps", .right, "Gbps on the wire", { giga($0.wireRate) }),
        (
            "relative", .right, "of the baseline's rate",
            {
                isSame($0, baseline)
                    ? "baseline" : base > 0 ? fixed(Double($0.sustainableRate) / base, 2) + "x" : "-"
            }
        ),
        ("p50 us", .right, "us p50", { $0.latency.map { microseconds($0.p50) } ?? "-" }),
        ("p99 us", .right, "us p99", { $0.latency.map { microseconds($0.p99) } ?? "-" }),
        ("p99.9 us", .right, "us p99.9", { $0.latency.map { microseconds($0.p999) } ?? "-" }),
        ("host cyc/pkt", .right, "host cycles per packet", { fixed($0.hostCyclesPerPacket, 1) }),
        ("host cores", .right, "host cores busy", { fixed($0.hostCoresBusy, 2) }),
        ("NIC cyc/pkt", .right, "NIC cycles per packet", { fixed($0.nicCyclesPerPacket, 1) }),
        ("B/pkt to host", .right, "B per packet to the host", { fixed($0.toHost.bytes, 1) }),
        ("B/pkt to NIC", .right, "B per packet to the NIC", { fixed($0.toNIC.bytes, 1) }),
        ("DMA/pkt", .right, "DMAs per packet", { fixed($0.toHost.transfers + $0.toNIC.transfers, 3) }),
        ("slow path", .right, "of packets take the slow path", { $0.slowPath.map { percent($0.share) } ?? "-" }),
        ("bottleneck", .left, "bottleneck", { $0.bottleneck }),
    ]
}

/// The titles of all columns that tables of placements can have, besides the placements' names.
public let placementColumns = columns(baseline: nil).map(\.title)

/// The rows of a table of placements, and the figures that are the same in all of them. The table has the columns that are `chosen`; if
/// none are, those in which the placements differ.
func resultTable(
    _ results: [PlacementResult],
    baseline: PlacementResult,
    _ chosen: [String]
) -> (table: Table, same: String?) {
    let columns = columns(baseline: baseline).filter { column in
        column.title != "slow path" || chosen.contains(column.title) || results.contains { $0.slowPath != nil }
    }
    // A column that is the same for all placements says nothing about them.
    func differs(_ column: Column) -> Bool {
        let cells = Set(results.map(column.cell).map { $0 == "baseline" ? "1.00x" : $0 })
        return results.count == 1 ? column.title != "device" && column.title != "relative" : cells.count > 1
    }
    let shown = chosen.isEmpty ? columns.filter(differs).map(\.title) : chosen
    var table = Table([("placement", .left)] + columns.map { ($0.title, $0.alignment) })
    table.rows = results.map { result in [result.name] + columns.map { $0.cell(result) } }
    table = table.keeping(shown)
    guard results.count > 1 else { return (table, nil) }
    let agreed = columns.filter { !differs($0) && !(["device", "relative"] + chosen).contains($0.title) }
    let same = agreed.map { column in
        let cell = column.cell(results[0])
        return column.title == "bottleneck" ? "bottleneck \(cell)" : "\(cell) \(column.words)"
    }
    return (table, same.isEmpty ? nil : "The same in every placement: \(same.joined(separator: ", ")).")
}

private func percent(_ share: Double) -> String { "\(fixed(share * 100, 2)) %" }

private func isSame(_ a: PlacementResult, _ b: PlacementResult?) -> Bool {
    a.name == b?.name && a.profile == b?.profile && a.sides == b?.sides
}

// MARK: Sentences below a table

/// The notes, one per line.
func notes(
    _ results: [PlacementResult],
    _ recorded: Recorded,
    _ infeasible: [(name: String, reason: String)]
) -> [String] {
    var lines: [String] = []
    for one in infeasible { lines.append("'\(one.name)' cannot be modelled: \(one.reason)") }
    for result in results {
        guard let drop = result.firstDrop else { continue }
        if result.sustainableRate == 0 {
            lines.append(
                "'\(result.name)': the \(drop.place) overflows at every rate that was tried, down to a thousandth of the \(mega(result.bound)) Mpps "
                    + "that the resources alone would allow: more packets of the recording come at one moment than it has room for."
            )
            continue
        }
        lines.append(
            "'\(result.name)': above \(mega(Double(result.sustainableRate))) Mpps the \(drop.place) overflows in bursts, before any "
                + "resource is full; busiest is \(result.busiest.rawValue), \(fixed(result.utilisation[0].share * 100, 1)) %. "
                + "The resources alone would allow \(mega(result.bound)) Mpps."
        )
    }
    for result in results {
        guard let slowPath = result.slowPath else { continue }
        var line =
            "'\(result.name)': packets go round by the channel, so it was run with its elements, not replayed. \(percent(slowPath.share)) of "
            + "packets take the slow path at \(mega(Double(result.sustainableRate))) Mpps, \(percent(slowPath.shareAtLoad)) at the load of "
            + "the latency."
        let share = result.utilisation.first?.share ?? 1
        if result.firstDrop == nil, share < 0.99, slowPath.share > 1.2 * slowPath.shareAtLoad {
            line +=
                " Above that rate packets wait so long that more of them take it than there is room for, though at that rate the "
                + "\(result.busiest.rawValue) is no more than \(fixed(share * 100, 1)) % busy."
        }
        if !slowPath.copiesDoTheSame {
            line +=
                " Copies of the traffic have clients of other addresses and ports, and the elements treat those differently: its figures are "
                + "not those of more users of the same kind."
        }
        if slowPath.metMidway > 0 {
            line +=
                " \(counted(UInt64(slowPath.metMidway), "flow")) had sent too many packets to run from the first: elements met them midway."
        }
        lines.append(line)
    }
    for result in results where !result.drops.isEmpty {
        let (offered, completed) = result.packets
        let reasons = result.drops.map { "\($0.reason.name) \(grouped($0.count))" }.joined(separator: ", ")
        lines.append(
            "'\(result.name)' lost all or part of \(grouped(offered - completed)) of \(grouped(offered)) packets at that "
                + "load; items dropped: \(reasons)"
        )
    }
    if !recorded.elementDrops.isEmpty {
        let list = recorded.elementDrops.map { "\($0.element).\($0.reason) \(grouped($0.count))" }
        lines.append("Dropped by elements of the recorded packets, in every placement: \(list.joined(separator: ", "))")
    }
    if !recorded.sharedState.isEmpty {
        lines.append(
            "State for all flows together is in \(recorded.sharedState.joined(separator: ", ")): modelled as in the recording alone"
                + (recorded.hasDuration ? ", at \(rateText(recorded.ownRate))" : "")
                + "; with the copies merged a Coalescer would pack more, and a Queue or RateLimiter drop more."
                + (results.contains { $0.slowPath != nil }
                    ? " Placements that were run with their elements have the copies merged: do not compare them with the others."
                    : "")
        )
    }
    return lines
}

/// The needs of the sustainable rates on flow tables; placements with the same needs are named together.
func flowLines(_ results: [PlacementResult]) -> [String] {
    var lines: [(text: String, names: [String])] = []
    for result in results where !result.flows.isEmpty {
        let tables = result.flows.map { flow in
            let open = many(flow.open)
            var text =
                flow.needed.map {
                    "'\(flow.table)' then holds \(many($0)) flows, \(open) of them between their first packet and their last and the "
                        + "others up to \(Quantity.duration(flow.stays)) after it"
                }
                ?? "'\(flow.table)' then holds all flows that ever were, \(open) of them between their first packet and their last"
            let needed = flow.needed ?? .max
            text += "; it has room for \(grouped(UInt64(flow.room)))"
            if needed > flow.room {
                text += flow.needed == nil ? ", and no room is enough" : " and would have to be larger"
                if flow.needed != nil, let limit = flow.limit, needed > limit {
                    text +=
                        ", which the \(flow.side == .nic ? "NIC" : "host") with its \(grouped(UInt64(limit))) entries cannot do"
                }
            }
            return text
        }
        let text =
            "\(mega(Double(result.sustainableRate))) Mpps are \(copiesText(result.copies)) at one time; \(tables.joined(separator: "; "))"
        if let k = lines.firstIndex(where: { $0.text == text }) {
            lines[k].names.append(result.name)
        } else {
            lines.append((text, [result.name]))
        }
    }
    if lines.count == 1 { return ["Flows: \(lines[0].text)."] }
    return lines.map { "Flows with \($0.names.map { "'\($0)'" }.joined(separator: ", ")): \($0.text)." }
}

/// How robust the verdict is.
func sensitivityLines(_ s: Sensitivity) -> [String] {
    var lines: [String] = []
    if s.draws > 0 {
        let wins = s.wins.prefix(4).map { "'\($0.placement)' in \($0.count)" }.joined(separator: ", ")
        let rest = s.wins.dropFirst(4).reduce(0) { $0 + $1.count }
        let numbers = s.drawn.count == 1 ? "the assumed number" : "each of the \(s.drawn.count) assumed numbers"
        lines.append(
            "How robust that is: of \(s.draws) draws, with \(numbers) scaled by 0.5 to 2, best is "
                + (s.wins.count == 1
                    ? "'\(s.wins[0].placement)' in all" : wins + (rest > 0 ? ", others in \(rest)" : "")) + "."
        )
        if s.turnedBy.isEmpty {
            lines.append("No assumed number alone, halved or doubled, makes another one the best.")
        } else {
            let turns = s.turnedBy.prefix(8).map {
                "\($0.number) \($0.factor < 1 ? "halved" : "doubled"): '\($0.best)'"
            }
            lines.append(
                "Another is best with " + turns.joined(separator: "; ")
                    + (s.turnedBy.count > 8 ? "; and \(s.turnedBy.count - 8) more" : "") + "."
            )
        }
    }
    if !s.notDrawn.isEmpty {
        lines.append("Assumptions not varied, as they are choices or free: \(s.notDrawn.joined(separator: ", ")).")
    }
    return lines
}

/// The assumptions behind the devices' numbers, and what they leave out.
func profileLines(_ profiles: [DeviceProfile], hostsDiffer: Bool) -> [String] {
    var lines: [String] = []
    for profile in profiles {
        let assumptions = profile.assumptions.count
        if assumptions > 0 {
            lines.append(
                "\(assumptions) of the \(profile.figures.count) numbers of profile \(profile.name) "
                    + (assumptions == 1 ? "is an assumption" : "are assumptions")
                    + " that nobody measured; 'spillway show \(profile.name)' lists \(assumptions == 1 ? "it" : "them")."
            )
        }
    }
    let prices = profiles.compactMap { profile in profile.price.map { "\(profile.name) \($0) USD" } }
    if profiles.count > 1, !prices.isEmpty {
        lines.append(
            "Published prices, which need not cover the same parts ('spillway show' has the sources): \(prices.joined(separator: ", "))."
        )
    }
    if profiles.count > 1 {
        for profile in profiles where profile.nic.cores == 0 {
            lines.append("Latency on \(profile.name) leaves out the time in its NIC, so it is less than it would be.")
        }
        if !hostsDiffer { lines.append("The assumptions of the host they share are drawn once.") }
    }
    for profile in profiles where !profile.notModelled.isEmpty {
        lines.append(
            "Not modelled\(profiles.count > 1 ? " of \(profile.name)" : ""): \(profile.notModelled.joined(separator: "; "))."
        )
    }
    return lines
}

/// Lines for a terminal, at most `width` long unless a word is longer; continuation lines are indented further.
func wrapped(_ lines: [String], width: Int = 120) -> String {
    var out = ""
    for line in lines {
        let indent = String(line.prefix { $0 == " " })
        out += indent
        let start = indent.count
        var column = start
        for word in line.dropFirst(start).split(separator: " ", omittingEmptySubsequences: false) {
            if column > start, column + 1 + word.count > width {
                out += "\n\(indent)  "
                column = start + 2
            } else if column > start {
                out += " "
                column += 1
            }
            out += word
            column += word.count
        }
        out += "\n"
    }
    return out
}

// MARK: JSON

/// - Parameter elementDrops: included among the drops as `element.reason`, a form that no reason of the model has.
func resultJSON(_ r: PlacementResult, _ baseline: PlacementResult, _ recorded: Recorded) -> JSON {
    func ns(_ ps: Int64?) -> JSON { ps.map { .decimal(Double($0) / 1000, digits: 1) } ?? .null }
    let base = Double(baseline.sustainableRate)
    return .object([
        ("name", .string(r.name)),
        ("profile", .string(r.profile)),
        ("sustainable_mpps", .decimal(Double(r.sustainableRate) / 1e6, digits: 6)),
        ("wire_gbps", .decimal(r.wireRate / 1e9, digits: 4)),
        ("bound_mpps", .decimal(r.bound / 1e6, digits: 6)),
        ("relative", base > 0 ? .decimal(Double(r.sustainableRate) / base, digits: 4) : .null),
        (
            "latency_ns",
            .object([("p50", ns(r.latency?.p50)), ("p99", ns(r.latency?.p99)), ("p999", ns(r.latency?.p999))])
        ),
        ("load", .string(rateText(r.load.rate))),
        ("offered", loadJSON(r.load)),
        (
            "packets_at_load",
            .object([("offered", .unsigned(r.packets.offered)), ("completed", .unsigned(r.packets.completed))])
        ),
        ("host_cycles_per_packet", .decimal(r.hostCyclesPerPacket, digits: 3)),
        ("host_cores_busy", .decimal(r.hostCoresBusy, digits: 3)),
        ("nic_cycles_per_packet", .decimal(r.nicCyclesPerPacket, digits: 3)),
        (
            "dma_bytes_per_packet",
            .object([("to_host", .decimal(r.toHost.bytes, digits: 3)), ("to_nic", .decimal(r.toNIC.bytes, digits: 3))])
        ),
        (
            "dma_transfers_per_packet",
            .object([
                ("to_host", .decimal(r.toHost.transfers, digits: 4)),
                ("to_nic", .decimal(r.toNIC.transfers, digits: 4)),
            ])
        ),
        (
            "drops",
            .object(
                r.drops.map { ($0.reason.name, .unsigned($0.count)) }
                    + recorded.elementDrops.map { ("\($0.element).\($0.reason)", .unsigned($0.count)) }
            )
        ),
        ("bottleneck", .string(r.bottleneck)),
        ("first_drop", r.firstDrop.map { .string($0.name) } ?? .null),
        (
            "slow_path",
            r.slowPath.map {
                .object([
                    ("share", .decimal($0.share, digits: 6)), ("share_at_load", .decimal($0.shareAtLoad, digits: 6)),
                    ("flows_met_midway", .unsigned(UInt64($0.metMidway))),
                ])
            } ?? .null
        ),
        (
            "utilisation",
            .object(r.utilisation.map { ($0.resource.rawValue, .decimal($0.share, digits: 4)) })
        ),
        ("copies", .integer(r.copies)),
        (
            "flows",
            .array(
                r.flows.map {
                    .object([
                        ("table", .string($0.table)), ("side", .string($0.side.rawValue)),
                        ("open", .integer($0.open)), ("needed", $0.needed.map { .integer($0) } ?? .null),
                        ("needed_at_load", $0.neededAtLoad.map { .integer($0) } ?? .null),
                        ("stays_ns", .integer($0.stays)), ("room", .integer($0.room)),
                        ("limit", $0.limit.map { .integer($0) } ?? .null),
                    ])
                }
            )
        ),
    ])
}

func infeasibleJSON(_ infeasible: [(name: String, reason: String)]) -> JSON {
    .array(infeasible.map { .object([("name", .string($0.name)), ("reason", .string($0.reason))]) })
}

func loadJSON(_ load: Load) -> JSON {
    .object([
        ("pps", .decimal(load.rate, digits: 3)), ("copies", .integer(load.copies)),
        ("limited_by_ports", .bool(load.isLimitedByPorts)),
    ])
}

func recordedJSON(_ recorded: Recorded) -> [(String, JSON)] {
    [
        ("packets", .integer(Int64(recorded.packets))),
        ("is_prefix", .bool(recorded.isPrefix)),
        ("bytes_per_packet", .decimal(recorded.bytesPerPacket, digits: 3)),
        ("wire_bytes_per_packet", .decimal(recorded.wireBytesPerPacket, digits: 3)),
        ("recorded_pps", recorded.hasDuration ? .decimal(recorded.ownRate, digits: 3) : .null),
        ("shared_state", .array(recorded.sharedState.map { .string($0) })),
    ]
}

func sensitivityJSON(_ s: Sensitivity) -> JSON {
    .object([
        ("draws", .integer(Int64(s.draws))),
        ("wins", .object(s.wins.map { ($0.placement, .integer(Int64($0.count))) })),
        (
            "turned_by",
            .array(
                s.turnedBy.map {
                    .object([
                        ("number", .string($0.number)), ("factor", .decimal($0.factor, digits: 1)),
                        ("best", .string($0.best)),
                    ])
                }
            )
        ),
        ("drawn", .array(s.drawn.map { .string($0) })),
        ("not_drawn", .array(s.notDrawn.map { .string($0) })),
    ])
}

func assumptionsJSON(_ profiles: [DeviceProfile]) -> JSON {
    .array(
        profiles.flatMap { profile in
            profile.assumptions.map {
                .string("\(profiles.count > 1 ? profile.name + ": " : "")\($0.path) = \($0.value): \($0.source)")
            }
        }
    )
}

func notModelledJSON(_ profiles: [DeviceProfile]) -> JSON {
    var all: [String] = []
    for word in profiles.flatMap(\.notModelled) where !all.contains(word) { all.append(word) }
    return .array(all.map { .string($0) })
}

// MARK: Statistics

func resultStatistics(_ results: [PlacementResult], _ load: Load, _ recorded: Recorded) -> JSON {
    let drops = recorded.elementDrops.map {
        namedStatistic(
            "recorded.drops.\($0.element).\($0.reason)",
            .unsigned($0.count),
            "items",
            "items of the recorded input that the element dropped"
        )
    }
    let offered = namedStatistic(
        "load",
        .decimal(load.rate, digits: 3),
        "packets/s",
        "load at which latency was modelled"
    )
    return .object([("statistics", .array([offered] + results.flatMap(resultStatistics) + drops))])
}

private func namedStatistic(_ name: String, _ value: JSON, _ unit: String, _ about: String) -> JSON {
    .object([("name", .string(name)), ("value", value), ("unit", .string(unit)), ("description", .string(about))])
}

private func resultStatistics(_ r: PlacementResult) -> [JSON] {
    func statistic(_ name: String, _ value: JSON, _ unit: String, _ about: String) -> JSON {
        namedStatistic("placement.\(r.name).\(name)", value, unit, about)
    }
    func ns(_ ps: Int64?) -> JSON { ps.map { .decimal(Double($0) / 1000, digits: 1) } ?? .null }
    let figures: [(String, JSON, String, String)] = [
        ("sustainable_rate", .integer(Int64(r.sustainableRate)), "packets/s", "largest rate served for ever"),
        ("wire_rate", .decimal(r.wireRate, digits: 0), "bits/s", "bits received on the wires at that rate"),
        ("latency_p50", ns(r.latency?.p50), "ns", "latency of half the packets at the load"),
        ("latency_p99", ns(r.latency?.p99), "ns", "latency of 99 % of packets at the load"),
        ("latency_p999", ns(r.latency?.p999), "ns", "latency of 99.9 % of packets at the load"),
        ("host_cycles", .decimal(r.hostCyclesPerPacket, digits: 3), "cycles/packet", "host core cycles"),
        ("nic_cycles", .decimal(r.nicCyclesPerPacket, digits: 3), "cycles/packet", "NIC core cycles"),
        ("dma_bytes_to_host", .decimal(r.toHost.bytes, digits: 3), "bytes/packet", "bytes written to the host"),
        ("dma_bytes_to_nic", .decimal(r.toNIC.bytes, digits: 3), "bytes/packet", "bytes read from the host"),
        ("dma_transfers_to_host", .decimal(r.toHost.transfers, digits: 4), "transfers/packet", "DMA writes"),
        ("dma_transfers_to_nic", .decimal(r.toNIC.transfers, digits: 4), "transfers/packet", "DMA reads"),
    ]
    return figures.map { statistic($0.0, $0.1, $0.2, $0.3) }
        + r.drops.map {
            statistic("drops.\($0.reason.name)", .unsigned($0.count), "items", "items dropped at the load")
        }
}
