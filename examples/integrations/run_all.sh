#!/usr/bin/env bash
# Every library whose pins exclude ours: a virtual environment for each, the example that trains with it, its outcome.
#
#     bash examples/integrations/run_all.sh [LIBRARY ...]        (all: benchmarl rllib tianshou agilerl)
#
# Environments go to $KOFN_ENVIRONMENTS (a temporary folder otherwise) and are used again if they are there. torch is
# installed first, at the version of constraints.txt, so that no library pulls CUDA packages. The exit status is the
# number of libraries that failed; the versions that ran are printed in the end.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=${KOFN_ENVIRONMENTS:-$(mktemp -d)}
torch=$(grep '^torch==' "$root/constraints.txt")
export OMP_NUM_THREADS=1

# what to install (the versions that were run; left free, pip may try many), and the example, of a library
recipe() {
    case $1 in
        benchmarl) echo 'benchmarl==1.5.1 torchrl==0.10.1' ;;
        rllib) echo 'ray[rllib]==2.60.0' ;;
        tianshou) echo 'tianshou==2.0.1' ;;
        agilerl) echo 'agilerl==2.58.0 pettingzoo==1.26.1 peft' ;;
        *) echo "unknown library: $1" >&2; return 1 ;;
    esac
}
example() {
    case $1 in
        benchmarl) echo benchmarl_mappo.py ;;
        rllib) echo rllib_ppo.py ;;
        tianshou) echo tianshou_dqn.py ;;
        agilerl) echo agilerl_ippo.py ;;
    esac
}

run_one() {
    local library=$1 environment=$folder/$1 wanted
    wanted=$(recipe "$library") || return 1
    echo "== $library"
    [ -x "$environment/bin/python" ] || python3 -m venv "$environment" || return 1
    # shellcheck disable=SC2086  # several packages
    "$environment/bin/pip" install --quiet "$torch" $wanted "$root" || return 1
    "$environment/bin/pip" install --quiet --no-deps --force-reinstall "$root" || return 1
    (cd "$folder" && "$environment/bin/python" "$root/examples/integrations/$(example "$library")") || return 1
    "$environment/bin/pip" freeze | grep -iE '^(torch|torchrl|ray|benchmarl|tianshou|agilerl|gymnasium|pettingzoo|numpy)=='
}

[ $# -gt 0 ] || set -- benchmarl rllib tianshou agilerl
failed=0
for library in "$@"; do
    run_one "$library" || { echo "== FAILED: $library" >&2; failed=$((failed + 1)); }
done
exit "$failed"
