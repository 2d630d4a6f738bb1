# shellcheck shell=bash
# What Klaim's scripts need on a machine, put there once. Sourced, after `set -euo pipefail`. Every function says in one sentence
# what it does, is silent when there is nothing to do, and uses no network when everything is already there.
#
#   ensure_node_modules   the packages of package-lock.json, Node 24 among them; puts node_modules/.bin first on PATH, so that `node` is it
#   ensure_nats_server    exports NATS_SERVER, a nats-server of at least nats_version_min
#   ensure_nats_cli       exports NATS_CLI, the command `nats` by which the runbook asks NATS, of version nats_cli_version
#   ensure_page           services/web/out, the claim page, built from what is in the repository now
#   ensure_chromium       exports CHROMIUM, for tests and pictures of the page
#   ensure_openssl        the command openssl, for tests
#   ensure_jq             the command jq, for tests of the guide to the logs
#   ensure_sqlite3        the command sqlite3, for tests of the runbook
#   ensure_schemathesis   exports SCHEMATHESIS, which holds the gateway against its own description
#   ensure_prometheus     exports PROMTOOL, PROMETHEUS, AMTOOL and ALERTMANAGER, for tests of metrics, alerts and dashboards
#   ensure_node_exporter  exports NODE_EXPORTER, for tests of dashboards
#   ensure_k6             exports K6, for scripts/load
#   ensure_redis          exports REDIS_SERVER, for what Klaim is measured against
#   ensure_packed         exports KLAIM_PACKED, a directory with the services as they are in the image, packed and compiled, for benches
#   ensure_baseline       exports BASELINE, a directory with deploy/load/baseline-bullmq and its packages

klaim_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
klaim_cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/klaim
nats_version_min=2.14.3 # deploy/staging/nats/nats-server.ts asks for the same.
nats_cli_version=0.5.1
nats_cli_go=1.26 # The least that its go.mod asks for.
k6_version=1.8.1

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# ensure_together NAME…: as one after another, but what is missing is fetched and built at the same time. Then each finds the work done, and exports.
ensure_together() {
  local name job jobs=() failed=''
  for name in "$@"; do
    "$name" &
    jobs+=("$!")
  done
  for job in "${jobs[@]}"; do wait "$job" || failed=yes; done
  [ -z "$failed" ] || exit 1
  for name in "$@"; do "$name"; done
}

# run_quietly LOG COMMAND…: shows what the command said only if it fails.
run_quietly() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 </dev/null && return
  tail -n 20 "$log" >&2
  return 1
}

