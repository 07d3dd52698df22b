// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Foundation
import TestSupport
import Testing

@testable import Model

@Suite struct ProfileReaderTests {
    static func text(_ name: String) throws -> String {
        try String(contentsOf: root.appending(path: "graphs/profiles/\(name).yaml"), encoding: .utf8)
    }

    static func errors(_ text: String) -> [ParameterError] { DeviceProfile.read(YAMLSubset.read(text)).errors }

    /// The example profile with some text replaced, which must occur.
    static func changed(_ old: String, _ new: String) throws -> String {
        let text = try text("example-nic")
        let range = try #require(text.range(of: old))
        return text.replacingCharacters(in: range, with: new)
    }

    @Test(arguments: ["example-nic", "agilio-cx", "xl710", "bluefield-2"]) func shippedProfilesAreRight(
        _ name: String
    ) throws {
        let (profile, errors) = DeviceProfile.read(YAMLSubset.read(try Self.text(name)))
        #expect(errors.map(\.message) == [])
        let read = try #require(profile)
        #expect(read.name == name)
        #expect(read.notModelled.count >= 2)
        #expect(read.figures.allSatisfy { !$0.source.isEmpty })
    }

    @Test func theExampleIsAllAssumptions() throws {
        let profile = try #require(DeviceProfile.read(YAMLSubset.read(try Self.text("example-nic"))).profile)
        #expect(profile.assumptions.count == profile.figures.count)
        #expect(profile.nic.costs[Dataplane.Operation.lookup.rawValue] == OperationCost(cycles: 100_000, wait: 300_000))
        #expect(profile.host.costs[Dataplane.Operation.payloadBytes.rawValue].cycles == 250)
        #expect(profile.nic.costs[Dataplane.Operation.checksumBytes.rawValue].cycles == 0)
        #expect(profile.nic.clock == 1_000_000_000)
        #expect(profile.mac.packetRate == 60_000_000)
        #expect(profile.channel.toNIC.latency == 600_000)
        #expect(profile.channel.toNIC.latencyPerByte == 300_000)
        #expect(profile.channel.toNIC.inFlight == 64)
        #expect(profile.channel.toHost.inFlight == nil)
        #expect(profile.channel.link == PCIeLink(generation: 3, lanes: 8))
        #expect(profile.channel.interrupt == nil)
        #expect(profile.mac.lineRate == 25_000_000_000 && profile.mac.ports == 2)
    }

    @Test func theAgilioHasThePublishedNumbers() throws {
        let profile = try #require(DeviceProfile.read(YAMLSubset.read(try Self.text("agilio-cx"))).profile)
        #expect((profile.nic.cores, profile.nic.threads, profile.nic.clock) == (50, 8, 800_000_000))
        #expect(profile.nic.perItem == 417_000)
        #expect(profile.mac.packetRate == 54_400_000)
        #expect(profile.channel.toNIC.latencyPerByte == 293_300)
        let paths = profile.assumptions.map(\.path)
        #expect(paths.contains("nic.cycles.parse"))
        #expect(!paths.contains("nic.per_item"))
    }

    @Test func aNumberNeedsASource() throws {
        let errors = Self.errors(try Self.changed("cores: {value: 8, source: assumption}", "cores: {value: 8}"))
        #expect(errors.map(\.message) == ["'nic.cores' has no source"])
        let plain = Self.errors(try Self.changed("cores: {value: 8, source: assumption}", "cores: 8"))
        #expect(plain.map(\.message) == ["'nic.cores' has no source"])
        #expect(plain[0].suggestion == "{value: 8, source: assumption}")
        let empty = Self.errors(
            try Self.changed("cores: {value: 8, source: assumption}", "cores: {value: 8, source: \"\"}")
        )
        #expect(empty.map(\.message) == ["the source of 'nic.cores' is empty"])
    }

    @Test func unknownKeysAreErrorsWithSuggestions() throws {
        let errors = Self.errors(try Self.changed("  threads: {value: 4", "  treads: {value: 4"))
        #expect(errors.map(\.message).contains("the profile needs 'nic.threads'"))
        #expect(errors.contains { $0.message.hasPrefix("'nic' has no 'treads'") && $0.suggestion == "threads" })
        let operation = Self.errors(try Self.changed("    look_up: {value: 100", "    lookup: {value: 100"))
        #expect(operation.contains { $0.suggestion == "look_up" })
        let part = Self.errors(try Self.changed("{value: 4, source: assumption}", "{value: 4, sauce: assumption}"))
        #expect(part.contains { $0.suggestion == "source" })
    }

