# Runs the gate and writes its verdict to the step's outputs; ends with 0 whatever the verdict, so that it can be commented and uploaded.
set -euo pipefail

lines() { # NAME TEXT: the lines of a text, blank ones left out, as an array
  local -n array=$1
  mapfile -t array < <(grep -v '^[[:space:]]*$' <<<"$2" || true)
}

[[ $OUT != *$'\n'* ]] || { echo "::error::out must be one line" && exit 2; }
mkdir -p -- "$OUT"
OUT=$(cd -- "$OUT" && pwd) # a name that begins with a dash is then no option
rm -f "$OUT"/gate.{xml,md,html} "$OUT/summary.md"

lines baseline_options "$BASELINE_OPTIONS"
lines candidate_options "$CANDIDATE_OPTIONS"
lines settings "$SET"
lines arguments "$ARGUMENTS"

log=$(mktemp)
code=0
if ((${#baseline_options[@]})); then
  sora-eval run "suite=$SUITE" references=[] fidelity.metrics=[] tracking=false players=0 "workers=$WORKERS" \
    "${baseline_options[@]}" "out='$OUT/baseline'" 2>&1 | tee "$log" || code=${PIPESTATUS[0]}
  # 1 is a run that is done, with something to say about its input.
  ((code <= 1)) && code=0 || code=2
  BASELINE=$OUT/baseline
fi

command=(sora-eval gate "--baseline=$BASELINE" "--out=$OUT" "--workers=$WORKERS")
[[ -z $MARGIN ]] || command+=("--noninferior=$MARGIN")
[[ -z $CANDIDATE ]] || command+=("--candidate=$CANDIDATE")
for setting in "${settings[@]}"; do command+=("--set=$setting"); done
command+=("${arguments[@]}")
if ((${#candidate_options[@]})); then
  [[ -n $MARGIN ]] || command+=(--sequential)
  command+=(-- "${candidate_options[@]}")
fi
if ((code == 0)); then
  GITHUB_STEP_SUMMARY=$OUT/summary.md "${command[@]}" 2>&1 | tee "$log" || code=${PIPESTATUS[0]}
fi
# A crash writes no summary.
if [[ ! -s $OUT/summary.md ]]; then
  printf '## sora-eval gate: no verdict\n\nExit code %s. The last lines of the log:\n\n```text\n%s\n```\n' \
    "$code" "$(tail -n 5 "$log" | tr '`' "'")" >"$OUT/summary.md"
fi
cat "$OUT/summary.md" >>"$GITHUB_STEP_SUMMARY"

case $code in
  0) verdict=${MARGIN:+non-inferior}; verdict=${verdict:-passed} ;;
  1) verdict=${MARGIN:+inferior}; verdict=${verdict:-regression} ;;
  2) verdict=incomparable ;;
  3) verdict=undecided ;;
  *) verdict=failed ;;
esac
{
  echo "verdict=$verdict"
  echo "exit-code=$code"
  printf 'page=%s\n' "$OUT/gate.html"
} >>"$GITHUB_OUTPUT"
