// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

// The program that scripts/fuzz.sh builds: `spillway-fuzz TARGET [libFuzzer's arguments]`. It is no part of the tests.

private typealias Arguments = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<Arguments>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

/// Set once, before the first run.
nonisolated(unsafe) private var target = FuzzTarget.all[0]

/// The name under which SwiftPM links the beginning of the program.
@_cdecl("spillway_fuzz_main")
func runFuzzer(_ argumentCount: Int32, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Int32 {
    let name = argumentCount > 1 ? String(cString: arguments[1]!) : ""
    guard let chosen = FuzzTarget.all.first(where: { $0.name == name }) else {
        print("usage: spillway-fuzz TARGET [ARGUMENT...]\ntargets:", FuzzTarget.all.map(\.name).joined(separator: " "))
        return 64
    }
    target = chosen
    // libFuzzer reads the rest: the name of the program stands where that of the target stood.
    arguments[1] = arguments[0]
    var rest = arguments + 1
    var count = argumentCount - 1
    return runDriver(&count, &rest) { bytes, count in
        target.run(UnsafeRawBufferPointer(start: bytes, count: count))
        return 0
    }
}
