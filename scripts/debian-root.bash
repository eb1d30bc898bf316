# Creates a Debian in a folder, and runs commands in it, for tools that the system does not have. Source it.
#
#     debian_root FOLDER SUITES PACKAGES    creates FOLDER once, with the packages (separated by commas) of the suites (separated by
#                                           spaces; the first is the base, the others supply what it lacks)
#     in_debian_root FOLDER COMMAND...      runs a command in it, in the current folder, which has the same path as outside
#
# The packages come from the mirror, the proxy and the other settings of this machine's apt, or from MCP_STARTUP_DEBIAN_MIRROR.
# It requires root, and installs mmdebstrap if it is missing.
# shellcheck shell=bash

# Prints the URL of this machine's Debian mirror. Nothing if apt does not know one: mmdebstrap then uses its default.
debian_mirror() {
  if [ -n "${MCP_STARTUP_DEBIAN_MIRROR:-}" ]; then
    echo "$MCP_STARTUP_DEBIAN_MIRROR"
  elif command -v apt-get >/dev/null 2>&1; then
    apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Identifier: Packages' 2>/dev/null | sed -n 's/^Debian|//p' | head -n 1
  fi
}

debian_root() {
  local folder=$1 new=$1.new packages=$3 mirror suite suites settings base=''
  read -ra suites <<<"$2"
  if [ -d "$folder" ]; then return 0; fi
  if [ "$(id -u)" != 0 ]; then echo "creating a Debian in $folder requires root" >&2; return 3; fi
  if ! command -v mmdebstrap >/dev/null 2>&1; then
    if ! command -v apt-get >/dev/null 2>&1; then
      echo "creating a Debian requires mmdebstrap, and there is no apt-get to install it" >&2
      return 3
    fi
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap; } || {
      echo "mmdebstrap could not be installed" >&2
      return 3
    }
  fi
  mirror=$(debian_mirror)
  local arguments=("${suites[0]}" "$new")
  if [ -n "$mirror" ]; then arguments+=("$mirror"); base=$mirror; fi
  for suite in "${suites[@]:1}"; do
    if [ -z "$base" ]; then
      echo "apt has no source with the label \"Debian\"; set MCP_STARTUP_DEBIAN_MIRROR to the URL of a Debian mirror" >&2
      return 3
    fi
    arguments+=("deb $base $suite main")
  done
  # The proxy and the like. Where apt looks for its indexes belongs to the suite.
  settings=$(mktemp)
  apt-config dump --no-empty --format '%F "%v";%n' Acquire 2>/dev/null | grep -v -e ::IndexTargets -e ::Changelogs >"$settings" || true
  rm -rf "$new"
  if ! mmdebstrap --variant=apt --aptopt="$settings" --include="$packages" "${arguments[@]}"; then
    rm -rf "$new" "$settings"
    echo "Debian ${suites[0]} could not be downloaded" >&2
    return 3
  fi
  rm -f "$settings"
  # The folder exists only when it is complete.
  mv "$new" "$folder"
}

# The mounts are its own, and end with it. A target folder and a cargo home outside the current folder are mounted too.
in_debian_root() {
  local folder=$1
  shift
  # shellcheck disable=SC2016 # the inner shell's variables
  unshare --mount --propagation private bash -euc '
    root=$1 target=$2 home=$3
    shift 3
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mkdir -p "$root$PWD"
    mount --bind "$PWD" "$root$PWD"
    for outside in "$target" "$home"; do
      case $outside in "$PWD"/*) continue ;; esac
      mkdir -p "$outside" "$root$outside"
      mount --bind "$outside" "$root$outside"
    done
    exec chroot "$root" env --chdir="$PWD" HOME=/root CARGO_HOME="$home" PATH=/usr/bin:/bin "$@"
  ' - "$folder" "${CARGO_TARGET_DIR:-$PWD/target}" "${CARGO_HOME:-$HOME/.cargo}" "$@"
}
