# Outrigger: `make help` lists what there is to make.
#
# BUILD is where everything goes; SANITIZE=1 builds with ASan and UBSan; V=1 shows the commands.

BUILD   ?= build
DAEMONS := relayd pushd xmppgw
PREFIX  ?= /usr/local
VERSION := 0.1.0

PACKAGES := libmicrohttpd jansson libcurl libssl libcrypto hiredis libcares expat inih libidn
CPPFLAGS += -I. -I$(BUILD)/lua -D_GNU_SOURCE -DOG_VERSION='"$(VERSION)"'
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wwrite-strings -Wformat=2 -Wundef -Wimplicit-fallthrough -Wno-unused-parameter \
            -Wno-missing-field-initializers -Werror=incompatible-pointer-types
HARDEN   := -fstack-protector-strong -fPIE
# Those of these that the compiler has for this processor.
try = $(if $(shell $(CC) -Werror $(1) -x c -c /dev/null -o /dev/null 2>&1 || echo no),,$(1))
HARDEN   += $(foreach flag,-fstack-clash-protection -fcf-protection \
              -ftrivial-auto-var-init=zero,$(call try,$(flag)))
LINK     := -pie -Wl,-z,relro,-z,now -Wl,--as-needed
ifdef FUZZ
HARDEN   += -fsanitize=fuzzer-no-link
endif
ifdef SANITIZE
HARDEN   += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else
# The third level needs gcc 12 or clang 9; an older one takes it for the second.
HARDEN   += -D_FORTIFY_SOURCE=3
endif
ALL_CFLAGS  = -std=gnu11 $(WARNINGS) $(HARDEN) $(CFLAGS) $(shell pkg-config --cflags $(PACKAGES))
ALL_LIBS    = $(shell pkg-config --libs $(PACKAGES)) -lm
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))
PYTHON := /usr/bin/python3

.PHONY: all
all: $(DAEMONS:%=$(BUILD)/%) $(BUILD)/providers $(BUILD)/xmpp-server

