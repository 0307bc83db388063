# SPDX-License-Identifier: Apache-2.0
"""The rules themselves: which module is where, and who may do what. The checks only read this."""

import re
from typing import NamedTuple

# Modules in dependency order: each may include headers of those before it and its own
# (Documentation/architecture.md, section 3).
MODULES = (
    "util",
    "sandbox",
    "mem",
    "kvm",
    "dev",
    "pci",
    "virtio core",
    "host",
    "boot",
    "arm64",
    "realm",
    "virtio devices",
    "arm64 kvm",
    "vm",
    "cli",
    "main",
)

# Where a module's sources are; the longest prefix of a path decides.
SOURCES = {
    "src/util/": "util",
    "src/mem/": "mem",
    "src/kvm/": "kvm",
    "src/dev/": "dev",
    "src/pci/": "pci",
    "src/host/": "host",
    "src/boot/": "boot",
    "arch/arm64/": "arm64",
    "src/realm/": "realm",
    "src/virtio/virtq_chain.c": "virtio core",
    "src/virtio/mem.c": "virtio core",
    "src/virtio/virtio.c": "virtio core",
    "src/virtio/virtio_mmio.c": "virtio core",
    "src/virtio/virtio_pci.c": "virtio core",
    "src/virtio/virtq.c": "virtio core",
    "src/virtio/": "virtio devices",
    "arch/arm64/kvm/": "arm64 kvm",
    "src/vm/": "vm",
    "src/sandbox/": "sandbox",
    "src/cli/": "cli",
    "src/main.c": "main",
}

# Whose contract a header of include/ccr is.
HEADERS = {
    "util": ("cbor", "err", "file", "hash", "ipa", "jsontext", "jstream", "log", "parse", "trim"),
    "sandbox": ("filter", "sandbox"),
    "mem": ("gmem",),
    "kvm": ("kvm", "record"),
    "dev": ("bus", "mc146818", "rtc", "uart"),
    "pci": ("msix", "pci"),
    "virtio core": ("virtio", "virtio_mem", "virtio_mmio", "virtio_pci", "virtq"),
    "host": (
        "aio",
        "broker",
        "broker_proto",
        "chardev",
        "disk",
        "facts",
        "net",
        "runtime",
        "slice",
        "vhost",
        "vsock_host",
    ),
    "boot": ("elf", "kernel"),
    "arm64": ("dtree", "image", "layout", "memmap"),
    "realm": (
        "corim",
        "cose",
        "evlog",
        "features",
        "launch",
        "measure",
        "plan",
        "realm",
        "realm_host",
        "rsi",
        "token",
        "verify",
    ),
    "virtio devices": (
        "balloon",
        "blk",
        "bounce",
        "p9",
        "p9_proto",
        "v9p",
        "vconsole",
        "vhost_dev",
        "virtq_books",
        "vhost_net",
        "vnet",
        "vnet_control",
        "vrng",
        "vsock",
        "vvsock",
    ),
    "arm64 kvm": ("arch", "emulated", "realm_abi", "realm_kvm", "report"),
    "vm": ("affinity", "console", "control", "qmp", "vcpu", "vm"),
    "cli": ("cli",),
}

# Headers that only the code that talks to KVM may see, and the fake that stands in for it.
KVM_HEADERS = re.compile(r"linux/kvm\.h|asm/.*|uapi/kvm_realm\.h")
KVM_HEADER_USERS = (
    "src/kvm/",
    "arch/arm64/kvm/",
    "include/uapi/",
    "tests/fake/",
    "tests/unit/test_realm_rules.c",  # checks the numbers of the requests
    "tests/unit/test_filter.c",  # asks for the filters of real requests
    "tests/unit/test_record.c",  # makes the requests that it reads the words of
)

