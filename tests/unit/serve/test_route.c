// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/serve/peer.h"
#include "agent/serve/route.h"

static void paths_lead_where_they_should(void **state)
{
	static const struct {
		const char *path;
		enum pf_route_kind kind;
		const char *guest;
	} want[] = {
		{"/v1/status", PF_ROUTE_STATUS, NULL},
		{"/v1/plan", PF_ROUTE_PLAN, NULL},
		{"/v1/host", PF_ROUTE_HOST, NULL},
		{"/v1/audit", PF_ROUTE_AUDIT, NULL},
		{"/v1/guests/web/hold", PF_ROUTE_HOLD, "web"},
		{"/v1/guests/web/release", PF_ROUTE_RELEASE, "web"},
		{"/v1/guests/web/mode", PF_ROUTE_MODE, "web"},
		{"/v1/guests/a/b/release", PF_ROUTE_RELEASE, "a/b"},
		{"/v1/guests/hold/hold", PF_ROUTE_HOLD, "hold"},
		{"/v1/guests/../hold", PF_ROUTE_HOLD, ".."},
		{"/v1/guests//hold", PF_ROUTE_NONE, NULL},
		{"/v1/guests/hold", PF_ROUTE_NONE, NULL},
		{"/v1/guests/web/", PF_ROUTE_NONE, NULL},
		{"/v1/guests/web/destroy", PF_ROUTE_NONE, NULL},
		{"/v1/guests/", PF_ROUTE_NONE, NULL},
		{"/v1/guests", PF_ROUTE_NONE, NULL},
		{"/v1/status/", PF_ROUTE_NONE, NULL},
		{"/", PF_ROUTE_NONE, NULL},
		{"", PF_ROUTE_NONE, NULL},
		{"hold", PF_ROUTE_NONE, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct pf_route route;

		assert_int_equal(pf_route_find(want[i].path, &route), 0);
		if (route.kind != want[i].kind)
			fail_msg("%s", want[i].path);
		if (want[i].guest)
			assert_string_equal(route.guest, want[i].guest);
		else
			assert_null(route.guest);
		free(route.guest);
	}
}

static void only_hold_release_and_mode_change_anything(void **state)
{
	(void)state;
	assert_true(pf_route_changes(PF_ROUTE_HOLD));
	assert_true(pf_route_changes(PF_ROUTE_RELEASE));
	assert_true(pf_route_changes(PF_ROUTE_MODE));
	assert_false(pf_route_changes(PF_ROUTE_STATUS));
	assert_false(pf_route_changes(PF_ROUTE_PLAN));
	assert_false(pf_route_changes(PF_ROUTE_HOST));
	assert_false(pf_route_changes(PF_ROUTE_AUDIT));
}

static void errnos_become_http(void **state)
{
	static const unsigned int want[][2] = {{0, 200}, {EINVAL, 400}, {EPERM, 403},
					       {EACCES, 403}, {ENOENT, 404}, {EBUSY, 409},
					       {EALREADY, 409}, {EEXIST, 409}, {EOPNOTSUPP, 409}, {EAGAIN, 503},
					       {EIO, 500}, {ENOMEM, 500}};

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_int_equal(pf_route_status(-(int)want[i][0]), want[i][1]);
}

static void rights_follow_user_and_groups(void **state)
{
	struct pf_peer root = {.uid = 0, .gid = 0};
	struct pf_peer primary = {.uid = 5, .gid = 900};
	struct pf_peer member = {.uid = 5, .gid = 5, .groups = {1, 900}, .group_count = 2};
	struct pf_peer other = {.uid = 5, .gid = 5, .groups = {1, 900}, .group_count = 1};
	struct pf_peer nogroup = {.uid = 5, .gid = (gid_t)-1};
	struct pf_peer_rights strict = {.group = 900}, open = {.group = 900, .others_read = true};
	struct pf_peer_rights none = {.group = (gid_t)-1};

	(void)state;
	assert_true(pf_peer_may_change(&root, &none));
	assert_true(pf_peer_may_change(&primary, &strict));
	assert_true(pf_peer_may_change(&member, &strict));
	assert_false(pf_peer_may_change(&other, &strict));
	assert_false(pf_peer_may_read(&other, &strict));
	assert_true(pf_peer_may_read(&other, &open));
	assert_false(pf_peer_may_change(&other, &open));
	assert_true(pf_peer_may_read(&member, &strict));
	/* Without such a group, a client whose gid is the same "none" is no member of it. */
	assert_false(pf_peer_may_change(&nogroup, &none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_lead_where_they_should),
		cmocka_unit_test(only_hold_release_and_mode_change_anything),
		cmocka_unit_test(errnos_become_http),
		cmocka_unit_test(rights_follow_user_and_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
