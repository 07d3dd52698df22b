// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Byte strings to search for, from a list or a file.
struct PatternList {
    /// In the order given, by which they are numbered.
    private(set) var patterns: [[UInt8]] = []
    /// Where each stands.
    private var names: [String] = []

    static let mostPatterns = 65_536
    static let mostBytes = 1024
    /// Limit for all patterns together, which bounds the memory of their automaton.
    static let mostBytesInAll = 262_144

    /// An error in a list; `message` is a sentence without capital or full stop.
    struct Failure: Error {
        var message: String
    }

    /// What is wrong with a pattern in text form, as a sentence without capital or full stop; nil if nothing is.
    static func flaw(_ text: String) -> String? {
        var list = PatternList()
        do throws(Failure) { try list.add(text) } catch { return error.message }
        return nil
    }

    /// Adds a pattern in text form: its UTF-8 bytes, with `\xNN` for any byte and `\n`, `\r`, `\t` and `\\`.
    mutating func add(_ text: String) throws(Failure) { try add(Array(text.utf8)[...], named: "the pattern '\(text)'") }

    /// Adds the patterns of a file, one per line in text form; lines end with LF or CR LF, and empty ones are skipped. Returns
    /// what is wrong with them.
    mutating func add(lines: [UInt8], of file: String) -> [Failure] {
        var failures: [Failure] = []
        var number = 0
        for var line in lines.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            if line.isEmpty { continue }
            do throws(Failure) { try add(line, named: "the pattern in line \(number) of '\(file)'") } catch {
                failures.append(error)
                if patterns.count == PatternList.mostPatterns { break }
            }
        }
        return failures
    }

    /// The patterns that are the same as an earlier one.
    func duplicates(ignoringCase: Bool) -> [Failure] {
        var first: [[UInt8]: Int] = [:]
        return patterns.indices.compactMap { k in
            let bytes = ignoringCase ? patterns[k].map(\.lowered) : patterns[k]
            guard let before = first[bytes] else {
                first[bytes] = k
                return nil
            }
            return Failure(message: "\(names[k]) is the same as \(names[before])")
        }
    }

    private mutating func add(_ text: ArraySlice<UInt8>, named name: String) throws(Failure) {
        let bytes = try PatternList.bytes(of: text, named: name)
        if bytes.isEmpty { throw Failure(message: "\(name) is empty") }
        if bytes.count > PatternList.mostBytes {
            throw Failure(message: "\(name) has \(bytes.count) bytes; \(PatternList.mostBytes) are the most")
        }
        if patterns.count == PatternList.mostPatterns {
            throw Failure(message: "there are more than \(PatternList.mostPatterns) patterns")
        }
        patterns.append(bytes)
        names.append(name)
    }

    private static func bytes(of text: ArraySlice<UInt8>, named name: String) throws(Failure) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            if byte != UInt8(ascii: "\\") {
                bytes.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "\\"): bytes.append(UInt8(ascii: "\\"))
            case UInt8(ascii: "n"): bytes.append(0x0a)
            case UInt8(ascii: "r"): bytes.append(0x0d)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "x"):
                let digits = rest.prefix(2).compactMap(hex)
                guard digits.count == 2 else {
                    throw Failure(message: "\(name) has a '\\x' without two hexadecimal digits")
                }
                bytes.append(digits[0] << 4 | digits[1])
                rest = rest.dropFirst(2)
            default: throw Failure(message: "\(name) has a backslash before none of x, n, r, t and \\")
            }
        }
        return bytes
    }

    private static func hex(_ digit: UInt8) -> UInt8? {
        Character(Unicode.Scalar(digit)).hexDigitValue.map { UInt8($0) }
    }
}
