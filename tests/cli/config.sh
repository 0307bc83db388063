#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# config.sh - TAP: what a file of --config says is what options say, and the command line prevails
set -eu
# shellcheck source=../harness/lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/../harness/lib.sh"

ccr_run=$PWD/build/native/ccr-run
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nr=0

# An Image of 64 bytes that uses 1 MiB.
mkdir "$work/vm"
{
	printf '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\x0a\0\0\0\0\0\0\0'
	head -c 24 /dev/zero
	printf 'ARM\x64\0\0\0\0'
} >"$work/vm/Image"
echo initrd >"$work/vm/initrd"
printf 'value' >"$work/vm/rpv"
cd "$work"

# same NAME FILE-ARGUMENTS... -- ARGUMENTS... - both measure the same, standard input being the file
same() {
	local name=$1 with=() by_file by_options

	shift
	cat >"$work/vm/vm.json"
	while [ "$1" != -- ]; do
		with+=("$1")
		shift
	done
	shift
	nr=$((nr + 1))
	by_file=$("$ccr_run" measure "${with[@]}" 2>&1) || true
	by_options=$("$ccr_run" measure -q "$@" 2>&1) || true
	if [[ $by_file =~ ^[0-9a-f]{64}$ ]] && [ "$by_file" = "$by_options" ]; then
		say "ok $nr - $name"
	else
		printf 'not ok %d - %s\n# %s\n# %s\n' $nr "$name" "$by_file" "$by_options"
	fi
}

say "1..9"
same "kernel, beside the file" --config vm/vm.json -- -k vm/Image <<<'{"kernel": "Image"}'
same "an absolute path" --config vm/vm.json -- -k vm/Image <<<"{\"kernel\": \"$work/vm/Image\"}"
same "values of every kind" --config vm/vm.json -- \
	-k vm/Image -i vm/initrd -m 64M -c 3 -p 'a b' --kaslr-seed 0x10 --no-pci <<-EOF
	{"kernel": "Image", "initrd": "initrd", "mem": 64, "cpus": "3", "params": "a b",
	 "kaslr-seed": 16, "no-pci": true}
EOF
same "switches that are off" --config vm/vm.json -- -k vm/Image <<-EOF
	{"kernel": "Image", "no-pci": false, "realm": false}
EOF
same "the command line prevails, wherever it names the file" -c 2 --config vm/vm.json -m 64M -- \
	-k vm/Image -c 2 -m 64M <<<'{"kernel": "Image", "cpus": 4, "mem": "1G"}'
same "options of other commands are passed over" --config vm/vm.json -- -k vm/Image <<-EOF
	{"kernel": "Image", "no-reboot": true, "silence": "whatever", "policy": "policy.json"}
EOF
same "a list of disks" --config vm/vm.json -d c -- -k vm/Image -d a -d b <<-EOF
	{"kernel": "Image", "disk": ["a", "b,ro"]}
EOF
same "the file of a personalisation value" --config vm/vm.json -- -k vm/Image <<-EOF
	{"kernel": "Image", "realm-pv": "@rpv"}
EOF
cd vm
same "a file named without a directory" --config vm.json -- -k Image <<<'{"kernel": "Image"}'
