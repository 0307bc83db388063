/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/vm share about a machine. */
#ifndef VM_INTERNAL_H
#define VM_INTERNAL_H

#include <poll.h>
#include <signal.h>

#include "ccr/balloon.h"
#include "ccr/blk.h"
#include "ccr/broker.h"
#include "ccr/console.h"
#include "ccr/control.h"
#include "ccr/mc146818.h"
#include "ccr/pci.h"
#include "ccr/rtc.h"
#include "ccr/uart.h"
#include "ccr/v9p.h"
#include "ccr/vconsole.h"
#include "ccr/vcpu.h"
#include "ccr/vhost_net.h"
#include "ccr/virtio_mmio.h"
#include "ccr/virtio_pci.h"
#include "ccr/vm.h"
#include "ccr/vnet.h"
#include "ccr/vrng.h"
#include "ccr/vsock_host.h"
#include "ccr/vvsock.h"

struct machine;
struct machine_config;

/** enum server - who works on a device's queues */
enum server {
	SERVED_BY_LOOP,
	SERVED_BY_THREADS, /* of its own, one a lane */
	SERVED_ELSEWHERE,  /* whoever was given the lanes' descriptors */
};

/**
 * struct device_kind - what the machine has to know of a kind of virtio device
 * @name: for messages
 * @first_slot: on the PCI bus; devices of this kind have it and those that follow
 * @count: how many the machine has
 * @has: is device @nr of this kind, and not of another that has the same slots; NULL for all
 * @nr_lanes: how many eventfds device @nr has, at most one a queue; NULL for one
 * @create: make device @nr; @setup is ready but for what its type fills in. Return: 0 with
 *	@ret_dev, which lives until @destroy; or -errno with @err set, and @destroy is not called.
 * @destroy: when nobody serves it any more
 * @start, @stop: let those serve device @nr who are not the bus's; NULL if there is nothing to do.
 *	@stop comes in any case, and on return nobody does
 * @wait: fill in one more descriptor of device @nr's to wait for, beside its eventfds; NULL for
 *	none
 * @serve: that descriptor is ready; called by who serves the device's first lane
 * @lane_fd: a descriptor of each lane's to wait for, in place of @wait; NULL for none
 * @work: serve a lane, whichever of its descriptors is ready, in place of @serve and
 *	virtio_service(); NULL for those. Return: requests that were in flight at once
 * @wait_ns: nanoseconds until device @nr is due although nothing is ready, UINT64_MAX for never;
 *	NULL for never
 */
struct device_kind {
	const char *name;
	unsigned first_slot;
	enum server server;
	unsigned (*count)(const struct machine_config *config);
	bool (*has)(const struct machine_config *config, unsigned nr);
	unsigned (*nr_lanes)(const struct machine_config *config, unsigned nr);
	int (*create)(struct machine *machine, unsigned nr, const struct machine_config *config,
		      const struct virtio_setup *setup, struct virtio_dev **ret_dev,
		      struct ccr_err *err);
	void (*destroy)(struct machine *machine, unsigned nr);
	int (*start)(struct machine *machine, unsigned nr, struct ccr_err *err);
	void (*stop)(struct machine *machine, unsigned nr);
	void (*wait)(struct machine *machine, unsigned nr, struct pollfd *ret_source);
	void (*serve)(struct machine *machine, unsigned nr);
	int (*lane_fd)(struct machine *machine, unsigned nr, unsigned lane);
	unsigned (*work)(struct machine *machine, unsigned nr, unsigned lane);
	uint64_t (*wait_ns)(struct machine *machine, unsigned nr);
};

/**
 * vm_device_kinds - every kind, in creation order: the one table of virtio devices
 *
 * NULL ends it.
 */
extern const struct device_kind *const vm_device_kinds[];

/**
 * struct virtio_lane - a way for a driver's notifications to whoever serves some of its queues
 * @kick_fd: eventfd: the driver has notified a queue, or the device wants service
 * @nr_kicks: how often, as far as who serves the lane has noticed; only it writes this
 * @has_thread: @thread serves it
 */
struct virtio_lane {
	struct virtio_slot *slot;
	int kick_fd;
	atomic_uint_least64_t nr_kicks;
	bool has_thread;
	pthread_t thread;
};

