// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Foundation
import GraphFile
import Model
import Reports
import TestSupport
import Testing

/// The judge is the `jsonschema` package of Python.
@Suite struct SchemaTests {
    static let graph = """
        # yaml-language-server: $schema=schema/graph.json
        graph: syn-front
        about: Answers SYNs on the NIC; only finished handshakes reach the server.
        params:
          vip:  {type: ipv4, default: 192.0.2.10, about: address clients connect to}
          port: {type: integer, default: 80}
          mode: {type: choice, values: [a, b]}
        elements:
          wire: {type: Wire}
          all:
            type: Everything
            count: 0x10
            on: false
            label: 5
            policy: 4
            policies: [pass, drop]
            wait: 1.5 ms
            room: 64 MiB
            speed: 64 Gbps
            loss: 0.5
            rules: {syn: dst host $vip and dst port $port, all: ip}
            mac: 02:00:5e:00:00:0A
            peer: none
            networks: [192.0.2.1, $vip/24, 2001:db8::/32]
          front/all@2: {type: Everything, place: host, count: $port, wait: "$window ms", speed: $speed, rules: {}, room: 0}
          known:  {type: FlowTable, capacity: 65536}
        chains:
          - wire.rx -> IPCheck -> all
          - all.syn ->
            known -> Counter
        together: [[all, known]]
        placements:
          host-only:     {default: host}
          cookie-on-nic: {nic: [wire, IPCheck@1], host: [all], default: host}
        """

    static let valid = [
        graph,
        "graph: g\nuse: [lib/tcp-front.yaml]\nelements:\n  front: {type: TCPFront, vip: $vip}\nchains: [wire.rx -> front]\n",
        """
        compound: TCPFront
        params:  {vip: {type: ipv4}, port: {type: integer, default: 80}}
        inputs:  [in]
        outputs: [open, reply]
        elements: {known: {type: FlowTable}}
        chains: [in -> known -> open]
        """,
        "placement: cookie-on-nic\ngraph: ../syn-front.yaml\nnic: [IPCheck@1, sort]\ndefault: host\n",
        """
        profile: example-nic
        about: Round numbers that make the trade-offs visible.
        not_modelled: [cache contention]
        nic:
          cores: {value: 8, source: assumption}
          clock: {value: 2.0 GHz, source: assumption}
          cycles:
            parse: {value: 60, source: assumption}
            hash: "free: done in hardware"
            look_up: {value: 250, wait: 100, accesses: 2, source: assumption}
        """,
        """
        graph: syn-front.yaml
        tests:
          - name: a forged ACK never reaches the server
            set: {port: 8080}
            in:  {wire: ["198.51.100.7:4000 > 192.0.2.10:80 A seq=1 ack=99"]}
            out: {wire: [], drops: {cookie.bad_cookie: 1}}
        """,
    ]

    /// Each with a word of the complaint.
    static let invalid: [(String, String)] = [
        ("graph: g\n", "chains"), ("graph: g\nchains: []\nextra: 1\n", "extra"),
        ("graph: g\nchains: [a]\n", "->"), ("graph: g\nchains: [a -> b]\nplacements: {x: {default: nix}}\n", "nix"),
        (element("{type: Everything, rules: {}}"), "speed"), (element("{type: Counter, limit: 3}"), "limit"),
        (element("{type: Countr}"), "Countr"), (element("{place: nic}"), "type"),
        (element("{type: FlowTable, capacity: 0}"), "0"), (element("{type: FlowTable, capacity: ten}"), "ten"),
        (element("{type: FlowTable, idle: 20}"), "20"),
        (element("{type: FlowTable, idle: 20 lightyears}"), "lightyears"),
        (element("{type: FlowTable, on_full: explode}"), "explode"),
        (element("{type: Counter, place: nix}"), "nix"), (everything("loss: 2"), "2"),
        (everything("on: maybe"), "maybe"),
        (everything("policies: []"), "[]"), (everything("policies: [drop, drop]"), "drop"),
        (everything("room: 3 GHz"), "GHz"), (everything("label: [x]"), "x"),
        (everything("mac: '02:00'"), "02:00"), (everything("mac: none"), "none"),
        (everything("peer: nobody"), "nobody"),
        (everything("networks: {a: b}"), "a"),
        ("graph: g\nchains: [a -> b]\nparams: {x: {default: 1}}\n", "type"),
        ("graph: g\nchains: [a -> b]\nparams: {x: {type: choice}}\n", "values"),
        ("compound: C\ninputs: [in]\nchains: [in -> b]\n", "outputs"),
        ("placement: p\ngraph: g.yaml\nnic: wire\n", "wire"), ("profile: p\nnic: {cores: 8}\n", "8"),
        ("profile: p\nnic: {cores: {value: 8}}\n", "source"), ("graph: g.yaml\ntests: [{name: x, in: {}}]\n", "out"),
        ("graph: g.yaml\ntests: [{name: x, in: {}, out: {drops: {a.b: -1}}}]\n", "-1"), ("[]\n", "[]"),
        ("other: 1\n", "other"),
    ]

    static func element(_ body: String) -> String { "graph: g\nelements: {e: \(body)}\nchains: [a -> e]\n" }
    static func everything(_ parameter: String) -> String {
        element("{type: Everything, speed: 1 pps, rules: {}, \(parameter)}")
    }