# A daemon's folders become an archive, and so do common's; a daemon is its main.o with both.
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %/main.c,$(wildcard $(1)/*.c $(1)/*/*.c)))
COMMON := $(BUILD)/obj/common.a
.SECONDARY:
.SECONDEXPANSION:
$(BUILD)/obj/%.a: $$(call objects,$$*)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(DAEMONS:%=$(BUILD)/%): $(BUILD)/%: $(BUILD)/obj/%/main.o $(BUILD)/obj/%.a $(COMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(HARDEN) $(LINK) -o $@ $^ $(ALL_LIBS)

# A Lua script FOLDER/NAME.lua becomes the string NAME_lua of the header FOLDER/NAME.lua.h.
LUA := $(wildcard $(DAEMONS:%=%/*/*.lua) common/*.lua common/*/*.lua tests/simulation/*.lua)
.PHONY: lua-headers
lua-headers: $(LUA:%=$(BUILD)/lua/%.h)
# A script may include others of its folder.
beside_lua = $(filter $(dir $(1))%,$(LUA))
$(BUILD)/lua/%.lua.h: %.lua common/redis/embed-lua $$(call beside_lua,$$*)
	@mkdir -p $(@D)
	$(Q)common/redis/embed-lua $< >$@ || { rm -f $@; exit 1; }

# Changes when what objects are compiled with does: then all are.
FLAGS = $(CPPFLAGS) $(ALL_CFLAGS)
.PHONY: look-at-flags
$(BUILD)/flags: look-at-flags
	@mkdir -p $(@D)
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' >$@

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(LUA:%=$(BUILD)/lua/%.h)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The pretend providers: APNs, FCM and Google's token endpoint in one process.
FAKE := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/fakes/*.c))
$(BUILD)/providers: $(FAKE) $(COMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(HARDEN) $(LINK) -o $@ $^ $(ALL_LIBS) $(shell pkg-config --libs libnghttp2)

# The pretend XMPP server.
FAKE_XMPP := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/fakes/xmpp_server/*.c))
$(BUILD)/xmpp-server: $(FAKE_XMPP) $(COMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(HARDEN) $(LINK) -o $@ $^ $(ALL_LIBS)

# Clients of people, for tests that build them themselves: they need libraries of their own.
CLIENTS := $(BUILD)/clients/purple $(BUILD)/clients/qxmpp
CLIENT_PACKAGES := clients $(shell . /etc/os-release && \
        [ "$${VERSION_ID:-0}" -ge 13 ] 2>/dev/null && echo clients-13 || echo clients-12)
.PHONY: client-programs
client-programs:
	$(Q)deploy/install-packages $(CLIENT_PACKAGES)
	$(Q)$(MAKE) --no-print-directory $(CLIENTS)

$(BUILD)/clients/purple: tests/clients/purple/main.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) -std=gnu11 $(WARNINGS) -Wno-strict-prototypes $(CFLAGS) $(shell pkg-config --cflags purple) \
	        -o $@ $< $(shell pkg-config --libs purple)

# Debian 12 has it for Qt 5, Debian 13 for Qt 6.
QXMPP = $(shell pkg-config --exists QXmppQt6 && echo QXmppQt6 Qt6Core Qt6Network Qt6Xml || \
        echo qxmpp Qt5Core Qt5Network Qt5Xml)
$(BUILD)/clients/qxmpp: tests/clients/qxmpp/main.cpp
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(Q)$(CXX) -std=c++17 -Wall -Wextra -fPIC $(CFLAGS) $(shell pkg-config --cflags $(QXMPP)) -o $@ $< \
	        $(shell pkg-config --libs $(QXMPP))

# Unit tests: a program for each tests/unit/FOLDER/test_MODULE.c, which includes the FOLDER/MODULE.c
# that it tests and is linked with that daemon's archive alone.
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,\
        $(wildcard tests/unit/*/test_$(or $(TEST),*).c tests/unit/*/*/test_$(or $(TEST),*).c))
own_archive = $(patsubst %,$(BUILD)/obj/%.a,$(filter $(DAEMONS),$(firstword $(subst /, ,$(1)))))
$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $$(call own_archive,$$*) $(COMMON)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(HARDEN) $(LINK) -o $@ $^ $(ALL_LIBS) $(shell pkg-config --libs check)

# A harness in tests/fuzz is a program that replays inputs; with FUZZ=1 (clang) it makes them up.
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
# It is linked with the archives of the daemons whose headers it includes.
fuzz_sources = tests/fuzz/$(1).c $(shell sed -n 's/^.include "\(tests.fuzz.*\)"/\1/p' tests/fuzz/$(1).c)
fuzz_archives = $(patsubst %,$(BUILD)/obj/%.a,$(sort $(filter $(DAEMONS),\
        $(shell sed -n 's/^.include "\([a-z]*\).*/\1/p' $(call fuzz_sources,$(1))))))
$(FUZZERS): $(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o \
            $(if $(FUZZ),,$(BUILD)/obj/tests/fuzz/replay.o) $$(call fuzz_archives,$$*) $(COMMON)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(HARDEN) $(if $(FUZZ),-fsanitize=fuzzer) $(LINK) -o $@ $^ $(ALL_LIBS) \
	        $(if $(FUZZ),,$(shell pkg-config --libs check))

# A simulation sim_NAME.c is linked with NAME_*.c beside it, and with the archives of the daemons whose
# headers it includes. Their static variables, which are those of a process, lie between two objects:
# the order of files counts.
SIMULATIONS := $(patsubst tests/simulation/%.c,$(BUILD)/simulation/%,\
        $(wildcard tests/simulation/sim_$(or $(TEST),*).c))
simulation_object = $(patsubst %,$(BUILD)/obj/tests/simulation/%.o,$(1))
simulation_parts = $(patsubst %.c,$(BUILD)/obj/%.o,\
        $(wildcard tests/simulation/$(patsubst sim_%,%,$(1))_*.c))
simulation_archives = $(patsubst %,$(BUILD)/obj/%.a,$(sort $(filter $(DAEMONS),\
        $(shell sed -n 's/^.include "\([a-z]*\).*/\1/p' tests/simulation/$(1).c))))
# What stands for functions of the daemon that can't be replaced at their interface.
comma := ,
$(BUILD)/simulation/sim_queue: LINK += $(patsubst %,-Wl$(comma)--wrap=%,\
        daemon_draining daemon_fail delivery_resume)
$(SIMULATIONS): $(BUILD)/simulation/%: $(call simulation_object,%) \
            $$(call simulation_parts,$$*) \
            $(call simulation_object,simulation store process statics_start) \
            $$(call simulation_archives,$$*) $(COMMON) $(call simulation_object,statics_end) \
            | $(BUILD)/simulation/clock.so
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(HARDEN) $(LINK) -o $@ $^ $(ALL_LIBS)

# It is preloaded into a server that has no sanitizer.
$(BUILD)/simulation/clock.so: tests/e2e/clock.c
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 -Wall -Werror -shared -fPIC -o $@ $<

.PHONY: unit-programs fuzz-programs simulation-programs
simulation-programs: $(SIMULATIONS)
unit-programs: $(UNIT) $(SIMULATIONS) $(if $(TEST),,$(FUZZERS))
fuzz-programs: $(FUZZERS)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

.PHONY: help
help:
	@sed -n 's/^#: //p' $(firstword $(MAKEFILE_LIST))

#: make run      the whole stack on loopback, a real file and real pushes through it (ONCE=1: then exit;
#:               SERVER=ejabberd: not Prosody)
.PHONY: run
run:
	$(Q)deploy/install-packages build $(if $(filter ejabberd,$(SERVER)),run-ejabberd,run)
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)exec $(PYTHON) -u tests/e2e/run.py

#: make test     unit, contract and end-to-end tests, with sanitizers
.PHONY: test
test:
	$(Q)deploy/install-packages build run check test $(CLIENT_PACKAGES) $(if $(ALL),test-all)
	$(Q)tests/run-tests

#: make test-all  all of it: repetitions and planted bugs too, and the same on fresh Debian 12 and 13
#:               systems in build/debian; needs root
ON_DEBIAN := make run ONCE=1 && make run ONCE=1 SERVER=ejabberd && make test && make lint
.PHONY: test-all
test-all:
	$(Q)$(MAKE) --no-print-directory ALL=1 test
	$(Q)$(MAKE) --no-print-directory mutants
	$(Q)$(MAKE) --no-print-directory HOURS=0.02 soak
	$(Q)$(MAKE) --no-print-directory ALL=1 deploy-test
	$(Q)for suite in bookworm trixie; do tests/on-debian $$suite '$(ON_DEBIAN)' || exit 1; done

#: make deploy-test  deploy/'s compose stack in containers: transfers, pushes, scaling, restarts, an
#:               upgrade; needs root, and starts a Docker of its own if none runs
.PHONY: deploy-test
deploy-test:
	$(Q)deploy/install-packages run deploy-test
	$(Q)ALL=$(ALL) tests/run-deploy

#: make check    unit tests alone, with sanitizers; TEST=pump: those of one module, CASE=reader: and of
#:               them those whose name contains that
.PHONY: check
check:
	$(Q)deploy/install-packages build check
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(BUILD)/asan SANITIZE=1 unit-programs
	$(Q)TEST="$(TEST)" CASE="$(CASE)" tests/run-unit $(BUILD)/asan/unit

#: make simulation  leases and queue under random events, on simulated time: SEEDS=200 runs, or SEED=12
#:               alone (LOG=debug: with what the processes log); TEST=leases: one of the two
.PHONY: simulation
simulation:
	$(Q)deploy/install-packages build check
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(BUILD)/asan SANITIZE=1 simulation-programs
	$(Q)for program in $(SIMULATIONS:$(BUILD)/%=$(BUILD)/asan/%); do \
		SEEDS=$(SEEDS) SEED=$(SEED) LOG=$(LOG) $$program || exit 1; \
	done

#: make e2e TEST=relayd  the end-to-end tests of one file, with sanitizers; CASE=drain: those whose name
#:               contains that
.PHONY: e2e
e2e:
	$(Q)deploy/install-packages build run check test
	$(Q)$(MAKE) --no-print-directory asan
	$(Q)OG_BUILD=$(BUILD)/asan $(PYTHON) -m pytest -q -p no:cacheprovider \
	        tests/e2e/test_$(TEST).py $(if $(CASE),-k "$(CASE)")

#: make asan     all programs with ASan and UBSan, in build/asan
.PHONY: asan
asan:
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(BUILD)/asan SANITIZE=1 all

#: make fuzz     every parser of strangers' bytes under libFuzzer, FUZZ_SECONDS=20 for each; inputs
#:               that break one stay in build/fuzz; and FUZZ_STANZAS=1000000 mutated stanzas
.PHONY: fuzz
fuzz:
	$(Q)deploy/install-packages build fuzz
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(BUILD)/fuzz SANITIZE=1 FUZZ=1 CC=clang \
	        fuzz-programs $(BUILD)/fuzz/unit/xmppgw/test_route_mutated
	$(Q)tests/run-fuzz $(BUILD)/fuzz

#: make mutants  plants each bug of tests/mutants in a copy and runs the tests that should find it (JOBS=2,
#:               SHARD=2/5; MUTANTS='relayd/ redis': those whose name contains one of these)
.PHONY: mutants
mutants:
	$(Q)deploy/install-packages build run check test
	$(Q)tests/run-mutants $(MUTANTS)

#: make lint     the house's rules: ranks, circles, fences, sizes, banned calls, format, Lua
.PHONY: lint
lint:
	$(Q)deploy/install-packages build lint
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) BUILD=build all
	$(Q)tests/lint

