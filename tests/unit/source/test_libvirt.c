// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The worker against libvirt's own test driver, which lives in this process, and against a socket
 * whose owner never answers. A real libvirtd is the lab's.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/source/libvirt.h"

#define UUID "6d1f0c3a-0000-4000-a000-000000000001"
#define WAIT_SECONDS 20

static char dir[] = "/tmp/pf-libvirt-XXXXXX";

static const char node_xml[] =
	"<node>\n"
	"  <domain type='test'>\n"
	"    <name>web 1.prod</name>\n"
	"    <uuid>" UUID "</uuid>\n"
	"    <memory>131072</memory>\n"
	"    <vcpu current='2' cpuset='0-7'>4</vcpu>\n"
	"    <cputune><shares>300</shares><vcpupin vcpu='0' cpuset='1-4,^3'/></cputune>\n"
	"    <metadata><p:policy xmlns:p='urn:pinfold:policy:1' mode='observe'/></metadata>\n"
	"    <os><type>hvm</type></os>\n"
	"  </domain>\n"
	"  <cpu><num>16</num><mhz>2000</mhz><model>i686</model><active>16</active>"
	"<nodes>1</nodes><sockets>1</sockets><cores>16</cores><threads>1</threads></cpu>\n"
	"  <memory>8192000</memory>\n"
	"</node>\n";

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void put(const char *name, const char *text)
{
	char path[300], fresh[310];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	file = fopen(fresh, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(fresh, path), 0);
}

static void start(const char *uri, struct pf_libvirt **lv)
{
	PF_CLEANUP(pf_config_clear) struct pf_config config = {};
	struct pf_err err = {};

	assert_int_equal(pf_config_init(&config), 0);
	free(config.uri);
	free(config.libvirt_state_dir);
	config.uri = strdup(uri);
	config.libvirt_state_dir = strdup(dir);
	if (pf_libvirt_start(&config, lv, &err) != 0)
		fail_msg("%s", err.text);
}

static void start_test_driver(struct pf_libvirt **lv)
{
	char uri[200];

	put("node", node_xml);
	snprintf(uri, sizeof(uri), "test://%s/node", dir);
	start(uri, lv);
}

/* The next news that satisfy @ticket, within WAIT_SECONDS. */
static void wait_news(struct pf_libvirt *lv, uint64_t ticket, struct pf_libvirt_news *out)
{
	double until = now() + WAIT_SECONDS;

	while (now() < until) {
		struct pollfd poller = {.fd = pf_libvirt_fd(lv), .events = POLLIN};

		/* not taken before the descriptor says so: that it does is part of the promise */
		if (poll(&poller, 1, 500) <= 0 || !pf_libvirt_take(lv, out))
			continue;
		if (out->ticket >= ticket)
			return;
		pf_libvirt_news_clear(out);
	}
	fail_msg("no snapshot for ticket %lu", (unsigned long)ticket);
}

/* The guests of such news. */
static void wait_snapshot(struct pf_libvirt *lv, uint64_t ticket, struct pf_guests *out)
{
	struct pf_libvirt_news news;

	wait_news(lv, ticket, &news);
	*out = news.guests;
	news.guests = (struct pf_guests){};
	pf_libvirt_news_clear(&news);
}

static void wait_link(struct pf_libvirt *lv, enum pf_libvirt_link link,
		      struct pf_libvirt_state *out)
{
	double until = now() + WAIT_SECONDS;

	while (now() < until) {
		pf_libvirt_state(lv, out);
		if (out->link == link)
			return;
		usleep(20000);
	}
	fail_msg("still %s: %s", pf_libvirt_link_name(out->link), out->reason);
}

static void a_running_guest_is_posted(void **state)
{
	PF_CLEANUP(pf_guests_clear) struct pf_guests guests = {};
	PF_CLEANUP(pf_libvirt_stop) struct pf_libvirt *lv = NULL;
	struct pf_libvirt_state link;
	const struct pf_guest *guest;

	(void)state;
	start_test_driver(&lv);
	wait_snapshot(lv, 0, &guests);
	wait_link(lv, PF_LIBVIRT_CONNECTED, &link);
	assert_string_equal(link.reason, "");
	assert_int_equal(guests.count, 1);
	guest = &guests.items[0];
	assert_string_equal(guest->uuid, UUID);
	assert_string_equal(guest->name, "web 1.prod");
	assert_int_equal(guest->promise.vcpu_count, 4);
	assert_int_equal(pf_set_count(&guest->promise.vcpus[0].pin.cpus), 3);
	assert_int_equal(guest->promise.shares, 300);
	assert_true(guest->promise.policy.has_mode);
	assert_int_equal(guest->pid, 0);
	assert_non_null(strstr(pf_findings_first(&guest->findings, PF_FINDING_IMPOSSIBLE),
			       "process is not known"));
}

static void a_status_file_that_changes_is_read_at_once(void **state)
{
	PF_CLEANUP(pf_libvirt_stop) struct pf_libvirt *lv = NULL;
	struct pf_guests guests = {};
	double before;

	(void)state;
	start_test_driver(&lv);
	wait_snapshot(lv, 0, &guests);
	pf_guests_clear(&guests);
	before = now();
	put("web 1.prod.xml",
	    "<domstatus state='running' pid='4711'><vcpus><vcpu id='0' pid='4712'/><vcpu id='1' "
	    "pid='4713'/></vcpus><domain><name>web 1.prod</name><uuid>" UUID "</uuid></domain>"
	    "</domstatus>");
	do {
		pf_guests_clear(&guests);
		wait_snapshot(lv, 0, &guests);
	} while (guests.items[0].pid == 0 && now() < before + WAIT_SECONDS);
	/* well below what reading everything anew by the clock would take */
	assert_true(now() - before < 2.5);
	assert_int_equal(guests.items[0].pid, 4711);
	assert_int_equal(guests.items[0].promise.vcpus[1].tid, 4713);
	assert_int_equal(guests.items[0].promise.vcpus[2].tid, 0);
	assert_int_equal(guests.items[0].findings.count, 0);
	pf_guests_clear(&guests);
}

