// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import Synchronization

/// The graphs that come with Spillway, by file name without ending.
public let shippedGraphs: [String] = {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: root.appending(path: "graphs").path())) ?? []
    return names.filter { $0.hasSuffix(".yaml") && !$0.hasSuffix(".test.yaml") }.map { String($0.dropLast(5)) }.sorted()
}()

/// Reads a shipped graph. Throws what is wrong with it.
public func shippedGraph(_ name: String, _ settings: [(key: String, value: String)] = []) throws -> GraphSpec {
    let loader = GraphLoader(catalog: .standard, services: SystemServices(), readFile: { try Files.read($0) })
    return try whole(loader.loadGraph(root.appending(path: "graphs/\(name).yaml").path(), settings: settings))
}

/// Reads a graph written in a test. Throws what is wrong with it.
public func graph(yaml: String) throws -> GraphSpec {
    let loader = GraphLoader(catalog: .standard, services: SystemServices()) { _ in Array(yaml.utf8) }
    return try whole(loader.loadGraph("test.yaml"))
}

private func whole(_ loaded: LoadedGraph) throws -> GraphSpec {
    guard let graph = loaded.graph else { throw BadGraph(description: loaded.diagnostics.map(\.rendered).joined()) }
    return graph
}

private struct BadGraph: Error, CustomStringConvertible { var description: String }

/// Keeps in memory what elements write.
public final class KeptFiles: Services {
    private let files = Mutex<[String: [UInt8]]>([:])

    public init() {}

    /// What was written, by file name.
    public var contents: [String: [UInt8]] { files.withLock { $0 } }

    public func openSink(_ name: String) -> any ByteSink {
        files.withLock { $0[name] = [] }
        return Sink(name, self)
    }

    public func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? {
        try SystemServices().compileFilter(filter, linkType: linkType)
    }

    private final class Sink: ByteSink {
        let name: String
        let files: KeptFiles

        init(_ name: String, _ files: KeptFiles) {
            self.name = name
            self.files = files
        }

        func write(_ bytes: UnsafeRawBufferPointer) { files.files.withLock { $0[name]!.append(contentsOf: bytes) } }
        func flush() {}
    }
}
