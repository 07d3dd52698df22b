/* Copyright 2026 the Spillway authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Both ends of the measurements of scripts/bench-live.sh. SIGTERM ends what does not end by itself; each prints what it counted and
 * its CPU time in nanoseconds.
 *
 *   udp-load send ADDRESS PORT RATE SECONDS BYTES BATCH   sends RATE datagrams a second (0: as many as go), BATCH with each call
 *   udp-load sink PORT                                    reads and counts
 *   udp-load hole PORT                                    has a socket that it does not read, so that nobody answers
 *   udp-load echo PORT                                    sends back
 *   udp-load ask ADDRESS PORT RATE COUNT BYTES            sends one datagram, waits for it, and again; prints the times
 *
 * cc -O2 udp-load.c -o udp-load
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 64, BYTES = 2048 };
static volatile sig_atomic_t stopped;
static void stop(int number) { (void)number; stopped = 1; }

static long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void sleep_until(long time) {
    struct timespec t = {time / 1000000000L, time % 1000000000L};
    while (!stopped && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {}
}

static int ascending(const void *a, const void *b) {
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

static void print_cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf(" cpu_ns=%lu\n", (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000UL
           + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000UL);
}

static struct iovec vectors[MOST];
static struct mmsghdr messages[MOST];
static struct sockaddr_in senders[MOST];
static unsigned char memory[MOST][BYTES];

static void prepare(size_t bytes, int addressed) {
    for (int k = 0; k < MOST; k++) {
        vectors[k] = (struct iovec){memory[k], bytes};
        messages[k].msg_hdr = (struct msghdr){.msg_iov = vectors + k, .msg_iovlen = 1};
        if (addressed) messages[k].msg_hdr.msg_name = senders + k, messages[k].msg_hdr.msg_namelen = sizeof senders[k];
    }
}

static void send_many(int s, double rate, double seconds, unsigned batch) {
    long start = now(), end = start + (long)(seconds * 1e9);
    unsigned long sent = 0, refused = 0;
    while (!stopped) {
        if (rate > 0) sleep_until(start + (long)((double)sent / rate * 1e9));
        if (now() >= end) break;
        int n = sendmmsg(s, messages, batch, 0);
        if (n > 0) sent += (unsigned)n;
        else if (errno != EINTR) refused++;
    }
    printf("sent=%lu refused=%lu seconds=%.3f", sent, refused, (double)(now() - start) / 1e9);
}

static void answer(int s, int echoes) {
    unsigned long received = 0;
    while (!stopped) {
        prepare(BYTES, echoes);
        int n = recvmmsg(s, messages, echoes ? 1 : MOST, MSG_WAITFORONE, NULL);
        if (n <= 0) continue;
        received += (unsigned)n;
        if (!echoes) continue;
        vectors[0].iov_len = messages[0].msg_len;
        sendmmsg(s, messages, 1, 0);
    }
    printf("received=%lu", received);
}

static void ask(int s, double rate, int count, size_t bytes) {
    long *times = calloc((size_t)count, sizeof *times), start = now();
    int received = 0, lost = 0;
    struct timeval patience = {.tv_usec = 200000};
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    /* Where nothing comes back it is not worth the wait. */
    for (int k = 0; k < count && lost < 10 && !stopped; k++) {
        unsigned char text[BYTES] = {0}, back[BYTES];
        sleep_until(start + (long)(k / rate * 1e9));
        memcpy(text, &k, sizeof k);
        int known = received;
        long before = now();
        send(s, text, bytes, 0);
        /* An answer to an earlier one, which was given up, is none. */
        for (int number = -1; number != k;) {
            if (recv(s, back, sizeof back, 0) < (ssize_t)sizeof number) break;
            memcpy(&number, back, sizeof number);
            if (number == k) times[received++] = now() - before;
        }
        lost = received > known ? 0 : lost + 1;
    }
    qsort(times, (size_t)received, sizeof *times, ascending);
    printf("asked=%d received=%d", count, received);
    if (received)
        printf(" p50_ns=%ld p90_ns=%ld p99_ns=%ld max_ns=%ld", times[received / 2], times[received * 9 / 10],
               times[received * 99 / 100], times[received - 1]);
}

int main(int argc, char **argv) {
    const char *verb = argc > 1 ? argv[1] : "";
    int sends = !strcmp(verb, "send"), asks = !strcmp(verb, "ask"), big = 8 << 20, small = 1;
    if (argc != (sends ? 8 : asks ? 7 : 3)) {
        fprintf(stderr, "usage: udp-load send ADDRESS PORT RATE SECONDS BYTES BATCH | sink PORT | hole PORT | echo PORT"
                        " | ask ADDRESS PORT RATE COUNT BYTES\n");
        return 64;
    }
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL), sigaction(SIGINT, &action, NULL);
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[sends || asks ? 3 : 2]))};
    if (sends || asks) {
        inet_pton(AF_INET, argv[2], &address.sin_addr);
        if (connect(s, (struct sockaddr *)&address, sizeof address)) return perror("connect"), 1;
        setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
        prepare((size_t)atoi(argv[6]) % BYTES, 0);
        if (sends) send_many(s, atof(argv[4]), atof(argv[5]), (unsigned)atoi(argv[7]) % (MOST + 1));
        else ask(s, atof(argv[4]), atoi(argv[5]), (size_t)atoi(argv[6]) % BYTES);
    } else {
        int *buffer = !strcmp(verb, "hole") ? &small : &big;
        setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, buffer, sizeof *buffer);
        if (bind(s, (struct sockaddr *)&address, sizeof address)) return perror("bind"), 1;
        if (!strcmp(verb, "hole")) {
            while (!stopped) pause();
        } else {
            answer(s, !strcmp(verb, "echo"));
        }
    }
    print_cpu();
}
