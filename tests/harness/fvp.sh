#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# fvp.sh [-i] [-t SECONDS] [-k KERNEL] -S STACK NAME INITRD WORDS... - boot an arm64 host in Arm's
# FVP Base RevC, with the firmware and kernel of a stack (stack.sh)
#
# As qemu.sh: NAME is for logs, WORDS go to the kernel command line, -i connects this terminal.
# DRY_RUN=1 prints the command that would be run, with everything that it names in place.
# The model's parameters are in fvp.params. FVP= names the model; else the stack does, or PATH.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
# shellcheck source=stack.sh source-path=SCRIPTDIR
. "$(dirname "$0")/stack.sh"

MODEL=FVP_Base_RevC-2xAEMvA
# Of the models that TF-A 2.12 names as tested (docs/plat/arm/fvp/fvp-support.rst).
OLDEST=11.26

interactive=
stack_of=
limit=3600
kernel=
while getopts it:k:S: option; do
	case $option in
	i) interactive=yes ;;
	t) limit=$OPTARG ;;
	k) kernel=$OPTARG ;;
	S) stack_of=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
name=$1
initrd=$2
shift 2
log=$LOG_DIR/$name.log
# What is made for this boot: the FIP with its device tree, or the disk.
made=build/host/$name

# find_model - set model, or say where it comes from
find_model() {
	model=${FVP:-${stack[fvp]}}
	[ -n "$model" ] || model=$(command -v "$MODEL") ||
		die "HOST=fvp: there is no $MODEL in PATH.
It is Arm's model of a machine, free of charge, but under a licence that only you can accept, so
that nothing here fetches it. Get \"Armv-A Base RevC AEM FVP\", version $OLDEST or newer, from
https://developer.arm.com/products/system-design/fixed-virtual-platforms
unpack it, and name the program:
    make run HOST=fvp STACK=$stack_of FVP=<directory>/$MODEL"
	[ -x "$model" ] || die "FVP=$model: there is no such program"
}

# check_version - of the model: what is older does not know all of the parameters
check_version() {
	local version

	# "Fast Models [11.26.11 (...)]"
	version=$("$model" --version 2>&1 | sed -n 's/.*\[\([0-9]*\.[0-9]*\)\..*/\1/p' | head -n 1)
	[ -n "$version" ] || die "$model --version names no version: is it $MODEL?"
	[ "$(printf '%s\n' "$OLDEST" "$version" | sort -V | head -n 1)" = "$OLDEST" ] ||
		die "$model is version $version; $OLDEST or newer is needed"
}

# chosen DTB PROPERTY TYPE VALUE
chosen() {
	fdtput -p -t "$3" "$1" /chosen "$2" "$4" || die "$1: its /chosen cannot be changed"
}

# preload - kernel and initrd are put into memory; the FIP's device tree tells of them
preload() {
	local dtb=$made.dtb room

	room=$((stack[initrd_addr] - stack[kernel_addr]))
	[ "$(od -An -tu8 -j16 -N8 "$kernel")" -le $room ] ||
		die "$stack_file: the kernel does not fit below initrd_addr"
	! fiptool info "${stack[fip]}" | grep -qi 'certificate' ||
		die "$stack_file: the FIP is signed, so that its device tree cannot be changed;" \
			"use boot = disk"
	rm -f "$dtb"
	if [ -n "${stack[dtb]}" ]; then
		cp "${stack[dtb]}" "$dtb"
	else
		fiptool unpack --hw-config "$dtb" "${stack[fip]}" >"$made.fiptool" 2>&1
		[ -s "$dtb" ] ||
			die "$stack_file: the FIP has no device tree (HW_CONFIG); name a dtb"
	fi
	chosen "$dtb" bootargs s "$words"
	chosen "$dtb" linux,initrd-start x "${stack[initrd_addr]}"
	chosen "$dtb" linux,initrd-end x \
		"$(printf '%#x' $((stack[initrd_addr] + $(stat -c %s "$initrd"))))"
	cp "${stack[fip]}" "$made.fip"
	fiptool update --hw-config "$dtb" "$made.fip"
	fip=$made.fip
	command+=(--data "cluster0.cpu0=$kernel@${stack[kernel_addr]}"
		--data "cluster0.cpu0=$initrd@${stack[initrd_addr]}")
}

# boot_disk - the firmware in the FIP (EDK2) finds kernel, initrd and command line on a disk
boot_disk() {
	fip=${stack[fip]}
	tests/harness/mkdisk.sh "$made.img" "$kernel" "$initrd" "$words"
	command+=(-C "bp.virtioblockdevice.image_path=$made.img")
}

# add_parameters - those of fvp.params
add_parameters() {
	local parameter value cluster _
	local -A known

	known=([bl1]=${stack[bl1]} [fip]=$fip [log]=${log%.log} [memory_gib]=${stack[memory]%G}
		[cluster0_cpus]=$((stack[smp] < 4 ? stack[smp] : 4))
		[cluster1_cpus]=$((stack[smp] < 4 ? 0 : stack[smp] - 4)))
	while read -r parameter value _; do
		case $parameter in
		'' | '#'*) continue ;;
		esac
		if [[ $value =~ ^\{([a-z0-9_]+)\}(.*)$ ]]; then
			value=${known[${BASH_REMATCH[1]}]}${BASH_REMATCH[2]}
		fi
		for cluster in 0 1; do
			[[ $parameter = *'*'* ]] || [ $cluster = 0 ] || continue
			command+=(-C "${parameter/\*/$cluster}=$value")
		done
	done <tests/harness/fvp.params
}

# connect PID - this terminal with the host's console, whose port the model says, until it ends
connect() {
	local port

	while :; do
		port=$(sed -n 's/^terminal_0: .* port \([0-9]*\).*/\1/p' "$log.model" | head -n 1)
		[ -z "$port" ] || break
		kill -0 "$1" 2>/dev/null || { show_log "$log.model"; die "the model has ended"; }
		sleep 0.2
	done
	tests/harness/relay.py "$port" "$log"
}

stack_load "$stack_of"
[ -n "${stack[bl1]}" ] || die "$stack_file is for QEMU: a stack for the FVP has bl1 and fip"
find_model
check_version
mkdir -p "$LOG_DIR" build/host
: "${kernel:=${stack[kernel]}}"
words="console=ttyAMA0 quiet panic=-1 nokaslr $* ${stack[append]}"
command=("$model")
case ${stack[boot]} in
preloaded) preload ;;
disk) boot_disk ;;
esac
add_parameters
# The console of a run without a terminal needs no keys.
[ -n "$interactive" ] || command+=(-C bp.pl011_uart0.out_file=-)
read -ra more <<<"${stack[fvp_args]}"
command+=("${more[@]}")

if [ -n "${DRY_RUN:-}" ]; then
	printf '%q' "${command[0]}"
	printf ' \\\n    %q %q' "${command[@]:1}"
	say ""
elif [ -n "$interactive" ]; then
	"${command[@]}" </dev/null >"$log.model" 2>&1 &
	pid=$!
	trap 'kill "$pid" 2>/dev/null || true' EXIT
	connect "$pid"
else
	timeout -k 5 "$limit" "${command[@]}" </dev/null 2>&1 | tee "$log"
	exit "${PIPESTATUS[0]}"
fi
