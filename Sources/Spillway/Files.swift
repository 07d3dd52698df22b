// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Glibc

/// Reading and writing whole small files: graphs, profiles, reports.
public enum Files {
    /// A failed file operation, with the file's name.
    public struct Failure: Error, CustomStringConvertible {
        /// The file, as it was named.
        public var path: String
        /// The system's error number.
        public var errno: Int32

        public init(path: String, errno: Int32) {
            self.path = path
            self.errno = errno
        }

        public var description: String { "\(path): \(reason)" }
        /// The system's message, without the name.
        public var reason: String { String(cString: strerror(errno)) }
        /// There is no such file, or it is a directory.
        public var isMissing: Bool { errno == ENOENT || errno == ENOTDIR || errno == EISDIR }
        /// The user lacks permission.
        public var isForbidden: Bool { errno == EACCES || errno == EPERM || errno == EROFS }
    }

    /// The bytes of a file, up to `limit` and one more, so that a caller can see that there were more.
    public static func read(_ path: String, limit: Int = 16 << 20) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Failure(path: path, errno: errno) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= limit {
            let n = Glibc.read(file, &buffer, buffer.count)
            if n == 0 { break }
            if n < 0 {
                if errno == EINTR { continue }
                throw Failure(path: path, errno: errno)
            }
            bytes.append(contentsOf: buffer[..<n])
        }
        return bytes
    }

    /// Writes a whole file, replacing an older one only once all of it has been written.
    ///
    /// Symbolic links stay, as do the mode and owner of an older file. Anything but a regular file, for example `/dev/stdout`,
    /// is written to directly.
    public static func write(_ text: String, to path: String) throws {
        var status = stat()
        let isThere = stat(path, &status) == 0
        // A link to a missing file is written through too.
        if isThere ? status.st_mode & S_IFMT != S_IFREG : isLink(path) {
            let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
            guard file >= 0 else { throw Failure(path: path, errno: errno) }
            defer { close(file) }
            return try put(text, file, path)
        }
        let target = isThere ? realPath(path) ?? path : path
        let temporary = "\(target).\(getpid()).partial"
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw Failure(path: path, errno: errno) }
        do {
            defer { close(file) }
            if isThere {
                // The owner first, as that may clear mode bits. Only root can give a file to another user.
                _ = fchown(file, status.st_uid, status.st_gid)
                guard fchmod(file, status.st_mode & 0o7777) == 0 else { throw Failure(path: path, errno: errno) }
            }
            try put(text, file, path)
            guard rename(temporary, target) == 0 else { throw Failure(path: path, errno: errno) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    private static func put(_ text: String, _ file: Int32, _ path: String) throws {
        let bytes = Array(text.utf8)
        var at = 0
        while at < bytes.count {
            let n = bytes[at...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if n < 0 {
                if errno == EINTR { continue }
                throw Failure(path: path, errno: errno)
            }
            at += n
        }
    }

    /// Creates a directory and its parents, if missing.
    public static func makeDirectory(_ path: String) throws {
        if isDirectory(path) { return }
        let parent = path.split(separator: "/").dropLast().joined(separator: "/")
        if !parent.isEmpty { try makeDirectory((path.hasPrefix("/") ? "/" : "") + parent) }
        if mkdir(path, 0o755) != 0, errno != EEXIST { throw Failure(path: path, errno: errno) }
        guard isDirectory(path) else { throw Failure(path: path, errno: ENOTDIR) }
    }

    /// Removes a file.
    public static func remove(_ path: String) throws {
        if unlink(path) != 0 { throw Failure(path: path, errno: errno) }
    }

    /// Throws if a file cannot be opened for reading, or is a directory.
    public static func checkReadable(_ path: String) throws {
        if access(path, R_OK) != 0 { throw Failure(path: path, errno: errno) }
        if isDirectory(path) { throw Failure(path: path, errno: EISDIR) }
    }

    /// Whether this process may read `path`.
    static func isReadable(_ path: String) -> Bool { access(path, R_OK) == 0 }

    /// Whether `path` is a directory.
    public static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Whether `path` is a regular file.
    public static func isRegular(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Whether what is at `path` can be read only once: standard input, or a pipe.
    static func isReadOnce(_ path: String) -> Bool { path == "-" || exists(path) && !isRegular(path) }

    private static func isLink(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
    }

    /// The absolute path without links; nil if nothing is there.
    private static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// `path` as the file `other` can refer to it: relative to the directory of `other`.
    ///
    /// It is absolute if that cannot work: if `other` is a pipe or device, or if a link leads to its directory, since readers
    /// of a path resolve `..` without looking at the file system.
    public static func relative(_ path: String, to other: String) -> String {
        guard let to = realPath(path) else { return path }
        let directory = other.lastIndex(of: "/").map { String(other[...$0]) } ?? "."
        guard !exists(other) || isRegular(other), let from = realPath(directory), let here = realPath("."),
            from == withoutDots(directory.hasPrefix("/") ? directory : "\(here)/\(directory)")
        else { return to }
        let (a, b) = (from.split(separator: "/"), to.split(separator: "/"))
        let common = zip(a, b).prefix { $0 == $1 }.count
        return (a.dropFirst(common).map { _ in ".." } + b.dropFirst(common)).joined(separator: "/")
    }

    /// An absolute path with `.` and `..` resolved lexically.
    private static func withoutDots(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// Whether anything exists at `path`.
    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Whether nothing exists at `path`, as far as permissions allow to tell.
    public static func isMissing(_ path: String) -> Bool {
        access(path, F_OK) != 0 && Failure(path: path, errno: errno).isMissing
    }

    /// The names in a directory, sorted bytewise.
    public static func list(_ path: String) throws -> [String] {
        guard let directory = opendir(path) else { throw Failure(path: path, errno: errno) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    }

    /// Identifies a file under any of its names.
    struct Identity: Hashable {
        private let device: dev_t
        private let inode: ino_t

        /// Nil if nothing is there.
        init?(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            device = status.st_dev
            inode = status.st_ino
        }
    }

    /// The SHA-256 of a file's bytes, as hexadecimal digits; nil if `shouldStop`, polled now and then, ended it.
    public static func sha256(_ path: String, shouldStop: () -> Bool = { false }) throws -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Failure(path: path, errno: errno) }
        defer { close(file) }
        var hash = SHA256()
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        while !shouldStop() {
            let n = Glibc.read(file, &buffer, buffer.count)
            if n == 0 { return hash.hexDigest() }
            if n < 0 {
                if errno == EINTR { continue }
                throw Failure(path: path, errno: errno)
            }
            buffer.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<n])) }
        }
        return nil
    }
}
