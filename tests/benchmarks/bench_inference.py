"""Measure the chat's path against plain `model.generate` and `transformers serve`, same weights, same machine.

    python tests/benchmarks/bench_inference.py                    # all: 7 minutes on two quiet CPU cores
    python tests/benchmarks/bench_inference.py --cfg small_test --dtype bf16

A chat of ten turns with random weights: each question adds some 30 tokens, each answer has 32. At the tenth turn:
time to the first token and tokens/s after it, for the chat (cache kept over the turns), for the same conversation run
afresh by the same code, for `model.generate` with its defaults, and for `transformers serve` where
`pip install "transformers[serving]"` was done. Beside it stands the share of the memory bandwidth: the bytes of weights
that a token needs, over the time that this machine takes to read as many. Writes results/inference.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import report
import torch
import transformers

ROOT = report.ROOT
sys.path.insert(0, str(ROOT))
import inference  # noqa: E402
import prep_data  # noqa: E402

SHAPES = {"small_test": (12, 768, 12), "baseline_355m": (24, 1024, 16)}  # n_layer, n_embd, n_head
TURNS, NEW_TOKENS = 10, 32
QUESTION = (
    "Tell me the capital of France, and what its river is called, and which city comes next to it in size, please."
)


def build(cfg: str, folder: Path, tokenizer) -> Path:
    """A model folder of the full size with random weights; its ids beyond the small tokenizer are padding."""
    n_layer, n_embd, n_head = SHAPES[cfg]
    end = tokenizer.eos_token_id
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=50304, n_layer=n_layer, n_embd=n_embd, n_head=n_head, n_positions=1024, n_ctx=1024,
            bos_token_id=end, eos_token_id=end, pad_token_id=end, activation_function="gelu_pytorch_tanh",
        )
    )  # fmt: skip
    # a head's row of zeros is never the likeliest: no answer ends early or has a token without text
    silent = [end, *tokenizer.convert_tokens_to_ids(inference.ROLES), *range(len(tokenizer), 50304)]
    model.get_input_embeddings().weight.data[silent] = 0
    model.generation_config = transformers.GenerationConfig(eos_token_id=end, pad_token_id=end)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def bandwidth() -> float:
    """Bytes a second that all threads together read from memory: the best of some sums over 512 MiB."""
    data, best = torch.ones(2**27), math.inf
    for _ in range(7):
        start = time.perf_counter()
        data.sum()
        best = min(best, time.perf_counter() - start)
    return data.nbytes / best


class Clock(transformers.generation.streamers.BaseStreamer):
    """Notes when model.generate puts its tokens; the first call is the prompt."""

    def __init__(self):
        self.times: list[float] = []

    def put(self, _) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None:
        pass


def speeds(times: list[float]) -> tuple[float, float]:
    """(seconds to the first token, tokens/s after it) from the times of the start and of each token."""
    return times[1] - times[0], (len(times) - 2) / (times[-1] - times[1])


def run_bot(bot: inference.Chatbot, prompt: list[int]) -> tuple[list[int], list[float]]:
    settings = inference.GREEDY | {"max_new_tokens": NEW_TOKENS}
    return list(bot.generate(prompt, settings, torch.Generator())), bot.times


def measure(folder: Path, dtype: str, repeats: int) -> list[tuple[str, float, float, float]]:
    """(path, seconds to first token, tokens/s, bytes of weights a token) of one model in one number format."""
    quantize = dtype if dtype in ("int8", "nf4") else None
    bot = inference.Chatbot(str(folder), "cpu", "auto" if quantize else dtype, quantize, compile=False)
    plain = bot.model  # bitsandbytes' layers are the same in both
    if not quantize:
        plain = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=inference.DTYPES[dtype]).eval()
    weights = sum(p.nbytes for name, p in plain.named_parameters() if "wpe" not in name)
    turns, prompts = [], []
    for _ in range(TURNS):
        turns.append({"role": "user", "content": QUESTION})
        prompts.append(bot.ids("", turns, add_generation_prompt=True))
        answer, _ = run_bot(bot, prompts[-1])
        turns.append({"role": "assistant", "content": "".join(bot.text(answer))})
    samples: dict[str, list[tuple[float, float]]] = {"chat": [], "chat, run afresh": [], "model.generate": []}
    for _ in range(repeats):  # in turn, so that a busy moment hurts all alike
        bot.forget()
        run_bot(bot, prompts[-2])
        samples["chat"].append(speeds(run_bot(bot, prompts[-1])[1]))
        bot.forget()
        samples["chat, run afresh"].append(speeds(run_bot(bot, prompts[-1])[1]))
        clock, start = Clock(), time.perf_counter()
        inputs = torch.tensor([prompts[-1]])
        plain.generate(
            inputs, attention_mask=torch.ones_like(inputs), max_new_tokens=NEW_TOKENS, do_sample=False, streamer=clock
        )
        samples["model.generate"].append(speeds([start, *clock.times[1:]]))
    if (
        quantize is None
        and dtype != "fp32"
        and importlib.util.find_spec("fastapi")
        and importlib.util.find_spec("uvicorn")
    ):
        samples["transformers serve"] = [serve(folder, turns[:-1])]
    medians = {name: [statistics.median(column) for column in zip(*values)] for name, values in samples.items()}
    return [(name, first, rate, weights) for name, (first, rate) in medians.items()]


def serve(folder: Path, turns: list[dict]) -> tuple[float, float]:
    """The same tenth turn from `transformers serve`, over its streaming HTTP interface; the second of two requests."""
    command = [
        sys.executable,
        "-m",
        "transformers.cli.transformers",
        "serve",
        str(folder),
        "--port",
        "8765",
        "--device",
        "cpu",
    ]
    server = subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)  # fmt: skip
    body = {"model": str(folder), "stream": True, "max_tokens": NEW_TOKENS, "temperature": 0,
            "messages": [{"role": "system", "content": ""}, *turns]}  # fmt: skip
    request = urllib.request.Request("http://127.0.0.1:8765/v1/chat/completions", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})  # fmt: skip
    try:
        for attempt in range(120):
            try:
                for _ in range(2):
                    times = [time.perf_counter()]
                    with urllib.request.urlopen(request, timeout=300) as lines:
                        for line in lines:
                            said = json.loads(line[6:]).get("choices") if line.startswith(b"data: {") else None
                            if said and said[0]["delta"].get("content"):
                                times.append(time.perf_counter())
                # a piece of text may hold several tokens
                return times[1] - times[0], (NEW_TOKENS - 1) / (times[-1] - times[1])
            except OSError:
                if attempt == 119:
                    raise
                time.sleep(1)
    finally:
        server.terminate()
        server.wait()
    raise AssertionError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", choices=SHAPES, nargs="+", default=list(SHAPES))
    parser.add_argument(
        "--dtype", choices=("fp32", "bf16", "int8", "nf4"), nargs="+", default=["fp32", "bf16", "int8", "nf4"]
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=report.RESULTS / "inference.md")
    args = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    limit, load = bandwidth(), os.getloadavg()[0]
    everything = []  # (cfg, format, what `measure` found)
    with tempfile.TemporaryDirectory() as folder:
        prep_data.main(
            ["--dataset", str(ROOT / "data/sample"), "--out_dir", f"{folder}/data", "--train_tokenizer", "2048"]
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(f"{folder}/data/tokenizer")
        for cfg in args.cfg:
            model_dir = build(cfg, Path(folder) / cfg, tokenizer)
            for dtype in args.dtype:
                everything.append((cfg, dtype, measure(model_dir, dtype, args.repeats)))
                limit = max(limit, bandwidth())  # a busy moment must not make the share look better
                print(*everything[-1], f"{limit / 1e9:.1f} GB/s", flush=True)
    lines = [f"| {' | '.join(row)} |" for row in (
        ("model", "format", "path", "first token, s", "tokens/s", "share of bandwidth"), ("---",) * 6)]  # fmt: skip
    bars = []
    for cfg, dtype, found in everything:
        for name, first, rate, weights in found:
            row = (cfg, dtype, name, f"{first:.3f}", f"{rate:.1f}", f"{rate * weights / limit:.0%}")
            lines.append(f"| {' | '.join(row)} |")
        (_, first, rate, weights), (_, afresh, *_), (_, _, plain, _), *_ = found
        bars.append(f"- {cfg} {dtype}: first token {first / afresh:.2f}x of afresh (bar 0.25), "
                    f"{rate / plain:.2f}x the tokens/s of model.generate (bar 1), {rate * weights / limit:.0%} of the "
                    f"bandwidth (bar 60 % for baseline_355m)")  # fmt: skip
    served = (
        ""
        if any("transformers serve" in line for line in lines)
        else "`transformers serve` was skipped: its extra is not installed."
    )
    head = [
        report.stamp("torch", "transformers"),
        f"{torch.get_num_threads()} threads; {limit / 1e9:.1f} GB/s read at best, load {load:.1f} at the start. Turn {TURNS} of a chat, "
        f"{NEW_TOKENS} new tokens, medians of {args.repeats}. {served}", "",
    ]  # fmt: skip
    report.write(args.out, "Speed of the chat", [*head, *lines, "", *bars])
    print(f"written: {args.out}")


if __name__ == "__main__":
    main()
