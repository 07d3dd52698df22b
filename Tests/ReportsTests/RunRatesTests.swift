// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Reports
import Testing

/// What happens in a run by the second, as text.
@Suite struct RunRatesTests {
    @Test func ratesAreOfTheTimeBetween() {
        let rates = RunRates(from: RunSnapshotTests.sample(after: 70), to: RunSnapshotTests.sample(after: 74))
        #expect(
            rates.text(width: nil) == """
                web, process 12, for 1 min 14 s; items in use: 100 of 1,000

                wire  packets/s in  bits/s in  packets/s out  bits/s out  kernel drops/s  outages
                wire         1,000  0.80 Mbps              0           0             7.0        1

                element     type         in/s  out/s  held  drops/s  reasons
                wire        Wire            0  1,000     0        0
                guard/sort  Classifier  1,000    990     2     10.0  no_rule 10.0

                edge            items/s
                wire.rx           1,000
                guard/sort.web      990

                """
        )
    }

    /// The lines of a terminal are as wide as it is.
    @Test(arguments: [40, 60, 80]) func fitsATerminal(_ width: Int) {
        let rates = RunRates(from: RunSnapshotTests.sample(after: 70), to: RunSnapshotTests.sample(after: 74))
        let lines = rates.text(width: width).split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= width }, "\(lines)")
    }

    /// The same snapshot twice, or one of a later run, gives no rates.
    @Test func whatDoesNotGrowIsNothing() {
        let (early, late) = (RunSnapshotTests.sample(after: 2), RunSnapshotTests.sample(after: 9))
        for rates in [RunRates(from: late, to: late), RunRates(from: late, to: early)] {
            let text = rates.text(width: nil)
            #expect(!text.contains("edge") && !text.contains("no_rule"), "\(text)")
        }
    }
}
