#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# debs.sh sysroot|busybox|kernel|kernel-6.1|refresh|qemu|libfdt|systemd-boot|back-ends|
# peer|program NAME|next NAME|module NAME... - take what we need from Debian's archive, without
# touching the machine's own package state
#
#   sysroot      build/sysroot/arm64      headers and static libraries to link against
#   busybox      build/arm64/busybox      static
#   kernel       build/kernel/            Image, modules/, VERSION: host and guest kernel
#   kernel-6.1   build/kernel-6.1/        the stable release's kernel, as an old guest
#   refresh      look for a newer kernel; the one at hand stays if there is none, or none that works
#   qemu         build/qemu/              a newer QEMU for this machine, and libraries it lacks
#   libfdt       build/libfdt/            a newer libfdt for this machine, to compare with its own
#   systemd-boot build/systemd-boot/      the boot loader of disk images
#   back-ends    build/programs/back-ends  qemu-storage-daemon, qemu-img, virtiofsd, their libraries
#   program NAME build/programs/NAME      /usr/bin/NAME and its libraries
#   next NAME    build/programs/NAME-next  the same of the next release
#   peer         build/programs/peer      qemu-system-aarch64 for arm64, to compare ccr-run with
#   module       build/kernel/ko/*.ko     unpacked, with what they depend on; prints load order
#
# "full" before kernel or module means build/kernel-full/ instead, Debian's kernel that is not for
# clouds only: a guest with the client of 9p. "6.1" before module means build/kernel-6.1/.
#
# Everything is kept: only a first run and `refresh` use the network. Each suite has an apt state
# of its own, so that a mirror that lacks one suite does not spoil the others.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

APT_DIR=$PWD/build/apt
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
STABLE=bookworm
# Newer programs, built for the stable release.
BACKPORTS=$STABLE-backports
# In order of preference; a host with an RMM needs 8.1.
QEMU_SUITES="$BACKPORTS $STABLE"
# The release after it.
NEXT=trixie
# In order of preference; a realm guest needs 6.13, an emulated realm's host 6.4.
KERNEL_SUITES="trixie-backports sid"
KERNEL_PACKAGE=linux-image-cloud-arm64
KERNEL_DIR=build/kernel
# Whose packages: the guests' and hosts', or this machine's own.
arch=arm64

