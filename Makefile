# The commands of this project. From a bare clone they need Python 3.11 and make, nothing else.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP = .venv/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes
UV_COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate
ARGS ?=

.PHONY: help install demo test lint format bench drills lock secrets

help: ## what the commands are
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST))

install: .venv/installed .venv/installed-dev ## make .venv from the pinned requirements

demo: .venv/installed ## a pool, its sign-in page and a client app on this machine; ARGS="--port 8080"
	@USERPOOL_DEVELOPMENT=1 .venv/bin/python manage.py demo $(ARGS)

test: install ## the whole suite, with PostgreSQL, Redis and Chromium where the machine has them; ARGS="-k token"
	@.venv/bin/python -m tests.services -- .venv/bin/python -m pytest -n auto --dist loadgroup $(ARGS)

lint: install ## style, types, and migrations that are missing
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy accounts federation
	DATABASE_URL=sqlite://:memory: .venv/bin/python manage.py makemigrations --check --dry-run --settings tests.settings

format: install ## rewrite the code in the style that lint asks for
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: install ## what a request costs; writes var/bench.json
	@.venv/bin/python -m tests.bench $(ARGS)

drills: install ## break things under load and say what was lost; writes var/drills.json; ARGS="-k redis"
	@.venv/bin/python -m pytest tests/drills -m drill -n 0 -s $(ARGS)

secrets: ## make the secret files of docker-compose.yml, under secrets/; what is there stays
	@sh examples/make_secrets.sh

lock: install ## pin the newest versions that pyproject.toml allows; ARGS="-P django" for one of them
	$(UV_COMPILE) $(ARGS) pyproject.toml -o requirements.txt
	$(UV_COMPILE) $(ARGS) --group dev -c requirements.txt -o requirements-dev.txt

.venv/installed: requirements.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 is missing. Install it, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is too old. Python 3.11 is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing into .venv ..."
	@"$(PYTHON)" -m venv .venv
	@$(PIP) -r requirements.txt
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	@echo "Installing what the tests need ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@
