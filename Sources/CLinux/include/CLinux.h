// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

// What Glibc's module map does not offer to Swift; nothing here has logic of its own.
#ifndef SPILLWAY_CLINUX_H
#define SPILLWAY_CLINUX_H

#include <linux/filter.h>
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

// Headers before Linux 6.2 do not have it.
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/// Asks the processor to fetch the cache line at `address`, for reading.
static inline __attribute__((always_inline)) void clinux_prefetch(const void *_Nonnull address) {
    __builtin_prefetch(address, 0, 3);
}

/// Asks the processor to fetch the cache line at `address`, for writing.
static inline __attribute__((always_inline)) void clinux_prefetch_for_write(const void *_Nonnull address) {
    __builtin_prefetch(address, 1, 3);
}

/// Lets a moment pass in a loop that waits for another thread, and leaves the core to the thread that shares it with this one.
static inline __attribute__((always_inline)) void clinux_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

/// Reads a word that the kernel writes beside this thread; what it wrote before is visible afterwards.
static inline __attribute__((always_inline)) uint32_t clinux_load_acquire(const uint32_t *_Nonnull word) {
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/// Writes a word that the kernel reads beside this thread; what was read and written before is finished then.
static inline __attribute__((always_inline)) void clinux_store_release(uint32_t *_Nonnull word, uint32_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/// What the kernel says of a network interface (netdevice(7)).
struct clinux_interface {
    int index;
    int mtu;
    /// Switched on, though it may have no link.
    int is_up;
    int is_loopback;
    /// The kind of its frames: an ARPHRD_ value.
    int kind;
};

/// Asks for the interface `name`; 0, or the number of an error.
int clinux_find_interface(const char *_Nonnull name, struct clinux_interface *_Nonnull found);

/// Asks the driver of the interface `name` for a value (ETHTOOL_ commands of linux/ethtool.h); 0, or the number of an error.
int clinux_ask_ethtool(const char *_Nonnull name, uint32_t command, uint32_t *_Nonnull value);

/// What recvmmsg(2) and sendmmsg(2) call `struct mmsghdr`.
struct clinux_message {
    struct msghdr header;
    /// Bytes of the message.
    unsigned int length;
};

/// Receives up to `count` messages that are there; the length of one that is cut is its whole length. As recvmmsg(2).
int clinux_receive(int socket, struct clinux_message *_Nonnull messages, unsigned int count);

/// Sends up to `count` messages for which there is room at once. As sendmmsg(2).
int clinux_send(int socket, struct clinux_message *_Nonnull messages, unsigned int count);

/// Waits until one of the descriptors is ready, or for so many nanoseconds. As ppoll(2).
int clinux_poll(struct pollfd *_Nullable descriptors, unsigned int count, int64_t nanoseconds);

/// A descriptor that can be read after 8 bytes were written to it, and does not block. As eventfd(2).
int clinux_event(void);

/// The cores that the calling thread may use: their numbers, at most `most`. Returns how many there are.
int clinux_get_cores(int *_Nonnull cores, int most);

/// Lets the calling thread use only these cores. As sched_setaffinity(2).
int clinux_set_cores(const int *_Nonnull cores, int count);

/// Takes all capabilities from this thread, and from the programs it starts the way to any; 0, or the number of an error.
int clinux_give_up_rights(void);

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
