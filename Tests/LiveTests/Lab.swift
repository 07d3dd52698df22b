// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport

/// Three network namespaces in a row: `a` and `b` each have one interface, the ends of whose cables are `m0` and `m1` in `m`, between
/// which nothing is forwarded.
///
/// `a` has 10.77.0.1 and fd77::1, `b` 10.77.0.2 and fd77::2.
final class Lab {
    /// Whether this process may make namespaces, and has the programs for it.
    static let isPossible: Bool = {
        guard getuid() == 0, Program.isThere("ip"), Program.isThere("ping"), Program.isThere("curl"),
            Program.isThere("python3"), Program.isThere("ethtool")
        else { return isNot() }
        let name = "spillway-probe-\(getpid())"
        guard (try? Program.run("ip", ["netns", "add", name]))?.status == 0 else { return isNot() }
        _ = try? Program.run("ip", ["netns", "del", name])
        return true
    }()

    private static func isNot() -> Bool {
        print("skipped: tests on interfaces need root, namespaces, iproute2, iputils-ping, ethtool, curl and python3")
        return false
    }

    private let scratch: URL
    private let names: [String]

    init() throws {
        let id = UUID().uuidString.prefix(8)
        names = ["a", "b", "m"].map { "spillway-\(id)-\($0)" }
        scratch = FileManager.default.temporaryDirectory.appending(path: "spillway-lab-\(id)")
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        try write(Lab.frames, to: "frames.py")
        try run(
            """
            for n in $A $B $M; do ip netns add $n; ip -n $n link set lo up; done
            ip link add a0 netns $A type veth peer name m0 netns $M
            ip link add b0 netns $B type veth peer name m1 netns $M
            ip -n $A addr add 10.77.0.1/24 dev a0; ip -n $A addr add fd77::1/64 dev a0 nodad
            ip -n $B addr add 10.77.0.2/24 dev b0; ip -n $B addr add fd77::2/64 dev b0 nodad
            # The kernel of the middle has nothing to say of its own.
            m sysctl -q -w net.ipv6.conf.all.disable_ipv6=1
            ip -n $A link set a0 up; ip -n $B link set b0 up; ip -n $M link set m0 up; ip -n $M link set m1 up
            """
        )
    }

    /// `python3 frames.py INTERFACE COUNT WORD [MAC]` sends frames of no known protocol with a word in them.
    private static let frames = """
        import socket, sys
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        link.bind((sys.argv[1], 0))
        station = bytes.fromhex((sys.argv + ["ffffffffffff"])[4].replace(":", ""))
        for n in range(int(sys.argv[2])):
            link.send(station + bytes.fromhex("02000000000188b5") + sys.argv[3].encode() + bytes(60))
        """

    deinit {
        for name in names { _ = try? Program.run("ip", ["netns", "del", name]) }
        try? FileManager.default.removeItem(at: scratch)
    }

    /// The content of a file that commands have written.
    func text(_ file: String) throws -> String { String(decoding: try bytes(file), as: UTF8.self) }

    /// How often a word stands in a file.
    func count(_ word: String, in file: String) throws -> Int {
        var (bytes, count) = (try bytes(file)[...], 0)
        while let found = bytes.firstRange(of: Data(word.utf8)) {
            count += 1
            bytes = bytes[found.upperBound...]
        }
        return count
    }

    func bytes(_ file: String) throws -> Data { try Data(contentsOf: scratch.appending(path: file)) }

    func write(_ text: String, to file: String) throws { try Data(text.utf8).write(to: scratch.appending(path: file)) }

    /// Runs commands in an empty directory; `a`, `b` and `m` before one run it in that namespace, `begin` runs spillway in the middle
    /// until `end`, which is told the signal; its output is in `out` and `err`, its status in `status`.
    @discardableResult
    func run(_ commands: String) throws -> String {
        let prelude = """
            set -e
            # What runs beside a command that fails would be waited for.
            trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
            A=\(names[0]) B=\(names[1]) M=\(names[2]) GRAPHS=\(root.appending(path: "graphs").path())
            a() { ip netns exec $A "$@"; }
            b() { ip netns exec $B "$@"; }
            m() { ip netns exec $M "$@"; }
            await() { for _ in $(seq 600); do if "$@" > awaited 2>&1; then return 0; fi; sleep 0.1; done; echo "in vain: $*" >&2; exit 1; }
            # A packet socket that is bound has the number of an interface.
            listens() { [ $(m awk 'NR > 1 && $5 > 0' /proc/net/packet | wc -l) -ge $1 ]; }
            # Shells that are not interactive start programs so that they ignore SIGINT.
            serve() { (exec ip netns exec $B python3 -m http.server --bind :: "$@" 8000 > served.log 2>&1) & server=$!; await serves; }
            serves() { b curl -s -o /dev/null http://10.77.0.2:8000/; }
            # The cable between the middle and b once more.
            replug() {
                ip link add b0 netns $B type veth peer name m1 netns $M
                ip -n $B addr add 10.77.0.2/24 dev b0; ip -n $B addr add fd77::2/64 dev b0 nodad
                ip -n $B link set b0 up; ip -n $M link set m1 up; a ip neigh flush all
            }
            begin() { n=$1; shift; (exec ip netns exec $M "$@" > out 2> err) & runner=$!; await listens $n; }
            end() { kill -$1 $runner; wait $runner && echo 0 > status || echo $? > status; }

            """
        let (output, error, status) = try Tool.run(prelude + commands, in: scratch)
        if status != 0 { throw Failure(description: "status \(status): \(error)\n\(output)") }
        return output
    }

    struct Failure: Error, CustomStringConvertible { var description: String }
}
