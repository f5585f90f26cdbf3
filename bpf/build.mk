BPF_OBJ := $(B)/bpf/escape.bpf.o $(B)/bpf/cause.bpf.o
BPF_SKEL := $(B)/include/bpf/pinfold.skel.h
GUARD_SKEL := $(B)/include/bpf/guard.skel.h
BPF_ARCH := $(shell uname -m | sed 's/x86_64/x86/;s/aarch64/arm64/;s/ppc64le/powerpc/;s/s390x/s390/;s/riscv64/riscv/')
BPF_FLAGS := -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter \
	-D__TARGET_ARCH_$(BPF_ARCH) -I. -I/usr/include/$(shell $(CC) -print-multiarch)

$(B)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) bpf/build.mk
	@mkdir -p $(@D)
	$(CLANG) $(BPF_FLAGS) -c -o $@ $<

$(B)/bpf/pinfold.bpf.o: $(BPF_OBJ)
	bpftool gen object $@ $^

$(BPF_SKEL): $(B)/bpf/pinfold.bpf.o
	@mkdir -p $(@D)
	bpftool gen skeleton $< name pinfold > $@.tmp && mv $@.tmp $@

$(GUARD_SKEL): $(B)/bpf/guard.bpf.o
	@mkdir -p $(@D)
	bpftool gen skeleton $< name guard > $@.tmp && mv $@.tmp $@

$(B)/obj/bpf/generation.o $(B)/san/bpf/generation.o: $(BPF_SKEL)
$(B)/obj/bpf/guard.o $(B)/san/bpf/guard.o: $(GUARD_SKEL)

-include tests/bench/build.mk
