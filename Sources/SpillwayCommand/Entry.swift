// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Control
import Glibc
import Spillway
import Synchronization

/// Runs the whole command line with the arguments of the process, and exits.
///
/// A package whose target uses the plugin `CatalogPlugin` gets every verb for its own elements, and their doc comments in
/// `show` and `docs`, with one line: `runSpillway(adding: .own)`.
///
/// - Parameter catalog: element types in addition to those that come with Spillway.
public func runSpillway(adding catalog: Catalog) -> Never { runSpillway(adding: catalog.types) }

/// Runs the whole command line with the arguments of the process, and exits.
///
/// For use without the plugin: `runSpillway(adding: [ElementDescriptor(Mine.self, documentation: "...")])`.
///
/// - Parameter elements: element types in addition to those that come with Spillway.
public func runSpillway(adding elements: [ElementDescriptor] = []) -> Never {
    // A reader that goes away is a write error, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    // Without SA_RESTART, so that waiting for a pipe ends too. The next of either ends the process at once.
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in
        interrupted.store(true, ordering: .relaxed)
        signal(SIGINT, SIG_DFL)
        signal(SIGTERM, SIG_DFL)
    }
    sigaction(SIGINT, &action, nil)
    sigaction(SIGTERM, &action, nil)
    var ask = sigaction()
    ask.__sigaction_handler.sa_handler = { _ in wantsReport.store(true, ordering: .relaxed) }
    sigaction(SIGUSR1, &ask, nil)
    // Programs that start others from a thread pool leave them blocked.
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM, SIGUSR1] { sigaddset(&signals, number) }
    sigprocmask(SIG_UNBLOCK, &signals, nil)
    let catalog = Catalog.standard.adding(elements)
    Session.$catalog.withValue(catalog) {
        do {
            try checkVerb(Array(CommandLine.arguments.dropFirst()))
            var command = try SpillwayRoot.parseAsRoot()
            try command.run()
        } catch let error where error is Failure || error is Files.Failure {
            let failure = Failure(error)
            if let message = failure.message { Output.error("error: \(message)\n") }
            exit(failure.code)
        } catch {
            if let capture = misplacedCapture(SpillwayRoot.fullMessage(for: error)) {
                Output.error("note: a capture is bound to a wire of the graph: --wire \(capture)\n")
            }
            SpillwayRoot.exit(withError: error)
        }
    }
    exit(Output.isClosed ? 1 : 0)
}

/// The file that an unexpected argument names, if there is one: a capture where only a graph is taken.
private func misplacedCapture(_ message: String) -> String? {
    guard message.contains("nexpected argument") else { return nil }
    return CommandLine.arguments.dropFirst(2).first { file in
        message.contains("'\(file)'") && Files.isRegular(file)
            && ["pcap", "pcapng", "cap", "gz"].contains { file.hasSuffix(".\($0)") }
    }
}

/// Throws if the verb, or that of 'help VERB', is not one.
private func checkVerb(_ arguments: [String]) throws {
    let verbs = SpillwayRoot.configuration.groupedSubcommands.flatMap { $0.subcommands }.map { $0._commandName }
    let named = arguments.first == "help" ? arguments.dropFirst().first : arguments.first
    guard let named, !named.hasPrefix("-"), named != "help", !verbs.contains(named) else { return }
    let guess = nearest(to: named, among: verbs).map { "; did you mean '\($0)'?" } ?? ""
    throw Failure.usage("there is no verb '\(named)'\(guess)\nThe verbs are \(verbs.joined(separator: ", ")).")
}

/// Set by SIGINT and SIGTERM: the run ends with its report.
let interrupted = Atomic(false)

/// Set by SIGUSR1: a run on interfaces shows its report so far.
let wantsReport = Atomic(false)

/// Whether the user has asked the run to end.
@Sendable func stopAsked() -> Bool { interrupted.load(ordering: .relaxed) }

/// Does work of which half is worthless: an interrupt ends the process with a word about it, as the shell expects from programs that
/// do not handle it. Output before and after is not cut short.
func endingWhenInterrupted<T>(_ body: () throws -> T) rethrows -> T {
    var (interrupt, termination) = (sigaction(), sigaction())
    var fatal = sigaction()
    // Only what is allowed in a handler; the signal is raised again to end the process once this one returns.
    fatal.__sigaction_handler.sa_handler = { number in
        let words: StaticString = "error: interrupted; there is no result\n"
        _ = write(2, words.utf8Start, words.utf8CodeUnitCount)
        raise(number)
    }
    fatal.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND))
    sigaction(SIGINT, &fatal, &interrupt)
    sigaction(SIGTERM, &fatal, &termination)
    // An interrupt that came before counts too.
    if stopAsked() { raise(SIGINT) }
    defer {
        sigaction(SIGINT, &interrupt, nil)
        sigaction(SIGTERM, &termination, nil)
    }
    return try body()
}

/// State shared by the verbs.
enum Session {
    /// The element types that graphs may name.
    @TaskLocal static var catalog = Catalog.standard

    /// The services for elements, when checked and when run, so that each filter is compiled once.
    static let services = SystemServices().sharingFilters()

    /// Reads graphs and the other files; shipped profiles have names that begin with `profile:`.
    static var loader: GraphLoader {
        GraphLoader(catalog: catalog, services: services) { path in
            // Diagnostics name the file themselves.
            do { return try Profiles.read(path == "-" ? "/dev/stdin" : path) } catch let error as Files.Failure {
                throw Unreadable(Files.isDirectory(path) ? "it is a directory; name the files in it" : error.reason)
            }
        }
    }
}

