// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/source/config_file.h"

static char dir[] = "/tmp/pf-config-XXXXXX";

static void write_file(const char *name, const char *text, size_t len)
{
	char path[200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void put(const char *name, const char *text)
{
	write_file(name, text, strlen(text));
}

static int load(struct pf_config *config, struct pf_err *err)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/c", dir);
	return pf_config_load(path, true, config, err);
}

/* Loads @text and expects "DIR/c:@where_and_why". */
static void refused(const char *text, const char *where_and_why)
{
	struct pf_config config = {.log_level = 77};
	struct pf_err err = {};
	char expected[600];

	put("c", text);
	snprintf(expected, sizeof(expected), "%s/c:%s", dir, where_and_why);
	assert_int_equal(load(&config, &err), -EINVAL);
	assert_string_equal(err.text, expected);
	assert_int_equal(config.log_level, 77);
	assert_null(config.uri);
}

static void no_file_is_a_good_configuration(void **state)
{
	PF_CLEANUP(pf_config_clear) struct pf_config config = {};
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_config_load("/tmp/pf-no-such-file", false, &config, &err), 0);
	assert_int_equal(config.mode, PF_MODE_ENFORCE);
	assert_int_equal(config.when_dead, PF_WHEN_DEAD_LIFT);
	assert_string_equal(config.guard_allow, "");
	assert_string_equal(config.uri, "qemu:///system");
	assert_string_equal(config.socket_group, "pinfold");
	assert_string_equal(config.audit_path, "/var/lib/pinfold/audit.db");
	assert_int_equal(config.audit_max_age_usec, UINT64_C(7776000000000));
	assert_int_equal(config.audit_max_size_bytes, 1 << 30);
	assert_true(config.audit_journal);
}

static void a_file_asked_for_has_to_be_there(void **state)
{
	struct pf_config config = {};
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_config_load("/tmp/pf-no-such-file", true, &config, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/tmp/pf-no-such-file"));
}

static void every_key_is_read(void **state)
{
	PF_CLEANUP(pf_config_clear) struct pf_config config = {};
	struct pf_err err = {};

	(void)state;
	put("c", "; a comment\n"
		 "# another\n"
		 "[defaults]\n"
		 "mode = observe\n"
		 "  isolation=dedicated-cores\n"
		 "unpinned = follow-memory ; behind a value\n"
		 "shares-scale = v1\n"
		 "\n"
		 "[agent]\n"
		 "interval = 500ms\n"
		 "sweep = 1min\n"
		 "state-dir = /run/elsewhere\n"
		 "log-level = debug\n"
		 "[guard]\n"
		 "when-dead = stay\n"
		 "allow = /opt/a /opt/b\n"
		 "[libvirt]\n"
		 "uri = test:///default\n"
		 "state-dir = /run/lv\n"
		 "timeout = 2.5s\n"
		 "[api]\n"
		 "socket = /run/p.sock\n"
		 "group = kvm\n"
		 "others-read = On\n"
		 "[audit]\n"
		 "path = /srv/a.db\n"
		 "max-age = 7d\n"
		 "max-size = 2M\n"
		 "journal = no\n");
	assert_int_equal(load(&config, &err), 0);
	assert_int_equal(config.mode, PF_MODE_OBSERVE);
	assert_int_equal(config.isolation, PF_ISOLATION_DEDICATED_CORES);
	assert_int_equal(config.unpinned, PF_UNPINNED_FOLLOW_MEMORY);
	assert_int_equal(config.shares_scale, PF_SHARES_V1);
	assert_int_equal(config.interval_usec, 500000);
	assert_int_equal(config.sweep_usec, 60000000);
	assert_string_equal(config.state_dir, "/run/elsewhere");
	assert_int_equal(config.log_level, LOG_DEBUG);
	assert_int_equal(config.when_dead, PF_WHEN_DEAD_STAY);
	assert_string_equal(config.guard_allow, "/opt/a /opt/b");
	assert_string_equal(config.uri, "test:///default");
	assert_string_equal(config.libvirt_state_dir, "/run/lv");
	assert_int_equal(config.libvirt_timeout_usec, 2500000);
	assert_string_equal(config.socket, "/run/p.sock");
	assert_string_equal(config.socket_group, "kvm");
	assert_true(config.others_read);
	assert_string_equal(config.audit_path, "/srv/a.db");
	assert_int_equal(config.audit_max_age_usec, UINT64_C(7) * 86400 * 1000000);
	assert_int_equal(config.audit_max_size_bytes, 2 << 20);
	assert_false(config.audit_journal);
}

static void sizes_are_read_as_systemd_writes_them(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
	} good[] = {{"0", 0}, {"4096", 4096}, {"3K", 3072}, {"1M", 1 << 20}, {"5G", UINT64_C(5) << 30},
		    {"2T", UINT64_C(2) << 40}, {"18446744073709551615", UINT64_MAX}};
	static const char *const bad[] = {"", "K", "-1", "1k", "1MB", "1.5G", " 1", "1 G", "1GG",
					  "18446744073709551616", "18014398509481984K"};
	uint64_t size = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(pf_size_parse(bad[i], &size) < 0);
	assert_int_equal(size, 42);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(pf_size_parse(good[i].text, &size), 0);
		assert_int_equal(size, good[i].size);
	}
}

