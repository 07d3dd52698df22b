#!/usr/bin/env python3
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
"""vlan-port.py INTERFACE NAME=TAGS...

Gives a host VLAN interfaces where the kernel has none: NAME is a TAP interface whose frames travel on INTERFACE with the
given tags, outermost first ("5" or "100,7"), the innermost of type 802.1Q and those around it 802.1ad. Runs until it is
ended. Used by make-captures.sh inside namespaces of its own.
"""
import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
ETH_P_ALL, SOL_PACKET, PACKET_AUXDATA, VLAN_VALID, VLAN_TPID_VALID = 0x0003, 263, 8, 0x10, 0x40
DOT1Q, DOT1AD = 0x8100, 0x88A8


def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def header(tags):
    types = [DOT1AD] * (len(tags) - 1) + [DOT1Q]
    return b"".join(struct.pack("!HH", kind, tag) for kind, tag in zip(types, tags))


def received(wire):
    """One frame as it was on the wire; the kernel hands the outermost tag over beside the bytes."""
    frame, extra, _, address = wire.recvmsg(65536, 256)
    if address[2] == socket.PACKET_OUTGOING:
        return None
    for level, kind, data in extra:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", data[:20])
            if status & VLAN_VALID:
                kind = tpid if status & VLAN_TPID_VALID else DOT1Q
                frame = frame[:12] + struct.pack("!HH", kind, tci) + frame[12:]
    return frame


def deliver(fd, frame):
    try:
        os.write(fd, frame)
    except OSError:
        pass  # The interface is not up yet: as on a cable, the frame is lost.


def main():
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.bind((sys.argv[1], 0))
    wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    ports = []
    for argument in sys.argv[2:]:
        name, tags = argument.split("=")
        ports.append((tap(name), header([int(tag) for tag in tags.split(",")])))
    while True:
        ready, _, _ = select.select([wire] + [fd for fd, _ in ports], [], [])
        for fd, tags in ports:
            if fd in ready:
                frame = os.read(fd, 65536)
                wire.send(frame[:12] + tags + frame[12:])
        if wire in ready:
            frame = received(wire)
            for fd, tags in ports:
                rest = len(tags) + 12
                if frame and frame[12:rest] == tags and frame[rest : rest + 2] not in (b"\x81\x00", b"\x88\xa8"):
                    deliver(fd, frame[:12] + frame[rest:])


main()
