#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# reproducible.sh - TAP: the same sources, built a second time in another directory, with another
# umask, time zone, language and home, give the same host image, bit by bit
#
# What was downloaded is lent to the second build: it is its input.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

WHAT=(Image initramfs.cpio disk.img)
here=build/log/reproducible/here
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
there=$work/another/place

# build_again - everything, from a copy of the sources
build_again() {
	local dir

	umask 077
	mkdir -p "$there/build"
	git ls-files -z --cached --others --exclude-standard | tar -c --null -T - |
		tar -x -C "$there"
	for dir in apt debs kernel kernel-6.1 sysroot systemd-boot; do
		[ ! -d build/$dir ] || ln -s "$PWD/build/$dir" "$there/build/$dir"
	done
	env -i PATH="$PATH" HOME="$work" TZ=Pacific/Chatham LC_ALL=C.UTF-8 NO_DEPS=1 \
		make -C "$there" image FORMAT=disk OUT=image
}

mkdir -p "$here"
say "1..${#WHAT[@]}"
tests/harness/mkimage.sh disk "$here" >&2
build_again >&2 || say "Bail out! the second build failed"
nr=0
for file in "${WHAT[@]}"; do
	nr=$((nr + 1))
	if cmp "$here/$file" "$there/image/$file" >&2; then
		say "ok $nr - $file"
	else
		say "not ok $nr - $file"
		# Which file of the archive differs is what somebody wants to know.
		[ "$file" != initramfs.cpio ] || diff -rq build/host/test "$there/build/host/test" |
			sed 's/^/# /'
	fi
done
