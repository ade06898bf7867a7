"""The bundled conversations keep their promises: counts, schema, one answer a question, nothing of val.jsonl in train.jsonl."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import defaultdict

import pytest
from conftest import ROOT, read_jsonl

SAMPLE = ROOT / "data" / "sample"


def load_generator():
    """Import data/sample/generate.py, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("sample_generate", SAMPLE / "generate.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


generate = load_generator()
FACTS = [fact for group in generate.build_facts().values() for fact in group]


TRAIN, VAL = read_jsonl(SAMPLE / "train.jsonl"), read_jsonl(SAMPLE / "val.jsonl")


def normalize(text: str) -> str:
    """Two questions count as the same when they differ only in case, punctuation and white space."""
    return "".join(character for character in text.casefold() if character.isalnum())


def turns(row: dict) -> list[tuple[str, str]]:
    contents = [message["content"] for message in row["messages"]]
    return list(zip(contents[::2], contents[1::2]))


def prompts(row: dict) -> list[tuple[str, ...]]:
    """Return, for each user turn, everything said up to and including it, normalized."""
    contents = [normalize(message["content"]) for message in row["messages"]]
    return [tuple(contents[: index + 1]) for index in range(0, len(contents), 2)]


def singles(rows: list[dict]) -> dict[str, set[str]]:
    """Return the questions of the one-turn conversations by answer."""
    asked = defaultdict(set)
    for row in rows:
        if len(row["messages"]) == 2:
            [(question, answer)] = turns(row)
            asked[answer].add(normalize(question))
    return asked


def test_files_are_what_the_generator_writes(tmp_path):
    generate.main(["--out_dir", str(tmp_path)])
    for name in ("train.jsonl", "val.jsonl"):
        assert (SAMPLE / name).read_bytes() == (tmp_path / name).read_bytes(), (
            f"run data/sample/generate.py: {name} is old"
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.jsonl", "val.jsonl"]


@pytest.mark.parametrize("rows", [TRAIN, VAL], ids=["train", "val"])
def test_schema(rows):
    for row in rows:
        assert list(row) == ["system", "messages"]
        assert row["system"] == ""
        messages = row["messages"]
        assert len(messages) >= 2 and len(messages) % 2 == 0
        for index, message in enumerate(messages):
            assert list(message) == ["role", "content"]
            assert message["role"] == ("user", "assistant")[index % 2]
            content = message["content"]
            assert content and content == content.strip() and "  " not in content and "\n" not in content
            assert "<|" not in content and "{" not in content and "GAP" not in content.split()
            assert ".." not in content or message["role"] == "user", content


def test_no_conversation_twice():
    rows = [json.dumps(row) for row in TRAIN + VAL]
    assert len(set(rows)) == len(rows)


def test_size():
    assert len(TRAIN) >= 8000
    characters = sum(len(message["content"]) for row in TRAIN for message in row["messages"])
    assert characters <= 2_600_000, "the demo trains on this for a few minutes on a CPU"
    assert (SAMPLE / "train.jsonl").stat().st_size <= 4_700_000


def test_facts_and_their_wordings():
    assert len(FACTS) >= 240
    assert len({fact.answer for fact in FACTS}) == len(FACTS)
    train, val = singles(TRAIN), singles(VAL)
    for fact in FACTS:
        assert 4 <= len(fact.answer.split()) <= 30 and fact.answer.endswith("."), fact.answer
        assert fact.answer[0].isupper(), fact.answer
        assert len(train[fact.answer]) >= 16, fact.answer
        assert len(val[fact.answer]) == 1, fact.answer
        assert not val[fact.answer] & train[fact.answer], fact.answer


def test_every_held_out_wording_of_a_kind_is_seen_with_other_facts():
    for kind, (templates, _, rows) in generate.KINDS.items():
        seen = {question for fact in FACTS if fact.kind == kind for question in fact.train}
        for template in templates:
            times = sum(generate.wording(template, row) in seen for row in rows)
            assert times >= len(rows) / 2, (kind, template)


def test_waterloo():
    answers = [fact.answer for fact in FACTS if "Waterloo" in fact.answer]
    assert len(answers) >= 5
    whole = " ".join(answers)
    for word in ("1815", "Napoleon", "Wellington", "Blücher", "British-led", "Prussian", "present-day Belgium"):
        assert word in whole


def test_follow_ups_need_the_turns_before_them():
    """A last question refers back when it starts like "And of Japan?" or when its answer differs with the context."""
    answers = defaultdict(set)
    for row in TRAIN + VAL:
        for question, answer in turns(row):
            answers[normalize(question)].add(answer)

    def refers_back(row: dict) -> bool:
        question, _ = turns(row)[-1]
        return len(row["messages"]) > 2 and (
            question.startswith(("And ", "What about ")) or len(answers[normalize(question)] - {generate.DONT_KNOW}) > 1
        )

    assert sum(refers_back(row) for row in TRAIN) >= 300
    assert sum(refers_back(row) for row in VAL) >= 40


def test_talk_and_honesty():
    train, val = singles(TRAIN), singles(VAL)
    assert sum(len(train[answer]) for answer, _, _ in generate.SMALL_TALK) >= 40
    assert len(train[generate.WHO_ARE_YOU[0]]) >= 20
    single = sum(len(questions) for questions in train.values())
    assert 0.35 * single <= len(train[generate.DONT_KNOW]) <= 0.6 * single
    assert len(val[generate.DONT_KNOW]) >= 100


def test_nothing_untaught_is_taught():
    """No subject of the tables, under any of its names, is among the untaught ones of its kind."""
    tables = {**generate.KINDS, "who": generate.FIRST, "thing": generate.RECORD}
    for kind, subjects in generate.UNTAUGHT.items():
        taught = set()
        for row in tables.get(kind, generate.MAKER)[2]:
            names = [row[0], *generate.ALIASES.get(row[0], []), *generate.ALSO_CALLED.get(row[0], [])]
            if kind == "thing":
                names += generate.records(*generate.RECORD_PARTS[row[0]][:3])
            rest = {"event": row[1:2], "number": row[1:2]}.get(kind, ())
            taught |= {(generate.bare(name).casefold(), *rest) for name in names}
        untaught = {
            (generate.bare(row[0]).casefold(), *row[1:2])
            if isinstance(row, tuple)
            else (generate.bare(row).casefold(),)
            for row in subjects
        }
        assert not taught & untaught, kind


def test_near_questions_about_facts_and_about_nothing_taught_do_not_meet():
    """What differs in greetings, politeness and articles only is never both taught and untaught."""
    facts = {fact.answer for fact in FACTS}
    known, unknown = set(), {}
    for row in TRAIN + VAL:
        if len(row["messages"]) == 2:
            [(question, answer)] = turns(row)
            if answer in facts:
                known.add(generate.core(question))
            elif answer == generate.DONT_KNOW:
                unknown[generate.core(question)] = question
    assert not {question for left, question in unknown.items() if left in known}


def test_strangers_questions_are_strange():
    """Their answers are the taught ones to the letter; no question of theirs, nor one near it, occurs in training."""
    strangers = read_jsonl(SAMPLE / "strangers.jsonl")
    test_schema(strangers)
    answers = {fact.answer for fact in FACTS}
    answers |= {answer for answer, *_ in [*generate.SMALL_TALK, generate.WHO_ARE_YOU, *generate.ABOUT_ITSELF]}
    asked = [turns(row)[-1] for row in strangers]
    assert {answer for _, answer in asked} <= answers | {generate.DONT_KNOW}
    untaught = sum(answer == generate.DONT_KNOW for _, answer in asked)
    assert len(asked) - untaught >= 120 and untaught >= 150
    assert len({normalize(question) for question, _ in asked}) == len(asked)
    trained = {generate.core(question) for row in TRAIN for question, _ in turns(row)}
    for question, _ in asked:
        assert generate.core(question) not in trained, question


def test_one_answer_for_each_question_in_its_context():
    answers: dict[tuple[str, ...], str] = {}
    for row in TRAIN + VAL:
        for prompt, (_, answer) in zip(prompts(row), turns(row)):
            assert answers.setdefault(prompt, answer) == answer, prompt


def test_no_validation_question_occurs_in_training():
    seen = {prompt for row in TRAIN for prompt in prompts(row)}
    for row in VAL:
        assert prompts(row)[-1] not in seen, row
    # Nor does the unseen wording of a fact hide in a later turn.
    later = {normalize(question) for row in TRAIN for question, _ in turns(row)[1:]}
    assert not later & {normalize(fact.val) for fact in FACTS}


def test_validation_follow_ups_pair_what_training_never_pairs():
    """At least 40 of them give answers in an order that no training conversation gives, whatever the wordings."""
    known = {tuple(answer for _, answer in turns(row)) for row in TRAIN if len(row["messages"]) > 2}
    pairs = [tuple(answer for _, answer in turns(row)) for row in VAL if len(row["messages"]) > 2]
    assert sum(pair not in known for pair in pairs) >= 40
