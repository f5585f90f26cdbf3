$(B)/bench/bench.bpf.o: tests/bench/bench.bpf.c $(wildcard bpf/*.h) bpf/build.mk
	@mkdir -p $(@D)
	$(CLANG) $(BPF_FLAGS) -c -o $@ $<

$(B)/include/tests/bench/bench.skel.h: $(B)/bench/bench.bpf.o
	@mkdir -p $(@D)
	bpftool gen skeleton $< name bench > $@.tmp && mv $@.tmp $@

$(B)/obj/tests/bench/bench.o: $(B)/include/tests/bench/bench.skel.h

$(B)/bench/bench: $(B)/obj/tests/bench/bench.o $(B)/obj/agent/base/err.o $(B)/obj/agent/base/set.o \
		$(patsubst bpf/%.c,$(B)/obj/bpf/%.o,$(filter-out %.bpf.c,$(wildcard bpf/*.c)))
	$(CC) $(CFLAGS) $(HARDEN_LD) -o $@ $^ -lbpf -lpthread -lm

$(B)/bench/agent: $(B)/obj/tests/bench/agent.o $(filter-out %/main.o,$(AGENT_OBJ)) $(LIB_OBJ)
	$(CC) $(CFLAGS) $(HARDEN_LD) -o $@ $^ $(call pkg_libs,$(LIBS_COMMON)) $(call pkg_libs,$(LIBS_AGENT)) -lpthread

bench: $(B)/bench/bench $(B)/bench/agent ## measure what the eBPF programs cost, here; writes docs/benchmarks.md
	tests/bench/run

$(B)/bench/standin: tests/bench/standin.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE $(CFLAGS) $(WARN) -o $@ $< -lpthread

.PHONY: bench-scale
bench-scale: all $(B)/bench/standin ## measure repairs and 200 guests in the lab; writes docs/benchmarks-repair.md
	tests/bench/scale

$(B)/bench/guard: $(B)/obj/tests/bench/guard.o $(B)/obj/agent/base/err.o $(B)/obj/agent/base/set.o \
		$(patsubst bpf/%.c,$(B)/obj/bpf/%.o,$(filter-out %.bpf.c,$(wildcard bpf/*.c)))
	$(CC) $(CFLAGS) $(HARDEN_LD) -o $@ $^ -lbpf -lpthread -lm

.PHONY: bench-guard
bench-guard: $(B)/bench/guard ## measure in the lab what the guard costs others; writes docs/benchmarks-guard.md
	tests/bench/guard
