// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Glibc

/// One file of a source: opened and recognised when made, so that a wrong one is reported before anything runs.
final class CaptureFile {
    let path: String
    /// Bytes of a regular file; 0 for others, which have no known end.
    let size: Int
    /// Link types that the file announces before its first packet.
    let announcedLinkTypes: [UInt16]
    private let attention: Attention
    private var contents: (input: Input, decoder: any Decoder)?

    init(path: String, attention: Attention) throws(CaptureError) {
        self.path = path
        self.attention = attention
        let (input, canReopen) = try openInput(path, attention)
        var status = stat()
        size = canReopen && stat(path, &status) == 0 ? Int(status.st_size) : 0
        let decoder = try recognise(input)
        announcedLinkTypes = decoder.announcedLinkTypes(input)
        contents = (input, decoder)
        // A compressed file is closed until its turn, as there may be many.
        if canReopen && !input.lasts { contents = nil }
    }

    /// The file's bytes, and their decoder.
    func open() throws(CaptureError) -> (input: Input, decoder: any Decoder) {
        if let contents { return contents }
        let input = try openInput(path, attention).input
        let opened = (input: input, decoder: try recognise(input))
        contents = opened
        return opened
    }

    /// Bytes of the file that have been read.
    var done: Int { contents?.input.consumed ?? 0 }

    /// Releases a file that was read to its end; one that items may point into stays.
    func finish() {
        if let input = contents?.input, !input.lasts { contents = nil }
    }
}

/// Opens a file, or standard input for `-`; tells whether it can be reopened from its beginning.
private func openInput(_ path: String, _ attention: Attention) throws(CaptureError) -> (input: Input, canReopen: Bool) {
    let isStandardInput = path == "-"
    var descriptor = STDIN_FILENO
    if !isStandardInput {
        // Opening a named pipe waits until someone writes to it.
        repeat {
            try attention.checkStop(path)
            descriptor = open(path, O_RDONLY | O_CLOEXEC)
        } while descriptor < 0 && errno == EINTR
        if descriptor < 0 { throw CaptureError(file: path, system: errno, doing: "open") }
    }
    // Whether someone else closes it.
    var isKept = isStandardInput
    var claim: FileClaim?
    defer {
        claim = nil
        if !isKept { close(descriptor) }
    }

    var status = stat()
    if fstat(descriptor, &status) != 0 { throw CaptureError(file: path, system: errno, doing: "open") }
    let kind = status.st_mode & S_IFMT
    if kind == S_IFDIR { throw CaptureError(file: path, system: EISDIR, doing: "open") }
    if kind == S_IFREG && !isStandardInput {
        if status.st_size == 0 { throw CaptureError(file: path, reason: "is empty", code: "empty_file") }
        claim = FileClaim(status, for: .reading)
        if claim == nil {
            throw CaptureError(file: path, reason: "is being written by this run", code: "file_in_use")
        }
        let first = firstBytes(descriptor)
        if let compression = first.withUnsafeBytes(Compression.init),
            let decompressor = try Decompressor(name: path, file: descriptor, compression)
        {
            isKept = true
            return (try StreamedInput(name: path, decompressor, claim: claim, attention: attention), true)
        }
        if !first.starts(with: [0x1f, 0x8b]), let map = FileMap.of(descriptor, status) {
            return (MappedInput(name: path, map, claim: claim), true)
        }
    }
    isKept = true
    let stream = try StreamedInput(name: path, descriptor: descriptor, claim: claim, attention: attention)
    return (stream, kind == S_IFREG && !isStandardInput)
}

/// Enough of a regular file to tell how it is compressed.
private func firstBytes(_ descriptor: Int32) -> ArraySlice<UInt8> {
    var bytes = [UInt8](repeating: 0, count: 8)
    return bytes[..<max(0, pread(descriptor, &bytes, bytes.count, 0))]
}

/// Chooses the decoder for `input`; throws for anything that is not a capture, or one of an unsupported format.
private func recognise(_ input: Input) throws(CaptureError) -> any Decoder {
    // Enough for every magic; there may be less.
    _ = try input.fetch(64)
    if input.available == 0 { throw CaptureError(file: input.name, reason: "is empty", code: "empty_file") }
    if input.available >= 4 {
        if let decoder = try PcapDecoder(input) { return decoder }
        if let decoder = try PcapngDecoder(input) { return decoder }
    }
    let first = UnsafeRawBufferPointer(start: input.next, count: min(input.available, 64))
    throw CaptureError(file: input.name, reason: foreignKind(first, input.name), code: "unsupported_format")
}

/// The apparent kind of a file that is not pcap or pcapng, as a clause, from its first bytes.
private func foreignKind(_ bytes: UnsafeRawBufferPointer, _ name: String) -> String {
    let captures: [(magic: String, name: String)] = [
        ("snoop\0\0\0", "a snoop"), ("RTSS", "a Network Monitor 1"), ("GMBU", "a Network Monitor 2"),
        ("iptrace 1.0", "an AIX iptrace"), ("iptrace 2.0", "an AIX iptrace"), ("TRSNIFF data", "a Sniffer"),
        ("XCP\0", "a Sniffer"), ("btsnoop\0", "a Bluetooth snoop"), ("\u{05}VNF", "a Visual Networks"),
    ]
    for (magic, name) in captures where bytes.starts(with: magic.utf8) {
        return "is \(name) capture, which is not supported; convert it with editcap"
    }
    // A page of this format begins with a record of 8 bytes, then these words.
    if contains(bytes, "NetScaler") { return "is a NetScaler capture, which is not supported; convert it with editcap" }
    if let compression = Compression(bytes) {
        let command = compression.command.joined(separator: " ")
        if name == "-" { return "is compressed with \(compression); put '\(command)' before it in the pipe" }
        return
            "is compressed with \(compression), and there is no program '\(compression)' to read it, or it is no regular file; "
            + "read it through a pipe: \(command) \(name) | spillway ..., with '-' as the file"
    }
    if bytes.starts(with: "PK\u{3}\u{4}".utf8) {
        return "is a zip archive, not a capture; "
            + (name == "-"
                ? "put 'funzip' before it in the pipe"
                : "read it through a pipe: unzip -p \(name) | spillway ..., with '-' as the file")
    }
    if isERF(bytes) { return "is an ERF capture, which is not supported; convert it with editcap" }
    let isText = bytes.allSatisfy { (0x20..<0x7f).contains($0) || (0x09...0x0d).contains($0) }
    if isText {
        let mark = bytes.first { $0 > 0x20 }
        return mark == UInt8(ascii: "<") ? "is an HTML or XML page, not a capture" : "is text, not a capture"
    }
    return "is not a capture in pcap or pcapng format"
}

private func contains(_ bytes: UnsafeRawBufferPointer, _ words: String) -> Bool {
    let words = Array(words.utf8)
    return bytes.indices.contains { bytes[$0...].starts(with: words) }
}

/// Endace's format has no magic: the first record must have a known type and consistent lengths.
private func isERF(_ bytes: UnsafeRawBufferPointer) -> Bool {
    if bytes.count < 16 { return false }
    let type = bytes[8] & 0x7f
    let record = Int(bytes[10]) << 8 | Int(bytes[11])
    let wire = Int(bytes[14]) << 8 | Int(bytes[15])
    // Little-endian seconds in bytes 4 to 7: after 1990.
    let seconds = bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
    return (1...48).contains(type) && record >= 16 && record < 10_000 && wire > 0 && wire < 10_000
        && seconds > 631_152_000
}
