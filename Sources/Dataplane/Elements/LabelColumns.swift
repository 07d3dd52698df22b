// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The columns behind those of an element's own that hold the same text in every record.
final class LabelColumns {
    /// The columns, for a layout.
    let columns: [(String, Layout.FieldType)]
    /// The texts, one behind the other, and where each ends.
    private let texts: UnsafeMutableRawBufferPointer
    private let ends: [Int]

    /// Throws if a label has the name of one of `columns`, along with other `errors` that were found.
    init(_ labels: [Label], besides columns: [String], _ errors: [ParameterError] = []) throws(ParameterError) {
        var names = Set(columns)
        let repeated = labels.map(\.name).filter { !names.insert($0).inserted }
        try ParameterError.throwing(errors + repeated.map { ParameterError("'\($0)' names two columns", at: 0) })
        self.columns = labels.map { ($0.name, .text) }
        let bytes = labels.map { Array($0.text.utf8) }
        var end = 0
        ends = bytes.map { text in
            end += text.count
            return end
        }
        texts = .allocate(byteCount: end, alignment: 1)
        texts.copyBytes(from: bytes.joined())
    }

    deinit { texts.deallocate() }

    /// Bytes that the texts take in a record.
    var bytes: Int { texts.count }

    /// Writes the texts: what comes last in a record.
    @inline(__always)
    func put(into out: inout TextRecordWriter) {
        var start = 0
        for end in ends {
            out.put(text: UnsafeRawBufferPointer(rebasing: texts[start..<end]))
            start = end
        }
    }

    /// Writes the texts and the length of a record that has no other texts; its fields take `size` bytes, and are written apart.
    @inline(__always)
    func complete(_ record: UnsafeMutableRawPointer, size: Int) {
        if ends.isEmpty { return }
        var out = TextRecordWriter(record, size: size)
        out.fields.next = record + (size - ends.count * Layout.FieldType.text.size)
        put(into: &out)
        _ = out.finish()
    }
}
