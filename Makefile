# SPDX-License-Identifier: GPL-2.0-or-later
# One makefile for the whole tree; everything that is made goes to .build/.

VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
B := .build
comma := ,

CC ?= gcc
CLANG ?= clang
CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
HARDEN_LD := -pie -Wl,-z,relro,-z,now,-z,noexecstack
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

LIBS_COMMON := jansson
LIBS_AGENT := libvirt libxml-2.0 libcgroup numa libsystemd libmicrohttpd inih libbpf \
	sqlite3 nettle
LIBS_CLI := libcurl smartcols numa sqlite3 nettle
LIBS_ALL := $(LIBS_COMMON) $(LIBS_AGENT) $(LIBS_CLI)

# Asked of pkg-config once, and only when something is compiled: `make deps` and `make help`
# must work where none of it is installed.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(LIBS_ALL)))$(PKG_CFLAGS)
pkg_libs = $(shell pkg-config --libs $(1))

CPPFLAGS_ALL = -std=gnu11 -D_GNU_SOURCE -DPF_VERSION='"$(VERSION)"' -I. -I$(B)/include \
	-MMD -MP $(PKG_CFLAGS) $(CPPFLAGS)

# --- what there is -------------------------------------------------------------------------

LIB_DIRS := agent/base agent/model agent/source agent/desired agent/diff agent/apply \
	agent/observe agent/audit agent/serve cgroup bpf
LIB_SRC := $(filter-out %.bpf.c,$(wildcard $(addsuffix /*.c,$(LIB_DIRS))))
AGENT_SRC := $(wildcard agent/daemon/*.c)
CLI_SRC := $(wildcard agent/cli/*.c)
CLI_LIB_SRC := $(wildcard agent/base/*.c agent/model/*.c) agent/source/topology.c \
	$(addprefix agent/audit/,anchor.c query.c row.c verify.c)
UNIT_SRC := $(wildcard tests/unit/*/test_*.c tests/unit/*/*/test_*.c tests/contract/test_*.c)
FAKE_SRC := $(wildcard tests/fake/*.c)
UNIT_BIN := $(UNIT_SRC:%.c=$(B)/san/%)

LIB_OBJ := $(LIB_SRC:%.c=$(B)/obj/%.o)
AGENT_OBJ := $(AGENT_SRC:%.c=$(B)/obj/%.o)
CLI_OBJ := $(CLI_SRC:%.c=$(B)/obj/%.o) $(CLI_LIB_SRC:%.c=$(B)/obj/%.o)
SAN_LIB_OBJ := $(LIB_SRC:%.c=$(B)/san/%.o) $(FAKE_SRC:%.c=$(B)/san/%.o) \
	$(patsubst %.c,$(B)/san/%.o,$(filter-out %/main.c,$(AGENT_SRC) $(CLI_SRC)))

.PHONY: all help deps check unit unit-build contract e2e-tools demo lab install uninstall clean format bench
.DEFAULT_GOAL := all

all: $(B)/pinfoldd $(B)/pinfold ## build pinfoldd and pinfold into .build/

help: ## this list
	@sed -n 's/^\([a-z_.]*\):.*## \(.*\)/  make \1\t\2/p' Makefile packaging/install.mk | expand -t 30

# --- build ---------------------------------------------------------------------------------

-include bpf/build.mk

$(B)/pinfoldd: $(AGENT_OBJ) $(LIB_OBJ)
	$(CC) $(CFLAGS) $(HARDEN_LD) $(LDFLAGS) -o $@ $^ $(call pkg_libs,$(LIBS_COMMON)) $(call pkg_libs,$(LIBS_AGENT)) -lpthread

$(B)/pinfold: $(CLI_OBJ)
	$(CC) $(CFLAGS) $(HARDEN_LD) $(LDFLAGS) -o $@ $^ $(call pkg_libs,$(LIBS_COMMON) $(LIBS_CLI))

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS) $(WARN) $(HARDEN) -c -o $@ $<

$(B)/san/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) -Og -g $(WARN) -Wno-error=maybe-uninitialized $(SANITIZE) -c -o $@ $<

$(B)/san/libpinfold.a: $(SAN_LIB_OBJ)
	@rm -f $@
	ar rcs $@ $^

# Its allocations fail on demand.
$(B)/san/tests/unit/faults/test_memory: UNIT_LDFLAGS := $(addprefix -Wl$(comma)--wrap=,malloc calloc \
	realloc strdup strndup asprintf vasprintf)

$(UNIT_BIN): $(B)/san/%: $(B)/san/%.o $(B)/san/libpinfold.a
	$(CC) $(SANITIZE) $(UNIT_LDFLAGS) -o $@ $< $(B)/san/libpinfold.a -lcmocka $(call pkg_libs,$(LIBS_ALL)) -lpthread

-include $(shell find $(B)/obj $(B)/san -name '*.d' 2>/dev/null)

compile_commands.json: $(LIB_SRC) $(AGENT_SRC) $(CLI_SRC) ## for clangd and clang-tidy
	@printf '%s\n' $^ | sort -u | sed 's|.*|{"directory": "$(CURDIR)", "file": "&", "command": "$(CC) -std=gnu11 -D_GNU_SOURCE -DPF_VERSION=\\"$(VERSION)\\" -I. -I$(B)/include $(PKG_CFLAGS) -c &"}|' | paste -sd, | sed 's/^/[/;s/$$/]/;s/},{/},\n{/g' > $@

# --- what people call ----------------------------------------------------------------------

deps: ## install what build, lab and tests need (apt on Debian 12)
	packaging/deps.sh

check: ## everything: unit tests, contract suite, lab suites with real guests
	tests/check/all.sh

unit-build: $(UNIT_BIN)

unit: unit-build ## unit tests alone (ASan + UBSan)
	tests/check/unit.sh $(UNIT_BIN)

demo: ## the whole story in a lab of 24 CPUs, in a few minutes
	tests/e2e/demo.sh

lab: ## a shell on a 4-node host with libvirt
	packaging/deps.sh --quiet
	$(MAKE) all
	tests/lab/lab shell

format: ## clang-format over every C file
	clang-format -i $(LIB_SRC) $(AGENT_SRC) $(CLI_SRC) $(UNIT_SRC) $(FAKE_SRC) \
		$(wildcard agent/*/*.h cgroup/*.h bpf/*.h bpf/*.bpf.c tests/*/*.h tests/unit/*/*.h)

clean: ## remove .build/ but not the kernels fetched for the lab
	find $(B) -mindepth 1 -maxdepth 1 ! -name kernels ! -name lab -exec rm -rf {} +

-include tests/contract/build.mk
-include tests/stop/build.mk
-include tests/e2e/build.mk
-include packaging/install.mk
