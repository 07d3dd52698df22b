// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

@Suite struct FlowArrayTests {
    private struct State: BitwiseCopyable {
        var value: UInt64 = 0
        var link = IndexList.Link()
    }

    /// Against a dictionary by index and generation.
    @Test(arguments: [1, 2, 3]) func agreesWithADictionary(_ seed: UInt64) throws {
        let states = try FlowArray<State>(flows: 8)
        var expected: [Int32: (generation: UInt32, value: UInt64)] = [:]
        var generator = SeededGenerator(seed)
        for step in 0..<20_000 {
            let flow = FlowRef(index: Int32(generator.next() % 10) - 1, generation: UInt32(generator.next() % 3))
            let value = expected[flow.index].flatMap { $0.generation == flow.generation ? $0.value : nil }
            #expect(states[flow]?.pointee.value == value, "step \(step)")
            switch generator.next() % 3 {
            case 0:
                let new = generator.next()
                let begun = states.begin(flow, State(value: new))
                let isInside = flow.index >= 0 && flow.index < 8
                #expect((begun != nil) == isInside)
                if isInside { expected[flow.index] = (flow.generation, new) }
                if let begun {
                    #expect(states.index(of: begun) == flow.index)
                    #expect(states.flow(of: begun) == flow)
                    #expect(begun == states.state(at: flow.index))
                }
            case 1:
                let ended = states.end(flow)
                #expect(ended?.pointee.value == value)
                if let ended {
                    // Its last words may be written with it.
                    #expect(states.flow(of: ended) == flow)
                    expected[flow.index] = nil
                }
                #expect(states[flow] == nil)
            default:
                states[flow]?.pointee.value &+= 1
                if let value { expected[flow.index]?.value = value &+ 1 }
            }
        }
    }

    @Test(arguments: [Int32.min, -2, -1, 4, 5, Int32.max]) func noOtherIndexIsAFlow(_ index: Int32) throws {
        let states = try FlowArray<State>(flows: 4)
        for generation: UInt32 in [0, 1, .max] {
            let flow = FlowRef(index: index, generation: generation)
            #expect(states[flow] == nil)
            #expect(states.begin(flow, State()) == nil)
            #expect(states.end(flow) == nil)
            states.prefetch(flow)
        }
    }

    /// Zeroed memory is no state of generation 0, which comes after the last.
    @Test func noStateHasBegunAtFirst() throws {
        let states = try FlowArray<State>(flows: 4)
        for index: Int32 in 0..<4 { #expect(states[FlowRef(index: index, generation: 0)] == nil) }
        let none = try FlowArray<State>(flows: 0)
        #expect(none[FlowRef(index: 0, generation: 0)] == nil)
        #expect(none[.none] == nil)
    }

    @Test func bytesOfAFlow() {
        #expect(FlowArray<UInt8>.bytesPerFlow == 16)
        #expect(FlowArray<UInt64>.bytesPerFlow == 16)
        #expect(FlowArray<(UInt64, UInt8)>.bytesPerFlow == 24)
        #expect(FlowArray<SIMD4<UInt32>>.bytesPerFlow == 32)
        // What every packet writes is one cache line, for each direction where there are two.
        #expect(FlowArray<TCPDirection>.bytesPerFlow == 128)
        #expect(FlowArray<MetadataExtractor.Counts>.bytesPerFlow == 64)
    }

    @Test func statesAreInNobodysWay() throws {
        let states = try FlowArray<(UInt8, UInt32)>(flows: 3)
        for index: Int32 in 0..<3 {
            states.begin(FlowRef(index: index, generation: .max), (UInt8(index), UInt32(index) &* 0x0101_0101))
        }
        for index: Int32 in 0..<3 {
            let state = try #require(states[FlowRef(index: index, generation: .max)])
            #expect(state.pointee == (UInt8(index), UInt32(index) &* 0x0101_0101))
        }
    }

    @Test func flowsMayStandInAList() throws {
        let states = try FlowArray<State>(flows: 5)
        let links = states.links(at: \.link)
        var list = IndexList()
        for index: Int32 in [3, 0, 4] {
            states.begin(FlowRef(index: index, generation: 7), State(value: UInt64(index)))
            list.append(index, links)
        }
        var found: [UInt64] = []
        while !list.isEmpty { found.append(states.state(at: list.removeFirst(links)).pointee.value) }
        #expect(found == [3, 0, 4])
        #expect(states.state(at: 3).pointee.link.isListed == false)
    }
}
