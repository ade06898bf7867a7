"""Tokenizers of others: their ids to the letter, and no text that becomes a control token, whatever special tokens they have."""

from __future__ import annotations

import json
import random
from types import SimpleNamespace

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

import prep_data

CONTROL = (prep_data.EOS, *prep_data.ROLE_TOKENS)
QWEN = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
LLAMA = QWEN.replace(r"\p{N}| ?", r"\p{N}{1,3}| ?")
TEXTS = [
    "What is 12345 + 678?",
    "It's  naïve\n\n\tdef f(x):\n        return x",
    "東京 🙂 done\r\n",
    "1,000.50 İstanbul don't",
]


def byte_level(use_regex: bool):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def by(regex: str):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"), byte_level(False)])


SPACES = [AddedToken(" " * n) for n in range(2, 9)]  # text in one token, as Pythia and OLMo have it
NOT_IN_SMOLLM2 = (
    "ĄĆēĔĖĝÀÁñòõö÷øùúûüýþÿ"  # bytes 4, 6, 0x13, 0x14, 0x16, 0x1d, 0xc0, 0xc1, 0xf1 and more, in GPT-2's alphabet
)
KINDS = {  # pre-tokenizer, normalizer, special tokens, other added tokens
    "gpt2": (byte_level(True), None, ["<|endoftext|>"], []),
    "smollm2": (
        pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(True)]),
        None, ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>"], [],
    ),
    "qwen": (by(QWEN), normalizers.NFC(), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], [AddedToken("<think>")]),
    "llama3": (by(LLAMA), None, ["<|begin_of_text|>", *(f"<|reserved_special_token_{i}|>" for i in range(9))], []),
    "pythia": (byte_level(True), normalizers.NFC(), ["<|endoftext|>", "<|padding|>"], SPACES),
    "phi": (byte_level(True), None, ["<|endoftext|>", "<|user|>", "<|end|>"], [AddedToken("<|assistant|>", rstrip=True, special=True)]),
}  # fmt: skip


def make(folder, pre_tokenizer, normalizer, special, added):
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizer, decoders.ByteLevel()
    if normalizer:
        bpe.normalizer = normalizer
    # SmolLM2's training text did not hold some control characters, nor bytes that UTF-8 has no use for
    lacking = NOT_IN_SMOLLM2 if "<repo_name>" in special else ""
    alphabet = [byte for byte in pre_tokenizers.ByteLevel.alphabet() if byte not in lacking]
    options = {"special_tokens": special, "initial_alphabet": alphabet, "show_progress": False}
    bpe.train_from_iterator(TEXTS * 3, trainers.BpeTrainer(vocab_size=400, **options))
    bpe.add_tokens(added)
    if "<|begin_of_text|>" in special:  # as Llama 3 does: a token before every text
        bpe.post_processor = processors.TemplateProcessing(
            single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)]
        )
    folder.mkdir()
    bpe.save(str(folder / "tokenizer.json"))
    return bpe


def prepare(tmp_path, texts: list[str], *flags) -> list[list[int]]:
    rows = [{"messages": [{"role": "user", "content": t}, {"role": "assistant", "content": t}]} for t in texts]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    prep_data.main(
        ["--dataset", str(tmp_path / "rows.jsonl"), "--out_dir", str(tmp_path / "out"), "--system", "", "--num_proc", "1",
         "--tokenizer", str(tmp_path / "theirs"), "--val_fraction", "0.3", *flags]
    )  # fmt: skip
    lines = [line for part in ("train", "val") for line in (tmp_path / f"out/{part}_tokenized.jsonl").open()]
    return [json.loads(line)["input_ids"] for line in lines]


