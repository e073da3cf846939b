#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What runs on every host: reward-service replicas if asked for, and the
# trainer beside them, started again when it says so.
#
#   launch/host.sh --gin_file=stage1.gin --workdir=gs://BUCKET/RUN --hosts=auto
#
# Its arguments are those of `python -m srpo_jax.main`. From the environment:
#
#   PYTHON=python        the Python that srpo_jax is installed in
#   RESTART_WAIT=15      seconds before the trainer is started again
#   MAX_RESTARTS=20      starts after the first, in a row; 0: none
#   RESTARTS_RESET=3600  a start that lived for so many seconds ends the row
#   GRACE=600            seconds from SIGTERM to SIGKILL
#   REWARD_REPLICAS=0    reward services here; 0: the trainer starts its own
#   REWARD_PORT=8700     of the first one; the next have the next ports
#   REWARD_FLAGS=        more flags for them, with spaces between
#   TRAINER_PID_FILE=    where to write the trainer's process id
#
# The numbers are our choice. The trainer is started again after exit status 75
# (interrupted, its checkpoint written) and after a signal ended it (128 + N:
# lost memory, SIGKILL, the abort of a JAX that lost its coordinator): this host
# lives, and the other hosts end with 75 and come back too. Any other status is
# passed on. SIGTERM to this script is passed on to the trainer and is the end:
# a host that is being taken away must not start anything. Then the status is
# the trainer's, or 75 where a signal ended it.
set -euo pipefail

python=${PYTHON:-python}
wait_s=${RESTART_WAIT:-15}
max_restarts=${MAX_RESTARTS:-20}
reset_s=${RESTARTS_RESET:-3600}
grace_s=${GRACE:-600}
replicas=${REWARD_REPLICAS:-0}
port=${REWARD_PORT:-8700}
trainer='' sleeper='' stopping=''
services=() holds=()

say() { printf 'host.sh: %s\n' "$*" >&2; }

refuse() {
  say "$*"
  exit 2
}

check_settings() {
  local name
  for name in RESTART_WAIT MAX_RESTARTS RESTARTS_RESET GRACE REWARD_REPLICAS \
    REWARD_PORT; do
    [[ ${!name:-0} =~ ^[0-9]{1,9}$ ]] ||
      refuse "$name=${!name} is no whole number; give one or leave it out"
  done
  command -v "$python" > /dev/null ||
    refuse "PYTHON=$python is not there; give the one that has srpo_jax"
  local argument
  for argument in "$@"; do
    if ((replicas)) && [[ $argument == --gin.REWARD_ADDRESS=* ]]; then
      refuse "$argument and REWARD_REPLICAS=$replicas: give one of the two"
    fi
  done
}

# Turns this subshell into a program. The services' pipes are for the script
# alone to hold.
become() { # program, its arguments
  local hold
  for hold in "${holds[@]}"; do
    exec {hold}>&-
  done
  exec "$@"
}

# A reward service, which ends when its standard input does: this process
# holds the other end, so that even SIGKILL to it leaves no service behind.
start_service() { # index
  local hold flags
  read -ra flags <<< "${REWARD_FLAGS:-}"
  flags+=("--port=$((port + $1))" --log=warning --exit_with_parent)
  exec {hold}> >(
    become "$python" -m srpo_jax.reward.service "${flags[@]}" > /dev/null
  )
  services[$1]=$!
  holds[$1]=$hold
}

# Starts those that are not running. One that dies is passed over by the
# trainer's client; when none is left the trainer ends with 75, and comes here.
start_services() {
  local i
  for ((i = 0; i < replicas; i++)); do
    if [[ -n ${services[i]:-} ]]; then
      kill -0 "${services[i]}" 2> /dev/null && continue
      say "the reward service on port $((port + i)) ended; starting it again"
      close_hold "$i"
    fi
    start_service "$i"
  done
}

close_hold() { # index
  local hold=${holds[$1]}
  exec {hold}>&-
  unset "holds[$1]"
}

# Nobody asks the services any more: a second or so is enough, except for one
# that is still starting.
end_services() {
  local i pid end=$((SECONDS + 5))
  for i in "${!services[@]}"; do
    close_hold "$i"
    kill -TERM "${services[i]}" 2> /dev/null || true
  done
  for pid in "${services[@]}"; do
    end_by "$pid" "$end"
  done
}

# Waits until a process is gone; ends it by force when SECONDS reaches a value.
end_by() { # pid, value
  while kill -0 "$1" 2> /dev/null; do
    if ((SECONDS >= $2)); then
      kill -KILL "$1" 2> /dev/null || true
    fi
    sleep 0.1
  done
}

reward_address() {
  local i address=''
  for ((i = 0; i < replicas; i++)); do
    address+="${address:+,}http://127.0.0.1:$((port + i))"
  done
  printf '%s' "$address"
}

# This trap ends what the script waits for, so that it does not matter whether
# it comes during a `wait` or just before one, which it would not interrupt.
stop() {
  [[ -z $stopping ]] || return 0
  stopping=yes
  say "asked to stop; the trainer has $grace_s s to end"
  [[ -z $sleeper ]] || kill -KILL "$sleeper" 2> /dev/null || true
  [[ -z $trainer ]] || end_trainer
}

end_trainer() {
  kill -TERM "$trainer" 2> /dev/null || true
  end_by "$trainer" $((SECONDS + grace_s))
}

# Runs the trainer; its exit status is left in `status`.
run_trainer() { # its arguments
  become "$python" -m srpo_jax.main "$@" &
  trainer=$!
  # SIGTERM may have come before there was anybody to pass it to.
  [[ -z $stopping ]] || end_trainer
  [[ -z ${TRAINER_PID_FILE:-} ]] || printf '%s\n' "$trainer" > "$TRAINER_PID_FILE"
  wait "$trainer" || true
  status=0
  # Of the trainer, also where a signal ended the first `wait`: bash remembers
  # what a child ended with.
  wait "$trainer" || status=$?
  trainer=''
}

# Waits RESTART_WAIT seconds, or until asked to stop.
rest() {
  sleep "$wait_s" &
  sleeper=$!
  [[ -z $stopping ]] || kill -KILL "$sleeper" 2> /dev/null || true
  wait "$sleeper" || true
  sleeper=''
}

run() { # the trainer's arguments
  local began restarts=0
  while [[ -z $stopping ]]; do
    start_services
    began=$SECONDS
    run_trainer "$@"
    [[ -z $stopping ]] || break
    ((status == 75 || status > 128)) || return 0
    ((SECONDS - began < reset_s)) || restarts=0
    if ((restarts >= max_restarts)); then
      say "the trainer ended with $status; it was started again" \
        "$restarts times, which is all of MAX_RESTARTS"
      return 0
    fi
    restarts=$((restarts + 1))
    say "the trainer ended with $status; again in $wait_s s" \
      "($restarts of $max_restarts)"
    rest
  done
  ((status <= 128)) || status=75
}

check_settings "$@"
status=75
trap stop TERM INT HUP
trap end_services EXIT
if ((replicas)); then
  set -- "$@" "--gin.REWARD_ADDRESS=$(reward_address)"
fi
run "$@"
exit "$status"
