# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets top, guest, ccr_run, dir, out, err; lib.sh the rest
#
# What goes wrong on the host: memory and disks that end, clocks that jump. After each: a clear
# message, nothing left behind, no write lost that was told.

# Memory of a control group ends: the machine in it dies, with a sentence, and its neighbour lives.
test_out_of_memory() {
	[ -z "$top" ] || skip "not on a machine that is more than a test host"
	groups=$dir/groups
	mkdir "$groups"
	mount -t cgroup2 groups "$groups" || skip "no control groups"
	if ! grep -q memory "$groups/cgroup.controllers"; then
		umount "$groups"
		skip "no control groups of memory"
	fi
	echo +memory >"$groups/cgroup.subtree_control"
	mkdir "$groups/small"
	echo 256M >"$groups/small/memory.max"
	"$ccr_run" run -k "$guest/Image" -i "$guest/initrd.gz" --name neighbour --silence 0 \
		-p "quiet ccr.then=hang" </dev/null >"$dir/neighbour" 2>&1 &
	neighbour=$!
	(
		# 0 is whoever writes it.
		echo 0 >"$groups/small/cgroup.procs"
		run_guest -k "$guest/Image" -i "$guest/initrd.gz" -m 512M \
			-p "quiet ccr.run=memory,400 ccr.then=poweroff"
	) </dev/null >"$out" 2>"$err"
	status=$?
	kills=$(sed -n 's/^oom_kill //p' "$groups/small/memory.events")
	rmdir "$groups/small"
	umount "$groups"
	want_status 4
	want "$err" 'killed (SIGKILL): by somebody, or by the kernel for want of memory'
	want "$out" '^CCR-GUEST-MEMORY used='
	[ "$kills" -gt 0 ] || fail "nothing was killed for want of memory"
	for _ in $(seq 300); do
		! grep -q CCR-GUEST-READY "$dir/neighbour" || break
		sleep 0.2
	done
	"$ccr_run" stat neighbour >"$dir/answer" 2>&1
	want "$dir/answer" '^status  *running'
	"$ccr_run" stop neighbour --force >"$dir/answer" 2>&1
	wait "$neighbour" || fail "the neighbour ended with $?"
	progress "$(tr -d '\r' <"$out" | grep -c CCR-GUEST-MEMORY) times 16 MiB, then killed"
}

journal_params="quiet ccr.modules=virtio_blk ccr.run=disk,journal,vda ccr.then=poweroff"

# told_is_written - what the guest was told to be on the disk is in its file
told_is_written() {
	last=$(tr -d '\r' <"$out" | sed -n 's/^CCR-GUEST-DISK vda durable=//p' | tail -n 1)
	[ "${last:-0}" -gt 3 ] || fail "only ${last:-no} writes before the disk was full"
	for nr in $(seq 0 "$last"); do
		printf %08d "$nr"
	done >"$dir/told"
	dd if="$1" bs=4K count=$((last + 1)) 2>/dev/null | tr -d '\0' >"$dir/written"
	cmp "$dir/told" "$dir/written" || fail "of $((last + 1)) blocks, some are not there"
	progress "$((last + 1)) durable writes, then: $(grep 'was told' "$err" | head -n 1)"
}

# full_disk OPTIONS - the file system of the disk's file is full; the guest gets errors, and goes on
full_disk() {
	mkdir -p "$dir/small"
	mount -t tmpfs -o size=2200k small "$dir/small"
	dd if=/dev/null of="$dir/small/disk" bs=1M seek=8 2>/dev/null
	launch -k "$guest/Image" -i "$guest/initrd.gz" -c 2 -d "$dir/small/disk$1" \
		-p "$journal_params"
	(
		want_status 0
		want "$err" 'No space left on device'
		[ "$(grep -c 'No space left' "$err")" -le 8 ] || fail "too many messages"
		told_is_written "$dir/small/disk"
	)
	result=$?
	umount "$dir/small"
	[ $result = 0 ] || exit 1
}

test_full_disk() {
	[ -z "$top" ] || skip "not on a machine that is more than a test host"
	full_disk ,io=uring
	full_disk ,io=threads
}

# The user's limit of files' sizes: an error for the guest, and not a signal for us.
test_file_size_limit() {
	dd if=/dev/null of="$dir/disk" bs=1M seek=8 2>/dev/null
	for io in uring threads; do
		# In units of 512 bytes: less than what the guest begins with.
		(
			ulimit -f 256
			run_guest -k "$guest/Image" -i "$guest/initrd.gz" \
				-d "$dir/disk,io=$io" -p "$journal_params"
		) </dev/null >"$out" 2>"$err"
		status=$?
		want_status 0
		want "$err" 'File too large; the guest was told'
		want "$out" 'I/O error, dev vda'
		want "$out" 'Power down'
	done
}

# ticks NR - wait for so many more lines of the guest's clock
ticks() {
	await "$out" CCR-GUEST-CLOCK $(($(grep -c CCR-GUEST-CLOCK "$out") + $1))
}

# rtc_is SECONDS - the guest's clock on the bus says that, or some seconds more
rtc_is() {
	rtc=$(tr -d '\r' <"$out" | sed -n 's/^CCR-GUEST-CLOCK .*rtc=//p' | tail -n 1)
	[ "$rtc" -ge "$1" ] || fail "the guest's clock: $rtc, not $1"
	[ "$rtc" -le $(($1 + 30)) ] || fail "the guest's clock: $rtc, not $1"
}

# The host's time of day jumps, and its processes stand still for a while: the guest's own time goes
# on, its clock on the bus follows the host's, and whoever asks gets answers.
test_clock_jumps() {
	[ -z "$top" ] || skip "not on a machine that is more than a test host"
	now=$(date +%s)
	read -r up _ </proc/uptime
	start -k "$guest/Image" -i "$guest/initrd.gz" -c 2 --name jumps --silence 60 \
		-p "quiet ccr.run=clock,3600 ccr.then=poweroff"
	await "$out" CCR-GUEST-CLOCK 2
	(
		for jump in 100000000 -100000000 0; do
			date -s "@$((now + jump))" >/dev/null
			ticks 3
			rtc_is $((now + jump))
			"$ccr_run" stat jumps >"$dir/answer" 2>&1
			want "$dir/answer" '^status  *running'
		done
		kill -STOP "$(machine_pid)"
		sleep 3
		kill -CONT "$(machine_pid)"
		ticks 3
		"$ccr_run" stat jumps >"$dir/answer" 2>&1
		want "$dir/answer" '^status  *running'
	)
	result=$?
	read -r later _ </proc/uptime
	date -s "@$((now + ${later%.*} - ${up%.*}))" >/dev/null
	[ $result = 0 ] || exit 1
	stop_with TERM
	want_status 0
	refuse "$err" 'silent\|error'
	# Never back, and never by more than what the machine stood still.
	tr -d '\r' <"$out" | sed -n 's/^CCR-GUEST-CLOCK up=\([0-9]*\) .*/\1/p' | awk '
		NR > 1 && ($1 < last || $1 > last + 30) { print last " then " $1; bad = 1 }
		{ last = $1 }
		END { exit bad }' >"$dir/steps" || fail "the guest's own time: $(cat "$dir/steps")"
}
