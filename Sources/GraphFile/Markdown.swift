// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// The byte ranges of a Markdown text that hold graph files: code blocks marked as YAML, or their parts between `---` lines,
/// whose first key gives their kind.
func graphBlocks(inMarkdown bytes: [UInt8]) -> [Range<Int>] {
    let kinds = ["graph", "compound", "placement", "profile", "tests"].map { Array("\($0):".utf8) }
    var blocks: [Range<Int>] = []
    /// The fence of the open block, and where its text or the current part begins.
    var fence: (length: Int, start: Int)?
    var isYAML = false

    func add(_ range: Range<Int>) {
        for line in bytes[range].split(separator: UInt8(ascii: "\n")) {
            let text = line.drop { $0 == 0x20 || $0 == 0x0D }
            if text.isEmpty || text.first == UInt8(ascii: "#") { continue }
            if kinds.contains(where: { text.starts(with: $0) }) { blocks.append(range) }
            return
        }
    }

    var start = 0
    while start < bytes.count {
        let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? bytes.count
        defer { start = end }
        let line = bytes[start..<end].drop { $0 == 0x20 }
        let ticks = line.prefix { $0 == UInt8(ascii: "`") }.count
        if let open = fence {
            let isEnd =
                ticks >= open.length && line.dropFirst(ticks).allSatisfy { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D }
            let isCut = line.starts(with: Array("---".utf8)) && line.dropFirst(3).allSatisfy { $0 <= 0x20 }
            if isYAML, isEnd || isCut { add(open.start..<start) }
            if isEnd { fence = nil } else if isCut { fence?.start = end }
        } else if ticks >= 3 {
            let info = line.dropFirst(ticks).drop { $0 == 0x20 }.prefix { isLetter($0) }
            isYAML = info.elementsEqual(Array("yaml".utf8)) || info.elementsEqual(Array("yml".utf8))
            fence = (ticks, end)
        }
    }
    if let open = fence, isYAML { add(open.start..<bytes.count) }
    return blocks
}