@pytest.mark.parametrize("kind", KINDS)
def test_their_ids_to_the_letter_also_in_the_saved_folder(kind, tmp_path):
    theirs = make(tmp_path / "theirs", *KINDS[kind])
    rows = prepare(tmp_path, TEXTS)
    saved = AutoTokenizer.from_pretrained(tmp_path / "out/tokenizer")
    ours = {saved.decode(ids).split("<|assistant|>")[1].removesuffix(prep_data.EOS): ids for ids in rows}
    user, assistant, end = saved.convert_tokens_to_ids(["<|user|>", "<|assistant|>", prep_data.EOS])
    for text in TEXTS:
        ids = theirs.encode(text, add_special_tokens=False).ids
        assert ours[text] == [user, *ids, assistant, *ids, end]
        assert saved(text).input_ids == ids  # nothing before it either
    if "<|endoftext|>" in KINDS[kind][2]:  # used where it is
        assert end == theirs.token_to_id("<|endoftext|>")


def test_a_row_with_a_byte_that_it_lacks_is_dropped(tmp_path):
    make(tmp_path / "theirs", *KINDS["smollm2"])
    assert len(prepare(tmp_path, [*TEXTS, "a\x04b"])) == len(TEXTS)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["dropped"] == {"changed by the tokenizer": 1}, manifest["dropped"]


def hostile(rng: random.Random, tokens: list[str]) -> str:
    """Whole, cut, nested, overlapping and repeated control strings between odd text."""
    pieces = []
    for _ in range(rng.randint(1, 8)):
        token, other = rng.choice(tokens), rng.choice(tokens)
        cut, inner = rng.randint(0, len(token)), rng.randint(0, len(token))
        pieces.append(
            rng.choice(
                [
                    token,
                    token[:cut],
                    token[cut:],
                    token[:inner] + other + token[inner:],
                    token[:-1] * 2 + token[-1],
                    " ",
                    "a",
                    "\n",
                ]
            )
        )
    return "".join(pieces)


ODD = ["<s>", "</s>", "[INST]", "<<SYS>>", "|x|", "||end||", "<|a|", "<｜begin▁of▁sentence｜>", "{%x", "'}}"]


@pytest.mark.parametrize("kind", [*KINDS, "odd"])
def test_no_text_becomes_a_special_token(kind, tmp_path):
    """A few hundred hostile texts a tokenizer, some 2,000 in all: in training and by the template of the saved folder."""
    kinds = {**KINDS, "odd": (byte_level(True), None, ODD, [])}
    make(tmp_path / "theirs", *kinds[kind])
    args = SimpleNamespace(
        tokenizer=str(tmp_path / "theirs"), train_tokenizer=None, system="", seq_len=10**6, too_long="drop"
    )
    tokenizer = prep_data.make_tokenizer(args, ())
    encoder = prep_data.Encoder(tokenizer, args)
    special = {i: token.content for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    rng = random.Random(kind)
    for _ in range(300):
        text = hostile(rng, list(special.values()))
        messages = [{"role": "user", "content": text}, {"role": "assistant", "content": text}]
        ids = encoder.encode(encoder.render({"system": text, "messages": messages}))
        expected = ["<|system|>", "<|user|>", "<|assistant|>", prep_data.EOS][not text :]
        assert [special[i] for i in ids if i in special] == expected, text
        system = [{"role": "system", "content": text}]
        assert tokenizer.apply_chat_template([*system, *messages], return_dict=True)["input_ids"] == ids
        assert [i for i in encoder.encode(encoder.render({"text": text})) if i in special] == [tokenizer.eos_token_id]


@pytest.mark.parametrize("token", ["<a b>", "xx", "###", "say<", "say<|us"])
def test_a_token_that_a_text_could_fake_is_refused(token, tmp_path, capsys):
    make(tmp_path / "theirs", byte_level(True), None, [token], [])
    with pytest.raises(SystemExit, match="2"):
        prepare(tmp_path, TEXTS)
    assert f"a text could fake the special token {token!r}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "token",
    ["a<|user|>b", AddedToken("<|user|>name", normalized=False), AddedToken("<|assistant|>\n", special=True)],
    ids=["around", "before a name", "before a line"],
)
def test_a_token_that_would_swallow_a_role_is_refused(token, tmp_path, capsys):
    """A question that begins with "name" would have no role."""
    make(tmp_path / "theirs", byte_level(True), None, [], [token])
    with pytest.raises(SystemExit, match="2"):
        prepare(tmp_path, TEXTS)
    assert "of this tokenizer holds one of the chat format" in capsys.readouterr().err


