# Every target sets up what it needs in .venv.
.PHONY: install run test docs bench clean
install: .venv/ready
.venv/ready: pyproject.toml constraints.txt
	python3 -m venv .venv && .venv/bin/pip install --quiet --constraint constraints.txt --editable '.[train,dev]' && touch $@
run: install
	.venv/bin/trivium run --out out
test: install
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/pytest -n 2
docs: install
	.venv/bin/python docs/build.py
bench: install
	.venv/bin/python bench/client.py
	.venv/bin/python bench/check.py
clean:
	rm -rf .venv out docs/codes.md docs/pipelines.md
