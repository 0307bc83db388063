#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh demo|shell|measure-demo|measure-shell CCR-RUN KERNEL INITRD
#
#   demo       launch a realm, wait until its userspace runs, let it power off. The last line is
#              CCR-DEMO status=N guest-rim=HEX boot_ms=N guest=<what its init said>
#              where the RIM is from the realm's own token, or what ccr-run sealed if it is emulated
#   shell      launch it with a shell on this terminal
#   measure-*  print the RIM that the one or the other will have
#
# Runs in the emulated host's busybox, on an arm64 machine with KVM as it is, and, to measure, on
# the build machine: plain POSIX shell. CCR_REALM chooses who isolates the realm: kvm|emulated.
mode=$1
ccr_run=$2
kernel=$3
initrd=$4

# with_options THEN COMMAND... - add what enters the RIM, in this one place
with_options() {
	params="quiet panic=-1 ccr.then=$1"
	shift
	# What a real realm's measurement is, only it can say: it asks for a token.
	[ "${CCR_REALM:-}" != kvm ] || params="$params rdinit=/harness/attest"
	"$@" --realm="${CCR_REALM:-emulated}" -k "$kernel" -i "$initrd" -m 512M -c 2 -p "$params"
}

# In an emulated CPU on a busy machine a healthy guest may be silent for long.
launch() {
	with_options "$1" "$ccr_run" run --silence 60
}

# Milliseconds since boot, in steps of ten.
now() {
	read -r uptime _ </proc/uptime
	echo "${uptime%.*}${uptime#*.}0" | sed 's/^0*//'
}

# The guest's console and ccr-run's own words arrive on one stream, a line at a time.
demo() {
	start=$(now)
	{
		launch poweroff 2>&1
		# Whatever the guest printed last need not have ended its line.
		printf '\nCCR-STATUS %d\n' $?
	} | {
		ready='' rim='' boot_ms=''
		while IFS= read -r line; do
			case $line in
			*CCR-GUEST-*) [ -n "$boot_ms" ] || boot_ms=$(($(now) - start)) ;;
			esac
			case $line in
			*CCR-GUEST-READY*)
				ready=$(echo "${line##*CCR-GUEST-READY }" | tr -d '\r' | tr ' ' ,)
				;;
			*'realm: RIM sha-256:'*'(sealed)'*)
				rim=${line##*sha-256:}
				rim=${rim%% *}
				;;
			*'CCR-GUEST-RIM '*)
				rim=$(echo "${line##*CCR-GUEST-RIM }" | tr -cd 0-9a-f)
				;;
			'CCR-STATUS '*)
				status=${line#CCR-STATUS }
				echo "CCR-DEMO status=$status guest-rim=$rim boot_ms=$boot_ms" \
					"guest=$ready"
				continue
				;;
			esac
			printf '%s\n' "$line"
		done
	}
}

case $mode in
demo) demo ;;
shell) launch shell ;;
measure-demo) with_options poweroff "$ccr_run" measure ;;
measure-shell) with_options shell "$ccr_run" measure ;;
esac
