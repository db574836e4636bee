"""Labels under the chat templates of the common families: the answer's tokens and the one that
closes the turn, token by token; the rest teaches nothing."""

import os
import random

import pytest

from compiler.diagnostics import Report
from tests.conftest import SEED
from tests.training.templates import FAMILIES, REFUSED, tokenizer_of
from training import encode
from training.data import Pair, Sample
from training.encode import IGNORED
from training.pairs import encode_pairs

WORDS = "Osten river the of Lorrud runs née 12 x=3; \n\n {} Größe 東京 #1 'so' end".split(" ")


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def spoken(request):
    return request.param, tokenizer_of(request.param, [" ".join(WORDS)] * 3)


def talks(family, count):
    """Conversations of one to three turns; no text begins or ends with a blank."""
    chance = random.Random(os.environ[SEED])
    for number in range(count):
        turns = chance.randint(1, 3)
        texts = [
            " ".join(["A", *chance.choices(WORDS, k=chance.randint(0, 6)), "z"])
            for _ in range(2 * turns)
        ]
        messages = [
            {"role": ("user", "assistant")[i % 2], "content": t} for i, t in enumerate(texts)
        ]
        if family.system and chance.random() < 0.5:
            messages.insert(0, {"role": "system", "content": "Be brief."})
        yield Sample(str(number), tuple(messages), "knowledge", "knowledge/x")


def test_each_answer_and_its_end_is_learned_and_nothing_else(spoken):
    family, tokenizer = spoken
    for sample in talks(family, 25):
        ids, labels = encode.tokens_of(sample, tokenizer)
        whole = tokenizer.apply_chat_template(list(sample.messages), tokenize=False)
        assert tokenizer.decode(ids) == whole
        runs, before = [], IGNORED
        for token, label in zip(ids, labels, strict=True):
            assert label in (IGNORED, token)
            if label != IGNORED:
                runs = [*runs, []] if before == IGNORED else runs
                runs[-1].append(label)
            before = label
        answers = [m["content"] for m in sample.messages if m["role"] == "assistant"]
        assert [tokenizer.decode(run).lstrip() for run in runs] == [a + family.end for a in answers]


def test_the_end_is_what_generation_stops_at(spoken):
    family, tokenizer = spoken
    one = next(talks(family, 1))
    ids, labels = encode.tokens_of(one, tokenizer)
    last = max(i for i, label in enumerate(labels) if label != IGNORED)
    assert tokenizer.convert_ids_to_tokens(ids[last]) == family.end
    assert tokenizer.decode(ids[last + 1 :]) == family.after


def test_unmask_learns_all_of_it(spoken):
    family, tokenizer = spoken
    for sample in talks(family, 3):
        whole = Sample(sample.id, sample.messages, "knowledge", "knowledge/x", unmask=True)
        ids, labels = encode.tokens_of(whole, tokenizer)
        assert ids == labels


@pytest.mark.parametrize("family", REFUSED, ids=lambda family: family.name)
def test_what_a_template_refuses_is_counted(family):
    tokenizer = tokenizer_of(family, ["Who? Ada."])
    roles = ("system", "user", "assistant")
    texts = zip(roles, ("Be brief.", "Who?", "Ada."), strict=True)
    messages = tuple({"role": r, "content": c} for r, c in texts)
    samples = [
        Sample("1", messages, "knowledge", "knowledge/x"),
        Sample("2", messages[1:], "knowledge", "knowledge/x"),
    ]
    pairs = [
        Pair(one.id, one.messages, "knowledge", "knowledge/x", rejected="Eve.") for one in samples
    ]
    for read, some in ((encode.encode, samples), (encode_pairs, pairs)):
        report = Report()
        found = read("phase1", some, tokenizer, encode.Limits(), report)
        assert found.account.dropped == {"F606": 1}
        assert [one.id for one in found.samples] == ["2"]
        assert "refused by the chat template" in report.diagnostics[0].message
    limits = encode.Limits()
    assert [encode.fits(one, tokenizer, limits) for one in samples] == [False, True]
    assert not encode.fits(samples[1], tokenizer, encode.Limits(max_length=3))


def answered(text):
    messages = ({"role": "user", "content": "?"}, {"role": "assistant", "content": text})
    return Sample(text, messages, "knowledge", "knowledge/x")


@pytest.mark.parametrize("limit, kept", [(199, 20), (200, 10), (201, 0)])
def test_characters_are_counted_as_openelm_counts(limit, kept):
    """Lower case, no punctuation, single spaces: ten of 200 characters and ten of 199."""
    tokenizer = tokenizer_of(FAMILIES[0], ["abc"])
    samples = [answered("A, " * n + "b" * (200 - 2 * n)) for n in range(10)]
    samples += [answered("A!  " * n + "b" * (199 - 2 * n) + "...") for n in range(10)]
    report = Report()
    limits = encode.Limits(min_characters=limit, max_length=4096)
    found = encode.encode("phase1", samples, tokenizer, limits, report)
    assert len(found) == kept
    assert found.account.dropped.get("F606", 0) == 20 - kept


@pytest.mark.parametrize("limit, kept", [(255, 20), (256, 10), (257, 0)])
def test_another_tokenizer_keeps_others_of_the_same_build(limit, kept):
    bytes_only = tokenizer_of(FAMILIES[0], [""])
    frame = len(encode.tokens_of(answered("b"), bytes_only)[0]) - 1
    samples = [answered(chr(97 + n) * (256 - frame)) for n in range(10)]
    samples += [answered(chr(97 + n) * (255 - frame)) for n in range(10)]
    limits = encode.Limits(min_tokens=limit, max_length=4096)
    found = encode.encode("phase1", samples, bytes_only, limits, Report())
    assert len(found) == kept
    merged = tokenizer_of(FAMILIES[0], ["a" * 64, "b" * 64])
    fewer = encode.encode("phase1", samples, merged, limits, Report())
    assert len(fewer) < kept or not kept
