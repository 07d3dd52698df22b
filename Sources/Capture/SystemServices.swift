// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Dataplane

/// What elements get from the outside world in a real run: files, standard output and libpcap's filter compiler.
public struct SystemServices: Services {
    public init() {}

    public func openSink(_ name: String) throws -> any ByteSink { try FileSink(name) }

    public func openSink(_ name: String, appends: Bool) throws -> any ByteSink { try FileSink(name, appends: appends) }

    public func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? {
        try FilterCompiler.compile(filter, linkType: linkType)
    }
}
