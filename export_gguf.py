"""Write a chatbot as one GGUF file, for llama.cpp and what is built on it: Ollama, LM Studio, llama-cpp-python.

Reads   --model_dir: config.json, model*.safetensors, generation_config.json, tokenizer and chat template
Writes  --out, and beside it what Ollama wants, .Modelfile: both, or none where anything is wrong; nothing is quantized:
        llama.cpp has tools for that

    pip install gguf
    python export_gguf.py --model_dir checkpoints/demo --out demo.gguf

It takes seconds. llama.cpp's converter refuses a tokenizer whose hash it does not know, and so each that prep_data.py
trained or added role tokens to; here the vocabulary and the merges go in as they are, with llama.cpp's name for the way in
which words are cut. What it has no name for is one line.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import math
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    getpass.getuser()
except (ImportError, KeyError, OSError):  # no name, as in a container; torch 2.10 names a folder by it as it loads
    os.environ["LOGNAME"] = "nobody"

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedTokenizerFast
from transformers.utils import logging

try:
    import gguf
except ImportError:
    gguf = None

# What Ollama fills in. It has no way to defuse control strings in what a user types; llama.cpp, with chat_template, does.
OLLAMA_TEMPLATE = (
    "{{ if .System }}<|system|>{{ .System }}{{ end }}{{ range .Messages }}"
    '{{ if eq .Role "user" }}<|user|>{{ .Content }}'
    '{{ else if eq .Role "assistant" }}<|assistant|>{{ .Content }}<|endoftext|>{{ end }}{{ end }}<|assistant|>'
)


class Mistake(Exception):
    """What the user can mend: one line, exit code 2."""


ADVICE = "copy the folder anew, or export another that train.py wrote"


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside is one line: what a broken file makes a library raise is in nobody's list."""
    try:
        yield
    except Mistake:
        raise
    except Exception as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise Mistake(f"cannot read {path}: {why}; {ADVICE}") from None


def read_json(path: Path) -> dict:
    with reading(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no JSON object")
        return content


# What tokenizer.json says of the ways to cut text into words that llama.cpp has a name for: all steps, in their order,
# and ignore_merges, whether whole words of the vocabulary are taken as they are
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN2.replace(r"\p{N}| ?", r"\p{N}{1,3}| ?")
DIGITS = {"type": "Digits", "individual_digits": True}
SPLIT = {"type": "Split", "behavior": "Isolated", "invert": False}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}  # the alphabet
GPT2 = {**BYTES, "use_regex": True}  # it cuts by GPT-2's expression where no other has
WORDS = {
    "gpt-2": ([GPT2], False),
    "smollm": ([DIGITS, GPT2], False),
    "qwen2": ([{**SPLIT, "pattern": {"Regex": QWEN2}}, BYTES], False),
    "llama-bpe": ([{**SPLIT, "pattern": {"Regex": LLAMA3}}, BYTES], True),
}


def way_of_words(parts: dict) -> str | None:
    """llama.cpp's name for the way in which this tokenizer.json cuts words, or None."""
    first, model, normalizer = parts["pre_tokenizer"] or {}, parts["model"], parts["normalizer"] or {"type": "NFC"}
    # trim_offsets tells where in the text a token stood, not which one it is
    steps = [{key: step[key] for key in step if key != "trim_offsets"} for step in first.get("pretokenizers", [first])]
    besides = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")  # none in llama.cpp
    found = (steps, bool(model.get("ignore_merges")))
    if model["type"] != "BPE" or any(map(model.get, besides)) or normalizer["type"] != "NFC":
        return None
    return next((name for name, way in WORDS.items() if way == found), None)


