#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The rules bite: a small project that keeps them all passes, and each violation planted in a copy
# of it is reported. What is planted is spelled so that this file itself violates nothing.
set -u

here=$(cd "$(dirname "$0")" && pwd)
project=${1:-$here/../..}
project=$(cd "$project" && pwd)
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM
failed=0
output=

complain() {
	failed=1
	echo "$*"
}

lint() {
	output=$("$here/run.sh" -C . "$@" 2>&1)
}

# catches <check> <reason>...: the check fails, and gives each reason (an extended expression)
catches() {
	check=$1
	shift
	lint "$check"
	case $output in
	*"# SKIP"*)
		echo "note: $check cannot be tried here"
		return
		;;
	*"not ok lint: $check"*) ;;
	*) complain "$check: passes what it should not" ;;
	esac
	for reason; do
		printf '%s\n' "$output" | grep -Eq -- "$reason" ||
			complain "$check: does not say: $reason"
	done
}

# break_copy: continue in a fresh copy of the good project
break_copy() {
	rm -rf "$scratch/copy"
	cp -R "$scratch/good" "$scratch/copy"
	cd "$scratch/copy" || exit 1
}

harden='-g -O2 -fPIE -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero'
linked='-pie -Wl,-z,relro,-z,now,-z,noexecstack'
# shellcheck disable=SC2086 # flags
build_program() {
	mkdir -p build/native
	cat >build/program.c <<'END'
#include <stdlib.h>
#include <string.h>
char *elf_flatten(size_t size, const char *from, size_t nr);
char *elf_flatten(size_t size, const char *from, size_t nr)
{
	char *to = malloc(size);

	return to ? memcpy(to, from, nr) : to;
}
int main(int c, char **v)
{
	char b[9];

	strcpy(b, v[c - 1]);
	return elf_flatten(sizeof(b) * (size_t)c, b, 9)[0];
}
END
	gcc -w $1 -o build/native/ccr-run build/program.c
}

# --- the good project

mkdir -p "$scratch/good" && cd "$scratch/good" || exit 1
cp "$project/.clang-format" "$project/.clang-tidy" .
printf '[*]\nmax_line_length = 100\n[*.{c,h}]\nindent_style = tab\n[*.sh]\nindent_style = space\n' \
	>.editorconfig
mkdir -p include/ccr src/util src/mem tests/harness

cat >include/ccr/err.h <<'END'
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CCR_ERR_H
#define CCR_ERR_H

/**
 * struct ccr_err - a failure
 * @code: -errno
 */
struct ccr_err {
	int code;
};

/** err_set() - record @code. Return: @code. */
int err_set(struct ccr_err *err, int code);

/** err_get(), err_clear() - look, and forget */
int err_get(const struct ccr_err *err);
void err_clear(struct ccr_err *err);

#endif
END
cat >src/util/err.c <<'END'
/* SPDX-License-Identifier: Apache-2.0 */
#include "ccr/err.h"

static const char *const names[] = {"none", "some"};

int err_set(struct ccr_err *err, int code)
{
	err->code = code;
	return code;
}

int err_get(const struct ccr_err *err)
{
	return names[err->code != 0][0] == 's';
}

void err_clear(struct ccr_err *err)
{
	err->code = 0;
}
END
cat >include/ccr/gmem.h <<'END'
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CCR_GMEM_H
#define CCR_GMEM_H

#include <stdint.h>

#include "ccr/err.h"

/**
 * gmem_slot_address() - where guest memory is mapped
 * @err: what went wrong
 */
uint64_t gmem_slot_address(struct ccr_err *err);

#endif
END
cat >src/mem/internal.h <<'END'
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MEM_INTERNAL_H
#define MEM_INTERNAL_H

#include <stdint.h>

#include "ccr/err.h"

/**
 * backing_map() - map some of the host's memory
 * @err: what went wrong
 */
uint64_t backing_map(struct ccr_err *err);

#endif
END
cat >src/mem/backing.c <<'END'
/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1
#include <sys/mman.h>

#include "internal.h"

