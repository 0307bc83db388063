/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a trace made requests again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ccr/kvm.h"
#include "ccr/record.h"
#include "fake_realm_internal.h"
#include "uapi/kvm_realm.h"

#define ID_X0    0x6030000000100000ull
#define ID_PC    0x6030000000100040ull
#define ID_MMFR0 0x603000000013c038ull
#define ID_DFR0  0x603000000013c028ull

static const char *const actions[] = {
	[KVM_REALM_ACTION_CONFIG] = "CONFIG",     [KVM_REALM_ACTION_CREATE] = "CREATE",
	[KVM_REALM_ACTION_INIT_RIPAS] = "RIPAS",  [KVM_REALM_ACTION_POPULATE] = "POPULATE",
	[KVM_REALM_ACTION_ACTIVATE] = "ACTIVATE",
};

#define NR_ACTIONS (sizeof(actions) / sizeof(actions[0]))

#define MAX_NAMES 32

/* The replay of one trace: its descriptors by name, and host memory for its slot. */
struct replay {
	unsigned nr_names;
	struct {
		char name[24];
		int fd;
		struct kvm_run *run;
		size_t run_size;
	} names[MAX_NAMES];
	uint8_t *memory;
	uint64_t memory_size, base;
};

/* One line: what is asked of whom, and the words behind. */
struct request {
	char target[24];
	char name[40];
	const char *args;
	const char *result;
};

static uint64_t number(const struct request *request, const char *key)
{
	const char *at = strstr(request->args, key);

	return at ? strtoull(at + strlen(key), NULL, 0) : 0;
}

static unsigned find(const struct replay *replay, const char *name)
{
	unsigned i = 0;

	while (i < replay->nr_names && strcmp(replay->names[i].name, name) != 0)
		i++;
	return i;
}

static int fd_of(const struct replay *replay, const char *name)
{
	const unsigned i = find(replay, name);

	return i < replay->nr_names ? replay->names[i].fd : -1;
}

static void add_name(struct replay *replay, const char *name, int fd)
{
	const unsigned i = find(replay, name);

	if (i == MAX_NAMES)
		return;
	if (i == replay->nr_names)
		replay->nr_names++;
	snprintf(replay->names[i].name, sizeof(replay->names[i].name), "%s", name);
	replay->names[i].fd = fd;
}

/* Where the host's side of a guest address is; not mapped before the slot is. */
static uint64_t host_of(const struct replay *replay, uint64_t at)
{
	return replay->memory ? (uint64_t)(uintptr_t)replay->memory + (at - replay->base) : 0;
}

static int enable_cap(struct replay *replay, int fd, const struct request *request)
{
	struct kvm_enable_cap cap = {.cap = (uint32_t)strtoul(request->args, NULL, 0)};
	struct kvm_realm_config config = {.item = KVM_REALM_CONFIG_RPV};
	struct kvm_realm_populate range = {.base = number(request, "base="),
					   .size = number(request, "size="),
					   .flags = (uint32_t)number(request, "flags=")};

	(void)replay;
	while (cap.args[0] < NR_ACTIONS && !strstr(request->args, actions[cap.args[0]]))
		cap.args[0]++;
	if (cap.args[0] == NR_ACTIONS)
		cap = (struct kvm_enable_cap){.cap = KVM_CAP_ARM_NISV_TO_USER};
	if (strstr(request->args, "hash="))
		config = (struct kvm_realm_config){.item = KVM_REALM_CONFIG_HASH_ALGO,
						   .hash_algo = (uint32_t)number(request, "hash=")};
	if (strstr(request->args, "item="))
		config = (struct kvm_realm_config){.item = (uint32_t)number(request, "item=")};
	memset(config.rpv, (int)number(request, "rpv="), strstr(request->args, "rpv=") ? 64 : 0);
	if (strchr(request->args, '='))
		cap.args[1] = cap.args[0] == KVM_REALM_ACTION_CONFIG ? (uintptr_t)&config
								     : (uintptr_t)&range;
	return kvm_sys_ioctl(fd, KVM_ENABLE_CAP, &cap);
}

