// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Spillway
import Testing

/// Values of parameters, apart from any graph.
@Suite struct ParameterTests {
    private func marks(_ type: String, _ name: String, _ value: Value) throws -> [Mark] {
        try #require(Catalog.standard[type]).configure([(name, 0, value)], at: 0).errors.map(\.mark)
    }

    /// Each wrong item of a value has an error of its own.
    @Test func allErrorsOfOneValueCome() throws {
        func list(_ words: String...) -> Value {
            .list(words.enumerated().map { .scalar($1, Mark($0 + 1)) }, 0)
        }
        func map(_ entries: (String, String)...) -> Value {
            .map(entries.enumerated().map { ($1.0, Mark($0 + 1), .scalar($1.1, Mark($0 + 11))) }, 0)
        }
        #expect(try marks("HTTPParser", "request_headers", list("a b", "host", "(")) == [1, 3])
        #expect(try marks("MetadataExtractor", "fields", list("prot", "src", "src", "dest")) == [1, 3, 4])
        let long = String(repeating: "x", count: Label.longest + 1)
        #expect(try marks("MetadataExtractor", "labels", map(("a b", ""), ("c", long), ("d", ""))) == [1, 12])
        #expect(try marks("MetadataExtractor", "fields", list("src")) == [])
    }

    /// A name that promises a compression that is not written is refused where it stands.
    @Test func namesOfOutputsAreHonest() throws {
        for (name, isRight) in [("-", true), ("a.pcap.gz", true), ("zst", true), ("a.xz", false), ("", false)] {
            for type in ["PacketSink", "RecordSink"] {
                #expect(try marks(type, "file", .scalar(name, 5)) == (isRight ? [] : [5]), "\(name)")
            }
        }
    }

    @Test func labelsAreBounded() throws {
        let entries = (0...Label.most).map { (key: "l\($0)", keyMark: Mark(1), value: Value.scalar("", 1)) }
        #expect(try marks("TLSClientHello", "labels", .map(entries, 7)) == [7])
        #expect(try marks("TLSClientHello", "labels", .map(Array(entries.dropLast()), 7)) == [])
    }
}
