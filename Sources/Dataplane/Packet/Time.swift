// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// `time` + `span` nanoseconds; what would be later than any time is the last moment a timer can be armed for.
@inline(__always)
func later(_ time: Int64, by span: Int64) -> Int64 {
    let (sum, overflow) = time.addingReportingOverflow(span)
    return overflow || sum == .max ? .max - 1 : sum
}
