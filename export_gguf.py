"""Write a chatbot as one GGUF file, for llama.cpp and what is built on it: Ollama, LM Studio, llama-cpp-python.

Reads   --model_dir: config.json, model*.safetensors, generation_config.json, tokenizer and chat template
Writes  --out, and beside it what Ollama wants, .Modelfile; nothing is quantized: llama.cpp has tools for that

    pip install gguf
    python export_gguf.py --model_dir checkpoints/demo --out demo.gguf

It takes seconds. llama.cpp's converter refuses a tokenizer whose hash it does not know, and so each that prep_data.py
trained or added role tokens to; here the vocabulary and the merges go in as they are, with llama.cpp's name for the way in
which words are cut. What it has no name for is one line.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
from safetensors.torch import load_file
from transformers import AutoConfig, PretrainedConfig, PreTrainedTokenizerFast

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
    settings = {"repetition_penalty": 1.0, **generation}
    rendered = tokenizer.apply_chat_template([{"role": "user", "content": ""}], tokenize=False)
    system = rendered.partition("<|user|>")[0].replace("<|system|>", "")  # the one that the model was trained with
    lines = [f"FROM ./{gguf_name}", f'TEMPLATE """{OLLAMA_TEMPLATE}"""', f'SYSTEM """{system}"""' if system else ""]
    lines += [f"PARAMETER num_ctx {n_positions}", "PARAMETER stop <|endoftext|>"]
    lines += [f"PARAMETER {names[name]} {value}" for name, value in settings.items() if name in names]
    return "\n".join([*filter(None, lines), ""])


def export(folder: Path, out: Path, dtype: str) -> None:
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if config.model_type not in GRANTED:
        known = ", ".join(GRANTED)
        raise Mistake(
            f"type {config.model_type} is not exported ({known} are); llama.cpp's convert_hf_to_gguf.py may do more"
        )
    said = understood(config)
    # the file as it is: AutoTokenizer cuts words for a Qwen model in Qwen's way, whatever the file says
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    refuse_other_chats(tokenizer)
    temporary, arch = out.with_name(out.name + ".tmp"), config.model_type
    writer = gguf.GGUFWriter(temporary, arch)
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
    for file in sorted(folder.glob("model*.safetensors")):
        for name, weight in load_file(file).items():
            target = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if target is None:
                raise Mistake(f"{file}: llama.cpp has no place for {name}")
            array = convert(name, weight.float().numpy(), config)
            half = dtype == "f16" and array.ndim == 2 and target != "position_embd.weight"  # the others must be f32
            writer.add_tensor(target, np.ascontiguousarray(array, dtype=np.float16 if half else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(temporary, out)

    generation = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    text = modelfile(out.name, tokenizer, config.max_position_embeddings, generation)
    out.with_suffix(".Modelfile").write_text(text, encoding="utf-8")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_dir", required=True, type=Path, help="folder that train.py wrote")
    parser.add_argument("--out", type=Path, help="the file to write (default: MODEL_DIR/model.gguf)")
    parser.add_argument(
        "--dtype", choices=("f32", "f16"), default="f32", help="f16 halves the file, a little less exact"
    )
    args = parser.parse_args(argv)
    out = args.out or args.model_dir / "model.gguf"
    try:
        if gguf is None:
            raise Mistake("this needs a package: pip install gguf")
        export(args.model_dir, out, args.dtype)
    except (Mistake, OSError, ValueError) as mistake:
        print(f"export_gguf.py: error: {mistake}", file=sys.stderr)
        raise SystemExit(2) from None
    print(f"{out}; for Ollama: ollama create NAME -f {out.with_suffix('.Modelfile')}")


if __name__ == "__main__":
    main()
