// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Draws with Graphviz's `dot` program, if installed.
public enum Graphviz {
    /// The reason nothing was drawn.
    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    /// Converts a graph in DOT to SVG.
    public static func svg(_ dot: String) throws -> String {
        // The text goes through an anonymous file, so that neither program waits for the other.
        guard let input = tmpfile() else { throw Files.Failure(path: "temporary file", errno: errno) }
        defer { fclose(input) }
        guard let output = tmpfile() else { throw Files.Failure(path: "temporary file", errno: errno) }
        defer { fclose(output) }
        fputs(dot, input)
        fflush(input)
        rewind(input)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, fileno(input), 0)
        posix_spawn_file_actions_adddup2(&actions, fileno(output), 1)
        var process: pid_t = 0
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("dot"), strdup("-Tsvg"), nil]
        defer { for argument in arguments { free(argument) } }
        guard posix_spawnp(&process, "dot", &actions, nil, &arguments, environ) == 0 else {
            throw Failure(description: "the program 'dot' is not there; install Graphviz, or use --format dot")
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        guard status == 0 else { throw Failure(description: "the program 'dot' could not draw the graph") }
        rewind(output)
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let n = fread(&buffer, 1, buffer.count, output), n > 0 { bytes.append(contentsOf: buffer[..<n]) }
        return String(decoding: bytes, as: UTF8.self)
    }
}
