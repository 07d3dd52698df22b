// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The compressed formats other than gzip, and the programs that read them.
enum Compression: CaseIterable {
    case zstd
    case lz4
    case xz
    case bzip2

    /// The format of a file that begins with these bytes; nil for any other.
    init?(_ first: UnsafeRawBufferPointer) {
        guard let known = Compression.allCases.first(where: { $0.magics.contains(where: first.starts(with:)) }) else {
            return nil
        }
        self = known
    }

    private var magics: [[UInt8]] {
        switch self {
        // pzstd writes a skippable frame first.
        case .zstd: [[0x28, 0xb5, 0x2f, 0xfd], [0x50, 0x2a, 0x4d, 0x18]]
        case .lz4: [[0x04, 0x22, 0x4d, 0x18]]
        case .xz: [[0xfd, 0x37, 0x7a, 0x58, 0x5a]]
        case .bzip2: [[0x42, 0x5a, 0x68]]
        }
    }

    /// The command that decompresses standard input.
    var command: [String] { ["\(self)", "-dc"] }

    /// The command as it is run here. zstd and lz4 take no more than 128 MiB unless told to, bzip2 never does.
    fileprivate var boundedCommand: [String] {
        self == .xz ? command + ["--memlimit-decompress=256MiB"] : command
    }
}

/// A program that decompresses a file, run as a child for as long as this lives.
///
/// The file is its standard input, so no name can be taken for an option, and a socket its output, so it gets no further ahead of
/// the reader than that holds.
final class Decompressor {
    /// Where the decompressed bytes come from.
    let output: Int32
    private let name: String
    private let program: String
    private let file: Int32
    private let messages: Int32
    /// The child until it has been waited for.
    private var child: pid_t?

    /// Starts the program on the regular file `file`, which this then owns; nil if it is not installed.
    init?(name: String, file: Int32, _ compression: Compression) throws(CaptureError) {
        var (out, problems): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
        defer { for end in [out[1], problems[1]] where end >= 0 { close(end) } }
        // Sockets rather than pipes, as no other child may inherit them. One that says more than they hold is not made to wait.
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &out) == 0,
            socketpair(AF_UNIX, kind | Int32(SOCK_NONBLOCK.rawValue), 0, &problems) == 0
        else {
            let reason = errno
            for end in [out[0], problems[0]] where end >= 0 { close(end) }
            throw CaptureError(file: name, system: reason, doing: "decompress")
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (number, descriptor) in [file, out[1], problems[1]].enumerated() {
            posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
        }
        // An interrupt is for this process, which reports what it has read; a broken pipe ends the child.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var (all, none) = (sigset_t(), sigset_t())
        sigfillset(&all)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes,
            Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK)
        )
        var arguments = compression.boundedCommand.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        let status = posix_spawnp(&process, arguments[0]!, &actions, &attributes, &arguments, environ)
        guard status == 0 else {
            close(out[0])
            close(problems[0])
            if [ENOENT, EACCES, ENOTDIR].contains(status) { return nil }
            throw CaptureError(file: name, system: status, doing: "decompress")
        }
        self.name = name
        self.file = file
        output = out[0]
        messages = problems[0]
        program = compression.command[0]
        child = process
    }

    deinit {
        if let child {
            kill(child, SIGKILL)
            while waitpid(child, nil, 0) < 0 && errno == EINTR {}
        }
        for descriptor in [file, output, messages] { close(descriptor) }
    }

    /// Compressed bytes that the program has read.
    var consumed: Int { max(0, Int(lseek(file, 0, SEEK_CUR))) }

    /// Waits for the program, whose output has ended; throws if the file was damaged or incomplete.
    func finish() throws(CaptureError) {
        guard let child else { return }
        var status: Int32 = 0
        while true {
            let waited = waitpid(child, &status, 0)
            if waited == child { break }
            // Whoever runs this process may have asked that children leave no status.
            if errno != EINTR { break }
        }
        self.child = nil
        if status == 0 { return }
        throw CaptureError(
            file: name,
            reason: "the compressed data are damaged or end early" + (words.isEmpty ? "" : ": \(words)"),
            code: "damaged_compression"
        )
    }

    /// The first line of what the program said.
    private lazy var words: String = {
        var bytes = [UInt8](repeating: 0, count: 300)
        let count = max(0, read(messages, &bytes, bytes.count))
        let line = String(decoding: bytes[..<count], as: UTF8.self).split { $0.isNewline }.first ?? ""
        var shown = String(line.filter { !$0.unicodeScalars.contains { $0.properties.generalCategory == .control } })
        while shown.last == " " { shown.removeLast() }
        return shown.hasPrefix("\(program):") ? shown : shown.isEmpty ? "" : "\(program): \(shown)"
    }()
}
