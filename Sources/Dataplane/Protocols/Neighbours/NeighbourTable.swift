// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The neighbours on a link, by IP address: their Ethernet addresses, and the items that wait for those that are asked for.
///
/// A neighbour is in one of two lists. The pending ones are in order of when they are asked again, the known ones in order of when they
/// were last confirmed; both are orders in which entries are appended, so nothing is searched. Neighbours that were given are in no
/// list, and stay. All memory is allocated when the table is made.
final class NeighbourTable {
    struct Entry: BitwiseCopyable {
        var ip: IPAddress
        /// Its Ethernet address; 0 while it is not known.
        var station: UInt64
        /// When it was last confirmed.
        var confirmed: Int64
        /// When it is to be asked again; of a known neighbour, when it may be.
        var due: Int64
        /// How often it has been asked since it was last confirmed.
        var asked: Int32
        var isGiven: Bool
        fileprivate var link: IndexList.Link
        /// The nodes of the items that wait, the oldest first.
        fileprivate var waiting: IndexList

        var isKnown: Bool { station != 0 }
    }
    private struct Node: BitwiseCopyable {
        var item: Int32
        var link: IndexList.Link
    }

    let capacity: Int
    private let map: FlowMap
    private let memory: ZeroedMemory<Entry>
    private let links: IndexList.Links
    private var pendingList = IndexList()
    private var knownList = IndexList()
    private let nodes: ZeroedMemory<Node>
    private let nodeLinks: IndexList.Links
    private var free: SlotPool

    /// Room for `capacity` neighbours, and `items` items that wait for them. Throws if the system lacks the memory.
    init(capacity: Int, items: Int, key: HashKey) throws(OutOfMemory) {
        self.capacity = capacity
        map = try FlowMap(capacity: capacity, key: key)
        memory = try ZeroedMemory(capacity + FlowMap.spare)
        links = IndexList.Links(in: memory.base, at: \.link)
        nodes = try ZeroedMemory(items)
        nodeLinks = IndexList.Links(in: nodes.base, at: \.link)
        free = try SlotPool(items)
    }

    deinit {
        memory.deallocate()
        nodes.deallocate()
    }

    var memoryBytes: Int {
        map.memoryBytes + (capacity + FlowMap.spare) * MemoryLayout<Entry>.stride
            + free.capacity * (MemoryLayout<Node>.stride + SlotPool.bytesPerSlot)
    }

    /// Neighbours in the table.
    var count: Int { map.count }
    var isFull: Bool { map.count == capacity }
    /// Neighbours that have been asked for and have not answered.
    var pending: Int { pendingList.count }
    /// Items that wait.
    var held: Int { free.used }
    var hasRoomForItems: Bool { !free.isFull }

    /// The neighbour at `place`, as long as that is in the table.
    subscript(_ place: Int32) -> UnsafeMutablePointer<Entry> { memory.base + Int(place) }

    // MARK: Neighbours

    private static func key(_ ip: IPAddress) -> FlowKey {
        FlowKey(
            ends: UInt64(ip.version) << 40,
            a0: ip.version == 4 ? ip.low : ip.high,
            a1: ip.version == 4 ? 0 : ip.low,
            b0: 0,
            b1: 0
        )
    }

    /// The place of a neighbour; -1 if it is not in the table.
    func find(_ ip: IPAddress) -> Int32 {
        let key = NeighbourTable.key(ip)
        return map.find(key, map.hash(key))
    }

    private func insert(_ ip: IPAddress, station: UInt64, time: Int64, due: Int64, isGiven: Bool) -> Int32 {
        let key = NeighbourTable.key(ip)
        let place = map.insert(key, map.hash(key), upperFirst: false, time: time)
        precondition(place >= 0, "more neighbours than there is room for")
        memory.base[Int(place)] = Entry(
            ip: ip,
            station: station,
            confirmed: time,
            due: due,
            asked: 0,
            isGiven: isGiven,
            link: IndexList.Link(),
            waiting: IndexList()
        )
        return place
    }

    /// Adds a neighbour that stays; there must be room, and it must not be in the table.
    func give(_ ip: IPAddress, _ station: EthernetAddress) {
        _ = insert(ip, station: station.number, time: .min, due: .max, isGiven: true)
    }

    /// Adds a neighbour that is asked for now, and again at `due`; there must be room, and it must not be in the table.
    func begin(_ ip: IPAddress, time: Int64, due: Int64) -> Int32 {
        let place = insert(ip, station: 0, time: time, due: due, isGiven: false)
        self[place].pointee.asked = 1
        pendingList.append(place, links)
        return place
    }

    /// Removes a neighbour for which nothing waits.
    func remove(_ place: Int32) {
        assert(self[place].pointee.waiting.isEmpty, "a neighbour is removed and items wait for it")
        if self[place].pointee.isKnown { knownList.remove(place, links) } else { pendingList.remove(place, links) }
        map.remove(place)
        map.release(place)
    }

    /// The pending neighbour that is to be asked again first; -1 if there is none.
    var nextPending: Int32 { pendingList.first }

    /// What gives way to another neighbour: the pending one that was asked least recently, else the known one that was confirmed
    /// longest ago; -1 if all were given. So whoever makes the table ask for many addresses drives out what he made up himself.
    var leastWanted: Int32 { pendingList.isEmpty ? knownList.first : pendingList.first }

    /// A pending neighbour was asked, and is to be asked again at `due`, which is not before that of any other; or a known one was,
    /// to be asked no sooner than then.
    func asked(_ place: Int32, due: Int64) {
        self[place].pointee.asked += 1
        self[place].pointee.due = due
        if !self[place].pointee.isKnown { pendingList.moveToBack(place, links) }
    }

    /// A neighbour's Ethernet address is what it says now. One that was known already stays as old as it was unless `isConfirmed`.
    func learn(_ place: Int32, _ station: EthernetAddress, time: Int64, isConfirmed: Bool) {
        let entry = self[place]
        let wasKnown = entry.pointee.isKnown
        if !wasKnown { pendingList.remove(place, links) }
        entry.pointee.station = station.number
        if wasKnown, !isConfirmed { return }
        if wasKnown { knownList.remove(place, links) }
        knownList.append(place, links)
        entry.pointee.confirmed = time
        entry.pointee.due = time
        entry.pointee.asked = 0
    }

    /// A known neighbour is asked for as if it were not.
    func forget(_ place: Int32, time: Int64, due: Int64) {
        let entry = self[place]
        knownList.remove(place, links)
        pendingList.append(place, links)
        entry.pointee.station = 0
        entry.pointee.asked = 1
        entry.pointee.due = due
    }

    // MARK: Items that wait

    /// How many items wait for a neighbour.
    func waiting(_ place: Int32) -> Int { self[place].pointee.waiting.count }

    /// An item waits for a neighbour, behind others; there must be room.
    func wait(_ item: Int32, for place: Int32) {
        guard let node = free.take() else { preconditionFailure("more items wait than there is room for") }
        nodes.base[Int(node)].item = item
        self[place].pointee.waiting.append(node, nodeLinks)
    }

    /// The item that has waited longest for a neighbour, which no longer does; nil if none waits.
    func takeFirst(_ place: Int32) -> Int32? {
        let node = self[place].pointee.waiting.removeFirst(nodeLinks)
        if node < 0 { return nil }
        free.give(node)
        return nodes.base[Int(node)].item
    }

    /// The item that came last of those that wait for a neighbour; nil if none waits.
    func last(_ place: Int32) -> Int32? {
        let node = self[place].pointee.waiting.last
        return node < 0 ? nil : nodes.base[Int(node)].item
    }
}