static void what_is_unknown_is_refused_with_its_line(void **state)
{
	(void)state;
	refused("[defaults]\nmode = observe\n\nmood = good\n",
		"4: [defaults] has no key 'mood'; there are mode, isolation, unpinned, shares-scale");
	refused("# x\n[weather]\n",
		"2: unknown section [weather]; there are defaults, agent, guard, libvirt, api, audit");
	refused("[audit]\nmax-size = 1000\n",
		"2: max-size = '1000': allowed is a size of at least 1M, such as 500M or 1G");
	refused("[audit]\nmax-age = 1s\n", "2: max-age = '1s': allowed is a time from 1min to "
					    "36500d, such as 90d, or 0 to keep all");
	refused("[audit]\npath = audit.db\n", "2: path = 'audit.db': allowed is an absolute path");
	refused("[audit]\njournal = maybe\n", "2: journal = 'maybe': allowed is yes or no");
	refused("[agent]\nmode = observe\n",
		"2: [agent] has no key 'mode'; there are interval, sweep, state-dir, pin-path, log-level");
	refused("mode = observe\n", "1: 'mode' stands before the first [section]");
}

static void what_is_no_ini_is_refused_with_its_line(void **state)
{
	char text[400] = "[agent]\nstate-dir = /";

	(void)state;
	refused("[defaults]\nmode\n", "2: neither [section] nor KEY = VALUE nor a comment");
	refused("[defaults\nmode = observe\n", "1: a section is written [NAME]");
	memset(text + strlen(text), 'x', sizeof(text) - strlen(text) - 1);
	refused(text, "2: a line may have 198 characters and no NUL");
}

static void a_nul_is_refused(void **state)
{
	struct pf_config config = {};
	struct pf_err err = {};

	(void)state;
	write_file("c", "[agent]\n\0interval = 1s\n", 23);
	assert_int_equal(load(&config, &err), -EINVAL);
	assert_non_null(strstr(err.text, "c:2: a line may have"));
}

static void a_key_stands_once_in_a_file(void **state)
{
	(void)state;
	refused("[defaults]\nmode = observe\n[agent]\n[defaults]\nmode = observe\n",
		"5: 'mode' stands in line 2 already");
}

static void bad_values_say_what_is_allowed(void **state)
{
	(void)state;
	refused("[defaults]\nmode = Observe\n",
		"2: mode = 'Observe': allowed is observe, enforce or guard");
	refused("[defaults]\nmode =\n", "2: mode = '': allowed is observe, enforce or guard");
	refused("[defaults]\nisolation = full\n",
		"2: isolation = 'full': allowed is shared, dedicated or dedicated-cores");
	refused("[defaults]\nunpinned = pin\n",
		"2: unpinned = 'pin': allowed is float or follow-memory");
	refused("[defaults]\nshares-scale = v2\n",
		"2: shares-scale = 'v2': allowed is libvirt or v1");
	refused("[agent]\ninterval = 99ms\n",
		"2: interval = '99ms': allowed is a time from 100ms to 1h, such as 2s or 500ms");
	refused("[agent]\nsweep = 900ms\n",
		"2: sweep = '900ms': allowed is a time from 1s to 24h, such as 10min");
	refused("[agent]\ninterval = 61min\n",
		"2: interval = '61min': allowed is a time from 100ms to 1h, such as 2s or 500ms");
	refused("[agent]\nstate-dir = run\n", "2: state-dir = 'run': allowed is an absolute path");
	refused("[agent]\nlog-level = 8\n",
		"2: log-level = '8': allowed is emerg, alert, crit, err, warning, notice, info, debug "
		"or 0 to 7");
	refused("[guard]\nwhen-dead = live\n", "2: when-dead = 'live': allowed is stay or lift");
	refused("[guard]\nallow = /usr/bin/a b\n",
		"2: allow = '/usr/bin/a b': allowed is absolute paths of executables");
	refused("[libvirt]\nuri = system\n",
		"2: uri = 'system': allowed is a libvirt URI such as qemu:///system");
	refused("[libvirt]\nstate-dir = .\n", "2: state-dir = '.': allowed is an absolute path");
	refused("[libvirt]\ntimeout = 2min\n",
		"2: timeout = '2min': allowed is a time from 0 to 1min, such as 1s or 500ms");
	refused("[api]\nsocket = api.sock\n",
		"2: socket = 'api.sock': allowed is an absolute path of at most 107 bytes");
	refused("[api]\ngroup =\n",
		"2: group = '': allowed is the name of a group (root for nobody else)");
	refused("[api]\nothers-read = perhaps\n",
		"2: others-read = 'perhaps': allowed is yes or no");
}

