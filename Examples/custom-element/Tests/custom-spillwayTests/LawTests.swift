// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import SpillwayTesting
import Testing

@testable import custom_spillway

@Test func ttlGuardKeepsTheLaws() { #expect(ElementLaws.breaches(of: TTLGuard.self) == []) }
