// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Services that know more of filters than how to compile one: what is compiled already, and which link types will come.
public protocol FilterServices: Services {
    /// What is shared by all who are made with these services; nil when nothing is.
    var filters: FilterCache? { get }
    /// Link types of the packets of the run, as far as they are known before the first of them.
    var linkTypes: [UInt16] { get }
}

extension FilterServices {
    /// Nothing is known of the packets, unless it is said.
    public var linkTypes: [UInt16] { [] }
}

extension Services {
    /// These services, with each filter compiled once for all who ask through what this gives.
    public func sharingFilters() -> any FilterServices {
        if let sharing = self as? any FilterServices, sharing.filters != nil { return sharing }
        return SharingServices(self)
    }
}

/// Other services and a cache of the filters they compile.
private struct SharingServices: FilterServices {
    private let services: any Services
    private let cache = FilterCache()

    init(_ services: any Services) { self.services = services }

    var filters: FilterCache? { cache }
    var linkTypes: [UInt16] { (services as? any FilterServices)?.linkTypes ?? [] }

    func openSink(_ name: String) throws -> any ByteSink { try services.openSink(name) }
    func openSink(_ name: String, appends: Bool) throws -> any ByteSink {
        try services.openSink(name, appends: appends)
    }
    func readFile(_ name: String, most: Int) throws -> [UInt8] { try services.readFile(name, most: most) }
    func compileFilter(_ filter: String, linkType: UInt16) throws -> [BPFInstruction]? {
        try cache.program(of: filter, linkType: linkType) {
            try services.compileFilter(filter, linkType: linkType)
        }
    }
}