/**
 * struct virtio_slot - a virtio device: on the PCI bus, or in the virtio-mmio place of that number
 * @dev: NULL in a slot that is not in use
 * @nr: of the device among those of its @kind
 * @lanes: queue i notifies number i modulo @nr_lanes
 * @nr_vectors: of @vectors that are in use
 * @vectors: its message interrupts; each one's eventfd is the slot's
 * @stop: the lanes' threads end
 */
struct virtio_slot {
	struct machine *machine;
	const struct device_kind *kind;
	unsigned nr;
	struct virtio_dev *dev;
	union {
		struct virtio_pci pci;
		struct virtio_mmio mmio;
	};
	unsigned nr_lanes;
	struct virtio_lane lanes[VIRTIO_MAX_QUEUES];
	unsigned nr_vectors;
	struct arch_msi vectors[VIRTIO_MAX_QUEUES + 1];
	atomic_bool stop;
};

/* Slots of the PCI bus. */
enum {
	SLOT_CONSOLE,
	SLOT_RNG,
	SLOT_DISKS,
	SLOT_VSOCK = SLOT_DISKS + VM_MAX_DISKS,
	SLOT_NETS,
	SLOT_SHARES = SLOT_NETS + VM_MAX_NETS,
	SLOT_BALLOON = SLOT_SHARES + VM_MAX_SHARES,
	NR_SLOTS,
};

_Static_assert(NR_SLOTS <= PCI_NR_SLOTS, "every device has a slot");

/** PCIBUS_NR_SOURCES - descriptors that the event loop waits for on behalf of the bus */
#define PCIBUS_NR_SOURCES (2 * NR_SLOTS)

/* What the broker of sockets may connect to, by number. */
enum {
	VSOCK_TARGET,
	DISK_TARGETS,
	FS_TARGETS = DISK_TARGETS + VM_MAX_DISKS,
	NET_TARGETS = FS_TARGETS + VM_MAX_SHARES,
	NR_TARGETS = NET_TARGETS + VM_MAX_NETS,
};

_Static_assert(NR_TARGETS <= BROKER_MAX_TARGETS, "one broker connects to all of them");

/**
 * struct vsockets - the Unix sockets of a guest's vsock
 * @socket: where the host's programs connect to; borrowed
 * @broker: connects to them; borrowed
 * @epoll_fd: readable when vsockets_serve() has work; -1 in a machine without a vsock
 * @fds: of each connection; -1 for none
 */
struct vsockets {
	const struct vsock_host_socket *socket;
	struct broker *broker;
	struct vvsock *device;
	int epoll_fd;
	int fds[VSOCK_MAX_CONNS];
};

/** vsockets_host - the host's ends, for a vsock whose ctx is a struct vsockets */
extern const struct vsock_host vsockets_host;

/**
 * vsockets_init() - nobody has connected
 * @socket, @broker, @device: outlive it; @device is made later, before vsockets_serve()
 *
 * Return: 0 or -errno; vsockets_done() is needed only after 0.
 */
int vsockets_init(struct vsockets *vsockets, const struct vsock_host_socket *socket,
		  struct broker *broker, struct vvsock *device);

/** vsockets_done() - after vvsock_done(), which closes the connections */
void vsockets_done(struct vsockets *vsockets);

/** vsockets_serve() - the event loop's part: @epoll_fd is readable */
void vsockets_serve(struct vsockets *vsockets);

/**
 * struct shared_dir - a directory that is shared by 9p
 * @tag: what the guest calls it; borrowed
 * @broker: does all that names a file
 * @max_open: files that the guest may have open at a time
 */
struct shared_dir {
	const char *tag;
	struct broker broker;
	unsigned max_open;
};

/** shares_host - the host's side, for a v9p whose ctx is the struct broker of a shared directory */
extern const struct p9_host shares_host;

/**
 * shares_make_room() - let this process hold the files that guests open in @nr directories
 *
 * Return: how many each may have open at a time: 512, or as many as the host allows.
 */
unsigned shares_make_room(unsigned nr);

/**
 * struct back_end - a device's other half on the host; kept when the guest resets the machine
 * @path: of its socket or device, borrowed; NULL if there is none
 * @absolute: the same for who has another directory; allocated, NULL if it cannot be had
 * @target: its number, for the broker that finds it again
 * @is_kernel: it is the kernel, and not a program over vhost-user
 * @tap: interface that can go away, and the kernel does not say so; NULL if it is about none
 */
