// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Link types as numbered in capture files (https://www.tcpdump.org/linktypes.html): the kind of a packet's outermost header.
public enum LinkType {
    /// BSD loopback: the address family in the byte order of the capturing machine.
    public static let null: UInt16 = 0
    /// Ethernet, without checksum.
    public static let ethernet: UInt16 = 1
    /// PPP, with or without framing (RFC 1661).
    public static let ppp: UInt16 = 9
    /// PPP in HDLC-like framing (RFC 1662), or Cisco HDLC.
    public static let pppHDLC: UInt16 = 50
    /// IPv4 or IPv6 without a link header.
    public static let raw: UInt16 = 101
    /// `raw` under the number OpenBSD uses internally, which some writers leak into files.
    public static let rawOpenBSD: UInt16 = 14
    /// `raw` under the number other systems use internally, which some writers leak into files.
    public static let rawDLT: UInt16 = 12
    /// Cisco HDLC (RFC 1547 section 4.3.1).
    public static let cHDLC: UInt16 = 104
    /// OpenBSD loopback: the address family in network byte order.
    public static let loop: UInt16 = 108
    /// Linux cooked capture, version 1.
    public static let linuxSLL: UInt16 = 113
    /// IPv4 without a link header.
    public static let ipv4: UInt16 = 228
    /// IPv6 without a link header.
    public static let ipv6: UInt16 = 229
    /// D-Bus messages.
    public static let dbus: UInt16 = 231
    /// USB packets as Windows captures them.
    public static let usbpcap: UInt16 = 249
    /// Linux cooked capture, version 2.
    public static let linuxSLL2: UInt16 = 276
    /// Elektrobit High Speed Capture and Replay.
    public static let ebhscr: UInt16 = 279

    /// The registered name without `LINKTYPE_`, for messages; the number if unknown here.
    public static func name(_ linkType: UInt16) -> String { names[linkType] ?? "\(linkType)" }

    /// Whether ``Headers`` can find the IP header of such packets.
    public static func isSupported(_ linkType: UInt16) -> Bool { supported.contains(linkType) }

    private static let supported: Set<UInt16> = [
        null, ethernet, ppp, pppHDLC, raw, rawOpenBSD, rawDLT, cHDLC, loop, linuxSLL, ipv4, ipv6, linuxSLL2,
    ]

    private static let names: [UInt16: String] = [
        null: "NULL", ethernet: "ETHERNET", 3: "AX25", 6: "IEEE802_5", 7: "ARCNET_BSD", 8: "SLIP", ppp: "PPP",
        10: "FDDI", rawDLT: "RAW", rawOpenBSD: "RAW", pppHDLC: "PPP_HDLC", 51: "PPP_ETHER", 99: "SYMANTEC_FIREWALL",
        100: "ATM_RFC1483", raw: "RAW", cHDLC: "C_HDLC", 105: "IEEE802_11", 107: "FRELAY", loop: "LOOP",
        linuxSLL: "LINUX_SLL", 114: "LTALK", 117: "PFLOG", 119: "IEEE802_11_PRISM", 122: "IP_OVER_FC", 123: "SUNATM",
        127: "IEEE802_11_RADIOTAP", 129: "ARCNET_LINUX", 138: "APPLE_IP_OVER_IEEE1394", 139: "MTP2_WITH_PHDR",
        140: "MTP2", 141: "MTP3", 142: "SCCP", 143: "DOCSIS", 144: "LINUX_IRDA", 147: "USER0",
        163: "IEEE802_11_AVS", 165: "BACNET_MS_TP", 166: "PPP_PPPD", 169: "GPRS_LLC", 177: "LINUX_LAPD",
        187: "BLUETOOTH_HCI_H4", 189: "USB_LINUX", 192: "PPI", 195: "IEEE802_15_4_WITHFCS", 196: "SITA", 197: "ERF",
        201: "BLUETOOTH_HCI_H4_WITH_PHDR", 203: "LAPD", 204: "PPP_WITH_DIR", 205: "C_HDLC_WITH_DIR",
        206: "FRELAY_WITH_DIR", 209: "IPMB_LINUX", 215: "IEEE802_15_4_NONASK_PHY", 220: "USB_LINUX_MMAPPED",
        224: "FC_2", 226: "IPNET", 227: "CAN_SOCKETCAN", ipv4: "IPV4", ipv6: "IPV6", 230: "IEEE802_15_4_NOFCS",
        dbus: "DBUS", 235: "DVB_CI", 236: "MUX27010", 239: "NFLOG", 240: "NETANALYZER",
        241: "NETANALYZER_TRANSPARENT", 242: "IPOIB", 243: "MPEG_2_TS", 245: "NFC_LLCP", 247: "INFINIBAND",
        248: "SCTP", usbpcap: "USBPCAP", 250: "RTAC_SERIAL", 251: "BLUETOOTH_LE_LL", 253: "NETLINK",
        254: "BLUETOOTH_LINUX_MONITOR", 255: "BLUETOOTH_BREDR_BB", 256: "BLUETOOTH_LE_LL_WITH_PHDR",
        257: "PROFIBUS_DL", 258: "PKTAP", 259: "EPON", 264: "ISO_14443", 265: "RDS", 266: "USB_DARWIN",
        271: "VSOCK", 272: "NORDIC_BLE", 273: "DOCSIS31_XRA31", 274: "ETHERNET_MPACKET", 275: "DISPLAYPORT_AUX",
        linuxSLL2: "LINUX_SLL2", ebhscr: "EBHSCR", 280: "VPP_DISPATCH", 281: "DSA_TAG_BRCM",
        282: "DSA_TAG_BRCM_PREPEND", 283: "IEEE802_15_4_TAP", 284: "DSA_TAG_DSA", 285: "DSA_TAG_EDSA", 286: "ELEE",
        288: "USB_2_0", 290: "ETW_MS",
    ]
}