def change(folder, edit, **config) -> Tokenizer:
    """The same tokenizer with a changed tokenizer.json, and what tokenizer_config.json says besides."""
    file = folder / "tokenizer.json"
    parts = json.loads(file.read_text(encoding="utf-8"))
    edit(parts)
    file.write_text(json.dumps(parts), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **config}))
    return Tokenizer.from_file(str(file))


def spread(parts):
    """Ids of added tokens far from each other, as in what is made of tiktoken's o200k_base."""
    vocabulary = parts["model"]["vocab"]
    for n, token in enumerate(parts["added_tokens"]):
        vocabulary.pop(token["content"], None)
        token["id"] = 500 + 7 * n
        vocabulary[token["content"]] = token["id"]


def prune(parts):
    """Words that a model does without leave their ids behind."""
    vocabulary, merges = parts["model"]["vocab"], parts["model"]["merges"]
    gone = {token for token in vocabulary if len(token) > 4 and not token.startswith("<")}
    kept = {token: i for token, i in vocabulary.items() if token not in gone}
    parts["model"]["vocab"] = {**kept, **{token["content"]: token["id"] for token in parts["added_tokens"]}}
    pairs = [merge if isinstance(merge, list) else merge.split(" ") for merge in merges]
    parts["model"]["merges"] = [pair for pair in pairs if not gone & {*pair, "".join(pair)}]


@pytest.mark.parametrize("edit", [spread, prune])
def test_ids_may_have_holes(edit, tmp_path):
    make(tmp_path / "theirs", *KINDS["qwen"])
    theirs = change(tmp_path / "theirs", edit)
    vocabulary = theirs.get_vocab()
    assert len(vocabulary) <= max(vocabulary.values())
    rows = prepare(tmp_path, [*TEXTS, "a <think> b"])
    saved = AutoTokenizer.from_pretrained(tmp_path / "out/tokenizer")
    assert sorted(saved.get_vocab().values()) == list(range(len(saved)))  # no two tokens have one id
    assert vocabulary.items() <= saved.get_vocab().items()
    assert saved.convert_tokens_to_ids("<|system|>") > max(vocabulary.values())
    for text in TEXTS:
        ids = theirs.encode(text, add_special_tokens=False).ids
        assert saved(text).input_ids == ids and any(ids == row[1 : len(ids) + 1] for row in rows)