def vocabulary(tokenizer: PreTrainedTokenizerFast, n_vocab: int) -> tuple[str, list[str], list[int], list[str]]:
    """(llama.cpp's name for how it cuts words, tokens by id, their types, merges); tokens are spelled in GPT-2's byte
    alphabet in both formats.

    llama.cpp does not compose accents, as Qwen does (NFC): what was typed decomposed gets other ids there.
    """
    parts = json.loads(tokenizer.backend_tokenizer.to_str())
    model, words = parts["model"], way_of_words(parts)
    if not words:
        raise Mistake(
            "llama.cpp has no name that is known here for the way in which this tokenizer cuts words (known are those of "
            "GPT-2, SmolLM2, Qwen2 and 3, Llama 3); transformers serve opens the folder as it is"
        )
    if max(tokenizer.get_vocab().values()) >= n_vocab:
        raise Mistake(f"its tokenizer has more tokens than the model has embeddings, which are {n_vocab:,}; {ADVICE}")
    tokens, types = [f"<|unused {i}|>" for i in range(n_vocab)], [gguf.TokenType.UNUSED] * n_vocab
    for token, i in model["vocab"].items():
        tokens[i], types[i] = token, gguf.TokenType.NORMAL
    for added in parts["added_tokens"]:  # what is not special is found in text, too
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        tokens[added["id"]], types[added["id"]] = added["content"], kind
    return words, tokens, types, [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]


def refuse_other_chats(tokenizer: PreTrainedTokenizerFast) -> None:
    """The template must be that of prep_data.py, since OLLAMA_TEMPLATE says the same in Ollama's language."""
    if not tokenizer.chat_template:
        raise Mistake("its tokenizer has no chat template, so nobody could chat with it; export what train.py wrote")
    talk = [("system", "S"), ("user", "U"), ("assistant", "A"), ("user", "V")]
    messages = [{"role": role, "content": content} for role, content in talk]
    expected = "<|system|>S<|user|>U<|assistant|>A<|endoftext|><|user|>V<|assistant|>"
    try:
        rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # a template may raise what it likes
        rendered = str(error)
    missing = [token for token in re.findall(r"<\|\w+\|>", expected) if token not in tokenizer.get_vocab()]
    if missing or rendered != expected or tokenizer.eos_token != "<|endoftext|>":
        why = f"its tokenizer has no token {missing[0]}" if missing else "its chat template has another format"
        raise Mistake(f"{why}, and Ollama would prompt it wrongly; export what train.py wrote from prep_data.py's data")


# What llama.cpp's graph of each type takes for granted, because a GGUF cannot say it or because the graph does not ask:
# config.json's name for it, and the values that mean it; the first is also that of a config.json without the name
ROTARY = {"hidden_act": ("silu", "swish"), "rope_type": ("default",), "partial_rotary_factor": (1.0, None)}
ROTARY["layer_types"] = (["full_attention"],)  # no sliding windows
GRANTED = {
    "gpt2": {
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
    },
    "llama": ROTARY,  # it has a place for each bias, and for heads of any size
    "qwen2": {**ROTARY, "head_dim * num_attention_heads == hidden_size": (True,)},
    "qwen3": {**ROTARY, "attention_bias": (False,)},
}


def understood(config: PretrainedConfig) -> dict:
    """What config.json says, in one place whichever transformers wrote it, if llama.cpp computes the same."""
    said, width = config.to_dict(), config.hidden_size
    for rope in ("rope_scaling", "rope_parameters"):  # of transformers 4, and of 5
        said |= said.get(rope) or {}
    said["head_dim"] = said.get("head_dim") or width // config.num_attention_heads
    said["head_dim * num_attention_heads == hidden_size"] = said["head_dim"] * config.num_attention_heads == width
    said["layer_types"] = sorted({*(said.get("layer_types") or ["full_attention"])})
    for name, values in GRANTED[config.model_type].items():
        if said.get(name, values[0]) not in values:
            raise Mistake(
                f"llama.cpp takes for granted that a {config.model_type} has {name} {values[0]}, and this one has "
                f"{said[name]}; transformers serve opens the folder as it is"
            )
    return said


def add_shape(writer: gguf.GGUFWriter, config: PretrainedConfig, said: dict) -> None:
    """The model's shape under llama.cpp's names."""
    if config.model_type == "gpt2":
        writer.add_feed_forward_length(config.n_inner or 4 * config.hidden_size)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
    else:
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_freq_base(said["rope_theta"])
        writer.add_rope_dimension_count(said["head_dim"])
        writer.add_key_length(said["head_dim"])
        writer.add_value_length(said["head_dim"])
        writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)


