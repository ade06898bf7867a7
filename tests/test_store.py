"""Tokens as integers on the disk: what prep_data.py writes, what any program reads, and what train.py makes of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import call, conversations, metrics, mistake, read_jsonl, settings, small_run, write_jsonl

import prep_data
import train

KINDS = {"ids": "<u2", "bounds": "<u4", "learned": "<u4"}


def read_store(folder: Path, part: str) -> list[tuple[list[int], list[int]]]:
    """(input_ids, labels) of each document: the lines that the tutorial gives to other programs."""
    rows = []
    for path in sorted(folder.glob(f"{part}_tokens.*.ids")):
        ids, bounds = np.fromfile(path, "<u2"), np.fromfile(path.with_suffix(".bounds"), "<u4")
        labels = ids.astype(int)
        if path.with_suffix(".learned").exists():
            labels[:] = -100
            for start, end in np.fromfile(path.with_suffix(".learned"), "<u4").reshape(-1, 2):
                labels[start:end] = ids[start:end]
        rows += [(ids[a:b].tolist(), labels[a:b].tolist()) for a, b in zip(bounds, bounds[1:])]
    return rows


def prepare(folder: Path, *rows: dict, flags=()) -> Path:
    source = write_jsonl(folder / "rows.jsonl", rows)
    common = ["--train_tokenizer", 300, "--seq_len", 48, "--num_proc", 1, "--val_fraction", 0.1]
    call(prep_data.main, "--dataset", source, "--out_dir", folder / "data", *common, *flags)
    return folder / "data"


def texts(n: int = 60) -> list[dict]:
    return [{"text": f"Number {i} is followed by {i + 1}. " * (i % 7 + 1)} for i in range(n)]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Path:
    """Conversations and texts, a hundred tokens or more a shard."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prep_data, "SHARD_TOKENS", 100)
        folder = tmp_path_factory.mktemp("mixed")
        write_jsonl(folder / "texts.jsonl", texts())
        return prepare(folder, *conversations()[:40], flags=["--dataset", folder / "texts.jsonl"])


def test_a_few_lines_of_numpy_read_what_the_jsonl_says(chat_data, mixed):
    for folder in (chat_data, mixed):
        for part in ("train", "val"):
            rows = read_jsonl(folder / f"{part}_tokenized.jsonl")
            assert read_store(folder, part) == [(row["input_ids"], row["labels"]) for row in rows]
    assert len(list(mixed.glob("train_tokens.*.ids"))) > 5
    assert {path.suffix for path in chat_data.glob("*_tokens.*")} == {".ids", ".bounds", ".learned"}
    assert prep_data.id_type(range(65_536)) == "<u2" and prep_data.id_type(range(65_537)) == "<u4"


def test_text_takes_two_bytes_a_token_and_its_jsonl_can_be_left_out(tmp_path, monkeypatch):
    data = prepare(tmp_path, *texts(), flags=["--jsonl", "text", "--seq_len", 1024])
    manifest = json.loads((data / "manifest.json").read_text())
    assert not list(data.glob("*_tokenized.jsonl")) and not list(data.glob("*.learned"))
    assert len(read_jsonl(data / "train.jsonl")) == len(read_store(data, "train")) == manifest["train"]["rows"]
    size = sum(path.stat().st_size for path in data.glob("train_tokens.*"))
    assert size == 2 * manifest["train"]["tokens"] + 4 * (manifest["train"]["rows"] + 1)
    call(train.main, *small_run(data, tmp_path / "run", "--max_steps", 2))
    whole = prepare(tmp_path, *texts(), flags=["--jsonl", "all", "--overwrite"])
    assert len(list(whole.glob("*_tokenized.jsonl"))) == 2
    # shards that a run does not write any more go
    monkeypatch.setattr(prep_data, "SHARD_TOKENS", 100)
    prepare(tmp_path, *texts(), flags=["--seed", 1])
    several = len(list(data.glob("train_tokens.*.ids")))
    monkeypatch.undo()
    prepare(tmp_path, *texts())
    assert several > len(list(data.glob("train_tokens.*.ids"))) == 1