# The machine knows a mirror that works from where it stands; no address is written down here.
mirror() {
	local targets uri

	[ -z "${DEBIAN_MIRROR:-}" ] || { say "$DEBIAN_MIRROR"; return; }
	# shellcheck disable=SC2016 # apt's own variables
	targets=$(apt-get indextargets --format '$(ORIGIN)|$(RELEASE)|$(REPO_URI)' \
		'Created-By: Packages' 2>/dev/null) || true
	# The origin is known only once the machine has fetched its lists; any release will do,
	# as long as it is the main archive, which -updates and -security need not be.
	uri=$(awk -F'|' -v suite="$STABLE" '
		$2 ~ /[-\/]/ { next }
		$1 == "Debian" && $2 == suite { print $3; exit }
		$1 == "Debian" && !any { any = $3 }
		$2 == suite && !named { named = $3 }
		END { if (any) print any; else if (named) print named }' <<<"$targets" | head -n 1)
	[ -n "$uri" ] || die "apt on this machine knows no Debian archive; name one:
    make DEBIAN_MIRROR=<URI of a Debian archive>"
	say "$uri"
}

# apt_in SUITE TOOL ARGUMENT... - an apt tool on a suite's private state; the machine's own
# configuration (proxies, credentials) stays in force
apt_in() {
	local dir=$APT_DIR/$1 tool=$2

	shift 2
	"$tool" -q -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
		-o Dir::State="$dir" -o Dir::State::Lists="$dir/lists" \
		-o Dir::State::Status="$dir/status" -o Dir::Cache="$dir/cache" \
		-o APT::Architecture="$arch" -o APT::Architectures::="$arch" \
		-o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Sandbox::User=root "$@"
}

# suite_update SUITE [again] - fetch a suite's lists unless they are here
suite_update() {
	local suite=$1 dir=$APT_DIR/$1 names=$1 uri name

	[ -e "$dir/complete" ] && [ -z "${2:-}" ] && return 0
	[ -r "$KEYRING" ] || die "$KEYRING is missing: install debian-archive-keyring"
	uri=$(mirror)
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	: >"$dir/status"
	# What is taken from the backports may need a library of the release below.
	[ "$suite" != "$BACKPORTS" ] || names="$STABLE $BACKPORTS"
	for name in $names; do
		say "deb [arch=$arch signed-by=$KEYRING] $uri $name main"
	done >"$dir/sources.list"
	note "fetching the package list of $suite ($arch)"
	apt_in "$suite" apt-get update >"$APT_DIR/$suite.log" 2>&1 || return 1
	# apt takes a mirror that does not answer for a passing trouble and reports success.
	! grep -q '^[EW]: Failed to fetch' "$APT_DIR/$suite.log" || return 1
	touch "$dir/complete"
}

# versions SUITE PACKAGE... - a line "PACKAGE VERSION" for each
versions() {
	local suite=$1

	shift
	apt_in "$suite" apt-cache show --no-all-versions "$@" |
		awk '$1 == "Package:" { name = $2 } $1 == "Version:" { print name, $2 }' | sort -u
}

# fetch SUITE PACKAGE... - print the paths of the packages' files, downloaded at once if need be
fetch() {
	local suite=$1 dir=$PWD/build/debs/$1 package version file records files=() missing=()

	shift
	mkdir -p "$dir"
	records=$(versions "$suite" "$@") || return 1
	[ "$(wc -l <<<"$records")" = "$(printf '%s\n' "$@" | sort -u | wc -l)" ] || return 1
	while read -r package version; do
		# apt-get download escapes the epoch's colon like this.
		file=$dir/${package}_${version//:/%3a}_$arch.deb
		files+=("$file")
		[ -e "$file" ] && continue
		note "fetching $package $version from $suite"
		missing+=("$package=$version")
	done <<<"$records"
	[ ${#missing[@]} = 0 ] ||
		(cd "$dir" && apt_in "$suite" apt-get download "${missing[@]}") \
			>>"$APT_DIR/$suite.log" 2>&1 || return 1
	for file in "${files[@]}"; do
		[ -e "$file" ] || return 1
		say "$file"
	done
}

# with_suite SUITE COMMAND... - run it on the suite's lists; if that fails, once more on fresh ones,
# because lists kept for long name files that the mirror has replaced since
with_suite() {
	local suite=$1

	shift
	suite_update "$suite" || return 1
	"$@" || { suite_update "$suite" again && "$@"; }
}

unpack() {
	local into=$1 file

	shift
	mkdir -p "$into"
	for file; do
		dpkg-deb -x "$file" "$into"
	done
}

failed() {
	show_log "build/apt/$1.log" 10
	die "could not take $2 from $1"
}

sysroot() {
	local root=build/sysroot/arm64 files

	files=$(with_suite "$STABLE" fetch "$STABLE" libfdt-dev zlib1g-dev libzstd-dev \
		libssl-dev libjson-c-dev libelf-dev \
		liburing-dev) ||
		failed "$STABLE" "the libraries to link against"
	rm -rf "$root"
	# shellcheck disable=SC2086 # a list of paths without spaces in what varies
	unpack "$root" $files
	touch "$root/.complete"
}

busybox() {
	local file tmp=build/arm64/busybox.tmp

	file=$(with_suite "$STABLE" fetch "$STABLE" busybox-static) ||
		failed "$STABLE" busybox-static
	rm -rf "$tmp"
	unpack "$tmp" "$file"
	mv -f "$tmp/bin/busybox" build/arm64/busybox
	touch build/arm64/busybox
	rm -rf "$tmp"
}

# kernel_packages SUITE - what KERNEL_PACKAGE stands for. The newest kernels' package is an empty
# shell in front of linux-binary-* and linux-modules-*, older ones have it all: whichever there is.
kernel_packages() {
	apt_in "$1" apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts \
		--no-breaks --no-replaces --no-enhances "$KERNEL_PACKAGE" |
		grep -E '^linux-(image|binary|modules)-[0-9]' | sort -u
}

# kernel_from SUITE DIR - the newest cloud kernel of SUITE into DIR, or failure and no DIR
kernel_from() {
	local suite=$1 dir=$2 packages files file version image modules

	# Called in conditions, where the shell does not stop at failures: each step says so itself.
	packages=$(kernel_packages "$suite") && [ -n "$packages" ] || return 1
	# shellcheck disable=SC2086 # one word a package
	files=$(fetch "$suite" $packages) || return 1
	rm -rf "$dir.tmp"
	# shellcheck disable=SC2086
	unpack "$dir.tmp" $files || return 1
	image=$(find "$dir.tmp" -name 'vmlinuz*' -type f | sort | head -n 1)
	if ! is_arm64_image "$image"; then
		note "what $suite calls its kernel is not an arm64 Image"
		rm -rf "$dir.tmp"
		return 1
	fi
	for file in $files; do
		# The package with the Image in it names the kernel.
		dpkg-deb -c "$file" | grep '/vmlinuz' >/dev/null && break
	done
	version="$(dpkg-deb -f "$file" Package) $(dpkg-deb -f "$file" Version) ($suite)"
	modules=$(find "$dir.tmp" -path '*/lib/modules/*' -name kernel -type d | head -n 1)
	mv "$image" "$dir.tmp/Image" &&
		{ [ -z "$modules" ] || mv "$modules" "$dir.tmp/modules"; } &&
		rm -rf "$dir.tmp/usr" "$dir.tmp/lib" "$dir.tmp/boot" "$dir.tmp/etc" &&
		say "$version" >"$dir.tmp/VERSION" || return 1
	# The clock of whoever built the package must not look older than our own rules.
	touch "$dir.tmp/Image"
	if cmp -s "$dir.tmp/VERSION" "$dir/VERSION"; then
		rm -rf "$dir.tmp"
	else
		rm -rf "$dir.previous"
		[ ! -e "$dir" ] || mv "$dir" "$dir.previous"
		mv "$dir.tmp" "$dir"
	fi
	note "kernel: $(cat "$dir/VERSION")"
}

# kernel [again] - DIR stays as it was unless a whole new one is ready
kernel() {
	local suite

	for suite in $KERNEL_SUITES; do
		[ -z "${1:-}" ] || suite_update "$suite" again || continue
		! with_suite "$suite" kernel_from "$suite" "$KERNEL_DIR" || return 0
		note "no usable kernel in $suite"
	done
	[ -e "$KERNEL_DIR/Image" ] || die "no arm64 kernel to be had (logs: build/apt/*.log)"
	note "keeping $(cat "$KERNEL_DIR/VERSION")"
}

# qemu_from SUITE DIR - the emulator, and what this machine would have to install for it, into DIR
qemu_from() {
	local suite=$1 dir=$2 debs=$PWD/build/debs/$1 wanted version word

	# Only simulated: apt's view of what is here decides which libraries are missing.
	wanted=$(apt_in "$suite" apt-get -s --no-install-recommends \
		-o Dir::State::Status=/var/lib/dpkg/status -t "$suite" install qemu-system-arm \
		2>>"$APT_DIR/$suite.log" |
		sed -n 's/^Inst \([^ ]*\) .*(\([^ ]*\) .*/\1=\2/p') && [ -n "$wanted" ] || return 1
	version=$(sed -n 's/^qemu-system-arm=//p' <<<"$wanted")
	note "fetching QEMU $version and $(($(wc -l <<<"$wanted") - 1)) more packages from $suite"
	mkdir -p "$debs"
	# shellcheck disable=SC2086 # one word a package
	(cd "$debs" && apt_in "$suite" apt-get download $wanted) >>"$APT_DIR/$suite.log" 2>&1 ||
		return 1
	rm -rf "$dir.tmp"
	# Of PACKAGE:ARCHITECTURE=VERSION the file's name has all but the architecture.
	while read -r word; do
		unpack "$dir.tmp" "$debs/$word"_*.deb || return 1
	done < <(sed 's/:[^=]*=/=/; s/=/_/; s/:/%3a/g' <<<"$wanted")
	say "$version" >"$dir.tmp/VERSION"
	rm -rf "$dir"
	mv "$dir.tmp" "$dir"
}

# qemu_runs - the one at hand, which needs libraries that this machine had when it was fetched
qemu_runs() {
	LD_LIBRARY_PATH=$(qemu_library_path) build/qemu/usr/bin/qemu-system-aarch64 --version \
		>/dev/null 2>&1
}

qemu() {
	local suite

	for suite in $QEMU_SUITES; do
		! with_suite "$suite" qemu_from "$suite" build/qemu || return 0
		note "no usable QEMU in $suite"
	done
	die "no QEMU to be had (logs: build/apt/*.log)"
}

# libfdt_from SUITE DIR - the library alone; it needs nothing but an older libc
libfdt_from() {
	local suite=$1 dir=$2 file

	file=$(fetch "$suite" libfdt1) || return 1
	rm -rf "$dir.tmp"
	unpack "$dir.tmp" "$file" || return 1
	dpkg-deb -f "$file" Version >"$dir.tmp/VERSION" || return 1
	rm -rf "$dir"
	mv "$dir.tmp" "$dir"
}

systemd_boot() {
	local dir=build/systemd-boot file

	file=$(with_suite "$STABLE" fetch "$STABLE" systemd-boot-efi) ||
		failed "$STABLE" systemd-boot-efi
	rm -rf "$dir.tmp"
	unpack "$dir.tmp/all" "$file"
	mv "$dir.tmp/all/usr/lib/systemd/boot/efi/systemd-bootaa64.efi" "$dir.tmp/"
	dpkg-deb -f "$file" Version >"$dir.tmp/VERSION"
	rm -rf "$dir.tmp/all" "$dir"
	mv "$dir.tmp" "$dir"
}

# One module and, before it, those it needs: `depends=` in the module's own information, because
# packages come without the index that depmod would make.
module() {
	local name=$1 file ko needed

	# File names use '-' and '_' as they please; module names know only '_'.
	file=$(find "$KERNEL_DIR/modules" -name '*.ko*' | while read -r ko; do
		base=${ko##*/}
		base=${base%%.ko*}
		[ "${base//-/_}" != "${name//-/_}" ] || { say "$ko"; break; }
	done)
	[ -n "$file" ] || die "no module $name in $(cat "$KERNEL_DIR/VERSION")"
	ko=$KERNEL_DIR/ko/${file##*/}
	ko=${ko%.xz}
	mkdir -p "$KERNEL_DIR/ko"
	case $file in
	*.xz) xz -dc "$file" >"$ko.tmp" ;;
	*) cp "$file" "$ko.tmp" ;;
	esac
	mv "$ko.tmp" "$ko"
	needed=$(tr '\0' '\n' <"$ko" | sed -n 's/^depends=//p' | tr ',' ' ')
	for name in $needed; do
		(module "$name")
	done
	say "$ko"
}

# needed_by FILE... - the libraries that arm64 programs or libraries name, one a line
needed_by() {
	LC_ALL=C readelf -d "$@" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u
}

# copy_libraries FROM TO - into TO/lib what the programs in TO/bin need, and what that needs
copy_libraries() {
	local from=$1 to=$2 name file more=yes

	mkdir -p "$to/lib"
	file=$(find "$from" -name 'ld-linux-aarch64.so.1' | head -n 1)
	cp -L "$file" "$to/lib/" || return 1
	while [ -n "$more" ]; do
		more=
		for name in $(needed_by "$to"/bin/* "$to"/lib/*); do
			[ ! -e "$to/lib/$name" ] || continue
			file=$(find "$from" -name "$name" | head -n 1)
			[ -n "$file" ] && cp -L "$file" "$to/lib/" || return 1
			more=yes
		done
	done
}

# libraries_of SUITE PACKAGE - the packages of libraries that it depends on, also in turn
libraries_of() {
	apt_in "$1" apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts \
		--no-breaks --no-replaces --no-enhances "$2" |
		grep '^z\?lib' | grep -v 'perl\|python\|-common$\|-data$\|:' | sort -u
}

# programs_from SUITE DIR PACKAGES PROGRAM... - programs (absolute paths) of the packages with their
# libraries into DIR: a tree that needs nothing else
programs_from() {
	local suite=$1 dir=$2 files

	# shellcheck disable=SC2086 # one word a package
	files=$(fetch "$suite" $3) || return 1
	shift 3
	rm -rf "$dir.tmp" "$dir.all"
	# shellcheck disable=SC2086
	unpack "$dir.all" $files || return 1
	mkdir -p "$dir.tmp/bin"
	cp "${@/#/$dir.all}" "$dir.tmp/bin/" || return 1
	copy_libraries "$dir.all" "$dir.tmp" || return 1
	rm -rf "$dir" "$dir.all"
	mv "$dir.tmp" "$dir"
}

# program_from SUITE PACKAGE DIR - /usr/bin/PACKAGE
program_from() {
	local libraries

	libraries=$(libraries_of "$1" "$2") || return 1
	programs_from "$1" "$3" "$2 $libraries" "/usr/bin/$2"
}

# peer_from SUITE DIR - Debian's QEMU, as an arm64 program
peer_from() {
	local libraries

	libraries=$(libraries_of "$1" qemu-system-arm) || return 1
	programs_from "$1" "$2" "qemu-system-arm $libraries" /usr/bin/qemu-system-aarch64
}

# back_ends_from SUITE DIR - what serves disks and directories over vhost-user; qemu-utils needs the
# libraries of the disk's, but not those of the rest of qemu-system-common
back_ends_from() {
	local libraries

	libraries=$(libraries_of "$1" qemu-utils) || return 1
	programs_from "$1" "$2" \
		"qemu-utils qemu-system-common libcap-ng0 libseccomp2 $libraries" \
		/usr/bin/qemu-img /usr/bin/qemu-storage-daemon /usr/lib/qemu/virtiofsd
}

mkdir -p "$APT_DIR" build/arm64
# Goals of one parallel make share the state of a suite.
exec 9>"$APT_DIR/lock"
flock 9

case ${1:-} in
full)
	KERNEL_PACKAGE=linux-image-arm64
	KERNEL_DIR=build/kernel-full
	shift
	;;
6.1)
	KERNEL_DIR=build/kernel-6.1
	shift
	;;
esac

case ${1:-} in
sysroot) sysroot ;;
busybox) busybox ;;
kernel) [ -e "$KERNEL_DIR/Image" ] || kernel ;;
kernel-6.1)
	[ -e build/kernel-6.1/Image ] ||
		with_suite "$STABLE" kernel_from "$STABLE" build/kernel-6.1 ||
		failed "$STABLE" "its kernel"
	;;
refresh) kernel again ;;
qemu)
	arch=$(dpkg --print-architecture)
	qemu_runs || qemu
	;;
libfdt)
	arch=$(dpkg --print-architecture)
	[ -e build/libfdt/VERSION ] ||
		with_suite "$NEXT" libfdt_from "$NEXT" build/libfdt ||
		failed "$NEXT" "a newer libfdt"
	;;
systemd-boot) [ -e build/systemd-boot/VERSION ] || systemd_boot ;;
module)
	shift
	for name; do module "$name"; done | awk '!seen[$0]++'
	;;
program)
	[ -e "build/programs/$2" ] ||
		with_suite "$STABLE" program_from "$STABLE" "$2" "build/programs/$2" ||
		failed "$STABLE" "$2"
	;;
next)
	[ -e "build/programs/$2-next" ] ||
		with_suite "$NEXT" program_from "$NEXT" "$2" "build/programs/$2-next" ||
		failed "$NEXT" "$2"
	;;
back-ends)
	[ -e build/programs/back-ends ] ||
		with_suite "$STABLE" back_ends_from "$STABLE" build/programs/back-ends ||
		failed "$STABLE" "qemu-storage-daemon and virtiofsd"
	;;
peer)
	[ -e build/programs/peer ] ||
		with_suite "$STABLE" peer_from "$STABLE" build/programs/peer ||
		failed "$STABLE" "its QEMU for arm64"
	;;
*)
	die "usage: debs.sh sysroot|busybox|kernel|kernel-6.1|refresh|qemu|libfdt|back-ends|" \
		"peer|systemd-boot|module NAME...|program NAME|next NAME"
	;;
esac
