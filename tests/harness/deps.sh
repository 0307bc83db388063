#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# deps.sh GOAL... - install the Debian packages that the given goals need and that are missing
#
# Goals: build unit cli run image fvp check lint fuzz. As root, or with sudo; else prints the line
# to type. When nothing is missing this is one dpkg-query, cheap enough to come before every build.
set -eu
# shellcheck source=lib.sh source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

BUILD="gcc libc6-dev libfdt-dev zlib1g-dev libzstd-dev libssl-dev libjson-c-dev libelf-dev"
BUILD="$BUILD liburing-dev"
# An arm64 machine builds arm64 programs with its own compiler.
[ "$(uname -m)" = aarch64 ] || BUILD="$BUILD gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
UNIT="libcmocka-dev libcbor-dev"
CLI="python3 openssl"
RUN="cpio xz-utils"
IMAGE="gdisk mtools"
FVP="arm-trusted-firmware-tools device-tree-compiler python3"
FIRMWARE="qemu-efi-aarch64"
LINT="clang clang-format clang-tidy cppcheck python3 shellcheck"
FUZZ="clang libclang-rt-14-dev llvm"
BOOT="device-tree-compiler"

packages_of() {
	case $1 in
	build) say "$BUILD" ;;
	unit) say "$BUILD $UNIT" ;;
	cli) say "$BUILD $CLI" ;;
	run) say "$BUILD $RUN" ;;
	image) say "$BUILD $RUN $IMAGE" ;;
	fvp) say "$BUILD $RUN $IMAGE $FVP" ;;
	lint) say "$BUILD $UNIT $LINT" ;;
	fuzz) say "$BUILD $FUZZ" ;;
	check) say "$BUILD $UNIT $CLI $RUN $IMAGE $FVP $FIRMWARE $LINT $FUZZ $BOOT" ;;
	*) die "unknown goal '$1'" ;;
	esac
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	note "not a Debian system: no packages are checked (tests/harness/deps.sh lists them)"
	exit 0
fi

wanted=$(for goal; do packages_of "$goal"; done)
# shellcheck disable=SC2086 # a list of words
have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
	sed -n 's/ installed$//p') || true
missing=$(for package in $wanted; do
	grep -qxF "$package" <<<"$have" || say "$package"
done | sort -u | tr '\n' ' ')
missing=${missing% }
[ -n "$missing" ] || exit 0

apt="apt-get -y -q -o DPkg::Lock::Timeout=600 --no-install-recommends"
if [ "$(id -u)" = 0 ]; then
	as_root="env DEBIAN_FRONTEND=noninteractive"
elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
	as_root="sudo env DEBIAN_FRONTEND=noninteractive"
else
	die "packages are missing and this is neither root nor a user with sudo; as root, run:
    apt-get install --no-install-recommends $missing"
fi

mkdir -p "$LOG_DIR"
note "installing $missing"
# shellcheck disable=SC2086 # lists of words
if ! { $as_root apt-get -q -o DPkg::Lock::Timeout=600 update &&
	$as_root $apt install $missing; } </dev/null >"$LOG_DIR/deps.log" 2>&1; then
	show_log "$LOG_DIR/deps.log"
	die "could not install: $missing"
fi
