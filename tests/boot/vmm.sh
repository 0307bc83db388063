# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err
#
# The VMMs that `make bench` compares, each started the way its manual says is fast. The candidates
# take turns, so that whatever else this host does falls on all of them. Nothing is judged here:
# lines of figures go to the console, and tests/bench/report.py reads them.
#
# A candidate is one of
#   ccr       ccr-run, a plain VM              qemu      Debian's qemu-system-aarch64
#   bounced   the same, swiotlb=...,force      lkvm      kvmtool, if PEER= has brought it
#   realm     ccr-run, an emulated realm

# A section's limit is that of its guests together.
limit=900
meter=$top/bin/meter
peers=$top/peers
rounds=$(sed -n 's/.*ccr\.rounds=\([0-9]*\).*/\1/p' /proc/cmdline)
rounds=${rounds:-1}
# A guest that bounces without need, with a pool as large as that of the realm. 64 MiB, 32768 slots,
# would be the default, which Linux on arm64 takes for no wish at all: a guest of 1 GiB has 1 MiB
# then, and waits for ever for the rest. Less is rounded up to it.
bounces=swiotlb=32640,force
# That of QEMU: a network's queues are run by the kernel.
vhost=off

# all_vmms - those that there are
all_vmms() {
	echo ccr qemu
	[ ! -d "$peers/lkvm" ] || echo lkvm
}

# command_of VMM CPUS MIB PARAMETERS KERNEL INITRD DISK TAP - set command to what runs a guest, one
# word a line; INITRD, DISK and TAP may be empty
command_of() {
	command=$(command_words "$@")
}

command_words() {
	case $1 in
	ccr | bounced | realm)
		printf '%s\n' "$ccr_run" run -q --silence 0 -c "$2" -m "$3M" -p "$4" -k "$5"
		[ -z "$6" ] || printf '%s\n' -i "$6"
		[ -z "$7" ] || printf '%s\n' -d "$7,direct"
		[ -z "$8" ] || printf '%s\n' -n "tap=$8"
		[ "$1" != realm ] || printf '%s\n' --realm=emulated --bounce 64M
		;;
	qemu)
		# The loader is named because nothing of Debian's is in its place here.
		printf '%s\n' "$peers/qemu/lib/ld-linux-aarch64.so.1" \
			--library-path "$peers/qemu/lib" \
			"$peers/qemu/bin/qemu-system-aarch64" -accel kvm -cpu host \
			-M virt,gic-version=3 -nodefaults -no-user-config -display none \
			-serial stdio -smp "$2" -m "$3M" -append "$4" -kernel "$5"
		[ -z "$6" ] || printf '%s\n' -initrd "$6"
		[ -z "$7" ] || printf '%s\n' -object iothread,id=io \
			-drive "if=none,id=d,format=raw,file=$7,cache=none,aio=io_uring" \
			-device virtio-blk-pci,drive=d,iothread=io,romfile=
		[ -z "$8" ] || printf '%s\n' \
			-netdev "tap,id=n,ifname=$8,script=no,downscript=no,vhost=$vhost" \
			-device virtio-net-pci,netdev=n,romfile=
		;;
	lkvm)
		printf '%s\n' "$peers/lkvm/bin/lkvm" run -c "$2" -m "$3" -p "$4" -k "$5" \
			--irqchip gicv3-its
		[ -z "$6" ] || printf '%s\n' -i "$6"
		[ -z "$7" ] || printf '%s\n' -d "$7,direct"
		# Through its modern device Linux 7.3 sends frames with 12 bytes too many before
		# them, which the tap drops.
		[ -z "$8" ] || printf '%s\n' -n "mode=tap,tapif=$8" --virtio-transport pci-legacy
		;;
	esac
}

# with_command VMM... - run what command_of has set, behind these words
with_command() {
	saved=$IFS
	IFS='
'
	# shellcheck disable=SC2086 # one word a line
	set -f -- "$@" $command
	IFS=$saved
	set +f
	"$@"
}

# metered SECTION VMM SECONDS CPUS MIB PARAMETERS KERNEL INITRD DISK TAP - run a guest to the end of
# what it has to say, and report its lines
metered() {
	section=$1 vmm=$2 seconds=$3 mib=$5
	shift 3
	command_of "$vmm" "$@"
	with_command "$meter" run "$mib" "$seconds" >"$out" 2>"$err" ||
		fail "$vmm did not end well"
	! grep CCR-FAIL "$out" || fail "$vmm's guest failed"
	sed -n "s/^CCR-/CCR-BENCH section=$section vmm=$vmm at=/p" "$out" >/dev/console
}
