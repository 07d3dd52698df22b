// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Reports
import Testing

/// Text for terminals of any width.
@Suite struct FoldingTests {
    private let text = """
        Queue holds items

        It holds items until time has moved past them,
        or at a rate.

        Parameters
          rate      a rate  items that leave every second, at most
          capacity  items   how many fit

        ```
        a -> b   and a line that is much too long for this
        ```

        """

    @Test func whatFitsStays() {
        #expect(folded(text, width: nil) == text)
        #expect(folded(text, width: 120) == text)
    }

    @Test func longLinesGoOnBelowTheirLastColumn() {
        #expect(
            folded(text, width: 40) == """
                Queue holds items

                It holds items until time has moved past
                them, or at a rate.

                Parameters
                  rate      a rate  items that leave
                                    every second, at
                                    most
                  capacity  items   how many fit

                ```
                a -> b   and a line that is much too
                         long for this
                ```

                """
        )
    }

    /// Words longer than a line are left whole, and nothing is lost.
    @Test(arguments: 1...60) func everyWordIsKept(width: Int) {
        let words = folded(text, width: width).split { $0 == " " || $0 == "\n" }
        #expect(words == text.split { $0 == " " || $0 == "\n" })
    }
}
