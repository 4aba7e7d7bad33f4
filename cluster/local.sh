#!/usr/bin/env bash
# A real Ray of several nodes on this machine, for its owner alone, and wholly gone afterwards.
#
#   cluster/local.sh                      start it, say how to submit, wait for Ctrl-C
#   cluster/local.sh -- COMMAND [ARG...]  start it, run COMMAND on it, stop it; COMMAND's exit code
#
# The environment may set: WORKERS (1, beside the head), CPUS (1, of each node), OBJECT_STORE_MB
# (200, of each node), START_S (180, for the whole start), RAY_AUTH_MODE (token; or disabled),
# CLUSTER_ENV (a file to write for other shells to source; gone when the cluster is).
#
# shellcheck disable=SC2317  # what only a trap calls is not unreachable
set -euo pipefail
set -m # each node gets a process group of its own, so that Ctrl-C reaches this script alone

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[[ -x $root/.venv/bin/ray ]] && PATH=$root/.venv/bin:$PATH
workers=${WORKERS:-1} cpus=${CPUS:-1} object_store=$((${OBJECT_STORE_MB:-200} * 1024 * 1024))

fail() {
  printf 'local.sh: %s\n' "$*" >&2
  exit 2
}

[[ $# -eq 0 || ($1 == -- && $# -ge 2) ]] || fail "got '$*', expected nothing or -- COMMAND"
command -v ray >/dev/null || fail "no ray on the PATH and no $root/.venv; run 'make setup' first"

# Short, because Ray makes sockets below it and their paths may hold about 100 characters.
scratch=$(mktemp -d /tmp/clipbatch-ray.XXXXXX)
nodes=() running=

# Every process of the cluster inherits this mark, job drivers and other daemons included. Ray's
# agents would write their titles over the environment that /proc shows.
mark=CLIPBATCH_LOCAL_RAY=$scratch
export SPT_NOENV=1

ours() { # the live processes with the mark (Linux; elsewhere the nodes clean up after themselves)
  grep -lzxF "$mark" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 || true
}

gone_within() { # seconds, then a command that prints what is left
  local until=$((SECONDS + $1))
  shift
  while [[ -n $("$@") ]]; do
    ((SECONDS < until)) || return 1
    sleep 0.2
  done
}

end_ours() {
  local found until=$((SECONDS + 10))
  while found=$(ours | xargs) && [[ -n $found ]]; do
    ((SECONDS < until)) || { printf 'local.sh: still running: %s\n' "$found" >&2; break; }
    # shellcheck disable=SC2086  # a list of numbers
    kill -KILL $found 2>/dev/null
    sleep 0.2
  done
  rm -rf "$scratch"
}

guard() { # should this script be killed outright, its nodes do not outlive it for long
  set +e
  while kill -0 $$ 2>/dev/null; do sleep 1; done
  end_ours
}
guard &
guardian=$!

# Never `ray stop`: it ends every Ray on the machine, by name.
stop() {
  trap '' INT TERM HUP
  set +e
  if [[ -n $running ]]; then
    kill -TERM -- "-$running" 2>/dev/null
    gone_within 10 pgrep -g "$running" || kill -KILL -- "-$running"
  fi
  local index
  for ((index = ${#nodes[@]} - 1; index >= 0; index--)); do # the head last
    kill -TERM "${nodes[index]}" 2>/dev/null
  done
  gone_within 15 ours
  end_ours
  [[ -z ${CLUSTER_ENV:-} ]] || rm -f "$CLUSTER_ENV"
  kill -KILL -- "-$guardian"
  wait 2>/dev/null
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

free_ports() { # how many; from a range that neither the kernel nor Ray hands out by itself
  python3 - "$1" <<'PYTHON'
import random, socket, sys

found = []
for port in random.sample(range(20000, 32000), 1000):
    with socket.socket() as one:
        if one.connect_ex(("127.0.0.1", port)) != 0:
            found.append(port)
    if len(found) == int(sys.argv[1]):
        break
print(*found)
PYTHON
}

start_node() { # name, then its own arguments of `ray start`
  local name=$1
  shift
  env "$mark" ray start --block --node-ip-address=127.0.0.1 --num-cpus="$cpus" --num-gpus=0 \
    --object-store-memory="$object_store" --disable-usage-stats "$@" \
    >"$scratch/$name.log" 2>&1 </dev/null &
  nodes+=("$!")
}

wait_for() { # how many nodes shall be alive
  local give_up=$((SECONDS + ${START_S:-180}))
  until [[ $(alive) == "$1" ]]; do
    for node in "${nodes[@]}"; do kill -0 "$node" 2>/dev/null || died; done
    ((SECONDS < give_up)) || fail "not $1 nodes within ${START_S:-180} s; START_S=... waits longer"
    sleep 0.5
  done
}

alive() { # how many nodes are
  python3 - "$RAY_API_SERVER_ADDRESS/nodes?view=summary" <<'PYTHON'
import json, os, sys, urllib.request

request = urllib.request.Request(sys.argv[1])
if path := os.environ.get("RAY_AUTH_TOKEN_PATH"):
    request.add_header("Authorization", "Bearer " + open(path).read().strip())
try:
    with urllib.request.urlopen(request, timeout=5) as answer:
        nodes = json.load(answer)["data"]["summary"]
except OSError:
    nodes = []
print(sum(node["raylet"]["state"] == "ALIVE" for node in nodes))
PYTHON
}

died() {
  tail -n 20 "$scratch"/*.log >&2
  fail "a node ended by itself; its last words are above"
}

unset RAY_ADDRESS RAY_AUTH_TOKEN RAY_AUTH_TOKEN_PATH
export RAY_USAGE_STATS_ENABLED=0 RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0
export RAY_AUTH_MODE=${RAY_AUTH_MODE:-token}
if [[ $RAY_AUTH_MODE == token ]]; then
  # The dashboard is on loopback, but Ray's own ports listen on every interface: without the token,
  # whoever reaches them runs code here.
  export RAY_AUTH_TOKEN_PATH=$scratch/token
  (umask 077 && python3 -c 'import secrets; print(secrets.token_hex(32))' >"$RAY_AUTH_TOKEN_PATH")
fi

read -r -a ports <<<"$(free_ports $((4 + workers)))"
export RAY_API_SERVER_ADDRESS=http://127.0.0.1:${ports[1]}
start_node head --head --port="${ports[0]}" --temp-dir="$scratch/ray" \
  --dashboard-host=127.0.0.1 --dashboard-port="${ports[1]}" \
  --ray-client-server-port="${ports[2]}" --dashboard-agent-listen-port="${ports[3]}"
wait_for 1
# A folder for each node, as on machines of their own: nodes that share one unpack a job's files over
# each other, and the driver finds the folder that it stands in removed.
for ((worker = 1; worker <= workers; worker++)); do
  start_node "worker$worker" --address="127.0.0.1:${ports[0]}" --temp-dir="$scratch/ray$worker" \
    --dashboard-agent-listen-port="${ports[3 + worker]}"
done
wait_for $((workers + 1))
export RAY_ADDRESS=127.0.0.1:${ports[0]}

if [[ $# -gt 0 ]]; then
  shift
  "$@" &
  running=$!
  code=0
  wait "$running" || code=$?
  exit "$code"
fi

exports() { # what another shell needs
  cat <<TEXT
export RAY_ADDRESS=$RAY_ADDRESS
export RAY_API_SERVER_ADDRESS=$RAY_API_SERVER_ADDRESS
export RAY_AUTH_MODE=$RAY_AUTH_MODE${RAY_AUTH_TOKEN_PATH:+ RAY_AUTH_TOKEN_PATH=$RAY_AUTH_TOKEN_PATH}
TEXT
}

exports
if [[ -n ${CLUSTER_ENV:-} ]]; then
  mkdir -p "$(dirname "$CLUSTER_ENV")"
  # shellcheck disable=SC2016  # the other shell's PATH
  { exports; printf 'export PATH=%q:$PATH\n' "$(dirname "$(command -v ray)")"; } >"$CLUSTER_ENV"
fi
cat <<TEXT

# $((workers + 1)) nodes are up; Ctrl-C here ends them. With the lines above in another shell${CLUSTER_ENV:+ (. $CLUSTER_ENV)}:
#   ray job submit --working-dir jobs -- python audit.py --config configs/... --db ...
#   ray job list; ray status
# Jobs see the variables of this shell. cluster/README.md has whole examples.
TEXT
wait -n "${nodes[@]}" || true
died