def cut_one_by_one(rows: list[dict], seq_len: int, learn_all: bool) -> list[tuple[list, list]]:
    """(input_ids, learned) of each document, by the rule as it is told."""
    documents = []
    for row in rows:
        ids, learned = row["input_ids"], [label != -100 for label in row["labels"]]
        pieces = [(0, len(ids))]
        if all(learned):
            pieces = [(start, min(start + seq_len, len(ids))) for start in range(0, len(ids), seq_len)]
        elif len(ids) > seq_len:
            ends = [i + 1 for i in range(seq_len) if learned[i] and not (*learned, False)[i + 1]]
            pieces = [(0, ends[-1])] if ends else []
        for start, end in pieces:
            piece = [False, *(learn_all or flag for flag in learned[start + 1 : end])]
            documents += [(ids[start:end], piece)] if any(piece) else []
    return documents


@pytest.mark.parametrize("learn_all", [False, True])
@pytest.mark.parametrize("seq_len", [9, 20, 48])
def test_documents_are_cut_alike_from_store_and_jsonl(mixed, seq_len, learn_all):
    manifest, changed = train.read_manifest(mixed), []
    rows = read_jsonl(mixed / "train_tokenized.jsonl")
    shards = {
        "store": train.map_store(mixed, "train", manifest, changed)[0],
        "jsonl": train.read_jsonl(mixed / "train_tokenized.jsonl", 300)[0],
    }
    assert not changed and len(shards["store"]) > 5 and isinstance(shards["store"][0][0].base, np.memmap)
    for kind in shards.values():
        documents = train.Documents(kind, seq_len, learn_all)
        found = [documents[i] for i in np.flatnonzero(documents.lengths)]
        assert [(ids.tolist(), learned.tolist()) for ids, learned in found] == cut_one_by_one(rows, seq_len, learn_all)
        assert [int(n) for n in documents.n_learned if n] == [int(learned.sum()) for _, learned in found]


def as_before(data: Path, folder: Path) -> Path:
    """The data folder as versions without a store have written it."""
    shutil.copytree(data, folder, ignore=shutil.ignore_patterns("*_tokens.*"))
    manifest = json.loads((folder / "manifest.json").read_text())
    for key in ("store", "bytes"):
        del manifest[key]
    manifest["sha256"] = {name: value for name, value in manifest["sha256"].items() if "_tokens." not in name}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("flags", [[], ["--no_packing", "--seq_len", 32]])
def test_losses_are_the_same_and_a_run_may_go_on_from_the_other(chat_data, tmp_path, flags):
    old, new = as_before(chat_data, tmp_path / "old"), shutil.copytree(chat_data, tmp_path / "new")
    for path in new.glob("*_tokenized.jsonl"):
        path.unlink()  # nobody misses it
    flags = [*flags, "--max_steps", 4, "--save_every", 2, "--log_every", 1]
    whole, cut, new_alone = (tmp_path / name for name in ("whole", "cut", "new alone"))
    call(train.main, *small_run(old, whole, *flags))
    shutil.copytree(whole, cut)
    shutil.rmtree(cut / "step-000004")
    for folder in (cut, new_alone):
        call(train.main, *small_run(new, folder, *flags))
        assert metrics(folder, "loss") == metrics(whole, "loss") and len(metrics(whole, "loss")) == 4
        assert metrics(folder, "val_loss") == metrics(whole, "val_loss")


def test_what_the_manifest_vouches_for_is_not_read_again(chat_data, tmp_path, monkeypatch, capsys):
    data, hashed = shutil.copytree(chat_data, tmp_path / "data"), []
    args, sha256 = settings("--data_dir", data, "--seq_len", 64), train.sha256
    monkeypatch.setattr(train, "sha256", lambda path: hashed.append(path.name) or sha256(path))
    train.load_data(args)
    assert not [name for name in hashed if name.startswith(("train", "val"))]
    ids = data / "train_tokens.00000.ids"
    monkeypatch.setattr(train, "LARGE_FILE", 100)
    for path in data.iterdir():
        os.utime(path, (10**9, 10**9))  # as a copy without times leaves them
    train.load_data(args)
    assert ids.name in hashed and f"checking   {ids.name}" in capsys.readouterr().out
    hashed.clear()
    train.load_data(args)
    assert {*hashed} <= {file.name for file in (data / "tokenizer").iterdir()}, "once is enough"
    os.utime(data / "manifest.json", (1, 1))
    monkeypatch.setattr(train.os, "utime", lambda *args, **kwargs: os.stat("not the owner's"))
    train.load_data(args)
    content = bytearray(ids.read_bytes())
    content[4] ^= 1
    ids.write_bytes(content)
    line = mistake(capsys, train.main, small_run(data, tmp_path / "run"))
    assert f"{ids.name} is not the file that" in line and not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind, size", [("ids", 0), ("ids", 101), ("bounds", 0), ("bounds", 10), ("learned", 4)])
