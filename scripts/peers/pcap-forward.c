/* Copyright 2026 the Spillway authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Carries packets between two interfaces through libpcap, both ways, on one thread: what a program costs that is written with
 * pcap_set_immediate_mode and pcap_inject. For scripts/bench-live.sh. Checksums that the sender left to its card stay open, so with
 * offloads on their receivers drop the packets; segments longer than the link are not sent.
 *
 * SIGTERM or SIGINT ends it: it prints packets and bytes each way, losses, and its CPU time in nanoseconds.
 *
 * cc -O2 pcap-forward.c -o pcap-forward -lpcap; ./pcap-forward INTERFACE INTERFACE
 */
#define _GNU_SOURCE
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

struct side {
    pcap_t *handle, *other;
    unsigned long packets, bytes, unsent;
};

static volatile sig_atomic_t stopped;
static void stop(int number) { (void)number; stopped = 1; }

static void open_side(struct side *side, const char *name) {
    char text[PCAP_ERRBUF_SIZE];
    side->handle = pcap_create(name, text);
    if (!side->handle) {
        fprintf(stderr, "%s: %s\n", name, text);
        exit(1);
    }
    pcap_set_snaplen(side->handle, 262144);
    pcap_set_promisc(side->handle, 1);
    pcap_set_immediate_mode(side->handle, 1);
    pcap_set_buffer_size(side->handle, 32 << 20);
    if (pcap_activate(side->handle) < 0 || pcap_setdirection(side->handle, PCAP_D_IN) < 0
        || pcap_setnonblock(side->handle, 1, text) < 0) {
        fprintf(stderr, "%s: %s\n", name, pcap_geterr(side->handle));
        exit(1);
    }
}

static void forward(unsigned char *user, const struct pcap_pkthdr *header, const unsigned char *bytes) {
    struct side *side = (struct side *)user;
    side->packets++;
    side->bytes += header->len;
    if (pcap_inject(side->other, bytes, header->caplen) < 0) side->unsent++;
}

int main(int argc, char **argv) {
    struct side sides[2] = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: pcap-forward INTERFACE INTERFACE\n");
        return 64;
    }
    sigset_t ends, before;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM), sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, &before);
    sigdelset(&before, SIGTERM), sigdelset(&before, SIGINT);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL), sigaction(SIGINT, &action, NULL);

    struct pollfd waits[2];
    for (int k = 0; k < 2; k++) open_side(&sides[k], argv[1 + k]);
    for (int k = 0; k < 2; k++) {
        sides[k].other = sides[1 - k].handle;
        waits[k] = (struct pollfd){.fd = pcap_get_selectable_fd(sides[k].handle), .events = POLLIN};
    }
    while (!stopped) {
        struct timespec none = {0};
        int some = 0;
        for (int k = 0; k < 2; k++) some |= pcap_dispatch(sides[k].handle, 64, forward, (unsigned char *)&sides[k]) > 0;
        static unsigned turns;
        if (!some || ++turns % 64 == 0) ppoll(waits, 2, some ? &none : NULL, &before);
    }
    struct rusage usage;
    struct pcap_stat counts[2] = {0};
    for (int k = 0; k < 2; k++) pcap_stats(sides[k].handle, &counts[k]);
    getrusage(RUSAGE_SELF, &usage);
    printf("there_packets=%lu there_bytes=%lu back_packets=%lu back_bytes=%lu unsent=%lu kernel_drops=%u", sides[0].packets,
           sides[0].bytes, sides[1].packets, sides[1].bytes, sides[0].unsent + sides[1].unsent,
           counts[0].ps_drop + counts[1].ps_drop);
    printf(" user_ns=%lu system_ns=%lu\n", usage.ru_utime.tv_sec * 1000000000UL + usage.ru_utime.tv_usec * 1000UL,
           usage.ru_stime.tv_sec * 1000000000UL + usage.ru_stime.tv_usec * 1000UL);
}