/* syscalls(build): mmap */
uint64_t backing_map(struct ccr_err *err)
{
	int fd = memfd_create("x", MFD_CLOEXEC);
	void *map = mmap((void *)0, 1, PROT_READ, MAP_SHARED, fd, 0);

	return map == MAP_FAILED ? (uint64_t)err_set(err, -1) : (uint64_t)map;
}
END
cat >src/mem/gmem.c <<'END'
/* SPDX-License-Identifier: Apache-2.0 */
#include "ccr/gmem.h"
#include "internal.h"

uint64_t gmem_slot_address(struct ccr_err *err)
{
	return backing_map(err);
}
END
cat >src/main.c <<'END'
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "ccr/gmem.h"

int main(void)
{
	struct ccr_err err = {0};

	if (err_set(&err, 0))
		exit(1);
	return 0;
}
END
# shellcheck disable=SC2016 # the scripts made here expand it, not this one
printf '#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\necho "$1"\n' >tests/harness/run.sh
build_program "$harden -D_FORTIFY_SOURCE=3 $linked" || exit 1

lint format tidy cppcheck layers denials cloexec symbols syscalls contracts headers text shell \
	binary ||
	complain "a good project does not pass:
$output"

# --- what each check must catch

break_copy
printf 'static int  wide;\n' >>src/util/err.c
catches format 'src/util/err.c:21: run clang-format'

break_copy
cat >>src/util/err.c <<'END'
int err_find(const char *a, const char *b);
int err_find(const char *a, const char *b)
{
	return __builtin_strcmp(a, b) ? 0 : *(const char *)0; /* NOLINT */
}
int err_null(const int *p);
int err_null(const int *p)
{
	p = 0;
	return *p;
}
END
catches tidy 'src/util/err.c:30:.*core.NullDereference' 'err.c:24: write NOLINT'
catches tidy 'src/util/err.c:30:.*core.NullDereference' # now from the cache

break_copy
echo 'int err_self(int code);' >>src/util/err.c
echo 'int err_self(int code) { code = code; return code; }' >>src/util/err.c
catches clang 'src/util/err.c:[0-9]*:.*-Wself-assign'

break_copy
cat >>src/util/err.c <<'END'
void err_leak(void)
{
	int list[2];
	/* cppcheck-suppress unusedFunction */
	list[2] = 0;
}
END
catches cppcheck 'src/util/err.c:25: error:.*arrayIndexOutOfBounds' 'err.c:24: write cppcheck-supp'

break_copy
sed -i 's/#include "ccr.err.h"/#include <stdlib.h>\n&/' src/util/err.c
cat >>src/util/err.c <<'END'
int err_twice(int code);
int err_twice(int code)
{
	char *text = malloc(8);

	free(text);
	if (code)
		free(text);
	return code;
}
END
catches analyzer 'src/util/err.c:29: double-.*free.* of .*text' \
	'cose.c: .* is not reported any more'

break_copy
mkdir -p src/kvm src/unknown src/vm
printf '#include "ccr/gmem.h"\n#include <errno.h>\n#include "ccr/none.h"\n' >>src/util/err.c
printf '#include <ccr/err.h>\n#include "../util/x.h"\n#include <linux/kvm.h>\n' >>src/mem/gmem.c
printf '#include <linux/kvm.h>\n' >src/kvm/kvm.c
: >src/util/x.h
: >src/unknown/x.c
: >include/ccr/stray.h
printf '#include "ccr/stray.h"\n' >src/vm/vm.c
catches layers 'err.c:21: util must not include "ccr/gmem.h" of mem' 'err.c:22: <errno.h> comes' \
	'err.c:23: there is no "ccr/none.h"' 'gmem.c:9: <ccr/err.h> is the project' \
	'gmem.c:10: "../util/x.h" is private' 'gmem.c:11: only src/kvm and arch/arm64/kvm include' \
	'src/unknown/x.c: belongs to no module' 'ccr/stray.h: belongs to no module' \
	'vm.c:1: "ccr/stray.h" belongs to no module'
printf '%s\n' "$output" | grep -q src/kvm/kvm.c: &&
	complain "layers: denies KVM's header to src/kvm"

