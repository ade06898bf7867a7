#!/usr/bin/env bash
# From an empty folder to a chat: sets up .venv, prepares the data, trains, measures, and opens the chat.
#
#   ./run_all.sh [demo]   the bundled conversations and a tiny model, on any laptop, in minutes
#   ./run_all.sh full     Alpaca and 355 M parameters, on a 16 GB GPU, for days
#   ./run_all.sh week [HOURS]   web text, then chats, and the size that the hours allow: 168, or 8 for a night
#   ./run_all.sh test     the checks that CI runs
#
# Run it again after a stop of any kind: what is complete is skipped, and training goes on where it was.
# PYTHON=python3.12 ./run_all.sh picks another Python. WEEK_TEXT and WEEK_CHAT are the flags of prep_data.py that name
# the week's data, where those of below are not wanted; a week keeps those that it began with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
mode=${1:-demo} again="${*:-demo}" timings="" stopped="" ledger=""
trap 'stopped=1' INT TERM HUP

trap '' PIPE # a log that nobody takes any more (| tee, | less) is no reason to stop
say() { printf "$@" 2>/dev/null || :; }
fail() {
  [ -z "$stopped" ] || { echo "stopped; run ./run_all.sh $again to go on" >&2; exit 130; }
  echo "run_all.sh: error: $*" >&2
  exit 2
}

usable() { # a kill may have left .venv half made, and the Python behind it may have gone or changed
  .venv/bin/python -c 'import importlib.util, sys; sys.exit(sys.version_info < (3, 9) or not importlib.util.find_spec("pip"))'
} 2>/dev/null

set_up() { # set_up REQUIREMENTS_FILE...: make .venv and install into it, unless that was done before
  local python=${PYTHON:-python3} stamp
  stamp=.venv/installed-$(cat "$@" | cksum | cut -d' ' -f1)
  if [ ! -f "$stamp" ] || ! usable; then
    command -v "$python" >/dev/null || fail "$python is not installed; install Python 3.9 or later"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' ||
      fail "$("$python" --version) is too old; run PYTHON=python3.12 ./run_all.sh with Python 3.9 or later"
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
      fail "this Python has no venv module; install it, on Debian or Ubuntu with: sudo apt install python3-venv"
    local need_gb=3 free_kb # the CUDA build of torch is larger
    command -v nvidia-smi >/dev/null && need_gb=12
    free_kb=$(df -Pk . | awk 'NR == 2 {print $4}')
    [ "$free_kb" -ge $((need_gb * 1024 * 1024)) ] ||
      fail "the installation needs $need_gb GB of disk here and $((free_kb / 1024 / 1024)) GB are free; make room"
    say '== setting up .venv (once)\n'
    # called as modules of Python: the programs in .venv/bin hold the path of the folder where they were made
    { usable && .venv/bin/python -m pip --version >/dev/null 2>&1; } || "$python" -m venv --clear .venv >/dev/null ||
      fail "could not make .venv; remove it and run this again"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check $(printf -- '-r %s ' "$@") 2>.venv/install.log ||
      fail "the installation failed: $(grep -m 1 ERROR .venv/install.log); check the network and run this again"
    touch "$stamp"
  fi
  export PATH="$PWD/.venv/bin:$PATH"
}

has_gpu() {
  python -W ignore -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' && return
  ! nvidia-smi -L 2>/dev/null | grep -q '^GPU' ||
    fail "there is an NVIDIA GPU, but torch cannot use it: update the driver, or install a torch for its CUDA (nvidia-smi says which)"
  return 1
}

keep() { # keep FILE COMMAND...: what it says, on the screen and, once it has ended well, in FILE
  local file=$1
  shift
  mkdir -p "$(dirname "$file")"
  "$@" | tee "$file.tmp" || return
  mv "$file.tmp" "$file"
}

# in brackets: to awk a bare > is a file; where one writes 0,5 some awks do, too
calc() { LC_ALL=C awk "BEGIN {printf \"%.12g\", ($1)}"; }

