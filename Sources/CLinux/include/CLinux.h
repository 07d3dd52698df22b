// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

// What Glibc's module map does not offer to Swift; nothing here has logic of its own.
#ifndef SPILLWAY_CLINUX_H
#define SPILLWAY_CLINUX_H

/// Asks the processor to fetch the cache line at `address`, for reading.
static inline __attribute__((always_inline)) void clinux_prefetch(const void *address) {
    __builtin_prefetch(address, 0, 3);
}

/// Asks the processor to fetch the cache line at `address`, for writing.
static inline __attribute__((always_inline)) void clinux_prefetch_for_write(const void *address) {
    __builtin_prefetch(address, 1, 3);
}

#endif
