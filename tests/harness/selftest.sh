#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# selftest.sh - TAP: a stack's description is read as Documentation/stack.md says, and what makes no
# sense is refused in one sentence; so is a host that cannot be; and which QEMU is taken
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
# shellcheck source=stack.sh source-path=SCRIPTDIR
. "$(dirname "$0")/stack.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/flash.bin" "$work/Image" "$work/initrd" "$work/a,b"
GOOD=$'firmware = flash.bin\nkernel = Image\n'
nr=0

result() {
	nr=$((nr + 1))
	if [ -z "$2" ]; then
		say "ok $nr - $1"
	else
		printf 'not ok %d - %s\n# %s\n' $nr "$1" "$2"
	fi
}

# refuses NAME SENTENCE TEXT - the description TEXT is, with SENTENCE and nothing else
refuses() {
	local said why=

	printf '%s' "$3" >"$work/stack.conf"
	if said=$( (stack_load "$work") 2>&1); then
		why="was accepted"
	elif [[ $said != *"$work/stack.conf"*"$2"* ]] || [ "$(wc -l <<<"$said")" != 1 ]; then
		why="said: $said"
	fi
	result "refuses $1" "$why"
}

# becomes NAME TEXT WORD... - the description TEXT makes QEMU's command line have WORDs, in a row
becomes() {
	local name=$1 said why=
	local emulator=() boot_args=()

	printf '%s' "$2" >"$work/stack.conf"
	shift 2
	if said=$(stack_load "$work" 2>&1 && stack_machine "$work/initrd" serial.log ccr.do=x &&
		printf '%s\n' "${emulator[@]}" "${boot_args[@]}"); then
		[[ $'\n'$said$'\n' = *$'\n'"$(printf '%s\n' "$@")"$'\n'* ]] || why=${said//$'\n'/ }
	else
		why="was refused: $said"
	fi
	result "$name" "$why"
}

# run_refuses NAME SENTENCE VARIABLE... - `make run` with these, before anything is built
run_refuses() {
	local name=$1 wanted="failed: $2" said why=

	shift 2
	if said=$(env -u STACK -u IMAGE -u REALM NO_DEPS=1 "$@" \
		tests/harness/run.sh </dev/null 2>&1); then
		why="was accepted"
	elif [[ $said != *"$wanted"* ]]; then
		why="said: $said"
	fi
	result "run refuses $name" "$why"
}

# So that no QEMU is looked for.
WITH_QEMU="${GOOD}qemu = /bin/true
"

say "1..30"
refuses "an unknown key" ":3: unknown key 'kernal'" "${GOOD}kernal = Image"
refuses "a key with a subscript" ":1: unknown key 'a[\$(touch $work/ran)]'" \
	"a[\$(touch $work/ran)] = 1"
result "runs nothing" "$([ ! -e "$work/ran" ] || say "a command in a key was run")"
refuses "a line without a value" ":1: 'boot fast' is not KEY = VALUE" "boot fast"
refuses "a key twice" ":3: kernel was given before" "${GOOD}kernel = Image"
refuses "a file that is not there" ":2: kernel: there is no $work/Imag" \
	$'firmware = flash.bin\nkernel = Imag'
refuses "a stack without a kernel" "no kernel" "firmware = flash.bin"
refuses "a stack without firmware" "no firmware" "kernel = Image"
refuses "an address that is none" ":3: kernel_addr: '60000000' is not an address" \
	"${GOOD}kernel_addr = 60000000"
refuses "no number of CPUs" ":3: smp: '0' is not" "${GOOD}smp=0"
refuses "another console" ":3: console: 'tty1' is not" "${GOOD}console=tty1"

refuses "trust anchors that are not there" ":3: anchors: there is no $work/keys" \
	"${GOOD}anchors = keys"
printf '%s' "${GOOD}anchors = Image" >"$work/stack.conf"
result "finds trust anchors" "$(stack_load "$work" 2>&1
	[ "${stack[anchors]}" = "$work/Image" ] || say "are ${stack[anchors]}")"

becomes "comments, blanks and line ends do not matter" \
	$'# x = y\r\n\n\tfirmware=flash.bin \r\n kernel\t=  Image\nqemu=/bin/true' \
	-bios "$work/flash.bin" -kernel "$work/Image"
becomes "defaults" "$WITH_QEMU" /bin/true \
	-M virt,virtualization=on,secure=on,gic-version=3,acpi=off \
	-cpu max,x-rme=on,sme=off,pauth-impdef=on -m 2G -smp 2
becomes "initrd without an address" "$WITH_QEMU" -initrd "$work/initrd" -serial chardev:console \
	-append "console=ttyAMA0 ccr.do=x "
becomes "initrd at an address" "${WITH_QEMU}initrd_addr = 0x68000000" \
	-device "loader,file=$work/initrd,addr=0x68000000,force-raw=on" -serial chardev:console \
	-append "console=ttyAMA0 ccr.do=x initrd=0x68000000,0 "
becomes "a kernel at an address, with a comma in its name" \
	$'firmware=flash.bin\nkernel=a,b\nqemu=/bin/true\nkernel_addr=0x60000000' \
	-device "loader,file=$work/a,,b,addr=0x60000000,force-raw=on"
becomes "a virtio console" "${WITH_QEMU}"$'console=hvc0\nappend=debug' \
	-serial file:serial.log -device virtio-serial-pci -device virtconsole,chardev=console \
	-append "console=ttyAMA0 console=hvc0 ccr.do=x debug"
becomes "QEMU's own options" "${WITH_QEMU}qemu_args = -device x,y=* -s" -device 'x,y=*' -s
becomes "another QEMU" "${GOOD}qemu=flash.bin
qemu_data=.
qemu_libs=." env "LD_LIBRARY_PATH=$work/." "$work/flash.bin" -L "$work/."

# installed VERSION - as if this were the machine's QEMU
installed() {
	printf '#!/bin/sh\necho QEMU emulator version %s\n' "$1" >"$work/qemu-system-aarch64"
	chmod +x "$work/qemu-system-aarch64"
}

why=
for version in 7.2.22 8.0.5 8.1.0 8.10.1 10.0.2; do
	installed "$version"
	if has_rme "$work/qemu-system-aarch64"; then why+=" $version"; fi
done
result "which QEMU is new enough" "${why# 8.1.0 8.10.1 10.0.2}"
# That is the last of them.
result "this machine's QEMU if it is" "$(PATH=$work:$PATH
	find_qemu
	[ "$qemu$qemu_data$qemu_libs" = qemu-system-aarch64 ] || say "is $qemu")"

printf '%s' "$GOOD" >"$work/stack.conf"
run_refuses "another host" "HOST=qemux is not qemu, fvp or native" CCR_HOST=qemux
run_refuses "another isolation" "REALM=sev is not kvm or emulated" CCR_HOST=qemu REALM=sev
run_refuses "a stack on this machine" "HOST=native: it is as it is" CCR_HOST=native STACK="$work"
run_refuses "an image on this machine" "HOST=native: it is as it is" CCR_HOST=native IMAGE="$work"
run_refuses "the FVP without a stack" "HOST=fvp: STACK= names its firmware" CCR_HOST=fvp
run_refuses "the FVP with a stack for QEMU" "HOST=fvp: the stack $work is for QEMU" \
	CCR_HOST=fvp STACK="$work"
printf 'bl1 = flash.bin\nfip = flash.bin\nkernel = Image\n' >"$work/stack.conf"
run_refuses "QEMU with a stack for the FVP" "the stack $work is for the FVP: HOST=fvp" \
	CCR_HOST=qemu STACK="$work"
