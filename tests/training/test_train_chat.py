"""Chat: what was said belongs to the prompt, answers stand side by side, Ctrl-C stops one."""

import io
from dataclasses import dataclass, field

import pytest
import torch
import typer
from rich.console import Console
from typer.testing import CliRunner

from compiler.diagnostics import Report
from tests.training.templates import CHATML, GEMMA, LLAMA3, tokenizer_of
from training import encode, student
from training.cli import app
from training.commands import chat
from training.machine import Hardware
from training.student import generate
from training.talk import Reply, Talk

CPU = Hardware("cpu", False)


@pytest.fixture
def talk(trained):
    """With a student that knows nothing, not even how to end."""
    return Talk.of(str(trained / "base"), "", CPU, Report(), room=12)


@pytest.fixture
def prompts(talk, monkeypatch):
    """The texts that the model is given."""
    given, real = [], Talk._generate

    def recorded(self, prompt, room, heard):
        given.append(self.tokenizer.decode(prompt))
        real(self, prompt, room, heard)

    monkeypatch.setattr(Talk, "_generate", recorded)
    return given


def user(text):
    return {"role": "user", "content": text}


def test_the_prompt_holds_the_whole_conversation(talk, prompts):
    first = talk.ask("Name the river.")
    second = talk.ask("And the capital?")
    said = [user("Name the river."), {"role": "assistant", "content": first.text}]
    prompt = encode.prompt_tokens([*said, user("And the capital?")], talk.tokenizer)
    assert prompts[1] == talk.tokenizer.decode(prompt)
    assert second.text == generate(talk.model, talk.tokenizer, [prompt], 12)[0]
    talk.forget()
    talk.ask("And the capital?")
    assert "river" not in prompts[2]


def test_what_no_longer_fits_is_forgotten_from_the_oldest_on(talk, prompts):
    limit = talk.model.config.max_position_embeddings - talk.room
    replies = [talk.ask(f"Which of the {n} rivers is the longest of all?") for n in range(9)]
    assert [reply.forgot for reply in replies[:2]] == [0, 0]
    assert sum(reply.forgot for reply in replies) > 1
    assert "Which of the 0 rivers" in prompts[1]
    assert "Which of the 0 rivers" not in prompts[-1]
    assert all(f"Which of the {n} rivers" in prompt for n, prompt in enumerate(prompts))
    assert all(len(talk.tokenizer.encode(prompt)) <= limit for prompt in prompts)


def test_a_question_that_never_fits_is_not_asked(talk, prompts):
    talk.ask("Name the river.")
    reply = talk.ask("river " * 400)
    assert (reply.text, reply.limit > 0, len(prompts)) == ("", True, 1)
    assert "river river" not in str(talk.said)


def test_what_closes_a_turn_ends_an_answer(tiny, trained, tmp_path):
    """A base model has another end token than its chat template closes turns with."""
    for family in (GEMMA, LLAMA3, CHATML):
        tokenizer = tokenizer_of(family, ["Why so?"])
        assert tokenizer.decode(student.turn_end(tokenizer)) == family.end
    tokenizer = student.load_tokenizer(str(trained / "base"), Report())
    assert student.turn_end(tokenizer) == tokenizer.eos_token_id
    model = student.load_model(str(trained / "base"), Report())
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id, "nothing to add"
    tokenizer.eos_token = "<|system|>"
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    for one in (model, tokenizer):
        one.save_pretrained(tmp_path / "other")
    loaded = student.load_model(str(tmp_path / "other"), Report())
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    assert loaded.generation_config.eos_token_id == [tokenizer.eos_token_id, end]
    assert student.make_model(tiny.student, tokenizer, tiny).generation_config.eos_token_id == [
        tokenizer.eos_token_id,
        end,
    ]

    def closes(module, given, made):
        made.logits[..., end] = 1e9

    loaded.register_forward_hook(closes)
    talk = Talk(loaded, tokenizer, room=5)
    assert talk.ask("Why?") == Reply("")
    loaded.save_pretrained(tmp_path / "again")
    loaded.generation_config.eos_token_id = tokenizer.eos_token_id
    assert talk.ask("Why?").cut == 5, "the control"
    again = student.load_model(str(tmp_path / "again"), Report())
    assert end in again.generation_config.eos_token_id, "saved with the student"


