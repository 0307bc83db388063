/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest - in a realm: say what the kernel knows of it, and fetch an attestation token
 *
 * With --listen it does the same for others, through AF_VSOCK: who connects sends a line with the
 * challenge in hexadecimal, and gets one line, "token " and base64 or "error " and words, after
 * which the connection is closed. One is served at a time.
 *
 * The token goes to standard output (or a file), everything else to standard error, so that the
 * output of `attest CHALLENGE` is a token and nothing but.
 *
 * Linux hands out tokens through configfs (its ABI document is configfs-tsm-report): a directory is
 * a request, its file inblob takes the challenge, outblob gives the token, and generation counts
 * what was written, so that a token for somebody else's challenge is noticed.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define CONFIGFS "/sys/kernel/config"
#define REPORTS  CONFIGFS "/tsm/report"
/* What drivers with measurement registers have in common. */
#define MEASUREMENTS "/sys/devices/virtual/misc/*/measurements/*"

#define MIN_CHALLENGE_SIZE 32
#define MAX_CHALLENGE_SIZE 64
/* The kernel's own limit for outblob is half of it. */
#define MAX_TOKEN_SIZE    65536
#define MEASUREMENT_SIZE  64
#define BASE64_LINE_BYTES 48
#define BACKLOG           4
/* For each read and write of who has connected. */
#define PATIENCE_S         10
#define SYSLOG_READ_ALL    3
#define SYSLOG_SIZE_BUFFER 10

enum { DONE = 0, FAILED = 1, USAGE = 2 };

struct challenge {
	uint8_t bytes[MAX_CHALLENGE_SIZE];
	size_t size;
};

/* One directory below REPORTS. */
struct report {
	char path[64];
	uint8_t token[MAX_TOKEN_SIZE];
	size_t token_size;
};

