// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The reason a capture cannot be read, or only up to some place.
public struct CaptureError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file as it was named by the user; `-` for standard input.
    public var file: String
    /// Offset of the error in bytes from the start of the file; nil if it has no place.
    public var offset: Int?
    /// The reason, as a clause without full stop.
    public var reason: String
    /// A stable name for the kind of error, for example `truncated_record`.
    public var code: String

    public init(file: String, offset: Int? = nil, reason: String, code: String) {
        self.file = file
        self.offset = offset
        self.reason = reason
        self.code = code
    }

    /// The code of a missing file, which callers distinguish from damage.
    public static let noSuchFile = "no_such_file"
    /// The code of an input ended by the user; never a source's failure.
    static let stopped = "stopped"

    public var description: String {
        "\(file == "-" ? "standard input" : file): \(offset.map { "byte \($0): " } ?? "")\(reason) [\(code)]"
    }

    /// A failed system call, with the system's message.
    init(file: String, system number: Int32, doing what: String) {
        let code =
            switch number {
            case ENOENT, ENOTDIR: CaptureError.noSuchFile
            case EACCES, EPERM: "no_permission"
            case EISDIR: "is_directory"
            default: "read_error"
            }
        let reason =
            switch number {
            case ENOENT, ENOTDIR: "no such file"
            case EACCES, EPERM: "no permission to read it"
            case EISDIR: "is a directory"
            default: "cannot \(what): \(systemMessage(number))"
            }
        self.init(file: file, reason: reason, code: code)
    }
}

/// The reason bytes cannot be written.
public struct OutputError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file as it was named by the user; `-` for standard output.
    public var file: String
    /// The reason, as a clause without full stop.
    public var reason: String
    /// A stable name for the kind of error, for example `no_space`.
    public var code: String

    public init(file: String, reason: String, code: String) {
        self.file = file
        self.reason = reason
        self.code = code
    }

    /// The code of a pipe or socket whose reader has gone.
    public static let closedPipe = "closed_pipe"
    /// The code of a file that is already being read or written.
    public static let fileInUse = "file_in_use"

    public var description: String { "\(file == "-" ? "standard output" : file): \(reason) [\(code)]" }

    init(file: String, system number: Int32, doing what: String) {
        let code =
            switch number {
            case ENOENT, ENOTDIR: "no_such_directory"
            case EACCES, EPERM, EROFS: "no_permission"
            case EISDIR: "is_directory"
            case ENOSPC, EDQUOT: "no_space"
            case EPIPE: OutputError.closedPipe
            default: "write_error"
            }
        self.init(file: file, reason: "cannot \(what): \(systemMessage(number))", code: code)
    }
}

/// The system's message for an error number.
func systemMessage(_ number: Int32) -> String {
    strerror(number).map { String(cString: $0) } ?? "error \(number)"
}
