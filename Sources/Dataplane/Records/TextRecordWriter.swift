// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Writes a record that has texts: fields one after another, then the bytes of all texts, as ``Layout`` defines.
struct TextRecordWriter {
    /// The writer of the fixed fields.
    var fields: RecordWriter
    private let start: UnsafeMutableRawPointer
    private var end: Int

    /// Begins a record of `layout` at `start`, with room for it and its texts.
    @inline(__always)
    init(_ start: UnsafeMutableRawPointer, _ layout: Layout) { self.init(start, size: layout.size) }

    /// Begins a record of a layout whose fields take `size` bytes.
    @inline(__always)
    init(_ start: UnsafeMutableRawPointer, size: Int) {
        self.start = start
        fields = RecordWriter(start + 4)
        end = size
    }

    /// A text field with these bytes; nil marks it as absent.
    mutating func put(text: UnsafeRawBufferPointer?) {
        guard let text else {
            fields.put(UInt32(0))
            return
        }
        begin()
        append(text)
    }

    /// A text field whose bytes are appended next.
    mutating func begin() {
        fields.put(UInt16(truncatingIfNeeded: end))
        fields.put(UInt16(0))
    }

    /// Appends to the text of the field written last.
    mutating func append(_ text: UnsafeRawBufferPointer) {
        if let base = text.baseAddress { (start + end).copyMemory(from: base, byteCount: text.count) }
        end += text.count
        let field = fields.next - 2
        let count = UInt16(littleEndian: field.loadUnaligned(as: UInt16.self)) &+ UInt16(truncatingIfNeeded: text.count)
        field.storeBytes(of: count.littleEndian, as: UInt16.self)
    }

    /// Writes the length of the whole record, and returns it.
    func finish() -> Int {
        start.storeBytes(of: UInt32(truncatingIfNeeded: end).littleEndian, as: UInt32.self)
        return end
    }
}
