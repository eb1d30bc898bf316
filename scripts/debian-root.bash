# Creates a Debian in a folder, and runs commands in it, for tools that the system does not have. Source it.
#
#     debian_root FOLDER SUITES PACKAGES [ARCHITECTURE]
#         creates FOLDER, with the packages (separated by commas) of the suites (separated by spaces; the first is the base, the others
#         supply what it lacks). Does nothing if it exists with the same packages. The packages of another architecture are unpacked,
#         and not configured.
#     in_debian_root FOLDER COMMAND...
#         runs a command in it, in the current folder, which has the same path as outside
#     in_emulated_root FOLDER EMULATOR FORMAT COMMAND...
#         does the same in a Debian of another architecture: the kernel starts each program whose header matches FORMAT with EMULATOR.
#         It requires Linux 6.7, where such a setting can apply to one process and its children.
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
  local folder=$1 new=$1.new packages=$3 mirror suite suites settings base='' variant=apt
  read -ra suites <<<"$2"
  if [ "$(cat "$folder/.packages" 2>/dev/null)" = "$2 $3" ]; then return 0; fi
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
  if [ -n "${4:-}" ]; then variant="extract --architecture=$4"; fi
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
  # shellcheck disable=SC2086 # two options
  if ! mmdebstrap --variant=$variant --aptopt="$settings" --include="$packages" "${arguments[@]}"; then
    rm -rf "$new" "$settings"
    echo "Debian ${suites[0]} could not be downloaded" >&2
    return 3
  fi
  rm -f "$settings"
  # The folder exists only when it is complete. An older one is replaced only then.
  echo "$2 $3" >"$new/.packages"
  rm -rf "$folder"
  mv "$new" "$folder"
}

# Mounts what a command in a root needs. The mounts are its own, and end with it. A target folder and a cargo home outside the current
# folder are mounted too.
# shellcheck disable=SC2016 # the inner shell's variables
debian_mounts='
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
'

in_debian_root() {
  local folder=$1
  shift
  # shellcheck disable=SC2016 # the inner shell's variables
  unshare --mount --propagation private bash -euc "$debian_mounts"'
    exec chroot "$root" env --chdir="$PWD" HOME=/root CARGO_HOME="$home" PATH=/usr/bin:/bin "$@"
  ' - "$folder" "${CARGO_TARGET_DIR:-$PWD/target}" "${CARGO_HOME:-$HOME/.cargo}" "$@"
}

# FORMAT of the programs for 64-bit ARM: the magic number and the mask of the kernel's binfmt_misc.
# shellcheck disable=SC2034 # for the scripts that source this one
format_of_aarch64='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'

in_emulated_root() {
  local folder=$1 emulator=$2 format=$3
  shift 3
  # shellcheck disable=SC2016 # the inner shells' variables
  unshare --mount --propagation private bash -euc "$debian_mounts"'
    # In a user namespace of its own, because the system has one list of formats for each user namespace.
    exec unshare --user --map-root-user --mount --propagation private bash -euc '\''
      root=$1 home=$2 emulator=$3 format=$4
      shift 4
      mount -t binfmt_misc binfmt_misc "$root/proc/sys/fs/binfmt_misc"
      # F: the kernel opens the emulator now, because the root does not contain it.
      printf "%s\n" ":emulated:M::$format:$emulator:OCF" >"$root/proc/sys/fs/binfmt_misc/register"
      exec chroot "$root" env --chdir="$PWD" HOME=/root CARGO_HOME="$home" PATH=/usr/bin:/bin "$@"
    '\'' - "$root" "$home" "$@"
  ' - "$folder" "${CARGO_TARGET_DIR:-$PWD/target}" "${CARGO_HOME:-$HOME/.cargo}" "$emulator" "$format" "$@"
}