static const char help[] =
	"Usage: attest [OPTION...] [CHALLENGE]\n"
	"\n"
	"Fetch this realm's attestation token, and print it as base64 between a BEGIN and an END\n"
	"line. What the kernel says of the realm goes to standard error.\n"
	"\n"
	"CHALLENGE is what the verifier sent: 32 to 64 bytes in hexadecimal. Without one the\n"
	"kernel's random bytes are taken, and nobody can tell how old the token is.\n"
	"\n"
	"  -r, --raw FILE     write the token's bytes to FILE instead (- for standard output)\n"
	"  -l, --listen PORT  hand tokens to who connects to this port of AF_VSOCK, until the end\n"
	"  -h, --help         show this text\n"
	"\n"
	"The kernel modules tsm_report and arm-cca-guest must be there. Exit status: 0 done, 1 no\n"
	"token, 2 usage.\n";

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	va_list args;

	fputs("attest: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* Up to @size bytes; -1 and errno when there is no such file, or it cannot be read. */
static ssize_t read_file(const char *path, void *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -1;
	while (done < size) {
		n = read(fd, (char *)buf + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (n < 0) {
		int code = errno;

		close(fd);
		errno = code;
		return -1;
	}
	close(fd);
	return (ssize_t)done;
}

static bool write_all(int fd, const void *buf, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, (const char *)buf + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool write_file(const char *path, int flags, const void *buf, size_t size)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);
	bool ok;

	if (fd < 0)
		return false;
	ok = write_all(fd, buf, size);
	/* configfs takes the value when the file is closed. */
	return close(fd) == 0 && ok;
}

/* ---- what the kernel knows ------------------------------------------------------------------ */

/* Linux logs a line at boot that ends in "Using RSI version 1.0"; false if it is not there. */
static bool say_rsi_version(void)
{
	static const char words[] = "Using RSI version ";
	int size = klogctl(SYSLOG_SIZE_BUFFER, NULL, 0);
	char *log = size > 0 ? malloc((size_t)size + 1) : NULL;
	const char *found = NULL;

	if (log) {
		size = klogctl(SYSLOG_READ_ALL, log, size);
		log[size > 0 ? size : 0] = '\0';
		found = strstr(log, words);
		if (found)
			note("realm: yes, RSI version %.*s",
			     (int)strspn(found + strlen(words), "0123456789."),
			     found + strlen(words));
	}
	free(log);
	return found != NULL;
}

static void say_realm(void)
{
	if (say_rsi_version())
		return;
	/* The log may have lost its beginning. Linux 6.13 has the device, newer ones the file. */
	if (access("/sys/firmware/cca/realm_guest", F_OK) == 0 ||
	    access("/sys/devices/platform/arm-cca-dev", F_OK) == 0)
		note("realm: yes, RSI version not known: the kernel's log has lost that line");
	else
		note("realm: no sign of one: the kernel names no RSI version and no CCA device");
}

static void say_measurement(const char *path)
{
	uint8_t value[MEASUREMENT_SIZE];
	char text[2 * MEASUREMENT_SIZE + 1] = "";
	ssize_t size = read_file(path, value, sizeof(value));

	for (ssize_t i = 0; i < size; i++)
		sprintf(text + 2 * i, "%02x", value[i]);
	note("measurement: %s %s", strrchr(path, '/') + 1, size < 0 ? strerror(errno) : text);
}

static void say_measurements(void)
{
	glob_t found;

	if (glob(MEASUREMENTS, 0, NULL, &found)) {
		note("measurements: this kernel offers none in %s; they are in the token",
		     MEASUREMENTS);
		return;
	}
	for (size_t i = 0; i < found.gl_pathc; i++)
		say_measurement(found.gl_pathv[i]);
	globfree(&found);
}

/* ---- the token ------------------------------------------------------------------------------ */

static bool take_challenge(const char *text, struct challenge *challenge)
{
	size_t length = strlen(text);

	if (length % 2 || length < (size_t)2 * MIN_CHALLENGE_SIZE ||
	    length > (size_t)2 * MAX_CHALLENGE_SIZE ||
	    strspn(text, "0123456789abcdefABCDEF") != length)
		return false;
	challenge->size = length / 2;
	for (size_t i = 0; i < challenge->size; i++) {
		const char digits[] = {text[2 * i], text[2 * i + 1], '\0'};

		challenge->bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return true;
}

static bool make_challenge(struct challenge *challenge)
{
	challenge->size = sizeof(challenge->bytes);
	if (getrandom(challenge->bytes, challenge->size, 0) == (ssize_t)challenge->size)
		return true;
	note("the kernel gives no random bytes: %s", strerror(errno));
	return false;
}

/* REPORTS is there once configfs is mounted and tsm_report is loaded. */
static bool find_reports(void)
{
	if (access(REPORTS, F_OK) == 0)
		return true;
	if (access(CONFIGFS, F_OK) < 0) {
		note("no " CONFIGFS ": mount sysfs on /sys, and load the module configfs");
		return false;
	}
	if (mount("configfs", CONFIGFS, "configfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 &&
	    errno != EBUSY) {
		note("cannot mount configfs on " CONFIGFS ": %s", strerror(errno));
		return false;
	}
	if (access(REPORTS, F_OK) == 0)
		return true;
	note("no " REPORTS ": load the modules tsm_report and arm-cca-guest");
	return false;
}

static bool open_report(struct report *report)
{
	/* Nobody else who runs this at the same time has our number. */
	snprintf(report->path, sizeof(report->path), REPORTS "/attest-%d", getpid());
	if (mkdir(report->path, 0700) == 0)
		return true;
	if (errno == ENXIO)
		note("nobody makes tokens here: load the module arm-cca-guest, which works only in "
		     "a realm");
	else
		note("cannot make %s: %s", report->path, strerror(errno));
	return false;
}

/* @name in the report's directory. */
static const char *file_of(const struct report *report, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", report->path, name);
	return path;
}

static bool read_line(const struct report *report, const char *name, char *line, size_t size)
{
	char path[128];
	ssize_t n = read_file(file_of(report, name, path, sizeof(path)), line, size - 1);

	if (n < 0) {
		note("cannot read %s: %s", path, strerror(errno));
		return false;
	}
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return true;
}

static bool read_token(struct report *report)
{
	char path[128];
	ssize_t size = read_file(file_of(report, "outblob", path, sizeof(path)), report->token,
				 sizeof(report->token));

	if (size < 0) {
		note("the kernel gives no token: %s", strerror(errno));
		return false;
	}
	if (size == 0 || size == sizeof(report->token)) {
		note("the kernel gives a token of %zd bytes, which cannot be", size);
		return false;
	}
	report->token_size = (size_t)size;
	return true;
}

static bool ask(struct report *report, const struct challenge *challenge)
{
	char provider[64], before[32], after[32], path[128];

	if (!read_line(report, "provider", provider, sizeof(provider)))
		return false;
	note("provider: %s", provider);
	if (!write_file(file_of(report, "inblob", path, sizeof(path)), 0, challenge->bytes,
			challenge->size)) {
		note("cannot write the challenge to %s: %s", path, strerror(errno));
		return false;
	}
	if (!read_line(report, "generation", before, sizeof(before)) || !read_token(report) ||
	    !read_line(report, "generation", after, sizeof(after)))
		return false;
	if (strcmp(before, after) != 0) {
		note("somebody else wrote to %s: generation %s became %s", report->path, before,
		     after);
		return false;
	}
	note("generation: %s", after);
	return true;
}

/* @line_bytes: bytes that a line holds, a multiple of 3; 0 for no line breaks */
static void print_base64(FILE *to, const uint8_t *bytes, size_t size, size_t line_bytes)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";

	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t group = (uint32_t)bytes[i] << 16 |
				 (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
				 (left > 2 ? bytes[i + 2] : 0);

		putc(digits[group >> 18], to);
		putc(digits[group >> 12 & 63], to);
		putc(left > 1 ? digits[group >> 6 & 63] : '=', to);
		putc(left > 2 ? digits[group & 63] : '=', to);
		if (left <= 3 || (line_bytes && (i + 3) % line_bytes == 0))
			putc('\n', to);
	}
}

static bool hand_over(const struct report *report, const char *raw)
{
	bool ok;

	if (!raw) {
		puts("-----BEGIN CCA TOKEN-----");
		print_base64(stdout, report->token, report->token_size, BASE64_LINE_BYTES);
		puts("-----END CCA TOKEN-----");
		ok = fflush(stdout) == 0;
	} else if (!strcmp(raw, "-")) {
		ok = write_all(STDOUT_FILENO, report->token, report->token_size);
	} else {
		ok = write_file(raw, O_CREAT | O_TRUNC, report->token, report->token_size);
	}
	if (!ok)
		note("cannot write the token to %s: %s",
		     raw && strcmp(raw, "-") != 0 ? raw : "standard output", strerror(errno));
	else
		note("token: %zu bytes", report->token_size);
	return ok;
}

/* Return: the token is in @report. */
static bool fetch(const struct challenge *challenge, struct report *report)
{
	bool ok;

	if (!find_reports() || !open_report(report))
		return false;
	ok = ask(report, challenge);
	rmdir(report->path);
	return ok;
}

static bool attest(const struct challenge *challenge, const char *raw)
{
	static struct report report;

	return fetch(challenge, &report) && hand_over(&report, raw);
}

/* ---- for others ----------------------------------------------------------------------------- */

/* Return: false if nobody there wants anything. */
static bool read_request(int fd, char *line, size_t size)
{
	size_t done = 0;

	/* A line that is too long for a challenge is none either. */
	do {
		ssize_t n = read(fd, line + done, size - 1 - done);

		if (n <= 0)
			return false;
		done += (size_t)n;
		line[done] = '\0';
	} while (done < size - 1 && !strchr(line, '\n'));
	line[strcspn(line, "\r\n")] = '\0';
	return true;
}

static void answer(const char *request, FILE *to)
{
	static struct report report;
	struct challenge challenge;

	if (!take_challenge(request, &challenge)) {
		fprintf(to, "error not a challenge of %d to %d bytes in hexadecimal\n",
			MIN_CHALLENGE_SIZE, MAX_CHALLENGE_SIZE);
	} else if (!fetch(&challenge, &report)) {
		fputs("error the kernel gives no token; the console says why\n", to);
	} else {
		fputs("token ", to);
		print_base64(to, report.token, report.token_size, 0);
	}
}

static void serve(int fd)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	char request[2 * MAX_CHALLENGE_SIZE + 3];
	FILE *to = fdopen(fd, "w");

	if (!to) {
		close(fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (read_request(fd, request, sizeof(request)))
		answer(request, to);
	fclose(to);
}

static int open_port(unsigned port)
{
	const struct sockaddr_vm address = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		note("no vsock: %s; load the module vmw_vsock_virtio_transport", strerror(errno));
		return -1;
	}
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	note("cannot listen on vsock port %u: %s", port, strerror(errno));
	close(fd);
	return -1;
}

/* Return: only if it cannot go on. */
static int serve_all(unsigned port)
{
	int listener = open_port(port), fd;

	if (listener < 0)
		return FAILED;
	signal(SIGPIPE, SIG_IGN);
	note("listening on vsock port %u", port);
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0 || errno == EINTR ||
	       errno == ECONNABORTED) {
		if (fd >= 0)
			serve(fd);
	}
	note("vsock port %u: %s", port, strerror(errno));
	return FAILED;
}

static bool take_port(const char *text, unsigned *port)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*port = (unsigned)value;
	if (*text >= '0' && *text <= '9' && !*end && value < VMADDR_PORT_ANY)
		return true;
	note("'%s' is not a port of vsock", text);
	return false;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"raw", required_argument, NULL, 'r'},
						{"listen", required_argument, NULL, 'l'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	struct challenge challenge;
	const char *raw = NULL;
	bool listens = false;
	unsigned port = 0;
	int option;

	while ((option = getopt_long(argc, argv, "r:l:h", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			raw = optarg;
			break;
		case 'l':
			listens = true;
			if (!take_port(optarg, &port))
				return USAGE;
			break;
		case 'h':
			fputs(help, stdout);
			return DONE;
		default:
			return USAGE;
		}
	}
	if (listens && (raw || optind < argc)) {
		note("with --listen the challenge comes, and the token goes, through vsock");
		return USAGE;
	}
	if (listens)
		return serve_all(port);
	if (argc - optind > 1) {
		note("one challenge is enough: '%s' is too much", argv[optind + 1]);
		return USAGE;
	}
	if (optind < argc && !take_challenge(argv[optind], &challenge)) {
		note("'%s' is not a challenge of %d to %d bytes in hexadecimal", argv[optind],
		     MIN_CHALLENGE_SIZE, MAX_CHALLENGE_SIZE);
		return USAGE;
	}
	if (optind == argc && !make_challenge(&challenge))
		return FAILED;
	say_realm();
	say_measurements();
	return attest(&challenge, raw) ? DONE : FAILED;
}