# Functions that bring a host resource into the process (or wrap one that does), by the files that
# may call them. What is opened while a guest runs is opened on the guest's behalf.
HOST_RESOURCES = (
    "open open64 openat openat2 creat fopen fopen64 freopen opendir file_open_ro file_load "
    "file_save kvm_sys_open kvm_vm_create kvm_vm_create_vcpu kvm_vm_create_device kvm_sys_map_run "
    "mmap memfd_create shm_open mkstemp mkostemp tmpfile tmpnam "
    "posix_openpt openpty io_uring_queue_init eventfd signalfd timerfd_create epoll_create1 inotify_init1 pidfd_open pipe pipe2 userfaultfd "
    "socket socketpair connect bind listen accept accept4 "
    "fork vfork clone execve execv execvp fexecve posix_spawn posix_spawnp popen system mount syscall"
).split()
HOST_RESOURCE_USERS = {
    "src/util/file.c": "open file_open_ro",
    "src/sandbox/filter.c": "syscall",
    "src/sandbox/isolate.c": "open syscall",
    "src/sandbox/keeper.c": "fork pipe2",
    "src/sandbox/root.c": "mount syscall",
    "src/mem/backing.c": "memfd_create mmap",
    "src/kvm/sys.c": "open mmap",
    "src/kvm/record.c": "open",
    "arch/arm64/kvm/host.c": "kvm_sys_open kvm_vm_create",
    "arch/arm64/kvm/offer.c": "kvm_vm_create kvm_vm_create_vcpu",
    "arch/arm64/kvm/probe.c": "file_load kvm_vm_create kvm_vm_create_vcpu",
    "arch/arm64/kvm/report.c": "kvm_vm_create kvm_vm_create_device",
    "arch/arm64/kvm/vm.c": "kvm_vm_create kvm_vm_create_device",
    "arch/arm64/kvm/vcpu.c": "kvm_vm_create_vcpu kvm_sys_map_run",
    "src/host/aio_threads.c": "eventfd",
    "src/host/aio_uring.c": "io_uring_queue_init syscall",
    "src/host/broker.c": "fork open socketpair",
    # In processes of their own, on behalf of a machine that may not.
    "src/host/broker_files.c": "open openat syscall",
    "src/host/broker_sockets.c": "connect socket",
    "src/host/disk.c": "open",
    "src/host/vsock_host.c": "socket bind listen accept4 connect",
    "src/host/vhost_kernel.c": "open",
    "src/host/vhost_user.c": "socket socketpair connect",
    "src/host/chardev_file.c": "open",
    "src/host/chardev_pty.c": "posix_openpt epoll_create1",
    "src/host/chardev_socket.c": "accept4 bind connect listen socket",
    "src/host/chardev_stdio.c": "open",
    "src/host/facts.c": "file_load syscall",
    "src/host/net.c": "epoll_create1",
    "src/host/passt.c": "connect pipe2 posix_spawnp socket socketpair",
    "src/host/tap.c": "open socket",
    "src/host/slice.c": "syscall",
    "src/host/runtime.c": "open openat socket bind listen connect",
    "src/vm/control.c": "accept4",
    "src/realm/launch.c": "file_open_ro file_save",
    "src/vm/loop.c": "eventfd signalfd timerfd_create",
    "src/vm/pcibus.c": "eventfd",
    "src/vm/vhosts.c": "eventfd",
    "src/vm/vsockets.c": "epoll_create1",
    "src/cli/attest.c": "file_save",
    "src/cli/attach.c": "signalfd socketpair",
    "src/cli/commands.c": "file_save",
    "src/cli/config.c": "file_load",
    "src/cli/measure.c": "file_load file_save",
    "src/cli/rpv.c": "file_load",
    "src/cli/verify.c": "file_load",
}


class Denial(NamedTuple):
    """What only some may do: a pattern of code (comments and strings are blanked)."""

    what: str
    pattern: re.Pattern
    users: tuple[str, ...] = ()
    within: str = ""


def _call(*names):
    # Not a member's, nor a part of a longer name.
    return re.compile(r"(?<![\w.>])(?:" + "|".join(names) + r")\s*\(")