/// The reason a file cannot be read.
private struct Unreadable: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

struct SpillwayRoot: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spillway",
        abstract:
            "Runs packet-processing graphs and compares where their elements could run: on the NIC or on the host.",
        discussion: """
            A graph is a YAML file of elements and chains between them. 'spillway list' names the elements, 'spillway new' \
            writes a first graph, 'spillway check' says what is wrong with one.

            Exit status: 0 fine; 1 a check or test did not hold, a run did not balance, or results could not be written; \
            64 wrong arguments; 65 bad capture; 66 no such file or run; 67 no such user; 77 no right to a file, interface or run; \
            78 bad graph, placement, profile or run directory; 130 interrupted.
            """,
        version: Version.current,
        groupedSubcommands: [
            CommandGroup(name: "Running", subcommands: [Run.self, Tap.self, Trace.self]),
            CommandGroup(name: "Watching a run", subcommands: [Read.self, Top.self]),
            CommandGroup(name: "Comparing placements", subcommands: [Compare.self, Plan.self]),
            CommandGroup(
                name: "Writing graphs",
                subcommands: [Check.self, Test.self, Format.self, New.self, Explain.self]
            ),
            CommandGroup(name: "Looking up", subcommands: [List.self, Show.self, Graph.self, Docs.self, Schema.self]),
        ]
    )
}

/// An error with its exit status.
struct Failure: Error {
    var code: Int32
    /// Printed after `error: `; nil if everything has been said.
    var message: String?

    static func notHeld(_ message: String? = nil) -> Failure { Failure(code: 1, message: message) }
    static func usage(_ message: String) -> Failure { Failure(code: 64, message: message) }
    static func badCapture(_ message: String) -> Failure { Failure(code: 65, message: message) }
    static func noFile(_ message: String) -> Failure { Failure(code: 66, message: message) }
    static func noRight(_ message: String) -> Failure { Failure(code: 77, message: message) }
    static func badGraph(_ message: String? = nil) -> Failure { Failure(code: 78, message: message) }

    /// The failure for an error of the libraries.
    init(_ error: any Error) {
        switch error {
        case let error as Failure: self = error
        case let error as Files.Failure:
            self = Failure(code: error.isMissing ? 66 : error.isForbidden ? 77 : 1, message: "\(error)")
        case let error as CaptureError:
            self = Failure(
                code: error.code == CaptureError.noSuchFile ? 66 : error.code == "no_permission" ? 77 : 65,
                message: "\(error)"
            )
        case let error as InterfaceError:
            self = Failure(code: error.kind == .missing ? 66 : error.kind == .forbidden ? 77 : 1, message: "\(error)")
        case let error as SocketError:
            let codes: [SocketError.Kind: Int32] = [.missing: 66, .forbidden: 77, .address: 64, .other: 1]
            self = Failure(code: codes[error.kind]!, message: "\(error)")
        case let error as RunUser.Failure:
            let code: Int32 = error.kind == .unknown ? 67 : error.kind == .forbidden ? 77 : 64
            self = Failure(code: code, message: "--user: \(error)")
        case is WireArgument.Failure, is BindingError, is RunDirectory.InUse: self = .usage("\(error)")
        // An element that could not write is no fault of its graph.
        case let error as InstanceError where error.cause is OutputError:
            self = Failure(code: Failure(error.cause).code, message: "\(error)")
        case ModelError.stopped: self = Failure(code: 130, message: "\(error)")
        case ModelError.tooSlow: self = .usage("\(error)")
        case ModelError.noPackets: self = .badCapture("\(error)")
        case is InstanceError, is ModelError, is RunComparison.Failure: self = .badGraph("\(error)")
        case let error as OutputError: self = Failure(code: error.status, message: "\(error)")
        default: self = Failure(code: 1, message: "\(error)")
        }
    }

    init(code: Int32, message: String?) {
        self.code = code
        self.message = message
    }
}

extension OutputError {
    /// The exit status for a failed write.
    fileprivate var status: Int32 {
        switch code {
        case OutputError.fileInUse: 64
        case "no_such_directory": 66
        case "no_permission": 77
        default: 1
        }
    }
}

/// Standard output for results, standard error for everything else.
enum Output {
    /// Nobody reads standard output any more. Results that go elsewhere still matter, so this is no error at once; the status says it.
    static var isClosed: Bool { closed.load(ordering: .relaxed) }
    private static let closed = Atomic(false)

    static func result(_ text: String) throws { if !isClosed { try write(1, text) } }
    static func error(_ text: String) { try? write(2, text) }
    static func error(_ diagnostic: Diagnostic) {
        let terminal = Terminal(2)
        error(diagnostic.rendered(inColour: terminal.hasColours, width: terminal.width ?? .max))
    }

    private static func write(_ file: Int32, _ text: String) throws {
        let bytes = Array(text.utf8)
        var at = 0
        while at < bytes.count {
            let n = bytes[at...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if n < 0 {
                if errno == EINTR { continue }
                // The reader has seen what it wanted.
                if errno == EPIPE, file == 1 { return closed.store(true, ordering: .relaxed) }
                throw Files.Failure(path: "standard output", errno: errno)
            }
            at += n
        }
    }
}

/// Lets a verb throw any library error, which becomes a failure with its exit status.
func reporting<T>(_ body: () throws -> T) throws -> T {
    do { return try body() } catch let error as ExitCode { throw error } catch { throw Failure(error) }
}