    @Test(.enabled(if: hasJSONSchema)) func theSchemaIsOne() throws {
        #expect(try validate([]) == [])
    }

    @Test(.enabled(if: hasJSONSchema)) func goodFilesAreValid() throws {
        #expect(try validate(Self.valid) == Self.valid.map { _ in "" })
        let new = try NewGraph.text("wire.rx -> FlowTable -> Everything.web -> wire.tx", catalog: catalog)
        #expect(try validate([new]) == [""])
    }

    @Test(.enabled(if: hasJSONSchema)) func badFilesAreNot() throws {
        let answers = try validate(Self.invalid.map(\.0))
        try #require(answers.count == Self.invalid.count)
        for ((text, word), answer) in zip(Self.invalid, answers) {
            #expect(answer != "", "\(text)")
            #expect(answer.contains(word), "\(text)\n\(answer)")
        }
    }

    /// Every graph, profile and test that is shipped.
    @Test(.enabled(if: hasJSONSchema)) func shippedFilesAreValid() throws {
        var names: [String] = []
        var texts: [String] = []
        for folder in ["graphs", "Examples"] {
            let files = FileManager.default.enumerator(atPath: root.appending(path: folder).path())
            while let file = files?.nextObject() as? String {
                guard file.hasSuffix(".yaml"), !file.contains(".build") else { continue }
                let text = try String(contentsOf: root.appending(path: "\(folder)/\(file)"), encoding: .utf8)
                // An element of the example package is in no catalog here.
                if text.contains("type: TTLGuard") { continue }
                names.append(file)
                texts.append(text)
            }
        }
        let answers = try validate(texts)
        for (name, answer) in zip(names, answers) { #expect(answer == "", "\(name)") }
    }

    /// Names of figures are known, and words that they may be.
    @Test(.enabled(if: hasJSONSchema)) func figuresAreNamed() throws {
        let files = [
            "profile: p\nmac: {ports: {value: 2, source: x}}\n", "profile: p\nmac: {prots: {value: 2, source: x}}\n",
            "profile: p\nnic: {dispatch: {value: round, source: x}}\n",
            "profile: p\nnic: {cycles: {hash: \"free: x\"}}\n",
            "profile: p\nchannel: {to_nic: {in_flight: {value: 2}}}\n", ProfilePages.new("p"),
        ]
        let answers = try validate(files)
        try #require(answers.count == files.count)
        #expect(answers.map { $0 == "" } == [true, false, false, true, false, true])
        #expect(answers[1].contains("prots") && answers[2].contains("round") && answers[4].contains("source"))
    }

    /// What is wrong is said of the kind of file it is, not that it is of no kind.
    @Test(.enabled(if: hasJSONSchema)) func messagesAreAboutTheKind() throws {
        let answers = try validate([
            "graph: g\nchans: []\n", "compound: C\ninputs: [in]\nchains: []\n", "graph: g.yaml\ntests: [{nme: a}]\n",
            "grph: g\n", "placement: p\ngraph: g.yaml\nnik: [a]\n",
        ])
        let words = ["'chans'", "'outputs'", "'nme'", "'graph'", "'nik'"]
        for (answer, word) in zip(answers, words) {
            #expect(answer.contains(word) && !answer.contains("given schemas"), "\(answer)")
        }
    }

    @Test func theTextIsAlwaysTheSame() {
        let schema = GraphSchema.json(catalog)
        #expect(schema == GraphSchema.json(Catalog(catalog.types.reversed())))
        #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(schema.utf8)) }
    }

    static let hasJSONSchema = Program.hasPython("jsonschema, yaml; jsonschema.Draft202012Validator")

    /// For each document what is wrong with it, empty when it is valid.
    private func validate(_ documents: [String]) throws -> [String] {
        let script = #"""
            import json, sys, yaml, jsonschema
            class Loader(yaml.SafeLoader):  # booleans as in YAML 1.2, no dates
                pass
            Loader.yaml_implicit_resolvers = {
                first: [(tag, regexp) for tag, regexp in resolvers if tag not in
                        ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")]
                for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
            }
            import re
            Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))
            schema, documents = json.load(sys.stdin)
            jsonschema.Draft202012Validator.check_schema(schema)
            validator = jsonschema.Draft202012Validator(schema)
            def leaves(error):
                return [x for e in error.context for x in leaves(e)] + [error.message]
            answers = []
            for text in documents:
                document = yaml.load(text, Loader)
                answers.append("; ".join(x for e in validator.iter_errors(document) for x in leaves(e)))
            json.dump(answers, sys.stdout)
            """#
        let figures = FigureType.all.map { type in
            var words: [String] = []
            if case .word(let all) = type.kind { words = all }
            return GraphSchema.Figure(path: type.path, about: type.about, words: words)
        }
        let text = GraphSchema.json(catalog, figures: figures)
        let schema = try JSONSerialization.jsonObject(with: Data(text.utf8))
        let input = try JSONSerialization.data(withJSONObject: [schema, documents])
        let result = try Program.run("python3", ["-c", script], input: input)
        try #require(result.status == 0, "\(String(decoding: result.error, as: UTF8.self))")
        return try #require(try JSONSerialization.jsonObject(with: result.output) as? [String])
    }
}
