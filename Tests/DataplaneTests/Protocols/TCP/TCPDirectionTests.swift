// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

/// The rules by which a receiver takes segments, without packets or elements.
@Suite struct TCPDirectionTests {
    private var client = TCPDirection()
    private var server = TCPDirection()

    /// A connection that was opened by SYN and SYN-ACK: the client's next number is 101, the server's 501.
    init() {
        client.open(TCPSegment(flags: .syn, sequence: 100), other: &server)
        server.open(TCPSegment(flags: [.syn, .ack], sequence: 500, acknowledgment: 101), other: &client)
    }

    private func data(_ sequence: UInt32, _ size: UInt32 = 10, _ flags: TCPFlags = .ack) -> TCPSegment {
        TCPSegment(flags: flags, sequence: sequence, acknowledgment: 501, size: size)
    }

    private func stamped(_ segment: TCPSegment, _ timestamp: UInt32) -> TCPSegment {
        var segment = segment
        segment.timestamp = timestamp
        return segment
    }

    // MARK: Opening

    @Test func aSYNTakesOneNumber() {
        #expect(client.next == 101 && server.next == 501)
        #expect(client.marks.isSuperset(of: [.synced, .synSeen, .seen]))
        #expect(client.acknowledged == 101)
    }

    @Test func aSYNACKTellsWhereTheOtherSideBegan() {
        var (client, server) = (TCPDirection(), TCPDirection())
        server.open(TCPSegment(flags: [.syn, .ack], sequence: 500, acknowledgment: 101), other: &client)
        #expect(client.next == 101 && client.marks.contains(.synced) && !client.marks.contains(.synSeen))
    }

    @Test func aKeepAliveProbeIsNoBeginning() {
        var (client, server) = (TCPDirection(), TCPDirection())
        client.open(data(99, 0), other: &server)
        #expect(client.marks.contains(.tentative) && !client.isAwaited)
        client.open(data(100), other: &server)
        #expect(client.next == 100 && !client.marks.contains(.tentative))
    }

    @Test func onlyASYNThatOpensIsNoRepetition() {
        let syn = TCPSegment(flags: .syn, sequence: 100)
        #expect(!TCPDirection().isRepeatedSYN(syn))
        #expect(client.isRepeatedSYN(syn) && client.isRepeatedSYN(TCPSegment(flags: .syn, sequence: 9)))
        #expect(!client.isRepeatedSYN(data(101)))
    }

    @Test(arguments: [(7, 3, 7, 3), (7, nil, 0, 0), (nil, nil, 0, 0)] as [(UInt8?, UInt8?, UInt8, UInt8)])
    func windowsAreScaledWhenBothSidesSaySo(ours: UInt8?, theirs: UInt8?, shift: UInt8, otherShift: UInt8) {
        var (client, server) = (TCPDirection(), TCPDirection())
        var syn = TCPSegment(flags: .syn, sequence: 100)
        syn.windowScale = ours
        var synAck = TCPSegment(flags: [.syn, .ack], sequence: 500, acknowledgment: 101)
        synAck.windowScale = theirs
        synAck.window = 1000
        client.open(syn, other: &server)
        server.open(synAck, other: &client)
        #expect(client.windowShift == shift && server.windowShift == otherShift)
        // The window of a SYN itself is never scaled.
        #expect(client.window == 1000)
        var ack = TCPSegment(flags: .ack, sequence: 501, acknowledgment: 101)
        ack.window = 1001
        server.open(ack, other: &client)
        #expect(client.window == 1001 << UInt32(otherShift))
    }

    // MARK: Refusals

    @Test mutating func whatNoReceiverLooksAt() {
        var segment = data(101)
        segment.isHeaderRight = false
        #expect(client.inspect(segment, other: server, at: 0, isCausal: true) == .badHeaderLength)
        #expect(client.inspect(data(101, 10, []), other: server, at: 0, isCausal: true) == .noAck)
        #expect(client.inspect(data(101, 0, .fin), other: server, at: 0, isCausal: true) == .noAck)
        #expect(client.inspect(data(101, 0, []), other: server, at: 0, isCausal: true) == nil)
        #expect(client.inspect(data(101, 10, .rst), other: server, at: 0, isCausal: true) == nil)
    }

