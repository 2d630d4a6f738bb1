# shellcheck shell=bash
# Ports that a script is going to use, checked before anything is started. Sourced.

# require_free_port PORT WHAT VARIABLE SCRIPT: ends the script in plain words if something listens on PORT of this machine.
#   require_free_port "${KLAIM_PORT:-8080}" 'the web page' KLAIM_PORT scripts/demo
require_free_port() {
  local port=$1 what=$2 variable=$3 script=$4 user=''
  if [[ ! $port =~ ^[0-9]{1,5}$ ]] || ((10#$port < 1 || 10#$port > 65535)); then
    printf '%s=%s is not a port: it must be a number from 1 to 65535.\n' "$variable" "$port" >&2
    exit 1
  fi
  (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || return 0
  user=$(port_user "$port")
  printf 'Port %s, wanted for %s, is already in use%s. Choose another: %s=%s %s\n' \
    "$port" "$what" "${user:+ by $user}" "$variable" "$((10#$port < 65535 ? 10#$port + 1 : 8081))" "$script" >&2
  exit 1
}

# Name and process id of what listens on a port, if this machine can tell.
port_user() {
  command -v ss >/dev/null 2>&1 || return 0
  ss -Hltnp "sport = :$1" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 (process \2)/p' | head -n 1
}