def test_a_store_that_was_cut_is_one_line(chat_data, tmp_path, capsys, kind, size):
    data = shutil.copytree(chat_data, tmp_path / "data")
    os.truncate(data / f"train_tokens.00000.{kind}", size)
    line = mistake(capsys, train.main, small_run(data, tmp_path / "run"))
    assert f"train_tokens.00000.{kind} is not the file that" in line and not (tmp_path / "run").exists()


def test_a_jsonl_made_by_hand_comes_before_the_store(chat_data, tmp_path):
    data = shutil.copytree(chat_data, tmp_path / "data")
    rows = read_jsonl(data / "train_tokenized.jsonl")[:5]
    content = write_jsonl(data / "train_tokenized.jsonl", rows).read_bytes()
    manifest = json.loads((data / "manifest.json").read_text())
    manifest["sha256"]["train_tokenized.jsonl"] = hashlib.sha256(content).hexdigest()
    (data / "manifest.json").write_text(json.dumps(manifest))
    _, rows, val_rows, _ = train.load_data(settings("--data_dir", data, "--seq_len", 64))
    assert len(rows.placed) == 5 and isinstance(val_rows.documents.shards[0][0].base, np.memmap)


# --- a corpus that takes hours goes on where it was -----------------------------------------------------------------


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Stopped(BaseException):
    """As a signal would end the run."""


