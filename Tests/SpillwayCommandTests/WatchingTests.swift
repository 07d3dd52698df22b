// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

/// Watching a run whose pipe has paused.
@Suite struct WatchingTests {
    /// Runs commands in an empty directory while a run waits for more packets: `$P` is its process, `end` lets it end.
    private func run(
        _ commands: String,
        options: String = "--control"
    ) throws -> (
        output: String, error: String, status: Int32
    ) {
        let scratch = Scratch()
        defer { scratch.remove() }
        let prelude = """
            R=\(root.path(percentEncoded: false)) ; export XDG_RUNTIME_DIR=$PWD; mkfifo pipe
            spillway run $R/graphs/flow-monitor.yaml --wire wire=- --set records=records \(options) < pipe > out 2> err & P=$!
            exec 9> pipe; cat $R/Examples/captures/web.pcap >&9
            await() { for _ in $(seq 600); do "$@" > awaited 2>&1 && return; sleep 0.1; done; echo "in vain: $*" >&2; exit 99; }
            seen() { [ "$(spillway read $P wire.packets_in)" = 3793 ]; }
            end() { exec 9>&-; wait $P; }
            trap 'kill -9 $P 2> /dev/null' EXIT

            """
        return try Tool.run(prelude + commands, in: scratch.url)
    }

