"""prep_data.py: from bytes on a disk or a hub to rows, and from rows to a folder that nobody else writes into."""

from __future__ import annotations

import csv
import datetime
import decimal
import gzip
import io
import itertools
import json
import lzma
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import zstandard
from conftest import HANG_S, ROOT, mistake, run_script, write_jsonl
from loopback_hub import parquet
from transformers import AutoTokenizer

import prep_data


def pairs(prefix: str, count: int) -> list[dict]:
    return [{"question": f"{prefix}{n}", "answer": f"answer {n}"} for n in range(count)]


def made_of(out: Path) -> list[tuple[str, ...]]:
    """What became of the rows, in order of their first turn."""
    lines = [line for name in ("train", "val") for line in (out / f"{name}.jsonl").open(encoding="utf-8")]
    rows = [json.loads(line) for line in lines]
    return sorted((row["text"],) if "text" in row else tuple(t["content"] for t in row["messages"]) for row in rows)


def prep(dataset: Path, out: Path, *more: str) -> dict:
    prep_data.main(["--dataset", str(dataset), "--out_dir", str(out), "--train_tokenizer", "260", *more])
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))


# ------------------------------------------------------------------------------------------------------ containers

ROWS = [{"question": f"Où est {n}?", "answer": f'Là-bas, à {n} km; "près" d\'ici.'} for n in range(4)]
FORMS = {"jsonl": "".join(json.dumps(row) + "\n" for row in ROWS)}


