# aqstore. `make help` lists the targets. Builds lie side by side in build/MODE, MODE being release
# (default), debug, asan (ASan + UBSan), tsan, mutant (make mutation), fuzz (clang, libFuzzer) or coverage (clang).

MODE ?= release
B := build/$(MODE)
PREFIX ?= /usr/local
DESTDIR ?=
JOBS := $(shell nproc)
MAKEFLAGS += --no-builtin-rules

CC := gcc
CXX := g++
ifneq ($(filter fuzz coverage,$(MODE)),)
CC := clang
CXX := clang++
endif
FUZZ_SECONDS ?= 10
FUZZ_CORPUS ?= build/fuzz/corpus
FUZZ_TARGETS ?= archive column

PACKAGES := libzstd libxxhash liburing simdjson yaml-0.1 gmp libprotobuf-c zlib
NETWORK_PACKAGES := rdkafka libcurl libcrypto expat
FILES_PACKAGES := libarchive liblz4 libzstd snappy
LIBS3 := $(if $(wildcard /usr/include/libs3.h),-ls3)
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) $(NETWORK_PACKAGES) $(FILES_PACKAGES))
PROGRAM_LIBS := $(shell pkg-config --libs $(PACKAGES)) -lpg_query -lcctz -lm -lpthread
network_LIBS := $(shell pkg-config --libs $(NETWORK_PACKAGES)) $(LIBS3) -lmicrohttpd
files_LIBS := $(shell pkg-config --libs $(FILES_PACKAGES))
PKG_LIBS := $(PROGRAM_LIBS) $(network_LIBS) $(files_LIBS)

WARNINGS := -Wall -Wextra -Wpedantic -Werror
C_WARNINGS := $(WARNINGS) -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
HARDENING := -fstack-protector-strong -fPIE
COMMON := -I. -D_GNU_SOURCE $(PKG_CFLAGS) -g -pthread $(HARDENING)
CFLAGS_release := -O3 -D_FORTIFY_SOURCE=2
CFLAGS_debug := -O0
CFLAGS_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan := -O1 -fsanitize=thread
CFLAGS_mutant := -O1 -DAQ_MUTANTS
# Beside what a binary has of its own, and in Criterion's place (see there).
OBJECTS_tsan := build/tsan/tests/tsan/tsan_process.o
RUNNER := -lcriterion
ifeq ($(MODE),tsan)
RUNNER := build/tsan/tests/tsan/tsan_criterion.o
endif
LDFLAGS_asan := -fsanitize=address,undefined
LDFLAGS_tsan := -fsanitize=thread
CFLAGS_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDFLAGS_fuzz := -fsanitize=address,undefined
LDFLAGS_fuzzer := -fsanitize=fuzzer
CFLAGS_coverage := -O1 -fprofile-instr-generate -fcoverage-mapping
LDFLAGS_coverage := -fprofile-instr-generate
CFLAGS := -std=gnu17 $(COMMON) $(C_WARNINGS) $(CFLAGS_$(MODE))
CXXFLAGS := -std=c++17 $(COMMON) $(WARNINGS) $(CFLAGS_$(MODE))
LDFLAGS := -pie -Wl,-z,relro,-z,now $(LDFLAGS_$(MODE))

