// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// With how few rights a graph runs on interfaces.
@Suite(.enabled(if: Lab.isPossible), .serialized) struct RightsTests {
    private static let bridge = """
        graph: bridge
        elements:
          left:  {type: Wire}
          right: {type: Wire}
          records: {type: RecordSink, format: csv, file: packets.csv}
          all: {type: MetadataExtractor, per: packet, fields: [proto, length]}
        chains:
          - left.rx -> all.out -> right.tx
          - all.records -> records
          - right.rx -> left.tx
        """

    /// The run goes on as `nobody`, without a right left in any thread, through all that may happen to an interface.
    @Test func aRunGivesUpItsRights() throws {
        let lab = try Lab()
        try lab.write(Self.bridge, to: "bridge.yaml")
        try lab.run(
            """
            begin 4 spillway run bridge.yaml --wire left=if:m0,promisc --wire right=if:m1 --user nobody --run-dir run/kept
            has_changed() { grep -q "^Uid:.$(id -u nobody)" /proc/$runner/status; }; await has_changed
            a ping -q -c 3 -i 0.2 10.77.0.2 > before
            cat /proc/$runner/task/*/status > tasks
            socket=/tmp/spillway-$(id -u nobody)/$runner.sock
            await spillway read $runner left.packets_in; ls -l $socket > socket
            m ip link set m1 down; sleep 0.3; m ip link set m1 up
            await a ping -q -c 1 -W 1 10.77.0.2
            m ip link del m1; replug
            await a ping -q -c 1 -W 1 10.77.0.2
            end INT
            ls -l run/kept > kept
            ls $socket > left 2> gone || true
            """
        )
        #expect(try lab.text("before").contains(" 0% packet loss"))
        let lines = try lab.text("tasks").split(separator: "\n").map { $0.split(whereSeparator: \.isWhitespace) }
        func values(_ key: String) -> Set<Substring> {
            Set(lines.filter { $0.first == "\(key):" }.flatMap { $0.dropFirst() })
        }
        let ids = try ["-u", "-g"].map { try Program.text("id", [$0, "nobody"]).split(separator: "\n")[0] }
        #expect(values("Uid") == [ids[0]] && values("Gid") == [ids[1]] && values("Groups") == [ids[1]])
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] { #expect(values(set) == ["0000000000000000"]) }
        #expect(values("NoNewPrivs").contains("1"))
        #expect(try lab.text("packets.csv").split(whereSeparator: \.isNewline).count > 5)
        // Its user can watch it, and its end takes the socket away.
        #expect(try lab.text("socket").contains("nobody") && lab.text("left").isEmpty)
        #expect(try lab.text("kept").matches(of: /nobody/).count >= 4)
        #expect(try lab.text("err").contains("wire 'right': the interface went down, or away, 2 times\n"))
        #expect(try lab.text("status") == "0\n")
    }

    @Test func whoCannotBecomeAnotherIsTold() throws {
        let lab = try Lab()
        let run = "spillway run $GRAPHS/flow-monitor.yaml --wire wire=if:m0 --set records=records.json --user"
        try lab.run(
            """
            set +e
            m \(run) nosuch 2>> said; echo $? >> said
            m \(run) root 2>> said; echo $? >> said
            \(Program.isThere("setpriv") ? "m setpriv --reuid nobody --clear-groups \(run) nobody 2>> said; echo $? >> said" : "")
            test ! -e records.json
            """
        )
        let said = """
            error: --user: there is no user 'nosuch'
            67
            error: --user: user 'root' is root: name one who has few rights
            64
            error: --user: only root can go on as user 'nobody'
            77

            """
        #expect(try said.hasPrefix(lab.text("said")))
    }

    private static let hasSetpriv: Bool = {
        if Program.isThere("setpriv") { return true }
        print("skipped: a test of capabilities needs setpriv (util-linux)")
        return false
    }()

    /// CAP_NET_RAW is all it takes; without, the way to it is told.
    @Test(.enabled(if: hasSetpriv), arguments: ["if", "libpcap"]) func oneCapabilityIsEnough(_ access: String) throws {
        let lab = try Lab()
        try lab.write(Self.bridge.replacing("packets.csv", with: "/dev/null"), to: "bridge.yaml")
        let run = "spillway run bridge.yaml --wire left=\(access):m0,promisc --wire right=\(access):m1"
        try lab.run(
            """
            begin 4 setpriv --reuid nobody --regid nogroup --clear-groups --inh-caps +net_raw --ambient-caps +net_raw \(run)
            a ping -q -c 3 -i 0.2 10.77.0.2 > ping
            end INT
            set +e
            m setpriv --reuid nobody --regid nogroup --clear-groups \(run) 2> without; echo $? >> without
            """
        )
        #expect(try lab.text("ping").contains(" 0% packet loss"))
        #expect(try lab.text("status") == "0\n")
        let without = try lab.text("without")
        #expect(without.contains("it takes CAP_NET_RAW") && without.hasSuffix("\n77\n"), "\(without)")
    }
}