    @Test(arguments: ["", "--executors split --placement flows-on-nic"]) func valuesAreRead(_ executors: String) throws
    {
        let outcome = try run(
            """
            await seen
            stat -c '%a %F' spillway spillway/$P.sock
            spillway read $P flows.created; spillway read $P check.drops.not_ip
            spillway read $P check.drops; spillway read $P flows.drops.table_full --format json
            spillway read $P flows --format json > flows.json; spillway read $P --format json > all.json
            spillway read $P | grep -c '^flows\\.'
            end; echo $?; ls spillway
            python3 - << '.'
            import json
            flows, everything, report = (json.load(open(n)) for n in ("flows.json", "all.json", "out"))
            assert flows["in"] == 3791 and flows["outputs"] == {"hit": 3791}, flows
            assert everything["wires"] == report["wires"], everything
            for now, end in zip(everything["elements"], report["elements"]):
                assert now["name"] == end["name"] and now["in"] <= end["in"], now
            .
            """,
            options: "--control --format json \(executors)"
        )
        #expect(outcome.status == 0, "\(outcome.error)")
        #expect(
            outcome.output == """
                700 directory
                600 socket
                260
                2
                check.drops.link_type 0
                check.drops.not_ip 2
                check.drops.truncated 0
                check.drops.bad_version 0
                check.drops.bad_header_length 0
                check.drops.bad_length 0
                check.drops.bad_checksum 0
                0
                32
                0

                """,
            "\(outcome.output)"
        )
    }

    @Test func whatIsNotThereIsSaid() throws {
        let outcome = try run(
            """
            await seen
            for name in flows.creatd flwos flows.drops.nothing; do spillway read $P $name; echo $? >&2; done
            spillway read $$; echo $? >&2
            spillway read 99999999; echo $? >&2
            chmod 755 spillway; spillway run $R/graphs/flow-monitor.yaml --wire $R/Examples/captures/web.pcap --set records=r --control > o 2> warning
            echo $? >&2; cat warning >&2; chmod 700 spillway
            kill -9 $P; wait $P; spillway top; echo $? >&2
            """
        )
        for (word, times) in [
            ("did you mean 'flows.created'?\n64\n", 1), ("did you mean 'flows'?\n64\n", 1),
            ("has no value 'flows.drops.nothing'; it has flows.in", 1), (" is no run that can be watched", 2),
            ("there is no process 99999999\n66\n", 1), ("0\nwarning: 'read' and 'top' cannot watch this run: ", 1),
            ("error: there is no run that can be watched", 1),
        ] {
            #expect(outcome.error.components(separatedBy: word).count == times + 1, "\(word): \(outcome.error)")
        }
    }

    /// The socket of a service is where systemd made a directory for it; what killed processes left there goes away.
    @Test func servicesHaveDirectoriesOfTheirOwn() throws {
        let outcome = try run(
            """
            await seen
            mkdir -m 700 own; touch own/99999999.sock own/other
            RUNTIME_DIRECTORY=$PWD/own spillway run $R/graphs/flow-monitor.yaml --wire <(cat $R/Examples/captures/web.pcap; sleep 60) \
                --set records=r --control > o 2> e & Q=$!
            await test -S own/$Q.sock
            ls own | sed "s/$Q/Q/"; kill $Q; wait $Q; ls own
            """
        )
        #expect(
            outcome.output == "other\nQ.sock\nother\n" || outcome.output == "Q.sock\nother\nother\n",
            "\(outcome.error)"
        )
    }

    /// Another user's runs are not to be seen.
    @Test(.enabled(if: getuid() == 0 && Program.isThere("setpriv")))
    func othersMayNotRead() throws {
        let outcome = try run(
            """
            await seen
            unset XDG_RUNTIME_DIR
            spillway run $R/graphs/flow-monitor.yaml --wire <(cat $R/Examples/captures/web.pcap; sleep 60) --set records=r --control > o 2> e & Q=$!
            await spillway read $Q flows.flows
            setpriv --reuid 65534 --clear-groups $(which spillway) read $Q flows.flows; echo $?
            kill $Q; wait $Q
            """
        )
        // Where others cannot even run the program there is nothing to see.
        if outcome.output == "126\n" || outcome.output == "127\n" { return }
        #expect(outcome.output == "77\n", "\(outcome.error)")
        #expect(outcome.error.contains("Permission denied"), "\(outcome.error)")
    }

    @Test func topInPlainText() throws {
        let outcome = try run(
            """
            await seen
            spillway top $P --count 2 --interval 100ms > one; spillway top --count 1 --interval '100 ms' --format json > two
            grep -c '^flow-monitor, process' one; grep -c '^wire  packets/s in' one; grep -c '^flows     FlowTable' one
            wc -l < two; grep -c '"packets_in": 3793' two
            (sleep 0.5; cat $R/Examples/captures/web.pcap | tail -c +25 >&9) & spillway top $P --count 1 > three
            grep -Ec '^wire  +[0-9.,]+  +[0-9.]+ Mbps' three; grep -c '^edge ' three; wait %2
            spillway top $P --interval 100ms > four 2> ended 9>&- & T=$!
            await grep -q flow-monitor four; end; wait $T; echo $?; cat ended
            spillway top $P --interval 1ms 2>&1
            """
        )
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.prefix(8) == ["2", "2", "2", "1", "1", "1", "1", "0"], "\(outcome.output)\(outcome.error)")
        #expect(lines.count == 10 && lines[8].hasSuffix(", which ran 'flow-monitor', has ended"), "\(outcome.output)")
        #expect(outcome.output.contains("--interval '1ms' is no time of at least 100 ms"), "\(outcome.output)")
    }

    /// A page that changes, until a key is pressed or the terminal is interrupted; then the screen is as it was.
    @Test(.enabled(if: Program.hasPython("pty, termios"))) func topOnATerminal() throws {
        let outcome = try run(
            """
            await seen
            cat > terminal.py << '.'
            import fcntl, os, pty, signal, struct, sys, termios, time
            def page(how, **more):
                child, terminal = pty.fork()
                if child == 0:
                    for name in ("COLUMNS", "NO_COLOR"): os.environ.pop(name, None)
                    os.environ.update(more, TERM="xterm")
                    os.execvp("spillway", ["spillway", "top", sys.argv[1], "--interval", "200ms"])
                def size(rows, columns): fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                size(50, 120)
                seen = b""
                def await_(word):
                    nonlocal seen
                    while word not in seen: seen += os.read(terminal, 65536)
                await_(b"FlowTable"); await_(b"\\x1b[J")
                assert not termios.tcgetattr(terminal)[3] & termios.ECHO
                seen = b""; await_(b"\\x1b[J")
                seen = b""; size(8, 30); await_(b"too low"); await_(b"\\x1b[J")
                seen = seen[seen.rindex(b"\\x1b[H"):]
                assert all(len(l.split(b"\\x1b[K")[0].replace(b"\\x1b[H", b"").replace(b"\\x1b[1m", b"").replace(b"\\x1b[m", b"")) <= 30
                           for l in seen.split(b"\\r\\n")), seen
                assert (b"\\x1b[1m" in seen) == ("NO_COLOR" not in more), seen
                os.kill(child, how) if isinstance(how, int) else os.write(terminal, how)
                await_(b"\\x1b[?1049l")
                status = os.waitpid(child, 0)[1]
                print(status, bool(termios.tcgetattr(terminal)[3] & termios.ECHO))
            page(b"q"); page(signal.SIGINT, NO_COLOR="1"); page(b"\\x03")
            .
            timeout 60 python3 terminal.py $P
            """
        )
        #expect(outcome.output == "0 True\n0 True\n0 True\n", "\(outcome.output)\(outcome.error)")
    }

    @Test(.enabled(if: Program.isThere("curl"))) func metricsAreServed() throws {
        let outcome = try run(
            """
            await grep -q /metrics err; U=$(grep -o 'http:.*' err); ls spillway 2>&1 | wc -l
            came() { curl -s -m 5 $U | grep -q '^spillway_wire_received_packets_total{wire="wire"} 3793$'; }
            await came
            curl -s -m 5 -o /dev/null -w '%{http_code} %{content_type}\\n' $U
            curl -s -m 5 -o /dev/null -w '%{http_code}\\n' ${U%metrics}snapshot
            end; echo $?
            """,
            options: "--metrics 127.0.0.1:0"
        )
        #expect(
            outcome.output == "1\n200 text/plain; version=0.0.4; charset=utf-8\n404\n0\n",
            "\(outcome.output)\(outcome.error)"
        )
    }

    /// Metrics that cannot be served are an error: somebody relies on them.
    @Test(
        arguments: [
            ("0.0.0.0:9100", 64, "other machines may reach 0.0.0.0"), ("[::]:9100", 64, "other machines may reach"),
            (":9100", 64, "every address of this machine"), ("9100", 64, "is no address as in 127.0.0.1:9100"),
            ("unix:/no/such/s", 66, "No such file or directory"), ("unix:README.md", 1, "Address already in use"),
        ] as [(String, Int32, String)]
    )
    func badAddresses(_ address: String, _ status: Int32, _ word: String) throws {
        let outcome = try Tool.run(
            "spillway run graphs/flow-monitor.yaml --wire Examples/captures/web.pcap --set records=/dev/null --metrics '\(address)'",
            in: root
        )
        #expect(outcome.status == status && outcome.error.contains(word), "\(outcome.error)")
    }
}
