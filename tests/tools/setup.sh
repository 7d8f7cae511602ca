# SPDX-License-Identifier: Apache-2.0
# Set-up shared by tests/run, examples/run and bench/run, which source it. Each `need_…` says what it installs and how large that
# is before it does so, and does nothing when all is there. Python packages and Catch2 go into .deps/ of this checkout; compilers
# and libraries come from the system's package manager. The system's package sources are never touched.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
deps=$root/.deps
jobs=${JOBS:-$(nproc)}

# Environments and .pc files hold absolute paths: those of a checkout that moved are of no use.
[ "$(cat "$deps/root" 2>/dev/null)" = "$root" ] || rm -rf "$deps"
mkdir -p "$deps" && echo "$root" > "$deps/root"
PATH=$deps/venv/bin:$PATH
export PKG_CONFIG_PATH=$deps/sysroot/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}

say() { echo "-- $*" >&2; }
die() { echo "error: $*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo > /dev/null; then sudo "$@"
  else die "this needs root or sudo: $*"; fi
}

missing_apt() {  # PACKAGE… : those that are not installed
  dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null | sed -n 's/ installed$//p' | sort -u |
    comm -13 - <(printf '%s\n' "$@" | sort -u)
}

plan_apt() {     # PACKAGE… : what apt would do, in its words, without doing it; fails where it cannot
  LC_ALL=C apt-get -y -o Debug::NoLocking=1 --no-install-recommends --print-uris install "$@" 2>/dev/null | sed '/^.http/d'
}

need_apt() {     # PACKAGE…
  local missing size
  mapfile -t missing < <(missing_apt "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  plan_apt "${missing[@]}" > /dev/null || { say "refreshing apt's package lists"; as_root apt-get -qq update || true; }
  size=$(plan_apt "${missing[@]}" | grep -E '^(Need to get|After this)' | tr '\n' ' ') || { say "apt has no ${missing[*]}"; return 1; }
  say "apt installs ${missing[*]} into the system. $size"
  # Old lists name files that are gone from the mirror, so a failure gets fresh lists and a second try.
  install_apt "${missing[@]}" || { as_root apt-get -qq update; install_apt "${missing[@]}"; }
}

install_apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    --no-install-recommends install "$@" > /dev/null
}

