#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# qemu.sh [-i] [-t SECONDS] [-w SECONDS] [-s CPUS] [-m SIZE] [-n] [-k KERNEL] [-S STACK] NAME INITRD
# WORDS...
# qemu.sh [-i] [-t SECONDS] [-s CPUS] -d DISK NAME
#
# Boot an arm64 host with EL2 in QEMU: Debian's kernel, or with -S the firmware and kernel of a
# stack (stack.sh), or with -k another kernel. With -d it is UEFI firmware (Debian's), which finds
# DISK and nothing else.
#
# NAME is for the log, build/log/NAME.log; WORDS go to the kernel command line. -i connects this
# terminal, with no key of QEMU's own: every one belongs to what runs inside. Otherwise the console
# goes to the log and to stdout, and the machine ends after SECONDS at the latest (status 124), or
# with -w when there has been no line of TAP for so long (status 125).
#
# -n counts instructions: the machine's clock goes 8 ns for each, and on when all of it waits. Other
# load on this machine then changes no time that is measured inside.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# shellcheck source=stack.sh source-path=SCRIPTDIR
. "$(dirname "$0")/stack.sh"

FIRMWARE=/usr/share/qemu-efi-aarch64/QEMU_EFI.fd
interactive=
stack_of=
limit=600
patience=
cpus=2
memory=2G
accel=(-accel "tcg,thread=multi")
kernel=
disk=
while getopts it:w:s:m:nk:S:d: option; do
	case $option in
	i) interactive=yes ;;
	t) limit=$OPTARG ;;
	w) patience=$OPTARG ;;
	s) cpus=$OPTARG ;;
	m) memory=$OPTARG ;;
	n) accel=(-accel "tcg,thread=single" -icount "shift=3,sleep=off") ;;
	k) kernel=$OPTARG ;;
	S) stack_of=$OPTARG ;;
	d) disk=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
name=$1
initrd=${2:-}
shift $(($# > 1 ? 2 : 1))

mkdir -p "$LOG_DIR"
log=$LOG_DIR/$name.log
monitor=$LOG_DIR/$name.monitor
rm -f "$log" "$monitor"

[ -n "$stack_of" ] || {
	find_qemu
	emulator_is "$qemu" "$qemu_data" "$qemu_libs"
}
# pauth-impdef: the architected pointer authentication is QEMU's slowest instruction by far.
boot_args=(-M "virt,virtualization=on,gic-version=3" -cpu "max,pauth-impdef=on" -m "$memory"
	-smp "$cpus" -serial chardev:console)
# Without what takes an emulated CPU long and serves nobody here (tests/boot/lib.sh).
words="quiet panic=-1 nokaslr cryptomgr.notests damon_stat.enabled=0"
words="$words initcall_blacklist=load_system_certificate_list,trace_eval_init ${QEMU_APPEND:-} $*"
if [ -n "$disk" ]; then
	[ -r "$FIRMWARE" ] || die "$FIRMWARE is missing: install qemu-efi-aarch64"
	drive="if=none,id=disk,format=raw,snapshot=on"
	# What the guest writes to its disk is forgotten: an image stays what its checksum says.
	boot_args+=(-bios "$FIRMWARE" -device "virtio-blk-pci,drive=disk"
		-drive "$drive,file=${disk//,/,,}")
elif [ -n "$stack_of" ]; then
	stack_load "$stack_of"
	[ -z "$kernel" ] || stack[kernel]=$kernel
	stack_machine "$initrd" "$LOG_DIR/$name.serial.log" "$words"
else
	boot_args+=(-kernel "${kernel:-build/kernel/Image}" -initrd "$initrd"
		-append "console=ttyAMA0 $words")
fi
# A path relative to the top: a socket's name has room for 107 bytes only.
quiet=(-nodefaults -display none -nic none -monitor "unix:$monitor,server=on,wait=off")
console=(-chardev "stdio,id=console,signal=off,logfile=$log")
command=("${emulator[@]}" "${accel[@]}" "${quiet[@]}" "${console[@]}" "${boot_args[@]}")

[ -z "$interactive" ] || exec "${command[@]}"
command=(timeout -k 5 "$limit" "${command[@]}" -no-reboot)
[ -n "$patience" ] || exec "${command[@]}" </dev/null

nr_results() { grep -c '^1\.\.\|^ok \|^not ok \|^# ' "$log" 2>/dev/null || true; }

"${command[@]}" </dev/null &
pid=$!
trap 'kill "$pid" 2>/dev/null || true' EXIT
seen=0
since=$SECONDS
while kill -0 "$pid" 2>/dev/null; do
	sleep 0.5
	now=$(nr_results)
	if [ "$now" != "$seen" ]; then
		seen=$now
		since=$SECONDS
	fi
	[ $((SECONDS - since)) -lt "$patience" ] || exit 125
done
wait "$pid"
