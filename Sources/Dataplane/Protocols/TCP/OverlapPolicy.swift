// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Which bytes count where TCP segments that wait for earlier ones overlap and differ (Ptacek and Newsham 1998): receivers
/// decide differently, and who looks on must decide as the receiver does.
///
/// A byte that is there is replaced by that of a new segment when every waiting segment that holds it yields to the new
/// one; what is missing is always filled. Bytes that were handed on cannot change.
public enum OverlapPolicy: String, CaseIterable, Sendable {
    /// The bytes that came first.
    case first
    /// The bytes that came last.
    case last
    case bsd
    case linux
    case oldLinux = "old-linux"
    /// As Windows since Vista: the bytes that came first.
    case windows
    case vista
    case solaris

    /// Whether a waiting segment yields to a new one: `start` says how far the new one begins behind it (less than 0:
    /// before it), and `end` how far it ends behind it.
    func yields(start: Int32, end: Int32) -> Bool {
        switch self {
        case .first, .windows, .vista: false
        case .last: true
        case .bsd: start < 0
        case .linux: start < 0 || start == 0 && end > 0
        case .oldLinux: start < 0 || start == 0 && end >= 0
        case .solaris: start <= 0 ? end >= 0 : end > 0
        }
    }
}
