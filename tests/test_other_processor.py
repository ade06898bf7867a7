"""A processor without AVX-512, which most laptops have: it multiplies bf16 at a hundredth of float32's speed."""

from __future__ import annotations

import json
import os
import re
import statistics
from pathlib import Path

import pytest
from conftest import metrics, run_script

# oneDNN and ATen leave AVX-512 alone then, where there is any; they look when a process starts
WITHOUT_AVX512 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
STEPS = ["--cfg", "tiny", "--n_layer", "1", "--seq_len", "64", "--batch_size", "8", "--grad_accum", "1", "--optim", "muon",
         "--max_steps", "6", "--log_every", "1", "--cpu"]  # fmt: skip
# one start for several commands; the second choice of a type is made by the speeds that the first has measured
IN_TURN = """
import json, sys, train, inference
for number, (script, *argv) in enumerate(json.loads(sys.argv[1])):
    print("\\n== command", number, flush=True)
    {"train.py": train.main, "inference.py": inference.main}[script](argv)
print(inference.choose_dtype("auto", "cpu", None))
"""

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the variables are those of x86 processors")


def on(environment: dict[str, str], *commands: list) -> list[str]:
    """What each of the commands says."""
    asked = json.dumps([list(map(str, command)) for command in commands])
    done = run_script("-c", IN_TURN, asked, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return re.split(r"\n== command \d+\n", done.stdout)[1:]


def seconds_a_step(model_dir: Path) -> float:
    return statistics.median(1 / speed for speed in metrics(model_dir, "tokens_per_s"))


def test_a_processor_without_bf16_trains_and_chats_in_float32_at_its_speed(chat_data, tmp_path):
    def train(name: str, *flags: str) -> list:
        return ["train.py", "--data_dir", chat_data, *STEPS, "--model_dir", tmp_path / name, *flags]

    on({}, train("here"))
    # what goes on there is the run that was begun here, in whichever precision
    unasked, asked, resumed, chat = on(
        WITHOUT_AVX512, train("there"), train("bf16", "--bf16"), train("here", "--max_steps", "8"),
        ["inference.py", "--model_dir", tmp_path / "there", "--prompt", "Hi", "--max_new_tokens", "8"],
    )  # fmt: skip
    assert ", fp32, " in unasked and "slower than float32" not in unasked
    ratio = re.match(r"bf16 +is (\S+) times slower than float32", asked)
    assert ", fp32, " in asked and float(ratio[1]) > 10, "the variables no longer make such a processor"
    for slower in ("there", "bf16"):  # with anything in bf16, Muon's iteration or the model, it is 50 to 100 times
        assert seconds_a_step(tmp_path / slower) < 4 * seconds_a_step(tmp_path / "here")
    assert "resume" in resumed
    # an answer and the type; after six steps of training the answer may well be the end alone
    assert len(printed := chat.splitlines()) >= 2 and printed[-1] == "torch.float32"
