// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Which bytes count if IPv4 fragments overlap and differ. RFC 791 permits either, and receivers differ (Ptacek and Newsham
/// 1998; the rules by system are those of Shankar and Paxson 2003 and of Novak, "Target-Based Fragmentation Reassembly", 2005).
///
/// A receiver keeps what it has of a packet as pieces that do not overlap. Where a new fragment meets a piece, one of them
/// yields, and keeps its bytes beyond the other; a piece that has lost bytes competes with those it kept.
public enum FragmentOverlap: String, CaseIterable, Sendable {
    /// The bytes that arrived first.
    case first
    /// The bytes that arrived last.
    case last
    /// As in the BSDs: the new fragment wins if it begins before the piece.
    case bsd
    /// As in Linux before 2018: the new fragment wins if it begins before the piece or with it.
    case linux
    /// As in Windows: the new fragment wins if it begins before the piece and ends after it.
    case windows
    /// As in Solaris: the new fragment wins if it begins before the piece and ends with it or after it.
    case solaris
    /// The whole packet is dropped, as in Linux since 2018 and as IPv6 requires (RFC 5722).
    case drop

    /// Whether a piece yields to a new fragment: `start` is how far the new one begins after it (negative: before it), and
    /// `end` how far it ends after it.
    func yields(start: Int, end: Int) -> Bool {
        switch self {
        case .first, .drop: false
        case .last: true
        case .bsd: start < 0
        case .linux: start <= 0
        case .windows: start < 0 && end > 0
        case .solaris: start < 0 && end >= 0
        }
    }
}
