/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/cli/prometheus.c src/cli/answer.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>

#include "../../src/cli/internal.h"

/* What an answer gives; to free. */
static char *metrics_of(const char *answer)
{
	struct json_object *stat = json_tokener_parse(answer);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(stat);
	assert_non_null(out);
	cli_print_prometheus(stat, out);
	assert_int_equal(fclose(out), 0);
	json_object_put(stat);
	return text;
}

static void expect(const char *answer, const char *line)
{
	char *text = metrics_of(answer);

	if (!strstr(text, line))
		fail_msg("nowhere '%s' in:\n%s", line, text);
	free(text);
}

static void test_smallest(void **state)
{
	char *text = metrics_of("{\"name\":\"web\",\"kind\":\"plain\",\"status\":\"paused\","
				"\"uptime-ms\":61005,\"resets\":2}");

	(void)state;
	assert_string_equal(text,
			    "# HELP ccr_run_machine_info What the machine is; always 1.\n"
			    "# TYPE ccr_run_machine_info gauge\n"
			    "ccr_run_machine_info{machine=\"web\",kind=\"plain\"} 1\n"
			    "# HELP ccr_run_running Whether the vCPUs run (1) or are paused (0).\n"
			    "# TYPE ccr_run_running gauge\n"
			    "ccr_run_running{machine=\"web\"} 0\n"
			    "# HELP ccr_run_uptime_seconds Time since the machine was started.\n"
			    "# TYPE ccr_run_uptime_seconds gauge\n"
			    "ccr_run_uptime_seconds{machine=\"web\"} 61.005\n"
			    "# HELP ccr_run_resets_total Times that the machine was built anew.\n"
			    "# TYPE ccr_run_resets_total counter\n"
			    "ccr_run_resets_total{machine=\"web\"} 2\n");
	free(text);
}

static void test_values(void **state)
{
	(void)state;
	expect("{\"name\":\"a\",\"memory\":{\"private-pages\":3}}",
	       "\nccr_run_memory_private_bytes{machine=\"a\"} 12288\n");
	expect("{\"name\":\"a\",\"status\":\"running\"}", "\nccr_run_running{machine=\"a\"} 1\n");
	expect("{\"name\":\"a\",\"channels\":[{\"channel\":\"c\",\"open\":true}]}",
	       "\nccr_run_channel_open{machine=\"a\",channel=\"c\"} 1\n");
	expect("{\"name\":\"a\",\"disks\":[{\"disk\":\"/d\",\"slot\":2,\"size\":512},"
	       "{\"disk\":\"/s\",\"slot\":3,\"vhost-user\":true}]}",
	       "\nccr_run_disk_bytes{machine=\"a\",disk=\"/d\",slot=\"2\"} 512\n");
	expect("{\"name\":\"a\",\"networks\":[{\"network\":\"tap0\",\"link\":\"down\"}]}",
	       "\nccr_run_network_up{machine=\"a\",network=\"tap0\"} 0\n");
	expect("{\"name\":\"a\",\"vcpus\":[{\"aborts\":18446744073709551615}]}",
	       "\nccr_run_vcpu_aborts_total{machine=\"a\"} 18446744073709551615\n");
	expect("{\"name\":\"a\",\"realm\":{\"rim\":\"00ff\"},\"kind\":\"realm\"}",
	       "\nccr_run_machine_info{machine=\"a\",kind=\"realm\",rim=\"00ff\"} 1\n");
}

