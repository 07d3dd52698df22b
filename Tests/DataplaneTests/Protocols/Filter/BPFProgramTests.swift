// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CPcap
import SpillwayTesting
import Testing

@testable import Dataplane

/// The semantics of BPF, on programs made by hand and at random.
@Suite struct BPFProgramTests {
    /// Codes of instructions, as `<pcap/bpf.h>` puts them together.
    enum Code {
        static let loadWord: UInt16 = 0x20
        static let loadHalf: UInt16 = 0x28
        static let loadByte: UInt16 = 0x30
        static let loadByteIndexed: UInt16 = 0x50
        static let loadHeaderLength: UInt16 = 0xb1
        static let constant: UInt16 = 0x00
        static let constantX: UInt16 = 0x01
        static let memory: UInt16 = 0x60
        static let memoryX: UInt16 = 0x61
        static let length: UInt16 = 0x80
        static let store: UInt16 = 0x02
        static let storeX: UInt16 = 0x03
        static let copyToX: UInt16 = 0x07
        static let jump: UInt16 = 0x05
        static let equal: UInt16 = 0x15
        static let end: UInt16 = 0x06
        static let endA: UInt16 = 0x16
        /// Add, subtract, multiply, divide, or, and, shift left, shift right, negate, modulo, exclusive or.
        static let arithmetic: [UInt16] = [0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0x84, 0x94, 0xa4]
    }

    static func instruction(_ code: UInt16, _ k: UInt32 = 0, _ jt: UInt8 = 0, _ jf: UInt8 = 0) -> BPFInstruction {
        BPFInstruction(code: code, jt: jt, jf: jf, k: k)
    }

    /// What the interpreter makes of a packet.
    static func value(_ program: [BPFInstruction], _ packet: [UInt8], wire: UInt32 = 100) throws -> UInt32 {
        let steps = try #require(BPFProgram(program)).steps
        return packet.withUnsafeBytes { bytes in
            steps.withUnsafeBufferPointer {
                let start = bytes.baseAddress ?? UnsafeRawPointer($0.baseAddress!)
                return BPFProgram.run($0.baseAddress!, start, captured: UInt32(packet.count), wire: wire).value
            }
        }
    }

    /// The value of A after one operation of two numbers, both from registers.
    static func calculate(_ code: UInt16, _ a: UInt32, _ x: UInt32) throws -> UInt32 {
        try value(
            [
                instruction(Code.constantX, x), instruction(Code.constant, a),
                instruction(code == 0x84 ? code : code | 8),
                instruction(Code.endA),
            ],
            []
        )
    }

    @Test func arithmeticWrapsAndIsUnsigned() throws {
        let operations = Code.arithmetic
        #expect(try BPFProgramTests.calculate(operations[0], .max, 2) == 1)
        #expect(try BPFProgramTests.calculate(operations[1], 1, 2) == .max)
        #expect(try BPFProgramTests.calculate(operations[2], 0x8000_0001, 2) == 2)
        #expect(try BPFProgramTests.calculate(operations[3], .max, 2) == 0x7fff_ffff)
        #expect(try BPFProgramTests.calculate(operations[4], 0x0f, 0xf0) == 0xff)
        #expect(try BPFProgramTests.calculate(operations[5], 0x3c, 0xf0) == 0x30)
        #expect(try BPFProgramTests.calculate(operations[6], 0x8000_0001, 1) == 2)
        #expect(try BPFProgramTests.calculate(operations[6], 1, 32) == 0)
        #expect(try BPFProgramTests.calculate(operations[7], 0x8000_0000, 31) == 1)
        #expect(try BPFProgramTests.calculate(operations[7], .max, 40) == 0)
        #expect(try BPFProgramTests.calculate(operations[8], 1, 0) == .max)
        #expect(try BPFProgramTests.calculate(operations[9], 17, 5) == 2)
        #expect(try BPFProgramTests.calculate(operations[10], 0xff, 0x0f) == 0xf0)
    }