score() { # score NAME PROMPTS_FILE: answer them all, unless that was done with these very weights
  local sheet
  sheet=$model/answers-$(basename "$2" .jsonl).score.json
  [ "$sheet" -nt $model/model.safetensors ] && [ "$sheet" -nt "$2" ] && return
  step "$1" python inference.py --model_dir $model --prompts_file "$2"
}

is_trained() { # a training run that was told to stop saves and exits 0, so its log is asked whether it came to its end
  tail -n 1 "$1/metrics.jsonl" 2>/dev/null | grep -q '"finished"'
}

trained() {
  is_trained "$1" || { echo "training is not complete; run ./run_all.sh $again to go on"; exit 130; }
}

step() { # step NAME COMMAND...: run it and say how long it took; a stop in between ends the script, not the chat
  local began=$SECONDS name=$1 code=0
  shift
  say '\n== %s\n$ %s\n' "$name" "$(printf '%q ' "$@")"
  "$@" || code=$?
  [ -z "$ledger" ] || echo $((SECONDS - began)) >>"$ledger"
  [ $code = 0 ] || exit $code
  [ -z "$stopped" ] || { echo "stopped; run ./run_all.sh $again to go on"; exit 130; }
  timings+="  $(printf '%-12s %4d s' "$name" $((SECONDS - began)))"$'\n'
}

case $mode in
demo)
  set_up requirements.txt
  model=checkpoints/demo
  step "prepare" python prep_data.py --dataset data/sample --out_dir data/demo --train_tokenizer 2048 --seq_len 256 \
    --system ""
  step "train" python train.py --data_dir data/demo --model_dir $model --cfg tiny --arch llama --n_layer 2 --n_embd 224 \
    --seq_len 256 --batch_size 16 --grad_accum 1 --optim muon --lr 1.4e-2 --muon_lr 0.03 --epochs 3.5 \
    --schedule linear --min_lr_ratio 0 --eval_every 160 --save_every 50
  trained $model
  # a fortieth of the training rows tells as much as all of them, in seconds
  if ! [ data/demo/known.jsonl -nt data/demo/train.jsonl ]; then
    awk 'NR % 40 == 0' data/demo/train.jsonl >data/demo/known.jsonl.tmp
    mv data/demo/known.jsonl.tmp data/demo/known.jsonl
  fi
  score "test known" data/demo/known.jsonl
  score "test unseen" data/demo/val.jsonl
  score "test strangers" data/sample/strangers.jsonl
  python - $model <<'SUMMARY'
import json, sys
read = lambda name: open(f"{sys.argv[1]}/{name}", encoding="utf-8")
perplexity = [row["perplexity"] for row in map(json.loads, read("metrics.jsonl")) if "perplexity" in row]
known, unseen, strangers = (json.load(read(f"answers-{name}.score.json"))["scores"] for name in ("known", "val", "strangers"))
exact, stopped = ([f"{sheet[what]['value']:.1%}" for sheet in (known, unseen, strangers)] for what in ("exact_match", "stopped"))
answers = [json.loads(line) for line in read("answers-strangers.jsonl")]
admits = [answer["reference"].startswith("I don't know") for answer in answers]
share = lambda which: sum(a["exact_match"] for a, admit in zip(answers, admits) if admit == which) / admits.count(which)
print("\n== what it learned")
print(f"  validation perplexity   {perplexity[0]:,.1f} before, {min(perplexity):.3f} after")
print(f"  exact match             {exact[0]} on wordings from training, {exact[1]} on unseen ones")
print(f"  strangers' questions    {share(False):.1%} of what it was taught answered, {share(True):.1%} of the rest admitted")
print(f"  stopped by itself       {stopped[0]}, {stopped[1]} and {stopped[2]}")
SUMMARY
  ;;
full)
  set_up requirements.txt
  has_gpu || fail "full trains 355 M parameters for days and needs a CUDA GPU with 16 GB; none is here. Run ./run_all.sh demo"
  model=checkpoints/400m
  step "prepare" python prep_data.py --dataset tatsu-lab/alpaca --out_dir data
  step "train" python train.py --data_dir data --model_dir $model --cfg baseline_355m --seq_len 1024 --batch_size 2 \
    --grad_accum 16 --lr 3e-4 --warmup_steps 2000 --max_steps 100000 --bf16
  trained $model
  score "test unseen" data/val.jsonl
  ;;
