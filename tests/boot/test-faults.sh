# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2154 # run.sh sets here, dir, out, err, guest, ccr_run
#
# What goes wrong on the host of a plain VM or an emulated realm.

# shellcheck source=faults.sh source-path=SCRIPTDIR
. "$here/faults.sh"

test_killed_soak() {
	nr=$(short_or_long 10 200)
	seed=$(od -An -tu2 -N2 /dev/urandom)
	dd if=/dev/null of="$dir/disk" bs=1M seek=8 2>/dev/null
	recovered=0
	progress "seed $((seed)), $nr launches"
	# Once without counting: what the kernel allocates for its first machine stays.
	launch_and_end realm keeper 60
	before=$(settled_kib)
	recovered=0
	moments "$((seed))" "$nr" >"$dir/moments"
	while read -r kind way tenths; do
		launch_and_end "$kind" "$way" "$tenths"
		is_free_again "$before" ||
			fail "$kind, $way after $tenths/10 s: $((before - free)) KiB are gone"
		progress "$kind: $way after $tenths/10 s, status $status"
	done <"$dir/moments"
	progress "$nr launches ended, which had $((recovered / 1024)) MiB in memory;" \
		"$((before - free)) KiB less free"
	# The name is free, and so is the socket that the killed ones could not remove.
	launch -k "$guest/Image" -i "$guest/initrd.gz" --name victim -d "$dir/disk" \
		-p "$quick ccr.then=poweroff"
	want_status 0
	[ -z "$(ls /run/ccr-run)" ] || fail "left behind: $(ls /run/ccr-run)"
}

test_out_of_memory() {
	out_of_memory -c 1
}

test_full_disk() {
	full_disk ,io=uring
	full_disk ,io=threads
}

test_file_size_limit() {
	file_size_limit ,io=uring
	file_size_limit ,io=threads
}

test_clock_jumps() {
	clock_jumps -c 2
}
