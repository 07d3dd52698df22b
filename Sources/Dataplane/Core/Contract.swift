// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Checks, in debug builds, that elements keep their contract: that each item they are handed, make or resume leaves exactly
/// once, and that outputs, reasons and timers exist.
///
/// A breach stops the program and names the element and the item, instead of corrupting memory somewhere else later. Release
/// builds check nothing and pay nothing: all calls are inside `assert`.
@usableFromInline
final class Contract {
    /// An element as breach messages name it.
    struct Party {
        /// `'sort' (Classifier)`.
        var name: String
        var outputs: [String]
        var drops: [String]
        /// Given the current time, the earliest due time of a timer armed then; nil when the type declares no timers.
        var firstTimer: ((Int64) -> Int64)?
    }

    private let parties: [Party]
    private let items: UnsafeMutablePointer<Item>
    private let turns: UnsafeMutablePointer<Turn>
    /// The holder of each item: ``free``, ``travelling``, or twice an element's number, plus one while that element holds it.
    private var keepers: [Int32] = []
    private var inHand: [Int] = []
    /// The turn of the last item to leave, for each element and output.
    private var lastTurns: [[UInt64]] = []
    /// Items must leave in order of turn, as they do in a direct run, where one packet follows the other.
    private var isOrdered = false
    /// Functional time of the first packet of the current batch; no timer may be due sooner after it than the element's
    /// shortest timer.
    var batchTime = Int64.min
    /// The timer that is firing, and its due time: armed again for no later time it would fire without end.
    var firing: (node: Int32, due: Int64)?

    private static let free: Int32 = -1
    private static let travelling: Int32 = -2

    init(_ parties: [Party], _ pool: Pool) {
        self.parties = parties
        items = pool.items
        turns = pool.turns
        #if DEBUG
        keepers = Array(repeating: Contract.free, count: pool.capacity + 1)
        inHand = Array(repeating: 0, count: parties.count)
        lastTurns = parties.map { Array(repeating: 0, count: $0.outputs.count) }
        #endif
    }

    private func breach(_ node: Int32, _ words: String) -> Never {
        fatalError("element \(parties[Int(node)].name) \(words)")
    }

    private func name(_ i: Int32) -> String {
        let item = items[Int(i)]
        let kind = item.layout == 0 ? "packet" : "record or command"
        return "item \(i) (\(kind) number \(item.sequence), \(item.length) bytes)"
    }

    private func state(_ i: Int32, for node: Int32) -> String {
        switch keepers[Int(i)] {
        case Contract.free: "it is free: it was dropped, used or never made"
        case Contract.travelling: "it has left already"
        case node << 1 | 1: "the element holds it: `resume` takes it up again"
        case let keeper where keeper & 1 == 1: "it is held by element \(parties[Int(keeper >> 1)].name)"
        case let keeper: "it is in the hands of element \(parties[Int(keeper >> 1)].name)"
        }
    }

    private func take(_ i: Int32, from node: Int32, _ what: String, _ how: String = "", held: Bool = false) {
        guard i >= 0, Int(i) < keepers.count else { breach(node, "\(what) item \(i)\(how), which does not exist") }
        let wanted = node << 1 | (held ? 1 : 0)
        if keepers[Int(i)] != wanted { breach(node, "\(what) \(name(i))\(how), but \(state(i, for: node))") }
        if !held { inHand[Int(node)] -= 1 }
    }

    // MARK: Reports from the runtime; each returns true, so that it can be used in an assertion

    /// A run begins; in a direct one items leave in the order of their turns.
    func begin(isOrdered: Bool) {
        self.isOrdered = isOrdered
        batchTime = .min
        for node in lastTurns.indices { lastTurns[node] = lastTurns[node].map { _ in 0 } }
    }

    /// A packet has entered.
    func arrived(_ i: Int32) -> Bool {
        keepers[Int(i)] = Contract.travelling
        return true
    }

    /// The runtime has dropped an item between two elements.
    func lost(_ i: Int32) -> Bool {
        keepers[Int(i)] = Contract.free
        return true
    }

    /// Items are handed to an element.
    func handed(_ batch: Batch, to node: Int32) -> Bool {
        for k in 0..<batch.count { keepers[Int(batch.index[k])] = node << 1 }
        inHand[Int(node)] = batch.count
        return true
    }

    /// An element is called without items.
    func called(_ node: Int32) -> Bool {
        inHand[Int(node)] = 0
        return true
    }

