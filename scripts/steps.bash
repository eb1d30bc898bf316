# The steps of a script that builds or verifies something, one line each. To be sourced in the repository's folder, with a name:
#
#     source scripts/steps.bash npm
#     step install install || finish
#     finish
#
# The output of a step goes to target/test-logs/NAME-STEP.log. A script whose steps run tests has
#
#     count_tests LOG      prints "PASSED FAILED" if LOG is the output of its test runner, and nothing if it is not
# shellcheck shell=bash

steps_of=$1
logs=$PWD/target/test-logs
mkdir -p "$logs"
rm -f "$logs/$steps_of"-*.log

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  red=$'\033[31m' green=$'\033[32m' plain=$'\033[0m'
else
  red='' green='' plain=''
fi

passed=0 failed=0

count_tests() { :; }

# step NAME COMMAND...: what it says of itself goes to file descriptor 3, and stands in its line. Returns the command's status.
# In a step, `set -e` does nothing: each command of it says what follows it.
step() {
  local name=$1 log=$logs/$steps_of-$1.log said=$logs/.$steps_of-said status=0 started=$SECONDS good='' bad=''
  shift
  printf '%-12s ' "$name"
  : >"$said"
  "$@" >"$log" 2>&1 3>"$said" </dev/null || status=$?
  read -r good bad < <(count_tests "$log") || true
  if [ -n "$good" ]; then
    passed=$((passed + good)) failed=$((failed + bad))
    echo "$good passed, $bad failed" >"$said"
    if [ $status != 0 ] && [ "$bad" = 0 ]; then failed=$((failed + 1)); fi
  elif [ $status = 0 ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
  if [ $status = 0 ]; then printf '%sok%s     ' "$green" "$plain"; else printf '%sFAILED%s ' "$red" "$plain"; fi
  printf '%s  (%s s)\n' "$(cat "$said")" $((SECONDS - started))
  rm -f "$said"
  if [ $status != 0 ]; then sed "s/^/  $name | /" "$log"; fi
  return $status
}

# How many cases of each data file were run, and the sum as the last line. Ends the script.
finish() {
  local cases
  cases=$(sed -nE 's/^.*(vectors: .* cases \([a-z]+\))$/\1/p' "$logs/$steps_of"-*.log | sort -u)
  if [ -n "$cases" ]; then printf '\n%s\n' "$cases"; fi
  printf '\n%s passed, %s failed\n' "$passed" "$failed"
  exit $((failed > 0))
}
