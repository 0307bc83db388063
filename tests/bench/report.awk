# SPDX-License-Identifier: Apache-2.0
#
# The log of the bench's host as tables. Lines of figures are
#   CCR-BENCH kind=KIND NAME=N...             one a launch, three of each kind
#   CCR-BENCH-IO job=JOB kind=KIND NAME=N...  one a job of fio
/^not ok/ { failed++; print }

/CCR-BENCH/ {
	split("", pair)
	for (i = 2; i <= NF; i++) {
		split($i, word, "=")
		pair[word[1]] = word[2]
	}
	for (name in pair)
		if ("job" in pair)
			io[pair["kind"], pair["job"], name] = pair[name]
		else
			value[pair["kind"], name, ++count[pair["kind"], name]] = pair[name]
}

function median(kind, what,   a, b, c) {
	if (count[kind, what] != 3)
		missing++
	a = value[kind, what, 1]; b = value[kind, what, 2]; c = value[kind, what, 3]
	return a > b ? (b > c ? b : (a > c ? c : a)) : (a > c ? a : (b > c ? c : b))
}

function head(title, first, second, third) {
	printf "\n%-34s %10s %10s %10s\n", title, first, second, third
}

function row(first, second, what, text,   a, b) {
	a = median(first, what); b = median(second, what)
	printf "%-34s %10d %10d %10.2f\n", text, a, b, a ? b / a : 0
}

# The same figure of a job in the three kinds of guest.
function io_row(job, what, text,   i, kinds, n, line) {
	n = split("plain bounced emulated", kinds, " ")
	line = sprintf("%-34s", text)
	for (i = 1; i <= n; i++) {
		if (!((kinds[i], job, what) in io))
			missing++
		line = line sprintf(" %10d", io[kinds[i], job, what])
	}
	print line
}

function exits_row(job, text,   i, kinds, n, line, ios) {
	n = split("plain bounced emulated", kinds, " ")
	line = sprintf("%-34s", text)
	for (i = 1; i <= n; i++) {
		ios = io[kinds[i], job, "ios"]
		line = line sprintf(" %10.1f", ios ? io[kinds[i], job, "exits"] / ios : 0)
	}
	print line
}

END {
	head("launch", "plain", "emulated", "ratio")
	row("plain", "emulated", "first_ms", "exec to first instruction, ms")
	row("plain", "emulated", "user_ms", "exec to guest userspace, ms")
	row("plain", "emulated", "private_kib", "private memory beyond RAM, KiB")
	head("console, all of the kernel's words", "ttyS0", "hvc0", "ratio")
	row("ttyS0", "hvc0", "boot_ms", "exec to guest userspace, ms")
	head("disk, one request at a time", "plain", "bounced", "emulated")
	io_row("read_seq", "kib_s", "sequential read, KiB/s")
	io_row("write_seq", "kib_s", "sequential write, KiB/s")
	io_row("read_4k", "iops", "random 4 KiB read, per second")
	io_row("write_4k", "iops", "random 4 KiB write, per second")
	exits_row("read_4k", "exits for each random read")
	exits_row("write_4k", "exits for each random write")
	if (failed || missing) {
		print "not everything gave figures"
		exit 1
	}
}