struct back_end {
	const char *path;
	char *absolute;
	unsigned target;
	bool is_kernel;
	const struct net *tap;
	const struct vhost_dev_type *type;
	struct vhost vhost;
};

#define CHANNELS_NR_FDS (VM_MAX_CHANNELS * CHARDEV_NR_FDS)

/**
 * struct channels - the host ends of the console's channels; kept when the guest resets the machine
 * @names: what the guest calls them; borrowed
 * @ends: @nr of them are open, the others all-zero
 */
struct channels {
	unsigned nr;
	const char *names[VM_MAX_CHANNELS];
	struct chardev ends[VM_MAX_CHANNELS];
};

/** channels_open() - Return: 0, or -errno with @err set; channels_close() is needed either way. */
int channels_open(struct channels *channels, const struct vm_channel *wishes, unsigned nr,
		  struct ccr_err *err);
void channels_close(struct channels *channels);

/** channels_set_fds() - what the event loop has to wait for; all of it -1 without channels */
void channels_set_fds(const struct channels *channels, struct vconsole *console,
		      struct pollfd fds[CHANNELS_NR_FDS]);

/** channels_serve() - the event loop's part: bytes move, peers come and go */
void channels_serve(struct channels *channels, struct vconsole *console,
		    const struct pollfd fds[CHANNELS_NR_FDS]);

/** channels_are_busy() - is there output that a host end would take now */
bool channels_are_busy(const struct channels *channels, struct vconsole *console);

/**
 * channels_drain() - when the machine has ended: pass on what the guest has said by now
 * @budget_ms: about how long host ends may take for it
 */
void channels_drain(struct channels *channels, struct vconsole *console, int budget_ms);

/** struct vhost_port - a device in front of a back end, and the thread that speaks to it */
struct vhost_port;

/**
 * vhosts_open() - find it, and agree on how to talk
 * @what: the user's word for it, for messages
 *
 * Return: 0, or -errno with @err set; vhosts_close() is needed only after 0.
 */
int vhosts_open(struct back_end *end, const char *what, const char *path,
		const struct vhost_dev_type *type, struct ccr_err *err);
void vhosts_close(struct back_end *end);

/** vhosts_open_vsock() - the same for the kernel's vsock */
int vhosts_open_vsock(struct back_end *end, uint32_t cid, struct ccr_err *err);

/**
 * vhosts_open_net() - the same for an open network, if somebody else can move its frames
 * @config: whether that is wished for
 *
 * Return: 0, perhaps without a back end, whose path then is NULL; or -errno with @err set.
 */
int vhosts_open_net(struct back_end *end, struct net *net, const struct net_config *config,
		    struct ccr_err *err);

/**
 * vhosts_create() - device in a slot whose lanes are there, one a queue of the back end's
 * @config: complete but for what @end says, memory and descriptors, which are filled in
 * @broker: to find a lost back end again; NULL if there is none
 *
 * Return: 0, or -errno with @err set.
 */
int vhosts_create(struct vhost_port **ret_port, struct back_end *end,
		  const struct vhost_dev_config *config, struct virtio_slot *slot,
		  struct gmem *gmem, struct broker *broker, const struct virtio_setup *setup,
		  struct ccr_err *err);
void vhosts_destroy(struct vhost_port *port);

/** vhosts_start() - its thread. Return: 0, or -errno with @err set. */
int vhosts_start(struct vhost_port *port, struct ccr_err *err);

/** vhosts_stop() - the back end gives the queues back; waits for it, within its patience */
void vhosts_stop(struct vhost_port *port);

/** vhosts_device() - lives as long as @port */
struct vhost_dev *vhosts_device(struct vhost_port *port);

/** struct spare_uart - a port for firmware, with nothing connected but its interrupt */
struct spare_uart {
	struct uart uart;
	const struct arch_vm *arch;
	uint32_t spi;
};

/**
 * struct machine - the devices of a machine; machine.c has their table
 * @arch: interrupts go there
 * @has_uart, @has_virtio, @has_pci: which were created; virtio devices are on the PCI bus, or in
 *	places of their own without it
 * @empty_place: stands in all places without a device
 * @blks: one for each disk that is not a back end's
 * @vnets, @net_controls: one for each network: of the two, one is in use
 * @ports: of slots whose devices have back ends; else NULL
 * @has_vsock: @vsock and @vsockets were created
 * @shares: one for each shared directory
 * @has_balloon: @balloon was created
 */