static int create_gmem(struct replay *replay, int fd, const struct request *request)
{
	struct kvm_realm_create_guest_memfd create = {.size = number(request, "size="),
						      .flags = number(request, "flags=")};

	(void)replay;
	return kvm_sys_ioctl(fd, KVM_REALM_CREATE_GUEST_MEMFD, &create);
}

static int set_region(struct replay *replay, int fd, const struct request *request)
{
	struct kvm_realm_memory_region2 region = {
		.slot = (uint32_t)number(request, "slot="),
		.flags = (uint32_t)number(request, "flags="),
		.guest_phys_addr = number(request, "gpa="),
		.memory_size = number(request, "size="),
		.guest_memfd = (uint32_t)fd_of(replay, "gmem"),
	};

	if (!replay->memory) {
		replay->memory = mmap(NULL, region.memory_size, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		replay->memory_size = region.memory_size;
		replay->base = region.guest_phys_addr;
	}
	region.userspace_addr = host_of(replay, replay->base);
	return kvm_sys_ioctl(fd, KVM_REALM_SET_MEMORY_REGION2, &region);
}

static int set_attributes(struct replay *replay, int fd, const struct request *request)
{
	struct kvm_realm_attributes2 attributes = {.offset = number(request, "at="),
						   .size = number(request, "size="),
						   .attributes = number(request, "attributes=")};

	(void)replay;
	return kvm_sys_ioctl(fd,
			     request->name[strlen(request->name) - 1] == '2'
				     ? KVM_REALM_SET_ATTRIBUTES2
				     : KVM_REALM_SET_ATTRIBUTES,
			     &attributes);
}

static int populate(struct replay *replay, int fd, const struct request *request)
{
	const unsigned long code = strstr(request->name, "V12") ? KVM_REALM_POPULATE_V12
								: KVM_REALM_POPULATE_V13;
	struct kvm_realm_populate_from from = {.base = number(request, "base="),
					       .size = number(request, "size="),
					       .flags = (uint32_t)number(request, "flags=")};

	from.source_uaddr = strstr(request->args, "source=") ? number(request, "source=")
							     : host_of(replay, from.base);
	from.source_uaddr += number(request, "source+");
	from.reserved = (uint32_t)number(request, "reserved=");
	return kvm_sys_ioctl(fd, code, strcmp(request->args, "NULL") ? &from : NULL);
}

static int create_vm(struct replay *replay, int fd, const struct request *request)
{
	(void)replay;
	return kvm_vm_create(fd, number(request, "type="));
}

static int create_vcpu(struct replay *replay, int fd, const struct request *request)
{
	(void)replay;
	return kvm_vm_create_vcpu(fd, (unsigned)number(request, "id="));
}

static int check_extension(struct replay *replay, int fd, const struct request *request)
{
	static const struct {
		const char *name;
		unsigned long value;
	} caps[] = {
		{"MAX_VCPUS", KVM_CAP_MAX_VCPUS},
		{"ARM_VM_IPA_SIZE", KVM_CAP_ARM_VM_IPA_SIZE},
		{"IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT},
		{"ARM_INJECT_EXT_DABT", KVM_CAP_ARM_INJECT_EXT_DABT},
		{"ARM_NISV_TO_USER", KVM_CAP_ARM_NISV_TO_USER},
		{"IRQFD", KVM_CAP_IRQFD},
		{"IRQ_ROUTING", KVM_CAP_IRQ_ROUTING},
	};
	unsigned long value = strtoul(request->args, NULL, 0);

	(void)replay;
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		if (strcmp(request->args, caps[i].name) == 0)
			value = caps[i].value;
	}
	return kvm_sys_ioctl(fd, KVM_CHECK_EXTENSION, (void *)value);
}

static int preferred_target(struct replay *replay, int fd, const struct request *request)
{
	struct kvm_vcpu_init init;

	(void)replay;
	(void)request;
	return kvm_sys_ioctl(fd, KVM_ARM_PREFERRED_TARGET, &init);
}

static int vcpu_init(struct replay *replay, int fd, const struct request *request)
{
	struct kvm_vcpu_init init = {.target = (uint32_t)number(request, "target="),
				     .features = {(uint32_t)number(request, "features=")}};

	(void)replay;
	return kvm_sys_ioctl(fd, KVM_ARM_VCPU_INIT, &init);
}

static int vcpu_finalize(struct replay *replay, int fd, const struct request *request)
{
	int feature = (int)number(request, "feature=");

	(void)replay;
	return kvm_sys_ioctl(fd, KVM_ARM_VCPU_FINALIZE, &feature);
}

static uint64_t reg_id(const char *name)
{
	if (name[0] == 'X')
		return ID_X0 + 2 * strtoul(name + 1, NULL, 10);
	if (strncmp(name, "PC", 2) == 0)
		return ID_PC;
	return strncmp(name, "DFR0", 4) == 0 ? ID_DFR0 : ID_MMFR0;
}

static int get_reg(struct replay *replay, int fd, const struct request *request)
{
	uint64_t value;

	(void)replay;
	return kvm_vcpu_get_reg(fd, reg_id(request->args), &value);
}

static int set_reg(struct replay *replay, int fd, const struct request *request)
{
	(void)replay;
	return kvm_vcpu_set_reg(fd, reg_id(request->args), number(request, "="));
}

static int create_device(struct replay *replay, int fd, const struct request *request)
{
	const uint32_t type = (uint32_t)number(request, "type=");
	const int ret = kvm_vm_create_device(fd, type);

	if (ret >= 0)
		add_name(replay, type == KVM_DEV_TYPE_ARM_VGIC_ITS ? "its" : "gic", ret);
	return ret < 0 ? ret : 0;
}

static int set_attr(struct replay *replay, int fd, const struct request *request)
{
	const uint64_t value = number(request, "value=");

	(void)replay;
	return kvm_set_attr(fd, (uint32_t)number(request, "group="), number(request, "attr="),
			    strstr(request->args, "value=") ? &value : NULL);
}

static int has_attr(struct replay *replay, int fd, const struct request *request)
{
	(void)replay;
	return kvm_has_attr(fd, (uint32_t)number(request, "group="), number(request, "attr="));
}

static struct kvm_run *page_of(const struct replay *replay, const char *name)
{
	const unsigned i = find(replay, name);

	return i < replay->nr_names ? replay->names[i].run : NULL;
}

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* The guest was entered, and has done something. */
static bool is_guests_exit(const char *result)
{
	return starts_with(result, "0 ") || strstr(result, "MEMORY_FAULT");
}

static int run(struct replay *replay, int fd, const struct request *request)
{
	struct kvm_run *page = page_of(replay, request->target);

	if (page)
		kvm_run_set_immediate_exit(page, !is_guests_exit(request->result) &&
							 !strstr(request->args, "enter"));
	return kvm_vcpu_run(fd);
}

static int get_number(struct replay *replay, int fd, const struct request *request)
{
	(void)replay;
	return kvm_sys_ioctl(fd,
			     strcmp(request->name, "KVM_GET_API_VERSION") ? KVM_GET_VCPU_MMAP_SIZE
									  : KVM_GET_API_VERSION,
			     NULL);
}

static const struct {
	const char *name;
	int (*make)(struct replay *replay, int fd, const struct request *request);
} makers[] = {
	{"KVM_GET_API_VERSION", get_number},
	{"KVM_GET_VCPU_MMAP_SIZE", get_number},
	{"KVM_CREATE_VM", create_vm},
	{"KVM_CHECK_EXTENSION", check_extension},
	{"KVM_ENABLE_CAP", enable_cap},
	{"KVM_CREATE_GUEST_MEMFD", create_gmem},
	{"KVM_SET_USER_MEMORY_REGION2", set_region},
	{"KVM_SET_MEMORY_ATTRIBUTES", set_attributes},
	{"KVM_SET_MEMORY_ATTRIBUTES2", set_attributes},
	{"KVM_ARM_RMI_POPULATE", populate},
	{"KVM_ARM_RMI_POPULATE_V12", populate},
	{"KVM_CREATE_VCPU", create_vcpu},
	{"KVM_ARM_PREFERRED_TARGET", preferred_target},
	{"KVM_ARM_VCPU_INIT", vcpu_init},
	{"KVM_ARM_VCPU_FINALIZE", vcpu_finalize},
	{"KVM_GET_ONE_REG", get_reg},
	{"KVM_SET_ONE_REG", set_reg},
	{"KVM_CREATE_DEVICE", create_device},
	{"KVM_SET_DEVICE_ATTR", set_attr},
	{"KVM_RUN", run},
	{"KVM_HAS_DEVICE_ATTR", has_attr},
};

static bool make_ioctl(struct replay *replay, const struct request *request, int *ret)
{
	/* One that has no name yet, made as a probe does. */
	if (starts_with(request->name, "0x")) {
		*ret = kvm_sys_ioctl(fd_of(replay, request->target),
				     strtoul(request->name, NULL, 0), NULL);
		return true;
	}
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
		if (strcmp(makers[i].name, request->name) == 0) {
			*ret = makers[i].make(replay, fd_of(replay, request->target), request);
			return true;
		}
	}
	return false;
}

