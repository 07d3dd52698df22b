// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import Testing

/// Figures as people read them.
@Suite struct ReportTests {
    /// A load shows its number, however small it is.
    @Test(
        arguments: [
            (.rate(1), "1 pps"), (.rate(2500), "2.500 kpps"), (.rate(5_000_000), "5.000 Mpps"),
            (.factor(numerator: 1, denominator: 10_000), "0.0001x the capture's speed"),
            (.factor(numerator: 15, denominator: 10), "1.5x the capture's speed"),
            (.factor(numerator: 20, denominator: 1), "20x the capture's speed"),
            (.captureTime, "the capture's own times"),
        ] as [(OfferedLoad, String)]
    )
    func loads(_ load: OfferedLoad, _ text: String) { #expect(loadText(load) == text) }
}