#: make compile_commands.json  for editors and language servers
.PHONY: compile_commands.json
compile_commands.json: lua-headers
	$(Q)$(MAKE) --no-print-directory -Bn V=1 all unit-programs | tests/compile-commands >$@

#: make man      checks the manual pages and renders them as text, in build/man
# The pages of the configuration files are made from what the daemons say of them.
MANUALS := $(wildcard *.[58] */*.[58])
CONF_MANUALS := $(DAEMONS:%=$(BUILD)/man/%.conf.5)
.PHONY: man
man: $(MANUALS:%=$(BUILD)/man/%.txt) $(CONF_MANUALS:%=%.txt)

$(BUILD)/man/%.conf.5: $(BUILD)/% $$*/$$*.8 deploy/conf-manual
	@mkdir -p $(@D)
	$(Q)deploy/conf-manual $< $*/$*.8 >$@ || { rm -f $@; exit 1; }

define render
	$(Q)deploy/install-packages man
	@mkdir -p $(@D)
	$(call say,MAN,$<)
	$(Q)mandoc -Tlint -Wwarning $< && mandoc -Tutf8 $< >$@
endef

$(CONF_MANUALS:%=%.txt): %.txt: %
	$(render)

$(BUILD)/man/%.txt: %
	$(render)

#: make install  programs and manual pages under PREFIX (/usr/local), inside DESTDIR if that is set
.PHONY: install
install: all $(CONF_MANUALS)
	$(Q)install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin
	$(Q)install -m 755 $(DAEMONS:%=$(BUILD)/%) $(DESTDIR)$(PREFIX)/sbin
	$(Q)install -m 755 $(BUILD)/providers $(DESTDIR)$(PREFIX)/bin/outrigger-providers
	$(Q)for page in $(MANUALS) $(CONF_MANUALS); do \
		install -D -m 644 $$page \
		        $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$$(basename $$page) || exit 1; \
	done

#: make dist     build/outrigger-VERSION.tar.gz of what is committed
.PHONY: dist
dist:
	@mkdir -p $(BUILD)
	$(Q)git archive --prefix=outrigger-$(VERSION)/ \
	        -o $(BUILD)/outrigger-$(VERSION).tar.gz HEAD
	$(call say,DIST,$(BUILD)/outrigger-$(VERSION).tar.gz)

#: make clean    removes build/
.PHONY: clean
clean:
	$(Q)rm -rf build

#: make bench    what the daemons cost beside what they compare with, in build/bench (ROUNDS=5
#:               SECONDS=2); make bench-relay, bench-gateway, bench-push: one of them
# A folder in tests/bench is a program.
archive_of_push_sender := $(BUILD)/obj/pushd.a
BENCH := $(patsubst tests/bench/%/main.c,$(BUILD)/bench/%,$(wildcard tests/bench/*/main.c))
program = $(addprefix $(BUILD)/obj/,$(addsuffix .o,$(basename $(wildcard $(1)/*.c))))
$(BENCH): $(BUILD)/bench/%: $$(call program,tests/bench/$$*) $$(archive_of_$$*) $(COMMON)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(HARDEN) $(LINK) -o $@ $^ $(ALL_LIBS)

.PHONY: bench bench-programs bench-relay bench-gateway bench-push
bench: bench-relay bench-gateway bench-push

bench-programs:
	$(Q)deploy/install-packages build run-ejabberd run bench
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all $(BENCH)

bench-relay: bench-programs
	$(Q)OG_BUILD=$(BUILD) $(PYTHON) -u tests/bench/relay.py

bench-gateway: bench-programs
	$(Q)OG_BUILD=$(BUILD) $(PYTHON) -u tests/bench/gateway.py

bench-push: bench-programs
	$(Q)OG_BUILD=$(BUILD) $(PYTHON) -u tests/bench/push.py

#: make soak     the whole stack under a mixed load for HOURS=2, and the slopes of what it uses
.PHONY: soak
soak: bench-programs
	$(Q)OG_BUILD=$(BUILD) $(PYTHON) -u tests/bench/soak.py
