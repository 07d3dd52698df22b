// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane
import Testing

@testable import GraphFile

@Suite struct GraphLoaderTests {
    @Test func theExampleOfTheDesignLoads() throws {
        let loaded = load(synFront)
        #expect(loaded.rendered == "")
        let graph = try #require(loaded.graph)
        #expect(graph.name == "syn-front")
        #expect(
            graph.nodes.map(\.name) == [
                "wire", "sort", "cookie", "known", "IPCheck@1", "Counter@1", "Discard@1", "Discard@2",
            ]
        )
        #expect(
            loaded.chains == [
                "wire.rx -> IPCheck@1.in", "IPCheck@1.out -> sort.in", "sort.syn -> cookie.syn", "sort.ack -> known.in",
                "known.miss -> cookie.ack", "cookie.accepted -> known.insert", "known.hit -> Counter@1.in",
                "Counter@1.out -> Discard@1.in", "cookie.reply -> wire.tx", "sort.other -> Discard@2.in",
            ]
        )
        #expect(loaded.params.map { "\($0.name)=\($0.value)" } == ["vip=192.0.2.10", "port=80"])
        #expect(graph.placements.map(\.name) == ["host-only", "cookie-on-nic"])
        #expect(graph.placements[0].sides == [.nic, .host, .host, .host, .host, .host, .host, .host])
        #expect(graph.placements[1].sides == [.nic, .nic, .nic, .nic, .nic, .host, .host, .host])
        let rules = graph.nodes[1].element.settings[0].text
        #expect(rules.contains("tcp-syn and dst host 192.0.2.10 and dst port 80"))
    }

    /// The error shown in the design, to the letter.
    @Test func theErrorOfTheDesignIsShownSo() {
        let text = synFront.replacing("  - sort.syn -> cookie.syn", with: "  - sort.sym -> cookie.syn")
        #expect(
            load(text).rendered == """
                g.yaml:18:5: error: element 'sort' has no port 'sym' [unknown_port]
                   18 |   - sort.sym -> cookie.syn
                      |     ^^^^^^^^ did you mean 'sort.syn'?
                g.yaml:9:3: note: 'sort' is a Classifier declared here; its ports are in, syn, ack, other

                """
        )
    }

    @Test func settingsTakeThePlaceOfDefaults() throws {
        let loaded = load(synFront, settings: [("port", "8080"), ("vip", "198.51.100.1")])
        #expect(loaded.rendered == "")
        #expect(loaded.params.map(\.value) == ["198.51.100.1", "8080"])
        #expect(
            try #require(loaded.graph).nodes[1].element.settings[0].text.contains(
                "dst host 198.51.100.1 and dst port 8080"
            )
        )
    }

    /// What only shows when elements are made is reported for all of them, and of each all that is wrong.
    @Test func allErrorsOfMakingCome() {
        let text = """
            graph: g
            elements:
              sort: {type: Classifier, rules: {in: tcp, good: udp, Web: arp}}
              seen: {type: MetadataExtractor, fields: [ttl, src, time_ns], labels: {src: a, site: b}}
            chains:
              - Wire.rx -> FlowTable -> seen -> RecordSink
            """
        let loader = GraphLoader(catalog: .standard, services: TestServices()) { _ in Array(text.utf8) }
        let messages = loader.loadGraph("g.yaml").diagnostics.map(\.message)
        for words in [
            "cannot be named 'in'", "cannot be named 'Web'", "'ttl' is not a field", "'time_ns' is not a field",
            "'src' names two columns",
        ] { #expect(messages.count { $0.contains(words) } == 1, "\(words)") }
    }

    @Test func settingsAreChecked() {
        #expect(
            load(synFront, settings: [("prot", "80"), ("port", "http")]).rendered == """
                --set:1:1: error: the graph has no parameter 'prot'; it has vip, port [unknown_parameter]
                    1 | prot=80
                      | ^^^^ did you mean 'port'?
                --set:1:6: error: 'http' is not a whole number [bad_value]
                    1 | port=http
                      |      ^^^^

                """
        )
    }

    @Test func aResolvedGraphLoadsToTheSameGraph() throws {
        let loaded = load(synFront + "together: [[cookie, known]]\n")
        let again = load(try #require(loaded.resolvedYAML))
        #expect(again.rendered == "")
        #expect(again.chains == loaded.chains)
        #expect(again.graph?.nodes.map(\.name) == loaded.graph?.nodes.map(\.name))
        #expect(again.graph?.placements == loaded.graph?.placements)
        #expect(again.graph?.together == [[2, 3]])
        let settings = { (graph: GraphSpec?) in
            graph?.nodes.flatMap { $0.element.settings.map { "\($0.name)=\($0.text)" } }
        }
        #expect(settings(again.graph) == settings(loaded.graph))
        #expect(again.resolvedYAML == loaded.resolvedYAML)
        #expect(loaded.resolvedYAML?.contains("idle: 5 min") == true)
    }

    /// Every default of every element that comes with Spillway can be written out and read again.
    @Test(arguments: Catalog.standard.types.map(\.name))
    func defaultsOfEveryElementComeBack(_ name: String) throws {
        let type = try #require(Catalog.standard[name])
        let needed = type.parameters.filter { $0.defaultText == nil }.map { parameter in
            switch parameter.type {
            case .rate: ", \(parameter.name): 1 Mpps"
            case .filters: ", \(parameter.name): {web: tcp port 80}"
            case .integer(let range): ", \(parameter.name): \(range.lowerBound)"
            case .ethernet: ", \(parameter.name): 02:00:00:00:00:01"
            case .prefixes(let versions):
                ", \(parameter.name): [\(versions.map { $0 == 4 ? "192.0.2.1" : "2001:db8::1" }.joined(separator: ", "))]"
            default: ", \(parameter.name): x"
            }
        }
        let load = { (text: String) in
            GraphLoader(catalog: .standard, services: TestServices()) { _ in Array(text.utf8) }.loadGraph("g.yaml")
        }
        let loaded = load("graph: g\nelements: {x: {type: \(name)\(needed.joined())}}\nchains: []\n")
        #expect(loaded.codes == ["unused_element"])
        let again = load(try #require(loaded.resolvedYAML))
        #expect(again.codes == ["unused_element"])
        let settings = { (graph: GraphSpec?) in graph?.nodes.first?.element.settings.map { "\($0.name)=\($0.text)" } }
        #expect(settings(again.graph) == settings(loaded.graph))
        #expect(again.resolvedYAML == loaded.resolvedYAML)
        for parameter in type.parameters where parameter.defaultText?.isEmpty == false {
            #expect(loaded.resolvedYAML?.contains("    \(parameter.name):") == true, "\(parameter.name)")
        }
    }

    /// Texts that YAML, or our own `$`, could take for something else come back as they were.
    @Test(arguments: [
        "plain", "a b", " a", "a ", "a: b", "a #b", "#", "[x]", "{y}", "- a", "$$x", "100$$", "\"q\"", "it's", "é",
        "a\\tb", "*a", "&a", "!t",
        "%", "@", "`", "?", "|", ">", "true", "~", "null", "0x1F", "-", "a,b",
    ])
    func textsComeBackFromAResolvedGraph(_ text: String) throws {
        let quoted = "'" + text.replacing("'", with: "''") + "'"
        let first = load("graph: g\nelements: {s: {type: RecordSink, file: \(quoted)}}\nchains: [Wire -> s]\n")
        let file = text.replacing("$$", with: "$")
        #expect(first.graph?.nodes[0].element.settings.first?.text == file)
        let second = load(try #require(first.resolvedYAML))
        #expect(second.rendered == "")
        #expect(second.graph?.nodes[0].element.settings.first?.text == file)
    }

    // MARK: Chains

    @Test func foldedAndQuotedChainsHaveExactColumns() {
        let loaded = load(
            """
            graph: g
            elements:
              w: {type: Wire}
            chains:
              - w.rx
                  -> IPChek -> Discard
              - "IPCheck -> Discarf"
              - 'Counter -> Diskard'
              - >-   # a comment
                Counter
                -> Tea
              - "Counter -> \\u0044iscart"

            """
        )
        #expect(
            loaded.diagnostics.map { "\($0.line):\($0.column)+\($0.length) \($0.code)" } == [
                "6:10+6 unknown_type", "7:17+7 unknown_type", "8:17+7 unknown_type", "11:8+3 unknown_type",
                "12:5+25 unknown_type",
            ]
        )
    }

    @Test func columnsCountCharactersNotBytes() {
        let loaded = load(
            "graph: g\nabout: \"\u{1F600} größer\u{2028}\u{85}…\"\nelements: {größe: {type: Wire}}\nchains: [Wïre.rx -> Discard]\n"
        )
        #expect(
            loaded.diagnostics.map { "\($0.line):\($0.column) \($0.code)" } == ["3:12 bad_name", "4:11 chain_syntax"]
        )
    }

    @Test func carriageReturnsEndLines() {
        let loaded = load("graph: g\r\nelements:\r\n  w: {type: Wyre}\r\nchains: [w -> Discard]\r\n")
        #expect(loaded.diagnostics.map { "\($0.line):\($0.column) \($0.code)" } == ["3:13 unknown_type"])
        #expect(loaded.diagnostics.first?.sourceLine == "  w: {type: Wyre}")
    }

    @Test func portsInMidChainBelongToTheSideThatHasThem() {
        let loaded = load(
            """
            graph: g
            elements: {w: {type: Wire}, t: {type: FlowTable}, c: {type: SYNCookie}}
            chains:
              - w -> t.miss -> c.ack -> t.insert -> w
              - c.reply -> c.syn

            """
        )
        #expect(loaded.rendered == "")
        #expect(
            loaded.chains == [
                "w.rx -> t.in", "t.miss -> c.ack", "c.accepted -> t.insert", "t.hit -> w.tx", "c.reply -> c.syn",
            ]
        )
    }

    @Test func bareTypesAreNumberedPerTypeAndCanBeNamed() {
        let loaded = load(
            """
            graph: g
            elements: {Counter@1: {type: Counter}}
            chains:
              - Wire -> Counter@1 -> Counter -> Counter@3
              - Counter@3 -> Discard
              - Wire.rx -> Counter

            """
        )
        #expect(loaded.rendered == "")
        #expect(
            loaded.chains == [
                "Wire@1.rx -> Counter@1.in", "Counter@1.out -> Counter@2.in", "Counter@2.out -> Counter@3.in",
                "Counter@3.out -> Discard@1.in", "Wire@2.rx -> Counter@3.in",
            ]
        )
    }

    @Test func inputsMergeAndCyclesAreFine() {
        let loaded = load(
            """
            graph: g
            elements: {again: {type: Classifier, rules: {tunnel: proto 4}}}
            chains:
              - Wire -> Counter
              - Wire -> Counter@1
              - Counter@1 -> again -> Discard
              - again.tunnel -> Counter@1

            """
        )
        #expect(loaded.codes == ["output_used_twice"])
        let mended = load(
            """
            graph: g
            elements: {again: {type: Classifier, rules: {tunnel: proto 4}}}
            chains:
              - Wire -> Counter
              - Wire -> Counter@1
              - Counter@1 -> again.other -> Discard
              - again.tunnel -> Counter@1

            """
        )
        #expect(mended.rendered == "")
        #expect(mended.chains.last == "again.tunnel -> Counter@1.in")
    }

    // MARK: Everything at once, and nothing twice

    @Test func allErrorsAreToldAtOnceWithoutFollowUps() {
        let loaded = load(
            """
            graph: g
            elements:
              a: {type: Countr}
              b: {type: FlowTable, capacity: lots, idel: 3 s}
              c: {type: Counter}
              s: {type: Classifier, rules: {x: tcp prot 1, y: udp}}
            chains:
              - Wire -> a -> b -> c -> nobody -> s
              - s.x -> b
              - c.out -> => Discard
              - s.z -> Discard
            placements:
              p: {nic: [a, b, s, zz], default: hots}

            """
        )
        #expect(
            loaded.codes == [
                "unknown_type", "bad_value", "unknown_parameter", "bad_filter", "unknown_element", "chain_syntax",
                "unknown_port", "unknown_element", "bad_value",
            ]
        )
        #expect(loaded.graph == nil)
    }

    /// A wrong value of a parameter does not hide what is wrong with the element's connections, where its ports do not depend on it.
    @Test func aWrongValueHidesNothingElse() {
        func codes(_ elements: String, _ chains: String) -> [String] {
            load("graph: g\nelements:\n  wire: {type: Wire}\n\(elements)\nchains:\n\(chains)\n").codes
        }
        // A filter that is refused, a number that is none; then a wrong port, a wrong kind.
        let sort = "  sort: {type: Classifier, rules: {a: tcp prot 1}}\n  table: {type: FlowTable, capacity: many}"
        #expect(
            codes(sort, "  - wire -> sort\n  - sort.b -> table -> Pick -> Discard\n  - sort.other -> Discard")
                == ["bad_filter", "bad_value", "unknown_port", "kind_mismatch"]
        )
        // A flow table that is missing, a column that is missing, values that do not go together.
        #expect(
            codes(
                "  a: {type: Remark, most: 10}\n  b: {type: Choosy, low: 2, high: 1}\n  c: {type: Describe}",
                "  - wire -> Track -> c -> Pick -> b -> Discard\n  - Wire -> a -> Discard"
            ) == ["bad_value", "bad_element", "no_flow_table", "missing_column"]
        )
        // Of filters with a parameter that is missing the names are known, and the others are checked.
        #expect(
            codes("  s: {type: Classifier, rules: {a: host $x, b: tcp prot 1}}", "  - wire -> s.c -> Discard")
                == ["undefined_parameter", "bad_filter", "unknown_port"]
        )
        // What the ports depend on is not known here, so nothing is said of them.
        for fault in ["per: pakket", "pre: flow"] {
            #expect(codes("  a: {type: Remark, \(fault)}", "  - wire -> a -> Discard\n  - a.no -> Discard").count == 1)
        }
        #expect(codes("  s: {type: Classifier, rules: [x]}", "  - wire -> s\n  - s.x -> Discard") == ["bad_value"])
        #expect(codes("  s: {type: Classifier}", "  - wire -> s\n  - s.x -> Discard") == ["missing_parameter"])
        // What follows from another error is not reported: the chain before Track is not understood.
        #expect(codes("  a: {type: Nothing}", "  - wire -> a -> Track -> Discard") == ["unknown_type"])
    }

    /// Of what is written twice both parts are checked, and neither seems to be missing.
    @Test func aKeyWrittenTwiceHidesNothing() {
        let loaded = load(
            """
            graph: g
            elements:
              wire: {type: Wire}
              wire: {type: Wire}
              a: {type: Countr}
            chains:
              - wire -> Discard
            chains:
              - Wire -> Discrd
            elements:
              b: {type: Counter, limit: 1}

            """
        )
        #expect(
            loaded.diagnostics.map { "\($0.line) \($0.code)" }
                == [
                    "4 duplicate_key", "5 unknown_type", "8 duplicate_key", "9 unknown_type", "10 duplicate_key",
                    "11 unused_element", "11 unknown_parameter",
                ],
            "\(loaded.rendered)"
        )
        // An alias stands for a value that is not read; the rest is.
        #expect(
            load("graph: g\nelements: {a: &x {type: Counter}, b: *x}\nchains: [Wire -> a -> b -> Discrd]\n").codes
                == ["anchor", "anchor", "unknown_type"]
        )
    }

    /// A suggestion means what was written.
    @Test(
        arguments: [
            ("FlowTable, idle: 5m", "5 min"), ("FlowTable, idle: 1.5 hours", "1.5 h"), ("FlowTable, idle: 2d", "48 h"),
            ("RecordSink, rate: 10 MB/s", "80 Mbps"), ("RecordSink, rate: 10 Mbit/s", "10 Mbps"),
            ("RecordSink, rate: 0.5 GB/s", "4 Gbps"), ("RecordSink, rate: 3 Mpkt/s", "3 Mpps"),
            ("RecordSink, rate: 1 MiB/s", "8388608 bps"),
            ("RecordSink, rate: 4 Mbsp", "4 Mbps"), ("RecordSink, size: 1.5 TB", "1500 GB"),
            // Each of these may mean two things.
            ("RecordSink, size: 64 KB", ""), ("RecordSink, size: 64 K", ""), ("RecordSink, rate: 10 Mops", ""),
            ("RecordSink, size: 64 Mb", ""), ("FlowTable, idle: 5x", ""), ("FlowTable, idle: 5 M", ""),
        ]
    )
    func suggestionsKeepTheMeaning(_ value: String, _ suggestion: String) {
        let loaded = load("graph: g\nelements: {a: {type: \(value)}}\nchains: []\n")
        let found = loaded.diagnostics.first { $0.code == "bad_value" }
        #expect(found != nil)
        #expect(found?.suggestion ?? "" == (suggestion.isEmpty ? "" : "did you mean '\(suggestion)'?"))
    }

    @Test func errorsInACompoundUsedTwiceAreToldOnce() {
        let loaded = load(
            "graph: g\nuse: [c.yaml]\nchains: [Wire -> Part -> Part -> Discard]\n",
            ["c.yaml": "compound: Part\ninputs: [in]\noutputs: [out]\nchains: [in -> Counter.no -> out]\n"]
        )
        #expect(loaded.diagnostics.map { "\($0.file):\($0.line) \($0.code)" } == ["c.yaml:4 unknown_port"])
    }

    @Test func errorsAreBounded() {
        let elements = (0..<3000).map { "  e\($0): {type: Nothing\($0)}\n" }.joined()
        let loaded = load("graph: g\nelements:\n\(elements)chains: []\n")
        #expect(loaded.diagnostics.count == 201)
        #expect(loaded.codes.last == "too_many_errors")
    }

    // MARK: Compounds

    static let front = """
        compound: Front
        params: {vip: {type: ipv4}, port: {type: integer, default: 80}}
        inputs: [in]
        outputs: [open, rest]
        elements:
          sort: {type: Classifier, rules: {web: dst host $vip and port $port}}
        chains:
          - in -> IPCheck -> sort
          - sort.web -> open
          - sort.other -> rest

        """

    @Test func compoundsArePutInPlace() throws {
        let loaded = load(
            """
            graph: g
            use: [lib/front.yaml]
            params: {vip: {type: ipv4, default: 192.0.2.1}}
            elements:
              front: {type: Front, vip: $vip, place: nic}
            chains:
              - Wire -> front -> Counter -> Discard
            together: [[front]]
            placements:
              p: {nic: [front], default: host}

            """,
            ["lib/front.yaml": Self.front]
        )
        #expect(loaded.rendered == "")
        let graph = try #require(loaded.graph)
        #expect(graph.nodes.map(\.name) == ["front/sort", "front/IPCheck@1", "Wire@1", "Counter@1", "Discard@1"])
        #expect(
            loaded.chains == [
                "front/IPCheck@1.out -> front/sort.in", "front/sort.web -> Counter@1.in",
                "Wire@1.rx -> front/IPCheck@1.in",
                "Counter@1.out -> Discard@1.in",
            ]
        )
        #expect(graph.nodes.map(\.place) == [.nic, .nic, nil, nil, nil])
        #expect(graph.placements[0].sides == [.nic, .nic, .nic, .host, .host])
        #expect(graph.nodes[0].element.settings[0].text.contains("dst host 192.0.2.1 and port 80"))
        #expect(graph.together == [[0, 1]])
        #expect(loaded.sources.map(\.path) == ["g.yaml", "lib/front.yaml"])
        let again = load(try #require(loaded.resolvedYAML))
        #expect(again.rendered == "")
        #expect(again.chains == loaded.chains)
    }

    @Test func compoundsNestAndPortsPassThrough() {
        let loaded = load(
            "graph: g\nuse: [a/outer.yaml]\nchains: [Wire -> Outer -> Discard, Outer@1.straight -> Counter -> Discard, Wire -> Outer@1.straight_in]\n",
            [
                "a/outer.yaml": """
                compound: Outer
                use: [../b/inner.yaml]
                inputs: [in, straight_in]
                outputs: [out, straight]
                chains: [in -> Inner -> Inner -> out, straight_in -> straight]
                """,
                "b/inner.yaml": "compound: Inner\ninputs: [in]\noutputs: [out]\nchains: [in -> Counter -> out]\n",
            ]
        )
        #expect(loaded.rendered == "")
        #expect(
            loaded.chains == [
                "Outer@1/Inner@1/Counter@1.out -> Outer@1/Inner@2/Counter@1.in",
                "Outer@1/Inner@2/Counter@1.out -> Discard@1.in",
                "Wire@1.rx -> Outer@1/Inner@1/Counter@1.in", "Counter@1.out -> Discard@2.in",
                "Wire@2.rx -> Counter@1.in",
            ]
        )
    }

    @Test func aValueThatReachesACompoundIsTracedToWhereItWasGiven() {
        let loaded = load(
            "graph: g\nuse: [c.yaml]\nelements: {p: {type: Part, n: 99}}\nchains: [Wire -> p -> Discard]\n",
            [
                "c.yaml":
                    "compound: Part\nparams: {n: {type: integer}}\ninputs: [in]\noutputs: [out]\nelements: {c: {type: Choosy, high: $n}}\nchains: [in -> c -> out]\n"
            ]
        )
        #expect(
            loaded.rendered
                == """
                c.yaml:5:33: error: 99 is out of range, 0 to 9 [bad_value]
                    5 | elements: {c: {type: Choosy, high: $n}}
                      |                                    ^^
                g.yaml:3:31: note: '$n' is '99' here

                """.replacing("5:33", with: "5:36")
        )
    }

    @Test func anElementThatCannotBeMadeIsShownWhereItIs() {
        let loaded = load("graph: g\nelements: {c: {type: Choosy, high: 9}}\nchains: [Wire -> c -> Discard]\n")
        #expect(loaded.diagnostics.map { "\($0.line):\($0.column) \($0.code)" } == ["2:12 bad_value"])
    }

    @Test func aNameInACompoundCannotBeTakenFromOutside() {
        let loaded = load(
            "graph: g\nuse: [front.yaml]\nelements: {front: {type: Front, vip: 1.2.3.4}, front/sort: {type: Counter}}\n"
                + "chains: [Wire -> front -> front/sort -> Discard]\n",
            ["front.yaml": Self.front]
        )
        #expect(loaded.codes == ["duplicate_name"])
    }

    @Test func constraintsThatContradictEachOtherAreTold() {
        let loaded = load(
            "graph: g\nuse: [c.yaml]\nelements: {w: {type: Wire, place: host}, p: {type: Part, place: nic}, r: {type: Relay}}\n"
                + "chains: [w -> p -> r -> Discard]\ntogether: [[w, r], [zz, p]]\n",
            [
                "c.yaml":
                    "compound: Part\ninputs: [in]\noutputs: [out]\nelements: {c: {type: Counter, place: host}}\nchains: [in -> c -> out]\n"
            ]
        )
        #expect(
            loaded.diagnostics.map { "\($0.file):\($0.line):\($0.column) \($0.code)" } == [
                "g.yaml:3:12 bad_side", "g.yaml:5:13 split_together", "g.yaml:5:21 unknown_element",
                "c.yaml:4:38 bad_side",
            ]
        )
    }

    @Test func aTypeThatCouldBeInAFileThatCannotBeReadIsNotUnknown() {
        let loaded = load(
            "graph: g\nuse: [none.yaml]\nelements: {f: {type: Front}}\nchains: [Wire -> f -> Other -> Discard]\n"
        )
        #expect(loaded.codes == ["cannot_read"])
    }

    /// Ten compounds of ten of the next would be ten thousand million elements.
    @Test func compoundsThatGrowFastAreRefused() {
        var files: [String: String] = [:]
        for level in 0..<10 {
            let inner = level == 9 ? "Counter" : "C\(level + 1)"
            let chain = Array(repeating: inner, count: 10).joined(separator: " -> ")
            files["c\(level).yaml"] =
                "compound: C\(level)\n" + (level == 9 ? "" : "use: [c\(level + 1).yaml]\n")
                + "inputs: [in]\noutputs: [out]\nchains: [in -> \(chain) -> out]\n"
        }
        var small = loader(
            files.merging(["g.yaml": "graph: g\nuse: [c0.yaml]\nchains: [Wire -> C0 -> Discard]\n"]) { $1 }
        )
        small.limits.work = 5000
        #expect(small.loadGraph("g.yaml").codes.contains("too_large"))
    }

    @Test func compoundsAreCheckedOnTheirOwn() {
        let check = { (text: String) in
            loader(["c.yaml": text]).check("c.yaml", profile: { _ in [] }).map(\.code)
        }
        #expect(check(Self.front) == [])
        #expect(check(Self.front.replacing("sort.web -> open", with: "sort.wbe -> open")) == ["unknown_port"])
        #expect(check(Self.front.replacing("sort.web -> open", with: "sort.web -> Discard")) == ["unused_output"])
        #expect(check(Self.front.replacing("Front\n", with: "Counter\n")) == ["bad_name"])
    }

    // MARK: Other files

    @Test func placementsHaveFilesOfTheirOwn() throws {
        let loaded = load(synFront)
        let graph = try #require(loaded.graph)
        let files = [
            "x/p.yaml": "placement: mine\ngraph: ../g.yaml\nnic: [IPCheck@1, sort, cookie, known]\ndefault: host\n",
            "g.yaml": synFront,
        ]
        let (placement, diagnostics) = loader(files).loadPlacement("x/p.yaml", for: loaded)
        #expect(diagnostics == [])
        #expect(placement == GraphSpec.Placement(name: "mine", sides: graph.placements[1].sides))
        #expect(loader(files).check("x/p.yaml", profile: { _ in [] }) == [])
        let misspelt = files["x/p.yaml"]!.replacing("cookie", with: "cokie")
        let bad = loader(["x/p.yaml": misspelt, "g.yaml": synFront]).loadPlacement("x/p.yaml", for: loaded)
        #expect(bad.placement == nil)
        #expect(
            bad.diagnostics.map { "\($0.code) \($0.suggestion ?? "")" } == ["unknown_element did you mean 'cookie'?"]
        )
        // One of another graph is refused, whatever its elements are called; so is one whose graph is gone.
        let other = loader(["x/p.yaml": files["x/p.yaml"]!, "g.yaml": synFront + "# changed\n"])
            .loadPlacement("x/p.yaml", for: loaded)
        #expect(other.placement == nil && other.diagnostics.map(\.code) == ["bad_graph"])
        let lost = loader(["p.yaml": misspelt]).loadPlacement("p.yaml", for: loaded)
        #expect(lost.placement == nil && lost.diagnostics.map(\.code) == ["cannot_read"])
    }

    static let tests = """
        graph: ../g.yaml
        tests:
          - name: a forged ACK never reaches the server
            set: {port: 81}
            in:  {wire: ["198.51.100.7:4000 > 192.0.2.10:80 A seq=1 ack=99"]}
            out: {wire: [], drops: {cookie.bad_cookie: 1}}

        """

    @Test func testsAreRead() throws {
        let all = loader(["t/a.test.yaml": Self.tests, "g.yaml": synFront])
        let (read, diagnostics) = all.loadTests("t/a.test.yaml")
        #expect(diagnostics == [])
        let tests = try #require(read)
        #expect(tests.graph == "g.yaml")
        let test = try #require(tests.cases.first)
        #expect(test.name == "a forged ACK never reaches the server")
        #expect(test.settings.map { "\($0.key)=\($0.value)" } == ["port=81"])
        #expect(test.inputs.map(\.wire) == ["wire"])
        #expect(test.inputs[0].packets.map(\.text) == ["198.51.100.7:4000 > 192.0.2.10:80 A seq=1 ack=99"])
        #expect(test.outputs[0].packets.isEmpty)
        #expect(test.drops.map { "\($0.element) \($0.reason) \($0.count)" } == ["cookie bad_cookie 1"])
        let place = try #require(tests.place(of: test.inputs[0].packets[0].mark))
        #expect("\(place.line):\(place.column)" == "5:18")
        #expect(all.check("t/a.test.yaml", profile: { _ in [] }) == [])
    }

    @Test func testsAreCheckedAgainstTheirGraph() {
        let text = Self.tests.replacing("in:  {wire", with: "in:  {wyre").replacing("bad_cookie", with: "bad_cooky")
        let found = loader(["t/a.yaml": text, "g.yaml": synFront]).check("t/a.yaml", profile: { _ in [] })
        #expect(
            found.map { "\($0.code) \($0.suggestion ?? "")" } == [
                "unknown_element did you mean 'wire'?", "unknown_drop did you mean 'cookie.bad_cookie'?",
            ]
        )
    }

    /// One test that cannot be run is told where it stands, and the others have their graphs.
    @Test func everyTestHasTheGraphOfItsSettings() throws {
        let text = """
            graph: g.yaml
            tests:
              - {name: fine, in: {}, out: {}}
              - {name: set, set: {port: 81}, in: {}, out: {}}
              - {name: no such parameter, set: {prt: 81}, in: {}, out: {}}
              - {name: misspelt, set: {port: 82}, in: {}, out: {drops: {cookie.bad_cooky: 0}}}
              - {name: bad value, set: {port: many}, in: {}, out: {}}
              - {name: fine again, in: {wire: []}, out: {}}

            """
        let all = loader(["a.test.yaml": text, "g.yaml": synFront])
        let (read, diagnostics) = all.loadTests("a.test.yaml")
        let expected = ["5:37 unknown_parameter", "6:61 unknown_drop", "7:29 bad_value"]
        #expect(diagnostics.map { "\($0.line):\($0.column) \($0.code)" } == expected)
        #expect(diagnostics.first?.suggestion == "did you mean 'port'?")
        #expect(all.check("a.test.yaml", profile: { _ in [] }) == diagnostics)
        let tests = try #require(read)
        #expect(tests.cases.map { $0.graph != nil } == [true, true, false, false, false, true])
    }

    /// A test that cannot be read hides nothing of the others, and is none that passed.
    @Test func testsThatCannotBeReadHideNothing() throws {
        let text = """
            graph: g.yaml
            tests:
              - {nme: a, in: {}, out: {}}
              - {name: b, in: {wire: ['10.0.0.1 -> 10.0.0.2']}, out: {drops: {cookie.bad_cookie: many}}}
              - {name: c, in: {}, out: {counters: {cookie: 1}}}
              - {name: fine, in: {}, out: {counters: {cookie.in: 0}}}

            """
        let (read, diagnostics) = loader(["a.test.yaml": text, "g.yaml": synFront]).loadTests("a.test.yaml")
        #expect(
            diagnostics.map { "\($0.line) \($0.code)" } == [
                "3 unknown_key", "3 missing_key", "4 bad_packet", "4 bad_value", "5 bad_value",
            ]
        )
        #expect(try #require(read).cases.map { $0.graph != nil } == [false, false, false, true])
    }

    @Test func anyFileCanBeReadAsAValue() throws {
        let files = loader(["p.yaml": "profile: x\nnic:\n  clock: {value: 2 GHz}\n"])
        let (read, diagnose, diagnostics) = files.loadValue("p.yaml")
        #expect(diagnostics == [])
        let value = try #require(read)
        #expect(value.text == "{profile: x, nic: {clock: {value: 2 GHz}}}")
        guard case .map(let top, _) = value, case .map(let nic, _) = top[1].value else { throw NoSuchFile() }
        let diagnostic = diagnose(
            ParameterError("no source", at: nic[0].keyMark, suggestion: "source", code: "no_source")
        )
        #expect(
            diagnostic.rendered == """
                p.yaml:3:3: error: no source [no_source]
                    3 |   clock: {value: 2 GHz}
                      |   ^^^^^ did you mean 'source'?

                """
        )
        let found = files.check("p.yaml") { [ParameterError("bad", at: $0.mark)] }
        #expect(found.map(\.code) == ["bad_value"])
    }

    @Test func blocksInMarkdownAreCheckedWithTheirOwnLines() {
        let text = """
            # A page
            ```yaml
            graph: one
            chains: [Wire -> Discard]
            ```
            Text
            - in a list
              ```yaml
              # comment
              graph: two
              chains: [Wire -> Diskard]
              ---
              compound: C
              inputs: [in]
              outputs: []
              chains: [in -> Discar]
              ```
            ```yaml
            elements: {part: of something}
            ```
            ```
            graph: not yaml
            ```
            ````yml
            graph: three
            chains: [Wïre -> Discard]
            ```
            """
        let found = loader(["README.md": text]).check("README.md", profile: { _ in [] })
        #expect(
            found.map { "\($0.line):\($0.column) \($0.code)" } == [
                "11:20 unknown_type", "16:18 unknown_type", "27:1 yaml_syntax",
            ]
        )
    }

    // MARK: Diagnostics

    @Test func diagnosticsHaveAJSONForm() {
        let loaded = load("graph: g\nchains: [\"Wire -> \\\"x\"]\n")
        #expect(
            loaded.diagnostics.map(\.json) == [
                #"{"severity": "error", "code": "chain_syntax", "message": "expected an element, found '\"'", "file": "g.yaml", "#
                    + #""line": 2, "column": 10, "length": 13, "source_line": "chains: [\"Wire -> \\\"x\"]", "notes": []}"#
            ]
        )
    }

    @Test func severalKindsAreToldApart() {
        let all = loader(["g.yaml": synFront, "e.yaml": "", "x.yaml": "[1]"])
        #expect(all.loadTests("g.yaml").diagnostics.map(\.code) == ["wrong_kind"])
        #expect(all.loadGraph("none.yaml").codes == ["cannot_read"])
        #expect(all.loadGraph("e.yaml").codes == ["empty_file"])
        #expect(all.loadGraph("x.yaml").codes == ["wrong_shape"])
        #expect(
            all.loadGraph("none.yaml").rendered
                == "none.yaml:1:1: error: cannot read the file: no such file [cannot_read]\n"
        )
    }

    @Test func parametersAreReadByDeclaredType() {
        let check = { (type: String, value: String) in
            load(
                "graph: g\nparams: {p: {type: \(type), default: \(value)}}\nelements: {s: {type: RecordSink, file: x$p}}\nchains: [Wire -> s]\n"
            ).codes
        }
        for (type, good, bad) in [
            ("ipv4", "192.0.2.1", "192.0.2"), ("ipv4", "192.0.2.1", "'::1'"), ("ipv6", "'::1'", "1"),
            ("ipv6", "'::ffff:192.0.2.1'", "192.0.2.1"), ("integer", "-5", "5.0"),
            ("boolean", "true", "yes"), ("probability", "0.25", "1.5"),
            ("duration", "20 us", "20"), ("size", "64 MiB", "64 MB/s"), ("rate", "64 Gbps", "64 Gb"),
            ("choice, values: [red, green]", "red", "blue"),
        ] {
            #expect(check(type, good) == [], "\(type)")
            #expect(check(type, bad) == ["bad_value"], "\(type)")
        }
        #expect(check("string", "[a]") == ["bad_value"])
    }
}
