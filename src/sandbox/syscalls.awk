# SPDX-License-Identifier: Apache-2.0
#
# From the comments beside the code that needs a system call, the list of all that are allowed:
#
#     /* syscalls(vcpu worker): ioctl:KVM_IRQ_LINE write */
#
# The words in parentheses are kinds of threads (enum sandbox_thread); `all` is each of them, and
# `setup` is code that only runs before a process is confined, which allows nothing. A word behind
# them is a call, by the name that arm64 has for it, with a value of the argument that says what it
# does where that counts: an ioctl's request. Coding style, "System calls", has the rules.
#
# usage: awk -f syscalls.awk FILE.c... >rules.c

BEGIN {
	split("loop vcpu worker build broker share", kinds)
	for (i in kinds)
		is_kind[kinds[i]] = 1
	# What x86-64 has the C library use instead; only tests run there.
	twin["ppoll"] = "poll"
	twin["epoll_pwait"] = "epoll_wait"
	twin["newfstatat"] = "stat"
	twin["unlinkat"] = "unlink"
	status = 0
}

function complain(text) {
	printf "%s:%d: %s\n", FILENAME, FNR, text >"/dev/stderr"
	status = 1
}

function allow(call, value, kind) {
	if (!(call in seen)) {
		seen[call] = 1
		calls[++nr_calls] = call
		nr_values[call] = 0
	}
	if (!((call, value) in mask)) {
		values[call, ++nr_values[call]] = value
		mask[call, value] = ""
	}
	if (index(mask[call, value] "|", "_" toupper(kind) "|") == 0)
		mask[call, value] = mask[call, value] (mask[call, value] == "" ? "" : " | ") \
			"1u << SANDBOX_" toupper(kind)
}

function allow_for(word, kind,    parts) {
	if (word !~ /^[a-z][a-z0-9_]*(:[A-Z][A-Za-z0-9_]*)?$/) {
		complain("\"" word "\" is not a system call")
		return
	}
	split(word, parts, ":")
	allow(parts[1], parts[2], kind)
	if (parts[1] in twin)
		allow(twin[parts[1]], parts[2], kind)
}

# One comment, without its marks.
function take(text,    names, words, nr_names, nr_words, i, j, k) {
	names = text
	sub(/^.*syscalls\(/, "", names)
	sub(/\).*$/, "", names)
	sub(/^[^:]*\): */, "", text)
	nr_names = split(names, name)
	nr_words = split(text, words)
	if (nr_names == 0 || nr_words == 0)
		complain("a syscalls comment names threads and system calls")
	for (i = 1; i <= nr_names; i++) {
		if (name[i] != "all" && name[i] != "setup" && !(name[i] in is_kind))
			complain("there is no kind of thread called " name[i])
		for (j = 1; j <= nr_words; j++) {
			if (name[i] == "all") {
				for (k = 1; k in kinds; k++)
					allow_for(words[j], kinds[k])
			} else if (name[i] in is_kind) {
				allow_for(words[j], name[i])
			}
		}
	}
}

# A list goes on until the comment ends, an empty line of it comes, or another list begins.
/^(\/\*| \*) syscalls\([a-z ]*\):/ {
	if (inside)
		take(text)
	inside = 1
	text = ""
}
inside {
	line = $0
	ends = sub(/\*\/.*/, "", line)
	sub(/^(\/\*| \*)/, "", line)
	text = text " " line
	if (ends || line ~ /^ *$/) {
		take(text)
		inside = 0
	}
}

END {
	print "/* Made by src/sandbox/syscalls.awk from the comments beside the code. */"
	print "#include <fcntl.h>"
	print "#include <signal.h>"
	print "#include <linux/fs.h>"
	print "#include <linux/if_tun.h>"
	print "#include <linux/kvm.h>"
	print "#include <linux/seccomp.h>"
	print "#include <linux/vhost.h>"
	print "#include <sys/ioctl.h>"
	print "#include <sys/mman.h>"
	print "#include <sys/prctl.h>"
	print "#include <sys/socket.h>"
	print "#include <sys/syscall.h>"
	print "#include \"ccr/filter.h\""
	print "#include \"ccr/sandbox.h\""
	print "#include \"uapi/kvm_realm.h\""
	print ""
	print "/* What glibc handles a change of all threads\047 user with, once there are threads. */"
	print "#define LIBC_SIGSETXID 33"
	print ""
	print "const struct filter_rule filter_rules[] = {"
	for (i = 1; i <= nr_calls; i++) {
		call = calls[i]
		printf "#ifdef __NR_%s\n", call
		for (j = 1; j <= nr_values[call]; j++) {
			value = values[call, j]
			printf "\t{__NR_%s, %s, %s, %s},\n", call, \
				value == "" ? "false" : "true", \
				value == "" ? "0" : "(uint32_t)" value, mask[call, value]
		}
		print "#endif"
	}
	print "};"
	print "const size_t filter_nr_rules = sizeof(filter_rules) / sizeof(filter_rules[0]);"
	exit status
}
