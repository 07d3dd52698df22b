// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Says on standard error how far a verb is: nothing in the first second, then a line every few seconds.
///
/// It looks at the clock only when it is told something, so whoever tells it decides what that costs.
final class Progress {
    private static let interval = Duration.seconds(5)
    private let what: String
    private var due = ContinuousClock.now + .seconds(1)
    /// When the step under way began, and how much of it was done when last told.
    private var began = ContinuousClock.now
    private var fraction = 0.0

    /// - Parameter what: what is being done, for example `running flow-monitor`.
    init(_ what: String) { self.what = what }

    /// Tells how far it is, and how much of the step is done, if that is known.
    func callAsFunction(_ state: @autoclosure () -> String, _ fraction: Double? = nil) {
        let now = ContinuousClock.now
        if (fraction ?? 0) < self.fraction || fraction == nil { began = now }
        self.fraction = fraction ?? 0
        guard now >= due else { return }
        due = now + Progress.interval
        Output.error("\(what): \(state())\(timeLeft(now)) ...\n")
    }

    private func timeLeft(_ now: ContinuousClock.Instant) -> String {
        let seconds = Double((now - began).components.seconds)
        guard fraction > 0, seconds >= 1 else { return "" }
        return ", about \(Int((seconds * (1 - fraction) / fraction).rounded(.up))) s left"
    }
}
