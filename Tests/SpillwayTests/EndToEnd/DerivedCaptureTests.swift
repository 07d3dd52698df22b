// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Spillway
import TestSupport
import Testing

/// Captures that were made of another one by tools that attack reassembly give the streams of their base, when the settings
/// are those of the receiver that the attack does not fool.
@Suite struct DerivedCaptureTests {
    struct Change: Sendable, CustomStringConvertible {
        /// The end of the capture's name, behind that of its base.
        var name: String
        /// Parameters of stream-dump that are needed.
        var settings: [String: String] = [:]
        /// Why these, or why none.
        var reason: String
        var description: String { name }
    }

    /// graphs/README.md has the same for users.
    static let changes = [
        Change(name: "seg1", reason: "segments of a byte: nothing is lost or said twice"),
        Change(name: "seg24", reason: "small segments"),
        Change(name: "order-random", reason: "segments wait for those before them"),
        Change(name: "order-reverse", reason: "segments wait for those before them"),
        Change(name: "dup", reason: "segments that come again bring nothing new"),
        Change(name: "frag8", reason: "fragments are joined before"),
        Change(name: "frag64", reason: "fragments are joined before"),
        Change(name: "frag64-old", reason: "fragments are joined before; none overlap"),
        Change(name: "frag64-new", reason: "fragments are joined before; none overlap"),
        Change(
            name: "seg32-old",
            settings: ["overlap": "first"],
            reason: "where segments differ, the earlier is the base's"
        ),
        Change(
            name: "seg32-new",
            settings: ["overlap": "last"],
            reason: "where segments differ, the later is the base's"
        ),
        Change(name: "chaff-null", reason: "segments without flags: bytes without ACK are dropped always"),
        Change(name: "chaff-seq", reason: "sequence numbers far outside the window: dropped always"),
        Change(name: "chaff-cksum", settings: ["checksum": "verify"], reason: "only the checksum tells these segments"),
        Change(name: "chaff-rexmit", settings: ["checksum": "verify"], reason: "wrong bytes before the right ones"),
        Change(name: "chaff-syn", settings: [:], reason: "SYNs within a connection that nobody answers"),
        Change(name: "chaff-ttl2", settings: ["min_ttl": "3"], reason: "packets of TTL 2 that die before the receiver"),
        Change(name: "seqwrap", reason: "numbers that pass 2^32"),
        Change(name: "ns", reason: "another file format"),
        Change(name: "modpcap", reason: "another file format"),
        Change(name: "pcapng", reason: "another file format"),
        Change(name: "cut-1", reason: "the file ends within its last packet, which holds no bytes of a stream"),
    ]
    /// Changes that lose or damage bytes, or take several bases: nothing gives the streams of one base.
    static let others = [
        "drop", "chop20", "cut-half", "cut-hdr", "snap96", "err0.005", "err0.02", "err0.1", "snoop",
        "merge-shared-http",
        "merge-shared-linktypes",
    ]
    /// The padding of this one's frames became payload, in front of the bytes that belong there.
    static let paddedStreams: Set = ["derived-ndpi-http_connect-seqwrap.pcap 192.168.1.103:1714"]

    static let captures: [String] = {
        let names = Shared.isThere ? try! FileManager.default.contentsOfDirectory(atPath: Shared.captures) : []
        return names.filter { !$0.hasSuffix(".tsv") && !$0.hasSuffix(".md") }.sorted()
    }()

    static func stem(_ name: String) -> String { String(name[..<(name.lastIndex(of: ".") ?? name.endIndex)]) }

    /// The captures of one change, each with its base.
    static func pairs(_ change: String) -> [(derived: String, base: String)] {
        captures.compactMap { derived in
            guard derived.hasPrefix("derived-"), stem(derived).hasSuffix("-\(change)") else { return nil }
            let name = stem(derived).dropFirst("derived-".count).dropLast(change.count + 1)
            return captures.first { stem($0) == name }.map { (derived, $0) }
        }
    }

    /// Size and digest of every direction with bytes, by its sender.
    static func streams(_ capture: String, _ settings: [String: String]) throws -> [String: String] {
        let all = ["idle": "0 s", "records": "records"].merging(settings) { $1 }
        let graph = try shippedGraph("stream-dump", all.map { ($0.key, $0.value) })
        var out: [String: String] = [:]
        for record in try StreamOracleTests.records(graph, capture) where record["bytes"] as? Int != 0 {
            // What fragroute made of the server's direction of this base is no longer its stream.
            if capture.contains("http-sticky-start"), record["sport"] as? Int == 80 { continue }
            let sender = "\(record["src"]!):\(record["sport"]!)"
            out[sender] = (out[sender].map { $0 + " and " } ?? "") + "\(record["bytes"]!) \(record["sha256"]!)"
        }
        return out
    }

    @Test(.enabled(if: Shared.isThere), arguments: changes) func theStreamsAreThoseOfTheBase(_ change: Change) throws {
        let pairs = Self.pairs(change.name)
        #expect(!pairs.isEmpty)
        for (derived, base) in pairs {
            var expected = try Self.streams(base, [:])
            var found = try Self.streams(derived, change.settings)
            for padded in Self.paddedStreams where padded.hasPrefix("\(derived) ") {
                let sender = String(padded.dropFirst(derived.count + 1))
                expected[sender] = nil
                found[sender] = nil
            }
            #expect(!expected.isEmpty && found == expected, "\(derived): \(change.reason)")
            // A setting that is named is needed; `first` is the default.
            if let (key, _) = change.settings.first {
                let other = change.settings == ["overlap": "first"] ? [key: "last"] : [:]
                #expect(try Self.streams(derived, other) != expected, "\(derived) without \(key)")
            }
        }
    }

    @Test func usersAreToldTheSame() throws {
        let text = try String(contentsOf: root.appending(path: "graphs/README.md"), encoding: .utf8)
        for change in Self.changes {
            for (key, value) in change.settings {
                let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `") && $0.contains("`\(change.name)`") }
                #expect(rows.count == 1 && rows[0].contains("`\(key)=\(value)`"), "\(change)")
            }
        }
    }

    @Test(.enabled(if: Shared.isThere)) func everyDerivedCaptureIsSpokenOf() {
        let known = Set(Self.changes.flatMap { Self.pairs($0.name).map(\.derived) })
        for name in Self.captures where name.hasPrefix("derived-") && !known.contains(name) {
            #expect(Self.others.contains { Self.stem(name).hasSuffix("-\($0)") }, "\(name)")
        }
    }
}
