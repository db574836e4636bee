"""GitHub as far as our files use it: a server with pull requests, and the runner of a job.

The runner knows expressions, conditions, `run` scripts with its shell, outputs, summaries, and the
commands that it obeys when they stand in a log. For the actions of others functions stand in.
"""

import itertools
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.taxonomies import KNOWLEDGE, SKILL, knowledge, skill, write

FAULT = "created_by: ada\ntask_description: x\nseed_examples:\n- question: 100%, a\n"
OLD, MENDED = "foundational_skills/old/qna.yaml", "foundational_skills/mended/qna.yaml"

_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|\|\||&&|==|!=|[!()]|[\w.-]+)")
_STATUS = re.compile(r"\b(always|cancelled|failure|success)\(\)")


def git(folder, *words):
    me = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", *me, *words], cwd=folder, env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


class Origin:
    """A repository on a server, where `main` has one old fault and has mended another."""

    def __init__(self, folder):
        self.folder, self.author = folder / "origin.git", folder / "author"
        self.numbers = itertools.count(1)
        git(folder, "init", "-q", "--bare", "-b", "main", self.folder)
        git(folder, "init", "-q", "-b", "main", self.author)
        write(self.author, {SKILL: skill(), KNOWLEDGE: knowledge(), OLD: FAULT, MENDED: FAULT})
        self.first = self.commit("first")
        self.main = self.commit("second", {MENDED: skill(task_description="Mended.")})
        git(self.author, "push", "-q", self.folder, "main")

    def commit(self, text, files=()):
        write(self.author, dict(files))
        git(self.author, "add", "-A")
        git(self.author, "commit", "-qm", text)
        return git(self.author, "rev-parse", "HEAD")

    def propose(self, files, branch="change"):
        """A pull request from a fork that began at the first commit, as GitHub's event."""
        number = next(self.numbers)
        git(self.author, "checkout", "-q", "--detach", self.first)
        head = self.commit(branch, files)
        git(self.author, "checkout", "-q", "--detach", self.main)
        git(self.author, "merge", "-q", "--no-ff", "-m", "merge", head)
        pull = f"refs/pull/{number}"
        git(self.author, "push", "-q", self.folder, f"{head}:{pull}/head", f"HEAD:{pull}/merge")
        base = {"ref": "main", "sha": self.main}
        head = {"ref": branch, "sha": head}
        return {"pull_request": {"number": number, "base": base, "head": head, "title": branch}}


def evaluate(text, context):
    """The value of an expression; a property that is not there is the empty string."""
    tokens = _TOKEN.findall(text)
    assert "".join(tokens) == re.sub(r"\s", "", text), f"not understood: {text}"

    def take(*wanted):
        return tokens.pop(0) if tokens and tokens[0] in wanted else None

    def either():
        value = both()
        while take("||"):
            other = both()
            value = value or other
        return value

    def both():
        value = equal()
        while take("&&"):
            other = equal()
            value = value and other
        return value

    def equal():
        value = single()
        while sign := take("==", "!="):
            value = (value == single()) is (sign == "==")
        return value

    def single():
        if take("!"):
            return not single()
        if take("("):
            value = either()
            assert take(")")
            return value
        word = tokens.pop(0)
        if word.startswith("'"):
            return word[1:-1].replace("''", "'")
        if take("("):
            assert take(")")
            return context[f"{word}()"]
        value = context
        for part in word.split("."):
            value = value.get(part, "") if isinstance(value, dict) else ""
        return value

    value = either()
    assert not tokens
    return value


def filled(value, context):
    """`value` with its `${{ }}` replaced, as the runner does before anything sees it."""
    if isinstance(value, dict):
        return {key: filled(inner, context) for key, inner in value.items()}
    if isinstance(value, bool):
        return str(value).lower()
    return re.sub(r"\$\{\{(.*?)\}\}", lambda m: str(evaluate(m[1], context)), str(value))


