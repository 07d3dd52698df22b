// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Spillway

@main
struct Benchmarks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spillway-benchmarks",
        abstract: "Measures what graphs cost for each packet.",
        discussion: """
            Without --instructions: CPU time of a process that runs the graph on a capture, user and system, the smallest of \
            several rounds; start-up, measured with an empty capture, is taken off. With --instructions: instructions and \
            calls that valgrind counts, as the difference of two lengths of capture. BENCHMARKS.md says more.
            """,
        subcommands: [Measure.self, Work.self, MakeCapture.self],
        defaultSubcommand: Measure.self
    )
}

struct Measure: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Measures workloads and prints a table.")

    @Option(help: "The capture to use instead of a synthetic one.")
    var capture: String?

    @Option(help: "Packets of the synthetic capture.")
    var packets = 2_000_000

    @Option(help: "Flows of the synthetic capture.")
    var flows = 10_000

    @Option(help: "Frames of the synthetic capture: 60 bytes each, or 60, 590 and 1514.")
    var frames = SyntheticCapture.Frames.small

    @Option(help: "Rounds of which the smallest time counts.")
    var rounds = 11

    @Option(help: ArgumentHelp("Only these workloads.", valueName: "name,name"))
    var only: String?

    @Flag(help: "Counts instructions and calls with valgrind.")
    var instructions = false

    func validate() throws {
        guard packets > 0, flows > 0, rounds > 0 else {
            throw ValidationError("--packets, --flows and --rounds must be positive")
        }
        if instructions, capture != nil {
            throw ValidationError("--instructions compares two lengths of a synthetic capture; --capture has one")
        }
    }

    func run() throws {
        let names = only.map { $0.split(separator: ",").map(String.init) }
        for name in names ?? [] where Workload.named(name) == nil {
            throw ValidationError("there is no workload '\(name)': \(Workload.all.map(\.name).joined(separator: ", "))")
        }
        let workloads = Workload.all.filter { names?.contains($0.name) ?? true }
        let scratch = try ScratchDirectory()
        defer { scratch.remove() }
        if instructions {
            try printInstructions(workloads, scratch)
        } else {
            try printTimes(workloads, scratch)
        }
    }

    private func printTimes(_ workloads: [Workload], _ scratch: ScratchDirectory) throws {
        let empty = scratch.path + "/empty.pcap"
        try SyntheticCapture(packets: 0, flows: 1).write(to: empty)
        var path = capture ?? ""
        if capture == nil {
            path = scratch.path + "/capture.pcap"
            try SyntheticCapture(packets: packets, flows: flows, frames: frames).write(to: path)
        }
        let count = try capture.map { try Workload.packets(in: $0) } ?? packets
        guard count > 0 else { throw ValidationError("there are no packets in \(path)") }
        var best = workloads.map { _ in (run: Int64.max, start: Int64.max) }
        // Round by round over all workloads, so that a busy minute of the machine hits all of them.
        for _ in 0..<rounds {
            for (k, workload) in workloads.enumerated() {
                best[k].run = min(best[k].run, try Child.cpuTime(["work", workload.name, path]))
                best[k].start = min(best[k].start, try Child.cpuTime(["work", workload.name, empty]))
            }
        }
        print("\(count) packets, smallest of \(rounds) rounds; start-up taken off\n")
        print("| Workload | CPU ns per packet | start-up ms |\n| --- | ---: | ---: |")
        for (k, workload) in workloads.enumerated() {
            let nanoseconds = Double(best[k].run - best[k].start) / Double(count)
            print("| \(workload.about) | \(decimal(nanoseconds, 1)) | \(decimal(Double(best[k].start) / 1e6, 1)) |")
        }
    }

    private func printInstructions(_ workloads: [Workload], _ scratch: ScratchDirectory) throws {
        // Nearly every flow is created in the first part, so the difference is the steady state.
        let lengths = (100_000, 300_000)
        let short = scratch.path + "/short.pcap"
        let long = scratch.path + "/long.pcap"
        try SyntheticCapture(packets: lengths.0, flows: flows, frames: frames).write(to: short)
        try SyntheticCapture(packets: lengths.1, flows: flows, frames: frames).write(to: long)
        let callgrind = try Callgrind(scratch)
        print("difference of \(lengths.1) and \(lengths.0) packets, \(flows) flows\n")
        print(
            "| Workload | instructions per packet | " + Callgrind.counted.map { "\($0) " }.joined(separator: "| ") + "|"
        )
        print("| --- | ---: |" + Callgrind.counted.map { _ in " ---: |" }.joined())
        let n = Double(lengths.1 - lengths.0)
        for workload in workloads {
            let a = try callgrind.count(["work", workload.name, short])
            let b = try callgrind.count(["work", workload.name, long])
            let calls = zip(a.calls, b.calls).map { decimal((Double($1) - Double($0)) / n, 3) }
            let instructions = decimal((Double(b.instructions) - Double(a.instructions)) / n, 1)
            print("| \(workload.about) | \(instructions) | \(calls.joined(separator: " | ")) |")
        }
    }
}

struct Work: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs one workload once and prints nothing; what is measured."
    )

    @Argument(help: "The workload.")
    var name: String

    @Argument(help: "The capture.")
    var capture: String

    func run() throws {
        guard let workload = Workload.named(name) else { throw ValidationError("there is no workload '\(name)'") }
        try workload.run(capture)
    }
}

struct MakeCapture: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "capture",
        abstract: "Writes the synthetic capture to a file, or one made of copies of another."
    )

    @Option(help: "Its packets.")
    var packets = 2_000_000

    @Option(help: "The flows of a synthetic one.")
    var flows = 10_000

    @Option(help: ArgumentHelp("Copies of this one, each between hosts of its own.", valueName: "capture"))
    var copiesOf: String?

    @Argument(help: "The file.")
    var file: String

    func validate() throws {
        guard packets > 0, flows > 0 else { throw ValidationError("--packets and --flows must be positive") }
    }

    func run() throws {
        if let copiesOf {
            try RepeatedCapture(original: copiesOf, packets: packets).write(to: file)
        } else {
            try SyntheticCapture(packets: packets, flows: flows).write(to: file)
        }
    }
}

extension SyntheticCapture.Frames: ExpressibleByArgument {}

/// A number with `digits` decimals, without Foundation.
func decimal(_ value: Double, _ digits: Int) -> String {
    var scale = 1
    for _ in 0..<digits { scale *= 10 }
    let whole = Int((value * Double(scale)).rounded())
    let fraction = String(abs(whole) % scale)
    let zeros = String(repeating: "0", count: digits - fraction.count)
    return (whole < 0 ? "-" : "") + "\(abs(whole) / scale).\(zeros)\(fraction)"
}
