# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# CPU features as guests find them: test-features.sh and stack-features.sh source it.

# offered MEMBER KEY - what `check --json` says there: a list's words, or a number
offered() {
	"$ccr_run" check --json | sed -n "s/.*\"$1\": { \([^}]*\)}.*/\1/p" |
		sed -n "s/.*\"$2\": \([0-9][0-9]*\|\[[^]]*\]\).*/\1/p" | tr -d '[],"' |
		sed 's/^ *//; s/ *$//'
}

# bare_metal_cpu CHOICES ARGUMENT... - a realm's ID registers as it reads them, and the RIM that it
# reads is the one that `measure` computes of the same choices
bare_metal_cpu() {
	choices=$1
	shift
	launch -k "$guest/rsi.img" -m 64M --no-pci -p ccr.rsi=cpu --cpu-feature "$choices" "$@"
	want_status 0
}

# note NAME - what the bare-metal guest has found there, in hexadecimal
note() {
	tr -d '\r' <"$out" | sed -n "s/^# cpu $1=//p"
}

# measured_with CHOICES ARGUMENT... - the realm with these choices has the RIM of `measure`, and the
# one without them another
measured_with() {
	choices=$1
	shift
	launch -k "$guest/rsi.img" -m 64M --no-pci --cpu-feature "$choices" "$@"
	want_status 0
	want_tap
	seen=$(tr -d '\r' <"$out" | sed -n 's/^# rim=//p')
	computed=$("$ccr_run" measure -q "$@" -k "$guest/rsi.img" -m 64M --no-pci \
		--cpu-feature "$choices") || fail "nothing was measured"
	[ "${#seen}" = 64 ] || fail "the guest has read no RIM: '$seen'"
	[ "$seen" = "$computed" ] ||
		fail "$choices: the realm has RIM $seen, measured was $computed"
	other=$("$ccr_run" measure -q "$@" -k "$guest/rsi.img" -m 64M --no-pci)
	[ "$seen" != "$other" ] || fail "$choices: the RIM is that of a realm without"
}

# linux_cpu CHOICES ARGUMENT... - what Linux makes of such a CPU, as lines of its output
linux_cpu() {
	choices=$1
	shift
	launch -k "$guest/Image" -i "$guest/initrd.gz" -m 256M --no-pci --cpu-feature "$choices" \
		-p "$quick ccr.run=parity ccr.then=poweroff" "$@"
	want_status 0
	want_ready
}

# linux_has, linux_lacks NAME... - of the features in its /proc/cpuinfo
linux_has() {
	for name; do
		want "$out" "^CCR-GUEST-CPU features .*\\b$name\\b"
	done
}

linux_lacks() {
	for name; do
		refuse "$out" "^CCR-GUEST-CPU features .*\\b$name\\b"
	done
}
