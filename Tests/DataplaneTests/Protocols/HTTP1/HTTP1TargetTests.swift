// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Dataplane

@Suite struct HTTP1TargetTests {
    struct TargetCase: Sendable {
        var method = "GET"
        var target: String
        var authority: String?
        var path: String?
    }

    @Test(
        arguments: [
            TargetCase(target: "/a/b?c=/d", path: "/a/b"),
            TargetCase(target: "/", path: "/"),
            TargetCase(target: "//a/b", path: "//a/b"),
            TargetCase(target: "/a:b", path: "/a:b"),
            TargetCase(target: "/?x", path: "/"),
            TargetCase(target: "http://a.example:8080/b/c?d", authority: "a.example:8080", path: "/b/c"),
            TargetCase(target: "HTTP://a/", authority: "a", path: "/"),
            TargetCase(target: "http://a", authority: "a", path: "/"),
            TargetCase(target: "http://a?b/c", authority: "a", path: "/"),
            TargetCase(target: "http://user:pass@[2001:db8::1]:80/x", authority: "[2001:db8::1]:80", path: "/x"),
            TargetCase(target: "http://", authority: "", path: "/"),
            TargetCase(target: "http:/", path: "/"),
            TargetCase(target: "urn:a:b", path: "a:b"),
            TargetCase(method: "CONNECT", target: "a.example:443", authority: "a.example:443"),
            TargetCase(method: "OPTIONS", target: "*"),
            TargetCase(method: "OPTIONS", target: "http://a", authority: "a"),
            TargetCase(method: "OPTIONS", target: "http://a/", authority: "a", path: "/"),
            TargetCase(method: "connect", target: "/x", path: "/x"),
            TargetCase(target: "*x", path: "*x"),
            TargetCase(target: "index.html", path: "index.html"),
            TargetCase(target: ""),
        ]
    )
    func targets(_ item: TargetCase) {
        withBytes(item.target) { target in
            withBytes(item.method) { method in
                let parts = HTTP1Target(target, method: method)
                #expect(parts.authority.map { latin($0) } == item.authority)
                #expect(parts.path.map { latin($0) } == item.path)
            }
        }
    }

    @Test(
        arguments: [
            ("a.example", "a.example"), ("a.example:80", "a.example"), ("a.example:", "a.example"),
            ("[2001:db8::1]", "[2001:db8::1]"), ("[2001:db8::1]:443", "[2001:db8::1]"), ("*:80", "*"),
            ("[2001:*", "[2001:*"), ("*]:80", "*]"), ("", ""), (":80", ""),
        ]
    )
    func hostsEndBeforeTheirPort(_ authority: String, _ host: String) {
        #expect(
            String(decoding: Array(authority.utf8)[..<HTTP1Target.hostEnd(Array(authority.utf8))], as: UTF8.self)
                == host
        )
    }
}
