// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

/// Why a message could not be read completely. The name is stable; records and counters use it.
public enum HTTP1Error: UInt8, CaseIterable, BitwiseCopyable, Sendable {
    // Start lines (RFC 9112 §3, §4).
    case badMethod
    case badTarget
    case badVersion
    case badStatus
    case badReason
    /// The HTTP/2 preface (RFC 9113 §3.4), which is not an HTTP/1 request.
    case http2Preface
    // Field lines (RFC 9112 §5).
    case badFieldName
    case badFieldValue
    case spaceBeforeColon
    case spaceBeforeFirstField
    case obsoleteFold
    // Line ends (RFC 9112 §2.2).
    case bareLF
    case bareCR
    // Framing (RFC 9112 §6).
    case badLength
    case lengthOverflow
    case repeatedLength
    case lengthAndCoding
    case badCoding
    case repeatedCoding
    case codingNotChunked
    case codingInHTTP10
    case repeatedHost
    case badHost
    /// A request of HTTP/1.1 without Host (RFC 9112 §3.2). It is read all the same.
    case missingHost
    /// Host names another authority than the target (RFC 9112 §3.2.2). The request is read all the same.
    case hostMismatch
    /// A message after its sender's last one (RFC 9112 §9.6). It is read all the same.
    case dataAfterClose
    // Chunks (RFC 9112 §7.1).
    case badChunkSize
    case chunkSizeOverflow
    case badChunkExtension
    case badChunkEnd
    // Limits.
    case startLineTooLong
    case fieldLineTooLong
    case tooManyFields
    case headTooLong
    case trailersTooLong
    case chunkLineTooLong
    case tooManyEmptyLines
    case tooManyRequests
    case noMemory
    // How the bytes ended.
    case gap
    case truncated
    case reset
    case idle
    case evicted
    case eof

    /// The name in records and counters, such as `bad_chunk_size`.
    public var name: StaticString {
        switch self {
        case .badMethod: "bad_method"
        case .badTarget: "bad_target"
        case .badVersion: "bad_version"
        case .badStatus: "bad_status"
        case .badReason: "bad_reason"
        case .http2Preface: "http2_preface"
        case .badFieldName: "bad_field_name"
        case .badFieldValue: "bad_field_value"
        case .spaceBeforeColon: "space_before_colon"
        case .spaceBeforeFirstField: "space_before_first_field"
        case .obsoleteFold: "obs_fold"
        case .bareLF: "bare_lf"
        case .bareCR: "bare_cr"
        case .badLength: "bad_content_length"
        case .lengthOverflow: "content_length_overflow"
        case .repeatedLength: "repeated_content_length"
        case .lengthAndCoding: "content_length_and_transfer_encoding"
        case .badCoding: "bad_transfer_encoding"
        case .repeatedCoding: "repeated_chunked"
        case .codingNotChunked: "transfer_encoding_not_chunked"
        case .codingInHTTP10: "transfer_encoding_in_http10"
        case .repeatedHost: "repeated_host"
        case .badHost: "bad_host"
        case .missingHost: "missing_host"
        case .hostMismatch: "host_mismatch"
        case .dataAfterClose: "data_after_close"
        case .badChunkSize: "bad_chunk_size"
        case .chunkSizeOverflow: "chunk_size_overflow"
        case .badChunkExtension: "bad_chunk_extension"
        case .badChunkEnd: "bad_chunk_end"
        case .startLineTooLong: "start_line_too_long"
        case .fieldLineTooLong: "field_line_too_long"
        case .tooManyFields: "too_many_fields"
        case .headTooLong: "head_too_long"
        case .trailersTooLong: "trailers_too_long"
        case .chunkLineTooLong: "chunk_line_too_long"
        case .tooManyEmptyLines: "too_many_empty_lines"
        case .tooManyRequests: "too_many_requests"
        case .noMemory: "no_memory"
        case .gap: "gap"
        case .truncated: "truncated"
        case .reset: "reset"
        case .idle: "idle"
        case .evicted: "evicted"
        case .eof: "eof"
        }
    }
}
