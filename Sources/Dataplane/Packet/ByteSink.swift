// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// A destination of bytes. Written to from one thread.
public protocol ByteSink: AnyObject {
    /// Takes all bytes, or throws.
    func write(_ bytes: UnsafeRawBufferPointer) throws
    /// Hands on what is buffered.
    func flush() throws
}
