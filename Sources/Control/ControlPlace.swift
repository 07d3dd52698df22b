// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Where processes have the sockets by which they are watched: a file `PID.sock` in a directory that is its user's alone.
public enum ControlPlace {
    /// A process with a socket.
    public struct Found: Sendable, Equatable {
        /// Its number.
        public var process: Int32
        /// Where it can be asked.
        public var address: Address
    }

    /// The directory in which this process opens its own; it is made if it is not there.
    public static func directory() throws(SocketError) -> String {
        let directory =
            serviceDirectory ?? runtimeDirectory ?? (geteuid() == 0 ? "/run/spillway" : "/tmp/spillway-\(geteuid())")
        if mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw SocketError(directory, system: errno, doing: "make the directory")
        }
        var status = stat()
        guard lstat(directory, &status) == 0 else { throw SocketError(directory, system: errno, doing: "look at it") }
        // In /tmp anybody may have made it.
        guard status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(), status.st_mode & 0o077 == 0 else {
            throw SocketError(.forbidden, "\(directory) is not a directory that is this user's alone")
        }
        return directory
    }

    /// Opens the socket of this process.
    public static func open(paths: Set<String>) throws(SocketError) -> Listener {
        let directory = try directory()
        let path = "\(directory)/\(getpid()).sock"
        try Address.check(path)
        for process in processes(in: directory) where kill(process, 0) != 0 && errno == ESRCH {
            unlink("\(directory)/\(process).sock")
        }
        return try Listener(.unix(path: path), paths: paths)
    }

    /// The sockets of this user's processes that answer, of root those of services too, by the number of the process.
    public static func all() -> [Found] {
        var found: [Found] = []
        for directory in directories(of: geteuid()) {
            for process in processes(in: directory) {
                let address = Address.unix(path: "\(directory)/\(process).sock")
                if (try? reach(address)) == true { found.append(Found(process: process, address: address)) }
            }
        }
        return found.sorted { $0.process < $1.process }
    }

    /// The processes that have, or had, a socket in a directory.
    private static func processes(in directory: String) -> [Int32] {
        entries(of: directory).compactMap { $0.hasSuffix(".sock") ? Int32($0.dropLast(5)) : nil }
    }

    /// The names in a directory; none if it cannot be read.
    private static func entries(of directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(
                withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
            )
        }
        return names
    }

    /// The socket of a process. Throws if it has none, or none that this process may use.
    public static func socket(of process: Int32) throws(SocketError) -> Address {
        var status = stat()
        guard process > 0, stat("/proc/\(process)", &status) == 0 else {
            throw SocketError(.missing, "there is no process \(process)")
        }
        var failure: SocketError?
        // A program with capabilities seems to be root's.
        let others = status.st_uid == geteuid() ? [] : directories(of: status.st_uid)
        for directory in directories(of: geteuid()) + others {
            let address = Address.unix(path: "\(directory)/\(process).sock")
            do throws(SocketError) {
                if try reach(address) { return address }
            } catch {
                failure = error
            }
        }
        throw failure
            ?? SocketError(
                .missing,
                "process \(process) is no run that can be watched; runs on interfaces are, and others with --control"
            )
    }

    /// Whether somebody listens at an address; throws if this process may not know.
    private static func reach(_ address: Address) throws(SocketError) -> Bool {
        let descriptor = try address.makeSocket()
        defer { close(descriptor) }
        if address.withSystemAddress({ connect(descriptor, $0, $1) }) == 0 { return true }
        let error = SocketError("\(address)", system: errno, doing: "connect")
        if error.kind == .forbidden { throw error }
        return false
    }

    /// The directory that systemd made for this service and its user (RuntimeDirectory= of systemd.exec(5)).
    private static var serviceDirectory: String? {
        let value = getenv("RUNTIME_DIRECTORY").map { String(cString: $0) }
        return value?.split(separator: ":").first.map(String.init).flatMap { $0.hasPrefix("/") ? $0 : nil }
    }

    /// The directory for sockets of this session (XDG Base Directory Specification), if it is this user's.
    private static var runtimeDirectory: String? {
        guard let value = getenv("XDG_RUNTIME_DIR").map({ String(cString: $0) }), value.hasPrefix("/") else {
            return nil
        }
        var status = stat()
        guard stat(value, &status) == 0, status.st_uid == geteuid() else { return nil }
        return "\(value)/spillway"
    }

    /// Where a user's processes may have their sockets.
    private static func directories(of user: uid_t) -> [String] {
        var places = ["/run/user/\(user)/spillway", "/tmp/spillway-\(user)"]
        if user == 0 { places.insert("/run/spillway", at: 0) }
        if user == geteuid(), let own = runtimeDirectory, !places.contains(own) { places.insert(own, at: 0) }
        // Those of services, which only their users and root can enter.
        return places + entries(of: "/run").filter { $0.hasPrefix("spillway-") }.sorted().map { "/run/\($0)" }
    }
}
