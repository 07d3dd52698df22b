// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// A user of this system who has few rights, which a process of root takes for its own once it has opened what takes more.
public struct RunUser: Sendable, Equatable {
    /// Its name.
    public let name: String
    private let user: uid_t
    private let group: gid_t

    /// The reason a process cannot become a user.
    public struct Failure: Error, Sendable, CustomStringConvertible {
        /// What is in the way, as far as callers distinguish it.
        public var kind: Kind
        public var description: String

        /// Kinds of reasons.
        public enum Kind: Sendable {
            /// There is no such user.
            case unknown
            /// The process lacks the right to it.
            case forbidden
            /// Anything else.
            case other
        }
    }

    /// The user called `name`, who is not root. Throws a ``Failure``, also if this process is not one of root.
    public init(_ name: String) throws(Failure) {
        guard let entry = getpwnam(name) else {
            throw Failure(kind: .unknown, description: "there is no user '\(name)'")
        }
        self.name = name
        user = entry.pointee.pw_uid
        group = entry.pointee.pw_gid
        if user == 0 {
            throw Failure(kind: .other, description: "user '\(name)' is root: name one who has few rights")
        }
        if geteuid() != 0 {
            throw Failure(kind: .forbidden, description: "only root can go on as user '\(name)'")
        }
    }

    /// Makes this process, with all its threads, one of the user and the user's groups, with no capability and no way back. What is
    /// open stays open.
    public func become() throws(Failure) {
        // Groups first: that takes the rights that go last. Of root these calls set the real and the saved one too, in all threads.
        if initgroups(name, group) != 0 || setgid(group) != 0 || setuid(user) != 0 { throw failure(errno) }
        let error = clinux_give_up_rights()
        if error != 0 { throw failure(error) }
        // A system that lets them come back would be found out only by an attacker.
        if setuid(0) == 0 || seteuid(0) == 0 || group != 0 && (setgid(0) == 0 || setegid(0) == 0) {
            throw Failure(kind: .other, description: "rights that were given up for user '\(name)' can be had back")
        }
    }

    /// Gives a directory and its files, as far as they are there, to the user.
    func own(_ directory: String, files: [String]) throws {
        for path in [directory] + files.map({ "\(directory)/\($0)" }) where Files.exists(path) {
            if lchown(path, user, group) != 0 { throw Files.Failure(path: path, errno: errno) }
        }
    }

    private func failure(_ error: Int32) -> Failure {
        Failure(
            kind: error == EPERM ? .forbidden : .other,
            description: "cannot go on as user '\(name)': \(String(cString: strerror(error)))"
        )
    }
}