def test_an_id_beyond_all_vocabularies_is_refused(tmp_path, capsys):
    make(tmp_path / "theirs", *KINDS["qwen"])

    file = tmp_path / "theirs/tokenizer.json"
    parts = json.loads(file.read_text(encoding="utf-8"))
    parts["model"]["vocab"]["damaged"] = 4 * 10**9
    file.write_text(json.dumps(parts), encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        prepare(tmp_path, TEXTS)
    assert "the id 4,000,000,000 is beyond all vocabularies" in capsys.readouterr().err


@pytest.mark.parametrize("spelled", ["[MAS\u212a]", "[MASK]"])
def test_letters_that_become_a_special_token_are_text(spelled, tmp_path):
    """The sign of the unit Kelvin is a K to NFC, and some special tokens are looked for after it."""
    masks = [AddedToken("[MASK]", special=True, normalized=True, lstrip=True)]
    make(tmp_path / "theirs", byte_level(True), normalizers.NFC(), ["<|endoftext|>"], masks)
    rows = prepare(tmp_path, [*TEXTS, f"a {spelled} b"])
    saved = AutoTokenizer.from_pretrained(tmp_path / "out/tokenizer")
    assert len(rows) == 5 and not any(saved.convert_tokens_to_ids("[MASK]") in ids for ids in rows)


def test_what_only_the_config_calls_special_is_special(tmp_path):
    make(tmp_path / "theirs", byte_level(True), None, ["<|endoftext|>"], [AddedToken("<|im_start|>", normalized=False)])
    told = {"added_tokens_decoder": {"400": {"content": "<|im_start|>", "special": True}}}
    change(tmp_path / "theirs", lambda parts: None, **told)
    rows = prepare(tmp_path, [*TEXTS, "a <|im_start|> b"])
    saved = AutoTokenizer.from_pretrained(tmp_path / "out/tokenizer")
    assert len(rows) == 5 and not any(saved.convert_tokens_to_ids("<|im_start|>") in ids for ids in rows)


def test_a_tokenizer_of_two_files(tmp_path, capsys):
    """Models of GPT-2's first years, such as DialoGPT, have no tokenizer.json."""
    theirs = make(tmp_path / "made", *KINDS["gpt2"])
    (tmp_path / "theirs").mkdir()
    theirs.model.save(str(tmp_path / "theirs"))
    (tmp_path / "theirs/tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))
    prepare(tmp_path, TEXTS)
    saved = AutoTokenizer.from_pretrained(tmp_path / "out/tokenizer")
    assert all(saved(text).input_ids == theirs.encode(text).ids for text in TEXTS)
    (tmp_path / "theirs/merges.txt").unlink()
    (tmp_path / "theirs/vocab.json").unlink()
    (tmp_path / "theirs/tokenizer.model").write_bytes(b"\0")
    with pytest.raises(SystemExit, match="2"):
        prepare(tmp_path, TEXTS, "--overwrite")
    assert "has no tokenizer.json, nor vocab.json and merges.txt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "pre_tokenizer", "normalizer"),
    [
        (models.BPE(byte_fallback=True), pre_tokenizers.Metaspace(), None),  # SentencePiece
        (models.BPE(), byte_level(True), normalizers.Lowercase()),
        (models.BPE(), byte_level(True), normalizers.NFKC()),
        (models.BPE(), pre_tokenizers.ByteLevel(add_prefix_space=True), None),
        (models.Unigram(), byte_level(True), None),
    ],
    ids=["metaspace", "lowercase", "nfkc", "prefix space", "unigram"],
)
def test_what_does_not_keep_text_is_refused(model, pre_tokenizer, normalizer, tmp_path, capsys):
    bpe = Tokenizer(model)
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizer, decoders.ByteLevel()
    if normalizer:
        bpe.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet() if isinstance(pre_tokenizer, pre_tokenizers.ByteLevel) else []
    if isinstance(model, models.BPE):
        bpe.train_from_iterator(
            TEXTS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
        )
    (tmp_path / "theirs").mkdir()
    bpe.save(str(tmp_path / "theirs/tokenizer.json"))
    with pytest.raises(SystemExit, match="2"):
        prepare(tmp_path, TEXTS)
    assert "is not a byte-level BPE" in capsys.readouterr().err


def test_accents_may_be_composed(tmp_path):
    """Qwen reads a letter and its accent as one character: the same text, and no reason to lose the row."""
    make(tmp_path / "theirs", *KINDS["qwen"])
    assert len(prepare(tmp_path, [*TEXTS, "cafe\u0301"])) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_has_the_tokens_of_its_pieces(kind, tmp_path, monkeypatch):
    """No tokenizer's word goes on where a text is cut for the sake of memory."""
    bpe = make(tmp_path / "theirs", *KINDS[kind])
    monkeypatch.setattr(prep_data, "PIECE", 800)
    draw = random.Random(kind)
    words = [
        "word",
        " of",
        "  two",
        "\n\n",
        " été",
        "東京。",
        "!",
        " 42",
        "\t x",
        "'ll",
        " \n",
        "\u3000",
        "\r\n",
        "     ",
        "):\n",
    ]
    for _ in range(60):
        text = "".join(draw.choices(words, k=1000))
        pieces = list(prep_data.pieces(text))
        ids = [i for piece in pieces for i in bpe.encode(piece, add_special_tokens=False).ids]
        assert len(pieces) > 2 and ids == bpe.encode(text, add_special_tokens=False).ids, pieces
