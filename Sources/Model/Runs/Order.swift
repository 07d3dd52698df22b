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

/// Header bytes assumed if the headers are unknown: those of Ethernet, IPv4 and TCP.
private let mostUnknownHeaders: UInt32 = 54
