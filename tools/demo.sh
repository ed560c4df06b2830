#!/usr/bin/env bash
# The whole thing in about three minutes: trains a small RetNet on text that every machine has
# (the C headers under /usr/include; DATA=path for another file or folder; MINUTES=n), shows
# what it writes and what held-out text costs before and after, and what a token costs when
# generating at token 1,000, 10,000 and 100,000. Everything is left in build/demo.
set -euo pipefail
cd "$(dirname "$0")/.."
retnet=build/release/retnet
out=build/demo
model=$out/model
text_limit=8000000 # bytes; more is not read in two minutes

# Text files of a folder in an order that is mixed but always the same, so that the held-out
# end of the text is like the rest.
collect() {
    set +o pipefail # head may stop the others early
    find "$1/" -name '.?*' -prune -o -type f -name "$2" -print | LC_ALL=C sort |
        shuf --random-source=<(seq 1000000) | xargs -r -d '\n' grep -Il '' 2>/dev/null |
        xargs -r -d '\n' cat 2>/dev/null | head -c "$text_limit"
}

# The beginnings of three lines of a text.
beginnings() {
    LC_ALL=C awk 'length > 40 && !/[^ -~]/ { line[n++] = substr($0, 1, 24) }
                  END { for (i = 0; i < 3 && i < n; i++) print line[int(i * n / 3)] }' "$1"
}

number() {
    sed -nE 's/.*"'"$1"'": *([-0-9.e+]+).*/\1/p' "$out/train.json" | head -n 1
}

rm -rf "$out"
mkdir -p "$out"
if [ -z "${DATA:-}" ]; then
    echo "text: the C headers under /usr/include (DATA=path takes another file or folder)"
    collect /usr/include '*.h' >"$out/text.txt"
    text=$out/text.txt
    prompts=('#include <' 'static inline ' '/* ')
elif [ -d "$DATA" ]; then
    echo "text: the files in $DATA"
    collect "$DATA" '*' >"$out/text.txt"
    text=$out/text.txt
    mapfile -t prompts < <(beginnings "$text")
else
    echo "text: $DATA"
    text=$DATA
    mapfile -t prompts < <(beginnings "$text")
fi
[ -s "$text" ] || { echo "demo: there is no text in ${DATA:-/usr/include}" >&2; exit 1; }
[ ${#prompts[@]} -gt 0 ] || prompts=('The ')

# A tenth is held out, at most 200 kB: what is measured twice should not eat the two minutes.
bytes=$(wc -c <"$text")
held_out=$((bytes / 10 < 200000 ? bytes / 10 : 200000))
echo "text: $((bytes / 1000)) kB, of which the last $((held_out / 1000)) kB are held out"
echo
fraction=$(LC_ALL=C awk "BEGIN { printf \"%.6f\", $held_out / $bytes }")
"$retnet" train --data "$text" --val-fraction "$fraction" --out "$model" --preset nano \
    --max-minutes "${MINUTES:-2}" --lr 2e-3 --schedule cosine --eval-every 1000 \
    --json >"$out/train.json"

for i in "${!prompts[@]}"; do
    printf '\n--- sample %d ---\n%s' $((i + 1)) "${prompts[i]}"
    "$retnet" generate "$model" --prompt "${prompts[i]}" --tokens 300 --temperature 0.7 \
        --seed $((i + 1)) --quiet
    echo
done

printf '\nheld-out text, bits per byte: %.3f before training, %.3f after\n' \
    "$(number first_val_bits_per_byte)" "$(number val_bits_per_byte)"
printf '\nwhat a token costs while generating, on one thread, and the memory of the process:\n'
build/release/constant_cost -t 1 generate "$model" 1000 10000 100000
printf '\nthe model is in %s; go on with: %s generate %s --prompt "..."\n' \
    "$model" "$retnet" "$model"
