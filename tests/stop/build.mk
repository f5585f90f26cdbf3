# SPDX-License-Identifier: GPL-2.0-or-later
# A pinfoldd that can be stopped at any step of a plan: the agent's own objects, unchanged, with
# tests/stop/stop.c linked around what changes a guest. `make install` knows nothing of it.

.PHONY: stop
stop: $(B)/stop/pinfoldd

$(B)/stop/pinfoldd: $(AGENT_OBJ) $(LIB_OBJ) $(B)/obj/tests/stop/stop.o \
		$(B)/obj/tests/fake/after.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(HARDEN_LD) $(LDFLAGS) -Wl,--wrap=pf_cgroup_open,--wrap=pf_unit_set \
		-Wl,--wrap=pf_ledger_save,--wrap=pf_unit_make,--wrap=write -o $@ $^ \
		$(call pkg_libs,$(LIBS_COMMON)) $(call pkg_libs,$(LIBS_AGENT)) -lpthread