static void unmap(struct replay *replay, const char *name)
{
	const unsigned i = find(replay, name);

	if (i == replay->nr_names)
		return;
	kvm_sys_unmap_run(replay->names[i].run, replay->names[i].run_size);
	replay->names[i].run = NULL;
}

static int map(struct replay *replay, const struct request *request)
{
	const unsigned i = find(replay, request->target);

	if (i == replay->nr_names)
		return -EBADF;
	replay->names[i].run_size = number(request, "size=");
	return kvm_sys_map_run(replay->names[i].fd, replay->names[i].run_size,
			       &replay->names[i].run);
}

static void close_name(struct replay *replay, const char *name)
{
	const unsigned i = find(replay, name);

	if (i == replay->nr_names || replay->names[i].fd < 0)
		return;
	kvm_sys_close(replay->names[i].fd);
	replay->names[i].fd = -1;
}

static bool is_creation(const char *name)
{
	return strcmp(name, "KVM_CREATE_VM") == 0 || strcmp(name, "KVM_CREATE_VCPU") == 0 ||
	       strcmp(name, "KVM_CREATE_GUEST_MEMFD") == 0;
}

/* Guests of the model have no devices: they wait where the recorded one had its MMIO. */
static bool is_exit_as_recorded(const struct replay *replay, const struct request *request, int ret)
{
	char text[128];

	if (starts_with(request->result, "0 MMIO "))
		return ret == -EINTR;
	kvm_describe_exit(text, sizeof(text), page_of(replay, request->target), ret);
	return strcmp(text, request->result) == 0 ||
	       (starts_with(text, request->result) && !strchr(request->result, ' '));
}