break_copy
mkdir -p arch/arm64/kvm
cat >>src/util/err.c <<'END'
/* exit(1) in a comment, and in a string: */
static const char text[] = "abort()";
static void f(void)
{
	perror(text);
	exit(1);
	s.exit(1);
	assert(0);
	open("/dev/null", 0);
	gmem_rmm_read(0, 0, 0, gmem_slot_address(0));
}
END
printf '\tp = (uint8_t *)(uintptr_t)gmem_slot_address(err);\n' >arch/arm64/kvm/vm.c
printf '\tp = (uint8_t *)gmem_slot_address(err);\n\tp = (void *)(uintptr_t)number;\n' \
	>>arch/arm64/kvm/vm.c
sed -i '/memfd_create/d' src/mem/backing.c
catches denials 'err.c:25: perror' 'err.c:26: exit' 'err.c:28: assert' 'err.c:29: open' \
	'err.c:30: gmem_rmm_read' 'err.c:30: gmem_slot_address' \
	'arm64/kvm/vm.c:1:.*must not become' 'arm64/kvm/vm.c:2:.*must not become' \
	'arm64/kvm/vm.c:3:.*does not make a pointer' \
	'backing.c: does not call memfd_create'
printf '%s\n' "$output" | grep -Eq 'err.c:2[127]:' && complain "denials: takes text for code"

break_copy
cat >>src/util/err.c <<'END'
int err_open(int flags)
{
	int mode = O_RDONLY;

	fopen("x", "r");
	fopen("x", "re");
	dup(1);
	open("x", mode);
	syscall(SYS_openat2, 0, "x", 0, 0);
	socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return ioctl(0, KVM_CREATE_SOMETHING, accept4(0, 0, 0, flags));
}
END
catches cloexec 'err.c:25: fopen\(\) without' 'err.c:27: dup\(\) makes' \
	'err.c:28: open\(\) without' 'err.c:29: openat2\(\) without' \
	'err.c:31: accept4\(\) without' \
	'err.c:31: KVM_CREATE_SOMETHING: who'
printf '%s\n' "$output" | grep -Eq 'err.c:(26|30):' && complain "cloexec: sees no flag"

break_copy
cat >>src/util/err.c <<'END'
int wrong_name(void)
{
	static int nr_calls;
	return nr_calls++;
}
static const int *pointer;
const int **err_pointer(void)
{
	return &pointer;
}
void err_end(void)
{
	__builtin_abort();
}
END
printf 'int gmem_broken(void) { return nothing; }\n' >>src/mem/gmem.c
catches symbols 'err.c: wrong_name has none' 'err.c: nr_calls.* is mutable' \
	'err.c: pointer is mutable' 'err.c: uses abort' 'gmem.c:9:.*nothing.* undeclared'
printf '%s\n' "$output" | grep -q names && complain "symbols: takes a const table for mutable"

break_copy
cat >>src/util/err.c <<'END'

/* syscalls(loop): preadv no_such_call */
ssize_t err_read(int fd)
{
	char byte;

	return err_fill(fd) + recv(fd, &byte, 1, 0);
}

/* syscalls(vcpu): ioctl:KVM_RUN */

int err_run(int fd)
{
	return ioctl(fd, KVM_CREATE_VM, 0);
}
END
catches syscalls 'err_read\(\) calls recv\(\): name recvfrom' \
	'err_read\(\) does not call preadv' 'no_such_call: neither arm64' \
	'err_run\(\) calls ioctl\(\): name ioctl' 'not directly above a function'

break_copy
mkdir -p Documentation src/sandbox
cp "$project/src/sandbox/syscalls.awk" src/sandbox
printf '# Calls\n\n<!-- made by tests/lint/filters.py -u -->\n<!-- until here -->\n' \
	>Documentation/system-calls.md
python3 "$here/filters.py" . -u
lint filters || complain "filters: does not take its own table: $output"
sed -i 's/^\/\* syscalls(build): mmap/& mprotect/' src/mem/backing.c
catches filters 'system-calls.md: is not what the comments say'

break_copy
sed -i -e 's/^ \* @err: what/ * @error: what/' -e 's/gmem_slot_address() - w/gmem_slot() - w/' \
	include/ccr/gmem.h
