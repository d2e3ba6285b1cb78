#!/usr/bin/env bash
# Everything that this project wants to know of a GPU, in less than nine minutes on a large card.
#
#   benchmarks/gpu_session.sh [--published DIR] [--out DIR] [--commit HASH]
#   benchmarks/gpu_session.sh --dry-run     # the same, small and on the CPU, in two to three minutes
#
# Each block is a process of its own with a time limit; one that fails or runs out of time does not
# stop the others, and records are written number by number. Needs torch, transformers, accelerate,
# numpy, pandas, scipy, scikit-learn, jaxtyping and the packages that these bring; nothing is downloaded, and the checkout is used as
# it lies. --published: a clone of github.com/laihaoran/CARZero, the peer of the head. The exit code
# is the number of blocks that did not end well.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

device=cuda published="" out=runs/gpu commit=$(git rev-parse --short=10 HEAD 2>/dev/null || echo unknown)
while [ $# -gt 0 ]; do
  case $1 in
    --dry-run) device=cpu ;;
    --published) published=$2; shift ;;
    --out) out=$2; shift ;;
    --commit) commit=$2; shift ;;
    *) sed -n '2,12s/^# \{0,1\}//p' "$0"; echo "unknown option: $1" >&2; exit 64 ;;
  esac
  shift
done
if [ -n "$published" ] && [ ! -d "$published/CARZero" ]; then
  echo "--published: expected a clone of github.com/laihaoran/CARZero, got $published" >&2; exit 64
fi
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
if [ "$device" = cuda ] && ! "$python" -c "import sys, torch; sys.exit(not torch.cuda.is_available())"; then
  echo "no GPU: $python sees none; --dry-run tries everything on the CPU" >&2; exit 64
fi
mkdir -p "$out" || exit 1
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
export TRANSFORMERS_VERBOSITY=error JAXTYPING_DISABLE=1
end=$((SECONDS + 540)) failed=0
peer=(); [ -n "$published" ] && peer=(--published "$published")

block() { # block NAME SECONDS MODULE ARGUMENTS...
  local name=$1 limit=$2 module=$3 left=$((end - SECONDS)) start=$SECONDS; shift 3
  [ "$left" -lt "$limit" ] && limit=$left
  if [ "$limit" -lt 10 ]; then
    echo "== $name: left out, no time left"; failed=$((failed + 1)); return
  fi
  echo "== $name: $module, at most $limit s"
  timeout -k 5 "$limit" "$python" -m "benchmarks.$module" --device "$device" --commit "$commit" \
    --record "$out/gpu_$name.csv" "$@"
  local code=$?
  [ $code -eq 0 ] || { failed=$((failed + 1)); echo "== $name: ended with code $code"; }
  echo "== $name: $((SECONDS - start)) s"
}

session() {
  if [ "$device" = cuda ]; then
    block device 40 device
    block checks 80 gpu_checks "${peer[@]}"
    block head 150 published_head "${peer[@]}" --sizes 32 64 256 --precision bfloat16 float32 \
      --only memory step crossing --compile
    block step 110 full_step --precision bfloat16 --sizes 64 256 512 --largest 2048 --compile
    [ -n "$published" ] && block scoring 40 published_head "${peer[@]}" --only scoring words \
      --sizes 256 --images 256 --precision bfloat16 float32
    block losses 40 large_batch --sizes 8192 32768
    block data 40 data_side --workers 8 --pictures 5120
    block profile 40 profile_steps --precision bfloat16 --size 256
  else
    block device 60 device
    block checks 90 gpu_checks "${peer[@]}"
    block head 90 published_head "${peer[@]}" --sizes 2 3 --only memory step crossing \
      --queries 4 64 --rounds 1
    block step 90 full_step --sizes 2 --layers 4 --rounds 1
    [ -n "$published" ] && block scoring 90 published_head "${peer[@]}" --only scoring words \
      --sizes 2 --images 2 --rounds 1
    block losses 60 large_batch --sizes 64 --chunk-size 16 --rounds 1
    block data 60 data_side --workers 1 --pictures 256 --rounds 1
    block profile 90 profile_steps --size 2 --layers 4
  fi
  echo "== $SECONDS s, $failed blocks did not end well, records in $out"
  return $failed
}

session 2>&1 | tee "$out/session.log"
exit "${PIPESTATUS[0]}"
