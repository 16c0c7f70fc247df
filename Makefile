# Every command a developer needs. `make` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
SAM := .venv-sam/bin/sam
# sam looks for python3.13 and uv on PATH: those of the venv work everywhere, a version manager's shim may not.
WITH_VENV := SAM_CLI_TELEMETRY=0 PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

# Integration tests wait half of the time: three processes even on two cores, each with an emulator and a system of its
# own, the longest files first (tests/integration/conftest.py). One emulator for all would keep them waiting for it.
SIDE_BY_SIDE := $(if $(AWS_ENDPOINT_URL),,-n 3 --dist loadfile --no-loadscope-reorder)

# Some environments tell Python to keep no compiled code. Tests are slow without it: `make clean` removes it.
test test-unit: export PYTHONDONTWRITEBYTECODE :=

# Where the services' packages lie, one folder each.
SOURCES := $(subst $(eval) ,:,$(wildcard functions/*/src))

# Variables given to make reach the commands through their environment:
# make run PORT=9000 ENDPOINT_PORT=9001 DETACH=1

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: ## install the locked dependencies into .venv
	@sh localstack/install.sh $(VENV) requirements/dev.txt

run: venv ## start the whole system here (PORT=8080, ENDPOINT_PORT=4566 of the AWS services: others for a second library, in another folder; DETACH=1 to return when ready)
	@exec $(PY) -m localstack.embedded run

stop: venv ## stop what `make run` started; its state is kept
	@$(PY) -m localstack.embedded stop

reset: venv ## stop it and delete all local state
	@$(PY) -m localstack.embedded reset

token: venv ## print a fresh access token of a demo account (ROLE=... or EMAIL=...)
	@$(PY) -m localstack.embedded token

rotate: venv ## rotate a key of the running stack (WHAT=signing-key, service:loans; FORCE=1 when it is compromised)
	@$(PY) -m localstack.embedded rotate

rebuild-analytics: venv ## rebuild the statistics (ACTION=status, begin, replay, finish, revert, abandon, clean; FORCE=1)
	@$(PY) -m localstack.embedded analytics-rebuild

logs: venv ## what a request left in the logs of all functions (ID=its correlation id)
	@$(PY) -m localstack.embedded logs

mail: venv ## the e-mails and text messages that were sent (EMAIL=... only those to one address)
	@$(PY) -m localstack.embedded mail

dead-letters: venv ## what was given up (QUEUE=... its messages; ID=... one, wherever it is; REDRIVE=1 with QUEUE sends off again; SYSTEM=... on AWS)
	@$(PY) -m localstack.embedded dead-letters

test: venv ## all tests (TEST_DEPTH=full: as deep as CI; AWS_ENDPOINT_URL=...: on that emulator; ARGS=... goes to pytest)
ifdef ARGS
	$(PY) -m pytest $(ARGS)
else
	$(PY) -m pytest -n auto --ignore=tests/integration
	$(PY) -m pytest $(SIDE_BY_SIDE) tests/integration
endif

test-unit: venv ## the fast tests: no emulator
	$(PY) -m pytest -n auto tests/unit tests/architecture $(ARGS)

bench: venv ## measure the budgets
	PYTHONPATH=.:layers/common $(PY) -m tests.performance.bench $(ARGS)

lint: venv ## style, types, template, import rules
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	MYPYPATH=$(SOURCES) $(VENV)/bin/mypy
	$(VENV)/bin/cfn-lint template.yaml functions/*/*.yaml
	$(PY) -m pytest -q tests/architecture

openapi: venv ## write the OpenAPI documents and the page of problem codes
	$(PY) -m tools.openapi_documents
	$(PY) -m tools.problem_codes

templates: venv ## write the generated parts of the stacks' templates
	$(PY) -m tools.stack_templates
	$(PY) -m tools.api_template

events: venv ## write the event schemas and the sample invocations
	$(PY) -m tools.event_schemas
	$(PY) -m tools.sample_invocations

format: venv ## format the code and fix what ruff can fix
	$(VENV)/bin/ruff check --fix --exit-zero .
	$(VENV)/bin/ruff format .

lock: venv ## write the lock files from pyproject.toml (ARGS=--upgrade for newer versions)
	requirements/lock.sh $(VENV)/bin/uv $(ARGS)

deploy-local: venv ## build, deploy and fill any emulator (AWS_ENDPOINT_URL=http://127.0.0.1:4566; SERVICE=loans: only this stack)
	@$(PY) -m localstack.embedded deploy

sam-cli: venv ## install the SAM CLI into .venv-sam
	@sh localstack/install.sh .venv-sam requirements/sam.txt

sam-validate: sam-cli ## check the template with the SAM CLI
	$(WITH_VENV) $(SAM) validate --lint

sam-build: sam-cli ## build as for AWS
	$(WITH_VENV) $(SAM) build $(ARGS)

sam-local: venv ## functions in containers on the stack of `make run` (ARGS="start-api", ARGS="invoke ...")
	@$(PY) -m localstack.embedded docker
	@$(MAKE) --no-print-directory sam-cli
	@$(PY) -m localstack.embedded sam-local $(ARGS)

deploy: sam-build ## deploy to the AWS account of the current credentials (PARAMETERS="AdminEmail=... MailFrom=...", SERVICE=loans: only this stack)
	@$(WITH_VENV) $(PY) -m tools.deploy -- $(ARGS)

migrate: venv ## move a library that is one stack into a stack per service (SYSTEM=its name; prints the plan; YES=1 does it)
	@$(PY) -m tools.migrate

clean: ## remove environments, caches and builds; local state stays (see reset)
	rm -rf $(VENV) .venv-sam .aws-sam .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: templates rotate rebuild-analytics logs mail dead-letters openapi events help venv run stop reset token test test-unit bench lint format lock deploy-local sam-cli \
	sam-validate sam-build sam-local deploy migrate clean
