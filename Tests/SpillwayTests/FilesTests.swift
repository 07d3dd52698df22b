// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import Testing

/// Files as users arrange them: links, modes, devices, other directories.
@Suite final class FilesTests {
    private let base = FileManager.default.temporaryDirectory.resolvingSymlinksInPath().appending(
        path: "files-\(UUID())"
    )

    init() throws {
        for directory in ["graphs", "out/deep"] {
            let url = base.appending(path: directory)
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        }
        try Files.write("old", to: path("graphs/g.yaml"))
        try FileManager.default.createSymbolicLink(atPath: path("link"), withDestinationPath: "out/deep")
        try FileManager.default.createSymbolicLink(atPath: path("soft.yaml"), withDestinationPath: "graphs/g.yaml")
        try FileManager.default.createSymbolicLink(atPath: path("dangling"), withDestinationPath: "out/new")
    }

    deinit { try? FileManager.default.removeItem(at: base) }

    private func path(_ name: String) -> String { base.appending(path: name).path(percentEncoded: false) }

    private func text(_ name: String) throws -> String { String(decoding: try Files.read(path(name)), as: UTF8.self) }

    @Test func pathsAreSeenFromTheFileThatNamesThem() {
        let graph = path("graphs/g.yaml")
        #expect(Files.relative(graph, to: path("best.yaml")) == "graphs/g.yaml")
        #expect(Files.relative(graph, to: path("graphs/best.yaml")) == "g.yaml")
        #expect(Files.relative(graph, to: path("out/deep/best.yaml")) == "../../graphs/g.yaml")
        #expect(Files.relative(graph, to: path("out/../graphs/best.yaml")) == "g.yaml")
        #expect(Files.relative(path("soft.yaml"), to: path("out/best.yaml")) == "../graphs/g.yaml")
        // Readers take '..' away by name, which is wrong behind a link; and a pipe is nowhere.
        #expect(Files.relative(graph, to: path("link/best.yaml")) == graph)
        #expect(Files.relative(graph, to: "/dev/null") == graph)
        #expect(Files.relative("Package.swift", to: "best.yaml") == "Package.swift")
        #expect(Files.relative("../no-such-file", to: path("best.yaml")) == "../no-such-file")
    }

    @Test func linksAndModesStay() throws {
        try FileManager.default.setAttributes([.posixPermissions: 0o604], ofItemAtPath: path("graphs/g.yaml"))
        try Files.write("new", to: path("soft.yaml"))
        #expect(try text("graphs/g.yaml") == "new")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path("soft.yaml")) == "graphs/g.yaml")
        let mode = try FileManager.default.attributesOfItem(atPath: path("graphs/g.yaml"))[.posixPermissions] as? Int
        #expect(mode == 0o604)
        try Files.write("new", to: path("dangling"))
        #expect(try text("out/new") == "new")
        try Files.write("new", to: "/dev/null")
        #expect(try Files.list(path("graphs")) == ["g.yaml"])
        #expect(throws: Files.Failure.self) { try Files.write("new", to: path("out")) }
        #expect(throws: Files.Failure.self) { try Files.write("new", to: path("no/file")) }
    }

    @Test func pagesAreWrittenAndChecked() throws {
        let catalog = Catalog.standard
        let directory = path("made/pages")
        #expect(ElementPages.check(catalog, directory).count == catalog.types.count + 2)
        #expect(try ElementPages.write(catalog, to: directory).count == catalog.types.count + 2)
        #expect(ElementPages.check(catalog, directory) == [])
        #expect(try ElementPages.write(catalog, to: directory) == [])

        var text = try String(contentsOfFile: "\(directory)/Counter.md", encoding: .utf8)
        text = text.replacing("# Counter\n", with: "# Cuonter\n")
        try text.write(toFile: "\(directory)/Counter.md", atomically: true, encoding: .utf8)
        try ElementPages.page(catalog["Wire"]!).write(toFile: "\(directory)/Gone.md", atomically: true, encoding: .utf8)
        try "by hand".write(toFile: "\(directory)/notes.md", atomically: true, encoding: .utf8)
        try FileManager.default.removeItem(atPath: "\(directory)/Wire.md")
        #expect(
            ElementPages.check(catalog, directory) == [
                "Counter.md:3: differs from what the element declares", "Wire.md: missing",
                "Gone.md: there is no such element",
            ]
        )
        #expect(try ElementPages.write(catalog, to: directory) == ["Counter.md", "Wire.md", "Gone.md"])
        #expect(ElementPages.check(catalog, directory) == [])
        #expect(FileManager.default.fileExists(atPath: "\(directory)/notes.md"))
    }

    /// A capture that is read many times is hashed once, and one that was not hashed has no digest.
    @Test func capturesAreHashedOnce() throws {
        try Files.write(String(repeating: "x", count: 1 << 20), to: path("capture"))
        let loader = GraphLoader(catalog: .standard, services: MemoryServices()) { _ in
            Array("graph: g\nchains: [wire.rx -> Discard]\nelements: {wire: {type: Wire}}\n".utf8)
        }
        /// How often the writing asked whether to stop, and the manifest.
        func write(_ captures: Int, isStopped: Bool = false) throws -> (asked: Int, manifest: String) {
            var asked = 0
            let wire = WireArgument(name: "wire", sources: Array(repeating: path("capture"), count: captures))
            let content = RunDirectory.Content(
                verb: "run",
                graph: loader.loadGraph("g.yaml"),
                wires: [wire],
                seed: 1,
                statistics: .null,
                markdown: ""
            )
            try RunDirectory(path("run"), overwrites: true).write(content) {
                asked += 1
                return isStopped
            }
            return (asked, try text("run/manifest.json"))
        }
        let once = try write(1)
        // What an earlier run left is not replaced by chance.
        #expect(throws: RunDirectory.InUse.self) { try RunDirectory(path("run")) }
        let often = try write(20)
        #expect(once.asked > 3 && often.asked == once.asked)
        #expect(often.manifest.matches(of: /"sha256": "/).count == 21)
        let stopped = try write(2, isStopped: true)
        #expect(stopped.asked == 1 && stopped.manifest.matches(of: /"sha256": null/).count == 2)
    }
}
