// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Formats records of one layout as lines of text. Everything common to all lines is prepared once, in memory that is read
/// without reference counting.
final class RecordText {
    /// JSON lines, or CSV per RFC 4180.
    enum Format {
        case json, csv
    }
    /// One field: the text before its value, and the value's format.
    private struct Step: BitwiseCopyable {
        var prefix: Piece
        var code: Layout.FieldCode
        var offset: Int32
        var firstWord: Int32
        var wordCount: Int32
    }
    /// Bytes of `pieces`.
    private struct Piece: BitwiseCopyable {
        var start: Int32
        var count: Int32
    }

    let layout: Layout
    /// The beginning of a file of these records.
    let header: [UInt8]
    private let isJSON: Bool
    private let hasISOTimes: Bool
    private let steps: UnsafeMutableBufferPointer<Step>
    private let words: UnsafeMutableBufferPointer<Piece>
    private let pieces: UnsafeMutableBufferPointer<UInt8>
    private let end: Piece
    private let fixedSize: Int

    init(_ layout: Layout, _ format: Format, hasISOTimes: Bool = false) {
        self.layout = layout
        self.hasISOTimes = hasISOTimes
        func name(_ field: Layout.Field) -> String {
            let isTime = field.type == .time || field.type == .timeOrNone
            return hasISOTimes && isTime && field.name.hasSuffix("_ns") ? String(field.name.dropLast(3)) : field.name
        }
        isJSON = format == .json
        var bytes: [UInt8] = []
        var words: [Piece] = []
        func piece(_ text: String) -> Piece {
            defer { bytes += text.utf8 }
            return Piece(start: Int32(bytes.count), count: Int32(text.utf8.count))
        }
        var steps: [Step] = []
        var most = 3
        for (number, field) in layout.fields.enumerated() {
            let prefix =
                switch format {
                case .json: (number == 0 ? "{\"" : ",\"") + name(field) + "\":"
                case .csv: number == 0 ? "" : ","
                }
            let first = words.count
            if case .word(let list) = field.type { words += list.map(piece) }
            steps.append(
                Step(
                    prefix: piece(prefix),
                    code: field.type.code,
                    offset: Int32(field.offset),
                    firstWord: Int32(first),
                    wordCount: Int32(words.count - first)
                )
            )
            most += prefix.utf8.count + 2 + max(field.type.maximumText, TimeText.length)
        }
        end = piece(format == .json ? "}\n" : "\r\n")
        header = format == .json ? [] : Array((layout.fields.map(name).joined(separator: ",") + "\r\n").utf8)
        fixedSize = most
        self.steps = .allocate(capacity: steps.count)
        _ = self.steps.initialize(from: steps)
        self.words = .allocate(capacity: words.count)
        _ = self.words.initialize(from: words)
        pieces = .allocate(capacity: bytes.count)
        _ = pieces.initialize(from: bytes)
    }

    deinit {
        steps.deallocate()
        words.deallocate()
        pieces.deallocate()
    }

    /// The most bytes the line of a record of `length` bytes takes.
    func maximumLine(_ length: Int) -> Int { fixedSize + 6 * (length - layout.size) }

    /// Writes the line of `record` to `out`, which has room for ``maximumLine(_:)`` bytes; returns the bytes written.
    func write(_ record: UnsafeRawPointer, to out: UnsafeMutablePointer<UInt8>) -> Int {
        var at = out
        for step in steps {
            at = put(step.prefix, at)
            if step.code == .word {
                let number = Int((record + Int(step.offset)).byte(0))
                if number < Int(step.wordCount) {
                    if isJSON { at = put(UInt8(ascii: "\""), at) }
                    at = put(words[Int(step.firstWord) + number], at)
                    if isJSON { at = put(UInt8(ascii: "\""), at) }
                    continue
                }
            }
            if hasISOTimes, step.code == .time || step.code == .timeOrNone {
                at = putTime(
                    Int64(littleEndian: (record + Int(step.offset)).loadUnaligned(as: Int64.self)),
                    step.code,
                    at
                )
                continue
            }
            // Leave room for a quotation mark, which the value may turn out to need.
            let value = Layout.Field.write(step.code, record + Int(step.offset), to: at + 1)
            switch value.form {
            case .number:
                at.update(from: at + 1, count: value.count)
                at += value.count
            case .plain where isJSON:
                at[0] = UInt8(ascii: "\"")
                at[1 + value.count] = UInt8(ascii: "\"")
                at += value.count + 2
            case .plain:
                at.update(from: at + 1, count: value.count)
                at += value.count
            case .text: at = putText(layout.text(at: Int(step.offset), of: record), at)
            case .none: if isJSON { for byte in [UInt8]("null".utf8) { at = put(byte, at) } }
            }
        }
        return put(end, at) - out
    }

    private func putTime(
        _ time: Int64,
        _ code: Layout.FieldCode,
        _ start: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        var at = start
        if time == .min, code == .timeOrNone {
            if isJSON { for byte in [UInt8]("null".utf8) { at = put(byte, at) } }
            return at
        }
        if isJSON { at = put(UInt8(ascii: "\""), at) }
        TimeText.write(time, to: at)
        at += TimeText.length
        return isJSON ? put(UInt8(ascii: "\""), at) : at
    }

    private func putText(
        _ text: UnsafeRawBufferPointer?,
        _ start: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        var at = put(UInt8(ascii: "\""), start)
        if let text {
            escape(text, asJSON: isJSON) { byte in
                // In CSV a quotation mark is doubled.
                if !isJSON, byte == UInt8(ascii: "\"") { at = put(byte, at) }
                at = put(byte, at)
            }
        }
        at = put(UInt8(ascii: "\""), at)
        return at
    }

    @inline(__always)
    private func put(_ byte: UInt8, _ at: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8> {
        at.pointee = byte
        return at + 1
    }

    @inline(__always)
    private func put(_ piece: Piece, _ at: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8> {
        at.update(from: UnsafePointer(pieces.baseAddress! + Int(piece.start)), count: Int(piece.count))
        return at + Int(piece.count)
    }
}