    @Test func unitsAndRangesAreChecked() throws {
        #expect(
            Self.errors(try Self.changed("1.0 GHz", "1.0")).map(\.message) == ["'1.0' needs a unit: Hz, kHz, MHz, GHz"]
        )
        #expect(Self.errors(try Self.changed("1.0 GHz", "1.0 GHZ")).first?.suggestion == "1 GHz")
        #expect(
            Self.errors(try Self.changed("8 GT/s", "7 GT/s")).map(\.message)
                == ["7 GT/s is not one of 2500 MT/s, 5000 MT/s, 8000 MT/s, 16000 MT/s, 32000 MT/s"]
        )
        #expect(
            Self.errors(try Self.changed("lanes: {value: 8", "lanes: {value: 12")).map(\.message)
                == ["12 is not one of 1, 2, 4, 8, 16"]
        )
        #expect(Self.errors(try Self.changed("hash: {value: 80", "hash: {value: 80.0005")).count == 1)
        #expect(Self.errors(try Self.changed("hash: {value: 80", "hash: {value: 99999999999999999999")).count == 1)
        #expect(Self.errors(try Self.changed("hash: {value: 80", "hash: {value: -1")).count == 1)
        #expect(Self.errors("profile: x\nnic: y\n").count > 3)
        #expect(DeviceProfile.read(.scalar("x", 0)).errors.isEmpty == false)
        #expect(DeviceProfile.read(.list([], 0)).profile == nil)
    }

    @Test func interruptsAreRead() throws {
        let text = try Self.changed(
            "  driver: {value: dpdk, source: assumption}\n",
            """
              driver: {value: kernel, source: assumption}
              interrupt:
                after: {value: 32, source: assumption}
                within: {value: 20 us, source: assumption}
                cycles: {value: 2000, source: assumption}

            """
        )
        let (profile, errors) = DeviceProfile.read(YAMLSubset.read(text))
        #expect(errors.map(\.message) == [])
        let interrupt = try #require(profile?.channel.interrupt)
        #expect((interrupt.after, interrupt.within, interrupt.cycles) == (32, 20_000_000, 2_000_000))
        #expect(profile?.channel.driver == .kernel)
    }

    /// Profiles that are to be set beside each other describe one host.
    @Test func shippedHostsAreOne() throws {
        let profiles = try ["agilio-cx", "xl710", "bluefield-2"].map {
            try #require(DeviceProfile.read(YAMLSubset.read(try Self.text($0))).profile)
        }
        #expect(Sensitivity.haveOneHost(profiles))
        #expect(profiles[1].nic.cores == 0 && profiles[1].figures.contains { $0.path == "nic.cores" })
        let example = try #require(DeviceProfile.read(YAMLSubset.read(try Self.text("example-nic"))).profile)
        #expect(!Sensitivity.haveOneHost(profiles + [example]))
    }

    /// Every figure can be written, is explained, and what results depend on can be scaled.
    @Test func figuresAreDeclaredOnce() throws {
        #expect(Set(FigureType.all.map(\.path)).count == FigureType.all.count)
        #expect(FigureType.all.allSatisfy { $0.about.hasSuffix(".") && !$0.example.isEmpty })
        let profile = try #require(DeviceProfile.read(YAMLSubset.read(try Self.text("agilio-cx"))).profile)
        for figure in profile.figures {
            #expect(FigureType.at(FigureType.owner(of: figure.path)) != nil)
            let twice = profile.scaled([figure.path: 2])
            let isSame =
                twice.nic == profile.nic && twice.host == profile.host && twice.mac == profile.mac
                && twice.channel == profile.channel && twice.plain == profile.plain
            if figure.value.hasPrefix("0") { continue }
            #expect(isSame != figure.isNumber, "\(figure.path)")
        }
        let slow = profile.scaled(["nic.cycles.look_up.wait": 0.5, "nic.clock": 0.5, "host.threads": 0.01])
        #expect(slow.nic.costs[Dataplane.Operation.lookup.rawValue].wait == 168_000)
        #expect(slow.nic.clock == 400_000_000 && slow.host.threads == 1)
    }
}