week)
  hours=${2:-168}
  [[ $hours =~ ^[0-9]*\.?[0-9]+$ && $hours =~ [1-9] ]] || fail "week takes hours, such as ./run_all.sh week 8, not '$hours'"
  set_up requirements.txt
  if ! has_gpu; then
    [ -n "${2:-}" ] || fail "week trains for 168 hours and needs a CUDA GPU with 16 GB, a network and some 60 GB of disk; no GPU is here. For a rehearsal on this CPU give it hours: ./run_all.sh week 0.2"
    say 'no CUDA GPU is here: a rehearsal with a tiny model\n'
  fi
  data=data/week-$hours base=checkpoints/week-$hours-base model=checkpoints/week-$hours
  kept() { # kept WEEK_TEXT FOLDER DEFAULT: the flags of prep_data.py for what FOLDER learns, once chosen for good
    local file=$data/$1 given=${!1:-} trouble=""
    if [ -f "$file" ]; then
      [ -z "$given" ] || [ "$given" = "$(<"$file")" ] || trouble="$data was begun with $1=\"$(<"$file")\""
    elif is_trained "$2"; then # with what is gone by now, and not needed any more
      [ -z "$given" ] || trouble="$2 has been trained already, and what it read is gone"
    else
      mkdir -p $data
      printf '%s\n' "${given:-$3}" >"$file.tmp" && mv "$file.tmp" "$file"
    fi
    [ -z "$trouble" ] || fail "$trouble; leave $1 out to go on with it, or start over with: rm -r $data $base $model"
    cat "$file" 2>/dev/null || :
  }
  held_out() { calc "$1 < 5e7 ? 0.02 : 1e6 / $1"; } # a million tokens tell models apart, and more take time from training
  # web text that is good for small models, and conversations made for them, one of Alpaca's among ten
  text=$(kept WEEK_TEXT $base "--dataset HuggingFaceFW/fineweb-edu --config sample-10BT --streaming")
  chat=$(kept WEEK_CHAT $model "--dataset HuggingFaceTB/smol-smoltalk:9 --dataset tatsu-lab/alpaca:1 --split train")
  # The hours are those of work. What the data took, in all calls, is noted in $data/seconds; training counts by itself.
  mkdir -p $data && : >>$data/seconds
  made() { ledger=$data/seconds; step "$@"; ledger=""; }
  spare=$(calc "0.02 + ($hours < 10 ? $hours / 20 : 0.5)") # for eight programs to start, and for the scores
  took() { calc "$(awk '{s += $1} END {print s + 0}' $data/seconds) / 3600"; }
  left() { calc "$hours - $(took) - $spare"; }
  larger() { calc "int(1e4 * (($1) > ($2) ? $1 : $2) + 0.5) / 1e4"; } # however slow the network, there is some training
  begun() { sed -n '1s/.*"max_hours": \([0-9.e-]*\).*/\1/p' "$1/metrics.jsonl" 2>/dev/null || :; } # with so many hours
  planned=$(larger "(0.9 * $hours - $spare) * 13 / 16" "$hours / 5")
  say '\n== %s hours: some %s to pretrain and %s to learn to chat, more or fewer as the data takes its time\n' \
    "$hours" "$planned" "$(larger "$planned * 3 / 13" 0)"

  # what only a part before needed may go: nothing is made again for a model that is trained
  if ! is_trained $model; then
    if ! is_trained $base; then
      pretrain=(--cfg auto --arch qwen3 --optim muon --schedule wsd --min_lr_ratio 0 --compile)
      if [ ! -f $data/plan.txt ]; then
        [ ! -f $base/metrics.jsonl ] ||
          fail "$base has begun, and $data/plan.txt, which says how much text it reads, is gone; to start over: rm -r $base"
        say '\n== first a taste of the text, to find out how much of it the hours can read; that much is made next, %s\n' \
          'so a warning of too little needs nothing from you'
        made "taste" python prep_data.py $text --max_tokens 2000000 --out_dir $data/taste
        made "plan" keep $data/plan.txt python train.py --data_dir $data/taste --model_dir $base "${pretrain[@]}" \
          --max_hours "$planned" --dry_run
      fi
      tokens=$(sed -n 's/^auto  *\([0-9,]*\) tokens .*/\1/p' $data/plan.txt | tr -d ,)
      [ -n "$tokens" ] || fail "$data/plan.txt does not say how many tokens; to make it again: rm $data/plan.txt"
      [ -f $data/text/manifest.json ] ||
        made "text" python prep_data.py $text --max_tokens "$tokens" --val_fraction "$(held_out "$tokens")" \
          --out_dir $data/text
      base_hours=$(begun $base)
      base_hours=${base_hours:-$(larger "$(left) * 13 / 16" "$hours / 5")}
      say '\n== %s of the %s hours to pretrain, the data took %s\n' "$base_hours" "$hours" "$(larger "$(took)" 0)"
      step "pretrain" python train.py --data_dir $data/text --model_dir $base "${pretrain[@]}" --max_hours "$base_hours"
      trained $base
    fi
    chat_hours=$(begun $model) base_hours=$(begun $base)
    read -r rows accum speed < <(python -c 'import json, statistics, sys
first, *rows = map(json.loads, sys.stdin)
size, speeds = first["run"]["size"], [row["tokens_per_s"] for row in rows if "tokens_per_s" in row]
print(size["batch_size"], max(1, size["grad_accum"] // 4), statistics.median(speeds or [0]))' <$base/metrics.jsonl)
    if [ ! -f $data/chat/manifest.json ]; then
      # as many as can be read once; kept, since a call that goes on asks for the same
      [ -f $data/chat_tokens ] || keep $data/chat_tokens \
        calc "int($speed * 3600 * $(larger "$(left) - $base_hours" "$base_hours / 8")) + 1000" >/dev/null
      tokens=$(<$data/chat_tokens)
      made "chats" python prep_data.py $chat --max_tokens "$tokens" --val_fraction "$(held_out "$tokens")" \
        --out_dir $data/chat
    fi
    chat_hours=${chat_hours:-$(larger "$(left) - $base_hours" "$base_hours / 8")}
    say '\n== %s of the %s hours to learn to chat\n' "$chat_hours" "$hours"
    # SmolLM2's rate on these conversations (alignment-handbook, recipes/smollm2), in steps of a quarter of the base's
    # A long week reads them again: up to four times that is nearly as good as new ones (Muennighoff et al. 2023, arXiv:2305.16264).
    step "chat" python train.py --data_dir $data/chat --model_dir $model --init_from $base \
      --max_hours "$chat_hours" --epochs 4 --batch_size "$rows" --grad_accum "$accum" --lr 1e-3 --compile \
      --save_every 100
    trained $model
  fi
  [ -f $data/questions.jsonl ] || [ ! -f $data/chat/val.jsonl ] || {
    head -n "$(calc "int(20 + 60 * ($hours < 8 ? $hours : 8))")" $data/chat/val.jsonl >$data/questions.tmp
    mv $data/questions.tmp $data/questions.jsonl
  }
  [ ! -f $data/questions.jsonl ] || score "score" $data/questions.jsonl
  ;;
test)
  set_up requirements.txt tests/requirements.txt
  step "lint" python -m ruff check .
  step "format" python -m ruff format --check .
  # a file is one worker's, since its tests share what they have trained; the longest files come last
  step "tests" python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
  say '\n%s' "$timings"
  exit 0
  ;;
*) fail "unknown mode '$mode'; use demo, full, week or test" ;;
esac

say '\n== how long it took\n%s\n' "$timings"
if [ -t 0 ]; then
  exec python inference.py --model_dir $model
fi
questions=("Who are you?" "What is the capital of France?" "Who won the Battle of Waterloo?")
answers=$(printf '%s\n' "${questions[@]}" | python inference.py --model_dir $model)
paste -d '\n' <(printf 'User: %s\n' "${questions[@]}") <(sed 's/^/Assistant: /' <<<"$answers") 2>/dev/null || :
say '\nChat with it:\n\n    .venv/bin/python inference.py --model_dir %s\n' $model
