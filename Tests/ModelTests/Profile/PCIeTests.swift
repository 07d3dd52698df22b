// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Model

/// Against the published model of Neugebauer et al., SIGCOMM 2018 (pcie-bench/pcie-model).
@Suite struct PCIeTests {
    static let link = PCIeLink(generation: 3, lanes: 8)

    static func gbps(_ x: Double) -> Double { (x / 1e9 * 100).rounded() / 100 }

    @Test func linkRates() {
        #expect(Self.gbps(Double(Self.link.rawBitsPerSecond)) == 63.02)
        #expect(Self.gbps(Double(Self.link.tlpBitsPerSecond)) == 57.88)
        #expect(PCIeLink(generation: 1, lanes: 8).rawBitsPerSecond == 16_000_000_000)
    }

    @Test(arguments: [
        (1, 2.32, 2.41, 1.18), (16, 23.15, 25.73, 14.47), (64, 42.10, 44.10, 33.08), (65, 42.28, 44.26, 33.30),
        (256, 52.92, 53.69, 48.75), (257, 48.78, 50.09, 45.22), (513, 50.76, 51.82, 46.91), (1500, 52.81, 53.60, 50.60),
    ]) func transfers(_ size: Int, _ write: Double, _ read: Double, _ both: Double) {
        #expect(Self.gbps(Self.link.goodput(.write, size: size)) == write)
        #expect(Self.gbps(Self.link.goodput(.read, size: size)) == read)
        #expect(Self.gbps(Self.link.goodput(.readAndWrite, size: size)) == both)
    }

    @Test(arguments: [
        (64, 12.58, 17.63, 20.65), (128, 21.11, 27.51, 30.91), (256, 31.17, 37.50, 40.50), (512, 39.31, 43.96, 45.93),
        (1024, 44.33, 47.12, 48.23), (1499, 46.06, 48.08, 48.86),
    ]) func drivers(_ frame: Int, _ simple: Double, _ kernel: Double, _ dpdk: Double) {
        for (driver, golden) in [(DriverModel.simple, simple), (.kernel, kernel), (.dpdk, dpdk)] {
            #expect(Self.gbps(Self.link.goodput(driver, .both, size: frame - 4, compatible: true)) == golden)
        }
    }

    private struct Table: Decodable {
        var columns: [String]
        var rows: [[Double]]
    }
    private struct Golden: Decodable {
        struct Configuration: Decodable {
            var gen: Int
            var lanes: Int
            var raw_gbps: Double
            var tlp_layer_gbps: Double
            var dma: Table
            var nic: Table
        }
        var dma: Table
        var dma_read_rcb_chunks: Table
        var nic: Table
        var other_configurations: [Configuration]
    }

    private static func close(_ x: Double, _ golden: Double) -> Bool { abs(x / 1e9 / golden - 1) < 1e-7 }

    /// How many values of a table differ.
    private static func misses(_ link: PCIeLink, _ table: Table) -> Int {
        var misses = 0
        for row in table.rows {
            let size = Int(row[0])
            for (column, golden) in zip(table.columns, row).dropFirst() {
                let parts = column.split(separator: "_")
                let value: Double
                switch parts[0] {
                case "write": value = link.goodput(.write, size: size)
                case "read" where parts.count == 1: value = link.goodput(.read, size: size)
                case "read": value = link.goodput(.readAndWrite, size: size)
                default:
                    let driver = DriverModel.all.first { $0.name == parts[0] }!
                    let traffic: PCIeLink.Traffic = parts[1] == "tx" ? .transmit : parts[1] == "rx" ? .receive : .both
                    value = link.goodput(driver, traffic, size: size - 4, compatible: !column.hasSuffix("fixed"))
                }
                if !close(value, golden) { misses += 1 }
            }
        }
        return misses
    }

    /// Every value of the published tables, to seven digits: 605 sizes, 365 frames, 8 links.
    @Test(.enabled(if: Shared.isThere)) func allGoldenValues() throws {
        let data = try Shared.data("reference/pcie-model-golden.json")
        let golden = try JSONDecoder().decode(Golden.self, from: data)
        #expect(golden.dma.rows.count == 605 && golden.nic.rows.count == 365)
        #expect(Self.misses(Self.link, golden.dma) == 0)
        #expect(Self.misses(Self.link, golden.nic) == 0)
        var cut = Self.link
        cut.cutsAtBoundary = true
        #expect(Self.misses(cut, golden.dma_read_rcb_chunks) == 0)
        for other in golden.other_configurations {
            let link = PCIeLink(generation: other.gen, lanes: other.lanes)
            #expect(Self.close(Double(link.rawBitsPerSecond), other.raw_gbps))
            #expect(Self.close(Double(link.tlpBitsPerSecond), other.tlp_layer_gbps))
            #expect(Self.misses(link, other.dma) == 0)
            #expect(Self.misses(link, other.nic) == 0)
        }
    }
}