LAYERS := format engine compaction
LIBRARY := $(shell find $(LAYERS) -name '*.c')
LIBRARY_CXX := $(shell find $(LAYERS) -name '*.cc')
TOOLS := $(shell find tools -name '*.c' 2>/dev/null)
# What goes into the shared objects beside the program (tools/parts/part.h).
PARTS := network files
network_SOURCES := $(shell find engine/ingest/kafka engine/object/s3 -name '*.c') tools/service/http/http_server.c
files_SOURCES := engine/ingest/file/read/source_file.c engine/ingest/file/read/gunzip.c engine/ingest/file/read/page_unpack.c
UNIT := $(wildcard tests/unit/*/test_*.c)
FUZZ := $(wildcard fuzz/fuzz_*.c)
HEADERS := $(shell find $(LAYERS) tools -name '*.h' 2>/dev/null)

LIBRARY_OBJECTS := $(LIBRARY:%.c=$B/%.o) $(LIBRARY_CXX:%.cc=$B/%.o)
TOOL_OBJECTS := $(TOOLS:%.c=$B/%.o)
PART_BINARIES := $(PARTS:%=$B/aqstore-%.so)
PART_TABLES := $(PARTS:%=$B/tools/parts/%_part.o)
PART_OBJECTS := $(network_SOURCES:%.c=$B/%.o) $(files_SOURCES:%.c=$B/%.o) $(PART_TABLES)
PROGRAM_OBJECTS := $(filter-out $(PART_OBJECTS),$(TOOL_OBJECTS) $(LIBRARY_OBJECTS))
UNIT_BINARIES := $(patsubst %.c,$B/unit/%,$(notdir $(UNIT)))
REPLAY_BINARIES := $(FUZZ:fuzz/fuzz_%.c=$B/replay/%)
FUZZ_BINARIES := $(FUZZ:fuzz/%.c=build/fuzz/bin/%)
VENV := build/venv/bin

comma := ,

.PHONY: all help demo test test-long unit unit-binaries check check-all bench bench-size bench-decode bench-encode bench-merge bench-year bench-kafka bench-durable bench-ingest bench-recover bench-trickle fuzz fuzz-binaries fuzz-coverage model mutation \
	kafka s3 install clean ALWAYS
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:

all: $B/aqstore ## build build/release/aqstore (MODE=debug|asan|tsan for others)

help: ## list targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Whole, not from the library: parts use what the program itself may not.
$B/aqstore: $(PROGRAM_OBJECTS) $(OBJECTS_$(MODE)) | $(PART_BINARIES)
	$(CXX) $(LDFLAGS) -Wl,--export-dynamic -o $@ $^ $(PROGRAM_LIBS)

$B/aqstore-network.so: $(network_SOURCES:%.c=$B/%.o)
$B/aqstore-files.so: $(files_SOURCES:%.c=$B/%.o)
$(PART_BINARIES): $B/aqstore-%.so: $B/tools/parts/%_part.o tools/parts/exports
	$(CC) $(filter-out -pie,$(LDFLAGS)) -shared -Wl,--version-script=tools/parts/exports -o $@ $(filter %.o,$^) $($*_LIBS)

$(PART_OBJECTS): CFLAGS += -fPIC
$(PART_OBJECTS): Makefile
# The program and its parts know by which headers they were made: always the same, whatever make finds to do.
$B/interface: ALWAYS
	@mkdir -p $(@D)
	@cat $(sort $(HEADERS)) | md5sum | cut -c -16 >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$B/tools/parts/part.o $(PART_TABLES): $B/interface
$B/tools/parts/part.o $(PART_TABLES): CFLAGS += -DAQ_INTERFACE=0x$$(cat $B/interface)

$B/libaqstore.a: $(LIBRARY_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

# What the encoder chooses is the same on machines that can contract a multiplication and an addition.
$B/format/encode/%.o: CFLAGS += -ffp-contract=off

# Everything of the program but its main, for unit tests; what is in its parts is linked as it is.
$B/libtools.a: $(filter-out $B/tools/main.o $B/tools/parts/%,$(TOOL_OBJECTS))
	@rm -f $@
	ar rcs $@ $^

$B/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$B/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -MMD -MP -c -o $@ $<

# One name of a test, one binary, whatever folder its source is in.
define unit_binary
$B/unit/$(notdir $1): $B/$1.o
endef
$(foreach unit,$(UNIT:.c=),$(eval $(call unit_binary,$(unit))))

$(UNIT_BINARIES): $B/libtools.a $B/libaqstore.a $(OBJECTS_$(MODE)) $(filter %.o,$(RUNNER))
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(filter -l%,$(RUNNER)) $(PKG_LIBS)

$B/unit/test_crash_states: $B/tests/sim/sim_disk.o
$B/unit/test_no_memory: $B/tests/sim/sim_disk.o
$B/unit/test_no_memory $B/unit/test_follow_memory $B/unit/test_run_memory: $B/tests/sim/scarce_memory.o
$B/unit/test_no_memory $B/unit/test_follow_memory $B/unit/test_run_memory: private LDFLAGS += $(patsubst %,-Wl$(comma)--wrap=%,malloc calloc realloc posix_memalign strdup free \
	aq_arena_alloc aq_arena_copy aq_arena_string aq_bytes_reserve)

$B/bench/archive/encode $B/bench/archive/encode_frames $B/bench/archive/decode: $B/bench/%: $B/bench/%.o $B/libaqstore.a
	$(CXX) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$B/bench/write/discard: $B/bench/write/discard.o
	$(CC) $(LDFLAGS) -o $@ $^ -lrdkafka

$B/bench/write/validate: $B/bench/write/validate.o
	$(CXX) $(LDFLAGS) -o $@ $^ -lsimdjson

$B/bench/write/recover $B/bench/write/trickle: $B/bench/%: $B/bench/%.o $B/libaqstore.a
	$(CXX) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$B/bench/write/durable: $B/bench/write/durable.o $B/libaqstore.a
	$(CXX) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lrocksdb -lsqlite3

# A fuzz target's function behind a plain main, for its corpus.
$B/replay/%: $B/fuzz/fuzz_%.o $B/fuzz/support/replay.o $B/libaqstore.a
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

ifeq ($(MODE),fuzz)
build/fuzz/bin/%: build/fuzz/fuzz/%.o build/fuzz/libaqstore.a
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) $(LDFLAGS_fuzzer) -o $@ $^ $(PKG_LIBS)
else
build/fuzz/bin/%: ALWAYS
	@$(MAKE) --no-print-directory MODE=fuzz $@
endif

demo: all ## ingest a real sample, compact it, query it (into ./demo-store)
	@samples/demo

unit: unit-binaries ## run the unit tests of MODE, and the fuzz targets on their corpora
	@.ci/unit $B

unit-binaries: $(UNIT_BINARIES) $(REPLAY_BINARIES)

test: ## run every test but the long ones
	@.ci/test

test-long: ## run the long tests: full counts, then again on the sanitizer build
	@.ci/test --long

check: ## fast: format, lint, layers, style and unit tests, kept per file
	@.ci/check

check-all: ## the same over the whole tree, nothing kept
	@.ci/check --all

bench: all ## measure beside DuckDB on real data
	@$(VENV)/python bench/run.py

bench-size: all $B/bench/archive/decode ## measure bytes a row of every shared data set beside other formats, into docs/benchmarks-size.md
	@[ -x build/bench-venv/bin/python ] || python3 -m venv build/bench-venv
	@build/bench-venv/bin/pip install -q -r bench/requirements.txt
	@build/bench-venv/bin/python bench/archive/size.py --into docs/benchmarks-size.md

bench-decode: all $B/bench/archive/decode ## measure decoding beside memcpy, Vortex and Parquet
	@[ -x build/bench-venv/bin/python ] || python3 -m venv build/bench-venv
	@build/bench-venv/bin/pip install -q -r bench/requirements.txt
	@build/bench-venv/bin/python bench/archive/decode.py

bench-encode: all $B/bench/archive/encode $B/bench/archive/encode_frames ## measure writing archives and frames beside Parquet and Vortex
	@[ -x build/bench-venv/bin/python ] || python3 -m venv build/bench-venv
	@build/bench-venv/bin/pip install -q -r bench/requirements.txt
	@build/bench-venv/bin/python bench/archive/encode.py

bench-merge: all $B/bench/archive/encode ## measure merging beside DuckDB and ClickHouse
	@[ -x build/bench-venv/bin/python ] || python3 -m venv build/bench-venv
	@build/bench-venv/bin/pip install -q -r bench/requirements.txt
	@build/bench-venv/bin/python bench/merge.py

bench-year: all ## simulate a year of nightly imports and compactions (half an hour, 10 GB of disk)
	@$(VENV)/python bench/year.py --progress 30

bench-kafka: all $B/bench/write/discard ## measure Kafka to durable rows beside plain consumers
	@$(VENV)/python bench/write/kafka.py

bench-ingest: all $B/bench/write/validate ## measure JSON messages to durable rows, step by step
	@command -v valgrind >/dev/null || { echo "bench-ingest needs: apt-get install --no-install-recommends valgrind" >&2; exit 1; }
	@$(VENV)/python bench/write/ingest.py

bench-durable: all ## measure durable commits beside append, fio, RocksDB and SQLite
	@for package in fio librocksdb-dev libsqlite3-dev; do dpkg -s $$package >/dev/null 2>&1 || \
		{ echo "bench-durable needs: apt-get install --no-install-recommends fio librocksdb-dev libsqlite3-dev" >&2; exit 1; }; done
	@$(MAKE) --no-print-directory $B/bench/write/durable
	@$(VENV)/python bench/write/durable.py

bench-trickle: all $B/bench/write/trickle ## simulate 30 days of three cities, a reading each per five minutes: bytes, files, wake-ups (three minutes)
	@$(VENV)/python bench/write/trickle.py

bench-recover: all $B/bench/write/recover ## measure how long recovery takes, 1 GiB in 4 open segments (in memory), in one thread and in several
	@for threads in 1 0; do folder=$$(mktemp -d /dev/shm/aqstore-bench-XXXXXX) && \
		{ $B/bench/write/recover "$$folder/store" 4 256 $$threads; result=$$?; rm -rf "$$folder"; [ $$result = 0 ] || exit 1; }; done

fuzz: ## run each fuzz target for FUZZ_SECONDS
	@$(MAKE) --no-print-directory MODE=fuzz fuzz-binaries
	@.ci/fuzz $(FUZZ_SECONDS)

fuzz-coverage: ## list the lines of readers that inputs in FUZZ_CORPUS of FUZZ_TARGETS and their seeds do not reach
	@$(MAKE) --no-print-directory MODE=coverage $(FUZZ_TARGETS:%=build/coverage/replay/%)
	@$(VENV)/python .ci/fuzz-coverage $(FUZZ_CORPUS) $(FUZZ_TARGETS)

fuzz-binaries: $(FUZZ_BINARIES)

model: ## check the models of the store's protocol, every state (a minute, 1 GiB)
	@tests/model/check

mutation: ## switch off each fsync, checksum and fence, one at a time: a test goes red (20 minutes)
	@tests/mutation/check

kafka: ## a Kafka broker to play with, on 127.0.0.1:9092; Ctrl-C stops it
	@tests/services/kafka run

s3: ## an S3 server to play with, on 127.0.0.1:9000; Ctrl-C stops it
	@tests/services/s3proxy run

install: all ## install below DESTDIR and PREFIX
	install -D -m 755 $B/aqstore $(DESTDIR)$(PREFIX)/bin/aqstore
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,lib/aqstore lib/systemd/system share/doc/aqstore/docs share/doc/aqstore/examples)
	install -m 755 $(PART_BINARIES) $(DESTDIR)$(PREFIX)/lib/aqstore
	for unit in $(notdir $(wildcard deploy/*.service deploy/*.timer)); do \
		sed 's|/usr/local|$(PREFIX)|' deploy/$$unit >$(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit || exit 1; done
	sed 's|/usr/local|$(PREFIX)|' deploy/aqstore.cron >$(DESTDIR)$(PREFIX)/share/doc/aqstore/examples/aqstore.cron
	install -m 644 $(wildcard deploy/kubernetes/*.yaml) $(DESTDIR)$(PREFIX)/share/doc/aqstore/examples
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,man/man1 bash-completion/completions zsh/site-functions fish/vendor_completions.d)
	$B/aqstore completion man >$(DESTDIR)$(PREFIX)/share/man/man1/aqstore.1
	$B/aqstore completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/aqstore
	$B/aqstore completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_aqstore
	$B/aqstore completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/aqstore.fish
	install -m 644 LICENSE README.md CHANGELOG.md $(DESTDIR)$(PREFIX)/share/doc/aqstore
	install -m 644 $(wildcard docs/*.md) $(DESTDIR)$(PREFIX)/share/doc/aqstore/docs

clean: ## remove build/
	rm -rf build

-include $(shell find $B -name '*.d' 2>/dev/null)
