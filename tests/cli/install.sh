#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# install.sh - TAP: `make install` puts each file where it belongs, `make dist` packs the commit
set -eu
# shellcheck source=../harness/lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/../harness/lib.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset MAKEFLAGS MAKELEVEL MFLAGS

say "1..3"

"$MAKE" -s install NO_DEPS=1 PROGRAM=build/native/ccr-run DESTDIR="$work/root" PREFIX=/opt >&2
found=$(cd "$work/root" && find . -type f | grep -v '/doc/' | LC_ALL=C sort | xargs)
wanted="./opt/bin/ccr-run ./opt/share/bash-completion/completions/ccr-run"
wanted="$wanted ./opt/share/man/man1/ccr-run.1"
if [ "$found" = "$wanted" ]; then say "ok 1 - program, completion, manual page"; else
	printf 'not ok 1 - program, completion, manual page\n# %s\n' "$found"
fi
doc=$work/root/opt/share/doc/ccr-run
wanted=$(basename -a README.md Documentation/*.md | LC_ALL=C sort)
if [ "$(cd "$doc" && printf '%s\n' *.md | LC_ALL=C sort)" = "$wanted" ] &&
	"$work/root/opt/bin/ccr-run" --version >&2; then
	say "ok 2 - documents, and the program runs"
else
	printf 'not ok 2 - documents, and the program runs\n# %s\n' "$(cd "$doc" && echo ./*)"
fi

if [ ! -e .git ]; then
	say "ok 3 - make dist # SKIP this is not a git checkout"
	exit
fi
"$MAKE" -s dist DIST="$work/dist.tar.gz" >&2
# Everything is in one directory that names the version.
version=$(build/native/ccr-run --version | sed 's/^ccr-run \([^ ]*\) .*/\1/')
tar -tzf "$work/dist.tar.gz" | grep -v '/$' | sed "s,^ccr-run-$version/,," |
	LC_ALL=C sort >"$work/packed"
git ls-tree -r --name-only HEAD | LC_ALL=C sort >"$work/known"
if cmp -s "$work/packed" "$work/known"; then say "ok 3 - make dist"; else
	say "not ok 3 - make dist"
	diff "$work/known" "$work/packed" | sed 's/^/# /' | head
fi
