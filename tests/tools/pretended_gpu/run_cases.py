"""Run train.py and inference.py on a pretended card, many times in one process: imports take longer than a case.

    python run_cases.py cases.json   # [{"name", "script", "argv", "capability", "plant", "stdin", "samples"}, ...]

Answers with one line of JSON for each case, as soon as it has ended: see `run`.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import math
import sys
import traceback
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[2])]

import pretend_cuda  # noqa: E402

CARD = pretend_cuda.install()

import accelerate  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from accelerate.optimizer import AcceleratedOptimizer  # noqa: E402
from torch._dynamo.backends.registry import lookup_backend  # noqa: E402

import inference  # noqa: E402
import train  # noqa: E402

COMPILE = torch.compile


def run(case: dict, patch: pytest.MonkeyPatch) -> dict:
    """How a case ended: exit code (None: a traceback), what was said, and what waited for the card in each step."""
    CARD.forget()
    CARD.capability = tuple(case["capability"])
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    torch._dynamo.reset()
    torch.manual_seed(0)
    steps: list[dict] = []  # of the optimizer steps begun: waits, and runs of a compiled graph
    graphs: list[int] = []  # of the graphs compiled: how many steps had begun
    patch.setattr(train, "training_step", partial(watched_step, train.training_step, steps))
    patch.setattr(train, "matmul_peak", partial(train.matmul_peak, size=64, seconds=0))  # 8192 is much for a CPU
    samples = partial(short_samples, train.sample_answers) if case["samples"] else lambda *args: []
    patch.setattr(train, "sample_answers", samples)
    patch.setattr(train, "draw_losses", lambda *args: None)  # the same on any device
    to = "eager" if "--dry_run" in case["argv"] else "aot_eager"
    patch.setattr(torch.nn.Module, "compile", lambda module: compile_eagerly(module, graphs, steps, to))
    patch.setattr(torch, "compile", lambda function, mode=None: COMPILE(function, backend="eager"))
    patch.setattr(train, "why_no_compile", lambda: None)  # a CPU build of torch brings no triton
    patch.setattr(inference, "why_no_compile", lambda device: None)
    patch.setattr(inference, "BOOTSTRAP_SAMPLES", 2)  # nobody looks at the intervals
    dtypes: list[str] = []  # of the models that inference.py has loaded
    patch.setattr(inference.Chatbot, "forget", and_note_dtype(inference.Chatbot.forget, dtypes))
    if case["plant"]:
        PLANTS[case["plant"]](patch)
    out, err, code, trace = io.StringIO(), io.StringIO(), 0, ""
    patch.setattr(sys, "stdin", io.StringIO(case["stdin"]))
    out.reconfigure = sys.stdin.reconfigure = lambda **kwargs: None  # what only real files have
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            {"train": train, "inference": inference}[case["script"]].main(case["argv"])
        except SystemExit as end:
            code = end.code
        except BaseException:
            code, trace = None, traceback.format_exc()
    return {
        "name": case["name"], "code": code, "trace": trace, "out": out.getvalue(), "err": err.getvalue(),
        "steps": steps, "graphs": graphs, "operations": CARD.n_operations, "dtypes": dtypes,
    }  # fmt: skip


def short_samples(real, accelerator, loss_module, tokenizer, documents):
    return real(accelerator, loss_module, tokenizer, documents[:1], max_new_tokens=3)


def watched_step(real, steps: list[dict], *args, **kwargs):
    steps.append({"waits": [], "runs": 0})
    before = len(CARD.waits)
    result = real(*args, **kwargs)
    steps[-1]["waits"] = CARD.waits[before:]
    return result


def and_note_dtype(forget, dtypes: list[str]):
    def noted(bot):  # `forget` ends __init__, and comes again with each new conversation
        dtypes[:] = [str(bot.model.dtype)]
        forget(bot)

    return noted


def compile_eagerly(module, graphs: list[int], steps: list[dict], to: str) -> None:
    """`module.compile()` without code being generated. to: aot_eager, the graphs of forward and backward pass, as the
    autograd engine's work is cut in two; eager, the graph of the forward pass as it was captured, in half the time."""

    def backend(graph, inputs):
        graphs.append(len(steps))
        compiled = lookup_backend(to)(graph, inputs)

        def run_graph(*args):
            if steps:
                steps[-1]["runs"] += 1
            return compiled(*args)

        return run_graph

    module._compiled_call_impl = COMPILE(module._call_impl, backend=backend)


# What goes wrong, once -----------------------------------------------------------------------------------------------


def nan_in_the_loss(patch) -> None:
    """The third micro-batch that is trained on."""
    forward, trained = train.NextTokenLoss.forward, []

    def once(self, *args, **kwargs):
        loss = forward(self, *args, **kwargs)
        trained.extend([1] * self.training)
        return loss * math.nan if self.training and len(trained) == 3 else loss

    patch.setattr(train.NextTokenLoss, "forward", once)


def short_of_memory(patch, owner, method: str, calls=(1,), when=lambda self: True) -> None:
    """The card is out of memory soon after these calls of `owner.method` have begun (of those where `when` holds)."""
    real, begun = getattr(owner, method), []

    def short(self, *args, **kwargs):
        begun.extend([1] * when(self))
        if when(self) and len(begun) in calls:
            CARD.allocations_left = 5
        return real(self, *args, **kwargs)

    patch.setattr(owner, method, short)


def torch_2_10(patch) -> None:
    """Its kernel has neither `scale` nor `window_size`."""
    try:
        from torch.nn.attention import varlen
    except ImportError:  # this torch is older still
        return
    kernel = varlen.varlen_attn
    if "window_size" not in inspect.signature(kernel).parameters:
        return

    def varlen_attn(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, is_causal=False, return_aux=None):
        window = (-1, 0 if is_causal else -1)
        return kernel(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, return_aux=return_aux, window_size=window)

    patch.setattr(varlen, "varlen_attn", varlen_attn)


def torch_2_8(patch) -> None:
    """It has no such kernel."""
    patch.setitem(sys.modules, "torch.nn.attention.varlen", None)


def no_compiler(patch) -> None:
    patch.setattr(train, "why_no_compile", lambda: "a C compiler (sudo apt install gcc)")


in_forward = partial(short_of_memory, owner=train.NextTokenLoss, method="forward", when=lambda module: module.training)
PLANTS = {
    "torch 2.10": torch_2_10,
    "torch 2.8": torch_2_8,
    "no compiler": no_compiler,
    "nan": nan_in_the_loss,
    "forward": partial(in_forward, calls=(2,)),  # the first micro-batch of the step has left its gradients
    "every forward": partial(in_forward, calls=range(1, 100)),
    "evaluation": partial(in_forward, when=lambda module: not module.training),
    "backward": partial(short_of_memory, owner=accelerate.Accelerator, method="backward", calls=(2,)),
    # in its first step, where some parameters have their moments and others have none
    "optimizer": partial(short_of_memory, owner=AcceleratedOptimizer, method="step"),
}


def main() -> None:
    torch.set_num_threads(1)
    answers = sys.stdout
    for case in json.loads(Path(sys.argv[1]).read_text()):
        with pytest.MonkeyPatch.context() as patch:
            result = run(case, patch)
        print(json.dumps(result), file=answers, flush=True)


if __name__ == "__main__":
    main()
