// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Services that also know which filters are already compiled, and which link types will come.
public protocol FilterServices: Services {
    /// The cache shared by all elements made with these services; nil if there is none.
    var filters: FilterCache? { get }
    /// Link types of the run's packets, as far as they are known before the first packet.
    var linkTypes: [UInt16] { get }
}

extension FilterServices {
    /// None: by default nothing is known of the packets.
    public var linkTypes: [UInt16] { [] }
}

extension Services {
    /// These services with a filter cache, so that each filter is compiled only once.
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
