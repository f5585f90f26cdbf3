# SPDX-License-Identifier: GPL-2.0-or-later
# The contract suite: into the unit tests' library for the fake, and a binary of its own that
# checks the running kernel in the lab.

CONTRACT_SRC := tests/contract/kernel.c tests/contract/suite.c tests/contract/plans.c \
	tests/fake/after.c \
	$(wildcard agent/base/*.c agent/model/*.c agent/apply/*.c cgroup/*.c)

contract: $(B)/contract-kernel

$(B)/contract-kernel: $(CONTRACT_SRC:%.c=$(B)/obj/%.o)
	$(CC) $(CFLAGS) $(HARDEN_LD) $(LDFLAGS) -o $@ $^ $(call pkg_libs,libcgroup libsystemd jansson) \
		-lpthread

$(B)/san/libpinfold.a: $(B)/san/tests/contract/suite.o $(B)/san/tests/contract/plans.o
