// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Filters of all kinds that libpcap knows.
let filters: [String] = [
    // Protocols.
    "ip", "ip6", "arp", "rarp", "tcp", "udp", "icmp", "icmp6", "igmp", "sctp", "pim", "vrrp", "ah", "esp", "stp", "llc",
    "ip proto 47", "ip proto \\tcp", "ip6 proto 17", "ip6 proto \\icmp6", "proto 50", "ether proto 0x88cc",
    "ether proto \\ip", "ether proto 0x8847", "iso", "isis", "ipx", "netbeui", "decnet", "atalk",
    // Hosts and networks.
    "host 10.0.0.1", "src host 192.168.1.1", "dst host 10.1.1.1", "src or dst host 192.168.0.1",
    "src and dst host 127.0.0.1", "ip host 10.0.0.1", "arp host 192.168.1.1", "host ::1", "src host fe80::1",
    "host 2001:db8::1", "net 10.0.0.0/8", "src net 192.168", "dst net 172.16.0.0/12",
    "net 192.168.1.0 mask 255.255.255.0",
    "ip6 net fe80::/10", "net 2001:470::/32", "dst net 2000::/3", "net 0.0.0.0/1",
    // Ports.
    "port 80", "tcp port 80", "tcp dst port 80", "tcp src port 80", "udp port 53", "udp dst port 53", "port http",
    "tcp port http or tcp port https", "port (22 or 25 or 80)", "portrange 1-1023", "tcp portrange 1024-65535",
    "udp src portrange 5000-6000", "sctp port 38412", "dst portrange 0-65535", "src port 53 and dst port 53",
    "tcp port 80 or 443 or 8080 or 8443 or 3128", "not port 22",
    // Link level.
    "ether host 00:11:22:33:44:55", "ether src 00:00:00:00:00:00", "ether dst ff:ff:ff:ff:ff:ff", "ether broadcast",
    "ether multicast", "broadcast", "multicast", "ip multicast", "ip6 multicast", "ip broadcast", "vlan", "vlan 10",
    "vlan and tcp", "vlan 100 and vlan 200", "vlan and vlan and ip", "vlan and tcp port 80", "mpls", "mpls 1000",
    "mpls and mpls and ip", "mpls and host 10.0.0.1", "pppoed", "pppoes", "pppoes and ip", "pppoes 1 and tcp port 80",
    "pppoes 0x27 and ip6", "geneve", "geneve and tcp", "geneve 0xb and ip",
    // Bytes and flags.
    "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn", "tcp[tcpflags] & tcp-ack != 0", "tcp[tcpflags] == tcp-rst",
    "tcp[13] & 7 != 0", "icmp[icmptype] == icmp-echo", "icmp[icmptype] = icmp-unreach and icmp[icmpcode] = 3",
    "icmp6 and ip6[40] == 135", "icmp6[icmp6type] == icmp6-echo", "ip[0] & 0xf != 5", "ip[6:2] & 0x1fff != 0",
    "ip[6] & 0x20 != 0", "ip[8] < 64", "ip[8] <= 1", "ip[1] & 0xfc == 0xb8", "ip[2:2] > 576", "ip[12:4] = 0x0a000001",
    "ip[16:4] & 0xff000000 = 0x0a000000", "ip[16] >= 224", "udp[4:2] > 100", "udp[8:2] != 0", "tcp[0:2] > tcp[2:2]",
    "tcp[12] >> 4 > 5", "tcp[12] & 0xf0 > 0x50", "(tcp[12] & 0xf0) >> 2 == 20", "(ip[0] & 0xf) << 2 == 24",
    "ether[0] & 1 = 1", "ether[12:2] > 1500", "ether[6:4] = 0", "ether[20:2] = 0x1234", "ip6[6] = 6", "ip6[4:2] > 100",
    "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420", "tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x48545450",
    "udp[8 + (udp[4:2] & 7)] = 1",
    // Arithmetic.
    "ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) != 0", "len - 14 = ip[2:2]", "ip[0] * 2 > 100",
    "ip[8] / 2 > 31", "ip[8] % 2 = 1", "100 / ip[1] > 5", "tcp[4:4] ^ tcp[8:4] > 0x1000", "ip[4:2] | 1 = ip[4:2]",
    "ip[9] + 1 = 7", "-ip[9] = 0xfffffffa", "1 << ip[9] = 64", "ip[4:2] >> ip[9] != 0", "ip[8] = ip[8]",
    "ip[20 - 4:4] > 0x7fffffff", "ip[ip[0] & 15] != 0", "ip[0] > 0x40 and ip[0] < 0x46", "5 = ip[0] & 15",
    // Lengths.
    "greater 100", "less 60", "len > 1000", "len >= 54 and len <= 74", "len = 60", "len & 1 = 1", "not greater 100",
    // Combinations.
    "not ip", "not tcp and not udp", "ip and not (tcp or udp or icmp)",
    "tcp and (port 80 or port 443) and not host 10.0.0.1",
    "(tcp or udp) and src net 10.0.0.0/8 and greater 64", "not (ip6 and udp)", "ip or ip6 or arp",
    "tcp and port 80 and ip[2:2] > 40", "not (tcp[tcpflags] & tcp-syn != 0)", "not ip[100] = 3", "not vlan", "not mpls",
    "host 10.0.0.1 or host 10.0.0.2 or host 10.0.0.3 or host 192.168.1.1",
    "net 10/8 or net 172.16/12 or net 192.168/16",
    "udp and (src port 67 or dst port 67 or port 68)", "tcp or vlan and udp", "ip protochain 6", "ip6 protochain 17",
    "ip6 protochain 58", "protochain 6", "ip and ip proto 4 and ip[20] & 0xf0 = 0x40", "gateway 1:2:3:4:5:6",
    // For other kinds of links.
    "wlan type mgt", "wlan type mgt subtype beacon", "wlan addr1 00:11:22:33:44:55", "type data",
    "wlan host 1:2:3:4:5:6",
    "inbound", "outbound", "ifindex 1", "lane", "vpi 1", "fisu", "on eth0", "atalk or aarp", "lat", "moprc",
    "link[0] = 0",
    "radio[0] = 0", "wlan[0] = 0x80", "dir nods", "llc i", "llc u", "llc ui", "ppp[0] = 0", "tr[0] = 16",
    "ether[1000000] = 1",
    "",
]
