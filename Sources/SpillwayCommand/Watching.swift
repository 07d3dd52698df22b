// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Control
import Glibc
import Spillway

/// How others can watch a run.
struct WatchOptions: ParsableArguments {
    @Flag(help: "Lets 'read' and 'top' watch the run; runs on interfaces can always be watched.")
    var control = false

    @Option(
        help: ArgumentHelp(
            "Serves metrics for Prometheus over HTTP: at 127.0.0.1:PORT or [::1]:PORT, or on the socket unix:PATH.",
            valueName: "address"
        )
    )
    var metrics: String?

    /// Opens where metrics are served, if that is asked for.
    func openMetrics() throws -> Listener? {
        try reporting { try metrics.map { try Listener(try Address($0), paths: [RunWatch.metricsPath]) } }
    }

    /// Opens the control socket, which is for the user that the process goes on as, and serves there and where metrics are. That there can
    /// be no control socket is no reason not to run.
    func open(isLive: Bool, _ opened: Listener?) throws -> RunWatch? {
        try reporting {
            var listeners = opened.map { [$0] } ?? []
            if control || isLive {
                do {
                    listeners.append(
                        try ControlPlace.open(paths: [RunWatch.snapshotPath, RunWatch.metricsPath])
                    )
                } catch {
                    Output.error("warning: 'read' and 'top' cannot watch this run: \(error)\n")
                }
            }
            guard !listeners.isEmpty else { return nil }
            let watch = try RunWatch(listeners)
            // Only then the user does not know it.
            if let metrics, metrics.hasSuffix(":0") {
                Output.error("metrics are at http://\(watch.addresses[0])\(RunWatch.metricsPath)\n")
            }
            return watch
        }
    }
}

struct Read: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads the counters of a run that goes on.",
        discussion: """
            A value is named as in the run's JSON: ELEMENT.in, ELEMENT.drops.REASON, ELEMENT.HANDLER, WIRE.packets_in; \
            ELEMENT.outputs.PORT counts what left by a port. An element's name alone reads all of it. Runs on interfaces can \
            be watched, and others with --control, by their user and by root.
            """
    )
    @Argument(help: "The number of the run's process; 'spillway top' lists the runs.")
    var process: Int32

    @Argument(help: "The value or the element; everything if left out.")
    var name: String?

    @Option(help: "How values are written.")
    var format: ResultFormat = .text

    func run() throws {
        try reporting {
            let snapshot = try RunWatch.snapshot(at: try ControlPlace.socket(of: process))
            guard let name else {
                return try write(snapshot.values, snapshot.json)
            }
            let (values, json) = snapshot.values(named: name)
            guard !values.isEmpty else { throw Failure.usage(unknown(name, in: snapshot)) }
            if values.count == 1, values[0].name == name, format == .text {
                return try Output.result("\(plain(values[0].value))\n")
            }
            try write(values, json)
        }
    }

    private func write(_ values: [(name: String, value: JSON)], _ json: JSON) throws {
        if format == .json { return try Output.result(json.text) }
        try Output.result(values.map { "\($0.name) \(plain($0.value))\n" }.joined())
    }

    private func plain(_ value: JSON) -> String {
        if case .string(let text) = value { text } else { value.line }
    }

    private func unknown(_ name: String, in snapshot: RunSnapshot) -> String {
        let elements = snapshot.elements.map(\.name)
        let element = elements.filter { name.hasPrefix("\($0).") }.max { $0.count < $1.count }
        guard let element else {
            let guess = nearest(to: name, among: snapshot.values.map(\.name) + elements)
            return "graph '\(snapshot.graph)' has no element or value '\(name)'; its elements are "
                + elements.joined(separator: ", ") + (guess.map { "; did you mean '\($0)'?" } ?? "")
        }
        let names = snapshot.values(named: element).values.map(\.name)
        return "element '\(element)' has no value '\(name)'; it has \(names.joined(separator: ", "))"
            + (nearest(to: name, among: names).map { "; did you mean '\($0)'?" } ?? "")
    }
}

struct Top: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what goes through a run, by the second.",
        discussion: """
            On a terminal the page is drawn anew every second, until 'q' or an interrupt; elsewhere each interval is one \
            block of text. It ends when the run ends.
            """
    )
    @Argument(help: "The number of the run's process; may be left out if there is only one run.")
    var process: Int32?

    @Option(
        name: .customLong("interval"),
        help: ArgumentHelp("The time between two pages. (default: 1 s)", valueName: "duration")
    )
    var intervalText: String?

    @Option(help: ArgumentHelp("Ends after so many intervals.", valueName: "intervals"))
    var count: Int?

    @Option(help: "How it is written; JSON is one object a line, with the counters themselves.")
    var format: ResultFormat = .text

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count is out of range, at least 1") }
    }

    private var interval: Duration {
        get throws {
            guard let intervalText else { return .seconds(1) }
            guard let span = try? Quantity.parseDuration(intervalText), span >= 100_000_000 else {
                throw Failure.usage("--interval '\(intervalText)' is no time of at least 100 ms, as in '2 s'")
            }
            return .nanoseconds(span)
        }
    }

    func run() throws {
        let interval = try interval
        try reporting {
            let address = try chosen()
            var before = try RunWatch.snapshot(at: address)
            let screen = format == .text ? Screen() : nil
            defer { screen?.close() }
            // Until there are two snapshots: since its beginning.
            var shown = RunRates(
                from: RunSnapshot(
                    graph: before.graph,
                    process: before.process,
                    began: before.began,
                    time: before.began
                ),
                to: before
            )
            try screen?.show(shown.text(width: screen?.width))
            var due = ContinuousClock.now + interval
            var pages = 0
            while pages < count ?? .max {
                switch wait(until: due, screen) {
                case .leave: return
                case .resized:
                    try screen?.show(shown.text(width: screen?.width))
                    continue
                case .timeout: break
                }
                due = max(due + interval, .now)
                let after: RunSnapshot
                do { after = try RunWatch.snapshot(at: address) } catch let error as SocketError
                    where error.kind == .missing
                {
                    screen?.close()
                    return Output.error("process \(before.process), which ran '\(before.graph)', has ended\n")
                }
                shown = RunRates(from: before, to: after)
                if let screen {
                    try screen.show(shown.text(width: screen.width))
                } else {
                    let text = format == .json ? after.json.line + "\n" : shown.text(width: Terminal(1).width)
                    try Output.result(pages > 0 && format == .text ? "\n" + text : text)
                }
                before = after
                pages += 1
            }
        }
    }

    private func wait(until due: ContinuousClock.Instant, _ screen: Screen?) -> Screen.Event {
        if let screen { return screen.wait(until: due) }
        while !stopAsked(), !Output.isClosed {
            let left = milliseconds(until: due)
            if left == 0 { return .timeout }
            poll(nil, 0, left)
        }
        return .leave
    }

    /// Where the run is asked: the one that was named, or the only one.
    private func chosen() throws -> Address {
        if let process { return try ControlPlace.socket(of: process) }
        let found = ControlPlace.all()
        if found.count == 1 { return found[0].address }
        guard !found.isEmpty else {
            throw Failure.noFile(
                "there is no run that can be watched; runs on interfaces are, and others with --control"
            )
        }
        let runs = found.map { run in
            "\(run.process)" + ((try? RunWatch.snapshot(at: run.address)).map { " (\($0.graph))" } ?? "")
        }
        throw Failure.usage("there are several runs: \(runs.joined(separator: ", ")); name one by its number")
    }
}
