// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Foundation
import SpillwayTesting
import Testing

@Suite struct TimeTextTests {
    /// The C library agrees about the day and time of day, at the ends of years and centuries and anywhere else.
    @Test func theCLibraryAgrees() {
        var random = TestRandom(7)
        var seconds: [Int64] = [
            0, -1, 951_782_400, 951_868_799, 4_107_542_400, -2_203_891_200, 9_223_372_035, -9_223_372_036,
        ]
        for year in 1678..<2262 { seconds.append(Int64(Double(year - 1970) * 365.2425) * 86_400) }
        for _ in 0..<2_000 { seconds.append(Int64.random(in: -9_000_000_000...9_000_000_000, using: &random)) }
        for second in seconds {
            var time = time_t(second)
            var fields = tm()
            gmtime_r(&time, &fields)
            var buffer = [CChar](repeating: 0, count: 32)
            let count = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%S", &fields)
            let expected = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            #expect(TimeText.text(second * 1_000_000_000 + 42) == expected + ".000000042Z")
        }
    }

    @Test func theExtremes() {
        #expect(TimeText.text(-1) == "1969-12-31T23:59:59.999999999Z")
        #expect(TimeText.text(.max) == "2262-04-11T23:47:16.854775807Z")
        #expect(TimeText.text(.min) == "1677-09-21T00:12:43.145224192Z")
    }
}
