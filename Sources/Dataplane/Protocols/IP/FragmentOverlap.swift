// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Which bytes count where IPv4 fragments overlap and differ. RFC 791 lets either count, and receivers decide differently
/// (Ptacek and Newsham 1998; the rules by system are those of Shankar and Paxson 2003 and of Novak, "Target-Based
/// Fragmentation Reassembly", 2005).
///
/// A receiver keeps what it has of a packet as pieces that do not overlap. Where a new fragment meets a piece, one of them
/// gives way, and keeps what it has beyond the other; a piece that has lost bytes counts with those it kept.
public enum FragmentOverlap: String, CaseIterable, Sendable {
    /// The bytes that came first.
    case first
    /// The bytes that came last.
    case last
    /// As the BSDs: the new fragment counts where it begins before the piece.
    case bsd
    /// As Linux before 2018: the new fragment counts where it begins before the piece or with it.
    case linux
    /// As Windows: the new fragment counts where it begins before the piece and ends behind it.
    case windows
    /// As Solaris: the new fragment counts where it begins before the piece and ends with it or behind it.
    case solaris
    /// The whole packet is dropped, as Linux does since 2018 and as IPv6 demands (RFC 5722).
    case drop

    /// Whether a piece gives way to a new fragment: `start` says how far the new one begins behind it (less than 0: before
    /// it), and `end` how far it ends behind it.
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
