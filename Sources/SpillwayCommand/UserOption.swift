// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Spillway

/// The user as whom a run goes on.
struct UserOption: ParsableArguments {
    @Option(
        name: .customLong("user"),
        help: ArgumentHelp(
            "Goes on as this user, for good, once interfaces and files are open. What is opened later, as compressed captures and "
                + "files of streams, must be allowed to that user.",
            valueName: "name"
        )
    )
    var name: String?

    /// The user; nil if none is named. Looked up before anything is opened.
    func user() throws -> RunUser? { try reporting { try name.map { try RunUser($0) } } }
}