ensure_node_modules() {
  local bin=$klaim_root/node_modules/.bin state stamp=$klaim_root/node_modules/.klaim-setup
  PATH=:$PATH:
  PATH=${PATH//":$bin:"/:} # npm must not run on the node that it is about to replace.
  PATH=${PATH#:}
  PATH=${PATH%:}
  state=$(cat "$klaim_root"/{package-lock.json,.taprc} | sha256sum)
  if [ "$(cat "$stamp" 2>/dev/null)" != "$state" ]; then
    # Two scripts at once: the second waits, and finds the work done.
    {
      ! has flock || flock 9
      [ "$(cat "$stamp" 2>/dev/null)" = "$state" ] || install_node_modules "$stamp" "$state"
    } 9<"$klaim_root"
  fi
  export PATH="$bin:$PATH"
  # Each process compiles only what none has before it: a service starts with about half the work. Goes with node_modules, so it does not grow for ever.
  export NODE_COMPILE_CACHE=${NODE_COMPILE_CACHE:-$klaim_root/node_modules/.cache/compiled}
}

install_node_modules() {
  local stamp=$1 state=$2 log
  has npm || fail 'npm is missing. Install Node.js 20 or newer with npm (https://nodejs.org), then run this again.'
  log=$(mktemp)
  if ! installed_as_locked; then
    say 'Installing the packages of package-lock.json with npm ci.'
    (cd "$klaim_root" && run_quietly "$log" npm ci --prefer-offline --no-audit --no-fund --loglevel=error --fetch-timeout=60000) ||
      fail 'npm ci failed (its last lines are above). If it could not reach the npm registry, connect and run this again.'
  fi
  has_node_24 || fail 'There is no Node 24: npm has it for Linux on x64 and arm64. On such a machine run this again; elsewhere install Node 24 first.'
  # .taprc chooses tap's plugins; tap has to be put together from them after every npm ci, or its first run fails (tap 21.8.0).
  say 'Putting tap together with the plugins of .taprc.'
  (cd "$klaim_root" && PATH="$klaim_root/node_modules/.bin:$PATH" run_quietly "$log" tap build) ||
    fail 'tap build failed; its last lines are above.'
  rm -f "$log"
  printf '%s\n' "$state" >"$stamp"
}

# Node is an optional package, because each is for one kind of machine; npm passes over one that it could not get.
has_node_24() {
  PATH="$klaim_root/node_modules/.bin:$PATH" node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 24 ? 0 : 1)' 2>/dev/null
}

# Whether node_modules already holds what package-lock.json names (npm install does as well as npm ci). What was left out must be optional.
installed_as_locked() {
  has_node_24 || return 1
  (cd "$klaim_root" && node -e '
    const packages = file => JSON.parse(require("fs").readFileSync(file, "utf8")).packages
    const locked = packages("package-lock.json")
    const installed = packages("node_modules/.package-lock.json")
    const differs = ([path, { version, optional }]) => path !== "" && installed[path]?.version !== version && !(optional && !installed[path])
    process.exit(Object.entries(locked).some(differs) || Object.keys(installed).some(path => !locked[path]) ? 1 : 0)
  ') 2>/dev/null
}

# What the page is built from: a change of any of it makes the built one old.
page_sources() {
  (cd "$klaim_root" && {
    find services/web contracts services/common config/messages config/templates.json package-lock.json tsconfig.json \
      \( -path services/web/out -o -path services/web/.next -o -name test -o -name next-env.d.ts \) -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
    printf '%s\n' "${NEXT_PUBLIC_GATEWAY_URL:-}"
  } | sha256sum)
}

ensure_page() {
  local out=$klaim_root/services/web/out state
  state=$(page_sources)
  [ "$(cat "$out/.built" 2>/dev/null)" != "$state" ] || return 0
  # Two scripts at once: the second waits, and finds the work done.
  {
    ! has flock || flock 9
    [ "$(cat "$out/.built" 2>/dev/null)" = "$state" ] || build_page "$out" "$state"
  } 9<"$klaim_root/services/web"
}

build_page() {
  local out=$1 state=$2 log
  log=$(mktemp)
  say 'Building the claim page, which takes about 15 seconds.'
  (cd "$klaim_root" && run_quietly "$log" npm run build:web) || fail 'The claim page could not be built; the last lines of npm run build:web are above.'
  rm -f "$log"
  printf '%s\n' "$state" >"$out/.built"
}

ensure_nats_server() {
  local candidate tried=''
  if [ -n "${NATS_SERVER:-}" ] && ! is_new_nats "$NATS_SERVER"; then
    fail "NATS_SERVER is $NATS_SERVER, which is not a nats-server of version $nats_version_min or newer. Correct it or unset it."
  fi
  for candidate in "${NATS_SERVER:-}" "$(command -v nats-server || true)" "$klaim_cache"/nats-server-*/nats-server; do
    if [ -n "$candidate" ] && is_new_nats "$candidate"; then
      export NATS_SERVER=$candidate
      return
    fi
  done
  klaim_temp=$(mktemp -d)
  if nats_from_debian || nats_from_release; then
    local version
    version=$(nats_version "$klaim_temp/nats-server")
    NATS_SERVER=$klaim_cache/nats-server-$version/nats-server
    mkdir -p "${NATS_SERVER%/*}"
    mv "$klaim_temp/nats-server" "$NATS_SERVER.$$" && mv "$NATS_SERVER.$$" "$NATS_SERVER"
    export NATS_SERVER
    rm -rf "$klaim_temp"
    return
  fi
  tried=$(cat "$klaim_temp/tried")
  rm -rf "$klaim_temp"
  fail "No nats-server $nats_version_min or newer. Tried: \$NATS_SERVER, PATH, $klaim_cache; $tried.
Connect to the network and run this again, or install nats-server (https://nats.io/download) and set NATS_SERVER to its path."
}

nats_version() { "$1" --version 2>/dev/null | sed -n 's/^nats-server: v\([0-9][0-9.]*\).*/\1/p'; }

is_new_nats() {
  local version
  [ -x "$1" ] || return 1
  version=$(nats_version "$1")
  [ -n "$version" ] && [ "$(printf '%s\n' "$nats_version_min" "$version" | sort -V | head -n 1)" = "$nats_version_min" ]
}

# not_got WHAT: remembers a failed source for the last message.
not_got() {
  printf '%s%s' "$([ -s "$klaim_temp/tried" ] && printf '; ')" "$1" >>"$klaim_temp/tried"
  return 1
}

# Debian's package of the next suite, whose server is new enough where that of Debian 12 and 13 is not.
nats_from_debian() {
  say "Getting nats-server from Debian's next suite, forky."
  unpack_debian forky nats-server || return 1
  if is_new_nats "$klaim_temp/package/usr/sbin/nats-server"; then
    mv "$klaim_temp/package/usr/sbin/nats-server" "$klaim_temp/nats-server"
  else
    not_got 'nats-server in Debian forky, which does not run here or is too old'
  fi
}

# unpack_debian SUITE PACKAGE…: into $klaim_temp/package, without installing anything. apt checks Debian's signature and the packages' sums
# itself; it works in a directory of its own, so this machine's package sources and lists stay as they are, and nobody has to be root.
unpack_debian() {
  local suite=$1 apt=$klaim_temp/apt keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror deb
  shift
  if ! has apt-get || ! has dpkg-deb || [ ! -r "$keyring" ]; then
    not_got 'Debian (this machine has no apt with the keys of Debian)'
    return
  fi
  # shellcheck disable=SC2016 # the format is apt's, not the shell's
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -E '/debian/?$' | sort -u | head -n 1 || true)
  if [ -z "$mirror" ]; then
    not_got "Debian $suite (this machine's apt names no mirror of Debian)"
    return
  fi
  mkdir -p "$apt/lists/partial" "$apt/archives/partial"
  chmod 755 "$klaim_temp" "$apt"
  ! { [ "$(id -u)" = 0 ] && id _apt >/dev/null 2>&1; } || chown -R _apt "$apt" # apt fetches as this user when it is started by root.
  printf 'deb [signed-by=%s target=Packages lang=none] %s %s main\n' "$keyring" "$mirror" "$suite" >"$apt/sources.list"
  local options=(-qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$apt/lists"
    -o "Dir::Cache=$apt" -o Dir::State::status=/dev/null -o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10 -o Acquire::Retries=1
    -o APT::Update::Error-Mode=any)
  if (cd "$apt" && timeout 180 apt-get "${options[@]}" update && timeout 180 apt-get "${options[@]}" download "$@") >"$apt/log" 2>&1; then
    for deb in "$apt"/*.deb; do dpkg-deb -x "$deb" "$klaim_temp/package"; done
  else
    tail -n 3 "$apt/log" >&2
    not_got "$* in Debian $suite at $mirror"
  fi
}

# NATS's own release, for machines that are not Debian. The newest version whose sums its makers publish in a second place, the Dockerfile
# of their official image (github.com/nats-io/nats-docker, 2.14.x/alpine3.22): a sum fetched along with the file would prove nothing.
nats_from_release() {
  local version=2.14.5 machine sum url
  case $(uname -sm) in
    'Linux x86_64') machine=linux-amd64 sum=5e3b603d47c447bda1f77f9ac16dbf91c90aac4ff3681f8fbbc7201e4ed99355 ;;
    'Linux aarch64') machine=linux-arm64 sum=673a98d3faa79dde3f9ebf16d6dfac36a5f694e7ad2015e4954dd7939c85cd4c ;;
    *)
      not_got "no release of NATS is pinned for $(uname -sm)"
      return
      ;;
  esac
  url=https://github.com/nats-io/nats-server/releases/download/v$version/nats-server-v$version-$machine.tar.gz
  say "Getting nats-server $version from NATS's releases on GitHub."
  if download "$url" "$klaim_temp/release.tar.gz" && printf '%s  %s\n' "$sum" "$klaim_temp/release.tar.gz" | sha256sum -c --quiet - >&2; then
    tar -xzf "$klaim_temp/release.tar.gz" -C "$klaim_temp" --strip-components=1 "nats-server-v$version-$machine/nats-server"
  else
    not_got "$url"
  fi
}

download() {
  if has curl; then curl -fsSL --connect-timeout 10 --max-time 180 -o "$2" "$1"
  elif has wget; then wget -q --connect-timeout=10 --read-timeout=60 --tries=1 -O "$2" "$1"
  else
    say 'Neither curl nor wget is here.'
    return 1
  fi
}

# Built from its module, whose sum Go checks against its public log: Debian has no package of it.
ensure_nats_cli() {
  local candidate
  if [ -n "${NATS_CLI:-}" ] && ! is_nats_cli "$NATS_CLI"; then fail "NATS_CLI is $NATS_CLI, which is not the command nats of version $nats_cli_version. Correct it or unset it."; fi
  for candidate in "${NATS_CLI:-}" "$(command -v nats || true)" "$klaim_cache/nats-cli-$nats_cli_version/nats"; do
    if [ -n "$candidate" ] && is_nats_cli "$candidate"; then
      export NATS_CLI=$candidate
      return
    fi
  done
  NATS_CLI=$klaim_cache/nats-cli-$nats_cli_version/nats
  mkdir -p "${NATS_CLI%/*}"
  # Two scripts at once: the second waits, and finds the work done.
  {
    ! has flock || flock 9
    is_nats_cli "$NATS_CLI" || build_nats_cli "$NATS_CLI"
  } 9<"${NATS_CLI%/*}"
  export NATS_CLI
}

is_nats_cli() { [ -x "$1" ] && [ "$("$1" --version 2>/dev/null | sed -n 's/^v\{0,1\}\([0-9][0-9.]*\).*/\1/p')" = "$nats_cli_version" ]; }

build_nats_cli() {
  local target=$1 go tried own=()
  klaim_temp=$(mktemp -d)
  if go=$(new_go); then
    say "Building the command nats $nats_cli_version with $go, which takes some minutes."
  else
    # A program of its own, without anything of this machine, so that of the next suite runs here too.
    say "Building the command nats $nats_cli_version with Go $nats_cli_go of Debian's next suite, forky, which takes some minutes."
    if ! unpack_debian forky "golang-$nats_cli_go-go" "golang-$nats_cli_go-src"; then
      tried=$(cat "$klaim_temp/tried")
      rm -rf "$klaim_temp"
      fail "No command nats $nats_cli_version, and no Go $nats_cli_go to build it with. Tried: PATH; $tried.
Connect to the network and run this again, or install one of them and put it on PATH."
    fi
    go=$klaim_temp/package/usr/lib/go-$nats_cli_go/bin/go
    # What it builds from, 600 MB, goes with it.
    own=("GOROOT=${go%/bin/go}" "GOPATH=$klaim_temp/go" "GOCACHE=$klaim_temp/cache")
  fi
  if ! run_quietly "$klaim_temp/log" env "${own[@]}" GOFLAGS=-modcacherw GOTOOLCHAIN=local CGO_ENABLED=0 "GOBIN=$klaim_temp/bin" \
    timeout 1500 "$go" install "github.com/nats-io/natscli/nats@v$nats_cli_version"; then
    rm -rf "$klaim_temp"
    fail 'The command nats could not be built (the last lines are above). Connect to the network and run this again, or set NATS_CLI to its path.'
  fi
  mv "$klaim_temp/bin/nats" "$target.$$" && mv "$target.$$" "$target"
  rm -rf "$klaim_temp"
}

# Built from its module like the command nats; for whoever puts load on a system by hand, so with the go that is here.
ensure_k6() {
  local candidate
  for candidate in "${K6:-}" "$(command -v k6 || true)" "$klaim_cache/k6-$k6_version/k6"; do
    if [ -n "$candidate" ] && [ -x "$candidate" ] && "$candidate" version 2>/dev/null | grep -q "^k6 v$k6_version"; then
      export K6=$candidate
      return
    fi
  done
  K6=$klaim_cache/k6-$k6_version/k6
  mkdir -p "${K6%/*}"
  # Two scripts at once: the second waits, and finds the work done.
  {
    ! has flock || flock 9
    [ -x "$K6" ] || build_k6 "$K6"
  } 9<"${K6%/*}"
  export K6
}

build_k6() {
  local target=$1 go log directory
  go=$(new_go) || fail "No k6 $k6_version, and no Go $nats_cli_go or newer on PATH to build it with. Install one of them, or set K6 to the path of k6."
  say "Building k6 $k6_version with $go, which takes some minutes."
  directory=$(mktemp -d)
  log=$directory/log
  run_quietly "$log" env GOFLAGS=-modcacherw GOTOOLCHAIN=local CGO_ENABLED=0 "GOBIN=$directory" timeout 1500 "$go" install "go.k6.io/k6@v$k6_version" ||
    fail 'k6 could not be built (the last lines are above). Connect to the network and run this again, or set K6 to its path.'
  mv "$directory/k6" "$target.$$" && mv "$target.$$" "$target"
  rm -rf "$directory"
}

# Debian's redis-server is a name for redis-check-rdb of redis-tools, which starts nothing when it is installed.
ensure_redis() {
  local command
  for command in "${REDIS_SERVER:-}" redis-server "$klaim_cache/redis/redis-server"; do
    if [ -n "$command" ] && has "$command"; then
      REDIS_SERVER=$(command -v "$command")
      export REDIS_SERVER
      return
    fi
  done
  if ! has redis-check-rdb; then
    if ! has apt-get || [ "$(id -u)" != 0 ]; then fail 'redis-server is missing. Install it (on Debian, as root: apt-get install redis-tools), or set REDIS_SERVER to its path.'; fi
    say "Installing Debian's redis-tools with apt-get."
    debian_packages redis-tools || fail 'apt-get could not install redis-tools (its last lines are above). Connect, or install it by hand.'
  fi
  mkdir -p "$klaim_cache/redis"
  ln -sf "$(command -v redis-check-rdb)" "$klaim_cache/redis/redis-server"
  export REDIS_SERVER=$klaim_cache/redis/redis-server
}

# Beside Klaim, not in it: named after the sum of its files, so that a change makes a new one.
ensure_baseline() {
  local source=$klaim_root/deploy/load/baseline-bullmq log
  BASELINE=$klaim_cache/baseline-bullmq-$(cat "$source"/{package-lock.json,chain.js} | sha256sum | cut -c 1-12)
  export BASELINE
  [ ! -e "$BASELINE/.complete" ] || return 0
  say 'Installing the packages of deploy/load/baseline-bullmq with npm ci.'
  mkdir -p "$BASELINE"
  log=$(mktemp)
  cp "$source"/{package.json,package-lock.json,chain.js} "$BASELINE"
  (cd "$BASELINE" && run_quietly "$log" npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error --fetch-timeout=60000) || fail 'npm ci failed (its last lines are above). Connect and run this again.'
  rm -f "$log"
  touch "$BASELINE/.complete"
}

# Made anew each time: it takes seconds, and what it is made from is what is being worked on.
ensure_packed() {
  local service log
  export KLAIM_PACKED=$klaim_cache/packed
  rm -rf "$KLAIM_PACKED"
  mkdir -p "$KLAIM_PACKED"/{deploy/staging/whatsapp,services}
  (
    cd "$klaim_root"
    cp -R package.json config contracts "$KLAIM_PACKED"
    for service in common bot claim-store gateway notifier provisioner reaper; do cp -R "services/$service" "$KLAIM_PACKED/services"; done
    cp deploy/{precompile,process}.ts "$KLAIM_PACKED/deploy"
    cp deploy/staging/whatsapp/{trust-root,root-key}.ts "$KLAIM_PACKED/deploy/staging/whatsapp"
  )
  export NODE_COMPILE_CACHE=$KLAIM_PACKED/compiled
  log=$(mktemp)
  (cd "$KLAIM_PACKED" && run_quietly "$log" node "$klaim_root/deploy/pack.ts" . services/*/main.ts services/common/tracing-export.ts deploy/staging/whatsapp/trust-root.ts && run_quietly "$log" node deploy/precompile.ts deploy/staging/whatsapp/trust-root.ts) ||
    fail 'The services could not be packed; the last lines of why are above.'
  rm -f "$log"
}

# The go on PATH, if it is new enough for the module.
new_go() {
  local version
  version=$(go env GOVERSION 2>/dev/null | sed -n 's/^go\([0-9][0-9.]*\).*/\1/p')
  [ -n "$version" ] && [ "$(printf '%s\n' "$nats_cli_go" "$version" | sort -V | head -n 1)" = "$nats_cli_go" ] && command -v go
}

# Tests make the certificates of a NATS with TLS.
ensure_openssl() { ensure_debian_command openssl; }

# docs/follow-a-claim.md reads the logs with it.
ensure_jq() { ensure_debian_command jq; }

# RUNBOOK.md looks into a book with it.
ensure_sqlite3() { ensure_debian_command sqlite3; }

# ensure_debian_command NAME: of the package of the same name.
ensure_debian_command() {
  has "$1" && return
  if ! has apt-get || [ "$(id -u)" != 0 ]; then fail "$1 is missing. Install it (on Debian, as root: apt-get install $1)."; fi
  say "Installing Debian's $1 with apt-get."
  debian_packages "$1" || fail "apt-get could not install $1 (its last lines are above). Connect, or install it by hand."
}

ensure_chromium() {
  local name
  for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [ -n "$name" ] && has "$name"; then
      CHROMIUM=$(command -v "$name")
      export CHROMIUM
      return
    fi
  done
  if ! has apt-get || [ "$(id -u)" != 0 ]; then
    fail 'Chromium is missing. Install it (on Debian, as root: apt-get install chromium) or set CHROMIUM to its path.'
  fi
  say "Installing Debian's chromium with apt-get."
  debian_packages chromium fonts-dejavu-core || fail 'apt-get could not install chromium (its last lines are above). Connect, or set CHROMIUM.'
  CHROMIUM=$(command -v chromium)
  export CHROMIUM
}

# debian_packages NAME…: installs them. For root on Debian.
debian_packages() {
  local log
  log=$(mktemp)
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@")
  # One at a time: apt does not wait for another apt.
  {
    ! has flock || flock 8
    # A bare Debian has no package lists yet; one foreign source that does not answer is no reason to give up.
    if ! "${install[@]}" >"$log" 2>&1 </dev/null; then
      apt-get update -qq -o Acquire::http::Timeout=10 >"$log" 2>&1 || true
      run_quietly "$log" "${install[@]}" || return 1
    fi
  } 8</var/lib/dpkg
  rm -f "$log"
}

# In a Python environment of its own, named after the sum of its list of packages: a changed list makes a new one.
ensure_schemathesis() {
  local list=$klaim_root/scripts/lib/schemathesis.txt environment
  environment=$klaim_cache/schemathesis-$(sha256sum <"$list" | cut -c 1-12)
  if [ ! -e "$environment/.complete" ]; then
    mkdir -p "$klaim_cache"
    # Two scripts at once: the second waits, and finds the work done.
    {
      ! has flock || flock 9
      [ -e "$environment/.complete" ] || install_schemathesis "$environment" "$list"
    } 9<"$klaim_cache"
  fi
  export SCHEMATHESIS=$environment/bin/schemathesis
}

install_schemathesis() {
  local environment=$1 list=$2 log
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    if ! has apt-get || [ "$(id -u)" != 0 ]; then
      fail 'Python 3.11 or newer with venv is missing. Install it (on Debian, as root: apt-get install python3-venv), then run this again.'
    fi
    say "Installing Debian's python3-venv with apt-get."
    debian_packages python3-venv || fail 'apt-get could not install python3-venv (its last lines are above). Connect and run this again.'
  fi
  say 'Installing schemathesis with pip into an environment of its own.'
  log=$(mktemp)
  rm -rf "$environment"
  if ! { run_quietly "$log" python3 -m venv "$environment" &&
    run_quietly "$log" "$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r "$list"; }; then
    fail 'schemathesis could not be installed (the last lines are above). Connect to the network and run this again.'
  fi
  rm -f "$log"
  touch "$environment/.complete"
}

# Prometheus and Alertmanager of this machine's Debian, as they are packaged, but not installed: nothing is started, and no user is made.
ensure_prometheus() {
  local directory
  if has promtool && has prometheus && has amtool && has prometheus-alertmanager; then
    PROMTOOL=$(command -v promtool) PROMETHEUS=$(command -v prometheus) AMTOOL=$(command -v amtool) ALERTMANAGER=$(command -v prometheus-alertmanager)
    export PROMTOOL PROMETHEUS AMTOOL ALERTMANAGER
    return
  fi
  directory=$klaim_cache/prometheus-$(debian_suite)
  # Unpacked by a version that did not know of the templates.
  [ -e "$directory/templates" ] || rm -f "$directory/.complete"
  ensure_unpacked "$directory" prometheus prometheus-alertmanager -- promtool prometheus amtool prometheus-alertmanager
  export PROMTOOL=$directory/promtool PROMETHEUS=$directory/prometheus AMTOOL=$directory/amtool ALERTMANAGER=$directory/prometheus-alertmanager
  # Debian's Alertmanager looks for its templates here and nowhere else.
  local templates=/usr/share/prometheus/alertmanager
  if [ ! -e "$templates/default.tmpl" ]; then
    if [ "$(id -u)" = 0 ]; then
      mkdir -p "$templates"
      cp "$directory/templates"/*.tmpl "$templates"
    else
      say "Alertmanager will not start without $templates/default.tmpl (as root: apt-get install prometheus-alertmanager)."
    fi
  fi
}

# The same for what tells Prometheus of the machine.
ensure_node_exporter() {
  local directory
  if has prometheus-node-exporter; then
    NODE_EXPORTER=$(command -v prometheus-node-exporter)
    export NODE_EXPORTER
    return
  fi
  directory=$klaim_cache/node-exporter-$(debian_suite)
  ensure_unpacked "$directory" prometheus-node-exporter -- prometheus-node-exporter
  export NODE_EXPORTER=$directory/prometheus-node-exporter
}

debian_suite() {
  (
    VERSION_CODENAME=''
    # shellcheck source=/dev/null
    [ ! -r /etc/os-release ] || . /etc/os-release
    printf %s "${VERSION_CODENAME:-none}"
  )
}

# ensure_unpacked DIRECTORY PACKAGE… -- COMMAND…: the commands of packages of this machine's Debian, in a directory.
ensure_unpacked() {
  local directory=$1
  [ ! -e "$directory/.complete" ] || return 0
  mkdir -p "$klaim_cache"
  # Two scripts at once: the second waits, and finds the work done.
  {
    ! has flock || flock 9
    [ -e "$directory/.complete" ] || unpack_commands "$@"
  } 9<"$klaim_cache"
}

unpack_commands() {
  local directory=$1 suite tried command packages=()
  shift
  while [ "$1" != -- ]; do packages+=("$1") && shift; done
  shift
  suite=$(debian_suite)
  klaim_temp=$(mktemp -d)
  say "Getting ${packages[*]} from Debian $suite."
  if ! unpack_debian "$suite" "${packages[@]}"; then
    tried=$(cat "$klaim_temp/tried")
    rm -rf "$klaim_temp"
    fail "Missing: $*. Tried: PATH, $klaim_cache; $tried.
Connect to the network and run this again, or put all of them on PATH (on Debian, as root: apt-get install ${packages[*]})."
  fi
  mkdir -p "$directory"
  for command in "$@"; do mv "$klaim_temp/package/usr/bin/$command" "$directory"; done
  if [ -d "$klaim_temp/package/usr/share/prometheus/alertmanager" ]; then
    rm -rf "$directory/templates"
    mv "$klaim_temp/package/usr/share/prometheus/alertmanager" "$directory/templates"
  fi
  rm -rf "$klaim_temp"
  touch "$directory/.complete"
}
