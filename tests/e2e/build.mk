# SPDX-License-Identifier: GPL-2.0-or-later
# What end-to-end tests run inside the lab besides the agent itself.

e2e-tools: $(B)/e2e/storm $(B)/e2e/table $(B)/e2e/idle.rom $(B)/e2e/busy.rom \
	$(B)/san/tests/unit/bpf/test_causes $(B)/san/tests/unit/bpf/test_kernel

$(B)/e2e/storm: $(B)/obj/tests/e2e/storm.o $(B)/obj/agent/base/set.o $(B)/obj/agent/base/err.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(HARDEN_LD) -o $@ $^ -lpthread

$(B)/e2e/table: $(B)/obj/tests/e2e/table.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(HARDEN_LD) -o $@ $^

$(B)/e2e/busy.rom: ROM_FLAGS := --defsym BUSY=1

$(B)/e2e/%.rom: tests/lab/firmware.S
	@mkdir -p $(@D)
	as --32 $(ROM_FLAGS) -o $@.o $<
	ld -m elf_i386 -Ttext 0 --oformat binary -o $@ $@.o
