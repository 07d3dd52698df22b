// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

@testable import Dataplane

extension TCPSegment {
    /// A segment from words: flags, then sequence number, acknowledgment number and bytes as far as they are not 0, `ts=` with
    /// a timestamp, `signed`, `win=`, `short` for a header length below 20. Flags are letters, `-` for none.
    init(words: ArraySlice<Substring>) throws {
        struct Unreadable: Error { var word: Substring }
        var flags: TCPFlags = []
        for letter in words.first ?? "" where letter != "-" {
            let all: [(Character, TCPFlags)] = [
                ("S", .syn), ("A", .ack), ("F", .fin), ("R", .rst), ("P", .psh), ("U", .urg),
            ]
            guard let flag = all.first(where: { $0.0 == letter }) else { throw Unreadable(word: words.first ?? "") }
            flags.formUnion(flag.1)
        }
        var numbers: [UInt32] = []
        var (timestamp, isSigned, isShort, window) = (UInt32?.none, false, false, UInt32(65_535))
        for word in words.dropFirst() {
            if let number = UInt32(word) {
                numbers.append(number)
            } else if word.hasPrefix("ts="), let number = UInt32(word.dropFirst(3)) {
                timestamp = number
            } else if word.hasPrefix("win="), let number = UInt32(word.dropFirst(4)) {
                window = number
            } else if word == "signed" {
                isSigned = true
            } else if word == "short" {
                isShort = true
            } else {
                throw Unreadable(word: word)
            }
        }
        numbers += [0, 0, 0]
        self.init(flags: flags, sequence: numbers[0], acknowledgment: numbers[1], size: numbers[2])
        self.window = window
        self.timestamp = timestamp
        self.isSigned = isSigned
        isHeaderRight = !isShort
    }
}
