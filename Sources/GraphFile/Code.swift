// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The kinds of errors in files. Each case is a stable name that users and tools may rely on.
enum Code: String, CaseIterable, Sendable {
    // MARK: Reading files

    case cannotRead = "cannot_read"
    case fileTooLarge = "file_too_large"
    case notUTF8 = "not_utf8"
    case badCharacter = "bad_character"
    case tab
    case yamlSyntax = "yaml_syntax"
    case unclosed
    case anchor
    case mergeKey = "merge_key"
    case tag
    case directive
    case severalDocuments = "several_documents"
    case emptyFile = "empty_file"
    case tooDeep = "too_deep"
    case tooManyValues = "too_many_values"
    case duplicateKey = "duplicate_key"
    case badKey = "bad_key"

    // MARK: Shape

    case unknownKind = "unknown_kind"
    case wrongKind = "wrong_kind"
    case unknownKey = "unknown_key"
    case missingKey = "missing_key"
    case wrongShape = "wrong_shape"
    case badName = "bad_name"
    case duplicateName = "duplicate_name"

    // MARK: Parameters

    case unknownParameterType = "unknown_parameter_type"
    case unknownParameter = "unknown_parameter"
    case missingParameter = "missing_parameter"
    case badValue = "bad_value"
    case undefinedParameter = "undefined_parameter"
    case badDollar = "bad_dollar"
    case unusedParameter = "unused_parameter"

    // MARK: Elements

    case unknownType = "unknown_type"
    case unknownElement = "unknown_element"
    case badFilter = "bad_filter"
    case repeatedFilter = "repeated_filter"
    case emptyFilter = "empty_filter"
    case badElement = "bad_element"
    case unusedElement = "unused_element"

    // MARK: Chains

    case chainSyntax = "chain_syntax"
    case unknownPort = "unknown_port"
    case wrongDirection = "wrong_direction"
    case ambiguousPort = "ambiguous_port"
    case noPort = "no_port"
    case outputUsedTwice = "output_used_twice"
    case unusedOutput = "unused_output"
    case unusedInput = "unused_input"
    case kindMismatch = "kind_mismatch"
    case mixedKinds = "mixed_kinds"
    case missingColumn = "missing_column"
    case severalLayouts = "several_layouts"
    case noFlowTable = "no_flow_table"
    case severalFlowTables = "several_flow_tables"
    case sharedFile = "shared_file"

    // MARK: Compounds

    case endlessWire = "endless_wire"
    case compoundCycle = "compound_cycle"
    case compoundsTooDeep = "compounds_too_deep"
    case tooLarge = "too_large"
    case tooManyElements = "too_many_elements"

    // MARK: Placements and tests

    case badSide = "bad_side"
    case placedTwice = "placed_twice"
    case notPlaced = "not_placed"
    case splitTogether = "split_together"
    case unknownDrop = "unknown_drop"
    case badGraph = "bad_graph"
    case badPacket = "bad_packet"
    case tooManyErrors = "too_many_errors"

    var severity: Diagnostic.Severity {
        switch self {
        case .unusedParameter, .unusedElement, .repeatedFilter, .emptyFilter, .sharedFile: .warning
        default: .error
        }
    }