def read_weights(folder: Path, config: PretrainedConfig) -> dict[str, torch.Tensor]:
    """Exactly those that config.json calls for, in their shapes."""
    weights: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("model*.safetensors")):
        with reading(file):
            part = load_file(file)
            if twice := weights.keys() & part.keys():
                raise ValueError(f"{min(twice)} is in another file of the folder as well")
            weights |= part
    with reading(folder / "config.json"):
        if config.num_hidden_layers > len(weights):  # building so many would take for ever
            raise ValueError(f"{config.num_hidden_layers} layers are more than the weights have")
        with torch.device("meta"):  # shapes that take no memory
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        called_for = dict(model.named_parameters())  # a head that is tied to the embedding is not named twice
    for name in {**called_for, **weights}:
        wanted, there = (str(list(of[name].shape)) if name in of else "missing" for of in (called_for, weights))
        if wanted != there:
            raise Mistake(f"{folder}: by config.json {name} is {wanted}, in safetensors {there}; {ADVICE}")
    return weights


def convert(name: str, weight: np.ndarray, config: PretrainedConfig) -> np.ndarray:
    """A weight of shape (out, in) and in llama.cpp's order."""
    if config.model_type == "gpt2":
        return weight.T if re.search(r"\.(c_attn|c_proj|c_fc)\.weight$", name) else weight  # Conv1D's is (in, out)
    kind = re.search(r"\.([qk])_proj\.(weight|bias)$", name)
    if not kind or config.model_type != "llama":
        return weight
    # RoPE turns pairs: Hugging Face takes them from the two halves of a head, and so does llama.cpp, but for Llama's, where
    # it takes neighbors
    n_head = config.num_attention_heads if kind[1] == "q" else config.num_key_value_heads
    return weight.reshape(n_head, 2, -1, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def modelfile(gguf_name: str, tokenizer: PreTrainedTokenizerFast, n_positions: int, generation: dict) -> str:
    """What `ollama create` reads; settings that generation_config.json does not give stay Ollama's own."""
    names = {"temperature": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p",
             "repetition_penalty": "repeat_penalty", "max_new_tokens": "num_predict"}  # fmt: skip
    given = {name: value for name, value in generation.items() if name in names and value is not None}
    settings = {"repetition_penalty": 1.0, **given}  # Ollama's own is another
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{name} is no number")
    rendered = tokenizer.apply_chat_template([{"role": "user", "content": ""}], tokenize=False)
    system = rendered.partition("<|user|>")[0].replace("<|system|>", "")  # the one that the model was trained with
    lines = [f"FROM ./{gguf_name}", f'TEMPLATE """{OLLAMA_TEMPLATE}"""', f'SYSTEM """{system}"""' if system else ""]
    lines += [f"PARAMETER num_ctx {n_positions}", "PARAMETER stop <|endoftext|>"]
    lines += [f"PARAMETER {names[name]} {value}" for name, value in settings.items()]
    return "\n".join([*filter(None, lines), ""])


def refuse_other_folders(folder: Path) -> None:
    for name in ("config.json", "model*.safetensors", "tokenizer.json"):
        if not any(file.is_file() for file in folder.glob(name)):
            train = f"python train.py --data_dir data --model_dir {shlex.quote(str(folder))}"
            raise Mistake(f"no chatbot in the folder {folder}, which has no {name}; train one: {train}")
    if (folder / "adapter_config.json").exists():
        raise Mistake(f"{folder} holds an adapter (adapter_config.json); merge it with its model first")
    kind = read_json(folder / "config.json").get("model_type")
    if kind not in GRANTED:
        known = ", ".join(GRANTED)
        raise Mistake(f"type {kind} is not exported ({known} are); llama.cpp's convert_hf_to_gguf.py may do more")


def refuse_other_targets(out: Path) -> None:
    """Nothing is replaced but what an earlier export wrote."""
    if out.is_dir() or out.suffix.lower() == ".modelfile":
        raise Mistake(f"--out is the file to write, such as demo.gguf; {out} is a folder, or what is written beside it")
    if not out.parent.is_dir():
        raise Mistake(f"no folder {out.parent} to write to; make it: mkdir -p {shlex.quote(str(out.parent))}")
    for path, begins in ((out, b"GGUF"), (out.with_suffix(".Modelfile"), b"FROM ./")):
        if path.exists():
            with open(path, "rb") as file:
                if file.read(len(begins)) != begins:
                    raise Mistake(f"{path} exists and is not from an earlier export; choose another --out")


def write(out: Path, writer: gguf.GGUFWriter, text: str) -> None:
    """Both files or none: they are made in a folder beside their places, which goes however this ends."""
    targets = {"gguf": out, "Modelfile": out.with_suffix(".Modelfile")}
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export_gguf.") as new, contextlib.closing(writer):
            writer.write_header_to_file(Path(new, "gguf"))
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            Path(new, "Modelfile").write_text(text, encoding="utf-8")
            for name in targets:
                with open(Path(new, name), "rb+") as file:
                    os.fsync(file.fileno())
            for name, target in targets.items():
                os.replace(Path(new, name), target)
    except OSError as error:
        raise Mistake(f"cannot write {out}: {error.strerror or error}; make room, or choose another --out") from None


def export(folder: Path, out: Path, dtype: str) -> None:
    refuse_other_folders(folder)
    refuse_other_targets(out)
    with reading(folder / "config.json"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        said = understood(config)
    # the file as it is: AutoTokenizer cuts words for a Qwen model in Qwen's way, whatever the file says
    with reading(folder / "tokenizer.json"):
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    refuse_other_chats(tokenizer)
    generation = folder / "generation_config.json"  # without one, Ollama has settings of its own
    with reading(generation):
        settings = read_json(generation) if generation.exists() else {}
        text = modelfile(out.name, tokenizer, config.max_position_embeddings, settings)

    arch, weights = config.model_type, read_weights(folder, config)
    writer = gguf.GGUFWriter(None, arch)
    writer.add_name(folder.resolve().name)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32 if dtype == "f32" else gguf.LlamaFileType.MOSTLY_F16)
    add_shape(writer, config, said)

    words, tokens, types, merges = vocabulary(tokenizer, config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(words)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_pad_token_id):
        add(tokenizer.eos_token_id)
    writer.add_add_bos_token(False)  # a conversation begins with a role token
    # {% generation %} marks for transformers what is learned; others do not know it
    writer.add_chat_template(re.sub("{% (end)?generation %}", "", tokenizer.chat_template))

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch.upper()], config.num_hidden_layers)
    for name, weight in weights.items():
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert target, f"llama.cpp has no place for {name}"
        array = convert(name, weight.float().numpy(), config)
        half = dtype == "f16" and array.ndim == 2 and target != "position_embd.weight"  # the others must be f32
        with np.errstate(over="ignore"):  # beyond what f16 holds is infinite
            array = np.ascontiguousarray(array, dtype=np.float16 if half else np.float32)
        if not np.isfinite(array).all():
            mend = "try --dtype f32" if half else ADVICE
            raise Mistake(f"{folder}: not every number of {name} is finite in {array.dtype}; {mend}")
        writer.add_tensor(target, array)
    write(out, writer, text)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_dir", required=True, type=Path, help="folder that train.py wrote")
    parser.add_argument("--out", type=Path, help="the file to write (default: MODEL_DIR/model.gguf)")
    parser.add_argument(
        "--dtype", choices=("f32", "f16"), default="f32", help="f16 halves the file, a little less exact"
    )
    args = parser.parse_args(argv)
    out = args.out or args.model_dir / "model.gguf"
    logging.set_verbosity_error()
    try:
        if gguf is None:
            raise Mistake("this needs a package: pip install gguf")
        export(args.model_dir, out, args.dtype)
    except (Mistake, OSError) as mistake:
        line = " ".join(str(mistake).split())  # nor can a name in it steer the terminal
        line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)
        print(f"export_gguf.py: error: {line}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    print(f"{out}; for Ollama: ollama create NAME -f {out.with_suffix('.Modelfile')}")


if __name__ == "__main__":
    main()