sed -i -e '/^#endif/d' -e 's/ \* @code/ * @kode/' -e '/err_set() -/d' \
	-e 's/err_get(), err_clear() -/err_get(), err_gone() -/' include/ccr/err.h
cat >>include/ccr/err.h <<'END'
/** err_far() - a blank line follows */

int err_far(void);

/** does things */
int err_vague(void);

#endif
END
catches contracts 'err.h:5: struct ccr_err has no @kode' 'err.h:13: err_set\(\) has no contract' \
	'err.h:15: err_gone\(\) is not declared below' 'err.h:19: .* err_far\(\) is above nothing' \
	'err.h:21: err_far\(\) has no contract' 'err.h:23: a contract begins with' \
	'gmem.h:9: the contract of gmem_slot\(\) is above gmem_slot_address\(\)'

break_copy
sed -i '/^#include/d' include/ccr/gmem.h
sed -i 's/CCR_ERR_H/ERR_H/' include/ccr/err.h
sed -i 1d src/main.c
sed -i 2d tests/harness/run.sh
catches headers 'gmem.h: does not compile on its own: .*uint64_t' \
	'err.h: is not guarded by CCR_ERR_H' \
	'src/main.c: does not begin with' 'run.sh: does not begin with'

break_copy
{
	printf '/* tail */ \n        /* eight */\n/* bell\342\200\256 */\n'
	printf '/* http://%s.debian.org/debian, mirror of */\n' ftp.xx
	printf '/* see /%s/somebody/x */\n/* in ..%s/x */\n' home /shared
	printf '/* in %s */\n/* %s/none.md */\n/* %0101d */' "$PWD" Documentation 0
} >>src/main.c
# shellcheck disable=SC2016 # apt-get expands it
host=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | sed -n 's|^https*://\([^/]*\).*|\1|p' |
	sed -n 1p)
printf '#\n\techo %s\n' "${host:-none}" >>tests/harness/run.sh
catches text 'main.c:14: blanks at the end' 'main.c:15: indented by spaces' \
	'main.c:16: .*invisible' 'main.c:17: names a package mirror' \
	'main.c:18: names a directory' 'main.c:19: refers to' \
	'main.c:20: names the directory of this checkout' 'main.c:21: there is no Doc' \
	'main.c:22: longer than' 'main.c: does not end' 'run.sh:5: indented by a tab'
case $host in
*.*) catches text 'run.sh:5: names a mirror of this machine' ;;
esac

break_copy
# shellcheck disable=SC2016 # as above
printf 'rm $1/*\n' >>tests/harness/run.sh
mkdir -p tests/boot
printf '#!/bin/sh\nwait_for() {\n\t:\n}\n' | tee tests/boot/a.sh >tests/boot/b.sh
catches shell 'run.sh:4:.*SC2086' 'b.sh:2: wait_for.. is defined in tests.boot.a.sh too'

break_copy
soften='-O0 -fno-pie -no-pie -fno-stack-protector -U_FORTIFY_SOURCE'
build_program "$soften -Wl,-z,norelro,-z,lazy,-z,execstack,-rpath,."
catches binary 'not a position-independent' 'no RELRO' 'bound lazily' 'stack can be executed' \
	'RPATH' 'no stack protector' 'no fortified call'

break_copy
build_program "$harden -D_FORTIFY_SOURCE=2 -fno-stack-clash-protection $linked"
catches binary 'fortified below level 3' 'program.c was compiled without -fstack-clash-protection$'

break_copy
mkdir -p build/hook
cp build/native/ccr-run build/hook/ccr-run
printf 'const char __wrap_read[] = "a planted hook";\n' >build/wrap.c
gcc -w -c -o build/wrap.o build/wrap.c
build_program "$harden -D_FORTIFY_SOURCE=3 $linked build/wrap.o"
catches binary 'has the planted hook' '__wrap_read: something stands' 'hook/ccr-run: without'

break_copy
mkdir -p build/arm64/src
cp build/native/ccr-run build/arm64/ccr-run
gcc -c -o build/arm64/src/main.o src/main.c -Iinclude
catches binary 'arm64/src/main.o: without PAC and BTI' 'note: build/arm64/ccr-run is not marked'

exit $failed
