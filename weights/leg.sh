#!/usr/bin/env bash
# A leg of a training run on a machine with an accelerator that gets a copy of this checkout and little else.
#
#   weights/leg.sh pack RECIPE [RUN]   here: cut what the leg needs into .leg/1, .leg/2, ..., and print the calls
#   weights/leg.sh stage               there: keep the piece that was carried
#   weights/leg.sh run RECIPE MINUTES [OPTION ...]   there: train, and put what comes back into $OUT
#   weights/leg.sh unpack FOLDER RUN   here: add what came back to the run, and print its row for weights/TRAINING.md
#
# RECIPE is the name of a file in recipes/, without .yaml; RUN is the folder of the run, runs/RECIPE by default.
# WELLPOSED_DATA is the folder with train/ and medical/, ../shared/data by default. PIECE_MB is the size of a piece, 36
# by default: a piece and the checkout must fit into what one call carries. What is in weights/start/ travels along.
set -euo pipefail
there=/tmp/wellposed-leg

pack() {
    local recipe=$1 run=${2:-runs/$1} data=${WELLPOSED_DATA:-../shared/data} whole piece number=0
    test -f "recipes/$recipe.yaml"
    whole=$(mktemp -d)
    mkdir -p "$whole/run" "$whole/start" "$whole/data/train" "$whole/data/medical/mri_cardiac"
    cp -r "$data/train/natural" "$whole/data/train/"
    cp -r "$data/medical/mri_cardiac/train" "$whole/data/medical/mri_cardiac/"
    cp -r "$data/medical/mri_brain_istanet50" "$whole/data/medical/"
    find weights/start -name '*.safetensors' -exec cp {} "$whole/start/" \; 2>/dev/null || true
    find "$run" -maxdepth 1 \( -name 'light-*' -o -name '*.csv' \) -exec cp {} "$whole/run/" \; 2>/dev/null || true
    rm -rf .leg
    mkdir .leg
    tar -C "$whole" -cf - data run start | split -b "${PIECE_MB:-36}m" -d - .leg/piece-
    rm -rf "$whole"
    for piece in .leg/piece-*; do
        number=$((number + 1))
        mkdir ".leg/$number"
        mv "$piece" ".leg/$number/"
    done
    for piece in $(seq "$number"); do
        echo "carry [\".leg/$piece\"], command: bash weights/leg.sh stage"
    done
    echo "carry [], command: bash weights/leg.sh run $recipe 8"
}

stage() {
    mkdir -p "$there/pieces"
    cp .leg/*/piece-* "$there/pieces/"
    ls -l "$there/pieces"
}

run() {
    local recipe=$1 minutes=$2
    shift 2
    if [ ! -d "$there/data" ]; then cat "$there"/pieces/piece-* | tar -C "$there" -xf -; fi
    _installed
    rm -f "$there/run/legs.jsonl"
    python3 -m wellposed train "recipes/$recipe.yaml" --data "$there/data" --run "$there/run" --max-minutes "$minutes" \
        --resume --light --set training.tensorboard=false "$@"
    cp "$there"/run/light-* "$there"/run/*.csv "$there"/run/{legs.jsonl,recipe.yaml} "$OUT/"
    find "$there/run" -name best.safetensors -size -15M -exec cp {} "$OUT/" \;
}

unpack() {
    local back=$1 run=$2
    mkdir -p "$run"
    rm -f "$run"/light-* "$run/checkpoint.safetensors"
    cp "$back"/*.safetensors "$back"/*.csv "$back/recipe.yaml" "$run/"
    cat "$back/legs.jsonl" >>"$run/legs.jsonl"
    chmod -R u+w "$run"
    python3 weights/ledger.py "$run"
}

_installed() {
    local facts=$there/site/wellposed-0.1.0.dist-info
    mkdir -p "$facts"
    printf 'Metadata-Version: 2.1\nName: wellposed\nVersion: 0.1.0\n' >"$facts/METADATA"
    export PYTHONPATH=src:$there/site PYTHONUNBUFFERED=1
}

"$@"
