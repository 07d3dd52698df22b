// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Spillway

/// Runs programs, and measures what they cost.
enum Child {
    /// User and system time, in nanoseconds, of this program run with `arguments`.
    static func cpuTime(_ arguments: [String]) throws -> Int64 {
        let usage = try run(["/proc/self/exe"] + arguments)
        return nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime)
    }

    /// Runs a program, found along PATH, to its end. Its output is discarded.
    @discardableResult
    static func run(_ command: [String]) throws -> rusage {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        if command[0] == "valgrind" { posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0) }
        var arguments = command.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var child: pid_t = 0
        let error = posix_spawnp(&child, command[0], &actions, nil, &arguments, environ)
        guard error == 0 else { throw BenchmarkError("\(command[0]): \(String(cString: strerror(error)))") }
        var status: Int32 = 0
        var usage = rusage()
        while wait4(child, &status, 0, &usage) < 0 {
            guard errno == EINTR else { throw BenchmarkError("\(command[0]): \(String(cString: strerror(errno)))") }
        }
        guard status == 0 else { throw BenchmarkError("\(command.joined(separator: " ")) failed") }
        return usage
    }

    private static func nanoseconds(_ time: timeval) -> Int64 {
        Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_usec) * 1000
    }
}

/// A directory for captures and counts, removed at the end.
struct ScratchDirectory {
    let path: String

    init() throws {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/spillway-benchmarks.XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else {
            throw BenchmarkError("\(parent): \(String(cString: strerror(errno)))")
        }
        path = String(cString: made)
    }

    func remove() { _ = try? Child.run(["rm", "-r", path]) }
}

/// Counts instructions and calls with valgrind's callgrind.
struct Callgrind {
    /// The functions whose calls are counted: those that must not be called for every packet.
    static let counted = ["swift_retain", "swift_release", "swift_beginAccess", "swift_allocObject", "malloc"]

    private let program: String
    private let output: String

    init(_ scratch: ScratchDirectory) throws {
        program = scratch.path + "/stripped"
        output = scratch.path + "/callgrind.out"
        // valgrind cannot read the debug information of Swift together with that of C.
        let path = realpath("/proc/self/exe", nil)
        defer { free(path) }
        guard let path else { throw BenchmarkError("/proc/self/exe: \(String(cString: strerror(errno)))") }
        try Child.run(["strip", "-g", "-o", program, String(cString: path)])
    }

    /// Runs this program with `arguments`: total instructions, and calls of each function in ``counted``.
    func count(_ arguments: [String]) throws -> (instructions: Int, calls: [Int]) {
        try Child.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=\(output)", program] + arguments)
        return try Callgrind.read(String(decoding: Files.read(output, limit: 1 << 28), as: UTF8.self))
    }

    /// Parses callgrind's output. A name follows its number where it occurs first: `cfn=(12) swift_retain`.
    static func read(_ text: String) throws -> (instructions: Int, calls: [Int]) {
        var instructions: Int?
        var calls = [Int](repeating: 0, count: counted.count)
        /// The index in ``counted`` of a function's number.
        var places: [Substring: Int] = [:]
        var called: Int?
        for line in text.split(separator: "\n") {
            if line.hasPrefix("fn=(") || line.hasPrefix("cfn=(") {
                let parts = line.drop { $0 != "(" }.split(separator: " ", maxSplits: 1)
                if parts.count == 2, let place = counted.firstIndex(of: String(parts[1])) { places[parts[0]] = place }
                called = line.hasPrefix("c") ? places[parts[0]] : nil
            } else if line.hasPrefix("calls="), let called {
                calls[called] += Int(line.dropFirst(6).prefix { $0 != " " }) ?? 0
            } else if line.hasPrefix("summary: ") || line.hasPrefix("totals: ") {
                instructions = Int(line.split(separator: " ")[1]) ?? instructions
            }
        }
        guard let instructions else { throw BenchmarkError("callgrind wrote no sum") }
        return (instructions, calls)
    }
}
