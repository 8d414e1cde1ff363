#!/usr/bin/env bash
# Builds an image of docker/Dockerfile with docker, podman or buildah, whichever there is.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
usage: docker/build.sh [key=value ...]

  target=lite        lite, cpu or cuda
  tag=               name of the image; empty: mot-reid:TARGET
  base=              base image; empty: that of the Dockerfile
  index=             package index of pip; empty: PyPI
  torch_index=       package index of PyTorch for the target cpu; empty: PyTorch's own
  cache=             folder that keeps downloaded packages between builds (podman and buildah)
  builder=           docker, podman or buildah; empty: the first of them that works
  dry=false          true prints the command and does not run it
END
}

refuse() { printf 'build.sh: %s\n' "$1" >&2; exit 2; }

works() {
    case $1 in
        docker) docker info ;;
        podman) podman info ;;
        buildah) buildah info ;;
    esac > /dev/null 2>&1
}

target=lite tag='' base='' index='' torch_index='' cache='' builder='' dry=false
for word in "$@"; do
    value=${word#*=}
    case $word in
        --help | -h) usage; exit 0 ;;
        target=*) target=$value ;;
        tag=*) tag=$value ;;
        base=*) base=$value ;;
        index=*) index=$value ;;
        torch_index=*) torch_index=$value ;;
        cache=*) cache=$value ;;
        builder=*) builder=$value ;;
        dry=*) dry=$value ;;
        *) refuse "got '$word'; expected key=value, see docker/build.sh --help" ;;
    esac
done
case $target in
    lite | cpu | cuda) ;;
    *) refuse "target: got '$target'; expected lite, cpu or cuda" ;;
esac
if [ -z "$builder" ]; then
    for name in docker podman buildah; do
        if works "$name"; then builder=$name; break; fi
    done
    [ -n "$builder" ] || refuse "builder: found none that works; install docker, podman or buildah"
fi
case $builder in
    docker | podman | buildah) ;;
    *) refuse "builder: got '$builder'; expected docker, podman or buildah" ;;
esac

command=("$builder" build --file docker/Dockerfile --target "$target" --tag "${tag:-mot-reid:$target}")
[ -z "$base" ] || command+=(--build-arg "BASE=$base")
[ -z "$index" ] || command+=(--build-arg "INDEX=$index")
[ -z "$torch_index" ] || command+=(--build-arg "TORCH_INDEX=$torch_index")
# The OCI format has no health check.
[ "$builder" = docker ] || command+=(--format docker --layers)
if [ -n "$cache" ]; then
    [ "$builder" != docker ] || refuse "cache: got '$cache' with docker, which keeps its own; leave it out"
    mkdir -p "$cache"
    command+=(--volume "$(cd "$cache" && pwd):/cache" --build-arg CACHE=/cache)
fi
command+=(.)
if [ "$dry" = true ]; then printf '%s\n' "${command[*]}"; else exec "${command[@]}"; fi
