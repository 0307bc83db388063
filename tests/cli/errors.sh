#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# errors.sh [-u] - TAP: every wrong input of errors.txt gets the sentence and the exit status there
#
# With -u the table is written anew from what the program says: read each sentence of the difference
# as whoever made the mistake would.
set -eu
# shellcheck source=../harness/lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/../harness/lib.sh"

table=$PWD/tests/cli/errors.txt
ccr_run=$PWD/build/native/ccr-run
vectors=$PWD/tests/unit/vectors
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# bytes TEXT - with printf's escapes, whatever they look like
bytes() { printf '%b' "$1"; }

# image FLAGS - an arm64 Image of 64 bytes, little-endian and of 4 KiB pages if FLAGS is \x0a
image() {
	bytes '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0'"$1"'\0\0\0\0\0\0\0'
	head -c 24 /dev/zero
	bytes 'ARM\x64\0\0\0\0'
}

# elf IDENT TYPE MACHINE - the header of an ELF file, and nothing to load
elf() {
	bytes '\x7fELF'"$1"'\x01\0\0\0\0\0\0\0\0\0'"$2"'\0'"$3"'\0\x01\0\0\0'
	head -c 40 /dev/zero
}

# The files that the table names.
mkdir "$work/directory"
cd "$work"
image '\x0a' >Image
image '\x0b' >big-endian
{ image '\x0a' && head -c 40000000 /dev/zero; } >large
gzip -c Image >Image.gz
head -c 30 Image.gz >cut.gz
{ bytes '\xfd7zXZ\0' && head -c 100 /dev/zero; } >Image.xz
bytes '\x02\x21\x4c\x18 and so on' >Image.lz4
bytes 'BZh9 and so on' >Image.bz2
bytes '\x28\xb5\x2f\xfd and so on' >damaged.zst
{ bytes 'MZ\0\0zimg\x40\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0xzkern' && head -c 64 /dev/zero; } >zboot-xz
{ bytes 'MZ\0\0zimg\xff\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0gzip' && head -c 64 /dev/zero; } >zboot-cut
elf '\x02\x01' '\x02' '\x3e' >elf-x86
elf '\x01\x01' '\x02' '\x28' >elf-arm
elf '\x02\x02' '\x02' '\xb7' >elf-be
elf '\x02\x01' '\x01' '\xb7' >elf-object
elf '\x02\x01' '\x02' '\xb7' >elf-empty
elf '\x02\x01' '\x02' '\xb7' | head -c 40 >elf-cut
echo '#!/bin/sh' >script
: >empty
head -c 100 /dev/zero >zeros
head -c 65 /dev/zero >65-bytes
bytes 'x\033[31m' >'red'
echo '{"kernel": "Image", "cpu": 2}' >unknown.json
echo '{"kernel": "Image", "cpus": 0}' >range.json
echo '{"kernel": ["Image"]}' >list.json
echo '{"kernel": "Image", "no-pci": "yes"}' >switch.json
echo '{"kernel": "Image", "mem": 1.5}' >fraction.json
echo '{"kernel": "Image", "config": "x"}' >config.json
echo '{"kernel": "Image", "kaslr-seed": 99999999999999999999}' >huge.json
echo '{"kernel": "gone"}' >gone.json
echo '{"kernel": "Image"' >cut.json
echo '["Image"]' >array.json
cp "$vectors"/{emulated.token,platform.pem,platform.jwk,anchors.json,policy.json} .
echo '{"lifecycle": "new"}' >policy-bad.json
echo '{"life": "secured"}' >policy-unknown.json

# The cases: STATUS ARGUMENTS, then the sentence; quoted as for a shell, which the table is for.
update=${1:-}
nr=0
new=
say "1..$(grep -c '^[0-9]' "$table")"
while IFS= read -r line; do
	new+=$line$'\n'
	[[ $line = [0-9]* ]] || continue
	IFS= read -r sentence || sentence=
	nr=$((nr + 1))
	status=0
	eval "set --${line#"${line%% *}"}"
	said=$("$ccr_run" "$@" </dev/null 2>&1 >/dev/null) || status=$?
	if [ "$status" = "${line%% *}" ] && [ "$said" = "ccr-run: error: $sentence" ]; then
		say "ok $nr - ccr-run ${line#"${line%% *}"}"
	else
		say "not ok $nr - ccr-run ${line#"${line%% *}"}"
		printf '# %s\n' "status $status: $said" "not ${line%% *}: $sentence" | printable
	fi
	new=${new%"$line"$'\n'}$status${line#"${line%% *}"}$'\n'${said#ccr-run: error: }$'\n'
done <"$table"
[ "$update" != -u ] || printf '%s' "$new" >"$table"
