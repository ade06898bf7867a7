"""An epoch over some 200 conversations, ours and theirs."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

from . import GIB, SEQ_LEN, SHAPE, in_process, median, memory_now, peak_memory, prepare, read_rows, watch_steps

PACKED_ROWS, CONVERSATIONS = 4, 32  # of a step: four packed rows hold some 32 Alpaca conversations
LEARNING_RATE = 1e-3
LABELS = {"train.py": "`train.py`", "hf_padded": "HF `Trainer`, padded", "trl_padded": "TRL `SFTTrainer`, padded",
          "trl_packed": "TRL `SFTTrainer`, packed"}  # fmt: skip


def epoch_ours(data: str, init: str, out: str, precision: str, device: str, born: float) -> dict:
    import train

    idle, spans, clocks_differ_by = memory_now(device), watch_steps(train), time.time() - time.perf_counter()
    train.main(
        ["--data_dir", data, "--model_dir", out, "--init_from", init, "--seq_len", str(SEQ_LEN), "--epochs", "1",
         "--batch_size", str(PACKED_ROWS), "--grad_accum", "1", "--lr", str(LEARNING_RATE), "--warmup_steps", "0",
         "--min_lr_ratio", "1", f"--{precision}", *(["--cpu"] if device == "cpu" else [])]
    )  # fmt: skip
    return {"seconds": spans[-1][1] - spans[0][0], "steps": len(spans),
            "startup": spans[0][0] + clocks_differ_by - born, "peak": peak_memory(device) - idle}  # fmt: skip


def epoch_theirs(name: str, data: str, init: str, out: str, precision: str, device: str, born: float) -> dict:
    import datasets
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    tokenizer = transformers.AutoTokenizer.from_pretrained(Path(data) / "tokenizer")
    model = transformers.AutoModelForCausalLM.from_pretrained(init, dtype=torch.float32)
    per_device = PACKED_ROWS if name == "trl_packed" else 8
    settings = {
        "output_dir": out, "num_train_epochs": 1, "per_device_train_batch_size": per_device, "report_to": "none",
        "gradient_accumulation_steps": 1 if name == "trl_packed" else CONVERSATIONS // per_device,
        "learning_rate": LEARNING_RATE, "adam_beta2": 0.95, "weight_decay": 0.1, "lr_scheduler_type": "constant",
        "warmup_steps": 0, "max_grad_norm": 1.0, "bf16": precision == "bf16", "use_cpu": device == "cpu",
        "save_strategy": "no", "disable_tqdm": True, "dataloader_pin_memory": device == "cuda",
    }  # fmt: skip
    if name == "hf_padded":
        idle = memory_now(device)
        rows = datasets.Dataset.from_list(read_rows(Path(data) / "train_tokenized.jsonl"))
        collator = transformers.DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100)
        trainer = transformers.Trainer(
            model, transformers.TrainingArguments(**settings), train_dataset=rows, data_collator=collator
        )
    else:
        import trl

        idle = memory_now(device)
        rows = [
            {"messages": [{"role": "system", "content": row["system"]}, *row["messages"]]}
            for row in read_rows(Path(data) / "train.jsonl")
        ]
        config = trl.SFTConfig(**settings, max_length=SEQ_LEN, assistant_only_loss=True, packing=name == "trl_packed")
        trainer = trl.SFTTrainer(
            model, config, train_dataset=datasets.Dataset.from_list(rows), processing_class=tokenizer
        )

    class Clock(transformers.TrainerCallback):
        first = first_wall = last = steps = 0

        def on_step_begin(self, *_, **__):
            if not self.first:
                Clock.first, Clock.first_wall = time.perf_counter(), time.time()

        def on_step_end(self, *_, **__):
            Clock.last, Clock.steps = time.perf_counter(), self.steps + 1

    trainer.add_callback(Clock)
    trainer.train()
    peak = peak_memory(device) - idle
    trainer.model.save_pretrained(out)
    return {"seconds": Clock.last - Clock.first, "steps": Clock.steps, "startup": Clock.first_wall - born, "peak": peak}


def held_out_loss(model_dir: str, data: str, **_) -> dict:
    """Mean cross-entropy over every supervised token of the validation rows, one row at a time, in float32."""
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32).eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for row in read_rows(Path(data) / "val_tokenized.jsonl"):
            logits = model(torch.tensor([row["input_ids"]])).logits[0, :-1]
            labels = torch.tensor(row["labels"][1:])
            total += torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            count += int((labels != -100).sum())
    return {"loss": total / count}


def part_epoch(args, device: str, work: Path) -> list[str]:
    import torch
    import transformers

    import train

    data = prepare(work / "data", "--dataset", args.dataset, "--max_rows", "240", "--val_fraction", "0.17",
                   "--seq_len", str(SEQ_LEN), "--tokenizer", args.tokenizer)  # fmt: skip
    tokenizer = transformers.AutoTokenizer.from_pretrained(data / "tokenizer")
    shards, _ = train.read_jsonl(data / "train_tokenized.jsonl", len(tokenizer))
    documents = train.Documents(shards, SEQ_LEN)
    rows, n_tokens = train.Rows(documents, SEQ_LEN, packing=True), int(documents.lengths.sum())
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        **SHAPE, vocab_size=len(tokenizer), n_positions=SEQ_LEN, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config)
    model.save_pretrained(work / "init")
    tokenizer.save_pretrained(work / "init")  # whose tokens they are is looked at
    precision = args.precision
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    peak_flops = train.matmul_peak(device, dtype)
    flops = train.flops_per_token(model, rows) * n_tokens
    names = [name for name in LABELS if "trl" not in name or importlib.util.find_spec("trl")]
    runs: dict[str, list[dict]] = {name: [] for name in names}
    for number in range(args.rounds):
        for name in names:
            out = str(work / f"{name}-{number}")
            given = {
                "data": str(data),
                "init": str(work / "init"),
                "out": out,
                "precision": precision,
                "device": device,
            }
            job = "epoch_ours" if name == "train.py" else "epoch_theirs"
            run = in_process(job, **given, **({} if name == "train.py" else {"name": name}))
            run |= in_process("held_out_loss", model_dir=out, data=str(data))
            runs[name].append(run)
            print(f"epoch, round {number + 1}: {name} {run}", flush=True)
    untrained = in_process("held_out_loss", model_dir=str(work / "init"), data=str(data))["loss"]
    ours = median(run["seconds"] for run in runs["train.py"])
    lines = [
        "## An epoch", "",
        f"{len(rows.placed)} rows of {args.dataset}, {n_tokens:,} tokens, {int(documents.n_learned.sum()):,} supervised; "
        f"{SHAPE['n_layer']} layers x {SHAPE['n_embd']}, vocabulary {len(tokenizer):,}, length {SEQ_LEN}, {precision}; "
        f"{PACKED_ROWS} packed rows or {CONVERSATIONS} conversations a step; medians of {args.rounds}, in brackets all of them. "
        f"MFU: model FLOPs over the {peak_flops / 1e12:.2f} TFLOP/s of large {precision} matrix products measured in the same run. "
        f"Memory: peak over the idle process. Held-out loss before training: {untrained:.3f}.", "",
        "| | seconds an epoch | train.py is faster by | supervised tokens/s | all tokens/s | MFU | peak memory | held-out loss | steps | start to first step |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for name in names:
        seconds = [run["seconds"] for run in runs[name]]
        m = {key: median(run[key] for run in runs[name]) for key in runs[name][0]}
        lines.append(
            f"| {LABELS[name]} | {m['seconds']:.1f} ({', '.join(f'{s:.1f}' for s in seconds)}) | {m['seconds'] / ours:.1f}x | "
            f"{documents.n_learned.sum() / m['seconds']:,.0f} | {n_tokens / m['seconds']:,.0f} | "
            f"{flops / m['seconds'] / peak_flops:.0%} | {m['peak'] / GIB:.2f} GiB | {m['loss']:.3f} | {m['steps']:.0f} | "
            f"{m['startup']:.1f} s |"
        )
    lines += [
        "",
        "Bars on 2 cores: TRL padded 8x, TRL packed 4.5x, HF Trainer padded 3x; start to first step below 12 s.",
    ]
    return lines
