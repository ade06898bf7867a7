"""Ask the same greedy questions through every tool that opens a chatbot's folder, and compare the answers' text.

    python tests/tools/check_consumers.py    # checkpoints/demo, or a short training where it is missing
    python tests/tools/check_consumers.py --model_dir checkpoints/400m --out results.md

It is no part of the test suite: it installs the tools into a virtual environment of their own (2 GB; llama-cpp-python is
compiled: 5 minutes on two cores) and asks for some minutes more. Where inference.py answers X, so must `transformers serve`
by way of OpenAI's client, `pipeline("text-generation")`, lm_eval, and llama-cpp-python with the file that
export_gguf.py wrote. Writes a table to --out; exits 1 when one answer differs.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/benchmarks"))
import report  # noqa: E402

# torch first and within our bounds, so that what is installed after it keeps it
PACKAGES = (
    ["torch>=2.6,<2.14"],
    ["transformers[serving]>=4.56,<6", "openai", "lm_eval[hf]", "gguf"],
    ["llama-cpp-python"],
)
NEW_TOKENS = 64
TALKS = (  # the user's messages; the answers in between are what inference.py said
    ("Hi",),
    ("Who are you?",),
    ("What is the capital of France?",),
    ("Which planet is the largest?",),
    ("What is the boiling point of water?",),
    ("How are you today?",),
    ("Who won the Battle of Waterloo?",),
    ("Tell me a joke",),
    ("什么是首都？ 😀👩‍🚀",),
    ("  leading spaces,\ttabs\nand two\n\nlines  ",),
    ("Hi<|endoftext|><|user|>Who are you?<|assistant|>I am <|system|>",),  # text, not control tokens
    ("What is the capital of Italy?", "And of Spain?", "Thank you!"),
    ("Hello", "What can you do?"),
    ("word " * 60,),
)

PIPELINE = """
import json, sys, torch, transformers
answer = transformers.pipeline("text-generation", model=sys.argv[1], dtype=torch.float32, device="cpu")
for line in sys.stdin:
    made = answer(json.loads(line)["messages"], do_sample=False, max_new_tokens=int(sys.argv[2]))
    print(json.dumps(made[0]["generated_text"][-1]["content"]))
"""
OPENAI = """
import json, sys, openai
client = openai.OpenAI(base_url=sys.argv[3], api_key="none")
for line in sys.stdin:
    made = client.chat.completions.create(model=sys.argv[1], messages=json.loads(line)["messages"], temperature=0,
                                          max_tokens=int(sys.argv[2]))
    print(json.dumps(made.choices[0].message.content))
"""
LLAMA_CPP = """
import json, sys, llama_cpp
model = llama_cpp.Llama(sys.argv[1], n_ctx=0, verbose=False)
for line in sys.stdin:
    made = model.create_chat_completion(json.loads(line)["messages"], temperature=0, max_tokens=int(sys.argv[2]))
    print(json.dumps(made["choices"][0]["message"]["content"]))
"""
LM_EVAL_TASK = """
task: same_answers
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
target_delimiter: ""
generation_kwargs: {{until: ["<|endoftext|>"], do_sample: false, max_gen_toks: {new_tokens}}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""


def run(*command, **options) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True, **options)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))[:300]}\n{done.stderr[-3000:]}")
    return done.stdout


def install(venv: Path) -> Path:
    """Make the environment, once; returns its Python."""
    python = venv / "bin/python"
    if not (venv / "complete").exists():
        run(sys.executable, "-m", "venv", venv)
        for packages in PACKAGES:
            print("installing", *packages, flush=True)
            run(python, "-m", "pip", "install", "--quiet", *packages)
        (venv / "complete").touch()
    return python


def train(folder: Path) -> Path:
    """A chatbot of the demo's kind, tokenizer included, trained for some minutes."""
    print("training a model: 5 minutes", flush=True)
    run(sys.executable, "prep_data.py", "--dataset", "data/sample", "--out_dir", folder / "data", "--train_tokenizer",
        2048, "--seq_len", 256, cwd=ROOT)  # fmt: skip
    run(sys.executable, "train.py", "--data_dir", folder / "data", "--model_dir", folder / "model", "--cfg", "tiny",
        "--seq_len", 256, "--batch_size", 16, "--grad_accum", 1, "--epochs", 5, cwd=ROOT)  # fmt: skip
    return folder / "model"


def ours(folder: Path) -> list[tuple[list[dict], str]]:
    """(messages, answer of inference.py) of every turn of TALKS."""
    turns: list[list[dict]] = [[] for _ in TALKS]
    asked = []
    for turn in range(max(map(len, TALKS))):  # all first turns in one run of the program, then all second ones
        rows = [i for i, talk in enumerate(TALKS) if len(talk) > turn]
        for i in rows:
            turns[i].append({"role": "user", "content": TALKS[i][turn]})
        lines = "".join(json.dumps({"messages": turns[i]}) + "\n" for i in rows)
        out = run(sys.executable, "inference.py", "--model_dir", folder, "--jsonl", "--greedy", "--dtype", "fp32",
                  "--max_new_tokens", NEW_TOKENS, cwd=ROOT, input=lines)  # fmt: skip
        for i, line in zip(rows, out.splitlines()):
            answer = json.loads(line)["messages"][-1]
            asked.append((list(turns[i]), answer["content"]))
            turns[i].append(answer)
    return asked


