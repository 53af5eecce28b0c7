# aqstore. `make help` lists the targets. Builds lie side by side in build/MODE, MODE being release
# (default), debug, asan (ASan + UBSan) or tsan.

MODE ?= release
B := build/$(MODE)
PREFIX ?= /usr/local
DESTDIR ?=
JOBS := $(shell nproc)
MAKEFLAGS += --no-builtin-rules

CC := gcc
CXX := g++
FUZZ_CC ?= clang
FUZZ_CXX ?= clang++
FUZZ_SECONDS ?= 10

PACKAGES := libzstd libxxhash liburing libarchive simdjson yaml-0.1 gmp libprotobuf-c
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES))
PKG_LIBS := $(shell pkg-config --libs $(PACKAGES)) -lpg_query -lcctz -lm -lpthread

WARNINGS := -Wall -Wextra -Wpedantic -Werror
C_WARNINGS := $(WARNINGS) -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
HARDENING := -fstack-protector-strong -fPIE
COMMON := -I. -D_GNU_SOURCE $(PKG_CFLAGS) -g -pthread $(HARDENING)
CFLAGS_release := -O3 -D_FORTIFY_SOURCE=2
CFLAGS_debug := -O0
CFLAGS_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan := -O1 -fsanitize=thread
LDFLAGS_asan := -fsanitize=address,undefined
LDFLAGS_tsan := -fsanitize=thread
CFLAGS_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDFLAGS_fuzz := -fsanitize=fuzzer,address,undefined
CFLAGS := -std=gnu17 $(COMMON) $(C_WARNINGS) $(CFLAGS_$(MODE))
CXXFLAGS := -std=c++17 $(COMMON) $(WARNINGS) $(CFLAGS_$(MODE))
LDFLAGS := -pie -Wl,-z,relro,-z,now $(LDFLAGS_$(MODE))

FORMAT := $(wildcard format/*.c format/encode/*.c)
ENGINE := $(wildcard engine/*.c engine/*/*.c engine/*/*/*.c)
ENGINE_CXX := $(wildcard engine/*.cc engine/*/*.cc)
COMPACTION := $(wildcard compaction/*.c)
TOOLS := $(wildcard tools/*.c)
LIBRARY := $(FORMAT) $(ENGINE) $(COMPACTION)
UNIT := $(wildcard tests/unit/test_*.c)
FUZZ := $(wildcard fuzz/fuzz_*.c)
HEADERS := $(wildcard format/*.h format/*/*.h engine/*.h engine/*/*.h engine/*/*/*.h compaction/*.h tools/*.h)

LIBRARY_OBJECTS := $(LIBRARY:%.c=$B/%.o) $(ENGINE_CXX:%.cc=$B/%.o)
TOOL_OBJECTS := $(TOOLS:%.c=$B/%.o)
UNIT_BINARIES := $(UNIT:tests/unit/%.c=$B/unit/%)
FUZZ_BINARIES := $(FUZZ:fuzz/%.c=build/fuzz/bin/%)

.PHONY: all help demo test test-long unit check check-all bench fuzz install clean
.SUFFIXES:
.SECONDARY:

all: $B/aqstore ## build build/release/aqstore (MODE=debug|asan|tsan for others)

help: ## list targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$B/aqstore: $(TOOL_OBJECTS) $B/libaqstore.a
	$(CXX) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$B/libaqstore.a: $(LIBRARY_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

$B/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$B/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -MMD -MP -c -o $@ $<

$B/unit/%: tests/unit/%.c $B/libaqstore.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@.o $<
	$(CXX) $(LDFLAGS) -o $@ $@.o $B/libaqstore.a -lcriterion $(PKG_LIBS)

unit: $(UNIT_BINARIES) ## run the unit tests of MODE
	@set -e; for test in $(UNIT_BINARIES); do echo "unit $$test"; $$test --jobs $(JOBS); done

build/fuzz/bin/%: fuzz/%.c
	@$(MAKE) --no-print-directory MODE=fuzz CC=$(FUZZ_CC) CXX=$(FUZZ_CXX) build/fuzz/libaqstore.a
	@mkdir -p $(@D)
	$(FUZZ_CC) -std=gnu17 $(COMMON) $(CFLAGS_fuzz) -c -o $@.o $<
	$(FUZZ_CXX) $(LDFLAGS_fuzz) -o $@ $@.o build/fuzz/libaqstore.a $(PKG_LIBS)

clean: ## remove build/
	rm -rf build

-include $(shell find $B -name '*.d' 2>/dev/null)
