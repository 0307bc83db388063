#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# qemu.sh [-i] [-t SECONDS] [-s CPUS] NAME INITRD WORDS... - boot an arm64 host with EL2 in QEMU
#
# NAME is for the log, build/log/NAME.log; WORDS go to the kernel command line. -i connects this
# terminal, with no key of QEMU's own: every one belongs to what runs inside. Otherwise the console
# goes to the log and to stdout, and the machine ends after SECONDS at the latest (status 124).
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

interactive=
limit=600
cpus=2
while getopts it:s: option; do
	case $option in
	i) interactive=yes ;;
	t) limit=$OPTARG ;;
	s) cpus=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
name=$1
initrd=$2
shift 2

mkdir -p "$LOG_DIR"
log=$LOG_DIR/$name.log
monitor=$LOG_DIR/$name.monitor
rm -f "$log" "$monitor"

# pauth-impdef: the architected pointer authentication is QEMU's slowest instruction by far.
machine=(-M "virt,virtualization=on,gic-version=3" -cpu "max,pauth-impdef=on"
	-accel "tcg,thread=multi" -m 2G -smp "$cpus")
# A path relative to the top: a socket's name has room for 107 bytes only.
quiet=(-nodefaults -display none -nic none -monitor "unix:$monitor,server=on,wait=off")
boot=(-kernel build/kernel/Image -initrd "$initrd"
	-append "console=ttyAMA0 quiet panic=-1 nokaslr ${QEMU_APPEND:-} $*")
serial=(-chardev "stdio,id=console,signal=off,logfile=$log" -serial chardev:console)

if [ -n "$interactive" ]; then
	exec qemu-system-aarch64 "${machine[@]}" "${quiet[@]}" "${boot[@]}" "${serial[@]}"
fi
exec timeout -k 5 "$limit" qemu-system-aarch64 -no-reboot "${machine[@]}" "${quiet[@]}" \
	"${boot[@]}" "${serial[@]}" </dev/null
