// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import TestSupport
import Testing

/// What an engineer with a calculator would check: no rate is more than wire, bus and cores can carry.
@Suite struct ModelLawTests {
    /// A capture of frames of one size: TCP over IPv4, in both directions of some flows, a microsecond apart.
    private static func capture(_ size: Int, in scratch: Scratch) throws -> String {
        var bytes: [UInt8] = []
        func put32(_ n: Int) { for k in 0..<4 { bytes.append(UInt8(n >> (8 * k) & 255)) } }
        put32(0xa1b2_c3d4)
        bytes += [2, 0, 4, 0]
        for n in [0, 0, 262_144, 1] { put32(n) }
        for k in 0..<400 {
            for n in [1_700_000_000, k, size, size] { put32(n) }
            var frame = [UInt8](repeating: 0, count: size)
            let (flow, isReverse) = (k % 40, k / 40 % 2 == 1)
            let ends: [[UInt8]] = [[10, 0, 0, UInt8(flow)], [10, 1, 0, 1]]
            let ports: [[UInt8]] = [[0x10, UInt8(flow)], [0, 80]]
            frame.replaceSubrange(12..<14, with: [8, 0])
            frame[14] = 0x45
            frame.replaceSubrange(16..<18, with: [UInt8((size - 14) >> 8), UInt8((size - 14) & 255)])
            frame[22] = 64
            frame[23] = 6
            frame.replaceSubrange(26..<30, with: ends[isReverse ? 1 : 0])
            frame.replaceSubrange(30..<34, with: ends[isReverse ? 0 : 1])
            frame.replaceSubrange(34..<36, with: ports[isReverse ? 1 : 0])
            frame.replaceSubrange(36..<38, with: ports[isReverse ? 0 : 1])
            frame[41] = UInt8(k / 80)
            frame[46] = 0x50
            frame[47] = 0x10
            var sum = 0
            for at in stride(from: 14, to: 34, by: 2) { sum += Int(frame[at]) << 8 | Int(frame[at + 1]) }
            while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
            frame.replaceSubrange(24..<26, with: [UInt8(~sum >> 8 & 255), UInt8(~sum & 255)])
            bytes += frame
        }
        return try scratch.file("\(size).pcap", bytes)
    }

    static let profiles = Profiles.shipped.compactMap { Profiles.load($0, Session.loader).profile }

    private enum Session {
        static let loader = GraphLoader(catalog: .standard, services: SystemServices(), readFile: Profiles.read)
    }

