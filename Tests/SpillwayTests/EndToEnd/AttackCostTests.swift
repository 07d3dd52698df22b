// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import TestSupport
import Testing

/// What hostile traffic costs, in instructions that callgrind counts: so many for each packet, and no more for those that come
/// later. BENCHMARKS.md has the bounds.
@Suite(.serialized, .enabled(if: Program.isThere("valgrind") && Program.isThere("strip"), "needs valgrind and strip"))
struct AttackCostTests {
    #if DEBUG
    // A debug build takes too long for all; its numbers are no bounds.
    static let attacks: [Attack] = [.endlessHead, .bytesWithHoles, .tinyChunks, .firstFragments]
    #else
    static let attacks = Attack.allCases
    #endif

    /// The most that a packet of an attack may cost in a release build, as BENCHMARKS.md says.
    static func bounds() throws -> [String: Int] {
        let text = try String(contentsOf: root.appending(path: "BENCHMARKS.md"), encoding: .utf8)
        let rows = text.matches(of: /(?m)^\| `(\w+)` \|.*\| ([0-9,]+) \|$/)
        return Dictionary(rows.map { (String($0.1), Int($0.2.replacing(",", with: ""))!) }) { a, _ in a }
    }

    /// Instructions for attacks of these many packets, or for their honest twins.
    static func instructions(_ attack: Attack, _ counts: [Int], isHonest: Bool = false) throws -> [Int] {
        let scratch = Scratch()
        defer { scratch.remove() }
        let products = URL(filePath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
            .deletingLastPathComponent()
        // valgrind cannot read the debug information of Swift together with that of C.
        let program = "\(scratch.path)/attack-meter"
        _ = try Program.text("strip", ["-g", "-o", program, products.appending(path: "attack-meter").path()])
        let name = "$s12attack_meter7countedyy9Dataplane13DirectRuntimeCKF"
        let output = "\(scratch.path)/counts"
        let options = [
            "--tool=callgrind", "--callgrind-out-file=\(output)", "--toggle-collect=\(name)", "--dump-after=\(name)",
        ]
        _ = try Program.text(
            "valgrind",
            options + [program, attack.rawValue] + (isHonest ? ["honest"] : []) + counts.map { "\($0)" }
        )
        return try counts.indices.map { number in
            let text = try String(contentsOfFile: "\(output).\(number + 1)", encoding: .utf8)
            let line = try #require(text.split(separator: "\n").last { $0.hasPrefix("totals:") })
            return try #require(line.split(separator: " ").last.flatMap { Int($0) })
        }
    }

    /// Twice the packets cost twice the instructions, behind those first ones that fill tables.
    @Test(arguments: attacks) func costsGrowAsPacketsDo(_ attack: Attack) throws {
        #if DEBUG
        let n = 700
        #else
        // Of late responses the first 4,000 packets only make requests wait.
        let n = attack == .lateResponses ? 16_000 : 6_000
        #endif
        let cost = try Self.instructions(attack, [n, 2 * n, 4 * n])
        let (once, twice) = (cost[1] - cost[0], cost[2] - cost[1])
        #expect(once > 100 * n && Double(twice) < 2.3 * Double(once), "\(attack): \(cost)")
        let honest = try Self.instructions(attack, [n, 2 * n], isHonest: true)
        let ratio = Double(twice) / 2 / Double(honest[1] - honest[0])
        #expect(ratio < 20, "\(attack): \(ratio) times what honest packets of the same sizes cost")
        #if !DEBUG
        let bound = try #require(try Self.bounds()[attack.rawValue])
        #expect(twice / (2 * n) <= bound, "\(attack): \(twice / (2 * n)) for each packet")
        #expect(
            twice / (2 * n) * 4 > bound,
            "\(attack): \(twice / (2 * n)) for each packet; the bound is far too large"
        )
        #endif
    }

    @Test func everyAttackHasABound() throws {
        let bounds = try Self.bounds()
        for attack in Attack.allCases { #expect(bounds[attack.rawValue] != nil, "\(attack)") }
    }
}