    /// The meaning of the code and how to fix it, with an example file that has the problem, if a few lines can show it.
    var explanation: (text: String, example: String) {
        switch self {
        case .cannotRead:
            (
                "The file cannot be opened or read. A path in a file is relative to that file.",
                "use: [lib/none.yaml]"
            )
        case .fileTooLarge:
            (
                "A file is longer than is read, 4 MiB. Graph files are written by people; a graph that is "
                    + "generated can be split with compounds.",
                ""
            )
        case .notUTF8:
            (
                "Graph files are UTF-8 text. The file holds bytes that are not, for example because it was saved "
                    + "in another encoding.",
                ""
            )
        case .badCharacter:
            (
                "The file holds a character that has no place in text: a NUL, another control character, or a "
                    + "byte order mark at its beginning.",
                ""
            )
        case .tab:
            (
                "YAML does not allow tabs for indentation, because their width is not fixed. Write spaces.",
                ""
            )
        case .yamlSyntax:
            (
                "The file is not YAML. Most often the indentation is off, or a text that holds ': ' or begins "
                    + "with a special character is not in quotes.",
                "about: first: second"
            )
        case .unclosed:
            (
                "A bracket or quote is opened and the file ends before it is closed.",
                "  wire: {type: Wire"
            )
        case .anchor:
            (
                "Anchors (&name) and aliases (*name) are not read: a value stands where it is used. A value "
                    + "needed in several places is a parameter.",
                "  a: &one {type: Counter}"
            )
        case .mergeKey:
            (
                "The merge key << is not read: a value stands where it is used. Write the entries out.",
                "  a: {<<: {type: Counter}}"
            )
        case .tag:
            (
                "Tags such as !!int are not read: each value is read by the type its parameter declares.",
                "  a: {type: !!str Counter}"
            )
        case .directive:
            (
                "Directives such as %YAML have no use here and are refused.",
                "%YAML 1.2"
            )
        case .severalDocuments:
            (
                "A file holds one document. What follows a line of --- belongs in a file of its own.",
                "---"
            )
        case .emptyFile:
            (
                "There is nothing in the file but perhaps comments.",
                ""
            )
        case .tooDeep:
            (
                "Lists and maps stand within each other more deeply than 64, which no graph needs.",
                "[[[[[[[["
            )
        case .tooManyValues:
            (
                "There are more values in the file than are read, 200 000.",
                ""
            )
        case .duplicateKey:
            (
                "A map has the same key twice, so one of the two values would be lost.",
                "  wire: {type: Counter}"
            )
        case .badKey:
            (
                "A key is a single word. It is missing here, or is a list or map.",
                "  ? [a, b]"
            )
        case .unknownKind:
            (
                "What a file is shows in its keys: a graph has 'graph', a compound 'compound', a placement "
                    + "'placement', a device profile 'profile', a tests file 'tests'.",
                "grph: example"
            )
        case .wrongKind:
            (
                "The file is fine for something else: 'use' wants compounds, and a command that runs a graph "
                    + "wants a graph.",
                "use: [wrong_kind.yaml]"
            )
        case .unknownKey:
            (
                "A key is not one of those that can stand there. Unknown keys are errors, so that a misspelled "
                    + "one is not silently without effect.",
                "chain:"
            )
        case .missingKey:
            (
                "A key that must be there is not.",
                "  wire: {}"
            )
        case .wrongShape:
            (
                "A list, a map or a single value was expected and something else was found.",
                "chains: wire.rx -> Discard"
            )
        case .badName:
            (
                "A name has characters that names cannot have, or is the name of an element type. Names of "
                    + "elements begin with a letter and go on with letters, digits, '_' and '-'.",
                "  Counter: {type: Counter}"
            )
        case .duplicateName:
            (
                "A name is given twice in one file: to an element and to a port of the compound, or to two "
                    + "compounds.",
                "inputs: [in, in]"
            )
        case .unknownParameterType:
            (
                "The parameters of a graph have one of the types \(GraphParameterType.names.joined(separator: ", ")); "
                    + "a probability is a number from 0 to 1, and a choice has 'values'.",
                "  port: {type: int}"
            )
        case .unknownParameter:
            (
                "An element, a compound or the graph has no parameter of that name.",
                "  seen: {type: Counter, limit: 3}"
            )
        case .missingParameter:
            (
                "A parameter has no default and no value is given. For a graph's own parameter, give one with "
                    + "--set name=value.",
                "  vip: {type: ipv4}"
            )
        case .badValue:
            (
                "A value cannot be read as the type of its parameter, or is out of its range. Sizes, times and "
                    + "rates have units: 64 MiB, 20 us, 64 Gbps.",
                "  known: {type: FlowTable, capacity: many}"
            )
        case .undefinedParameter:
            (
                "$name stands for the parameter 'name' of the graph or compound in whose file it is written, and "
                    + "'params' there does not declare it.",
                "known: {type: FlowTable, capacity: $flws}"
            )
        case .badDollar:
            (
                "A dollar sign begins the name of a parameter. Write $$ for the sign itself.",
                "  log: {type: RecordSink, file: 5$}"
            )
        case .unusedParameter:
            (
                "A parameter is declared and no value uses it. This is a warning.",
                "  port: {type: integer, default: 80}"
            )
        case .unknownType:
            (
                "There is no element type, and no compound under 'use', of that name.",
                "  seen: {type: Countr}"
            )
        case .unknownElement:
            (
                "There is no element of that name in the file, or in the graph that a placement or test is for.",
                "  - wire.rx -> seen"
            )
        case .badFilter:
            (
                "A filter is not in pcap-filter syntax. The message is libpcap's.",
                "      web: tcp prot 80"
            )
        case .repeatedFilter:
            (
                "Two outputs of an element have the same filter. Packets take the first, so none leave by the other. This is a "
                    + "warning.",
                "      names: udp port 53\n      more: udp port 53"
            )
        case .emptyFilter:
            (
                "No packet can match a filter, as what it asks for excludes itself; often 'or' was meant. libpcap finds only "
                    + "the simple cases. This is a warning.",
                "      both: tcp and udp"
            )
        case .badElement:
            (
                "The values of an element's parameters are fine one by one, and still the element cannot be made "
                    + "of them.",
                ""
            )
        case .unusedElement:
            (
                "An element is declared and no chain leads to or from it. This is a warning.",
                "  seen: {type: Counter}"
            )
        case .chainSyntax:
            (
                "A chain is a row of hops with arrows between them: a.out -> b -> c.in. A hop is an element or an "
                    + "element type, with a port behind a dot where the first one is not meant.",
                "  - wire.rx => Discard"
            )
        case .unknownPort:
            (
                "The element has no port of that name. The note says which it has; the ports of some elements "
                    + "depend on their parameters.",
                "  - sort.sym -> Discard"
            )
        case .wrongDirection:
            (
                "A chain begins with an output and ends with an input.",
                "  - wire.tx -> Discard"
            )
        case .ambiguousPort:
            (
                "In the middle of a chain a port belongs to the side that has it; here there are both an input "
                    + "and an output of that name. Make two chains of it.",
                "  - wire.rx -> relay.data -> Discard"
            )
        case .noPort:
            (
                "An element without inputs cannot follow an arrow, and one without outputs cannot go before one.",
                "  - wire.rx -> Discard -> Counter -> Discard"
            )
        case .outputUsedTwice:
            (
                "One output feeds one input, so that each packet is in one place. A Tee makes copies.",
                "  - wire.rx -> Counter -> Discard\n  - wire.rx -> Discard"
            )
        case .unusedOutput:
            (
                "What leaves by an output must go somewhere, unless the element says that the output is optional. "
                    + "Lead what is not wanted to a Discard.",
                "  - wire.rx -> sort"
            )
        case .unusedInput:
            (
                "Nothing leads to an input that is not optional, so the element would wait for ever.",
                "  - seen -> Discard"
            )
        case .kindMismatch:
            (
                "The items that leave an output (packets, a stream, records or commands of one layout) are not "
                    + "what the input takes.",
                "  - describe -> wire.tx"
            )
        case .mixedKinds:
            (
                "Items of two kinds arrive at an input of an element that passes on what arrives, so what leaves "
                    + "it would have no kind.",
                "  - describe -> seen"
            )
        case .missingColumn:
            (
                "An element looks at a column that the records which reach it do not have. The element that makes them may "
                    + "have a parameter that adds it.",
                "  - make.out -> pick -> Discard"
            )
        case .severalLayouts:
            (
                "Records of two layouts arrive where those of one fit: a CSV file has one line of column names. Records of the "
                    + "second layout would be dropped.",
                "  - two -> log"
            )
        case .noFlowTable:
            (
                "An element keeps state for each flow, and packets reach it that no flow table has seen.",
                "  - wire.rx -> track -> Discard"
            )
        case .severalFlowTables:
            (
                "An element keeps state for each flow, and packets reach it from more than one flow table, whose "
                    + "flows have nothing to do with each other.",
                "  - two -> track"
            )
        case .sharedFile:
            (
                "Two elements write one file, by name or by default, and a run refuses that: a file is written by one, and on standard "
                    + "output a capture or a table is alone. JSON lines can be mixed there. This is a warning.",
                "  two: {type: RecordSink, file: flows.json}"
            )
        case .endlessWire:
            (
                "Ports of compounds are joined to each other in a circle with no element in it.",
                "  - through.out -> through.in"
            )
        case .compoundCycle:
            (
                "A compound is within itself, directly or through others, so it would never end.",
                "  - in -> Loop -> out"
            )
        case .compoundsTooDeep:
            (
                "Compounds stand within each other more deeply than 16.",
                ""
            )
        case .tooLarge:
            (
                "Once every compound and parameter is in place, the graph is larger than is read. Compounds that "
                    + "use others several times over grow fast.",
                ""
            )
        case .tooManyElements:
            (
                "A graph has more than \(Limits().elements) elements, or they have more than \(Limits().outputs) outputs, once every "
                    + "compound is in place. In a run every output has a queue, so memory grows with them.",
                "  - wire.rx -> Counter -> Counter -> Discard"
            )
        case .badSide:
            (
                "An element is on a side where it cannot be: a Wire is a port of the NIC, some types run on one "
                    + "side only, and 'place' in the graph is a constraint.",
                "  bad: {host: [wire], default: nic}"
            )
        case .placedTwice:
            (
                "A placement gives an element two sides. The name of a compound stands for all elements within "
                    + "it.",
                "  bad: {nic: [seen], host: [seen]}"
            )
        case .notPlaced:
            (
                "A placement gives a side to every element but wires. What it does not name gets the side under "
                    + "'default'.",
                "  bad: {nic: [wire]}"
            )
        case .splitTogether:
            (
                "Elements under 'together' are on one side in every placement.",
                "together: [[one, two]]"
            )
        case .unknownDrop:
            (
                "A test expects drops for a reason that the element does not have.",
                "    out: {wire: [], drops: {check.unlucky: 1}}"
            )
        case .badGraph:
            (
                "The graph that a placement or tests file names has errors of its own: check that file. Or a placement is used for "
                    + "another graph than the one it names; a graph is the same if its file has the same bytes.",
                "graph: unknown_port.yaml"
            )
        case .badPacket:
            (
                "A packet or pattern of a test is not in the text form of packets: two ends with '>' between them, then words.",
                "    in: {wire: ['10.0.0.1:1000 -> 10.0.0.2:80']}"
            )
        case .tooManyErrors:
            (
                "After 200 errors the search is ended. Mend the first ones; the others may follow from them.",
                ""
            )
        }
    }
}