struct machine {
	struct arch_vm *arch;
	struct bus bus;
	struct uart uart;
	struct spare_uart spare_uarts[MEMMAP_SPARE_UARTS];
	struct rtc rtc;
	struct mc146818 mc146818; /* in its place, for firmware */
	bool has_uart;
	bool has_virtio;
	bool has_pci;
	struct pci_host pci;
	struct virtio_mmio empty_place;
	struct virtio_mem mem;
	struct vconsole console;
	struct vrng rng;
	struct blk blks[VM_MAX_DISKS];
	struct vnet vnets[VM_MAX_NETS];
	struct vnet_control net_controls[VM_MAX_NETS];
	struct vhost_port *ports[NR_SLOTS];
	bool has_vsock;
	struct vvsock vsock;
	struct vsockets vsockets;
	struct v9p shares[VM_MAX_SHARES];
	bool has_balloon;
	struct balloon balloon;
	struct virtio_slot slots[NR_SLOTS];
};

/**
 * struct machine_config - what machine_init() builds on; all of it is borrowed
 * @has_virtio, @has_pci: it has virtio devices; they are on a PCI bus
 * @has_firmware: firmware starts in it, which wants another clock than Linux does
 * @disks: open, @nr_disks of them
 * @serials, @disk_wishes, @disk_queues: one for each disk; how many queues it has
 * @back_ends: one for each disk; those with a path take the place of @disks
 * @fs: @nr_fs of them, with a back end each in @fs_back_ends
 * @vsock_back_end: without a path if the vsock is @vsock or there is none
 * @limits: what each disk allows its driver
 * @nets: open, @nr_nets of them; @net_back_ends: of those with a path, who moves the frames;
 *	@net_limits: what each allows its driver
 * @vsock: the host's side, NULL for a machine without a vsock; @vsock_cid: the guest's address
 * @sockets: the broker that connects to the host's sockets
 * @shares: @nr_shares of them; @share_limits: what each allows its driver
 * @channels: of the console
 * @needs_platform: drivers must know that devices reach shared memory only
 */
struct machine_config {
	struct arch_vm *arch;
	struct gmem *gmem;
	struct uart_host uart_host;
	bool has_virtio;
	bool has_pci;
	bool has_firmware;
	bool needs_platform;
	unsigned nr_disks;
	const struct disk *disks;
	const char (*serials)[BLK_SERIAL_SIZE + 1];
	const struct vm_disk *disk_wishes;
	unsigned disk_queues[VM_MAX_DISKS];
	struct back_end *back_ends;
	unsigned nr_fs;
	const struct vm_fs *fs;
	struct back_end *fs_back_ends;
	struct back_end *vsock_back_end;
	struct bounce_limits limits;
	unsigned nr_nets;
	struct net *nets;
	struct back_end *net_back_ends;
	struct bounce_net_limits net_limits;
	const struct vsock_host_socket *vsock;
	uint32_t vsock_cid;
	struct broker *sockets;
	unsigned nr_shares;
	const struct shared_dir *shares;
	struct bounce_share share_limits;
	const struct channels *channels;
	bool has_balloon;
};

/**
 * machine_init() - create all devices and put them on the bus, in the tables' order
 *
 * Return: 0, or -errno with @err set; machine_done() is needed either way.
 */
int machine_init(struct machine *machine, const struct machine_config *config, struct ccr_err *err);

/** machine_start() - the devices' threads. Return: 0, or -errno with @err set. */
int machine_start(struct machine *machine, struct ccr_err *err);

/** machine_done() - when no vCPU runs any more; waits for the devices' threads */
void machine_done(struct machine *machine);

/** pcibus_set_sources() - what the event loop has to wait for; all of it -1 without a bus */
void pcibus_set_sources(struct machine *machine, struct pollfd sources[PCIBUS_NR_SOURCES]);

/** pcibus_timeout_ms() - when to call pcibus_serve() without any source ready; -1 for never */
int pcibus_timeout_ms(struct machine *machine);

/** pcibus_serve() - the event loop's part, for what is ready or due */
void pcibus_serve(struct machine *machine, const struct pollfd sources[PCIBUS_NR_SOURCES]);

/**
 * mmiobus_plug() - give the device of a slot its registers and its notifications
 *
 * Return: 0, or -errno with @err set.
 */