DENIALS = (
    Denial(
        "only src/mem and arch/arm64/kvm know where guest memory is mapped",
        _call("gmem_slot_address"),
        ("src/mem/", "include/ccr/gmem.h", "arch/arm64/kvm/", "src/vm/vhosts.c"),
    ),
    Denial(
        "guest memory's address is for the kernel: it must not become a pointer",
        re.compile(r"\*\s*(?:const\s*)?\)\s*(?:\([\w\s]+\)\s*)?\(*\s*gmem_slot_address\s*\("),
    ),
    Denial(
        "who knows guest memory's address does not make a pointer out of a number",
        re.compile(r"\(\s*[\w\s]+\*+\s*(?:const\s*)?\)\s*\(\s*u?intptr_t\s*\)"),
        within="arch/arm64/kvm/",
    ),
    Denial(
        "guest memory is lent to the back ends of devices and to nobody else",
        _call("gmem_export_shared"),
        ("src/mem/", "include/ccr/gmem.h", "src/vm/vhosts.c"),
    ),
    Denial(
        "only the emulated realm's backend plays the RMM",
        _call(r"gmem_rmm_\w+"),
        ("src/mem/", "include/ccr/gmem.h", "arch/arm64/kvm/emulated.c"),
    ),
    Denial(
        "only main ends the program: return an error",
        _call("exit", "_exit", "_Exit", "quick_exit", "abort", "raise", "assert", "err", "errx"),
        ("src/main.c", "src/util/log.c", "src/sandbox/keeper.c", "src/host/broker.c"),
    ),
    Denial(
        "a thread gets its system call filter from sandbox_thread_create()",
        _call("pthread_create"),
        ("src/sandbox/thread.c",),
    ),
    Denial(
        "only the log prints messages: fill a struct ccr_err",
        _call("perror", "warn", "warnx", "psignal", "syslog"),
        ("src/util/log.c",),
    ),
)

# The same on object files, where no macro can hide it: what only these may need from libc.
ENDING_SYMBOLS = {"exit", "_exit", "_Exit", "quick_exit", "abort", "perror", "__assert_fail"}
# A broker and the machine are processes of their own, which end where they began.
ENDING_USERS = ("src/main.c", "src/util/log.c", "src/sandbox/keeper.c", "src/host/broker.c")

# Non-static symbols begin with the file's stem or with the module's directory; or with these.
SYMBOL_PREFIXES = {
    "src/main.c": ("main",),
    "src/util/file.c": ("blob_",),
    "src/host/broker": ("broker_",),
    "src/host/net_parse.c": ("net_",),
    "src/virtio/vnet_": ("vnet_",),
    "src/virtio/p9": ("p9_",),
    "arch/arm64/kvm/offer.c": ("realm_",),
    "arch/arm64/kvm/probe.c": ("realm_",),  # which realm interface there is
    "arch/arm64/kvm/": ("arch_",),
}

# The level and colour of the log; the flag that a signal sets; whether the process is confined.
MUTABLE_STATE_USERS = ("src/util/log.c", "src/kvm/record.c", "src/main.c", "src/sandbox/thread.c")

# Files that work before a process is confined, or in one that never is.
BEFORE_CONFINEMENT = (
    "src/cli/",
    "src/boot/",
    "src/host/broker_files.c",
    "src/host/facts.c",
    "src/host/runtime.c",
    "src/kvm/record.c",
    "src/sandbox/isolate.c",
    "src/sandbox/keeper.c",
    "src/sandbox/root.c",
    "src/sandbox/sandbox.c",
    "arch/arm64/kvm/host.c",
    "arch/arm64/kvm/offer.c",
    "arch/arm64/kvm/probe.c",
    "arch/arm64/kvm/report.c",
)