def commands(log):
    """What the runner obeys in a log: (command, the rest), until it is told to stop."""
    found, pause = [], None
    for line in log.splitlines():
        new = re.match(r"\s*::([\w-]+)( .*?)?::(.*)", line)
        old = re.search(r"##\[([\w-]+)( .*?)?\](.*)", line)
        match = new or old
        if pause is not None:
            pause = None if line.strip() == f"::{pause}::" else pause
        elif match and match[1] == "stop-commands":
            pause = match[3]
        elif match:
            found.append((match[1], (match[2] or "") + match[3]))
    return found


@dataclass
class Runner:
    """One job on a fresh machine. `others` maps the name of an action to what stands in for it."""

    folder: Path
    event_name: str
    event: dict
    others: dict[str, Callable]
    path: str
    log: str = ""
    asked: list[tuple[str, dict]] = field(default_factory=list)

    def __post_init__(self):
        self.workspace = self.folder / "workspace"
        self.temp = self.folder / "temp"
        self.home = self.folder / "home"
        for made in (self.workspace, self.temp, self.home):
            made.mkdir(parents=True)
        self.github = {
            "event_name": self.event_name,
            "event": self.event,
            "repository": "someone/taxonomy",
            "token": "T0KEN",
            "workspace": str(self.workspace),
        }

    @property
    def summary(self):
        file = self.folder / "summary"
        return file.read_text("utf-8") if file.is_file() else ""

    def job(self, workflow, name):
        """How a job of a workflow's file ends: `success`, `failure` or `skipped`."""
        job = yaml.safe_load(workflow.read_text("utf-8"))["jobs"][name]
        context = {"github": self.github, "inputs": {}}
        if "if" in job and not evaluate(job["if"], context):
            return "skipped"
        return "success" if self._steps(job["steps"], context) else "failure"

    def action(self, folder, given):
        """Runs a composite action; whether it succeeds, and its outputs."""
        action = yaml.safe_load((folder / "action.yml").read_text("utf-8"))
        assert set(given) <= set(action["inputs"])
        inputs = {name: about["default"] for name, about in action["inputs"].items()}
        github = {**self.github, "action_path": str(folder)}
        context = {"github": github, "inputs": {**inputs, **given}}
        succeeds = self._steps(action["runs"]["steps"], context)
        outputs = action["outputs"]
        return succeeds, {name: filled(o["value"], context) for name, o in outputs.items()}

    def _steps(self, steps, context):
        context["steps"] = {}
        good = True
        for step in steps:
            context |= {"success()": good, "failure()": not good}
            context |= {"always()": True, "cancelled()": False}
            condition = str(step.get("if", "success()")).strip()
            condition = condition.removeprefix("${{").removesuffix("}}")
            if not _STATUS.search(condition):
                condition = f"success() && ({condition})"
            if not evaluate(condition, context):
                continue
            succeeds, outputs = self._step(step, context)
            context["steps"][step.get("id", "")] = {"outputs": outputs}
            good = good and (succeeds or bool(step.get("continue-on-error")))
        return good

    def _step(self, step, context):
        if "run" in step:
            return self.script(filled(step["run"], context), filled(step.get("env", {}), context))
        name, given = step["uses"].split("@")[0], filled(step.get("with", {}), context)
        self.asked.append((step["uses"], given))
        return self.others[name](self, given)

    def script(self, script, env):
        """Runs a script as a step does; whether it succeeds, and its outputs."""
        file, told = self.folder / "script.sh", self.folder / "output"
        file.write_text(script, "utf-8")
        told.write_text("")
        known = {
            "PATH": self.path,
            "HOME": str(self.home),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_OUTPUT": str(told),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", file],
            cwd=self.workspace,
            env={**known, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.log += done.stdout.decode("utf-8", "replace")
        lines = told.read_text("utf-8").splitlines()
        return done.returncode == 0, dict(line.split("=", 1) for line in lines)