/* Does the answer stand for the word in the trace? A descriptor takes the trace's name for it. */
static bool is_as_recorded(struct replay *replay, const struct request *request, int ret)
{
	char text[32];

	if (strcmp(request->name, "KVM_RUN") == 0)
		return is_exit_as_recorded(replay, request, ret);
	if (request->result[0] >= 'a' && request->result[0] <= 'z') {
		if (ret < 0)
			return false;
		add_name(replay, request->result, ret);
		return true;
	}
	/* A descriptor that nobody has expected has no name by which it would be closed. */
	if (ret >= 0 && is_creation(request->name))
		kvm_sys_close(ret);
	if (ret < 0)
		snprintf(text, sizeof(text), "-%s", strerrorname_np(-ret));
	else
		snprintf(text, sizeof(text), "%d", ret);
	return strcmp(text, request->result) == 0;
}

/* @line: without its end, may be changed. Return: the line is as the model answers, or a remark. */
static bool replay_line(struct replay *replay, char *line, char why[256])
{
	char *end = strstr(line, " = ");
	struct request request = {.args = "", .result = ""};
	int used = 0, ret = 0;

	if (end) {
		*end = '\0';
		request.result = end + 3;
	}
	snprintf(why, 256, "%.190s: not understood", line);
	if (sscanf(line, "ioctl %23s %39s %n", request.target, request.name, &used) == 2) {
		request.args = used ? line + used : "";
		if (!make_ioctl(replay, &request, &ret))
			return false;
	} else if (sscanf(line, "close %23s", request.target) == 1) {
		close_name(replay, request.target);
		return true;
	} else if (sscanf(line, "unmap %23s", request.target) == 1) {
		unmap(replay, request.target);
		return true;
	} else if (sscanf(line, "map %23s %n", request.target, &used) == 1) {
		request.args = line + used;
		ret = map(replay, &request);
	} else if (sscanf(line, "punch %23s %n", request.target, &used) == 1) {
		request.args = line + used;
		ret = kvm_sys_punch(fd_of(replay, request.target), number(&request, "offset="),
				    number(&request, "size="));
	} else if (sscanf(line, "open %23s", request.target) == 1) {
		ret = kvm_sys_open(request.target);
	} else {
		return true;
	}
	snprintf(why, 256, "%.120s: recorded %.20s, the model says %.20s (%d)", line,
		 request.result, ret < 0 ? strerrorname_np(-ret) : "", ret);
	return is_as_recorded(replay, &request, ret);
}

