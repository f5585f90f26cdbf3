// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/model/wire_event.h"

#define FULL                                                                                         \
	"{\"seq\":42,\"time\":\"2026-11-23T00:40:03.000000123Z\","                                   \
	"\"guest\":{\"uuid\":\"0b1c2d3e-0000-0000-0000-000000000001\",\"name\":\"web\"},"            \
	"\"kind\":\"escape\",\"cause\":\"affinity\","                                                \
	"\"thread\":{\"tid\":4130,\"comm\":\"CPU 0/KVM\",\"role\":\"vcpu 0\"},"                      \
	"\"from\":{\"cpu\":2,\"node\":1},\"to\":{\"cpu\":5,\"node\":null},"                          \
	"\"actor\":{\"pid\":77,\"comm\":\"taskset\",\"uid\":4294967295,\"cgroup\":\"/user.slice\"}," \
	"\"action\":\"repaired\",\"latency_ns\":0,\"outside_ns\":9223372036854775807,"               \
	"\"suppressed\":3,\"boot_ns\":99,\"detail\":\"a \\\"b\\\"\\nc\"}"

#define BARE                                                                                       \
	"{\"seq\":1,\"time\":\"1970-01-01T00:00:00.000000000Z\",\"guest\":null,"                   \
	"\"kind\":\"agent\",\"cause\":\"start\",\"thread\":null,\"from\":null,\"to\":null,"        \
	"\"actor\":null,\"action\":\"observed\",\"latency_ns\":null,\"outside_ns\":null,"          \
	"\"suppressed\":0,\"boot_ns\":0,\"detail\":null}"

static void an_event_reads_back_what_it_writes(void **state)
{
	static const char *const texts[] = {FULL, BARE};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		PF_CLEANUP(pf_event_clear) struct pf_event event = {};
		pf_auto_free char *got = NULL;
		struct pf_err err = {};

		if (pf_wire_decode_event(texts[i], strlen(texts[i]), &event, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(pf_wire_encode_event(&event, &got), 0);
		assert_string_equal(got, texts[i]);
	}
}

static void every_field_arrives(void **state)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event = {};

	(void)state;
	assert_int_equal(pf_wire_decode_event(FULL, strlen(FULL), &event, NULL), 0);
	assert_int_equal(event.seq, 42);
	assert_int_equal(event.wall_ns % 1000000000, 123);
	assert_string_equal(event.guest, "web");
	assert_int_equal(event.kind, PF_EVENT_ESCAPE);
	assert_int_equal(event.cause, PF_EVENT_AFFINITY);
	assert_int_equal(event.action, PF_EVENT_REPAIRED);
	assert_true(event.has_thread && event.has_actor && event.has_latency && event.has_outside);
	assert_int_equal(event.role.kind, PF_ROLE_VCPU);
	assert_int_equal(event.to_cpu, 5);
	assert_int_equal(event.to_node, -1);
	assert_int_equal(event.actor.uid, UINT_MAX);
	assert_string_equal(event.actor.cgroup, "/user.slice");
	assert_int_equal(event.suppressed, 3);
}

static void names_of_any_bytes_stay_one_line_of_json(void **state)
{
	PF_CLEANUP(pf_event_clear) struct pf_event event, back = {};
	pf_auto_free char *text = NULL;

	(void)state;
	pf_event_init(&event, PF_EVENT_DRIFT, PF_EVENT_CPUSET, PF_EVENT_FAILED);
	event.guest = strdup("a\xff\n\"\x01");
	event.has_thread = true;
	/* Fifteen bytes, each of which becomes three: cut between characters. */
	memset(event.comm, 0xff, 15);
	assert_int_equal(pf_wire_encode_event(&event, &text), 0);
	assert_null(strchr(text, '\n'));
	assert_int_equal(pf_wire_decode_event(text, strlen(text), &back, NULL), 0);
	assert_string_equal(back.guest, "a\xef\xbf\xbd\n\"\x01");
	assert_string_equal(back.comm,
			    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

static void what_has_the_wrong_shape_is_refused(void **state)
{
	static const char *const changes[][2] = {
		{"\"seq\":42", "\"seq\":-1"},
		{"\"seq\":42", "\"seq\":\"42\""},
		{"escape", "excape"},
		{"\"affinity\"", "null"},
		{"\"repaired\"", "\"mended\""},
		{"2026-11-23T", "2026-13-23T"},
		{"\"tid\":4130", "\"tid\":4294967296"},
		{"vcpu 0", "vcpu x"},
		{"\"cpu\":2", "\"cpu\":\"2\""},
		{"\"pid\":77,", ""},
		{"\"uid\":4294967295", "\"uid\":-1"},
		{"\"latency_ns\":0", "\"latency_ns\":[]"},
		{"\"name\":\"web\"", "\"name\":5"},
		{"\"detail\":\"", "\"detail\":\"\\u0000"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct pf_event event = {.tid = 77};
		char text[2048] = "", *at = strstr(FULL, changes[i][0]);
		struct pf_err err = {};

		assert_non_null(at);
		strncat(text, FULL, (size_t)(at - FULL));
		strcat(text, changes[i][1]);
		strcat(text, at + strlen(changes[i][0]));
		if (pf_wire_decode_event(text, strlen(text), &event, &err) != -EBADMSG)
			fail_msg("%s", text);
		assert_int_equal(event.tid, 77);
		assert_true(*err.text);
	}
}

static void every_cut_is_refused(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < strlen(FULL); cut++) {
		pf_auto_free char *part = strndup(FULL, cut);
		struct pf_event event = {};

		assert_int_equal(pf_wire_decode_event(part, cut, &event, NULL), -EBADMSG);
	}
}

static void an_error_object_is_the_agents_word(void **state)
{
	static const char text[] = "{\"error\":\"no luck\"}";
	struct pf_event event = {};
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_wire_decode_event(text, strlen(text), &event, &err), -EREMOTEIO);
	assert_string_equal(err.text, "no luck");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_reads_back_what_it_writes),
		cmocka_unit_test(every_field_arrives),
		cmocka_unit_test(names_of_any_bytes_stay_one_line_of_json),
		cmocka_unit_test(what_has_the_wrong_shape_is_refused),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(an_error_object_is_the_agents_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