# Functions, and the system call that each of them makes on arm64.
SYSTEM_CALLS = {
    name: name
    for name in (
        "accept4 bind close connect copy_file_range epoll_create1 epoll_ctl fallocate fcntl "
        "fdatasync fgetxattr fsetxattr fsync ftruncate getdents64 getpid getrandom getsockopt "
        "gettid ioctl listen lseek madvise memfd_create mprotect mmap mremap munmap openat ppoll "
        "prctl preadv preadv2 pwritev pwritev2 read readv recvfrom recvmsg sendmsg sendto "
        "setsockopt shutdown socket socketpair splice sync_file_range timerfd_create "
        "timerfd_settime unlinkat write writev"
    ).split()
} | {
    "clock_gettime": "clock_gettime",
    "dprintf": "write",
    "epoll_wait": "epoll_pwait",
    "eventfd": "eventfd2",
    "fstat": "newfstatat",
    "fstatat": "newfstatat",
    "ioctl_number": "ioctl",
    "kvm_sys_ioctl": "ioctl",
    "lstat": "newfstatat",
    "nanosleep": "clock_nanosleep",
    "open": "openat",
    "poll": "ppoll",
    "pread": "pread64",
    "pthread_kill": "tgkill",
    "pthread_setaffinity_np": "sched_setaffinity",
    "pwrite": "pwrite64",
    "recv": "recvfrom",
    "send": "sendto",
    "sigaction": "rt_sigaction",
    "signalfd": "signalfd4",
    "stat": "newfstatat",
    "unlink": "unlinkat",
}
# What these do depends on a value that their rules name.
CALLS_WITH_VALUES = {"ioctl", "fcntl", "madvise", "prctl", "rt_sigaction", "socket"}
# What brings a host resource into the process, and what goes with that, is done before confinement
# unless a comment says otherwise; HOST_RESOURCE_USERS has who may.
DONE_BEFORE = set(
    "bind connect epoll_create1 epoll_ctl fcntl listen memfd_create newfstatat openat "
    "setsockopt socket socketpair unlinkat".split()
)
# Whose request is their caller's.
PASSES_REQUESTS = {
    ("src/kvm/kvm.c", "ioctl_number"),
    ("src/kvm/sys.c", "kvm_sys_ioctl"),
    ("src/host/vhost_kernel.c", "request"),
}
# Whose calls are made by a library that they use, or by syscall().
CALLS_WITHIN = {
    ("src/host/aio_uring.c", "aio_uring_create"),
    ("src/host/aio_uring.c", "enter"),
    ("src/host/aio_uring.c", "uring_destroy"),
    ("src/host/broker_files.c", "files_serve"),
    ("src/host/chardev_stdio.c", "stdio_start"),
    ("src/realm/cose.c", "cose_sign1_put"),
    ("src/sandbox/filter.c", "filter_install"),
    ("src/host/slice.c", "set_slice"),
    ("src/sandbox/thread.c", "sandbox_thread_settle"),
    ("src/host/chardev.c", "chardev_make_raw"),
}
SYSTEM_CALL_NUMBERS = (
    "/usr/aarch64-linux-gnu/include/asm-generic/unistd.h",
    "/usr/include/asm-generic/unistd.h",
)

# Functions that make descriptors, and what marks one as not for other programs; None: nothing can.
MAKE_DESCRIPTORS = {
    "accept": None,
    "accept4": "SOCK_CLOEXEC",
    "creat": None,
    "dup": None,
    "dup2": None,
    "dup3": "O_CLOEXEC",
    "epoll_create": None,
    "epoll_create1": "EPOLL_CLOEXEC",
    "eventfd": "EFD_CLOEXEC",
    "fopen": '"[rwa+b]*e',
    "inotify_init": None,
    "inotify_init1": "IN_CLOEXEC",
    "memfd_create": "MFD_CLOEXEC",
    "mkostemp": "O_CLOEXEC",
    "mkstemp": None,
    "open": "O_CLOEXEC",
    "openat": "O_CLOEXEC",
    "openat2": "O_CLOEXEC",
    "pipe": None,
    "pipe2": "O_CLOEXEC",
    "popen": None,
    "posix_openpt": "O_CLOEXEC",
    "recvmsg": "MSG_CMSG_CLOEXEC",
    "signalfd": "SFD_CLOEXEC",
    "socket": "SOCK_CLOEXEC",
    "socketpair": "SOCK_CLOEXEC",
    "timerfd_create": "TFD_CLOEXEC",
    "userfaultfd": "O_CLOEXEC",
}
# Who makes others all the same.
KEEPS_DESCRIPTORS = {
    # Standard input and so on, and the one that its process is for; it starts no program.
    "src/host/broker.c": ("dup2",),
}
# Requests that make a descriptor without asking how: anon_inode_getfd() has O_CLOEXEC in each.
KERNEL_SETS_CLOEXEC = (
    "KVM_CREATE_VM",
    "KVM_CREATE_VCPU",
    "KVM_CREATE_DEVICE",
    "KVM_CREATE_GUEST_MEMFD",
    "KVM_REALM_CREATE_GUEST_MEMFD",
)

# What gcc's analyzer takes for a fault, and why it is none.
ANALYZER_IS_WRONG = {
    ("src/realm/cose.c", "-Wanalyzer-null-dereference"): (
        "scheme_of_alg(), scheme_of_curve(): whoever holds an algorithm or a curve got it from the "
        "table that is searched; names and numbers from outside were looked up first"
    ),
    ("src/virtio/blk.c", "-Wanalyzer-malloc-leak"): (
        "open_lane(): it takes the lanes, elements of an array, for one; close_lane() frees what "
        "each has"
    ),
    ("src/virtio/vsock.c", "-Wanalyzer-malloc-leak"): (
        "on_request(): the buffer is the connection's, an element of a table; set_free() frees it"
    ),
}
