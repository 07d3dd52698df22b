// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Control
import Dataplane
import Glibc
import Live
import Reports
import Synchronization

/// Lets others watch a run: at its control socket, and as metrics over HTTP.
///
/// The run's thread takes a snapshot only when one has been asked for, at most every 100 ms, and hands it over to the server's
/// thread. So a run that nobody watches pays for reading one flag now and then.
public final class RunWatch {
    /// Where snapshots are as JSON.
    public static let snapshotPath = "/snapshot"
    /// Where metrics are in the text format of Prometheus.
    public static let metricsPath = "/metrics"

    private let desk: Desk
    private let server: HTTPServer
    private var run: RunningGraph?
    private let began = WallTime().now
    /// Where it can be asked, with the ports that the system chose.
    public let addresses: [Address]

    /// Serves at `listeners`, until it is closed.
    public init(_ listeners: [Listener]) throws {
        addresses = listeners.map(\.address)
        desk = Desk()
        do { server = try HTTPServer(listeners, desk) } catch {
            for listener in listeners { listener.close() }
            throw error
        }
    }

    /// The run begins. Called on its thread.
    public func begin(_ run: RunningGraph) {
        self.run = run
        publish()
    }

    /// Hands a snapshot over if one is asked for. Called on the run's thread, now and then.
    public func poll() { if desk.isWanted { publish() } }

    /// Ends all connections, and removes the sockets.
    public func close() { server.close() }

    private func publish() {
        guard let run else { return }
        desk.put(run.snapshot(process: getpid(), began: began))
        server.wake()
    }

    /// Where the run's thread leaves snapshots and the server's takes them.
    private final class Desk: HTTPContentSource {
        /// How old a snapshot may be that is given away, in nanoseconds.
        private static let freshness = Duration.milliseconds(100)

        private let wanted = Atomic(false)
        private let latest = Mutex<(snapshot: RunSnapshot, taken: ContinuousClock.Instant)?>(nil)

        var isWanted: Bool { wanted.load(ordering: .relaxed) }

        func put(_ snapshot: RunSnapshot) {
            wanted.store(false, ordering: .relaxed)
            latest.withLock { $0 = (snapshot, .now) }
        }

        func content(at path: String, isLast: Bool) -> HTTPContent? {
            let latest = latest.withLock { $0 }
            guard let latest, isLast || latest.taken + Desk.freshness > .now else {
                wanted.store(true, ordering: .relaxed)
                return nil
            }
            if path == RunWatch.metricsPath {
                let text = MetricsText.text(latest.snapshot, version: Version.current)
                return HTTPContent(type: MetricsText.mediaType, bytes: Array(text.utf8))
            }
            return HTTPContent(type: "application/json", bytes: Array((latest.snapshot.json.line + "\n").utf8))
        }
    }
}

extension RunWatch {
    /// Asks the run that listens at `address` how it is now.
    public static func snapshot(at address: Address) throws(SocketError) -> RunSnapshot {
        let text = String(decoding: try HTTPClient.get(snapshotPath, at: address), as: UTF8.self)
        guard let snapshot = JSON(text).flatMap(RunSnapshot.init) else {
            throw SocketError(.other, "\(address): the answer is none of a run")
        }
        return snapshot
    }
}
