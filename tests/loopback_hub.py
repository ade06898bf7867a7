"""A small hub on the loopback device, with made-up content, for the real hub clients.

It answers what they ask in order to read: what a repository holds, and its files, whole or in part. Every repository
has one commit. `with hub(repositories) as environment:` serves; the environment makes a new process read from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
DATE = "2026-01-01T00:00:00.000Z"
Repositories = dict[str, dict[str, bytes]]  # "models/gpt2" or "datasets/org/name" -> file name -> content


def parquet(rows: list[dict]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return file.getvalue()


def alpaca_rows(count: int = 60) -> list[dict]:
    """Rows in Alpaca's columns, its `text` included."""
    rows = []
    for number in range(count):
        row = {
            "instruction": f"Add {number} and {number + 3}.",
            "input": "Answer in words." if number % 3 == 0 else "",
            "output": f"The sum of {number} and {number + 3} is {2 * number + 3}.",
        }
        rows.append({**row, "text": f"### Instruction:\n{row['instruction']}\n\n### Response:\n{row['output']}"})
    return rows


def gpt2_files(texts: list[str], size: int = 400) -> dict[str, bytes]:
    """The files of a tokenizer of GPT-2's kind, its BPE made on the fly."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.post_processor = processors.ByteLevel(trim_offsets=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False))
    bpe.add_special_tokens([AddedToken("<|endoftext|>", special=True)])  # the last id, as in GPT-2
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": bpe.get_vocab_size()}
    tokenizer_config = {"tokenizer_class": "GPT2Tokenizer", "model_max_length": 1024}
    return {
        "config.json": json.dumps(config).encode(),
        "tokenizer_config.json": json.dumps(tokenizer_config).encode(),
        "tokenizer.json": bpe.to_str().encode(),
    }


def sample_repositories() -> Repositories:
    """gpt2, Alpaca, and a set with splits in the manner of ultrachat."""
    rows = alpaca_rows()
    chats = [
        {"messages": [{"role": "user", "content": f"Say {n}."}, {"role": "assistant", "content": f"{n}!"}]}
        for n in range(40)
    ]
    return {
        "models/gpt2": gpt2_files([row["instruction"] + " " + row["output"] for row in rows]),
        "datasets/tatsu-lab/alpaca": {"data/train-00000-of-00001.parquet": parquet(rows)},
        "datasets/made-up/splits": {
            "data/train_sft-00000-of-00001.parquet": parquet(chats[:20]),
            "data/test_sft-00000-of-00001.parquet": parquet(chats[20:25]),
            "data/train_gen-00000-of-00001.parquet": parquet(chats[25:30]),
        },
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # the clients keep their connections

    def log_message(self, *args: object) -> None:
        self.server.requests.append(f"{self.command} {self.path}")

    def answer(self, status: int, body: object = b"", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"X-Repo-Commit": COMMIT, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def missing(self, what: str) -> None:
        self.answer(404, {"error": f"{what} not found"}, X_Error_Code=f"{what}NotFound")

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        url = urlsplit(self.path)
        path, repositories = unquote(url.path).strip("/"), self.server.repositories
        if resolved := re.fullmatch(r"(datasets/)?(.+?)/resolve/[^/]+/(.+)", path):
            files = repositories.get(f"{'datasets' if resolved[1] else 'models'}/{resolved[2]}")
            if files is None:
                return self.missing("Repo")
            return self.file(files.get(resolved[3]))
        if not (
            api := re.fullmatch(r"api/((?:models|datasets)/.+?)(?:/(revision|tree|paths-info)/[^/]+(?:/(.*))?)?", path)
        ):
            return self.missing("Entry")
        name, question, folder = api.groups()
        if name not in repositories:
            return self.missing("Repo")
        files = repositories[name]
        if question in (None, "revision"):
            info = {"id": name.split("/", 1)[1], "sha": COMMIT, "lastModified": DATE, "createdAt": DATE, "tags": []}
            state = {"private": False, "gated": False, "disabled": False, "downloads": 0, "likes": 0, "_id": "1"}
            return self.answer(200, {**info, **state, "siblings": [{"rfilename": file} for file in files]})
        if question == "tree":
            recursive = parse_qs(url.query).get("recursive", [""])[0].lower() == "true"
            return self.answer(200, tree(files, f"{folder}/" if folder else "", recursive))
        wanted = json.loads(body)["paths"] if body.startswith("{") else parse_qs(body).get("paths", [])
        return self.answer(200, [entry for entry in tree(files, "", True) if entry["path"] in wanted])

    do_HEAD = do_POST = do_GET

    def file(self, content: bytes | None) -> None:
        if content is None:
            return self.missing("Entry")
        headers = {"ETag": f'"{git_id(content)}"', "Accept_Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not asked or self.command == "HEAD":
            return self.answer(200, content, **headers)
        first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        headers["Content_Range"] = f"bytes {first}-{last}/{len(content)}"
        self.answer(206, content[first : last + 1], **headers)


def git_id(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def tree(files: dict[str, bytes], prefix: str, recursive: bool) -> list[dict]:
    """The files and folders below a prefix, as the hub lists them."""
    entries: dict[str, dict] = {}
    for path, content in files.items():
        if not path.startswith(prefix):
            continue
        parts = path[len(prefix) :].split("/")
        for depth in range(1, len(parts) if recursive else min(2, len(parts))):
            folder = prefix + "/".join(parts[:depth])
            entries[folder] = {"type": "directory", "path": folder, "size": 0, "oid": "0" * 40}
        if recursive or len(parts) == 1:
            entries[path] = {"type": "file", "path": path, "size": len(content), "oid": git_id(content)}
    return list(entries.values())


@contextlib.contextmanager
def hub(repositories: Repositories, cache: Path) -> Iterator[dict[str, str]]:
    """Serves while the block runs; gives the environment variables that point the clients here, with their cache."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.repositories, server.requests = repositories, []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        yield {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0"}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def smollm2_files(rows: list[dict]) -> dict[str, bytes]:
    """A small made-up model in the manner of SmolLM2: digits one by one, shared keys, weights in bf16 in two files."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe, digits = Tokenizer(models.BPE()), pre_tokenizers.Digits(individual_digits=True)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    bpe.decoder, alphabet = decoders.ByteLevel(), pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator([row["text"] for row in rows], trainer)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=bpe.get_vocab_size(), hidden_size=48, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
        intermediate_size=96, max_position_embeddings=8192, tie_word_embeddings=True,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder, max_shard_size="50KB")
        transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=special[0]).save_pretrained(folder)
        (Path(folder) / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A small model\n")
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def tutorial_repositories() -> dict[str, dict[str, bytes]]:
    """What the tutorial asks the hub for, small."""
    import torch
    import transformers

    repositories = sample_repositories()
    repositories["datasets/tatsu-lab/alpaca"] = {"data/train.parquet": parquet([*alpaca_rows(), alpaca_rows()[7]])}
    gpt2 = repositories["models/gpt2"]
    n_vocab = len(json.loads(gpt2["tokenizer.json"])["model"]["vocab"])
    n_vocab += "<|endoftext|>" not in json.loads(gpt2["tokenizer.json"])["model"]["vocab"]
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=n_vocab, n_layer=2, n_embd=64, n_head=2)
    weights = {
        name: w for name, w in transformers.GPT2LMHeadModel(config).state_dict().items() if "lm_head" not in name
    }
    from safetensors.torch import save

    repositories["models/gpt2-medium"] = {
        **gpt2, "config.json": config.to_json_string().encode(), "model.safetensors": save(weights, {"format": "pt"})
    }  # fmt: skip
    repositories["models/HuggingFaceTB/SmolLM2-360M"] = smollm2_files(alpaca_rows())
    texts = [{"text": f"Page {n}. " + " ".join(f"word{n * i % 97}" for i in range(200))} for n in range(200)]
    repositories["datasets/HuggingFaceFW/fineweb-edu"] = {
        "README.md": b"---\nconfigs:\n- config_name: sample-10BT\n  data_files: sample/10BT/*\n---\n",
        "sample/10BT/000.parquet": parquet(texts),
    }
    repositories["datasets/HuggingFaceH4/ultrachat_200k"] = repositories["datasets/made-up/splits"]
    return repositories
