// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Capture
import GraphFile

/// The files that one command reads, none of which it may write: a graph would be lost, and a capture emptied while it is being
/// read.
///
/// Files are identified by device and inode, so other names and links make no difference.
public struct InputFiles: Sendable {
    private var files: Set<Files.Identity> = []

    /// The files of a graph, and the captures of its wires.
    public init(_ graph: LoadedGraph? = nil, _ wires: [WireArgument] = []) {
        for source in graph?.sources ?? [] { add(source.path) }
        for wire in wires { for source in wire.sources { add(source) } }
    }

    /// Adds a file that is read; `-` is standard input. Files that can be read and written at once, such as devices, are
    /// ignored.
    public mutating func add(_ path: String) {
        let path = path == "-" ? "/dev/stdin" : path
        if Files.isRegular(path), let file = Files.Identity(path) { files.insert(file) }
    }

    /// Throws if `path` is one of these files; call it before opening anything for writing. `-` is standard output.
    public func checkOutput(_ path: String) throws(OutputError) {
        guard let file = Files.Identity(path == "-" ? "/dev/stdout" : path), files.contains(file) else { return }
        throw OutputError(file: path, reason: "cannot be read and written at once", code: OutputError.fileInUse)
    }
}