static void a_socket_path_fits_a_socket_address(void **state)
{
	char text[200] = "[api]\nsocket = /";
	struct pf_config config = {};
	struct pf_err err = {};

	(void)state;
	memset(text + strlen(text), 's', 106);
	put("c", text);
	assert_int_equal(load(&config, &err), 0);
	assert_int_equal(strlen(config.socket), 107);
	pf_config_clear(&config);
	strcat(text, "s");
	put("c", text);
	assert_int_equal(load(&config, &err), -EINVAL);
}

static void drop_ins_override_in_the_order_of_their_names(void **state)
{
	PF_CLEANUP(pf_config_clear) struct pf_config config = {};
	struct pf_err err = {};

	(void)state;
	put("c", "[defaults]\nmode = observe\n[agent]\ninterval = 1\n");
	put("c.d/20-b.conf", "[agent]\ninterval = 3\n");
	put("c.d/10-a.conf", "[agent]\ninterval = 2\nlog-level = err\n");
	put("c.d/30-c.conf.bak", "nonsense");
	put("c.d/.hidden.conf", "nonsense");
	assert_int_equal(load(&config, &err), 0);
	assert_int_equal(config.interval_usec, 3000000);
	assert_int_equal(config.log_level, LOG_ERR);
	assert_int_equal(config.mode, PF_MODE_OBSERVE);
}

static void drop_ins_count_without_the_file_and_name_themselves(void **state)
{
	struct pf_config config = {};
	struct pf_err err = {};
	char path[100], expected[100];

	(void)state;
	snprintf(path, sizeof(path), "%s/only", dir);
	put("only.d/a.conf", "[agent]\ninterval = soon\n");
	assert_int_equal(pf_config_load(path, false, &config, &err), -EINVAL);
	snprintf(expected, sizeof(expected), "%s/only.d/a.conf:2: interval = 'soon'", dir);
	assert_memory_equal(err.text, expected, strlen(expected));
	put("only.d/a.conf", "[agent]\ninterval = 9\n");
	assert_int_equal(pf_config_load(path, false, &config, &err), 0);
	assert_int_equal(config.interval_usec, 9000000);
	pf_config_clear(&config);
}

static void a_folder_is_no_file(void **state)
{
	struct pf_config config = {};
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_config_load(dir, true, &config, &err), -EIO);
	assert_non_null(strstr(err.text, dir));
}

static void times_are_written_as_systemd_writes_them(void **state)
{
	static const struct {
		const char *text;
		uint64_t usec;
	} good[] = {
		{"2s", 2000000},     {"500ms", 500000},    {"1min 30s", 90000000},
		{"7", 7000000},      {"1.5h", 5400000000}, {"0", 0},
		{" 3 s ", 3000000},  {"2 min", 120000000}, {"1h30min", 5400000000},
		{"20us", 20},        {"20µs", 20},         {"0.25", 250000},
		{"1d", 86400000000}, {"0.000001s", 1},     {"2hours 1seconds", 7201000000},
	};
	static const char *const bad[] = {"",      " ",   "s",    "-1",   "1x",
					  "1 s x", "inf", "0x10", "1,5s", "99999999999999999999s"};
	uint64_t usec = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(pf_time_parse(good[i].text, &usec), 0);
		assert_int_equal(usec, good[i].usec);
	}
	usec = 42;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(pf_time_parse(bad[i], &usec) < 0);
	assert_int_equal(pf_time_parse("300000000d 300000000d", &usec), -ERANGE);
	assert_int_equal(usec, 42);
}

static int make_dir(void **state)
{
	char path[100];

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/only.d", dir);
	if (mkdir(path, 0700) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/c.d", dir);
	return mkdir(path, 0700);
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"c.d/10-a.conf",
					    "c.d/20-b.conf",
					    "c.d/30-c.conf.bak",
					    "c.d/.hidden.conf",
					    "only.d/a.conf",
					    "c.d",
					    "only.d",
					    "c"};
	char path[100];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		remove(path);
	}
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_file_is_a_good_configuration),
		cmocka_unit_test(a_file_asked_for_has_to_be_there),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(sizes_are_read_as_systemd_writes_them),
		cmocka_unit_test(what_is_unknown_is_refused_with_its_line),
		cmocka_unit_test(what_is_no_ini_is_refused_with_its_line),
		cmocka_unit_test(a_nul_is_refused),
		cmocka_unit_test(a_key_stands_once_in_a_file),
		cmocka_unit_test(bad_values_say_what_is_allowed),
		cmocka_unit_test(a_socket_path_fits_a_socket_address),
		cmocka_unit_test(drop_ins_count_without_the_file_and_name_themselves),
		cmocka_unit_test(a_folder_is_no_file),
		cmocka_unit_test(times_are_written_as_systemd_writes_them),
		/* last: the drop-ins it leaves would count for the others */
		cmocka_unit_test(drop_ins_override_in_the_order_of_their_names),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