/*
 * The guests of a trace: what they must have done to exit like this. A fault is an access if the
 * attribute stood against it and RIPAS did not; else the guest has asked for another RIPAS.
 */

#define MAX_OPS 256

struct guests {
	uint64_t base, nr_pages;
	struct {
		bool is_empty, is_private;
	} * pages;
	unsigned nr_ops[FAKE_REALM_MAX_VCPUS];
	struct fake_guest_op ops[FAKE_REALM_MAX_VCPUS][MAX_OPS];
};

static void add_op(struct guests *guests, unsigned vcpu, struct fake_guest_op op)
{
	if (vcpu < FAKE_REALM_MAX_VCPUS && guests->nr_ops[vcpu] < MAX_OPS - 1)
		guests->ops[vcpu][guests->nr_ops[vcpu]++] = op;
}

static bool is_access(const struct guests *guests, uint64_t at, uint64_t size, bool private)
{
	const uint64_t page = (at - guests->base) / FAKE_PAGE;

	return size == FAKE_PAGE && page < guests->nr_pages &&
	       guests->pages[page].is_private != private && guests->pages[page].is_empty != private;
}

static void guess_fault(struct guests *guests, unsigned vcpu, uint64_t at, uint64_t size,
			bool private)
{
	if (is_access(guests, at, size, private)) {
		add_op(guests, vcpu,
		       (struct fake_guest_op){
			       .kind = private ? FAKE_GUEST_PRIVATE : FAKE_GUEST_SHARED,
			       .at = at,
		       });
		return;
	}
	add_op(guests, vcpu,
	       (struct fake_guest_op){
		       .kind = FAKE_GUEST_RIPAS, .at = at, .size = size, .to_ram = private});
	for (uint64_t i = 0; i < size; i += FAKE_PAGE) {
		const uint64_t page = (at + i - guests->base) / FAKE_PAGE;

		if (page < guests->nr_pages)
			guests->pages[page].is_empty = !private;
	}
}

