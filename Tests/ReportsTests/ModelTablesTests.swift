// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Reports
import Testing

/// Figures as people read them.
@Suite struct ModelTablesTests {
    /// A rate shows its number, however small it is.
    @Test(
        arguments: [
            (1, "1 pps"), (0.25, "0.250 pps"), (2500, "2.500 kpps"), (5_000_000, "5.000 Mpps"),
        ] as [(Double, String)]
    )
    func rates(_ rate: Double, _ text: String) { #expect(rateText(rate) == text) }
}
