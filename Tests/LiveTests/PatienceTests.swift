// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Live

/// How long a run asks for packets before it sleeps, with packets at given moments.
@Suite struct PatienceTests {
    /// Microseconds asked and slept, and how many of the packets met a run that slept, of packets at `moments` (in microseconds), each of
    /// `burst` that are read at once.
    private func wait(_ isPrompt: Bool, _ moments: [Int64], burst: Int64 = 1) -> (asked: Int64, slept: Int64, late: Int)
    {
        var patience = Patience(isPrompt: isPrompt)
        var (began, asked, slept, late) = (Int64(0), Int64(0), Int64(0), 0)
        for moment in moments.map({ $0 * 1000 }) {
            let waited = moment - began
            let sleeps = waited > patience.span
            asked += min(waited, patience.span)
            if sleeps {
                slept += waited - patience.span
                late += 1
            }
            patience.packetsCame(burst, after: waited, slept: sleeps, now: moment)
            #expect(patience.span >= patience.range.least && patience.span <= patience.range.most)
            began = moment
        }
        return (asked / 1000, slept / 1000, late)
    }

    @Test func packetsThatComeSteadilyAreWaitedForAwake() {
        for (isPrompt, gap) in [(false, 5), (false, 30), (false, 50), (true, 20), (true, 2000), (true, 16_000)] {
            let wait = wait(isPrompt, (1...1000).map { Int64($0 * gap) })
            #expect(wait.late <= 4, "\(gap) us")
        }
    }

    /// A second of 100,000 packets in bursts of 32: to ask for 50 us after each would take a sixth of the time.
    @Test func betweenBurstsItSleeps() {
        for isPrompt in [false, true] {
            let wait = wait(isPrompt, (1...3125).map { Int64($0 * 320) }, burst: 32)
            #expect(wait.asked < 50_000)
        }
    }

    @Test func whoAnswersFindsItAwake() {
        let wait = wait(true, (1...100).flatMap { [Int64($0 * 1_000_000), Int64($0 * 1_000_000 + 400)] })
        #expect(wait.late == 100)
        // A quarter of a percent, and the time until the answer.
        #expect(wait.asked <= 100 * (2500 + 400))
    }

    @Test func packetsThatCannotBeAwaitedCostLittle() {
        #expect(wait(true, (1...100).map { Int64($0 * 25_000) }).asked <= 250_000)
        #expect(wait(false, (1...100).map { Int64($0 * 1000) }).asked <= 1000)
    }

    /// A clock that was set back, and stamps from before the wait, as of packets that came while others were handled.
    @Test func timesThatGoBackDoNoHarm() {
        var patience = Patience(isPrompt: true)
        patience.packetsCame(1, after: 1000, slept: true, now: 1_000_000_000)
        patience.packetsCame(1, after: -500, slept: true, now: 5)
        patience.packetsCame(1, after: .min / 2, slept: false, now: 4)
        #expect(patience.span >= patience.range.least && patience.span <= patience.range.most)
    }
}
