/* Copyright 2026 the Spillway authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The least that carries packets between two interfaces through packet sockets, both ways, on one thread: the floor for
 * scripts/bench-live.sh. VLAN tags, which the kernel hands over beside the packet, are put back. Segments that offloads joined and
 * checksums that they left open pass as they are, with their virtio header (PACKET_VNET_HDR). Packets leave with sendmmsg straight
 * from where they were received. A transmit ring (PACKET_TX_RING), into which they have to be copied, was slower: at best 4.0 us of CPU
 * time for a packet of 60 bytes where sendmmsg took 2.9, over veth on Linux 6.18.
 *
 *   -m block     a TPACKET_V3 ring, whose blocks come whole, after at most 1 ms (the default)
 *   -m frame     a TPACKET_V2 ring, whose packets come one by one; none may be longer than 2 KiB
 *   -m message   recvmmsg, without a ring
 *
 * SIGTERM or SIGINT ends it: it prints packets and bytes each way, losses, and its CPU time in nanoseconds.
 *
 * cc -O2 tpacket-forward.c -o tpacket-forward; ./tpacket-forward [-m MODE] INTERFACE INTERFACE
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK, FRAME, MESSAGE } mode = BLOCK;
enum {
    MOST = 64,                  /* packets for one call */
    BLOCK_BYTES = 1 << 20,
    BLOCKS = 32,
    FRAME_BYTES = 2048,
    FRAMES = BLOCK_BYTES / FRAME_BYTES * BLOCKS,
    MESSAGE_BYTES = 65536 + 128,
    HEADROOM = 16,              /* before a message, for a tag */
    CONTROL = 64,
};

struct side {
    int socket;
    unsigned char *ring;        /* or the memory of messages */
    unsigned char *controls;
    unsigned at;                /* the next block or frame */
    unsigned long packets, bytes, unsent, longer;
};

static volatile sig_atomic_t stopped;
static void stop(int number) { (void)number; stopped = 1; }

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void set(int s, int option, const void *value, socklen_t size, const char *what) {
    if (setsockopt(s, SOL_PACKET, option, value, size)) fail(what);
}

static void open_side(struct side *side, const char *name) {
    int one = 1, version = mode == BLOCK ? TPACKET_V3 : TPACKET_V2, room = 4, buffer = 16 << 20;
    side->socket = socket(AF_PACKET, SOCK_RAW, 0);
    if (side->socket < 0) fail("socket");
    set(side->socket, PACKET_IGNORE_OUTGOING, &one, sizeof one, "PACKET_IGNORE_OUTGOING");
    set(side->socket, PACKET_VNET_HDR, &one, sizeof one, "PACKET_VNET_HDR");
    if (mode == MESSAGE) {
        set(side->socket, PACKET_AUXDATA, &one, sizeof one, "PACKET_AUXDATA");
        setsockopt(side->socket, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
        side->ring = malloc((size_t)MOST * (HEADROOM + MESSAGE_BYTES));
        side->controls = malloc(MOST * CONTROL);
    } else {
        struct tpacket_req3 request = {
            .tp_block_size = BLOCK_BYTES, .tp_block_nr = BLOCKS,
            .tp_frame_size = FRAME_BYTES, .tp_frame_nr = FRAMES, .tp_retire_blk_tov = 1,
        };
        set(side->socket, PACKET_VERSION, &version, sizeof version, "PACKET_VERSION");
        set(side->socket, PACKET_RESERVE, &room, sizeof room, "PACKET_RESERVE");
        set(side->socket, PACKET_RX_RING, &request, mode == BLOCK ? sizeof request : sizeof(struct tpacket_req), "PACKET_RX_RING");
        side->ring = mmap(NULL, (size_t)BLOCK_BYTES * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, side->socket, 0);
        if (side->ring == MAP_FAILED) fail("mmap");
    }
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name),
    };
    struct packet_mreq all = {.mr_ifindex = address.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
    if (!address.sll_ifindex) fail(name);
    set(side->socket, PACKET_ADD_MEMBERSHIP, &all, sizeof all, "PACKET_ADD_MEMBERSHIP");
    if (bind(side->socket, (struct sockaddr *)&address, sizeof address)) fail("bind");
}

