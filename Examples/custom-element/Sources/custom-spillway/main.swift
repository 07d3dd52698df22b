// Copyright 2026 the Spillway authors
// SPDX-License-Identifier: Apache-2.0

import Spillway
import SpillwayCommand

runSpillway(adding: .own)
