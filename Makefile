# `make demo` shows the main job; `make test` is what CI runs. Both install what they need (scripts/setup).
.DEFAULT_GOAL := help
.PHONY: demo test bench fmt lint deny unit e2e fuzz help

export PATH := $(PATH):$(HOME)/.cargo/bin
CARGO ?= cargo

demo: ## build, sign, push and verify examples/hello, then show that a tampered copy does not verify
	scripts/demo

test: ## everything that CI checks: format, lints, dependencies, unit, golden, doc, architecture and end-to-end tests
	scripts/setup --test
	$(MAKE) --no-print-directory lint deny unit e2e

fmt: ## format the code
	$(CARGO) fmt --all

lint: ## format and lints, without changing anything
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked --quiet -- -D warnings

deny: ## licences, bans and sources of the dependencies; advisories when their database can be had
	scripts/deny

unit: ## unit, golden, doc and architecture tests: no worker, no network
	$(CARGO) test --workspace --locked --exclude touchmark-tests
	$(CARGO) test --package touchmark-tests --locked --lib --test architecture

e2e: ## end-to-end tests with the real binary, worker and registry
	$(CARGO) build --locked --package touchmark
	$(CARGO) test --package touchmark-tests --locked --test e2e --test differential

bench: ## measure touchmark beside BuildKit and buildah (root; ROWS="run-50 copy" RUNS=5): docs/benchmarks.md
	ROWS="$(ROWS)" RUNS="$(RUNS)" RECORD="$(RECORD)" scripts/bench

fuzz: ## every reader of outside bytes for a minute each (FUZZ_SECONDS=60); not part of the tests
	scripts/fuzz

help: ## this list
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
