// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A directory for commands that write files: what they read is linked there.
public final class Workspace {
    public let url: URL

    public init(_ root: URL) throws {
        url = FileManager.default.temporaryDirectory.appending(path: "spillway-docs-\(UUID())")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        for entry in try FileManager.default.contentsOfDirectory(at: root, includingPropertiesForKeys: nil)
        where !entry.lastPathComponent.hasPrefix(".") {
            try FileManager.default.createSymbolicLink(
                at: url.appending(path: entry.lastPathComponent),
                withDestinationURL: entry
            )
        }
    }

    deinit { try? FileManager.default.removeItem(at: url) }
}

/// The command-line tool that was built with the tests.
public enum Tool {
    /// What a machine with much to do may take long for: `up PID` waits until the process catches interrupts.
    private static let functions = """
        up() { until grep -qs 'SigCgt:.*[2367abef]$' /proc/$1/status; do kill -0 $1 || return; sleep 0.1; done; }

        """

    /// Runs a command line in which `spillway` is the tool.
    public static func run(
        _ command: String,
        in directory: URL
    ) throws -> (output: String, error: String, status: Int32) {
        let products = URL(filePath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
            .deletingLastPathComponent()
        let process = Process()
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = ["-o", "pipefail", "-c", functions + command]
        process.currentDirectoryURL = directory
        var environment = ProcessInfo.processInfo.environment
        environment["PATH"] = products.path() + ":" + (environment["PATH"] ?? "")
        process.environment = environment
        process.standardInput = FileHandle.nullDevice
        // Through files: a pipe could fill while the other one is read.
        let scratch = FileManager.default.temporaryDirectory.appending(path: "spillway-output-\(UUID())")
        let files = [scratch.appendingPathExtension("out"), scratch.appendingPathExtension("err")]
        for file in files { try Data().write(to: file) }
        defer { for file in files { try? FileManager.default.removeItem(at: file) } }
        process.standardOutput = try FileHandle(forWritingTo: files[0])
        process.standardError = try FileHandle(forWritingTo: files[1])
        // Threads of a pool block signals, and programs inherit that: they must end when they are told to.
        var (none, before) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try process.run()
        process.waitUntilExit()
        let texts = try files.map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) }
        return (texts[0], texts[1], process.terminationStatus)
    }
}