need_venv() {    # SIZE REQUIREMENT… : SIZE is what to tell the user; $venv: which environment, if not the tools' own
  local size=$1 where=$deps/${venv:-venv}; shift
  local have=$where/requirements
  local missing=() r
  for r; do grep -qxF -- "$r" "$have" 2>/dev/null || missing+=("$r"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "pip installs ${missing[*]} into ${where#"$root/"} (about $size)"
  [ -x "$where/bin/python" ] || python3 -m venv "$where" || return 1
  "$where/bin/python" -m pip install -q --disable-pip-version-check "${missing[@]}" || return 1
  printf '%s\n' "${missing[@]}" >> "$have"
}

need_wheel() {   # SIZE NAME==VERSION : the files of one wheel, in .deps/wheels/NAME-VERSION, on no Python's path
  local where=$deps/wheels/${2/==/-}
  [ -e "$where/complete" ] && return 0
  say "pip unpacks $2 into ${where#"$root/"} (about $1)"
  rm -rf "$where"
  "$deps/venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-compile --target "$where" "$2" && touch "$where/complete"
}

# Two releases of one small wheel, for the dlpack.h that they carry (1.2 and 1.3); the newer one's library is tested, too.
need_dlpack_headers() {
  need_wheel '10 MB' apache-tvm-ffi==0.1.2 && need_wheel '12 MB' apache-tvm-ffi==0.1.15.post2
}

# What the tests of the Python package stand on, apart from the package itself: that one is installed into an empty environment.
need_torch() {
  venv=python need_venv "870 MB on disk" torch==2.13.0 numpy pytest
}

# The C++ frameworks that tests/tools/frameworks.py knows besides torch and tvm-ffi. ONNX Runtime's wheel has the library without its
# headers; Debian 13 has these, of an older version, which newer libraries serve.
need_frameworks() {
  need_apt libopencv-core-dev || say "without libopencv-core-dev, frameworks/opencv is left out"
  venv=frameworks need_venv "650 MB" jax onnxruntime numpy || return 1
  [ -e "$deps/onnxruntime/usr/include/onnxruntime" ] || unpack_apt trixie libonnxruntime-dev "$deps/onnxruntime" '1 MB' ||
    say "without Debian's libonnxruntime-dev, frameworks/onnxruntime is left out"
}

need_python() {  # a Python that can make environments, from wherever it comes
  python3 -c 'import venv, ensurepip' 2>/dev/null || need_apt python3 python3-venv
}

# Catch2 3 from the distribution's backports, unpacked into .deps/sysroot; else whatever Catch2 the distribution itself has.
need_catch2() {
  pkg-config --exists 'catch2-with-main >= 3' || backported_catch2 || {
    say "no Catch2 3 in the backports: taking the distribution's own (tests/catch.hpp knows both)"
    need_apt catch2
  }
}

backported_catch2() {
  local sysroot=$deps/sysroot codename pc
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  unpack_apt "$codename-backports" libcatch2-dev "$sysroot" '4 MB' || return 1
  mkdir -p "$sysroot/pkgconfig"
  for pc in $(find "$sysroot/usr" -name 'catch2*.pc'); do sed "s,/usr,$sysroot/usr,g" "$pc" > "$sysroot/pkgconfig/${pc##*/}"; done
  pkg-config --exists 'catch2-with-main >= 3'
}

# apt on another suite of the distribution, without touching the system: afterwards private_apt looks there.
other_suite() {  # SUITE [deb-src]
  local keys=/usr/share/keyrings/debian-archive-keyring.gpg codename mirror signed=
  apt=$deps/apt
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  own_mirror() {
    apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' | sed -n "s/^$codename main //p;T;q"
  }
  mirror=$(own_mirror)
  [ -n "$mirror" ] || { as_root apt-get -qq update || true; mirror=$(own_mirror); }   # apt tells only once it has lists
  [ -n "$mirror" ] || return 1
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  [ ! -e $keys ] || signed="[signed-by=$keys]"
  echo "${2:-deb} $signed $mirror $1 main" > "$apt/sources.list"
  private_apt() {
    (cd "$apt" && apt-get -qq -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::Cache="$apt/cache" \
      -o Dir::State::Lists="$apt/lists" -o APT::Sandbox::User= "$@")
  }
  say "apt reads the index of $1 into ${apt#"$root/"} (3 to 60 MB; the system's sources stay as they are)"
  private_apt update
}

unpack_apt() {   # SUITE PACKAGE WHERE SIZE : one package of another suite, unpacked
  local suite=$1 package=$2 where=$3 apt
  other_suite "$suite" && private_apt --print-uris download "$package" > "$apt/uri" || return 1
  say "apt unpacks $package into ${where#"$root/"} ($(awk '{print int($3 / 1e6 + 1)}' "$apt/uri") MB, $4 unpacked)"
  rm -f "$apt"/*.deb && private_apt download "$package" && dpkg -x "$apt/$package"_*.deb "$where"
}

# Configures build/NAME once, and again whenever the options here change.
configure() {    # NAME COMPILER MESON_OPTION…
  local dir=$root/build/$1 cxx=$2 wanted="$*"; shift 2
  [ "$(cat "$dir/options" 2>/dev/null)" = "$wanted" ] && return 0
  rm -rf "$dir" && mkdir -p "$dir"
  CXX=$cxx meson setup "$dir" "$root" "$@" > "$dir.log" 2>&1 || { cat "$dir.log" >&2; return 1; }
  echo "$wanted" > "$dir/options"
}
