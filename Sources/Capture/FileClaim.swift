// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// The use of a regular file by this process, for as long as the claim lives.
///
/// Truncating a mapped capture would end the process with SIGBUS, and two writers would garble one file. So a writer needs
/// exclusive use of its file.
///
/// Whoever has a claim must let it go before the file itself: the system may give the inode of a file that was removed and is no longer
/// open to another one, which would then seem to be in use.
final class FileClaim: Sendable {
    enum Use { case reading, writing }

    private struct Identity: Hashable {
        var device: dev_t
        var inode: ino_t
    }

    private static let users = Mutex<[Identity: (readers: Int, isWritten: Bool)]>([:])
    private let identity: Identity
    private let use: Use

    /// Claims the file that `status` describes; nil if another use conflicts.
    init?(_ status: stat, for use: Use) {
        let identity = Identity(device: status.st_dev, inode: status.st_ino)
        let isFree = FileClaim.users.withLock { users in
            var user = users[identity] ?? (readers: 0, isWritten: false)
            if user.isWritten || (use == .writing && user.readers > 0) { return false }
            if use == .writing { user.isWritten = true } else { user.readers += 1 }
            users[identity] = user
            return true
        }
        if !isFree { return nil }
        self.identity = identity
        self.use = use
    }

    deinit {
        FileClaim.users.withLock { users in
            if use == .reading, let user = users[identity], user.readers > 1 {
                users[identity] = (user.readers - 1, user.isWritten)
            } else {
                users[identity] = nil
            }
        }
    }
}
