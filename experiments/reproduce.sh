#!/usr/bin/env bash
# Trains and scores rows of the table in README.md, one command for each row.
#
#   experiments/reproduce.sh NAME [key=value ...]   one experiment
#   experiments/reproduce.sh cpu                    what a CPU trains in hours
#   experiments/reproduce.sh gpu                    what fits into 15 minutes on one H200-class card (not run yet: the
#                                                   numbers of epochs are for 4,000 and 2,500 images/s)
#
# A run that was stopped goes on when the command is given again. From the environment:
#   DATA      Market-1501, as `mot-reid prepare-market1501` writes it; data/market1501 where not set
#   OUT       folder of the runs; runs/reproduce where not set
#   TEACHER   person-reidentification-retail-0277.xml of Open Model Zoo, for person_small
#   MOBILENET, RESNET50   files with ImageNet weights, where timm cannot fetch them
#   SMALL=1   a rehearsal in a minute: synthetic people, two short epochs, no weights and no teacher of others
#   DRY=1     print the commands and run nothing
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python} data=${DATA:-data/market1501} out=${OUT:-runs/reproduce}
small=${SMALL:-} dry=${DRY:-}
rehearsal=(
    data=synthetic "data.root=$out/people" data.identities=4 data.images=2 data.workers=0 data.cache=auto
    data.batches_per_epoch=2 data.validation=0.2 synthetic.identities=10 synthetic.test_identities=4
    synthetic.cameras=2 synthetic.images_per_camera=2 model.weights=none model.height=64 model.width=32
    trainer.max_epochs=2 trainer.check_val_every_n_epoch=1 trainer.accelerator=cpu trainer.precision=32-true
    optim.warmup_epochs=0 optim.freeze_epochs=0 optim.flat_epochs=0 engine.compile=false run.false_match_rate=0.2
)

# Runs a command, after it was printed; or prints it alone.
run() {
    printf '%q ' "$@"
    printf '\n'
    [ -n "$dry" ] || "$@"
}

# Prints key=value pairs, one a line; of several with one key the last.
merged() {
    printf '%s\n' "$@" | awk -F= '!($1 in last) { key[++n] = $1 } { last[$1] = $0 } END { for (i = 1; i <= n; i++) print last[key[i]] }'
}

# train TAG EXPERIMENT [key=value ...]: trains in $out/TAG, scores the model with intervals.
train() {
    local folder="$out/$1" name=$2 arguments=() line
    shift 2
    local given=("data.root=$data" "run.dir=$folder" trainer.enable_progress_bar=false)
    case $name in
        person_small | *_taught_*) given+=("distill.cache=$out/teacher_views/$name") ;; # each has a teacher of its own
    esac
    given+=("$@")
    if [ -n "$small" ]; then
        given+=("${rehearsal[@]}")
        case $name in
            person_small | osnet_x0_25_taught_market_cpu)
                given+=(distill.teacher=osnet_x0_25_market1501 distill.teacher_size=null distill.cache=null) ;;
        esac
    fi
    while IFS= read -r line; do arguments+=("$line"); done < <(merged "${given[@]}")
    run "$python" tools/fit.py "experiment=$name" ckpt=auto "${arguments[@]}"
    run "$python" tools/evaluate.py "checkpoint=$folder/model.safetensors" "json=$folder/scores.json"
}

# one NAME [key=value ...]: an experiment with what it needs besides its file.
one() {
    local name=$1
    shift
    if [ ! -f "experiments/$name.yaml" ]; then
        echo "reproduce.sh: got '$name'; expected cpu, gpu or the name of a file experiments/NAME.yaml" >&2
        exit 2
    fi
    case $name in
        person_small)
            if [ -z "${TEACHER:-}$small" ]; then
                echo "reproduce.sh: got no TEACHER; expected TEACHER=person-reidentification-retail-0277.xml" >&2
                exit 2
            fi
            set -- "distill.teacher=${TEACHER:-}" "$@" ;;
        mobilenetv2_market_cpu) set -- "model.weights=${MOBILENET:-pretrained}" "$@" ;;
        mobilenetv2_market_cpu_again) set -- "model.weights=$out/mobilenetv2_market_cpu/model.safetensors" "$@" ;;
        mobilenetv2_market_cpu_cameras) set -- "model.weights=$out/mobilenetv2_market_cpu_again/model.safetensors" "$@" ;;
        mobilenetv2_short_taught_market_cpu)
            set -- "model.weights=$out/mobilenetv2_market_cpu_again/model.safetensors" \
                "distill.teacher=$out/mobilenetv2_market_cpu_again/model.safetensors" "$@" ;;
        osnet_x0_25_taught_market_cpu)
            set -- "distill.teacher=$out/mobilenetv2_market_cpu/model.safetensors" "$@" ;;
        osnet_x0_25_taught_market_cpu_again)
            set -- "model.weights=$out/osnet_x0_25_taught_market_cpu/model.safetensors" \
                "distill.teacher=$out/mobilenetv2_market_cpu_again/model.safetensors" "$@" ;;
    esac
    train "$name" "$name" "$@"
}

on_cpu() {
    one osnet_x0_25_market_cpu
    one osnet_x0_25_market_tracking
    one mobilenetv2_market_cpu
    one mobilenetv2_market_cpu_again
    one mobilenetv2_market_cpu_cameras
    one mobilenetv2_short_taught_market_cpu
    one osnet_x0_25_taught_market_cpu
    one osnet_x0_25_taught_market_cpu_again
    if [ -n "${TEACHER:-}$small" ]; then one person_small; else echo "person_small: left out, TEACHER is not set"; fi
}

# Whether ImageNet weights of ResNet-50 are at hand.
has_resnet50() {
    [ -n "${RESNET50:-}$small$dry" ] ||
        "$python" -c "import timm; timm.create_model('resnet50', pretrained=True)" > /dev/null 2>&1
}

on_gpu() {
    # Batches four or two times the published ones keep the card busy; rates grow with them, schedules shrink to the time.
    local fast=(
        trainer.accelerator=gpu trainer.precision=bf16-mixed engine.channels_last=true engine.compile=true
        data.cache=device data.validation=0.05 trainer.check_val_every_n_epoch=20
    )
    local resnet50=(
        "${fast[@]}" data.identities=32 optim.lr=7.0e-4 trainer.max_epochs=40 "optim.milestones=[13,23]"
        optim.warmup_epochs=3 trainer.max_time=00:00:03:20
    )
    train osnet_market_scratch_gpu osnet_market_scratch "${fast[@]}" data.identities=64 optim.lr=0.26 \
        trainer.max_epochs=110 "optim.milestones=[47,71,94]" optim.warmup_epochs=5 trainer.max_time=00:00:06:00
    train resnet50_market_scratch_gpu resnet50_market "${resnet50[@]}" model.weights=none
    if has_resnet50; then
        train resnet50_market_gpu resnet50_market "${resnet50[@]}" "model.weights=${RESNET50:-pretrained}"
    else
        echo "resnet50_market_gpu: left out, timm's weights are out of reach; set RESNET50=FILE"
    fi
}

case ${1:-} in
    '' | -h | --help)
        sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' experiments/reproduce.sh
        [ -n "${1:-}" ] || exit 2 ;;
    cpu) on_cpu ;;
    gpu) on_gpu ;;
    *) one "$@" ;;
esac
