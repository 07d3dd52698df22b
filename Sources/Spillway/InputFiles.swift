// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import GraphFile

/// The files that one command reads, of which it may write none: a graph would be lost, and a capture be emptied while it is
/// read.
///
/// Files are told by device and inode, so another name or a link makes no difference.
public struct InputFiles: Sendable {
    private var files: Set<Files.Identity> = []

    /// The files of a graph, and the captures of its wires.
    public init(_ graph: LoadedGraph? = nil, _ wires: [WireArgument] = []) {
        for source in graph?.sources ?? [] { add(source.path) }
        for wire in wires { for source in wire.sources { add(source) } }
    }

    /// Adds a file that is read; `-` is standard input. What can be read and written at once, as a device, is no matter.
    public mutating func add(_ path: String) {
        let path = path == "-" ? "/dev/stdin" : path
        if Files.isRegular(path), let file = Files.Identity(path) { files.insert(file) }
    }

    /// Throws when `path` is one of these files; to be asked before anything is opened for writing. `-` is standard output.
    public func checkOutput(_ path: String) throws(OutputError) {
        guard let file = Files.Identity(path == "-" ? "/dev/stdout" : path), files.contains(file) else { return }
        throw OutputError(file: path, reason: "cannot be read and written at once", code: OutputError.fileInUse)
    }
}
