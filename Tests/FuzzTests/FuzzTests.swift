// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Dataplane

/// The bodies that libFuzzer drives (scripts/fuzz.sh), on their seeds and on some thousand inputs made of these.
@Suite struct FuzzTests {
    private static let directory = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Seeds")

    /// The files of a target, by name: the described seeds, and inputs that once failed.
    private func files(_ target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
        let folder = Self.directory.appending(path: target.name)
        return try FileManager.default.contentsOfDirectory(atPath: folder.path()).sorted().map {
            ($0, [UInt8](try Data(contentsOf: folder.appending(path: $0))))
        }
    }

    /// Runs a target on a block of exactly the size of an input, as libFuzzer does.
    private func run(_ target: FuzzTarget, _ bytes: [UInt8]) {
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { block.deallocate() }
        block.copyBytes(from: bytes)
        target.run(UnsafeRawBufferPointer(block))
    }

    /// libFuzzer begins with files, people read descriptions: `SPILLWAY_UPDATE_SEEDS=1` writes the files anew.
    @Test(arguments: FuzzTarget.all) func filesAreTheDescribedSeeds(_ target: FuzzTarget) throws {
        let folder = Self.directory.appending(path: target.name)
        if ProcessInfo.processInfo.environment["SPILLWAY_UPDATE_SEEDS"] == "1" {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            for seed in target.seeds { try Data(seed.bytes).write(to: folder.appending(path: seed.name)) }
        }
        let files = Dictionary(uniqueKeysWithValues: try files(target).map { ($0.name, $0.bytes) })
        #expect(Set(target.seeds.map(\.name)).count == target.seeds.count)
        for seed in target.seeds { #expect(files[seed.name] == seed.bytes, "\(target)/\(seed.name)") }
    }

    @Test(arguments: FuzzTarget.all) func seedsAndWhatIsMadeOfThem(_ target: FuzzTarget) throws {
        let files = try files(target).map(\.bytes)
        for bytes in files { run(target, bytes) }
        var numbers = FuzzNumbers(state: 1)
        for _ in 0..<1500 {
            var bytes = files.randomElement(using: &numbers)!
            for _ in 0...Int.random(in: 0..<5, using: &numbers) {
                let at = Int.random(in: 0...bytes.count, using: &numbers)
                let end = min(bytes.count, at + Int.random(in: 1...12, using: &numbers))
                let other = files.randomElement(using: &numbers)!
                switch Int.random(in: 0..<6, using: &numbers) {
                case 0 where at < end: bytes[at] = UInt8.random(in: 0...255, using: &numbers)
                case 1 where at < end: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &numbers)
                case 2: bytes.removeSubrange(at..<end)
                case 3: bytes.insert(contentsOf: bytes[at..<end], at: at)
                case 4: bytes.insert(contentsOf: other.suffix(max(0, other.count - at)), at: at)
                default: bytes.insert(UInt8.random(in: 0...255, using: &numbers), at: at)
                }
            }
            run(target, bytes)
        }
        run(target, [])
    }
}

/// Numbers from a seed (splitmix64).
private struct FuzzNumbers: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return mix64(state)
    }
}
