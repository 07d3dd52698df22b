// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway

/// Reports progress on standard error: nothing in the first second, then a line every few seconds.
///
/// It checks the clock only when called, so the caller decides what that costs.
final class Progress {
    private static let interval = Duration.seconds(5)
    private let what: String
    private var due = ContinuousClock.now + .seconds(1)
    /// When the current step began, and how much of it was done at the last call.
    private var began = ContinuousClock.now
    private var fraction = 0.0
    /// What was last taken to be left of it, in seconds: said only if it becomes less, so not where the share hardly moves.
    private var left = Double.infinity

    /// - Parameter what: the activity, for example `running flow-monitor`.
    init(_ what: String) { self.what = what }

    /// Reports the state, and the completed share of the step, if known.
    func callAsFunction(_ state: @autoclosure () -> String, _ fraction: Double? = nil) {
        let now = ContinuousClock.now
        if (fraction ?? 0) < self.fraction || fraction == nil { (began, left) = (now, .infinity) }
        self.fraction = fraction ?? 0
        guard now >= due else { return }
        due = now + Progress.interval
        Output.error(folded("\(what): \(state())\(timeLeft(now)) ...\n", width: Terminal(2).width))
    }

    /// Reports the state, and the completed share of a single step, which is computed only when it is shown.
    func callAsFunction(_ state: @autoclosure () -> String, share: () -> Double?) {
        guard ContinuousClock.now >= due else { return }
        self(state(), share())
    }

    private func timeLeft(_ now: ContinuousClock.Instant) -> String {
        let seconds = Double((now - began).components.seconds)
        guard fraction > 0 else { return "" }
        let percent = ", \(min(100, Int(fraction * 100))) %"
        let before = left
        left = (seconds * (1 - fraction) / fraction).rounded(.up)
        // A first guess from little work means nothing.
        guard seconds >= 1, left < before, before < .infinity || fraction >= 0.1 else { return percent }
        return percent + ", about \(Int(left)) s left"
    }
}