def csv_of(rows: list[dict], **dialect) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), **dialect)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def arrow_of(rows: list[dict], file: bool) -> bytes:
    import pyarrow

    table, sink = pyarrow.Table.from_pylist(rows), io.BytesIO()
    with (pyarrow.ipc.new_file if file else pyarrow.ipc.new_stream)(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    return sink.getvalue()


PRETTY = json.dumps(ROWS, indent=2, ensure_ascii=False)
WINDOWS = ["cp1252", "utf-16", "utf-16-le", "utf-32", "utf-8-sig"]
CONTAINERS = {  # name of the file: what it holds
    "lines.json": FORMS["jsonl"],
    "lines.ndjson": "\n" + FORMS["jsonl"].replace("\n", "\r\n\n"),
    "lines.csv": FORMS["jsonl"],  # what it holds decides
    "lines_without_ending": FORMS["jsonl"],
    "array.json": json.dumps(ROWS),
    "pretty.jsonl": PRETTY,
    "pretty_objects.json": "\n".join(json.dumps(row, indent=4) for row in ROWS),
    "a_row_a_line_in_brackets.json": "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
    "lists_of_rows.jsonl": f"{json.dumps(ROWS[:2])}\n{json.dumps(ROWS[2:])}\n",
    "header.json": json.dumps([[*ROWS[0]], *([*row.values()] for row in ROWS)]),
    "header.jsonl": "".join(json.dumps(row) + "\n" for row in [[*ROWS[0]], *([*row.values()] for row in ROWS)]),
    "wrapped.json": json.dumps({"version": "1", "data": ROWS}),
    "wrapped_twice.json": json.dumps({"result": {"count": 4, "rows": ROWS}}, indent=1),
    "wrapped_splits.json": json.dumps({"train": ROWS, "test": [{"question": "held", "answer": "out"}]}),
    "by_id.json": json.dumps({f"id-{n}": row for n, row in enumerate(ROWS)}),
    "by_number.json": json.dumps(dict(enumerate(ROWS))),
    "by_columns.json": json.dumps({key: [row[key] for row in ROWS] for key in ROWS[0]}),
    "pandas.json": json.dumps({key: {n: row[key] for n, row in enumerate(ROWS)} for key in ROWS[0]}),
    "pandas_split.json": json.dumps(
        {"columns": [*ROWS[0]], "index": [*range(4)], "data": [[*row.values()] for row in ROWS]}
    ),
    "plain.csv": csv_of(ROWS),
    "semicolon.csv": csv_of(ROWS, delimiter=";"),
    "bar.csv": csv_of(ROWS, delimiter="|", lineterminator="\n"),
    "tab.csv": csv_of(ROWS, delimiter="\t"),
    "tab.tsv": csv_of(ROWS, delimiter="\t"),
    "excel.txt": csv_of(ROWS, delimiter="\t"),
    "unquoted.tsv": "".join("\t".join(row) + "\n" for row in [[*ROWS[0]], *([*row.values()] for row in ROWS)]),
    "quoted.csv": csv_of(ROWS, quoting=csv.QUOTE_ALL, lineterminator="\r"),
    "backslashes.csv": csv_of(ROWS, quoting=csv.QUOTE_ALL, escapechar="\\", doublequote=False),
    "told.csv": "sep=;\r\n" + csv_of(ROWS, delimiter=";"),
    "spaced.csv": csv_of(ROWS).replace("question,answer", " question , answer ").replace("\r\n", ",,\r\n"),
    "titled.csv": "Export of today\n\n" + csv_of(ROWS),
    "space_after_comma.csv": csv_of(ROWS, quoting=csv.QUOTE_ALL).replace('","', '", "'),
    "python.jsonl": "".join(f"{row}\n" for row in ROWS),
    "script.json": f"// mine\nconst rows = [ /* all */\n{''.join(json.dumps(row)[:-1] + ',}, # one' + chr(10) for row in ROWS)}];\n",
    "commas.json": ",\n".join(map(json.dumps, ROWS)),
    "wrapped_deep.json": json.dumps({"status": "ok", "result": {"items": ROWS, "names": [{"index": 0}]}}),
    "stream.arrow": arrow_of(ROWS, file=False),
    "feather.arrow": arrow_of(ROWS, file=True),
    "x.parquet": parquet(ROWS),
    **{f"{page}.csv": csv_of(ROWS, delimiter=";").encode(page) for page in WINDOWS},
    **{
        f"{page}.jsonl": "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in ROWS).encode(page)
        for page in WINDOWS
    },
}


@pytest.mark.parametrize("packing", ["", ".gz", ".zst", ".xz"])
@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(name, packing, tmp_path):
    content = CONTAINERS[name]
    content = content.encode() if isinstance(content, str) else content
    path = tmp_path / (name + packing)
    path.write_bytes(PACK[packing](content))
    source = prep_data.find_source(str(path))
    rows = [row for _, row in prep_data.read(source, "train")]
    assert [{key: row[key] for key in ROWS[0]} for row in rows] == ROWS


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (json.dumps({f"c{n}": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "a"}] for n in range(3)}),
         [("q0", "a"), ("q1", "a"), ("q2", "a")]),
        (json.dumps({f"Where is box {n}?": "There." for n in range(3)}), [(f"Where is box {n}?", "There.") for n in range(3)]),
        (json.dumps([f"Text {n}." for n in range(3)]), [("Text 0.",), ("Text 1.",), ("Text 2.",)]),
        (json.dumps({"features": [{"name": "x"}], "rows": [{"row": {"question": f"q{n}", "answer": "a"}} for n in range(3)]}),
         [("q0", "a"), ("q1", "a"), ("q2", "a")]),
        ("question,answer,answer,\nq0,a,b,c\nq1,a,b,c\n", [("q0", "a"), ("q1", "a")]),
    ],
    ids=["conversations by id", "questions and answers", "texts", "rows of the hub's viewer", "names twice, and none"],
)  # fmt: skip
def test_rows_inside(content, rows, tmp_path):
    path = tmp_path / ("x.csv" if content.startswith("question") else "x.json")
    path.write_text(content)
    manifest = prep(path, tmp_path / "out")
    assert made_of(tmp_path / "out") == rows
    assert {"answer 2", "column 4"} <= manifest["unused"].keys() or "answer,answer" not in content


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[1, /* without end " + "x" * 200_000, "line 1: not JSON: Expecting value"),
        ('{"a": "b"} ' + "/" * 5, "unknown columns a"),
        ("[\n" + '{"question": "q", "answer": "a"},\n' * 9000 + '{"question"},\n' + '["x"],' * 99_000 + "]", "line 9002: not JSON"),
    ],
    ids=["comment", "slashes", "far from the end"],
)  # fmt: skip
def test_json_that_means_nothing_is_one_line(content, says, tmp_path, capsys):
    (tmp_path / "x.json").write_text(content)
    command = ["--dataset", tmp_path / "x.json", "--out_dir", tmp_path / "out", "--train_tokenizer", "260"]
    assert says in mistake(capsys, prep_data.main, command)


def damaged(draw: random.Random, content: bytes) -> bytes:
    """One thing wrong: a bit, the end gone, bytes lost, bytes from elsewhere or from another place."""
    content, at, kind = bytearray(content), draw.randrange(len(content)), draw.randrange(6)
    if kind == 0:
        content[at] ^= 1 << draw.randrange(8)
    elif kind == 1:
        del content[at:]
    elif kind == 2:
        del content[at : at + draw.randrange(1, 40)]
    elif kind == 3:
        content[at:at] = draw.choice(JUNK)
    elif kind == 4:
        content[at : at + 4] = bytes(draw.randrange(256) for _ in range(4))
    else:
        content[at:at] = content[draw.randrange(len(content)) :][:50]
    return bytes(content)


JUNK = (*(bytes([byte]) for byte in b'\0\xff"\n\r[},;'), b"\xff\xfe", b"9" * 400, b"[" * 3000, b"\\ud800", b"\0" * 300)


@pytest.mark.parametrize("rounds", [4, pytest.param(250, marks=pytest.mark.slow)])
def test_damage_to_any_container_costs_rows_or_is_one_line(rounds, tmp_path, capsys):
    draw, ends = random.Random(0), Counter()
    for (name, content), (packing, pack) in itertools.product(CONTAINERS.items(), PACK.items()):
        content = content.encode() if isinstance(content, str) else content
        path = tmp_path / (name + packing)
        for number in range(rounds):  # inside of the packing, and of the packed
            path.write_bytes(pack(damaged(draw, content)) if number % 2 else damaged(draw, pack(content)))
            try:
                rows = [row for _, row in prep_data.read(prep_data.find_source(str(path)), "train")]
                ends["read"] += 1
                ends["dropped"] += any(isinstance(row, prep_data.Drop) for row in rows)
            except SystemExit as ended:
                line = capsys.readouterr().err
                assert ended.code == 2 and line.startswith(f"prep_data.py: error: {path}: ") and line.count("\n") == 1
                ends["refused"] += 1
    assert min(ends["read"], ends["dropped"], ends["refused"]) > 10 * rounds, ends


PAGES = {
    "cp1250": ("Gdzie jest książka?", "Książka leży na półce, obok łóżka."),
    "cp1251": ("Где кот?", "Кот сидит на крыше дома."),
    "cp1252": ("Wie heißt du?", "Ich heiße Jörg und wohne in München."),
    "cp1253": ("Πού είναι η γάτα;", "Η γάτα είναι στο σπίτι."),
    "cp1254": ("Kedi nerede?", "Kedi evin çatısında oturuyor, şimdi ağlıyor."),
    "cp932": ("猫はどこですか", "猫は家の屋根の上にいます。今日はとても天気がいいです。"),
    "gb18030": ("猫在哪里", "猫在屋顶上。今天天气很好。"),
    "cp949": ("고양이는 어디에 있습니까", "고양이는 집 지붕 위에 있습니다."),
    "big5": ("貓在哪裡", "貓在屋頂上。今天天氣很好。"),
    "euc_jp": ("猫はどこですか", "猫は家の屋根の上にいます。今日はとても天気がいいです。"),
    "cp1250 too": ("Kde je kočka?", "Kočka sedí na střeše domu, těsně vedle komína."),
    "koi8_r": ("Где находится кот?", "Кот сидит на крыше дома."),
    "cp874": ("แมวอยู่ที่ไหน", "แมวอยู่บนหลังคาบ้าน วันนี้อากาศดีมาก"),
    "cp1255": ("איפה החתול?", "החתול יושב על הגג של הבית."),
    "cp1256": ("أين القط؟", "القط على سطح البيت."),
    "cp1257": ("Kur yra katė?", "Katė sėdi ant namo stogo, šalia kamino, ir žiūri į žvaigždes."),
    "cp1258": ("Con mèo ở đâu?", "Con mèo đang ngồi trên mái nhà của tôi."),
    "cp850": ("Où est le chat?", "Le chat est sur le toit de la maison, près de la fenêtre."),
}


def apart(text: str) -> str:
    """Vietnamese as its page has it: the tones stand behind their letters, hats and horns do not."""
    text = unicodedata.normalize("NFD", text)
    return re.sub("\\w[\u0323]?[\u0302\u0306\u031b]", lambda match: unicodedata.normalize("NFC", match[0]), text)


@pytest.mark.parametrize("page", PAGES)
def test_code_pages_are_guessed_and_the_card_says_so(page, tmp_path):
    if sys.version_info < (3, 10) and list(PAGES).index(page) > 8:
        pytest.skip("charset-normalizer guesses few of them, and chardet 7 is not for Python 3.9")
    asked, answered = (apart(text) if page == "cp1258" else text for text in PAGES[page])
    page = page.split()[0]
    rows = [dict(zip(ROWS[0], (f"{n}: {asked}", answered))) for n in range(4)]
    (tmp_path / "x.csv").write_bytes(csv_of([{"question": "plain", "answer": "rows"}, *rows]).encode(page))
    card = prep(tmp_path / "x.csv", tmp_path / "out")["card"]
    assert made_of(tmp_path / "out") == sorted([("plain", "rows"), *((row["question"], row["answer"]) for row in rows)])
    same = {"big5": "(big5|cp950)"}.get(page, page.replace("_", "[-_]"))
    assert re.search(f"x.csv: read as {same}, a guess from its bytes", card)


PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress, ".xz": lzma.compress}

# ----------------------------------------------------------------------------------------------------------- cells


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (-0.5, "-0.5"),
        (10**30, "1" + "0" * 30),
        (True, "True"),
        (float("nan"), None),
        (None, None),
        ("nan", "nan"),
        (decimal.Decimal("1.50"), "1.50"),
        (decimal.Decimal("nan"), None),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        ("é".encode(), "é"),
        (b"\xff", "\udcff"),  # and with that its row is dropped as broken
        ([5], [5]),
    ],
)
def test_a_cell_is_text(value, text):
    assert prep_data.cell(value) == text


# ---------------------------------------------------------------------------------------------------- flat memory


def test_a_long_text_has_the_tokens_of_its_pieces(chat_data, monkeypatch):
    tokenizer = AutoTokenizer.from_pretrained(chat_data / "tokenizer").backend_tokenizer
    draw = random.Random(0)
    words = (
        "word",
        " of",
        "  two",
        "\n\n",
        " été",
        "東京。",
        "!",
        " 42",
        "<|user|>",
        "\t x",
        "'ll",
        "۞",
        " \n",
        "\x1c",
        "\u3000",
    )
    monkeypatch.setattr(prep_data, "PIECE", 200)
    for _ in range(300):
        text = "".join(draw.choices(words, k=300))
        pieces = list(prep_data.pieces(text))
        assert "".join(pieces) == text and max(map(len, pieces)) <= 200 and len(pieces) > 2
        ids = [tokenizer.encode(piece, add_special_tokens=False).ids for piece in pieces]
        assert list(itertools.chain(*ids)) == tokenizer.encode(text, add_special_tokens=False).ids, pieces
    assert list(prep_data.pieces("x" * 500)) == ["x" * 200, "x" * 200, "x" * 100]


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
def test_no_row_takes_all_memory(tmp_path, chat_data):
    """A packed file of zeros, a book in one row and another without a space, one after the other in one process."""
    few = write_jsonl(tmp_path / "few.jsonl", pairs("q", 5))
    with gzip.open(tmp_path / "zeros.jsonl.gz", "wb") as file:
        file.writelines(bytes(1 << 20) for _ in range(40))
    write_jsonl(tmp_path / "book.jsonl", [{"text": "word and ünd more " * 30_000}, *pairs("q", 5)])
    write_jsonl(tmp_path / "word.jsonl", [{"text": "字" * 300_000}, *pairs("q", 5)])
    (tmp_path / "quote.csv").write_text('question,answer\n"' + "x\n" * 9_000_000)
    code = """if True:
        import resource, sys, prep_data
        for file in sys.argv[2:]:
            try:
                prep_data.main(["--dataset", file, *sys.argv[1].split()])
            except SystemExit:
                pass
            print("MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    """
    options = f"--out_dir {tmp_path / 'out'} --tokenizer {chat_data / 'tokenizer'} --seq_len 64 --num_proc 1"
    files = [few, *(tmp_path / name for name in ("zeros.jsonl.gz", "quote.csv", "book.jsonl", "word.jsonl"))]
    result = run_script("-c", code, options, *files)
    peaks = [int(line.split()[1]) for line in result.stdout.splitlines() if line.startswith("MB ")]
    assert len(peaks) == 5 and peaks[-1] < peaks[0] + 200, peaks
    assert "zeros.jsonl.gz:1: a row of more than 8,000,000 characters" in result.stderr
    assert "quote.csv: cannot be read: line 2: a row of more than 8,000,000 characters" in result.stderr
    assert result.stderr.count("error") == 2


# ------------------------------------------------------------------------------------------- one writer per folder

HOLDER = "import pathlib, sys, prep_data\nwith prep_data.hold(pathlib.Path(sys.argv[1])):\n print('held', flush=True)\n input()"


def start_holder(folder: Path) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_writer_is_told_who_the_first_is(tmp_path, capsys):
    file, out = write_jsonl(tmp_path / "x.jsonl", pairs("q", 9)), tmp_path / "out"
    command = ["--dataset", str(file), "--out_dir", str(out), "--train_tokenizer", "260"]
    process = start_holder(out)
    line = mistake(capsys, prep_data.main, command)
    assert f"is being written by process {process.pid};" in line
    assert [path.name for path in out.iterdir()] == [".writer.lock"]
    process.send_signal(signal.SIGKILL)
    process.wait(HANG_S)
    assert (out / ".writer.lock").exists()  # and still it is free
    prep_data.main(command)
    assert (out / "manifest.json").exists() and not (out / ".writer.lock").exists()


def test_a_lock_goes_with_its_process_and_not_with_a_child(tmp_path, capsys):
    with prep_data.hold(tmp_path / "new"):
        child = os.fork()
        if not child:
            signal.pause()
    try:
        assert not (tmp_path / "new").exists()  # it was left empty
        process = start_holder(tmp_path / "new")
        with pytest.raises(SystemExit), prep_data.hold(tmp_path / "new"):
            pass
        assert f"process {process.pid};" in capsys.readouterr().err
        process.communicate("\n", HANG_S)
        assert not (tmp_path / "new").exists()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_file_system_without_locks_is_written_all_the_same(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.lockf", unsupported)
    with prep_data.hold(tmp_path):
        assert (tmp_path / ".writer.lock").read_text().strip() == str(os.getpid())
    assert not (tmp_path / ".writer.lock").exists()


def test_a_folder_that_cannot_be_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(SystemExit), prep_data.hold(folder):
            pass
        assert "choose a folder that can be written" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------- the folder it writes


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize(
    "name", ["prep.tmp/mine.txt", "prep.tmp", "train.jsonl/mine.txt", "manifest.json/mine.txt", "tokenizer"]
)
def test_what_is_not_its_own_stays(name, overwrite, tmp_path, capsys):
    mine = tmp_path / "out" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    file = write_jsonl(tmp_path / "x.jsonl", pairs("q", 9))
    command = ["--dataset", file, "--out_dir", tmp_path / "out", "--train_tokenizer", "260", *overwrite]
    assert "is not of prep_data.py's making" in mistake(capsys, prep_data.main, command)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [mine]


def test_files_of_others_beside_a_tokenizer_stay(tmp_path):
    file, out = write_jsonl(tmp_path / "x.jsonl", pairs("q", 9)), tmp_path / "out"
    prep(file, out)
    for name in ("notes.txt", "vocab.json"):
        (out / "tokenizer" / name).write_text("{}")
    prep(file, out, "--seed", "1")
    assert (out / "tokenizer/notes.txt").exists() and not (out / "tokenizer/vocab.json").exists()


def test_a_full_disk_is_one_line(tmp_path):
    """A limit on the size of files fails like a full disk, and needs no root. The folder stays as it was."""
    resource = pytest.importorskip("resource")
    file, out = write_jsonl(tmp_path / "x.jsonl", pairs("question " * 9, 3000)), tmp_path / "out"
    command = ["prep_data.py", "--dataset", file, "--out_dir", out, "--train_tokenizer", "260", "--num_proc", "1"]
    for limit in (9_000, 900_000):  # of the rows that wait for a tokenizer, and of what is written in the end
        result = run_script(*command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))  # noqa: B023
        assert result.returncode == 2, result.stderr
        assert result.stderr.splitlines()[-1].startswith(f"prep_data.py: error: {out}: File too large; see to the disk")
        assert "Traceback" not in result.stderr and not out.exists()


def test_it_needs_no_home_no_path_and_no_outlet(tmp_path):
    """And an interrupted start, as a file name of other bytes than UTF-8, ends well."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 set"))
    folder.mkdir()
    write_jsonl(folder / os.fsdecode(b"\xe9.jsonl"), pairs("q", 9))
    command = [sys.executable, ROOT / "prep_data.py", "--dataset", folder, "--train_tokenizer", "260", "--out_dir", "o"]
    subprocess.run(command, env={}, cwd=tmp_path, check=True, preexec_fn=lambda: os.closerange(0, 3))
    manifest = json.loads((tmp_path / "o/manifest.json").read_text(encoding="utf-8"))
    assert manifest["complete"] and "udce9" in manifest["card"]


@pytest.mark.parametrize(
    ("names", "train", "val"),
    [
        (["a.jsonl", "b.csv"], ["a.jsonl", "b.csv"], []),
        (["train.jsonl", "test.jsonl"], ["train.jsonl"], ["test.jsonl"]),
        (["data/train-0-of-2.parquet", "data/train-1-of-2.parquet", "README.md", "LICENSE.txt", "config.json"],
         ["data/train-0-of-2.parquet", "data/train-1-of-2.parquet"], []),
        (["train/0.jsonl", "train/1.jsonl", "valid/0.jsonl"], ["train/0.jsonl", "train/1.jsonl"], ["valid/0.jsonl"]),
        (["en/gsm8k_train.jsonl", "en/gsm8k_test.jsonl"], ["en/gsm8k_train.jsonl"], ["en/gsm8k_test.jsonl"]),
        (["unit_test_cases.jsonl", "b.jsonl"], ["b.jsonl", "unit_test_cases.jsonl"], []),
        (["train_sft.jsonl", "test_sft.jsonl", "train_gen.jsonl", "test_gen.jsonl"], ["train_sft.jsonl"], ["test_sft.jsonl"]),
        (["Train.csv", "Test.csv"], ["Train.csv"], ["Test.csv"]),
        (["trainset.json", "testset.json", "more.json"], ["trainset.json"], ["testset.json"]),
        (["QATrain.json", "QATest.json", "Contest.json"], ["QATrain.json"], ["QATest.json"]),
        (["train_1.json", "train_2.json", "holdout.json"], ["train_1.json", "train_2.json"], ["holdout.json"]),
        (["training.json", "testing.json"], ["training.json"], ["testing.json"]),
        (["a.txt", "b.txt"], ["a.txt", "b.txt"], []),
        (["part.jsonl/part-0.json", "part.jsonl/_SUCCESS", ".git/x.json"], ["part.jsonl/part-0.json"], []),
        (["set/train/data-0.arrow", "set/train/cache-1.arrow", "set/train/state.json", "set/dataset_dict.json"],
         ["set/train/data-0.arrow"], []),
        (["a.jsonl", "out/train.jsonl", "out/manifest.json", "out/train_tokenized.jsonl", "out/tokenizer/tokenizer.json"],
         ["a.jsonl"], []),
    ],
)  # fmt: skip
def test_folders(names, train, val, tmp_path):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    parts = prep_data.find_source(str(tmp_path)).parts
    assert parts["train"] == [tmp_path / name for name in train]
    assert parts.get("val", []) == [tmp_path / name for name in val]


def test_what_is_not_read_is_named(tmp_path):
    for name in ("a/train.jsonl", "b/train.jsonl", "b/test.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_jsonl(tmp_path / name, pairs(name, 9))
    for name in ("more.jsonl", "b.xlsx", "notes.txt", "README.md", ".hidden", "LICENSE"):
        (tmp_path / name).write_text("x")
    (note,) = [note for note in prep_data.find_source(str(tmp_path)).notes if note.startswith("not read")]
    assert note == "not read: b.xlsx, more.jsonl, notes.txt"
    card = prep(tmp_path, tmp_path / "out")["card"]
    assert f"from a/train.jsonl, b/train.jsonl, validation from b/test.jsonl; {note}" in card
    parts = prep_data.find_source(f"{tmp_path}/b/*.jsonl").parts  # a pattern takes no test file for training either
    assert parts == {part: [tmp_path / f"b/{name}.jsonl"] for part, name in (("train", "train"), ("val", "test"))}


@pytest.mark.parametrize("names", [["test.jsonl"], ["train_a.jsonl", "train_b.jsonl"], ["dev/0.jsonl", "test/0.jsonl"]])
def test_a_folder_without_a_plain_training_split_is_not_guessed_at(names, tmp_path, capsys):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_jsonl(tmp_path / name, pairs(name, 9))
    with pytest.raises(SystemExit):
        prep_data.find_source(str(tmp_path))
    splits = [name.partition(".")[0].partition("/")[0] for name in names]
    assert (
        f"no split is plainly the one to train on; --split takes one of {', '.join(splits)}" in capsys.readouterr().err
    )
    assert prep_data.find_source(str(tmp_path), splits[0]).parts == {"train": [tmp_path / names[0]]}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\3\4 and more", "Excel workbook: unpack it, or save it as CSV"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "a web page and not the file"),
        (b"\x80\x04\x95pickled", "a pickle"),
        (b"%PDF-1.7", "a PDF"),
        (b"question\nWhy?", "unknown columns question"),
        (b'{"question": "a", "answer": "b"}\n{"question": ', ":2: not JSON"),
        (b'[\n{"question": "a", "answer": "b"},\n{"question"}]', "line 3: not JSON: Expecting ':' delimiter"),
        (b'question;answer\na;b\nc\n', "another number of columns (1) than the first line (2), with ';' between the cells"),
        (b'question,answer\na,"b\n', "line 2: unexpected end of data, with ',' between the cells"),
        (b"(\xb5/\xfd" + zstandard.compress(b"[1]" * 9999)[4:-3], "the file ends in the middle"),
        (json.dumps({f"column {n} \x1b[2J" + "x" * 99: "" for n in range(10_000)}).encode() * 2, "and 9,992 more"),
    ],
)  # fmt: skip
def test_an_error_says_what_was_found(content, says, tmp_path, capsys):
    path = tmp_path / "a b.csv"
    path.write_bytes(content)
    line = mistake(
        capsys, prep_data.main, ["--dataset", path, "--out_dir", tmp_path / "x y", "--train_tokenizer", "260"]
    )
    assert f"'{path}'" in line and says in line and len(line) < 1500 and "\x1b" not in line


@pytest.mark.parametrize(
    ("texts", "how", "rows"),
    [
        (["One.\n\nTwo\nlines.\n\n\nThree."], "between blank lines", ["One.", "Three.", "Two\nlines."]),
        (["One.\r\nTwo.\r\n"], "a line", ["One.", "Two."]),
        (["One.\n\nTwo.\n<|endoftext|>\nThree."], "between <|endoftext|>", ["One.\n\nTwo.", "Three."]),
        (["One.\n\nTwo.", "Three."], "a file", ["One.\n\nTwo.", "Three."]),
        (["User: a\nBot: b\nUser: c\nBot: d\n"], "from one user turn to the next", [("a", "b"), ("c", "d")]),
        (["Q: a\n\nA: b\n\nQ: c\n\nA: d\n"], "from one user turn to the next", [("a", "b"), ("c", "d")]),
        (["".join(f"<|im_start|>user\n{q}<|im_end|>\n<|im_start|>assistant\n{a}<|im_end|>\n" for q, a in ("ab", "cd"))],
         "from one user turn to the next", [("a", "b"), ("c", "d")]),
        (["a\tb\nc\td\n"], "a question, a tab and its answer a line", [("a", "b"), ("c", "d")]),
        (["ham\tb\nham\td\nham\te"], "a line", ["ham\tb", "ham\td", "ham\te"]),
    ],
)  # fmt: skip
def test_plain_text(texts, how, rows, tmp_path):
    (tmp_path / "texts").mkdir()
    for number, text in enumerate(texts):
        (tmp_path / f"texts/{number}.txt").write_bytes(text.encode())
    card = prep(tmp_path / "texts", tmp_path / "out")["card"]
    assert made_of(tmp_path / "out") == [row if isinstance(row, tuple) else (row,) for row in rows]
    assert (how if "tab" in how else f"plain text, a document {how}") in card


def test_the_next_command_can_be_pasted(tmp_path, capsys):
    prep(write_jsonl(tmp_path / "x.jsonl", pairs("q", 9)), tmp_path / "my $set")
    words = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert words[3:7] == ["--data_dir", str(tmp_path / "my $set"), "--model_dir", "checkpoints/my $set"]


@pytest.mark.parametrize(
    "offsets", [[0, 5, 3, 9], [0, 3, 10**6, 10**6 + 3], [-7, 3, 6, 9]], ids=["back", "beyond", "before"]
)
def test_arrow_with_damaged_offsets_is_one_line(offsets, tmp_path, capsys):
    """Arrow trusts where a file says that its texts begin, and reads what is not there."""
    import pyarrow as pa

    table = pa.table({"question": ["how", "who", "ok "], "answer": ["yes", "no!", "eh?"]})
    with pa.ipc.new_stream(tmp_path / "x.arrow", table.schema) as stream:
        stream.write_table(table)
    whole, sound = (tmp_path / "x.arrow").read_bytes(), np.array([0, 3, 6, 9], np.int32).tobytes()
    assert whole.count(sound) == 2
    (tmp_path / "x.arrow").write_bytes(whole.replace(sound, np.array(offsets, np.int32).tobytes()))
    line = mistake(
        capsys,
        prep_data.main,
        ["--dataset", tmp_path / "x.arrow", "--out_dir", tmp_path / "out", "--train_tokenizer", "260"],
    )
    assert "x.arrow: cannot be read" in line