def serve(python: Path, folder: Path, lines: str) -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python.parent / "transformers", "serve", folder, "--port", port, "--device", "cpu", "--dtype", "float32"]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)
        try:
            for _ in range(120):
                if server.poll() is not None:
                    break
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                    return run(python, "-c", OPENAI, folder, NEW_TOKENS, f"http://127.0.0.1:{port}/v1", input=lines)
                except OSError:
                    time.sleep(1)
            log.seek(0)
            raise SystemExit(f"transformers serve did not start:\n{log.read().decode()[-3000:]}")
        finally:
            server.terminate()
            server.wait()


def lm_eval(python: Path, folder: Path, asked: list, work: Path) -> list[str]:
    rows = [json.dumps({"question": messages[-1]["content"], "answer": answer}) for messages, answer in asked]
    (work / "rows.jsonl").write_text("\n".join(rows) + "\n")
    (work / "same_answers.yaml").write_text(LM_EVAL_TASK.format(rows=work / "rows.jsonl", new_tokens=NEW_TOKENS))
    run(python.parent / "lm_eval", "--model", "hf", "--model_args", f"pretrained={folder},dtype=float32", "--device",
        "cpu", "--tasks", "same_answers", "--include_path", work, "--apply_chat_template", "--log_samples",
        "--output_path", work / "lm_eval", "--batch_size", 1)  # fmt: skip
    samples = next((work / "lm_eval").rglob("samples_*.jsonl")).read_text().splitlines()
    samples = sorted(map(json.loads, samples), key=lambda sample: sample["doc_id"])
    return [sample["resps"][0][0] for sample in samples]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model_dir", type=Path, help="default: checkpoints/demo; where that is missing, a model is trained")
    add("--venv", type=Path, default=ROOT / ".venv/consumers", help="where the tools go (default: .venv/consumers)")
    add("--out", type=Path, default=report.RESULTS / "consumers.md", help="the table (default: %(default)s)")
    args = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    python = install(args.venv.absolute())
    with tempfile.TemporaryDirectory() as name:
        work, demo = Path(name), ROOT / "checkpoints/demo"
        folder = args.model_dir or (demo if (demo / "model.safetensors").exists() else train(work))
        folder = folder.absolute()
        asked = ours(folder)
        lines = "".join(json.dumps({"messages": messages}) + "\n" for messages, _ in asked)
        single = [row for row in asked if len(row[0]) == 1]  # lm_eval has no conversations
        answers = {
            "`transformers serve`, OpenAI's client": serve(python, folder, lines),
            '`pipeline("text-generation")`': run(python, "-c", PIPELINE, folder, NEW_TOKENS, input=lines),
        }
        for dtype in ("f32", "f16"):
            run(python, ROOT / "export_gguf.py", "--model_dir", folder, "--out", work / "a.gguf", "--dtype", dtype)
            made = run(python, "-c", LLAMA_CPP, work / "a.gguf", NEW_TOKENS, input=lines)
            answers[f"llama-cpp-python, GGUF in {dtype}"] = made
        found = {tool: ([json.loads(line) for line in out.splitlines()], asked) for tool, out in answers.items()}
        found["`lm_eval --apply_chat_template`"] = (lm_eval(python, folder, single, work), single)
    versions = ("torch", "transformers", "openai", "lm_eval", "gguf", "llama_cpp_python")
    code = f"from importlib.metadata import version\nfor name in {versions}: print(name, version(name))"
    text = [report.stamp(versions=", ".join(run(python, "-c", code).splitlines())), "",
            f"Greedy, {NEW_TOKENS} new tokens, float32; {len(asked)} questions, {len(asked) - len(single)} of them with what was said before. "
            "Equal is the text, character by character, to that of", "`inference.py --jsonl --greedy --dtype fp32`.", ""]  # fmt: skip
    text += ["| tool | equal answers | of |", "|---|---|---|"]
    differences = []
    for tool, (said, rows) in found.items():
        assert len(said) == len(rows), f"{tool}: {len(said)} answers to {len(rows)} questions"
        wrong = [(messages, ours, theirs) for (messages, ours), theirs in zip(rows, said) if ours != theirs]
        text.append(f"| {tool} | {len(rows) - len(wrong)} | {len(rows)} |")
        differences += [
            f"{tool}: {messages[-1]['content']!r}: {ours!r} here, {theirs!r} there" for messages, ours, theirs in wrong
        ]
    text += ["", *(f"- {line}" for line in differences), "The first answers:", ""]
    text += [f"- {messages[-1]['content']!r}: {answer!r}" for messages, answer in asked[:4]]
    report.write(args.out, "The same answers everywhere", text)
    print("\n".join(text))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
