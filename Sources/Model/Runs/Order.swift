// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// What the model reads from a packet before any element does.
///
/// `key` is the same for both directions of a flow, as FlowTable defines flows; packets with one key are kept in order. Packets
/// without a flow share the key 0. `headers` are the bytes up to and including the transport header: those that cross if only
/// headers are read. Elements find the headers located here.
func order(_ item: Packet, _ hashKey: HashKey) -> (key: UInt32, headers: UInt16) {
    guard Headers.locate(item) == .ip, FlowKey.isComplete(item) else {
        return (0, UInt16(clamping: min(item.length, mostUnknownHeaders)))
    }
    let headers = min(UInt32(item.payload), item.length)
    return (FlowKey.of(item).key.spread(hashKey), UInt16(clamping: headers))
}

/// Gives arriving packets the keys by which they are kept in order.
///
/// That is the key of their flow, until two hosts send each other fragments: as most of those do not show their ports they may
/// belong to any flow of the two, so from the first one on all packets of the two have one key.
struct ArrivalKeys {
    private let hashKey = FlowKey.spreadKey
    private var fragmenting: Set<FlowKey> = []
    /// The most pairs of hosts that are remembered; the fragments of others are kept in order among themselves.
    private static let mostPairs = 1 << 16

    /// The key and the header bytes of the next packet; `isFirst` if it is its hosts' first fragment: packets before it that may belong
    /// to its flow have other keys.
    mutating func take(_ item: Packet) -> (key: UInt32, headers: UInt16, isFirst: Bool) {
        let (key, headers) = order(item, hashKey)
        if key == 0 || !item.isFragment && fragmenting.isEmpty { return (key, headers, false) }
        let hosts = FlowKey.of(item).key.hosts
        var isFirst = false
        if !fragmenting.contains(hosts) {
            guard item.isFragment, fragmenting.count < ArrivalKeys.mostPairs else { return (key, headers, false) }
            fragmenting.insert(hosts)
            isFirst = true
        }
        return (hosts.spread(hashKey), headers, isFirst)
    }
}

/// Header bytes assumed if the headers are unknown: those of Ethernet, IPv4 and TCP.
private let mostUnknownHeaders: UInt32 = 54
