#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make demo: from a fresh machine to a guest that is held, broken on purpose, and put right.
set -euo pipefail
cd "$(dirname "$0")/../.."
packaging/deps.sh --quiet
make -s -j"$(nproc)" all
echo "booting a host with 2 NUMA nodes and 24 CPUs (software emulation: half a minute or more)"
tests/lab/lab boot --name demo --topology 2x12 --systemd
trap 'tests/lab/lab off --name demo' EXIT
tests/lab/lab run --name demo --timeout 900 --env PF_LAB=1 tests/e2e/demo-inside.sh
