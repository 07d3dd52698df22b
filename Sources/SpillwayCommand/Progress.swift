// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Says on standard error how far a verb is: nothing in the first second, then a line every few seconds.
///
/// It looks at the clock only when it is told something, so whoever tells it decides what that costs.
final class Progress {
    private static let interval = Duration.seconds(5)
    private let what: String
    private var due = ContinuousClock.now + .seconds(1)

    /// - Parameter what: what is being done, for example `running flow-monitor`.
    init(_ what: String) { self.what = what }

    /// Tells how far it is.
    func callAsFunction(_ state: @autoclosure () -> String) {
        let now = ContinuousClock.now
        guard now >= due else { return }
        due = now + Progress.interval
        Output.error("\(what): \(state()) ...\n")
    }
}