    @Test func fourProfilesAreShipped() { #expect(Self.profiles.map(\.name).sorted() == Profiles.shipped.sorted()) }

    @Test(arguments: shippedGraphs) func nothingIsExceeded(_ name: String) throws {
        let spec = try shippedGraph(name)
        var captures: [(path: String, size: Int?)] = [(shippedCapture("web.pcap"), nil)]
        let scratch = Scratch()
        defer { scratch.remove() }
        for size in [64, 289, 576, 1514] { captures.append((try Self.capture(size, in: scratch), size)) }
        var options = Comparison.Options()
        options.packets = 800
        for (path, size) in captures {
            let recording = try Recording(Bound(spec, capture: path, packets: 800).instance)
            for profile in Self.profiles {
                let comparison = try Comparison(recording, spec.placements, profile, options)
                for result in comparison.results {
                    let rate = Double(result.sustainableRate)
                    let what = "\(name) \(profile.name) \(result.name) \(size.map { "\($0)" } ?? "web.pcap")"
                    let wires = Double(spec.nodes.count { $0.isWire })
                    let frame = size.map { Double(max($0, 60) + 24) } ?? comparison.recorded.wireBytesPerPacket
                    #expect(rate * frame * 8 <= wires * Double(profile.mac.lineRate) * (1 + 1e-9), "\(what)")
                    #expect(abs(result.wireRate - rate * frame * 8) <= 1e-6 * result.wireRate, "\(what)")
                    #expect(rate <= Double(profile.mac.packetRate), "\(what)")
                    // Data and descriptors, without any header of the link, fit through it.
                    let link = Double(profile.channel.link.tlpBitsPerSecond)
                    #expect(rate * result.toHost.bytes * 8 <= link, "\(what)")
                    #expect(rate * result.toNIC.bytes * 8 <= link, "\(what)")
                    let issue = Double(profile.channel.toHost.issueInterval) / 1e12
                    #expect(rate * result.toHost.transfers * issue <= 1 + 1e-9, "\(what)")
                    let host = Double(profile.host.cores) * Double(profile.host.clock)
                    #expect(rate * result.hostCyclesPerPacket <= host * (1 + 1e-9), "\(what)")
                    let nic = Double(profile.nic.cores) * Double(profile.nic.clock)
                    #expect(rate * result.nicCyclesPerPacket <= nic * (1 + 1e-9), "\(what)")
                    #expect(rate <= result.bound, "\(what)")
                    #expect(result.utilisation.allSatisfy { $0.share <= 1 }, "\(what)")
                    // Where packets go round by the channel more do the longer they wait, so what is just not full may be too much at once.
                    if result.slowPath == nil {
                        #expect(result.firstDrop != nil || result.utilisation[0].share > 0.997, "\(what)")
                    }
                    // Where nothing but wires is on the NIC whole packets cross.
                    if zip(spec.nodes, result.sides).allSatisfy({ $0.isWire || $1 == .host }) {
                        #expect(result.toHost.bytes >= comparison.recorded.bytesPerPacket + 16 - 1e-6, "\(what)")
                        let cycles = profile.nic.cores == 0 ? 0 : Double(profile.plain.perItem) / 1_000
                        #expect(result.nicCyclesPerPacket >= cycles - 1e-6, "\(what)")
                        #expect(result.nicCyclesPerPacket <= 4 * cycles + 1e-6, "\(what)")
                    }
                }
                #expect(comparison.sensitivity.wins.reduce(0) { $0 + $1.count } == comparison.sensitivity.draws)
            }
        }
    }

    /// A planner and a comparison say the same of a placement, as do replays of other lengths.
    @Test func plansAndComparisonsAgree() throws {
        let spec = try shippedGraph("flow-monitor")
        let profile = try #require(Self.profiles.first { $0.name == "bluefield-2" })
        func instance() throws -> Instance { try Bound(spec, capture: shippedCapture("web.pcap")).instance }
        var options = Comparison.Options()
        options.packets = 20_000
        let recording = try Recording(instance())
        let comparison = try Comparison(recording, spec.placements, profile, options)
        let plan = try Plan.make(spec, for: .rate, profile: profile, options: options, makeInstance: instance)
        #expect(plan.recorded.packets == comparison.recorded.packets)
        var both = 0
        for planned in plan.ranked {
            guard let compared = comparison.results.first(where: { $0.sides == planned.sides }) else { continue }
            both += 1
            let ratio = Double(planned.sustainableRate) / Double(compared.sustainableRate)
            #expect(abs(ratio - 1) < 0.001 && planned.latency == compared.latency && planned.load == compared.load)
        }
        #expect(both >= 2)
        options.packets = 80_000
        let longer = try Comparison(recording, spec.placements, profile, options)
        for (a, b) in zip(comparison.results, longer.results) {
            #expect(abs(Double(a.sustainableRate) / Double(b.sustainableRate) - 1) < 0.005, "\(a.name)")
        }
    }

    /// Tables, buffers and automata count against memory; the element that does not fit is named.
    @Test func memoryCounts() throws {
        let spec = try shippedGraph("http-log")
        var profile = try #require(Self.profiles.first { $0.name == "agilio-cx" })
        let recording = try Recording(Bound(spec, capture: shippedCapture("web.pcap"), packets: 200).instance)
        var options = Comparison.Options()
        options.packets = 400
        func infeasible(_ memory: Int) throws -> [String] {
            profile.nic.memory = memory
            return try Comparison(recording, spec.placements, profile, options).infeasible
                .map { "\($0.name): \($0.reason.split(separator: " ")[1])" }
        }
        #expect(try infeasible(1 << 31).isEmpty)
        // Some 10 MiB are for parked packets, 16 for fragments, 6 for the table of flows; streams and HTTP have buffers of 64 each.
        #expect(try infeasible(150 << 20) == ["records-on-nic: 'http'", "packed-on-nic: 'http'"])
        let order = ["order-on-nic: 'order'", "records-on-nic: 'order'", "packed-on-nic: 'order'"]
        #expect(try infeasible(64 << 20) == order)
    }
}