static void note_attributes(struct guests *guests, uint64_t at, uint64_t size, bool private)
{
	for (uint64_t i = 0; i < size; i += FAKE_PAGE) {
		const uint64_t page = (at + i - guests->base) / FAKE_PAGE;

		if (page < guests->nr_pages)
			guests->pages[page].is_private = private;
	}
}

static void note_slot(struct guests *guests, uint64_t base, uint64_t size)
{
	free(guests->pages);
	guests->base = base;
	guests->nr_pages = size / FAKE_PAGE;
	guests->pages = calloc(guests->nr_pages, sizeof(*guests->pages));
	if (!guests->pages)
		guests->nr_pages = 0;
}

static void guess_line(struct guests *guests, const char *line)
{
	unsigned long long at, size;
	unsigned vcpu, flags;

	if (sscanf(line, "ioctl %*s KVM_SET_USER_MEMORY_REGION2 slot=0 flags=4 gpa=%llx size=%llx",
		   &at, &size) == 2)
		note_slot(guests, at, size);
	else if (sscanf(line, "ioctl %*s KVM_SET_MEMORY_ATTRIBUTES at=%llx size=%llx attributes=%u",
			&at, &size, &flags) == 3)
		note_attributes(guests, at, size, flags);
	else if (sscanf(line,
			"ioctl vcpu%u KVM_RUN = %*s MEMORY_FAULT private=%u at=%llx size=%llx",
			&vcpu, &flags, &at, &size) == 4)
		guess_fault(guests, vcpu, at, size, flags);
	else if (sscanf(line, "ioctl vcpu%u KVM_RUN", &vcpu) != 1)
		return;
	else if (strstr(line, " = 0 MMIO "))
		add_op(guests, vcpu, (struct fake_guest_op){.kind = FAKE_GUEST_WAIT});
	else if (strstr(line, " = 0 reset"))
		add_op(guests, vcpu, (struct fake_guest_op){.kind = FAKE_GUEST_RESET});
}

/* @line: 512 bytes. Return: the rest. */
static const char *next_line(const char *trace, char *line)
{
	const size_t size = strcspn(trace, "\n");

	snprintf(line, 512, "%.*s", (int)size, trace);
	return trace + size + (trace[size] == '\n');
}

static struct guests *guess_guests(const char *trace)
{
	struct guests *guests = calloc(1, sizeof(*guests));
	char line[512];

	if (!guests)
		return NULL;
	while (*trace) {
		trace = next_line(trace, line);
		guess_line(guests, line);
	}
	for (unsigned i = 0; i < FAKE_REALM_MAX_VCPUS; i++) {
		guests->ops[i][guests->nr_ops[i]].kind = FAKE_GUEST_OFF;
		fake_realm_set_guest(i, guests->ops[i]);
	}
	return guests;
}

static void free_guests(struct guests *guests)
{
	for (unsigned i = 0; i < FAKE_REALM_MAX_VCPUS; i++)
		fake_realm_set_guest(i, NULL);
	if (guests)
		free(guests->pages);
	free(guests);
}

unsigned fake_realm_replay(const char *trace, char why[256])
{
	struct guests *guests = guess_guests(trace);
	struct replay replay = {0};
	unsigned number_of_line = 0;
	bool same = true;
	char line[512];

	while (same && *trace) {
		trace = next_line(trace, line);
		number_of_line++;
		same = line[0] == '#' || replay_line(&replay, line, why);
	}
	for (unsigned i = 0; i < replay.nr_names; i++) {
		unmap(&replay, replay.names[i].name);
		close_name(&replay, replay.names[i].name);
	}
	if (replay.memory)
		munmap(replay.memory, replay.memory_size);
	free_guests(guests);
	if (same)
		why[0] = '\0';
	return same ? 0 : number_of_line;
}