    @Test func divisionByZeroRejects() throws {
        // Both end with A = 1, but never get there.
        for code in [Code.arithmetic[3], Code.arithmetic[9]] {
            let program = [
                BPFProgramTests.instruction(Code.constant, 1), BPFProgramTests.instruction(code | 8),
                BPFProgramTests.instruction(Code.end, 1),
            ]
            #expect(try BPFProgramTests.value(program, []) == 0)
            #expect(
                DecisionProgram([program]).classify(UnsafeRawBufferPointer(start: nil, count: 0), wireLength: 0).rule
                    == 1
            )
        }
    }

    @Test func memoryKeepsItsWords() throws {
        let program = [
            BPFProgramTests.instruction(Code.constant, 7), BPFProgramTests.instruction(Code.store, 15),
            BPFProgramTests.instruction(Code.constantX, 9), BPFProgramTests.instruction(Code.storeX, 0),
            BPFProgramTests.instruction(Code.memory, 0), BPFProgramTests.instruction(Code.memoryX, 15),
            BPFProgramTests.instruction(Code.arithmetic[2] | 8), BPFProgramTests.instruction(Code.endA),
        ]
        #expect(try BPFProgramTests.value(program, []) == 63)
    }

    @Test func loadsEndWithTheCapturedBytes() throws {
        let bytes: [UInt8] = [1, 2, 3, 4, 5]
        func load(_ code: UInt16, _ k: UInt32, x: UInt32 = 0) throws -> UInt32 {
            let program = [
                BPFProgramTests.instruction(Code.constantX, x), BPFProgramTests.instruction(code, k),
                BPFProgramTests.instruction(Code.endA),
            ]
            return try BPFProgramTests.value(program, bytes)
        }
        #expect(try load(Code.loadWord, 1) == 0x0203_0405)
        #expect(try load(Code.loadWord, 2) == 0)
        #expect(try load(Code.loadHalf, 3) == 0x0405)
        #expect(try load(Code.loadHalf, 4) == 0)
        #expect(try load(Code.loadByte, 4) == 5)
        #expect(try load(Code.loadByte, 5) == 0)
        #expect(try load(Code.loadWord, .max) == 0)
        #expect(try load(Code.loadByteIndexed, 1, x: 2) == 4)
        // The sum of X and k does not wrap round into the packet.
        #expect(try load(Code.loadByteIndexed, 2, x: .max) == 0)
        #expect(try load(Code.loadByteIndexed, .max, x: 2) == 0)
        #expect(try load(Code.length, 0) == 100)
        let header = [BPFProgramTests.instruction(Code.loadHeaderLength, 4), BPFProgramTests.instruction(0x87)]
        #expect(try BPFProgramTests.value(header + [BPFProgramTests.instruction(Code.endA)], bytes) == 20)
    }

    @Test func invalidProgramsTakeNothing() {
        let valid = BPFProgramTests.instruction(Code.end, 1)
        let wrong: [[BPFInstruction]] = [
            [], [BPFProgramTests.instruction(Code.constant)], [BPFProgramTests.instruction(0xffff), valid],
            [BPFProgramTests.instruction(Code.equal, 0, 1, 0), valid],
            [BPFProgramTests.instruction(Code.jump, 1), valid],
            [BPFProgramTests.instruction(Code.jump, .max - 1), valid],
            [BPFProgramTests.instruction(Code.store, 16), valid],
            [BPFProgramTests.instruction(Code.memoryX, .max), valid],
            [BPFProgramTests.instruction(Code.arithmetic[3]), valid],
            [BPFProgramTests.instruction(Code.arithmetic[9]), valid],
        ]
        let decision = DecisionProgram(wrong + [[valid]])
        let packet: [UInt8] = [1, 2, 3]
        #expect(packet.withUnsafeBytes { decision.classify($0, wireLength: 3).rule } == wrong.count)
    }

    @Test func endlessLoopsEnd() {
        let loops: [[BPFInstruction]] = [
            [BPFProgramTests.instruction(Code.jump, .max), BPFProgramTests.instruction(Code.end, 1)],
            [
                BPFProgramTests.instruction(Code.loadByte, 0), BPFProgramTests.instruction(Code.equal, 1, 1, 0),
                BPFProgramTests.instruction(Code.jump, UInt32(bitPattern: -3)),
                BPFProgramTests.instruction(Code.end, 1),
            ],
        ]
        let decision = DecisionProgram(loops)
        #expect([0, 0, 0].withUnsafeBytes { decision.classify($0, wireLength: 3).rule } == 2)
        #expect([UInt8(1), 0].withUnsafeBytes { decision.classify($0, wireLength: 2).rule } == 1)
    }

    // MARK: Random programs

    /// A valid program of any instructions, that sets its memory first and looks at few places and values, so that its
    /// branches go both ways.
    static func randomProgram(_ random: inout TestRandom) -> [BPFInstruction] {
        var program = (0..<4).flatMap { word in
            [instruction(Code.constant, word), instruction(Code.store, word)]
        }
        let count = Int.random(in: 4...24, using: &random)
        let values: [UInt32] = [0, 1, 2, 3, 4, 5, 0x45, 0x800, 0x0800_4500, 0xffff_ffff, 0x8000_0000, 20]
        for at in 0..<count {
            let k = values.randomElement(using: &random)!
            let place = UInt32.random(in: 0...24, using: &random)
            let left = UInt8(count - at)
            switch Int.random(in: 0..<16, using: &random) {
            case 0...3: program.append(instruction([0x20, 0x28, 0x30].randomElement(using: &random)!, place))
            case 4: program.append(instruction([0x40, 0x48, 0x50].randomElement(using: &random)!, place / 4))
            case 5: program.append(instruction(Code.loadHeaderLength, place / 4))
            case 6: program.append(instruction([0x00, 0x01, 0x80, 0x81].randomElement(using: &random)!, k))
            case 7: program.append(instruction([0x60, 0x61, 0x02, 0x03].randomElement(using: &random)!, place % 4))
            case 8: program.append(instruction([0x07, 0x87].randomElement(using: &random)!))
            case 9...11:
                let code = Code.arithmetic.randomElement(using: &random)!
                let isShift = code == 0x64 || code == 0x74
                let source: UInt16 = Bool.random(using: &random) || code == 0x84 ? 0 : 8
                // libpcap leaves shifts by 32 and more to the processor.
                if isShift && source == 8 { program.append(instruction(Code.constantX, place)) }
                program.append(instruction(code | source, isShift ? k & 31 : max(1, k)))
            default:
                let code = [UInt16(0x15), 0x25, 0x35, 0x45].randomElement(using: &random)!
                let source: UInt16 = Int.random(in: 0..<4, using: &random) == 0 ? 8 : 0
                // Ends are three instructions at the end, so every target exists.
                let jt = UInt8.random(in: 0...min(3, left), using: &random)
                let jf = UInt8.random(in: 0...min(3, left), using: &random)
                program.append(instruction(code | source, k, jt, jf))
            }
        }
        return program + [instruction(Code.end, 0), instruction(Code.endA), instruction(Code.end, 1)]
    }

    /// A packet of few different bytes, often the beginning of an IPv4 packet.
    static func randomPacket(_ random: inout TestRandom) -> [UInt8] {
        let bytes: [UInt8] = [0, 1, 2, 4, 5, 8, 0x45, 0x46, 0xff]
        var packet = (0..<Int.random(in: 0...48, using: &random)).map { _ in bytes.randomElement(using: &random)! }
        let usual: [UInt8] = [8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        let start = Int.random(in: 0...8, using: &random)
        if Bool.random(using: &random), packet.count > start + usual.count {
            packet.replaceSubrange(start..<start + usual.count, with: usual)
        }
        return packet
    }

    /// What libpcap's interpreter says.
    static func theirs(_ program: [BPFInstruction], _ packet: [UInt8], wire: UInt32) -> UInt32 {
        let code = program.map { bpf_insn(code: $0.code, jt: $0.jt, jf: $0.jf, k: $0.k) }
        // Room behind the packet, so that an empty one has an address.
        return (packet + [0]).withUnsafeBufferPointer { bpf_filter(code, $0.baseAddress, wire, UInt32(packet.count)) }
    }

    @Test func randomProgramsAgreeWithLibpcap() throws {
        var random = TestRandom(3)
        var answers: [Int: Int] = [:]
        for round in 0..<1_500 {
            let programs = (0..<Int.random(in: 1...4, using: &random)).map { _ in BPFProgramTests.randomProgram(&random)
            }
            let decision = DecisionProgram(programs)
            for _ in 0..<12 {
                let packet = BPFProgramTests.randomPacket(&random)
                let wire = UInt32(packet.count) + UInt32.random(in: 0...2, using: &random)
                let values = programs.map { BPFProgramTests.theirs($0, packet, wire: wire) }
                for (program, value) in zip(programs, values) {
                    #expect(try BPFProgramTests.value(program, packet, wire: wire) == value, "\(program) \(packet)")
                }
                let expected = values.firstIndex { $0 != 0 } ?? programs.count
                let rule = packet.withUnsafeBytes { decision.classify($0, wireLength: wire).rule }
                #expect(rule == expected, "round \(round): \(programs) \(packet) \(wire)\n\(decision)")
                answers[expected, default: 0] += 1
            }
        }
        // All answers occurred, and none nearly always.
        #expect(answers.count == 5 && answers.values.max()! < 14_000, "\(answers)")
    }
}
