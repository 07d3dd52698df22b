// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Which bytes count if waiting TCP segments overlap and differ (Ptacek and Newsham 1998): receivers differ, and an observer
/// must decide as the receiver does.
///
/// An existing byte is replaced by that of a new segment if every waiting segment that holds it yields to the new one; missing
/// bytes are always filled in. Bytes already emitted cannot change.
public enum OverlapPolicy: String, CaseIterable, Sendable {
    /// The bytes that arrived first.
    case first
    /// The bytes that arrived last.
    case last
    case bsd
    case linux
    case oldLinux = "old-linux"
    /// As in Windows since Vista: the bytes that arrived first.
    case windows
    case vista
    case solaris

    /// Whether a waiting segment yields to a new one: `start` is how far the new one begins after it (negative: before it), and
    /// `end` how far it ends after it.
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
