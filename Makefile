# SPDX-License-Identifier: MIT
# The front door. Meson does the work; see meson.build and scripts/.
BUILD ?= build

# What a user runs, without the tests.
PROGRAM = cli/adyton target/sgx/adyton-kernel

.PHONY: all run check bench lint fuzz install clean

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	scripts/install-deps.sh build
	meson setup $(BUILD)

run: $(BUILD)/build.ninja
	ninja -C $(BUILD) $(PROGRAM)
	scripts/install-deps.sh run
	scripts/demo.sh $(BUILD)

check: all
	scripts/install-deps.sh check
	scripts/check.py --build $(BUILD)

bench: $(BUILD)/build.ninja
	ninja -C $(BUILD) $(PROGRAM)
	scripts/install-deps.sh check
	tests/bench/bench.py --build $(BUILD)

lint: all
	scripts/install-deps.sh lint
	scripts/lint.py --build $(BUILD)

fuzz: all
	scripts/install-deps.sh fuzz
	BUILD=$(BUILD) tests/fuzz/run.sh

install: all
	meson install -C $(BUILD)

clean:
	rm -rf $(BUILD)
