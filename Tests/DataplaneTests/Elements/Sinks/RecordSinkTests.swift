// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import SpillwayTesting
import Testing

@Suite struct RecordSinkTests: RecordBench {
    @Test func textIsWrittenInLargePieces() throws {
        let texts = (0..<3000).map { "10.0.0.1:\($0) > 10.0.0.2:80 A" }
        let (_, _, services) = try run([("MetadataExtractor", "{per: packet}"), ("RecordSink", "{file: f}")], texts)
        let file = services.files["f"]!
        #expect(file.bytes.count > 400_000 && file.writes <= file.bytes.count / 65_536 + 1)
    }

    /// Times as text have names without the unit, and the labels of two extractors tell their records apart in one CSV file.
    @Test func timesAndLabels() throws {
        let packets = ["10.0.0.1:1 > 10.0.0.2:80 A time=1500ms"]
        let extract = (
            "MetadataExtractor", "{per: packet, fields: [time_ns, dport], labels: {app: 'a \"b\"', note: ''}}"
        )
        let (_, _, json) = try run([extract, ("RecordSink", "{file: f, times: iso}")], packets)
        #expect(
            json.files["f"]?.text
                == #"{"time":"1970-01-01T00:00:01.500000000Z","dport":80,"app":"a \"b\"","note":""}"# + "\n"
        )
        let (_, _, csv) = try run([extract, ("RecordSink", "{file: f, format: csv, times: iso}")], packets)
        #expect(
            csv.files["f"]?.text
                == "time,dport,app,note\r\n1970-01-01T00:00:01.500000000Z,80,\"a \"\"b\"\"\",\"\"\r\n"
        )
        let (_, _, flows) = try run(
            [
                ("FlowTable", ""), ("MetadataExtractor", "{fields: [first_ns, dport], labels: {app: dns}}"),
                ("Coalescer", ""), ("RecordSink", "{file: f}"),
            ],
            packets + ["10.0.0.1:1 > 10.0.0.2:81 A time=2s"]
        )
        let text = flows.files["f"]?.text ?? ""
        #expect(
            text.split(separator: "\n").sorted() == [
                #"{"first_ns":1500000000,"dport":80,"app":"dns"}"#, #"{"first_ns":2000000000,"dport":81,"app":"dns"}"#,
            ]
        )
    }
}
