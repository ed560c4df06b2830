# A thin front for the CMake presets. `make` leaves the program at build/release/retnet, and
# installs with apt what is missing for that (tools/setup.sh; RETNET_NO_INSTALL=1 forbids it).
PREFIX ?= /usr/local
BUILD := tools/build.sh

.PHONY: all demo check bench speed format asan tsan fuzz install clean help

all: ## release build, program at build/release/retnet
	@tools/setup.sh build
	@$(BUILD) release

demo: all ## train for two minutes, show samples and what a token costs (DATA=path, MINUTES=n)
	@tools/demo.sh

check: ## every build and every test
	@tools/check.sh

bench: all ## measure the machine, the kernels, retention and generation
	@tools/bench.sh

speed: all ## the speeds that are promised, asked and measured, an hour (WHAT=decode: a part)
	@bench/speed.py $(WHAT)

format: ## rewrite all C files in the style of .clang-format
	@tools/setup.sh check
	@tools/format.sh

asan: ## tests under the address and undefined behaviour sanitizers
	@tools/setup.sh check
	@$(BUILD) asan --test

tsan: ## tests under the thread sanitizer
	@tools/setup.sh check
	@$(BUILD) tsan --test

fuzz: ## every parser against hostile bytes, a minute each (SECONDS_EACH=n, ONLY=name)
	@tools/setup.sh check
	@tools/fuzz.sh

install: all ## install into PREFIX (default /usr/local), below DESTDIR if that is set
	@cmake --install build/release --prefix "$(PREFIX)"

clean: ## remove build/
	@rm -rf build

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16
