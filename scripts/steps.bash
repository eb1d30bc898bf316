# Runs the steps of a script and prints one line for each. Source it in the root of the repository, with the name of the script:
#
#     source scripts/steps.bash npm
#     step install install || finish
#     finish
#
# The output of a step is in target/test-logs/NAME/STEP.log. A script whose steps run tests defines
#
#     count_tests LOG      prints "PASSED FAILED SKIPPED" if LOG is the output of its test runner, and nothing otherwise
#
# The variable MCP_STARTUP_SELECTION replaces the options of `cargo_build`. scripts/test sets it to the packages and features that it has
# already built, because any other selection would build the dependencies again.
# shellcheck shell=bash

script=$1
logs=$PWD/target/test-logs/$1
rm -rf "$logs"
mkdir -p "$logs"

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  red=$'\033[31m' green=$'\033[32m' plain=$'\033[0m'
else
  red='' green='' plain=''
fi

passed=0 failed=0

# cargo_build OPTION...: runs `cargo build` with these options, or with MCP_STARTUP_SELECTION.
cargo_build() {
  # shellcheck disable=SC2086 # a list of options
  if [ -n "${MCP_STARTUP_SELECTION:-}" ]; then cargo build $MCP_STARTUP_SELECTION; else cargo build "$@"; fi
}

count_tests() { :; }

# count_pytest LOG: prints the numbers of `count_tests` from the last line of pytest: "1 failed, 2 passed in 3.45s".
count_pytest() {
  sed -nE 's/^=* ?(([0-9]+ [a-z]+, )*[0-9]+ [a-z]+) in [0-9.]+s.*/\1/p' "$1" | tail -n 1 | tr -d , | awk '{
    for (i = 2; i <= NF; i += 2) {
      if ($i == "passed") passed = $(i - 1)
      if ($i ~ /^(failed|errors?)$/) failed += $(i - 1)
      if ($i == "skipped") skipped = $(i - 1)
    }
    print passed + 0, failed + 0, skipped + 0
  }'
}

# The program of Codex that scripts/setup has installed, if it has.
installed_codex() {
  local found
  for found in "${MCP_STARTUP_E2E:-target/e2e}"/npm/node_modules/@openai/codex-*/vendor/*/bin/codex; do
    if [ -x "$found" ]; then realpath "$found"; fi
  done
}

# step NAME COMMAND...: runs the command and returns its status. Text that the command writes to file descriptor 3 appears in the line.
# `set -e` has no effect in a step, so a step must connect its commands with `&&` or `|| return`.
step() {
  local name=$1 log=$logs/$1.log summary=$logs/.summary status=0 started=$SECONDS good='' bad='' skipped=''
  shift
  printf '%-12s ' "$name"
  : >"$summary"
  "$@" >"$log" 2>&1 3>"$summary" </dev/null || status=$?
  read -r good bad skipped < <(count_tests "$log") || true
  if [ -n "$good" ]; then
    passed=$((passed + good)) failed=$((failed + bad))
    echo "$good passed, $bad failed" >"$summary"
    if [ $status != 0 ] && [ "$bad" = 0 ]; then failed=$((failed + 1)); fi
  elif [ $status = 0 ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
  if [ $status = 0 ]; then printf '%sok%s     ' "$green" "$plain"; else printf '%sFAILED%s ' "$red" "$plain"; fi
  printf '%s  (%s s)\n' "$(cat "$summary")" $((SECONDS - started))
  rm -f "$summary"
  if [ "${skipped:-0}" != 0 ]; then echo "not run: scripts/$(basename "$0") $name: $skipped skipped, see ${log#"$PWD/"}"; fi
  if [ $status != 0 ]; then sed "s/^/  $name | /" "$log"; fi
  return $status
}

# Prints how many cases of each data file were run, and the total as the last line. Exits with 1 if a step failed.
finish() {
  local cases
  cases=$(sed -nE 's/^.*(vectors: .* cases \([a-z]+\))$/\1/p' "$logs"/*.log 2>/dev/null | sort -u) || true
  if [ -n "$cases" ]; then printf '\n%s\n' "$cases"; fi
  printf '\n%s passed, %s failed\n' "$passed" "$failed"
  exit $((failed > 0))
}