    /// A call has returned, and the element gave back the last `refused` items of its batch.
    func returned(_ batch: Batch?, refused: Int, from node: Int32) -> Bool {
        if refused > 0, let batch {
            for k in batch.count - refused..<batch.count {
                take(batch.index[k], from: node, "asks to be given again")
                keepers[Int(batch.index[k])] = Contract.travelling
            }
        }
        if inHand[Int(node)] == 0 { return true }
        let lost = keepers.indices.first { keepers[$0] == node << 1 } ?? 0
        breach(
            node,
            "kept \(name(Int32(lost))) past its call: what it does not emit, drop or use it must hold"
        )
    }

    // MARK: Actions of elements

    @usableFromInline
    func emitted(_ i: Int32, _ output: Int, by node: Int32) -> Bool {
        let outputs = parties[Int(node)].outputs
        guard outputs.indices.contains(output) else {
            breach(node, "emitted item \(i) on output \(output); it has \(outputs.count) outputs")
        }
        take(i, from: node, "emitted", " on '\(outputs[output])'")
        keepers[Int(i)] = Contract.travelling
        if isOrdered {
            let turn = Turn.of(Packet(items + Int(i)), turns + Int(i)).number
            if turn < lastTurns[Int(node)][output] {
                breach(
                    node,
                    "emitted \(name(i)) on '\(outputs[output])' out of turn: one of a later packet has left there; "
                        + "what is resumed takes its turn from what caused it"
                )
            }
            lastTurns[Int(node)][output] = turn
        }
        return true
    }

    @usableFromInline
    func emitted(_ batch: Batch, _ output: Int, by node: Int32) -> Bool {
        for k in 0..<batch.count { _ = emitted(batch.index[k], output, by: node) }
        return true
    }

    @usableFromInline
    func dropped(_ i: Int32, _ reason: Int, by node: Int32) -> Bool {
        let drops = parties[Int(node)].drops
        guard drops.indices.contains(reason) else {
            breach(node, "dropped item \(i) for reason \(reason); it declares \(drops.count) reasons")
        }
        take(i, from: node, "dropped", " (\(drops[reason]))")
        keepers[Int(i)] = Contract.free
        return true
    }

    @usableFromInline
    func used(_ i: Int32, by node: Int32) -> Bool {
        take(i, from: node, "used")
        keepers[Int(i)] = Contract.free
        return true
    }

    @usableFromInline
    func used(_ batch: Batch, by node: Int32) -> Bool {
        for k in 0..<batch.count { _ = used(batch.index[k], by: node) }
        return true
    }

    @usableFromInline
    func held(_ i: Int32, by node: Int32) -> Bool {
        take(i, from: node, "held")
        keepers[Int(i)] = node << 1 | 1
        return true
    }

    @usableFromInline
    func resumed(_ i: Int32, by node: Int32) -> Bool {
        take(i, from: node, "resumed", held: true)
        keepers[Int(i)] = node << 1
        inHand[Int(node)] += 1
        return true
    }

    @usableFromInline
    func made(_ i: Int32, by node: Int32) -> Bool {
        keepers[Int(i)] = node << 1
        inHand[Int(node)] += 1
        return true
    }

    @usableFromInline
    func armed(_ id: Int, at due: Int64, by node: Int32) -> Bool {
        guard (0..<NodeState.timerCount).contains(id) else {
            breach(node, "armed timer \(id); timers are 0 to \(NodeState.timerCount - 1)")
        }
        guard let firstTimer = parties[Int(node)].firstTimer else {
            breach(node, "armed a timer, and its type declares no shortestTimer")
        }
        if let firing, firing.node == node, due <= firing.due {
            breach(node, "armed timer \(id) at \(due) ns when it fired at \(firing.due) ns: it would fire without end")
        }
        if firing == nil, batchTime > .min, due < firstTimer(batchTime) {
            breach(
                node,
                "armed timer \(id) at \(due) ns; now it is \(batchTime) ns, and its shortestTimer says \(firstTimer(batchTime)) ns"
            )
        }
        return true
    }

    /// Timers, and items without a parent, are for calls outside `process`, or need a cause.
    @usableFromInline
    func isOutsideOfProcess(_ node: Int32, _ what: String) -> Bool {
        if isProcessing { breach(node, "\(what) without saying which item caused it, in `process`") }
        return true
    }
    private var isProcessing = false

    /// Items are being handed over, or were.
    func processes(_ now: Bool) -> Bool {
        isProcessing = now
        return true
    }
}
