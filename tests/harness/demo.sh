#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh demo|shell|measure-demo|measure-shell CCR-RUN KERNEL INITRD
#
#   demo       launch a realm with a disk, give it a challenge, wait until it has powered off. It
#              prints its token (guest-demo); the last line is
#              CCR-DEMO status=N sealed=HEX disk=ok|differs|none boot_ms=N guest=<from its init>
#              where sealed is the RIM of an emulated realm as ccr-run sealed it
#   shell      launch it with a shell on this terminal
#   measure-*  print the RIM that the one or the other will have
#
# Runs in the emulated host's busybox, on an arm64 machine with KVM as it is, and, to measure, on
# the build machine: plain POSIX shell. CCR_REALM chooses who isolates the realm: kvm|emulated.
# CCR_CHALLENGE is what the token must be asked for, in hexadecimal; random if it is not set.
mode=$1
ccr_run=$2
kernel=$3
initrd=$4
modules=configfs,tsm_report,arm-cca-guest,virtio_blk

# with_options PARAMS COMMAND... - add what enters the RIM, in this one place
with_options() {
	params="quiet panic=-1 ccr.modules=$modules $1"
	shift
	"$@" --realm="${CCR_REALM:-emulated}" -k "$kernel" -i "$initrd" -m 512M -c 2 -p "$params"
}
demo_params="ccr.run=demo ccr.then=poweroff"
shell_params="ccr.then=shell"

# In an emulated CPU on a busy machine a healthy guest may be silent for long.
launch() {
	with_options "$1" "$ccr_run" run --silence 60 -d "$work/disk"
}

# A directory with the disk's file; in memory where the host has nothing else.
make_disk() {
	work=$(mktemp -d) || exit
	trap 'rm -rf "$work"' EXIT
	dd if=/dev/null of="$work/disk" bs=1M seek=16 2>/dev/null
}

# Milliseconds since boot, in steps of ten.
now() {
	read -r uptime _ </proc/uptime
	echo "${uptime%.*}${uptime#*.}0" | sed 's/^0*//'
}

# disk_is WORDS - what the guest has written, what it has read, and what is in the file agree
disk_is() {
	set -- "$1" "$(sha256sum <"$work/disk" | cut -d ' ' -f 1)"
	case $1 in
	'') echo none ;;
	"wrote=$2 read=$2") echo ok ;;
	*) echo differs ;;
	esac
}

# The guest's console and ccr-run's own words arrive on one stream, a line at a time; the challenge
# goes the other way, once the guest is there to read it.
demo() {
	challenge=${CCR_CHALLENGE:-$(od -An -v -tx1 -N64 /dev/urandom | tr -d ' \n')}
	mkfifo "$work/keys"
	exec 3<>"$work/keys"
	start=$(now)
	{
		launch "$demo_params" <&3 2>&1
		# Whatever the guest printed last need not have ended its line.
		printf '\nCCR-STATUS %d\n' $?
	} | {
		ready='' sealed='' disk='' boot_ms=''
		while IFS= read -r line; do
			case $line in
			*CCR-GUEST-READY*)
				boot_ms=$(($(now) - start))
				ready=$(echo "${line##*CCR-GUEST-READY }" | tr -d '\r' | tr ' ' ,)
				;;
			*'realm: RIM sha-256:'*'(sealed)'*)
				sealed=${line##*sha-256:}
				sealed=${sealed%% *}
				;;
			*CCR-GUEST-WANTS-CHALLENGE*) echo "$challenge" >&3 ;;
			*'CCR-GUEST-DISK vda '*)
				disk=$(echo "${line##*CCR-GUEST-DISK vda }" | tr -d '\r')
				;;
			'CCR-STATUS '*)
				echo "CCR-DEMO status=${line#CCR-STATUS } sealed=$sealed" \
					"disk=$(disk_is "$disk") boot_ms=$boot_ms guest=$ready"
				continue
				;;
			esac
			printf '%s\n' "$line"
		done
	}
}

case $mode in
demo)
	make_disk
	demo
	;;
shell)
	make_disk
	launch "$shell_params"
	;;
measure-demo) with_options "$demo_params" "$ccr_run" measure ;;
measure-shell) with_options "$shell_params" "$ccr_run" measure ;;
esac