int mmiobus_plug(struct virtio_slot *slot, struct ccr_err *err);

/** mmiobus_fill() - empty registers in all other places. Return: 0, or -errno with @err set. */
int mmiobus_fill(struct machine *machine, struct ccr_err *err);

/** pcibus_init(), pcibus_start(), pcibus_done() - host bridge and virtio devices, for machine.c */
int pcibus_init(struct machine *machine, const struct machine_config *config, struct ccr_err *err);
int pcibus_start(struct machine *machine, struct ccr_err *err);
void pcibus_done(struct machine *machine);

/**
 * struct loop - the event loop
 * @wake_fd: eventfd; UART output has come, or @ended was set
 * @signal_fd, @timer_fd: as their names say
 * @stopped_early: a signal has come before the guest ran
 * @hvc_spoke_last: the guest's last output came from the virtio console
 * @ended, @outcome, @err: why the machine ended; @outcome and @err are valid once @ended is set
 */
struct loop {
	int wake_fd;
	int signal_fd;
	int timer_fd;
	bool stopped_early;
	bool hvc_spoke_last;
	atomic_bool ended;
	enum vm_outcome outcome;
	struct ccr_err err;
};

/**
 * struct vm - one life of a machine, from creation to its end; a reset begins another
 * @config, @launch, @console, @channels, @disks, the back ends, @nets, @vsock, @sockets, @shares,
 *	@control: outlive it
 * @rim: of a sealed realm; all zeros in a plain VM
 */
struct vm {
	const struct vm_config *config;
	struct launch *launch;
	struct console *console;
	struct channels *channels;
	const struct disk *disks;
	struct net *nets;
	struct back_end *net_back_ends;
	struct back_end *back_ends;
	struct back_end *fs_back_ends;
	struct back_end *vsock_back_end;
	const struct vsock_host_socket *vsock;
	struct broker *sockets;
	struct shared_dir *shares;
	struct control *control;
	struct gmem *gmem;
	struct arch_vm arch;
	struct vcpu_group vcpus;
	struct machine machine;
	struct emulated emulated;
	struct realm_kvm realm;
	uint8_t rim[HASH_MAX_SIZE];
	struct loop loop;
};

/** vm_disk_serial() - the serial number of disk @nr, the user's or ours. Return: @serial. */
const char *vm_disk_serial(const struct vm_disk *disk, unsigned nr,
			   char serial[BLK_SERIAL_SIZE + 1]);

/** loop_init() - create the descriptors. Return: 0 or -errno with @err set. */
int loop_init(struct loop *loop, struct ccr_err *err);
void loop_done(struct loop *loop);

/**
 * loop_block_signals() - from now on SIGTERM, SIGINT and SIGHUP come through the loop
 * @ret_old: the mask to restore in the end
 *
 * Before the terminal is made raw, which they must not leave so, and before the vCPU threads are
 * created, which inherit the mask.
 */
void loop_block_signals(sigset_t *ret_old);

/** loop_wake() - from any thread */
void loop_wake(struct loop *loop);

/** loop_end() - from any thread, once: the machine has ended. @err may be NULL. */
void loop_end(struct loop *loop, enum vm_outcome outcome, const struct ccr_err *err);

/** loop_run() - serve console, signals and timers until the machine has ended */
void loop_run(struct vm *vm);

/**
 * loop_is_stopped_early() - while the machine is being made: whether a signal says to end it
 *
 * Says so the first time, and remembers it.
 */
bool loop_is_stopped_early(struct vm *vm);

/** loop_stop() - end the machine because somebody on the host wants it, in words for people (@who)
 * and in QEMU's (@reason); nothing happens if it is ending already
 */
void loop_stop(struct vm *vm, const char *who, const char *reason);

/** manage_ops - what the control socket's commands do to a struct vm */
extern const struct qmp_ops manage_ops;

/** stats_fill() - add what is known of the machine to @object; takes the devices' locks */
void stats_fill(struct vm *vm, enum qmp_status status, struct json_object *object);

/** manage_notice() - tell the clients what the guest has changed by itself: its balloon's size */
void manage_notice(struct vm *vm);

/** manage_ended() - tell the clients how this life has ended, and whether another follows */
void manage_ended(struct control *control, enum vm_outcome outcome, bool restarts);

/** watch_report() - if the guest has been silent since its start, say so and what was seen */
void watch_report(struct vm *vm);

#endif