def refused(capsys, run, *arguments) -> str:
    """The one line with which a run ends that would do harm."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    return line


def stop_at(patch, number: int, where: str, owner=prep_data.Store) -> None:
    """Ends the run at the `number`-th call of Store.`where`, in the middle of a portion or at its end."""
    calls, original = iter(range(1, 10**9)), getattr(owner, where)

    def method(*args):
        if next(calls) == number:
            raise Stopped
        return original(*args)

    patch.setattr(owner, where, method)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> dict[Path, int]:
    """Files of conversations and texts, to be mixed 3 to 2."""
    folder = tmp_path_factory.mktemp("source")
    return {write_jsonl(folder / "chats.jsonl", conversations()): 3, write_jsonl(folder / "texts.jsonl", texts(90)): 2}


@pytest.fixture
def corpus(source, chat_data, monkeypatch):
    """Runs prep_data.py on them in portions of some dozen rows."""
    monkeypatch.setattr(prep_data, "PORTION", 3000)
    common = ["--tokenizer", chat_data / "tokenizer", "--seq_len", 64, "--num_proc", 1]

    def run(out: Path, *flags) -> dict[str, bytes]:
        datasets = [] if "--dataset" in flags else [f"--dataset={path}:{weight}" for path, weight in source.items()]
        call(prep_data.main, *common, *datasets, "--out_dir", out, *flags)
        return everything(out)

    return run


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, bytes]:
    return {}


@pytest.fixture
def whole(corpus, undisturbed, tmp_path) -> dict[str, bytes]:
    """What a run leaves that nobody disturbs."""
    if not undisturbed:
        undisturbed.update(corpus(tmp_path / "whole"))
    return undisturbed


@pytest.mark.parametrize("cleans_up", [True, False])
def test_a_run_that_is_cut_off_goes_on_and_ends_alike(corpus, whole, tmp_path, monkeypatch, capsys, cleans_up):
    assert len([name for name in whole if name.endswith(".ids")]) > 6 and prep_data.STATE in whole
    capsys.readouterr()
    said = []
    for where, number in (
        ("add", 5),
        ("add", 60),
        ("close", 9),
        ("add", 40),
    ):  # the first one before any portion is whole
        with monkeypatch.context() as patch:
            if not cleans_up:  # SIGKILL
                patch.setattr(prep_data, "give_up", lambda workdir: None)
            stop_at(patch, number, where)
            with pytest.raises(Stopped):
                corpus(tmp_path / "cut")
        assert not (tmp_path / "cut/manifest.json").exists()
        said.append("going on behind" in capsys.readouterr().out)
    assert said == [False, False, True, True]
    assert corpus(tmp_path / "cut") == whole


@pytest.mark.parametrize("n_moved", [0, 1, 9])
def test_what_is_made_is_not_made_again_where_its_files_were_on_their_way(
    corpus, whole, tmp_path, monkeypatch, capsys, n_moved
):
    replace, moves = os.replace, iter(range(1000))
    corpus(tmp_path / "cut", "--max_tokens", 1000)  # an older one is there

    def stopped(path, place):
        if Path(path).name != f"{prep_data.STATE}.tmp" and next(moves) == n_moved:
            raise Stopped
        replace(path, place)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stopped)
        with pytest.raises(Stopped):
            corpus(tmp_path / "cut")
    assert not (tmp_path / "cut/manifest.json").exists()
    if n_moved == 1:  # what is not whole is made again, when that is asked for
        newest = max((tmp_path / "cut/prep.tmp").glob("*.ids"))
        newest.write_bytes(newest.read_bytes()[:-2])
        assert "files that are not as they were written" in refused(capsys, corpus, tmp_path / "cut")
        assert corpus(tmp_path / "cut", "--overwrite") == whole
    else:
        monkeypatch.setattr(prep_data, "stream", None)
        if n_moved == 9:  # the next run puts them there, also one that makes something else and may not
            assert "--seq_len 64" in refused(capsys, corpus, tmp_path / "cut", "--seq_len", 32)
            assert (tmp_path / "cut/manifest.json").exists()
        assert corpus(tmp_path / "cut") == whole
    assert not (tmp_path / "cut/prep.tmp").exists()


@pytest.mark.parametrize(("owner", "name", "number"), [(prep_data, "publish", 1), (prep_data.Store, "add", 3)])
def test_what_a_power_cut_takes_is_made_again(corpus, whole, tmp_path, monkeypatch, owner, name, number):
    """As some file systems leave it: of what was not on the disk yet there are the name and the size, and zeros; at the worst
    not so of the files that vouch for all others."""
    on_disk, fsync = {}, os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        on_disk[os.readlink(f"/proc/self/fd/{descriptor}")] = os.fstat(descriptor).st_size

    corpus(tmp_path / "cut", "--max_tokens", 1500)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", noted)
        stop_at(patch, number, name, owner)
        with pytest.raises(Stopped):
            corpus(tmp_path / "cut")
    for path in filter(Path.is_file, (tmp_path / "cut/prep.tmp").rglob("*")):
        stat = path.stat()
        if path.name not in ("manifest.json", prep_data.STATE):
            os.truncate(path, min(stat.st_size, on_disk.get(str(path), 0)))
            os.truncate(path, stat.st_size)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert corpus(tmp_path / "cut") == whole


def test_more_tokens_are_added_to_what_is_there(corpus, tmp_path, capsys):
    whole = corpus(tmp_path / "whole", "--max_tokens", 4000)
    corpus(tmp_path / "more", "--max_tokens", 2000)
    first = tmp_path / "more/train_tokens.00000.ids"
    inode = first.stat().st_ino
    capsys.readouterr()
    assert corpus(tmp_path / "more", "--max_tokens", 4000) == whole
    assert "going on behind" in capsys.readouterr().out
    assert first.stat().st_ino == inode, "what is there is not written again"
    # what is damaged is not built upon, nor what is to be built again
    with first.open("rb+") as file:
        file.write(b"damage")
    assert "files that are not as they were written" in refused(capsys, corpus, tmp_path / "more", "--max_tokens", 5000)
    five = corpus(tmp_path / "more", "--max_tokens", 5000, "--overwrite")
    assert five == corpus(tmp_path / "five", "--max_tokens", 5000)
    assert corpus(tmp_path / "more", "--max_tokens", 6000, "--overwrite")
    assert "going on behind" not in capsys.readouterr().out


@pytest.mark.parametrize("is_complete", [True, False])
def test_what_took_hours_is_not_replaced_unasked(corpus, whole, source, tmp_path, monkeypatch, capsys, is_complete):
    out, (chats, plain) = tmp_path / "out", source
    if is_complete:
        corpus(out)
    else:
        with monkeypatch.context() as patch:
            stop_at(patch, 60, "add")
            with pytest.raises(Stopped):
                corpus(out)
    before, content = everything(out), plain.read_bytes()
    for flags, told in (
        (["--seq_len", 32], "--seq_len 64; give the same to keep them; --overwrite starts over"),
        (["--jsonl", "text", "--skip_bad_lines"], "no --skip_bad_lines, no --jsonl;"),
        (["--dataset", plain], f"--dataset {chats}:3 --dataset {plain}:2;"),
        (["--train_tokenizer", 300, "--max_rows", 50], "no --train_tokenizer;"),
        (["--max_tokens", 100], "which is more than --max_tokens 100; give as many to end there"),
    ):
        assert told in refused(capsys, corpus, out, *flags)
    plain.write_bytes(content + content)
    assert f"another {plain};" in refused(capsys, corpus, out)
    plain.write_bytes(content)
    with monkeypatch.context() as patch:
        patch.setattr(prep_data, "made_of", lambda tokenizer: "other words")  # as a hub may have by now
        assert "another --tokenizer" in refused(capsys, corpus, out, "--max_tokens", 12_000)
    assert everything(out) == before
    assert corpus(out) == whole
    assert json.loads(corpus(out, "--max_tokens", 100, "--overwrite")["manifest.json"])["train"]["tokens"] < 200


@pytest.mark.parametrize("is_complete", [True, False])
def test_fewer_tokens_end_with_the_last_portion_that_fits(corpus, whole, tmp_path, monkeypatch, capsys, is_complete):
    """The night is over: what is there is taken, nothing else is read, and another night may add to it."""
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        if not is_complete:
            stop_at(patch, 100, "add")
        with contextlib.nullcontext() if is_complete else pytest.raises(Stopped):
            corpus(out)
    with np.load((out if is_complete else out / "prep.tmp") / prep_data.STATE) as arrays:
        tokens = [portion["tokens"] for portion in json.loads(arrays["state"].tobytes())["portions"]]
    with monkeypatch.context() as patch:
        patch.setattr(prep_data, "read", None)
        kept, asked = (tokens[-1], tokens[-1]) if is_complete else (tokens[1], tokens[2] - 1)
        if not is_complete:
            stop_at(patch, 1, "write_manifest", prep_data)
            with pytest.raises(Stopped):
                corpus(out, "--max_tokens", asked)
        less = corpus(out, "--max_tokens", asked)
    assert f"ending behind {kept:,} of the {tokens[-1]:,} tokens that are there" in capsys.readouterr().out
    manifest = json.loads(less["manifest.json"])
    for part in ("train", "val"):
        rows = read_store(out, part)
        assert [(row["input_ids"], row["labels"]) for row in read_jsonl(out / f"{part}_tokenized.jsonl")] == rows
        assert manifest[part]["rows"] == len(rows) and manifest[part]["tokens"] == sum(len(ids) for ids, _ in rows)
        assert whole[f"{part}.jsonl"].startswith(less[f"{part}.jsonl"])
    assert manifest["train"]["tokens"] == kept
    assert corpus(out) == whole


def test_a_damaged_state_is_none(corpus, whole, tmp_path, monkeypatch, capsys):
    for damage in (lambda path: path.write_bytes(path.read_bytes()[:-200]), lambda path: path.write_bytes(b"")):
        with monkeypatch.context() as patch:
            stop_at(patch, 60, "add")
            with pytest.raises(Stopped):
                corpus(tmp_path / "cut")
        damage(tmp_path / "cut/prep.tmp" / prep_data.STATE)
        assert f"{prep_data.STATE} is damaged" in refused(capsys, corpus, tmp_path / "cut")
        assert corpus(tmp_path / "cut", "--overwrite") == whole
        assert "going on" not in capsys.readouterr().out
        shutil.rmtree(tmp_path / "cut")


@pytest.fixture
def streamed(tmp_path, chat_data, monkeypatch):
    """Runs prep_data.py on the real client's streams, of eight files each, at the newest commit of a hub unless another is
    asked for; returns what is there, and which files were opened for it."""
    import datasets
    import huggingface_hub

    opened = []

    def rows(files, commit):
        for file in files:
            opened.append(file)
            for number in range(150):
                yield {"text": f"File {file} of {commit} says in its line {number} that {number * file} is a number."}

    def load_dataset(name, config, revision, streaming):
        first = {"a": {"train": 1}, "b": {"train": 11}, "with-validation": {"train": 1, "test": 11}}[name]
        files = {split: list(range(number, number + 8)) for split, number in first.items()}
        make = datasets.IterableDataset.from_generator
        return {
            split: make(rows, gen_kwargs={"files": numbers, "commit": revision}) for split, numbers in files.items()
        }

    def dataset_info(hub, name, revision, timeout):
        return huggingface_hub.DatasetInfo(
            id=name, sha=revision or run.newest, tags=[], private=False, downloads=0, likes=0
        )

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    monkeypatch.setattr(prep_data, "prefer_cache", lambda: None)
    monkeypatch.setattr(prep_data, "PORTION", 20_000)
    common = ["--tokenizer", chat_data / "tokenizer", "--streaming", "--num_proc", 1]

    def run(out: Path, *flags) -> tuple[dict[str, bytes], list[int]]:
        opened.clear()
        call(prep_data.main, *common, "--out_dir", out, *flags)
        return everything(out), opened

    run.newest = "v1"
    return run


def test_a_stream_is_not_fetched_again(streamed, tmp_path, monkeypatch):
    """Of streams that are read one after another, the files that were read are not opened a second time but for the first
    rows and those before the place; also where one was at its end already when the run went on for the first time."""
    flags = ["--dataset", "a", "--dataset", "b", "--max_tokens", 1_000_000]
    whole, _ = streamed(tmp_path / "whole", *flags)
    assert "train_tokenized.jsonl" not in whole and "train.jsonl" in whole, "a stream of text"
    for number in (1700, 500):
        with monkeypatch.context() as patch:
            stop_at(patch, number, "add")
            with pytest.raises(Stopped):
                streamed(tmp_path / "cut", *flags)
    cut, opened = streamed(tmp_path / "cut", *flags)
    assert cut == whole
    assert not {3, 4, 5, 6} & {*opened}


def test_of_a_stream_only_the_beginning_of_its_validation_is_fetched(streamed, tmp_path, monkeypatch):
    flags = ["--dataset", "with-validation", "--max_tokens", 12_000]
    monkeypatch.setattr(prep_data, "VAL_ROOM", 27_000)
    whole, opened = streamed(tmp_path / "whole", *flags)
    assert max(opened) < 18, "not all files of the validation split"
    rows = read_jsonl(tmp_path / "whole/val.jsonl")
    sizes = [len(json.dumps(row)) for row in rows]
    assert sum(sizes[:-1]) < 27_000 <= sum(sizes)
    manifest = json.loads(whole["manifest.json"])
    assert f"validation ends behind {len(rows)} of its rows" in manifest["card"] and manifest["val"]["rows"] == len(
        rows
    )
    for number in (330, 100):  # among validation, which takes more than a portion, and behind it
        with monkeypatch.context() as patch:
            stop_at(patch, number, "add")
            with pytest.raises(Stopped):
                streamed(tmp_path / "cut", *flags)
    assert streamed(tmp_path / "cut", *flags)[0] == whole


def test_a_set_that_changes_is_read_on_as_it_was(streamed, tmp_path, monkeypatch):
    flags = ["--dataset", "a", "--max_tokens"]
    whole, _ = streamed(tmp_path / "whole", *flags, 60_000)
    with monkeypatch.context() as patch:
        stop_at(patch, 450, "add")
        with pytest.raises(Stopped):
            streamed(tmp_path / "cut", *flags, 40_000)
    streamed.newest = "v2"
    for n_tokens in (40_000, 60_000):  # when it was cut off, and when it was complete
        cut, _ = streamed(tmp_path / "cut", *flags, n_tokens)
    assert cut == whole
    manifest = json.loads(cut["manifest.json"])
    assert "read    a: commit v1; split train" in manifest["card"] and manifest["sources"][0]["commit"] == "v1"
    assert b"v2" in streamed(tmp_path / "new", *flags, 1000)[0]["train.jsonl"]
