// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// Graphs that watch an interface.
@Suite(.enabled(if: Lab.isPossible), .serialized) struct MonitorTests {
    /// The kernel bridges the middle, and the graph sees what tcpdump sees there.
    @Test(.enabled(if: Program.isThere("tcpdump")), arguments: ["if", "libpcap"])
    func seesWhatTcpdumpSees(_ access: String) throws {
        let lab = try Lab()
        let requests = 40
        try lab.run(
            """
            m ip link add bridge type bridge; m ip link set m0 master bridge; m ip link set m1 master bridge; m ip link set bridge up
            await a ping -q -c 1 -W 1 10.77.0.2
            serve
            begin 1 spillway run $GRAPHS/http-log.yaml --wire wire=\(access):m0 --set records=records.json --format json
            (exec ip netns exec $M tcpdump -i m0 -s 0 -w seen.pcap 2> tcpdump.log) & watcher=$!; await listens 2
            for n in $(seq \(requests)); do a curl -s -m 20 -o /dev/null http://10.77.0.2:8000/awaited; done
            sleep 2.5; wc -l < records.json > while
            kill $server
            kill -TERM $watcher; wait $watcher
            kill -USR1 $runner; await grep -q sink err
            end INT
            spillway run $GRAPHS/http-log.yaml --wire wire=seen.pcap --set records=offline.json --format json > offline
            """
        )
        // Records are written while the run goes on.
        #expect(try lab.text("while") == "\(requests)\n")
        func lines(_ file: String) throws -> [String] {
            try lab.text(file).split(separator: "\n").map { line in
                let record = try JSONSerialization.jsonObject(with: Data(line.utf8)) as! [String: Any]
                return "\(record["sport"]!) \(record["method"]!) \(record["target"]!) \(record["status"]!)"
            }
        }
        #expect(try lines("records.json") == lines("offline.json"))
        #expect(try !lab.text("err").contains("kernel dropped"))
        #expect(try lab.text("status") == "0\n")
    }

    /// What nginx logged of requests that wrk sent is what http-log found, one by one.
    @Test(.enabled(if: Program.isThere("nginx") && Program.isThere("wrk"))) func findsEveryRequest() throws {
        let lab = try Lab()
        try lab.write(
            """
            daemon off; pid nginx.pid; error_log stderr; worker_processes 1; events {}
            http {
                log_format all '$request_method $request_uri $status'; access_log access.log all; client_body_temp_path temp;
                server { listen 10.77.0.2:8000; location / { limit_rate 4m; return 200 $request_uri; } }
            }
            """,
            to: "nginx.conf"
        )
        try lab.write(
            """
            n = 0
            request = function() n = n + 1; wrk.headers["Connection"] = n % 7 == 0 and "close" or nil; return wrk.format("GET", "/" .. n) end
            delay = function() return 5 end
            """,
            to: "requests.lua"
        )
        try lab.run(
            """
            m ip link add bridge type bridge; m ip link set m0 master bridge; m ip link set m1 master bridge; m ip link set bridge up
            await a ping -q -c 1 -W 1 10.77.0.2
            begin 1 spillway run $GRAPHS/http-log.yaml --wire wire=if:m0 --set records=records.json --format json
            (exec ip netns exec $B nginx -p $PWD -c nginx.conf > nginx.log 2>&1) & server=$!; await serves
            a wrk -t 1 -c 8 -d 2s -s requests.lua http://10.77.0.2:8000/ > wrk
            sleep 1; kill $server; sleep 1
            end INT
            """
        )
        // Whether it serves was asked in its own namespace.
        let logged = try lab.text("access.log").split(separator: "\n").map(String.init).filter { $0 != "GET / 200" }
            .sorted()
        let records = try lab.text("records.json").split(separator: "\n").map {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as! [String: Any]
        }
        let found = records.map { "\($0["method"] ?? "") \($0["target"] ?? "") \($0["status"] ?? "")" }.sorted()
        #expect(logged.count > 500 && found == logged, "\(logged.count) logged, \(found.count) found")
    }

    /// A run on an interface can be watched without being told so, on several threads too.
    @Test(arguments: ["", "--threads 2", "--executors split --placement flows-on-nic"])
    func canBeWatched(_ executors: String) throws {
        let lab = try Lab()
        try lab.run(
            """
            unset XDG_RUNTIME_DIR
            begin \(executors == "--threads 2" ? 2 : 1) spillway run $GRAPHS/flow-monitor.yaml --wire wire=if:m0 --set records=/dev/null \(executors)
            (for _ in $(seq 100); do a ping -q -c 1 -W 0.1 10.77.0.2; done > pings 2>&1 || true) &
            came() { [ $(spillway read $runner wire.packets_in) -gt 2 ]; }
            await came
            spillway read $runner wire.kernel_drops > drops
            spillway top $runner --count 1 > top
            kill -USR1 $runner; asked() { grep -q '^wire ' err; }; await asked
            end INT; test ! -e /run/spillway/$runner.sock
            """
        )
        #expect(try lab.text("drops") == "0\n")
        #expect(try lab.text("top").contains("kernel drops/s  outages"))
        // The tables so far, beside those at the end.
        #expect(try lab.text("err").contains("RecordSink") && lab.text("out").contains("RecordSink"))
        #expect(try lab.text("status") == "0\n")
    }

    /// Nobody who can send packets knows the seed, unless it is asked for; the report says that the run was ended.
    @Test func theSeedIsTheOneAskedForOrUnknown() throws {
        let lab = try Lab()
        try lab.run(
            """
            for run in "asked --seed 7" "first" "second"; do set -- $run; name=$1; shift
                begin 1 spillway run $GRAPHS/classify.yaml --wire wire=if:m0,write=$name.pcap --format json --run-dir $name "$@"
                end INT
                cp out $name.json; cat status >> statuses
            done
            """
        )
        func seed(_ run: String) throws -> UInt64? {
            let manifest = try lab.text("\(run)/manifest.json")
            #expect(manifest.contains("\"interrupted\": true") && manifest.contains("\"interface\": \"if:m0\""))
            return UInt64(try #require(manifest.firstMatch(of: /"seed": (\d+)/)).1)
        }
        #expect(try seed("asked") == 7)
        #expect(try seed("first") != seed("second") && seed("first") != 1)
        #expect(try lab.text("asked.json").contains("\"interrupted\": true"))
        #expect(try lab.text("statuses") == "0\n0\n0\n")
    }

    @Test(arguments: ["if", "libpcap"]) func whatCannotBeOpenedIsSaid(_ access: String) throws {
        let lab = try Lab()
        try lab.run(
            """
            m ip link set m1 down
            for name in nosuch m1; do
                set +e; m spillway run $GRAPHS/flow-monitor.yaml --wire wire=\(access):$name 2> $name; echo $? >> $name; set -e
            done
            """
        )
        #expect(try lab.text("nosuch") == "error: interface 'nosuch': no such interface\n66\n")
        #expect(try lab.text("m1") == "error: interface 'm1': is down; 'ip link set m1 up'\n1\n")
    }
}
