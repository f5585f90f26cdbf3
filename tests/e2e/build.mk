# SPDX-License-Identifier: GPL-2.0-or-later
# What end-to-end tests run inside the lab besides the agent itself.

e2e-tools: $(B)/e2e/storm $(B)/e2e/table $(B)/san/tests/unit/bpf/test_causes \
	$(B)/san/tests/unit/bpf/test_kernel

$(B)/e2e/storm: $(B)/obj/tests/e2e/storm.o $(B)/obj/agent/base/set.o $(B)/obj/agent/base/err.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(HARDEN_LD) -o $@ $^ -lpthread

$(B)/e2e/table: $(B)/obj/tests/e2e/table.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(HARDEN_LD) -o $@ $^
