# Every target sets up what it needs in .venv.
.PHONY: install run test test-slow test-vllm docs bench clean
install: .venv/ready
.venv/ready: pyproject.toml constraints.txt
	python3 -m venv .venv && .venv/bin/pip install --quiet --constraint constraints.txt --editable '.[train,dev]' && touch $@
run: install
	.venv/bin/trivium run --out out
test: install
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/pytest -n 2 --dist worksteal
test-slow: install
	.venv/bin/pytest -n 2 --dist worksteal -m slow
test-vllm: install .venv/vllm/ready
	TRIVIUM_VLLM_PYTHON=.venv/vllm/bin/python .venv/bin/pytest tests/real/test_vllm*.py
.venv/vllm/ready: constraints-vllm.txt
	python3 -m venv .venv/vllm
	.venv/vllm/bin/pip install --quiet --constraint constraints-vllm.txt torch
	.venv/vllm/bin/pip install --quiet --no-deps --requirement constraints-vllm.txt && touch $@
docs: install
	.venv/bin/python docs/build.py
bench: install .venv/vllm/ready
	.venv/bin/python bench/client.py
	.venv/bin/python bench/check.py
	.venv/bin/python bench/expand.py
	.venv/bin/python bench/sift.py
	.venv/bin/python bench/train.py
clean:
	rm -rf .venv out docs/codes.md docs/pipelines.md