def test_answers_are_greedy_whatever_the_model_says(talk):
    prompt = encode.prompt_tokens([user("Name the river.")], talk.tokenizer)
    plain, told = generate(talk.model, talk.tokenizer, [prompt], 12)[0], talk.ask("Name the river.")
    own = talk.model.generation_config
    own.update(do_sample=True, repetition_penalty=0.1, no_repeat_ngram_size=1, min_new_tokens=3)
    before = own.to_dict()
    tokens = torch.tensor([prompt])
    free = talk.model.generate(tokens, do_sample=False, max_new_tokens=12)[0, len(prompt) :]
    assert talk.tokenizer.decode(free, skip_special_tokens=True).strip() != plain, "the control"
    assert generate(talk.model, talk.tokenizer, [prompt], 12)[0] == plain
    talk.forget()
    assert talk.ask("Name the river.") == told
    assert own.to_dict() == before


@pytest.fixture
def says(talk, monkeypatch):
    """A student that says what it is told to, a token at a time."""

    def say(text, ends=True):
        def generate(self, prompt, room, heard):
            tokens = self.tokenizer.encode(text) + [self.tokenizer.eos_token_id] * ends
            heard.put(torch.tensor([prompt]))
            for token in tokens[:room]:
                heard.put(torch.tensor([token]))
            heard.end()

        monkeypatch.setattr(Talk, "_generate", generate)
        talk.room = 40
        return talk

    return say


def test_an_answer_comes_in_pieces(says):
    pieces = []
    reply = says("It is Kem.\nOr Io.").ask("Name the river.", pieces.append)
    assert reply == Reply("It is Kem.\nOr Io.")
    assert "".join(pieces) == reply.text
    assert len(pieces) > 2


def test_an_answer_that_does_not_end_is_cut_and_says_so(says):
    assert says("It").ask("Name the river.").cut == 0
    assert says("It is Kem. " * 9).ask("Name the river.").cut == 40


def test_ctrl_c_keeps_what_was_said_by_then(says):
    talk = says("It is Kem, or Io.")

    def interrupted(piece):
        if "is" in piece:
            raise KeyboardInterrupt

    reply = talk.ask("Name the river.", interrupted)
    assert reply.stopped
    assert not reply.cut
    assert "It is Kem, or Io.".startswith(reply.text)
    assert 0 < len(reply.text) < len("It is Kem, or Io.")
    assert talk.ask("And the capital?") == Reply("It is Kem, or Io."), "the conversation goes on"
    assert len(talk.said) == 4


@dataclass
class Fake:
    """A conversation that answers with what it was asked, in two pieces."""

    name: str
    stops: bool = False
    said: list[str] = field(default_factory=list)

    def forget(self):
        self.said.clear()

    def ask(self, question, hear=lambda text: None):
        self.said.append(question)
        text = f"{self.name} heard {len(self.said)}: {question}"
        for piece in (text[:4], text[4:]):
            hear(piece)
        return Reply(text, stopped=self.stops)


@pytest.fixture
def talked(monkeypatch):
    """Talks at a terminal of some width, or through a pipe; gives what is seen."""

    def run(*lines, width=80, live=True, together=False, names=("before", "after"), stops=False):
        monkeypatch.setattr(chat, "_typed", lambda: live)
        console = Console(
            file=io.StringIO(), width=width, force_terminal=live, color_system=None, highlight=False
        )
        asked = dict.fromkeys(names, ("", ""))
        session = chat.Session(asked, CPU, 9, together, console)
        session.talks = {name: Fake(name, stops) for name in names}
        session.run(iter(lines))
        return console.file.getvalue()

    return run


def test_one_answer_streams_and_the_conversation_goes_on(talked):
    assert talked("Who?", "Why?") == "after heard 1: Who?\nafter heard 2: Why?\n"


