/* Copyright 2026 the Spillway authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * What libnids makes of a capture: connections, bytes of both directions in order, and heads, which are ends of a header
 * section (an empty line) in the bytes of each side. For scripts/bench-streams.py.
 *
 * cc -O2 nids-count.c -lnids -lpcap
 */
#include <nids.h>
#include <stdio.h>
#include <stdlib.h>

struct sides { unsigned seen[2]; };
static unsigned long connections, bytes, heads[2];

static void count(struct half_stream *half, unsigned *seen, unsigned long *found) {
    bytes += half->count_new;
    for (int k = 0; k < half->count_new; k++) {
        *seen = *seen << 8 | (unsigned char)half->data[k];
        *found += *seen == 0x0d0a0d0a;
    }
}

static void tcp(struct tcp_stream *stream, void **state) {
    if (stream->nids_state == NIDS_JUST_EST) {
        connections++;
        stream->client.collect = stream->server.collect = 1;
        *state = calloc(1, sizeof(struct sides));
    } else if (stream->nids_state == NIDS_DATA) {
        struct sides *sides = *state;
        if (stream->server.count_new) count(&stream->server, &sides->seen[0], &heads[0]);
        if (stream->client.count_new) count(&stream->client, &sides->seen[1], &heads[1]);
    } else {
        free(*state);
    }
}

int main(int argc, char **argv) {
    struct nids_chksum_ctl all = {.netaddr = 0, .mask = 0, .action = NIDS_DONT_CHKSUM};
    if (argc != 2) return 64;
    nids_params.filename = argv[1];
    nids_params.scan_num_hosts = 0;
    nids_params.n_tcp_streams = 1 << 20;
    if (!nids_init()) {
        fprintf(stderr, "%s\n", nids_errbuf);
        return 1;
    }
    nids_register_chksum_ctl(&all, 1);
    nids_register_tcp(tcp);
    nids_run();
    printf("%lu %lu %lu %lu\n", connections, heads[0], heads[1], bytes);
}
