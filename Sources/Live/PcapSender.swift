// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import CPcap
import Dataplane
import Glibc

/// Sends packets through libpcap, one with each call.
final class PcapSender: LiveSender {
    private let name: String
    private var handle: PcapHandle

    /// Opens an interface to send on.
    init(_ name: String) throws(InterfaceError) {
        self.name = name
        handle = try PcapHandle(sendingOn: name)
        let interface = try? Interface(name)
        super.init(handle.linkType, mtu: interface?.mtu ?? PcapHandle.longest, takesHeaders: false)
    }

    override func send(_ count: Int, _ refused: (Int, SendFault) -> Void) {
        for k in 0..<count {
            // libpcap says what went wrong in words alone; the number of the system call before them stays.
            errno = 0
            if pcap_inject(handle.pointer, vectors[2 * k + 1].iov_base, vectors[2 * k + 1].iov_len) >= 0 { continue }
            switch errno {
            case EAGAIN, ENOBUFS: refused(k, .queueFull)
            case EMSGSIZE, EINVAL: refused(k, .tooLong)
            case ENETDOWN, ENXIO, ENODEV:
                let hasLeft =
                    follow()
                    && pcap_inject(handle.pointer, vectors[2 * k + 1].iov_base, vectors[2 * k + 1].iov_len) >= 0
                if !hasLeft { refused(k, .down) }
            default: refused(k, .down)
            }
        }
    }

    /// Opens the interface again if it is up: it has come back, or was made anew under its name.
    private func follow() -> Bool {
        guard let interface = try? Interface(name), interface.isUp, let again = try? PcapHandle(sendingOn: name) else {
            return false
        }
        handle = again
        return true
    }
}
