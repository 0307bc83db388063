# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154,SC2034 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# An ordinary user in the group kvm: everything works, and is confined as much.

# shellcheck source=confine.sh source-path=SCRIPTDIR
. "$here/confine.sh"
# shellcheck source=9p.sh source-path=SCRIPTDIR
. "$here/9p.sh"
# shellcheck source=vsock.sh source-path=SCRIPTDIR
. "$here/vsock.sh"

# as_member - from here on, ccr-run is started by a user who may use /dev/kvm, and nothing else
as_member() {
	[ -z "$top" ] || skip "not on a machine that is more than a test host"
	guard_kvm
	trap unguard_kvm EXIT
	chown member "$dir"
	# Sockets and disks that root makes here are for the member, too.
	umask 0
	# No word has an apostrophe.
	cat >"$dir/as-member" <<END
#!/bin/sh
for word; do line="\$line '\$word'"; done
exec su member -c "ulimit -c unlimited; cd '$dir'; XDG_RUNTIME_DIR='$dir' exec '$ccr_run' \$line"
END
	chmod 755 "$dir/as-member"
	ccr_run=$dir/as-member
}

# want_confined PID - of a machine's process, by what the kernel shows root of it
want_confined() {
	local proc=/proc/$1 set task file fd

	want "$proc/status" '^Uid:.1000'
	want "$proc/status" '^NoNewPrivs:.1$'
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		want "$proc/status" "^$set:.0*\$"
	done
	want "$proc/limits" '^Max core file size *0 *0 '
	for task in "$proc"/task/*; do
		want "$task/status" '^Seccomp:.2$'
		want "$task/status" '^Seccomp_filters:.[1-9]$'
	done
	# Who may not be dumped belongs to root: its user can neither trace it nor look into it.
	[ "$(stat -c %u "$proc/mem")" = 0 ] || fail "its user may trace it"
	for file in mem maps environ fd/0 root; do
		! su member -c "cat $proc/$file" >/dev/null 2>&1 || fail "its user may read $file"
	done
	# CLOEXEC, whoever made it.
	for fd in "$proc"/fdinfo/*; do
		[ "${fd##*/}" -le 2 ] || want "$fd" '^flags:.*[2367][0-7]\{6\}$'
	done
}

# want_apart PID - it has name spaces of its own, and no files
want_apart() {
	local space

	for space in user mnt net ipc uts; do
		[ "$(readlink "/proc/$1/ns/$space")" != "$(readlink "/proc/self/ns/$space")" ] ||
			fail "it is in the host's name space: $space"
	done
	[ -z "$(ls -A "/proc/$1/root/")" ] || fail "it sees files: $(ls "/proc/$1/root/")"
}

# member_run ARGUMENT... - a disk and a vsock, to the end, looked at while it runs; then one that
# crashes
member_run() {
	as_member
	dd if=/dev/zero of="$dir/disk" bs=1M count=4 2>/dev/null
	meanwhile() {
		machine=$(machine_pid)
		want_confined "$machine"
		want_apart "$machine"
	}
	streams --disk "$dir/disk" "$@"
	start_bare crashes --disk "$dir/disk" --vsock "$dir/vsock" "$@"
	machine=$(machine_pid)
	want_confined "$machine"
	want_apart "$machine"
	# A crash leaves no core, which would have the guest's memory, wherever cores go.
	echo "$dir/core" >/proc/sys/kernel/core_pattern
	kill -SEGV "$machine"
	wait "$pid"
	status=$?
	echo core >/proc/sys/kernel/core_pattern
	want_status 70
	want "$err" 'has crashed (SIGSEGV)'
	for file in "$dir"/core*; do
		[ ! -e "$file" ] || fail "a core was dumped"
	done
}

test_member_plain() {
	member_run
}

test_member_realm() {
	member_run --realm=emulated
}

# Without user name spaces, Landlock keeps the files, and one sentence says nothing of that.
# A broker that was taken over is in a root directory of its own, by a name space of users.
test_member_brokers() {
	plant_hook
	as_member
	"$ccr_run" check >"$out" 2>"$err"
	want "$out" '^a 9p broker opens: .*, and nothing else is there for it'
	for name in open stat chmod; do
		hijack_share "$(attempt_number $name)"
		want "$err" "^hook: $name: ENOENT"
		want_tap
		want_status 0
	done
	hijack_sockets "$(attempt_number connect)"
	want "$err" '^hook: connect: ENOENT'
	hijack_sockets "$(attempt_number connect-abstract)"
	want "$err" '^hook: connect-abstract: ECONNREFUSED'
	want_tap
	want_status 0
}

test_member_without_namespaces() {
	plant_hook
	as_member
	[ -f /proc/sys/user/max_user_namespaces ] || skip "no user name spaces at all"
	echo 0 >/proc/sys/user/max_user_namespaces
	trap 'unguard_kvm; echo 1000 >/proc/sys/user/max_user_namespaces' EXIT
	hijack 0 255 --sandbox log
	for name in open create unlink ptrace kill bpf execve; do
		want "$err" "^hook: $name: E"
	done
	hijack 2 1
	want_status 70
	# What Landlock has no rule for is left to brokers.
	hijack_share "$(attempt_number open)"
	want "$err" '^hook: open: EACCES'
	hijack_share "$(attempt_number stat)"
	want "$err" '^hook: stat: done'
	want_tap
	want_status 0
}
