#!/usr/bin/env bash
# One fuzz program for SECONDS_EACH (60) seconds: run.sh PROGRAM CORPUS FOLDER
# What it finds on the way is kept in FOLDER/found, an input that fails in FOLDER.
set -euo pipefail
program=$1 corpus=$2 folder=$3
mkdir -p "$folder/found"
cd "$folder"
exec "$program" -max_total_time="${SECONDS_EACH:-60}" -timeout=25 -rss_limit_mb=3000 \
    -max_len=65536 -artifact_prefix="$folder/" -print_final_stats=1 found "$corpus"
