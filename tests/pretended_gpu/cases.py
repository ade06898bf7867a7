"""Run train.py and inference.py on the pretended card, one case after the other; a JSON line of each case's end.

python cases.py DATA_DIR WORK_DIR
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import pretend_cuda  # noqa: E402

MODE = pretend_cuda.install()

import torch  # noqa: E402

import inference  # noqa: E402
import train  # noqa: E402

DATA, WORK = map(Path, sys.argv[1:])
SMALL = "--cfg tiny --n_layer 1 --n_embd 64 --n_head 2 --seq_len 64 --batch_size 4 --grad_accum 2 --log_every 1 --max_steps 2"
REAL = {name: getattr(train, name) for name in ("training_step", "evaluate", "sample_answers", "choose_attention")}
FORWARD, BACKWARD = train.NextTokenLoss.forward, train.accelerate.Accelerator.backward
ADAMW = torch.optim.AdamW.step


def trained(folder: str, flags: str = "") -> Path:
    model_dir = WORK / folder
    train.main(["--data_dir", str(DATA), "--model_dir", str(model_dir), *SMALL.split(), *flags.split()])
    return model_dir


def once(function, at_call: int, what):
    """`function`, but at one of its calls (from 0) `what(result)` happens to its result."""
    calls = iter(range(10**9))

    def run(*args, **kwargs):
        result = function(*args, **kwargs)
        return what(result) if next(calls) == at_call else result

    return run


def out_of_memory(_):
    raise torch.OutOfMemoryError("planted")


def case(name: str, act, capability=(8, 9)) -> None:
    train.NextTokenLoss.forward, train.accelerate.Accelerator.backward, torch.optim.AdamW.step = (
        FORWARD,
        BACKWARD,
        ADAMW,
    )
    for attribute, value in REAL.items():
        setattr(train, attribute, value)
    sampled = name in ("bf16", "compile")  # which takes longest, on a card of this kind
    train.sample_answers = (lambda *args: REAL["sample_answers"](*args, max_new_tokens=3)) if sampled else lambda *_: []
    train.accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    pretend_cuda.CARD.major, pretend_cuda.CARD.minor = capability
    output, end, began = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), "ok", time.perf_counter()
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            act()
    except SystemExit as error:
        end = f"exit {error.code}"
    except BaseException:
        end = traceback.format_exc()[-3000:]
    output.flush()
    said = output.buffer.getvalue().decode()
    seconds = round(time.perf_counter() - began, 1)
    print(json.dumps({"name": name, "end": end, "said": said, "seconds": seconds}), flush=True)


def counted() -> None:
    def step(*args, **kwargs):
        before = pretend_cuda.LOG["syncs"]
        result = REAL["training_step"](*args, **kwargs)
        print("SYNCS", pretend_cuda.LOG["syncs"] - before)
        return result

    train.training_step = step
    trained("bf16")


def nan_in_fp16() -> None:
    train.NextTokenLoss.forward = once(FORWARD, 9, lambda loss: loss * float("nan"))
    trained("nan", "--fp16 --max_steps 6 --eval_every 100")


def memory_in_forward() -> None:
    train.NextTokenLoss.forward = once(FORWARD, 2, out_of_memory)
    trained("forward", "--fp16")


def memory_in_backward() -> None:
    train.accelerate.Accelerator.backward = once(BACKWARD, 0, out_of_memory)
    trained("backward", "--fp16")


def memory_in_optimizer() -> None:
    torch.optim.AdamW.step = once(ADAMW, 0, out_of_memory)
    trained("optimizer")


def memory_in_evaluation() -> None:
    train.evaluate = once(REAL["evaluate"], 0, out_of_memory)
    trained("evaluation")


def memory_in_dry_run() -> None:
    train.training_step = once(REAL["training_step"], 0, out_of_memory)
    trained("unused", "--dry_run")


def resumed(first: str, then: str, folder: str) -> None:
    trained(folder, first)
    train.accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    trained(folder, f"{then} --max_steps 4")


def compiled() -> None:
    compile_, graphs = torch.nn.Module.compile, []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    torch.nn.Module.compile = lambda module: compile_(module, backend=backend)
    try:
        trained("compiled", "--compile --max_steps 4")
    finally:
        torch.nn.Module.compile = compile_
    print("GRAPHS", len(graphs))


torch.set_num_threads(1)
train.matmul_peak = lambda *_, **__: 1e12  # 8192 x 8192 is much for a CPU
train.predict_memory = lambda *_: {"total": 0.1}

if __name__ == "__main__":
    case("bf16", counted)
    case("bf16 on 8.0", lambda: trained("sm80"), (8, 0))
    case("fp16 on 7.5", lambda: trained("sm75"), (7, 5))
    case("fp16", lambda: trained("fp16", "--fp16"))
    case("fp32", lambda: trained("fp32", "--fp32"))
    case("fp32 documents", lambda: trained("fp32d", "--fp32 --attn documents"))
    case("llama", lambda: trained("llama", "--arch llama"))
    case("odd heads", lambda: trained("odd", "--n_embd 60 --n_head 5"))
    case("muon", lambda: trained("muon", "--optim muon"))
    case("checkpointing", lambda: trained("checkpointing", "--grad_checkpointing on --dropout 0.1"))
    case("no packing", lambda: trained("padded", "--no_packing"))
    case("dry run", lambda: trained("unused", "--dry_run"))
    case("nan in fp16", nan_in_fp16)
    case("memory in forward", memory_in_forward)
    case("memory in backward", memory_in_backward)
    case("memory in optimizer", memory_in_optimizer)
    case("memory in evaluation", memory_in_evaluation)
    case("memory in dry run", memory_in_dry_run)
    case("bf16 then fp16", lambda: resumed("--bf16", "--fp16", "scaler"))
    case("card then CPU", lambda: resumed("--bf16", "--bf16 --cpu", "down"))
    case("CPU then card", lambda: resumed("--bf16 --cpu", "--bf16", "up"))
    case("chat", lambda: inference.main(["--model_dir", str(WORK / "bf16"), "--prompt", "capital of Kana"]))
    case("chat on 7.5", lambda: inference.main(["--model_dir", str(WORK / "bf16"), "--prompt", "Hi"]), (7, 5))
    prompts = WORK / "prompts.jsonl"
    prompts.write_text("".join((DATA / "val.jsonl").read_text().splitlines(keepends=True)[:3]))
    case("score sheet", lambda: inference.main(["--model_dir", str(WORK / "bf16"), "--prompts_file", str(prompts)]))
    case("compile", compiled)
    shutil.rmtree(WORK, ignore_errors=True)