static struct iovec vectors[MOST];
static struct mmsghdr out[MOST];
static unsigned filled;

/* Sends what has been collected. */
static void flush(struct side *from, struct side *to) {
    unsigned done = 0, waits = 0;
    while (done < filled) {
        int n = sendmmsg(to->socket, out + done, filled - done, MSG_DONTWAIT);
        if (n > 0) {
            done += (unsigned)n;
        } else if ((errno == EAGAIN || errno == ENOBUFS) && !waits++) {
            struct pollfd ready = {.fd = to->socket, .events = POLLOUT};
            poll(&ready, 1, 1);
        } else if (errno != EINTR) {
            from->unsent++;
            done++;
        }
    }
    filled = 0;
}

/* Collects a packet; its virtio header is before it, and four bytes before that are free. */
static void forward(struct side *from, struct side *to, unsigned char *start, unsigned length, unsigned status, unsigned tpid,
                    unsigned tci) {
    struct virtio_net_hdr *header = (struct virtio_net_hdr *)(start - sizeof *header);
    from->packets++;
    from->bytes += length;
    if (status & TP_STATUS_VLAN_VALID) {
        if (!(status & TP_STATUS_VLAN_TPID_VALID)) tpid = ETH_P_8021Q;
        if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) header->csum_start += 4;
        if (header->hdr_len) header->hdr_len += 4;
        memmove((unsigned char *)header - 4, header, sizeof *header + 12);
        start[8] = tpid >> 8, start[9] = tpid & 255, start[10] = tci >> 8, start[11] = tci & 255;
        start -= 4;
        length += 4;
        from->bytes += 4;
    }
    vectors[filled] = (struct iovec){start - sizeof *header, length + sizeof *header};
    if (++filled == MOST) flush(from, to);
}

