# Finds temporary files that tests leave behind. Source it, and run the tests with a TMPDIR of their own.
# shellcheck shell=bash

# no_leftovers FOLDER: prints what is in a folder for temporary files, and fails if there is anything. Node keeps a cache there. It
# waits up to 30 s, because a PostgreSQL server removes its folder after its test program has ended.
no_leftovers() {
  local left deadline=$((SECONDS + 30))
  while :; do
    left=$(find "$1" -mindepth 1 -maxdepth 1 ! -name node-compile-cache -printf '%f\n' | sort)
    [ -z "$left" ] && return
    [ $SECONDS -lt $deadline ] || break
    sleep 0.2
  done
  echo "left in the folder for temporary files:"
  printf '%s\n' "$left"
  return 1
}
