// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// A regular file, mapped as a whole. Whoever reads the same file at the same time has the same mapping, so that the threads that share
/// a capture fetch each of its pages once; of the bytes that all have read only the last part stays in memory.
final class FileMap: Sendable {
    private struct Identity: Hashable {
        var device: dev_t
        var inode: ino_t
        var size: off_t
    }
    private struct Weak { weak var map: FileMap? }
    private static let maps = Mutex<[Identity: Weak]>([:])

    /// The file's bytes.
    nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer
    private let identity: Identity

    /// How far readers have come, and up to where the memory was released.
    private struct Progress {
        var readers: [Int: Int] = [:]
        var next = 0
        var released = 0
    }
    private let progress = Mutex(Progress())

    /// The mapping of the file that `descriptor` and `status` are of, which may then be closed; nil if the file system cannot map files.
    static func of(_ descriptor: Int32, _ status: stat) -> FileMap? {
        let identity = Identity(device: status.st_dev, inode: status.st_ino, size: status.st_size)
        return maps.withLock { maps in
            if let map = maps[identity]?.map { return map }
            let map = FileMap(descriptor, identity)
            maps[identity] = map.map { Weak(map: $0) }
            return map
        }
    }

    private init?(_ descriptor: Int32, _ identity: Identity) {
        let size = Int(identity.size)
        guard let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
            return nil
        }
        // The kernel may read far ahead, and reclaim first what has been read.
        madvise(start, size, MADV_SEQUENTIAL)
        bytes = UnsafeMutableRawBufferPointer(start: start, count: size)
        self.identity = identity
    }

    deinit {
        munmap(bytes.baseAddress!, bytes.count)
        FileMap.maps.withLock { maps in if maps[identity]?.map == nil { maps[identity] = nil } }
    }

    /// The number of a reader, at the file's beginning.
    func addReader() -> Int {
        progress.withLock { progress in
            progress.next += 1
            progress.readers[progress.next] = 0
            return progress.next
        }
    }

    /// A reader needs no more.
    func removeReader(_ reader: Int) {
        progress.withLock { progress in progress.readers[reader] = nil }
    }

    /// A reader needs nothing before `position`.
    func note(_ reader: Int, at position: Int) {
        let page = Int(getpagesize())
        progress.withLock { progress in
            progress.readers[reader] = max(0, position) / page * page
            let end = progress.readers.values.min()!
            if end <= progress.released { return }
            madvise(bytes.baseAddress! + progress.released, end - progress.released, MADV_DONTNEED)
            progress.released = end
        }
    }
}
