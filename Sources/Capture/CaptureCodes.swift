// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// The codes of all errors in captures, and in writing files; they appear in brackets after a message.
public enum CaptureCodes {
    /// All codes, in the order of their explanations.
    public static var all: [String] { texts.map(\.code) }

    /// The meaning of a code and what can be done; nil for an unknown code.
    public static func explain(_ code: String) -> String? {
        texts.first { $0.code == code }.map { "\($0.code)\n\n\($0.text)\n" }
    }

    /// The whole meaning of a code; nil for an unknown code.
    public static func text(of code: String) -> String? { texts.first { $0.code == code }?.text }

    private static let texts: [(code: String, text: String)] = [
        // Opening.
        (CaptureError.noSuchFile, "There is no file of this name. A path is relative to the directory of the command."),
        (
            "no_permission",
            "The file may not be read or written by this user, or it is on a file system that is read-only."
        ),
        ("is_directory", "The name is that of a directory, where a file is needed."),
        ("repeated_input", "Standard input can be read only once, and '-' is named more than once."),
        (
            OutputError.fileInUse,
            "A file would be read and written at once, or written by two. What a command reads it does not write, whatever "
                + "the names and links that lead there; choose another file."
        ),
        ("empty_file", "The file holds no bytes. A capture without packets still has a header."),
        (
            "unsupported_format",
            "The file is not a capture in pcap or pcapng format, plain or compressed with gzip, or with zstd, xz, lz4 or bzip2 "
                + "where the program of that name is installed. editcap converts other captures. What is compressed otherwise "
                + "can come through a pipe: 'unzip -p FILE | spillway run GRAPH --wire -'."
        ),
        // Damage. Packets before it were used.
        (
            "unsupported_version",
            "The file says that it has a version of its format which is not known here: pcap has 2.x, pcapng 1.x."
        ),
        (
            "reserved_bits",
            "The link type in the header of a pcap file has bits set that must be 0. The header is damaged, or the file "
                + "is of another format."
        ),
        ("truncated_header", "The file ends within its first header, so it holds no packet."),
        (
            "truncated_record",
            "The file ends within a packet, as it does when a capturing program is stopped or a disk is full. The packets "
                + "before were used."
        ),
        (
            "truncated_block",
            "The file ends within a block of pcapng, as it does when a capturing program is stopped or a disk is full. The "
                + "packets before were used."
        ),
        (
            "oversized_record",
            "A packet says that it is longer than any can be. The file is damaged there; the packets before were used."
        ),
        (
            "block_length",
            "The length of a block of pcapng cannot be right: it is no multiple of 4, is too short for what the block holds, "
                + "or differs at the block's beginning and end. The file is damaged there; the packets before were used."
        ),
        (
            "option_length",
            "An option says that it is longer than the block it is in. The file is damaged there; the packets before were "
                + "used."
        ),
        ("byte_order", "A section of pcapng begins without the number that tells the order of its bytes."),
        ("unknown_interface", "A packet of pcapng belongs to an interface that no block before it describes."),
        ("too_many_interfaces", "A section of pcapng describes more interfaces than are kept."),
        (
            "truncated_gzip",
            "The compressed data end early, as after a download that was broken off. The packets before were used."
        ),
        ("damaged_gzip", "The compressed data are damaged. The packets before were used."),
        (
            "damaged_compression",
            "The program that decompresses the file (zstd, xz, lz4, bzip2) ended with an error; the message has its words. The "
                + "data are damaged, end early as after a download that was broken off, or need more memory than is given to "
                + "it (128 MiB; xz 256). The packets before were used."
        ),
        ("read_error", "The system could not open or read the file; the message has its words."),
        // Writing.
        ("no_such_directory", "The directory in which the file would be does not exist."),
        ("no_space", "The disk is full, or the user's share of it is used up. What was written is not complete."),
        (OutputError.closedPipe, "The program that read the output has ended."),
        ("write_error", "The system could not create or write the file; the message has its words."),
        (
            "second_link_type",
            "A pcap file holds packets of one link type, and a packet of another was to be written. A file whose name ends "
                + "in .pcapng is written as pcapng, which holds any."
        ),
        (
            "time_out_of_range",
            "A packet was to be written whose time the capture format cannot hold: neither pcap nor pcapng as written here holds "
                + "times before 1970, and pcap none after February 2106. A file whose name ends in .pcapng is written as pcapng."
        ),
    ]
}
