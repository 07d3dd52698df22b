// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// `time` + `span` nanoseconds, saturating at the latest moment for which a timer can be armed.
@inline(__always)
func later(_ time: Int64, by span: Int64) -> Int64 {
    let (sum, overflow) = time.addingReportingOverflow(span)
    return overflow || sum == .max ? .max - 1 : sum
}
