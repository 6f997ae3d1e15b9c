#!/usr/bin/env bash
# Send events with curl, and look at what became of them.
#
# Beside it runs:  evidently collector --config-path collector_config.json   (configs/quickstart.json, copied)
set -euo pipefail
url=${COLLECTOR_URL:-http://localhost:8001}

# Two events as columns; what plain `curl -d` sends as its content type is taken for JSON.
curl --fail --silent --show-error -d '{"age": {"0": 41, "1": 37}, "plan": {"0": "basic", "1": "pro"}}' "$url/default/data"

# The same as records, one a line.
printf '{"age": 29, "plan": "basic"}\n{"age": 53, "plan": null}\n' |
    curl --fail --silent --show-error --data-binary @- -H 'Content-Type: application/x-ndjson' "$url/default/data"

# The fourth row was the last that the trigger waited for. An Idempotency-Key makes a retry safe.
curl --fail --silent --show-error -H "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)" \
    -H 'Content-Type: text/csv' --data-binary $'age,plan\n61,pro\n' "$url/default/data"
echo

# What waits is sealed and evaluated at once, whatever the trigger says.
curl --fail --silent --show-error -X POST "$url/default/flush"
echo

# Each outcome, newest first: a report computed, a snapshot delivered.
for _ in $(seq 240); do
    logs=$(curl --fail --silent --show-error "$url/default/logs")
    [ "$(grep -o UploadReport <<<"$logs" | wc -l)" -ge 2 ] && break
    sleep 1
done
echo "$logs"