    @Test func timestampsDoNotRunBackwards() {
        var (client, server) = (TCPDirection(), TCPDirection())
        client.open(stamped(TCPSegment(flags: .syn, sequence: 100), 10), other: &server)
        #expect(client.inspect(stamped(data(101), 10), other: server, at: 0, isCausal: true) == nil)
        #expect(client.marks.contains(.timestamps) && client.timestamp == 10)
        #expect(client.inspect(stamped(data(101), 9), other: server, at: 0, isCausal: true) == .oldTimestamp)
        // RSTs are not asked for theirs, and it may wrap.
        #expect(client.inspect(stamped(data(101, 0, .rst), 9), other: server, at: 0, isCausal: true) == nil)
        client.timestamp = .max
        #expect(
            client.inspect(stamped(data(101), 0), other: server, at: 0, isCausal: true) == nil && client.timestamp == 0
        )
    }

    @Test func aSegmentBehindAHoleDoesNotSetTheTimestamp() {
        var (client, server) = (TCPDirection(), TCPDirection())
        client.open(stamped(TCPSegment(flags: .syn, sequence: 100), 10), other: &server)
        #expect(client.inspect(stamped(data(101), 10), other: server, at: 0, isCausal: true) == nil)
        #expect(client.inspect(stamped(data(111), 99), other: server, at: 0, isCausal: true) == nil)
        #expect(client.timestamp == 10)
        // Nor one that acknowledges what has not left, where such segments wait.
        server.next = 501
        server.marks = [.synced, .seen]
        var ahead = stamped(data(101), 99)
        ahead.acknowledgment = 502
        #expect(client.inspect(ahead, other: server, at: 0, isCausal: true) == nil && client.timestamp == 10)
        #expect(client.inspect(ahead, other: server, at: 0, isCausal: false) == nil && client.timestamp == 99)
    }

    @Test mutating func aSYNWithoutTimestampEndsThem() {
        #expect(client.marks.contains(.untimed) && server.marks.contains(.untimed))
        #expect(client.inspect(stamped(data(101), 10), other: server, at: 0, isCausal: true) == nil)
        #expect(!client.marks.contains(.timestamps))
    }

    @Test mutating func aRSTIsPlausibleAtTheNumbersOfTheOtherSide() {
        func reset(_ sequence: UInt32, _ flags: TCPFlags = [.rst, .ack], ack: UInt32) -> TCPSegment {
            TCPSegment(flags: flags, sequence: sequence, acknowledgment: ack)
        }
        #expect(client.isPlausible(reset: reset(7, ack: 501), other: server))
        #expect(!client.isPlausible(reset: reset(7, ack: 500), other: server))
        #expect(!client.isPlausible(reset: reset(7, .rst, ack: 501), other: server))
        #expect(client.isPlausible(reset: reset(101, .rst, ack: 0), other: server))
    }

    // MARK: Places

    @Test func placesOfData() {
        #expect(client.place(of: data(101)) == .next(.none))
        #expect(client.place(of: data(95)) == .next(.none), "a part of it is new")
        #expect(client.place(of: data(91)) == .nothingNew)
        #expect(client.place(of: data(101, 0)) == .nothingNew)
        #expect(client.place(of: data(102)) == .early(.none))
        #expect(client.place(of: data(101, 0, [.fin, .ack])) == .next(.fin))
        #expect(client.place(of: data(102, 0, [.fin, .ack])) == .early(.fin))
        #expect(client.place(of: data(100, 0, [.fin, .ack])) == .nothingNew)
    }

    @Test mutating func placesAcrossTheEndOfNumbers() {
        client.next = .max - 4
        client.acknowledged = client.next
        #expect(client.place(of: data(.max - 4)) == .next(.none))
        #expect(client.place(of: data(3)) == .early(.none))
        #expect(client.place(of: data(.max - 14)) == .nothingNew)
    }

    @Test mutating func nothingComesBehindTheEnd() {
        client.marks.insert(.ended)
        #expect(client.place(of: data(101)) == .refused(.afterEnd))
        #expect(client.place(of: data(91)) == .nothingNew)
        #expect(client.place(of: data(101, 0, .rst)) == .ignoredReset)
    }

    @Test mutating func aRSTCountsAtTheNextNumberAlone() {
        #expect(client.place(of: data(101, 0, .rst)) == .next(.rst))
        #expect(client.place(of: data(102, 0, .rst)) == .ignoredReset)
        #expect(client.place(of: data(100, 0, .rst)) == .ignoredReset)
        client.waiting.first = 0
        client.waiting.farthest = 131
        #expect(client.place(of: data(131, 0, .rst)) == .early(.rst), "it is the next behind what waits")
    }

    @Test mutating func theWindowEndsSomewhere() {
        let least = TCPDirection.leastWindow
        #expect(client.place(of: data(101 + least - 10)) == .early(.none))
        #expect(client.place(of: data(101 + least - 9)) == .refused(.outOfWindow))
        // Twice the largest window that was offered.
        client.window = least
        #expect(client.place(of: data(101 + 2 * least - 10)) == .early(.none))
        #expect(client.place(of: data(101 + 2 * least - 9)) == .refused(.outOfWindow))
        // What was acknowledged, or waits, shows how far the receiver is.
        client.acknowledged = 201
        #expect(client.place(of: data(201 + 2 * least - 10)) == .early(.none))
        client.waiting.first = 0
        client.waiting.farthest = 301
        #expect(client.place(of: data(301 + 2 * least - 10)) == .early(.none))
        #expect(client.place(of: data(301 + 2 * least - 9)) == .refused(.outOfWindow))
    }

    // MARK: Cause and effect

    @Test func whatMayHaveBeenSent() {
        // With its SYN it is known where a direction began, so anything may have been.
        #expect(client.mayHaveSent(101 + TCPDirection.leastWindow + 1))
        var late = TCPDirection()
        var other = TCPDirection()
        late.open(data(101), other: &other)
        #expect(late.mayHaveSent(101 + TCPDirection.leastWindow))
        #expect(!late.mayHaveSent(101 + TCPDirection.leastWindow + 1))
    }

    @Test(arguments: [.ended, .dropped, .tentative] as [TCPDirection.Marks])
    mutating func whatCannotComeIsNotAwaited(mark: TCPDirection.Marks) {
        #expect(client.isAwaited)
        client.marks.insert(mark)
        #expect(!client.isAwaited)
    }
}
