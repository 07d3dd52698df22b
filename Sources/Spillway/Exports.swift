// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

// The public face of the library: `import Spillway` is all a user needs, even to write elements.
@_exported import Capture
@_exported import Dataplane
@_exported import GraphFile
@_exported import Live
@_exported import Model
@_exported import Placement
@_exported import Reports
