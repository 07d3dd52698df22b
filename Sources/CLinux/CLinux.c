// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(struct clinux_message) == sizeof(struct mmsghdr), "the same structure");

int clinux_find_interface(const char *name, struct clinux_interface *found) {
    struct ifreq request = {0};
    if (strlen(name) >= sizeof request.ifr_name) return ENODEV;
    strcpy(request.ifr_name, name);
    int probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (probe < 0) return errno;
    int error = 0;
    if (ioctl(probe, SIOCGIFINDEX, &request) == 0) found->index = request.ifr_ifindex; else error = errno;
    if (!error && ioctl(probe, SIOCGIFMTU, &request) == 0) found->mtu = request.ifr_mtu; else error = error ? error : errno;
    if (!error && ioctl(probe, SIOCGIFFLAGS, &request) == 0) {
        found->is_up = (request.ifr_flags & IFF_UP) != 0;
        found->is_loopback = (request.ifr_flags & IFF_LOOPBACK) != 0;
    } else {
        error = error ? error : errno;
    }
    if (!error && ioctl(probe, SIOCGIFHWADDR, &request) == 0) found->kind = request.ifr_hwaddr.sa_family;
    else error = error ? error : errno;
    close(probe);
    return error;
}

int clinux_ask_ethtool(const char *name, uint32_t command, uint32_t *value) {
    struct ethtool_value question = {.cmd = command};
    struct ifreq request = {.ifr_data = (char *)&question};
    if (strlen(name) >= sizeof request.ifr_name) return ENODEV;
    strcpy(request.ifr_name, name);
    int probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (probe < 0) return errno;
    int error = ioctl(probe, SIOCETHTOOL, &request) == 0 ? 0 : errno;
    close(probe);
    *value = question.data;
    return error;
}

int clinux_receive(int socket, struct clinux_message *messages, unsigned int count) {
    return recvmmsg(socket, (struct mmsghdr *)messages, count, MSG_DONTWAIT | MSG_TRUNC, NULL);
}

int clinux_send(int socket, struct clinux_message *messages, unsigned int count) {
    return sendmmsg(socket, (struct mmsghdr *)messages, count, MSG_DONTWAIT);
}

int clinux_poll(struct pollfd *descriptors, unsigned int count, int64_t nanoseconds) {
    struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    return ppoll(descriptors, count, &time, NULL);
}

int clinux_event(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

int clinux_get_cores(int *cores, int most) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
    int count = 0;
    for (int core = 0; core < CPU_SETSIZE && count < most; core++)
        if (CPU_ISSET(core, &set)) cores[count++] = core;
    return count;
}

int clinux_set_cores(const int *cores, int count) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int k = 0; k < count; k++) CPU_SET(cores[k], &set);
    return sched_setaffinity(0, sizeof set, &set);
}

int clinux_give_up_rights(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (syscall(SYS_capset, &header, none) != 0) return errno;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno;
}
