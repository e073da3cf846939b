#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Several hosts on this machine, each a process with virtual CPU devices: the
# path of a pod without one. Each runs through launch/host.sh.
#
#   launch/local.sh 2 --devices=4 -- --gin_file=stage1.gin --workdir=runs/two
#
# HOSTS          how many
# --devices=D    virtual CPU devices of each host; 1 if left out
# --logs=DIR     standard error and output of each host in DIR/host0.log, ...;
#                process ids in DIR/host0.pid (host.sh's) and DIR/trainer0.pid
# --dry-run      print the commands and stop
#
# What host.sh reads from the environment holds for every host; only the first
# one starts the reward services of REWARD_REPLICAS, and all ask those. SIGTERM
# is passed on to every host. The exit status is the worst of theirs, where 0 is
# better than 75, 75 than 2, and 2 than any other.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
hosts='' devices=1 logs='' dry_run=''
pids=()

refuse() {
  printf 'local.sh: %s; see the head of %s\n' "$*" "${BASH_SOURCE[0]}" >&2
  exit 2
}

whole() { # name, value
  [[ $2 =~ ^[1-9][0-9]{0,3}$ ]] || refuse "$1=$2 is no number from 1 on"
}

read_flags() {
  [[ " $* " == *' -- '* ]] || refuse 'no -- before the arguments of main'
  while [[ $1 != -- ]]; do
    case $1 in
      --devices=*) devices=${1#*=} ;;
      --logs=*) logs=${1#*=} ;;
      --dry-run) dry_run=yes ;;
      -*) refuse "unknown flag $1" ;;
      *) [[ -z $hosts ]] || refuse "HOSTS twice: $hosts and $1"; hosts=$1 ;;
    esac
    shift
  done
  whole HOSTS "$hosts"
  whole --devices "$devices"
}

free_port() {
  "${PYTHON:-python}" -c 'import socket
with socket.socket() as s:
  s.bind(("127.0.0.1", 0))
  print(s.getsockname()[1])'
}

# Puts the command of a host into `command`, its environment into `settings`.
describe() { # host, coordinator's port, arguments of main
  local host=$1 port=$2
  shift 2
  command=(
    "$here/host.sh" "$@"
    "--hosts=$hosts" "--host=$host" "--coordinator=127.0.0.1:$port"
  )
  settings=(
    JAX_PLATFORMS=cpu
    "XLA_FLAGS=${XLA_FLAGS:+$XLA_FLAGS }$(count_flag)"
  )
  if [[ -n $logs ]]; then
    settings+=("TRAINER_PID_FILE=$logs/trainer$host.pid")
  fi
  if ((host > 0 && ${REWARD_REPLICAS:-0} > 0)); then
    settings+=(REWARD_REPLICAS=0)
    command+=("--gin.REWARD_ADDRESS=$(addresses)")
  fi
}

count_flag() { printf -- '--xla_force_host_platform_device_count=%s' "$devices"; }

# The services of the first host, as host.sh names them.
addresses() {
  local i address=''
  for ((i = 0; i < REWARD_REPLICAS; i++)); do
    address+="${address:+,}http://127.0.0.1:$((${REWARD_PORT:-8700} + i))"
  done
  printf '%s' "$address"
}

start() { # host; uses `command` and `settings`
  if [[ -z $logs ]]; then
    env "${settings[@]}" "${command[@]}" &
  else
    env "${settings[@]}" "${command[@]}" >> "$logs/host$1.log" 2>&1 &
    printf '%s\n' "$!" > "$logs/host$1.pid"
  fi
  pids[$1]=$!
}

stop() {
  kill -TERM "${pids[@]}" 2> /dev/null || true
}

rank() { # status
  case $1 in 0) echo 0 ;; 75) echo 1 ;; 2) echo 2 ;; *) echo 3 ;; esac
}

# Waits for every host; the worst status is left in `worst`.
wait_for_all() {
  local pid status
  worst=0
  for pid in "${pids[@]}"; do
    while :; do
      status=0
      wait "$pid" || status=$?
      # A signal to this script ends `wait` too: then the host may be there yet.
      kill -0 "$pid" 2> /dev/null || break
    done
    # Bash remembers what a child ended with.
    status=0
    wait "$pid" || status=$?
    (($(rank "$status") <= $(rank "$worst"))) || worst=$status
  done
}

read_flags "$@"
while [[ $1 != -- ]]; do shift; done
shift
port=$(free_port)
[[ -z $logs || -n $dry_run ]] || mkdir -p "$logs"
trap stop TERM INT HUP
for ((host = 0; host < hosts; host++)); do
  describe "$host" "$port" "$@"
  if [[ -n $dry_run ]]; then
    printf '%q ' env "${settings[@]}" "${command[@]}"
    printf '\n'
  else
    start "$host"
  fi
done
[[ -z $dry_run ]] || exit 0
wait_for_all
exit "$worst"
