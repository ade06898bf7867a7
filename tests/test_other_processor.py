"""A processor without AVX-512, which most laptops have: it multiplies bf16 at a hundredth of float32's speed."""

from __future__ import annotations

import os
import re
import statistics
from pathlib import Path

import pytest
from conftest import metrics, run_script

# oneDNN and ATen leave AVX-512 alone then, where there is any
WITHOUT_AVX512 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
STEPS = ["--cfg", "tiny", "--n_layer", "1", "--seq_len", "64", "--batch_size", "8", "--grad_accum", "1", "--optim", "muon",
         "--max_steps", "6", "--log_every", "1", "--cpu"]  # fmt: skip
# the second choice is made by the speeds that the first has measured
CHAT = "import sys, inference; inference.main(sys.argv[1:]); print(inference.choose_dtype('auto', 'cpu', None))"

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the variables are those of x86 processors")


def on(environment: dict[str, str], *command) -> str:
    done = run_script(*command, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout


def seconds_a_step(model_dir: Path) -> float:
    return statistics.median(1 / speed for speed in metrics(model_dir, "tokens_per_s"))


def test_a_processor_without_bf16_trains_and_chats_in_float32_at_its_speed(chat_data, tmp_path):
    train = ["train.py", "--data_dir", chat_data, *STEPS, "--model_dir"]
    on({}, *train, tmp_path / "here")
    unasked = on(WITHOUT_AVX512, *train, tmp_path / "there")
    asked = on(WITHOUT_AVX512, *train, tmp_path / "bf16", "--bf16")
    assert ", fp32, " in unasked and "slower than float32" not in unasked
    ratio = re.match(r"bf16 +is (\S+) times slower than float32", asked)
    assert ", fp32, " in asked and float(ratio[1]) > 20, "the variables no longer make such a processor"
    for slower in ("there", "bf16"):  # with anything in bf16, Muon's iteration or the model, it is 50 to 100 times
        assert seconds_a_step(tmp_path / slower) < 4 * seconds_a_step(tmp_path / "here")
    # what goes on there is the run that was begun here, in whichever precision
    assert "resume" in on(WITHOUT_AVX512, *train, tmp_path / "here", "--max_steps", "8")
    chat = ["-c", CHAT, "--model_dir", tmp_path / "there", "--prompt", "Hi", "--max_new_tokens", 8]
    # an answer and the type; after six steps of training the answer may well be the end alone
    assert len(printed := on(WITHOUT_AVX512, *chat).splitlines()) >= 2 and printed[-1] == "torch.float32"
