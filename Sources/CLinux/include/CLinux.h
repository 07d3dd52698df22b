// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

// What Glibc's module map does not offer to Swift; nothing here has logic of its own.
#ifndef SPILLWAY_CLINUX_H
#define SPILLWAY_CLINUX_H

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

/// Asks the processor to fetch the cache line at `address`, for reading.
static inline __attribute__((always_inline)) void clinux_prefetch(const void *_Nonnull address) {
    __builtin_prefetch(address, 0, 3);
}

/// Asks the processor to fetch the cache line at `address`, for writing.
static inline __attribute__((always_inline)) void clinux_prefetch_for_write(const void *_Nonnull address) {
    __builtin_prefetch(address, 1, 3);
}

/// Reads a word that the kernel writes beside this thread; what it wrote before is visible afterwards.
static inline __attribute__((always_inline)) uint32_t clinux_load_acquire(const uint32_t *_Nonnull word) {
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/// Writes a word that the kernel reads beside this thread; what was read and written before is finished then.
static inline __attribute__((always_inline)) void clinux_store_release(uint32_t *_Nonnull word, uint32_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/// Memory of `bytes` zeros, touched by nobody yet; NULL when there is none. Large pages are used for what is large.
static inline void *_Nullable clinux_map_zeroed(size_t bytes) {
#ifdef SPILLWAY_FUZZ
    // AddressSanitizer watches what comes from the allocator.
    return calloc(1, bytes);
#else
    void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) return NULL;
    madvise(start, bytes, MADV_HUGEPAGE);
    return start;
#endif
}

/// Gives back what `clinux_map_zeroed` gave.
static inline void clinux_unmap(void *_Nonnull start, size_t bytes) {
#ifdef SPILLWAY_FUZZ
    free(start);
#else
    munmap(start, bytes);
#endif
}

#endif