def test_new_starts_over(talked, capsys):
    assert talked("Who?", "/new", "Why?").endswith("after heard 1: Why?\n")
    talked("/help", "/nonsense")
    told = capsys.readouterr().err
    assert "there is no command /nonsense" in told
    assert told.count("/new") == 2


def test_two_columns_where_there_is_room(talked):
    shown = talked("Who was it, and when?", together=True).splitlines()
    assert [part.strip() for part in shown[0].split("│")] == ["before", "after"]
    cells = [[part.strip() for part in line.split("│")] for line in shown[2:-1]]
    columns = [" ".join(part for part in column if part) for column in zip(*cells, strict=True)]
    assert columns == [f"{name} heard 1: Who was it, and when?" for name in ("before", "after")]
    assert all(len(line) <= 80 for line in shown)


@pytest.mark.parametrize("width, apart", [(90, True), (89, False)])
def test_below_each_other_where_there_is_none(talked, width, apart):
    shown = talked("Who?", together=True, names=("base", "phase1", "phase2"), width=width)
    assert ("│" in shown) is apart
    if not apart:
        assert shown.startswith("base\nbase heard 1: Who?\n\nphase1\nphase1 heard")


def test_who_joins_has_not_heard_the_rest_so_all_begin_anew(talked):
    shown = talked("Who?", "/before", "Why?")
    assert "before heard 1: Why?" in shown
    assert "after heard 1: Why?" in shown
    assert talked("Who?", "/before", "/before", "Why?").endswith("after heard 1: Why?\n")


def test_by_pipe_each_line_stands_alone(talked, capsys):
    talked("Who?", "Why?", "/before", "When?", "/etc", live=False)
    assert capsys.readouterr().out.splitlines() == [
        "after heard 1: Who?",
        "after heard 1: Why?",
        "before: before heard 1: When?",
        "after:  after heard 1: When?",
        "before: before heard 1: /etc",
        "after:  after heard 1: /etc",
    ]


def test_a_stopped_turn_asks_nobody_else_and_ends_a_pipe(talked):
    shown = talked("Who?", together=True, stops=True)
    assert "[stopped]" in shown
    assert "after heard" not in shown
    with pytest.raises(typer.Exit) as ended:
        talked("Who?", live=False, stops=True)
    assert ended.value.exit_code == 130


def test_ctrl_c_at_the_prompt_ends(monkeypatch):
    def interrupted(prompt):
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupted)
    with pytest.raises(typer.Exit) as ended:
        chat._line()
    assert ended.value.exit_code == 130


@pytest.mark.parametrize(
    "reply, told",
    [
        (Reply(""), "(nothing)"),
        (Reply("Io", cut=400), "Io [cut at 400 tokens]"),
        (Reply("", stopped=True), "[stopped]"),
        (Reply("Io", forgot=1), "Io [forgot the first 1 question]"),
        (Reply("", limit=99), "[the question is over 99 tokens, all it can read]"),
        (Reply("\x1b[2J a\n\tb"), "\\x1b[2J a\n    b"),
    ],
)
def test_what_is_said_of_an_answer(reply, told):
    assert chat._told(reply) == told


def call(*words, **options):
    return CliRunner().invoke(app, ["chat", *map(str, words)], **options)


def test_stages_and_folders_are_compared(trained):
    names = f"base,phase1,{trained / 'phase2'}"
    done = call("--student", trained, "--compare", names, "--room", "5", input="Who?\n")
    assert done.exit_code == 0, done.output
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["base", "phase1", "phase2"]
    assert done.stdout.splitlines()[0].endswith(" [cut at 5 tokens]")


def test_usage(trained):
    assert call("--student", trained, "--compare", "base", "--stage", "base").exit_code == 2
    done = call("--student", trained, "--compare", "base,phase9")
    assert done.exit_code == 2
    assert "there are base, phase1, phase2, control" in done.stderr


def test_a_folder_that_holds_no_model(trained, tmp_path):
    done = call("--student", trained, "--compare", f"base,{tmp_path}", input="Who?\n")
    assert done.exit_code == 1
    assert "error[F609] student-not-found" in done.stderr
