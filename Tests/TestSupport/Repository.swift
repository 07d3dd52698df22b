// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The repository.
public let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// A capture that comes with the repository.
public func shippedCapture(_ name: String) -> String { root.appending(path: "Examples/captures/\(name)").path() }

/// Captures and test cases of other projects, which are no part of this one: beside the repository, or where
/// SPILLWAY_SHARED says. Tests that need them say `.enabled(if: Shared.isThere)`; BoundaryTests counts those.
public enum Shared {
    private static let place =
        ProcessInfo.processInfo.environment["SPILLWAY_SHARED"].map { URL(filePath: $0) }
        ?? root.appending(path: "../shared").standardized

    /// Whether they are on this machine.
    public static let isThere = FileManager.default.fileExists(atPath: place.appending(path: "captures/oracle").path())

    /// The directory of captures; what other tools make of each stands in `oracle/NAME.json`.
    public static let captures = place.appending(path: "captures").path()

    /// The directory of small captures of other tools' faults.
    public static let cases = place.appending(path: "cases").path()

    /// The contents of a file among them. Throws when it is not there.
    public static func data(_ path: String) throws -> Data { try Data(contentsOf: place.appending(path: path)) }
}

/// A directory that is removed with its contents.
public final class Scratch {
    public let url: URL

    /// Makes an empty one.
    public init() {
        url = FileManager.default.temporaryDirectory.resolvingSymlinksInPath().appending(path: "spillway-\(UUID())")
        try! FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { remove() }

    /// Removes it. Who keeps it in a local variable says so: a variable may end with its last use.
    public func remove() { try? FileManager.default.removeItem(at: url) }

    /// Its path, without a slash at the end.
    public var path: String { url.path(percentEncoded: false).trimmingSuffix("/") }

    /// Writes a file into it, and says where it is.
    public func file(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
        try Data(bytes).write(to: url.appending(path: name))
        return "\(path)/\(name)"
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: String) -> String {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
    }
}

/// Programs of others that tests compare with.
public enum Program {
    /// Where the program is; nil where it is not installed.
    public static func path(_ name: String) -> String? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":").map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Whether it is installed.
    public static func isThere(_ name: String) -> Bool { path(name) != nil }

    /// Whether the installed Python has these modules.
    public static func hasPython(_ modules: String) -> Bool {
        isThere("python3") && (try? run("python3", ["-c", "import \(modules)"]))?.status == 0
    }

    /// Runs it; `input` is what it reads. Throws when it cannot be run.
    public static func run(
        _ name: String,
        _ arguments: [String],
        input: some Sequence<UInt8> = [],
        environment: [String: String] = [:]
    ) throws -> (output: Data, error: Data, status: Int32) {
        guard let path = path(name) else { throw Missing(name: name) }
        // Through files: a pipe could fill while the other one is read.
        let scratch = Scratch()
        defer { scratch.remove() }
        let input = try scratch.file("in", input)
        let files = [try scratch.file("out", []), try scratch.file("err", [])].map { URL(filePath: $0) }
        let process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = try FileHandle(forReadingFrom: URL(filePath: input))
        process.standardOutput = try FileHandle(forWritingTo: files[0])
        process.standardError = try FileHandle(forWritingTo: files[1])
        try process.run()
        process.waitUntilExit()
        return (try Data(contentsOf: files[0]), try Data(contentsOf: files[1]), process.terminationStatus)
    }

    /// Runs it, and gives what it says on standard output as text. Throws when it fails.
    public static func text(_ name: String, _ arguments: [String]) throws -> String {
        let (output, error, status) = try run(name, arguments)
        if status != 0 { throw Failure(text: "\(name) \(arguments): \(String(decoding: error, as: UTF8.self))") }
        return String(decoding: output, as: UTF8.self)
    }

    private struct Missing: Error { var name: String }
    private struct Failure: Error { var text: String }
}
