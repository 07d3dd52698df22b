// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// What elements share that answer for addresses: a question becomes the answer, everything else passes.
enum Responder {
    /// The output for answers.
    static let reply = 0
    /// The output for all other packets.
    static let rest = 1
    /// The phrase of the drop reason `conflict`.
    static let conflict = "another station says that one of `addresses` is its own"

    static func inputs(reads: Reads) -> [Input] { [Input("in", .only(.packet), reads: reads, "any packets")] }

    /// The outputs; `answers` says what leaves on `reply`.
    static func outputs(_ answers: String) -> [Output] {
        [
            Output("reply", .kind(.packet), answers),
            Output("rest", .sameAs(input: 0), "all other packets"),
        ]
    }

    /// The parameter `addresses`.
    static func addresses<Config>(
        _ path: WritableKeyPath<Config, [IPPrefix]> & Sendable,
        versions: [UInt8]
    ) -> Parameter<Config> {
        .init(
            "addresses",
            prefixes: path,
            versions: versions,
            required: true,
            "addresses to answer for; with a network, for all of it"
        )
    }

    /// The parameter `mac`.
    static func mac<Config>(_ path: WritableKeyPath<Config, EthernetAddress> & Sendable) -> Parameter<Config> {
        .init("mac", ethernet: path, required: true, "the Ethernet address in answers")
    }

    /// Operations done for a batch.
    struct Work {
        var parsed = 0
        var updated = 0
        var summed = 0
        var copied = 0

        /// Counts them, and a test for each packet of the batch.
        func count(_ packets: Int, _ context: borrowing Context) {
            context.did(.test, packets)
            if parsed > 0 { context.did(.parse, parsed) }
            if updated > 0 { context.did(.update, updated) }
            if summed > 0 { context.did(.checksumBytes, summed) }
            if copied > 0 { context.did(.copyBytes, copied) }
        }
    }
}