/* All samples of a metric stand together, below one headline. */
static void test_lists(void **state)
{
	char *text = metrics_of("{\"name\":\"a\",\"vcpus\":["
				"{\"index\":0,\"exits\":{\"mmio\":5,\"call\":6},\"aborts\":0},"
				"{\"index\":1,\"exits\":{\"mmio\":7},\"aborts\":1}],"
				"\"devices\":[{\"device\":\"uart\",\"bytes-from-guest\":9},"
				"{\"device\":\"virtio-blk\",\"slot\":2,\"bytes-from-guest\":8}]}");

	(void)state;
	assert_non_null(strstr(
		text,
		"# HELP ccr_run_vcpu_exits_total Times that a vCPU has left the guest, by kind.\n"
		"# TYPE ccr_run_vcpu_exits_total counter\n"
		"ccr_run_vcpu_exits_total{machine=\"a\",vcpu=\"0\",kind=\"mmio\"} 5\n"
		"ccr_run_vcpu_exits_total{machine=\"a\",vcpu=\"0\",kind=\"call\"} 6\n"
		"ccr_run_vcpu_exits_total{machine=\"a\",vcpu=\"1\",kind=\"mmio\"} 7\n"
		"# HELP ccr_run_vcpu_aborts_total"));
	assert_non_null(strstr(
		text, "ccr_run_device_bytes_from_guest_total{machine=\"a\",device=\"uart\"} 9\n"
		      "ccr_run_device_bytes_from_guest_total{machine=\"a\",device=\"virtio-blk\","
		      "slot=\"2\"} 8\n"));
	/* What nobody counts is not there, also not as a headline. */
	assert_null(strstr(text, "device_requests_total"));
	free(text);
}

static void test_escapes(void **state)
{
	(void)state;
	expect("{\"name\":\"a\",\"networks\":[{\"network\":\"a\\\"b\\\\c\\nd\",\"link\":\"up\"}]}",
	       "\nccr_run_network_up{machine=\"a\",network=\"a\\\"b\\\\c\\nd\"} 1\n");
	expect("{\"name\":\"a\",\"networks\":[{\"network\":\"\",\"link\":\"up\"}]}",
	       "\nccr_run_network_up{machine=\"a\",network=\"\"} 1\n");
}

static bool is_name(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (!islower((unsigned char)text[i]) && text[i] != '_')
			return false;
	}
	return size > 0;
}

/* Each line of everything there is: a comment, or a name, labels, and a number. */
static void test_syntax(void **state)
{
	char *text = metrics_of(
		"{\"name\":\"a\",\"kind\":\"plain\",\"status\":\"running\",\"uptime-ms\":1,"
		"\"memory\":{\"size\":1,\"private-pages\":1,\"shared-pages\":1,\"made-private\":1,"
		"\"made-shared\":1,\"refused-device-accesses\":1},"
		"\"balloon\":{\"target\":1,\"actual\":1,\"reported\":1},"
		"\"vcpus\":[{\"index\":0,\"exits\":{\"memory-fault\":1},\"aborts\":1}],"
		"\"devices\":[{\"device\":\"d\",\"slot\":1,\"buffers\":1,\"bytes-from-guest\":1,"
		"\"bytes-to-guest\":1,\"notifications\":1,\"interrupts\":1,\"host-errors\":1,"
		"\"failures\":1,\"back-end-status\":\"lost\",\"back-ends-lost\":1}],"
		"\"channels\":[{\"channel\":\"c\",\"connected\":true,\"open\":false,"
		"\"bytes-from-guest\":1,\"bytes-to-guest\":1,\"bytes-dropped\":1}]}");
	unsigned nr_samples = 0;
	char *end;

	(void)state;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		const size_t name_size = strcspn(line, "{");
		const char *close = strstr(line, "\"} ");

		if (!strncmp(line, "# HELP ccr_run_", 15) || !strncmp(line, "# TYPE ccr_run_", 15))
			continue;
		assert_true(is_name(line, name_size));
		assert_non_null(close);
		(void)strtod(close + 3, &end);
		assert_true(end > close + 3 && *end == '\0');
		nr_samples++;
	}
	assert_int_equal(nr_samples, 1 + 2 + 6 + 3 + 2 + 9 + 5);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smallest), cmocka_unit_test(test_values),
		cmocka_unit_test(test_lists),    cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_syntax),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