static int read_blocks(struct side *from, struct side *to) {
    struct tpacket_block_desc *block = (void *)(from->ring + (size_t)from->at * BLOCK_BYTES);
    if (!(__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) return 0;
    struct tpacket3_hdr *p = (void *)((unsigned char *)block + block->hdr.bh1.offset_to_first_pkt);
    for (unsigned n = block->hdr.bh1.num_pkts; n; n--) {
        unsigned char *start = (unsigned char *)p + p->tp_mac;
        struct tpacket3_hdr *next = (void *)((unsigned char *)p + p->tp_next_offset);
        if (p->tp_snaplen < p->tp_len) from->longer++;
        else forward(from, to, start, p->tp_snaplen, p->tp_status, p->hv1.tp_vlan_tpid, p->hv1.tp_vlan_tci);
        p = next;
    }
    flush(from, to);
    __atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    from->at = (from->at + 1) % BLOCKS;
    return 1;
}

static int read_frames(struct side *from, struct side *to) {
    unsigned n = 0;
    struct tpacket2_hdr *p;
    for (; n < MOST; n++) {
        p = (void *)(from->ring + (size_t)((from->at + n) % FRAMES) * FRAME_BYTES);
        if (!(__atomic_load_n(&p->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) break;
        if (p->tp_snaplen < p->tp_len) from->longer++;
        else forward(from, to, (unsigned char *)p + p->tp_mac, p->tp_snaplen, p->tp_status, p->tp_vlan_tpid, p->tp_vlan_tci);
    }
    flush(from, to);
    for (unsigned k = 0; k < n; k++) {
        p = (void *)(from->ring + (size_t)from->at * FRAME_BYTES);
        __atomic_store_n(&p->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        from->at = (from->at + 1) % FRAMES;
    }
    return n > 0;
}

static int read_messages(struct side *from, struct side *to) {
    static struct iovec places[MOST];
    static struct mmsghdr in[MOST];
    for (unsigned k = 0; k < MOST; k++) {
        places[k] = (struct iovec){from->ring + (size_t)k * (HEADROOM + MESSAGE_BYTES) + HEADROOM, MESSAGE_BYTES};
        in[k].msg_hdr = (struct msghdr){
            .msg_iov = places + k, .msg_iovlen = 1, .msg_control = from->controls + k * CONTROL, .msg_controllen = CONTROL,
        };
    }
    int n = recvmmsg(from->socket, in, MOST, MSG_DONTWAIT, NULL);
    for (int k = 0; k < n; k++) {
        struct tpacket_auxdata aux = {0};
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&in[k].msg_hdr); c; c = CMSG_NXTHDR(&in[k].msg_hdr, c))
            if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) memcpy(&aux, CMSG_DATA(c), sizeof aux);
        forward(from, to, (unsigned char *)places[k].iov_base + sizeof(struct virtio_net_hdr),
                in[k].msg_len - sizeof(struct virtio_net_hdr), aux.tp_status, aux.tp_vlan_tpid, aux.tp_vlan_tci);
    }
    flush(from, to);
    return n > 0;
}

static unsigned long drops(struct side *side) {
    struct tpacket_stats_v3 counts = {0};
    socklen_t size = sizeof counts;
    getsockopt(side->socket, SOL_PACKET, PACKET_STATISTICS, &counts, &size);
    return counts.tp_drops;
}

int main(int argc, char **argv) {
    struct side sides[2] = {0};
    for (int c; (c = getopt(argc, argv, "m:")) != -1;) {
        if (c != 'm') return 64;
        mode = optarg[0] == 'f' ? FRAME : optarg[0] == 'm' ? MESSAGE : BLOCK;
    }
    if (argc - optind != 2) {
        fprintf(stderr, "usage: tpacket-forward [-m block|frame|message] INTERFACE INTERFACE\n");
        return 64;
    }
    sigset_t ends, before;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM), sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, &before);
    sigdelset(&before, SIGTERM), sigdelset(&before, SIGINT);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL), sigaction(SIGINT, &action, NULL);

    for (int k = 0; k < 2; k++) open_side(&sides[k], argv[optind + k]);
    for (int k = 0; k < MOST; k++) out[k].msg_hdr = (struct msghdr){.msg_iov = vectors + k, .msg_iovlen = 1};
    int (*take)(struct side *, struct side *) = mode == BLOCK ? read_blocks : mode == FRAME ? read_frames : read_messages;
    struct pollfd waits[2] = {{.fd = sides[0].socket, .events = POLLIN}, {.fd = sides[1].socket, .events = POLLIN}};
    while (!stopped) {
        /* Signals are delivered while it sleeps; a look without sleep lets them in where packets never end. */
        struct timespec none = {0};
        int some = take(&sides[0], &sides[1]) | take(&sides[1], &sides[0]);
        static unsigned turns;
        if (!some || ++turns % 64 == 0) ppoll(waits, 2, some ? &none : NULL, &before);
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("there_packets=%lu there_bytes=%lu back_packets=%lu back_bytes=%lu", sides[0].packets, sides[0].bytes, sides[1].packets,
           sides[1].bytes);
    printf(" unsent=%lu too_long=%lu kernel_drops=%lu", sides[0].unsent + sides[1].unsent, sides[0].longer + sides[1].longer,
           drops(&sides[0]) + drops(&sides[1]));
    printf(" user_ns=%lu system_ns=%lu\n", usage.ru_utime.tv_sec * 1000000000UL + usage.ru_utime.tv_usec * 1000UL,
           usage.ru_stime.tv_sec * 1000000000UL + usage.ru_stime.tv_usec * 1000UL);
}
