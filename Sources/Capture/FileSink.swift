// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Glibc

/// A file for writing bytes; standard output for `-` and its other names.
///
/// Bytes not flushed are lost. A reader that goes away is a thrown error, not the end of the process.
public final class FileSink: ByteSink {
    private let name: String
    private let descriptor: Int32
    private let ownsDescriptor: Bool
    /// Writing to a pipe or socket without reader raises a signal, unless it is blocked.
    private let mayRaiseSignal: Bool
    private var claim: FileClaim?
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 64)
    private var used = 0

    /// Whether the file's previous contents are still to be removed. That waits for the first bytes, so that nothing is lost if
    /// a run does not begin because another of its files cannot be written.
    private var isToBeEmptied = false

    /// Like ``init(_:appends:)``; a file whose name ends in `.gz` is compressed with gzip.
    public static func open(_ name: String, appends: Bool = false) throws -> any ByteSink {
        let file = try FileSink(name, appends: appends)
        return name.hasSuffix(".gz") ? GzipSink(file) : file
    }

    /// Creates the file `name`, or opens an existing one to be overwritten. Throws an ``OutputError``, also if that would
    /// overwrite a capture in use.
    ///
    /// If `appends`, the file's contents stay.
    public init(_ name: String, appends: Bool = false) throws {
        self.name = name
        ownsDescriptor = !FileSink.isStandardOutput(name)
        // Not truncated until it is known that no one maps it.
        let flags = O_WRONLY | O_CREAT | O_CLOEXEC | (appends ? O_APPEND : 0)
        descriptor = ownsDescriptor ? Glibc.open(name, flags, 0o666) : STDOUT_FILENO
        if descriptor < 0 {
            buffer.deallocate()
            throw OutputError(file: name, system: errno, doing: "create the file")
        }
        var status = stat()
        let isRegular = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        mayRaiseSignal = !isRegular
        claim = isRegular && ownsDescriptor ? FileClaim(status, for: .writing) : nil
        isToBeEmptied = claim != nil && !appends
        if isRegular, ownsDescriptor, claim == nil {
            let reason = "is already read or written by this run"
            throw OutputError(file: name, reason: reason, code: OutputError.fileInUse)
        }
    }

    /// Whether `name` leads to standard output: `-`, `/dev/stdout`, or the file that it is redirected to. Not if that is
    /// `/dev/null`, which keeps nothing that could be mixed.
    public static func isStandardOutput(_ name: String) -> Bool {
        if name == "-" { return true }
        var named = stat()
        var output = stat()
        var null = stat()
        guard stat(name, &named) == 0, fstat(STDOUT_FILENO, &output) == 0, stat("/dev/null", &null) == 0 else {
            return false
        }
        func isSame(_ other: stat) -> Bool { named.st_dev == other.st_dev && named.st_ino == other.st_ino }
        return isSame(output) && !isSame(null)
    }

    deinit {
        claim = nil
        buffer.deallocate()
        if ownsDescriptor && descriptor >= 0 { close(descriptor) }
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        // Large pieces need not be copied once more.
        let isLarge = bytes.count >= buffer.count / 4
        if isLarge || bytes.count > buffer.count - used { try drain() }
        if isLarge { return try put(bytes) }
        guard let start = bytes.baseAddress else { return }
        (buffer.baseAddress! + used).copyMemory(from: start, byteCount: bytes.count)
        used += bytes.count
    }

    public func flush() throws { try drain() }

    private func drain() throws {
        try empty()
        // Bytes that failed once are not retried.
        let count = used
        used = 0
        if count > 0 { try put(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
    }

    private func empty() throws {
        guard isToBeEmptied else { return }
        isToBeEmptied = false
        if ftruncate(descriptor, 0) != 0 { throw OutputError(file: name, system: errno, doing: "empty the file") }
    }

    /// Passes all bytes to the system.
    private func put(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while let start = rest.baseAddress, rest.count > 0 {
            let (written, problem) =
                mayRaiseSignal
                ? withoutBrokenPipeSignal { systemWrite(start, rest.count) } : systemWrite(start, rest.count)
            if written > 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[written...])
            } else if problem != EINTR {
                throw OutputError(file: name, system: problem, doing: "write")
            }
        }
    }

    private func systemWrite(_ start: UnsafeRawPointer, _ count: Int) -> (written: Int, problem: Int32) {
        let written = Glibc.write(descriptor, start, count)
        // A device that accepts nothing and reports no error would be retried forever.
        return (written, written > 0 ? 0 : written == 0 ? EIO : errno)
    }
}

/// Runs `body` with SIGPIPE blocked in this thread, and consumes the signal that it may have raised, so that the process's own
/// handling of the signal is unaffected.
private func withoutBrokenPipeSignal(
    _ body: () -> (written: Int, problem: Int32)
) -> (written: Int, problem: Int32) {
    var brokenPipe = sigset_t()
    var pending = sigset_t()
    var before = sigset_t()
    sigemptyset(&brokenPipe)
    sigaddset(&brokenPipe, SIGPIPE)
    sigpending(&pending)
    // One that was already pending is not ours to consume.
    let wasPending = sigismember(&pending, SIGPIPE) == 1
    pthread_sigmask(SIG_BLOCK, &brokenPipe, &before)
    let result = body()
    if result.problem == EPIPE && !wasPending {
        var now = timespec()
        while sigtimedwait(&brokenPipe, nil, &now) == -1 && errno == EINTR {}
    }
    pthread_sigmask(SIG_SETMASK, &before, nil)
    return result
}
