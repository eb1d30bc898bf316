# Finds temporary files that tests leave behind. Source it, and run the tests with a TMPDIR of their own.
# shellcheck shell=bash

# no_leftovers FOLDER: prints what is in a folder for temporary files, and fails if there is anything. Node keeps a cache there.
no_leftovers() {
  local left
  left=$(find "$1" -mindepth 1 -maxdepth 1 ! -name node-compile-cache -printf '%f\n' | sort)
  [ -z "$left" ] && return
  echo "left in the folder for temporary files:"
  printf '%s\n' "$left"
  return 1
}