static void the_pid_file_helps_where_the_record_does_not(void **state)
{
	PF_CLEANUP(pf_guests_clear) struct pf_guests guests = {};
	PF_CLEANUP(pf_libvirt_stop) struct pf_libvirt *lv = NULL;

	(void)state;
	put("web 1.prod.xml", "<domstatus");
	put("web 1.prod.pid", "4711\n");
	start_test_driver(&lv);
	wait_snapshot(lv, 0, &guests);
	assert_int_equal(guests.items[0].pid, 4711);
	assert_int_equal(guests.items[0].findings.items[0].severity, PF_FINDING_NOTE);
	assert_non_null(strstr(guests.items[0].findings.items[0].text, "names of the threads"));
}

static void tickets_grow_and_are_satisfied(void **state)
{
	PF_CLEANUP(pf_libvirt_stop) struct pf_libvirt *lv = NULL;
	struct pf_libvirt_news news;
	uint64_t first, second;

	(void)state;
	start_test_driver(&lv);
	first = pf_libvirt_refresh(lv, UUID);
	assert_true(first > 0);
	wait_news(lv, first, &news);
	assert_int_equal(news.guests.count, 1);
	pf_libvirt_news_clear(&news);
	second = pf_libvirt_refresh(lv, NULL);
	assert_true(second > first);
	wait_news(lv, second, &news);
	assert_true(news.all);
	assert_int_equal(news.guests.count, 1);
	pf_libvirt_news_clear(&news);
}

static void news_of_one_guest_name_no_other(void **state)
{
	static const char stranger[] = "6d1f0c3a-0000-4000-a000-0000000000ff";
	PF_CLEANUP(pf_libvirt_stop) struct pf_libvirt *lv = NULL;
	struct pf_libvirt_news news;

	(void)state;
	start_test_driver(&lv);
	wait_news(lv, 0, &news);
	assert_true(news.all);
	pf_libvirt_news_clear(&news);
	wait_news(lv, pf_libvirt_refresh(lv, UUID), &news);
	assert_false(news.all);
	assert_int_equal(news.guests.count, 1);
	assert_int_equal(news.gone_count, 0);
	assert_string_equal(news.guests.items[0].uuid, UUID);
	pf_libvirt_news_clear(&news);
	wait_news(lv, pf_libvirt_refresh(lv, stranger), &news);
	assert_false(news.all);
	assert_int_equal(news.guests.count, 0);
	assert_int_equal(news.gone_count, 1);
	assert_string_equal(news.gone[0], stranger);
	pf_libvirt_news_clear(&news);
}

static void a_failed_connection_is_said_and_tried_again(void **state)
{
	PF_CLEANUP(pf_guests_clear) struct pf_guests guests = {};
	PF_CLEANUP(pf_libvirt_stop) struct pf_libvirt *lv = NULL;
	struct pf_libvirt_state link;
	char uri[200];

	(void)state;
	snprintf(uri, sizeof(uri), "test://%s/late", dir);
	start(uri, &lv);
	wait_link(lv, PF_LIBVIRT_RECONNECTING, &link);
	assert_non_null(strstr(link.reason, "late"));
	assert_true(link.since_usec > 0);
	put("late", node_xml);
	wait_snapshot(lv, 0, &guests);
	wait_link(lv, PF_LIBVIRT_CONNECTED, &link);
	assert_int_equal(guests.count, 1);
}

static int listen_on(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void a_libvirtd_that_never_answers_stops_nothing(void **state)
{
	pf_auto_close int listener = -1;
	struct pf_libvirt *lv = NULL;
	struct pf_libvirt_state link;
	struct pf_libvirt_news news;
	char path[100], uri[200];
	double before;

	(void)state;
	snprintf(path, sizeof(path), "%s/sock", dir);
	listener = listen_on(path);
	snprintf(uri, sizeof(uri), "qemu+unix:///system?mode=legacy&socket=%s", path);
	start(uri, &lv);
	wait_link(lv, PF_LIBVIRT_HUNG, &link);
	assert_non_null(strstr(link.reason, "has not answered for 3 s"));
	before = now();
	assert_int_equal(pf_libvirt_refresh(lv, NULL), 1);
	assert_false(pf_libvirt_take(lv, &news));
	assert_true(now() - before < 0.5);
	before = now();
	pf_libvirt_stop(&lv);
	assert_null(lv);
	assert_true(now() - before < 3);
}

static void stopping_is_quick(void **state)
{
	struct pf_libvirt *lv = NULL;
	double before;

	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		start_test_driver(&lv);
		usleep(i * 3000);
		before = now();
		pf_libvirt_stop(&lv);
		assert_true(now() - before < 0.9);
	}
	pf_libvirt_stop(&lv);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"node", "late", "sock", "web 1.prod.xml",
					    "web 1.prod.pid"};
	char path[300];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_running_guest_is_posted),
		cmocka_unit_test(a_status_file_that_changes_is_read_at_once),
		cmocka_unit_test(the_pid_file_helps_where_the_record_does_not),
		cmocka_unit_test(tickets_grow_and_are_satisfied),
		cmocka_unit_test(news_of_one_guest_name_no_other),
		cmocka_unit_test(a_failed_connection_is_said_and_tried_again),
		cmocka_unit_test(stopping_is_quick),
		/* last: its worker lives on until the process ends */
		cmocka_unit_test(a_libvirtd_that_never_answers_stops_nothing),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
