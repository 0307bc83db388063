# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# STACK=<directory>...: hosts with a real RMM, each described by a file stack.conf in its directory
# (Documentation/stack.md). Sourced after lib.sh.

# What a stack may say, and what is so if it does not.
declare -A STACK_DEFAULTS=(
	[firmware]='' [kernel]='' [kernel_addr]='' [initrd_addr]=''
	[machine]='virt,virtualization=on,secure=on,gic-version=3,acpi=off'
	[cpu]='max,x-rme=on,sme=off,pauth-impdef=on'
	[memory]=2G [smp]=2 [console]=ttyAMA0 [append]=''
	[qemu]='' [qemu_data]='' [qemu_libs]='' [qemu_args]='' [anchors]=''
	[bl1]='' [fip]='' [dtb]='' [boot]='' [fvp]='' [fvp_args]=''
)
# What differs if it is for the FVP, which is so if it has a bl1.
declare -A FVP_DEFAULTS=(
	[kernel_addr]=0x84000000 [initrd_addr]=0x88000000 [memory]=4G [smp]=8 [boot]=preloaded
)
declare -A stack=()

# stack_dirs - the directories in STACK, one a line; they may be separated by commas or blanks
stack_dirs() {
	tr -s ', \t' '\n' <<<"${STACK:-}" | sed '/^$/d'
}

# stack_name DIR - for messages and names of logs (a socket's name has room for 107 bytes)
stack_name() {
	local name

	name=$(basename "$(realpath -m "$1")" | tr -c 'A-Za-z0-9._\n-' _)
	say "${name:0:40}"
}

trim() {
	local text=$1

	text=${text#"${text%%[![:space:]]*}"}
	say "${text%"${text##*[![:space:]]}"}"
}

stack_bad() { die "$stack_file:$stack_line: $*"; }

stack_set() {
	local key=$1 value=$2

	# Looked for in a list of words: as a subscript it would be evaluated.
	case " ${!STACK_DEFAULTS[*]} " in
	*" $key "*) ;;
	*) stack_bad "unknown key '$key'; there are: $(
		tr ' ' '\n' <<<"${!STACK_DEFAULTS[*]}" | sort | tr '\n' ' '
	)" ;;
	esac
	[ -z "${stack[$key]+set}" ] || stack_bad "$key was given before"
	case $key in
	kernel_addr | initrd_addr)
		[[ $value =~ ^0x[0-9a-fA-F]{1,16}$ ]] ||
			stack_bad "$key: '$value' is not an address such as 0x60000000"
		;;
	smp)
		[[ $value =~ ^[1-9][0-9]{0,2}$ ]] ||
			stack_bad "smp: '$value' is not a number of CPUs"
		;;
	console)
		[[ $value =~ ^(ttyAMA0|hvc0)$ ]] ||
			stack_bad "console: '$value' is not ttyAMA0 or hvc0"
		;;
	boot)
		[[ $value =~ ^(preloaded|disk)$ ]] ||
			stack_bad "boot: '$value' is not preloaded or disk"
		;;
	firmware | bl1 | fip | dtb | fvp | kernel | anchors | qemu | qemu_data | qemu_libs)
		[ -n "$value" ] || stack_bad "$key: no path"
		[[ $value = /* ]] || value=$stack_dir/$value
		[ -e "$value" ] || stack_bad "$key: there is no $value"
		;;
	esac
	stack[$key]=$value
}

# stack_fits_machine - what one of the two machines needs is there, and nothing of the other's
stack_fits_machine() {
	local key needed="firmware kernel"

	if [ -n "${stack[bl1]:-}${stack[fip]:-}" ]; then
		needed="bl1 fip kernel"
		[ -z "${stack[firmware]:-}" ] ||
			die "$stack_file: firmware is QEMU's, bl1 and fip are the FVP's: not both"
		for key in "${!FVP_DEFAULTS[@]}"; do
			: "${stack[$key]=${FVP_DEFAULTS[$key]}}"
		done
		[[ ${stack[memory]} =~ ^[1-9][0-9]*G$ ]] ||
			die "$stack_file: memory: of the FVP a number of GiB, such as 4G"
		[ "${stack[smp]}" -le 8 ] || die "$stack_file: smp: the FVP has up to 8 CPUs"
	fi
	for key in $needed; do
		[ -n "${stack[$key]:-}" ] || die "$stack_file: no $key"
	done
}

# stack_load DIR - read DIR/stack.conf into stack[]; dies with one sentence if it makes no sense.
# The file is parsed and never run: a description from elsewhere can name files, and no more.
stack_load() {
	local line key

	stack_dir=$1
	stack_file=$1/stack.conf
	stack_line=0
	[ -f "$stack_file" ] ||
		die "STACK=$1: there is no $stack_file (see Documentation/stack.md)"
	stack=()
	while IFS= read -r line || [ -n "$line" ]; do
		stack_line=$((stack_line + 1))
		line=$(trim "$line")
		case $line in
		'' | '#'*) continue ;;
		*=*) stack_set "$(trim "${line%%=*}")" "$(trim "${line#*=}")" ;;
		*) stack_bad "'$line' is not KEY = VALUE" ;;
		esac
	done <"$stack_file"
	stack_fits_machine
	for key in "${!STACK_DEFAULTS[@]}"; do
		: "${stack[$key]=${STACK_DEFAULTS[$key]}}"
	done
}

# stack_find_qemu - unless the stack brings its own
stack_find_qemu() {
	[ -z "${stack[qemu]}" ] || return 0
	find_qemu
	stack[qemu]=$qemu
	: "${stack[qemu_data]:=$qemu_data}"
	: "${stack[qemu_libs]:=$qemu_libs}"
}

# A comma in a file's name is doubled inside an option of QEMU.
loader() { say "loader,file=${1//,/,,},addr=$2,force-raw=on"; }

# stack_machine INITRD LOG WORDS... - set the arrays emulator and boot_args for a host that is
# booted through the stack's firmware. A chardev "console" for the host's console is the caller's.
stack_machine() {
	local initrd=$1 log=$2 words more

	shift 2
	read -ra more <<<"${stack[qemu_args]}"
	words="console=${stack[console]} $*"
	stack_find_qemu
	emulator_is "${stack[qemu]}" "${stack[qemu_data]}" "${stack[qemu_libs]}"
	boot_args=(-M "${stack[machine]}" -cpu "${stack[cpu]}" -m "${stack[memory]}"
		-smp "${stack[smp]}" -bios "${stack[firmware]}" -kernel "${stack[kernel]}"
		"${more[@]}")
	[ -z "${stack[kernel_addr]}" ] ||
		boot_args+=(-device "$(loader "${stack[kernel]}" "${stack[kernel_addr]}")")
	if [ -n "${stack[initrd_addr]}" ]; then
		boot_args+=(-device "$(loader "$initrd" "${stack[initrd_addr]}")")
		words="$words initrd=${stack[initrd_addr]},$(stat -c %s "$initrd")"
	else
		boot_args+=(-initrd "$initrd")
	fi
	if [ "${stack[console]}" = hvc0 ]; then
		# The firmware and the RMM log to the first serial port; so does an early kernel.
		words="console=ttyAMA0 $words"
		boot_args+=(-serial "file:$log" -device virtio-serial-pci
			-device "virtconsole,chardev=console")
	else
		boot_args+=(-serial chardev:console)
	fi
	boot_args+=(-append "$words ${stack[append]}")
}
