# The front door. Everything is built by CMake and Ninja; see CONTRIBUTING.md.
#
#   PREFIX, DESTDIR   where `make install` puts things
#   JOBS              tests at once (default: the number of processors)
#   TESTS             only these tests, as arguments of ctest: TESTS="-L unit"
#   TARGET            of `make tsan`: what is built for them (default: all)
#   CMAKE_FLAGS       for the first configuration: CMAKE_FLAGS=-DCASK_WERROR=ON

PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
TESTS ?=
TARGET ?=
CMAKE_FLAGS ?=
BENCH_FLAGS ?=

.PHONY: all build demo test bench lint layers symbols asan ubsan tsan clang \
	format install clean help

all: build

help:
	@echo 'make            build/bin/caskade, build/lib/libcaskade.{so,a}'
	@echo 'make demo       set up, build and show Caskade at work'
	@echo 'make test       set up, build and run all tests'
	@echo 'make bench      set up, build and compare with other stores'
	@echo 'make install    into PREFIX ($(PREFIX)), below DESTDIR if set'
	@echo 'make lint       formatting, static analysis, own checks'
	@echo 'make layers     check the include graph'
	@echo 'make symbols    check what the libraries export and import'
	@echo 'make asan       tests with AddressSanitizer and UBSan (also: ubsan)'
	@echo 'make tsan       tests with ThreadSanitizer'
	@echo 'make clang      build with clang and its thread-safety analysis'
	@echo 'make format     format all C files'
	@echo 'make clean      remove build/'

build:
	@scripts/build.sh default $(CMAKE_FLAGS)

demo:
	@scripts/setup.sh demo
	@$(MAKE) --no-print-directory build CMAKE_FLAGS='-DCASK_TESTS=OFF $(CMAKE_FLAGS)'
	@demo/demo.sh

test:
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory build CMAKE_FLAGS='-DCASK_TESTS=ON $(CMAKE_FLAGS)'
	@scripts/run-tests.sh build -j $(JOBS) $(TESTS)

bench:
	@scripts/setup.sh bench
	@$(MAKE) --no-print-directory build CMAKE_FLAGS='-DCASK_BENCH=ON $(CMAKE_FLAGS)'
	@build/bin/caskade-bench $(BENCH_FLAGS)

lint:
	@scripts/setup.sh lint
	@scripts/lint.sh

layers:
	@scripts/setup.sh check
	@scripts/check-layers

symbols: build
	@scripts/setup.sh check
	@scripts/check-symbols build

asan ubsan:
	@scripts/setup.sh test
	@scripts/build.sh asan $(CMAKE_FLAGS)
	@scripts/run-tests.sh build/asan -j $(JOBS) $(TESTS)

# ThreadSanitizer is blind across processes: tests of many processes and of the
# command line would only cost time, and so would long ones of pure functions
# or of one thread.
tsan:
	@scripts/setup.sh test
	@scripts/build.sh tsan $(CMAKE_FLAGS) $(TARGET)
	@scripts/run-tests.sh build/tsan -j $(JOBS) \
		$(or $(TESTS),-L '^(unit|format|threads)$$' \
		-E '^unit[.](maintain[.]merge_steady|hash[.](tombstones|window)|run[.]run_damage|tree[.](memtable|memtable_memory|compact|tree_crash|version_crash|tree_ingest_crash))_test$$')

clang:
	@scripts/setup.sh lint
	@scripts/build.sh clang $(CMAKE_FLAGS)

format:
	@scripts/setup.sh lint
	@scripts/list-c-files | xargs clang-format -i

install: build
	@DESTDIR='$(DESTDIR)' cmake --install build --prefix '$(PREFIX)'
	@DESTDIR='$(DESTDIR)' scripts/update-loader.sh build '$(PREFIX)'

clean:
	@rm -rf build
