// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "agent/base/cleanup.h"
#include "agent/model/placement.h"

#define TIMEOUT_USEC 2000000ULL
#define MACHINE_TIMEOUT_USEC 5000000ULL /* a unit is made, and the process moved there */
#define SEC_USEC 1000000ULL
#define SILENT_USEC (10 * SEC_USEC)

struct pf_unit_bus {
	sd_bus *bus; /* NULL: not connected */
	uint64_t silent_until_usec; /* it did not answer: a question would hold up everything */
};

bool pf_unit_present(void)
{
	return sd_booted() > 0;
}

int pf_unit_bus_new(struct pf_unit_bus **out, struct pf_err *err)
{
	struct pf_unit_bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return pf_fail(err, ENOMEM, "prepare the connection to systemd");
	*out = bus;
	return 0;
}

static void disconnect(struct pf_unit_bus *bus)
{
	bus->bus = sd_bus_close_unref(bus->bus);
}

void pf_unit_bus_free(struct pf_unit_bus **bus)
{
	if (!*bus)
		return;
	disconnect(*bus);
	free(*bus);
	*bus = NULL;
}

static uint64_t now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC_USEC + (uint64_t)ts.tv_nsec / 1000;
}

/*
 * sd_bus_call() on a new connection waits for the handshake as long as that takes, 90 s with a bus
 * that hangs: so the handshake is waited for here.
 */
static int wait_until_ready(sd_bus *bus)
{
	uint64_t deadline = now_usec() + TIMEOUT_USEC;
	int r;

	while ((r = sd_bus_is_ready(bus)) == 0) {
		uint64_t now = now_usec();

		if (now >= deadline)
			return -ETIMEDOUT;
		r = sd_bus_process(bus, NULL);
		if (r < 0)
			return r;
		if (r == 0)
			r = sd_bus_wait(bus, deadline - now);
		if (r < 0 && r != -EINTR)
			return r;
	}
	return r < 0 ? r : 0;
}

static int connect_bus(struct pf_unit_bus *bus, struct pf_err *err)
{
	int r;

	if (bus->bus && sd_bus_is_open(bus->bus) > 0)
		return 0;
	disconnect(bus);
	r = sd_bus_open_system(&bus->bus);
	if (r >= 0)
		r = wait_until_ready(bus->bus);
	if (r >= 0)
		return 0;
	disconnect(bus);
	return pf_fail(err, r, "connect to the system bus, to reach systemd");
}

int pf_unit_quota(const char *value, uint64_t *per_sec_usec, uint64_t *period_usec)
{
	struct pf_cpu_max max = {.quota_usec = PF_QUOTA_MAX};

	if (strchr(value, '-') || (strcmp(value, "max") && pf_cpu_max_parse(value, &max) < 0))
		return -EINVAL;                       /* no signs: sscanf(3) would take one */
	*period_usec = max.period_usec ?: UINT64_MAX; /* infinity: systemd's default of 100 ms */
	*per_sec_usec = UINT64_MAX;
	if (max.quota_usec == PF_QUOTA_MAX)
		return 0;
	if (!max.period_usec || max.quota_usec > UINT64_MAX / SEC_USEC - SEC_USEC)
		return -EINVAL;
	/* systemd computes quota = per_sec * period / 1 s, rounded down: this rounds up */
	*per_sec_usec = (max.quota_usec * SEC_USEC + max.period_usec - 1) / max.period_usec;
	return 0;
}

static int append_weight(sd_bus_message *message, const char *value)
{
	char *end;
	unsigned long long weight = strtoull(value, &end, 10);

	if (end == value || *end || weight < 1 || weight > 10000)
		return -EINVAL;
	return sd_bus_message_append(message, "a(sv)", 1, "CPUWeight", "t", (uint64_t)weight);
}

static int append_quota(sd_bus_message *message, const char *value)
{
	uint64_t per_sec, period;
	int r = pf_unit_quota(value, &per_sec, &period);

	if (r < 0)
		return r;
	return sd_bus_message_append(message, "a(sv)", 2, "CPUQuotaPeriodUSec", "t", period,
				     "CPUQuotaPerSecUSec", "t", per_sec);
}

static int build(sd_bus *bus, const char *unit, const char *knob, const char *value,
		 sd_bus_message **out)
{
	sd_bus_message *message = NULL;
	int r = sd_bus_message_new_method_call(
		bus, &message, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
		"org.freedesktop.systemd1.Manager", "SetUnitProperties");

	if (r >= 0)
		r = sd_bus_message_append(message, "sb", unit, 1);
	if (r >= 0 && strcmp(knob, "cpu.weight") == 0)
		r = append_weight(message, value);
	else if (r >= 0 && strcmp(knob, "cpu.max") == 0)
		r = append_quota(message, value);
	else if (r >= 0)
		r = -EINVAL;
	if (r < 0)
		sd_bus_message_unref(message);
	else
		*out = message;
	return r;
}

static bool is_lost(int r)
{
	return r == -ENOTCONN || r == -ECONNRESET || r == -EPIPE;
}

/* Return: 0; 1 when the connection was lost, and another try is worth it; -errno with words. */
static int call(struct pf_unit_bus *bus, const char *unit, const char *knob, const char *value,
		struct pf_err *err)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *message = NULL;
	int r = build(bus->bus, unit, knob, value, &message);

	if (r >= 0)
		r = sd_bus_call(bus->bus, message, TIMEOUT_USEC, &error, NULL);
	if (is_lost(r))
		r = 1;
	else if (r < 0)
		pf_fail(err, r, "set %s of unit %.150s to '%.40s' through systemd%s%.150s", knob,
			unit, value, error.message ? ": " : "", error.message ?: "");
	else
		r = 0;
	sd_bus_message_unref(message);
	sd_bus_error_free(&error);
	return r;
}

int pf_unit_set(void *ctx, const char *unit, const char *knob, const char *value,
		struct pf_err *err)
{
	struct pf_unit_bus *bus = ctx;
	int r = 1;

	for (int attempt = 0; r == 1 && attempt < 2; attempt++) {
		r = connect_bus(bus, err);
		if (!r)
			r = call(bus, unit, knob, value, err);
		if (r)
			disconnect(bus);
	}
	if (r == 1)
		return pf_fail(err, ECONNRESET, "set %s of unit %.200s through systemd", knob,
			       unit);
	return r;
}

/* ---- a guest's scope ----------------------------------------------------------------------- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int pf_unit_machine_name(const char *unit, char **out)
{
	static const char begin[] = "machine-", end[] = ".scope";
	size_t len = strlen(unit);
	pf_auto_free char *name = malloc(len + 1);
	char *to = name;

	if (!name)
		return -ENOMEM;
	if (len <= strlen(begin) + strlen(end) || strncmp(unit, begin, strlen(begin)) ||
	    strcmp(unit + len - strlen(end), end))
		return -EINVAL;
	for (const char *at = unit + strlen(begin); at < unit + len - strlen(end); at++) {
		if (*at == '\\' && at[1] == 'x' && hex(at[2]) >= 0 && hex(at[3]) >= 0) {
			*to++ = (char)(hex(at[2]) * 16 + hex(at[3]));
			at += 3;
		} else {
			*to++ = *at;
		}
	}
	*to = '\0';
	*out = pf_take_ptr(name);
	return 0;
}

/* "9ff704ed-58e2-..." as 16 bytes. Return: 0 or -EINVAL. */
static int parse_uuid(const char *text, uint8_t out[16])
{
	size_t n = 0;

	for (; *text; text++) {
		int value = hex((char)(*text >= 'A' && *text <= 'F' ? *text + 32 : *text));

		if (*text == '-')
			continue;
		if (value < 0 || n == 32)
			return -EINVAL;
		out[n / 2] = (uint8_t)(n % 2 ? out[n / 2] | value : value << 4);
		n++;
	}
	return n == 32 ? 0 : -EINVAL;
}

/* The properties are those that libvirt 9 sets; machined adds Delegate= and TasksMax=. */
static int build_machine(sd_bus *bus, const struct pf_unit_machine *machine, const char *name,
			 sd_bus_message **out)
{
	sd_bus_message *message = NULL;
	uint8_t uuid[16] = {};
	int r = parse_uuid(machine->uuid, uuid);

	if (r >= 0)
		r = sd_bus_message_new_method_call(
			bus, &message, "org.freedesktop.machine1", "/org/freedesktop/machine1",
			"org.freedesktop.machine1.Manager", "CreateMachine");
	if (r >= 0)
		r = sd_bus_message_append(message, "s", name);
	if (r >= 0)
		r = sd_bus_message_append_array(message, 'y', uuid, sizeof(uuid));
	if (r >= 0)
		r = sd_bus_message_append(message, "ssus", "libvirt-qemu", "vm",
					  (uint32_t)machine->pid, "");
	if (r >= 0)
		r = sd_bus_message_append(message, "a(sv)", 3, "Slice", "s", machine->slice,
					  "After", "as", 2, "libvirtd.service", "virtqemud.service",
					  "Before", "as", 1, "virt-guest-shutdown.target");
	if (r < 0)
		sd_bus_message_unref(message);
	else
		*out = message;
	return r;
}

static int call_machined(struct pf_unit_bus *bus, const struct pf_unit_machine *machine,
			 const char *name, struct pf_err *err)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *message = NULL;
	int r = build_machine(bus->bus, machine, name, &message);

	if (r >= 0)
		r = sd_bus_call(bus->bus, message, MACHINE_TIMEOUT_USEC, &error, NULL);
	if (is_lost(r))
		r = 1;
	else if (r < 0)
		pf_fail(err, r, "have machined make %.150s with process %d in it%s%.150s",
			machine->unit, (int)machine->pid, error.message ? ": " : "",
			error.message ?: "");
	else
		r = 0;
	sd_bus_message_unref(message);
	sd_bus_error_free(&error);
	return r;
}

int pf_unit_make(void *ctx, const struct pf_unit_machine *machine, struct pf_err *err)
{
	pf_auto_free char *name = NULL;
	struct pf_unit_bus *bus = ctx;
	int r = pf_unit_machine_name(machine->unit, &name);

	if (r < 0)
		return pf_fail(err, r, "make %.200s: no scope of a machine", machine->unit);
	r = 1;
	for (int attempt = 0; r == 1 && attempt < 2; attempt++) {
		r = connect_bus(bus, err);
		if (!r)
			r = call_machined(bus, machine, name, err);
		if (r)
			disconnect(bus);
	}
	return r == 1 ? pf_fail(err, ECONNRESET, "make %.200s through machined", machine->unit) : r;
}

/* ---- a unit's word ------------------------------------------------------------------------- */

void pf_unit_mask(const uint8_t *bytes, size_t count, struct pf_set *out)
{
	*out = (struct pf_set){};
	for (size_t i = 0; i < count * 8 && i < PF_SET_BITS; i++)
		if (bytes[i / 8] & (1U << (i % 8)))
			pf_set_add(out, (unsigned int)i);
}

static const char *interface_of(const char *unit)
{
	const char *dot = strrchr(unit, '.');

	if (dot && strcmp(dot, ".slice") == 0)
		return "org.freedesktop.systemd1.Slice";
	if (dot && strcmp(dot, ".scope") == 0)
		return "org.freedesktop.systemd1.Scope";
	return dot && strcmp(dot, ".service") == 0 ? "org.freedesktop.systemd1.Service" : NULL;
}

static const char *property_of(const char *knob)
{
	if (strcmp(knob, "cpuset.cpus") == 0)
		return "AllowedCPUs";
	return strcmp(knob, "cpuset.mems") == 0 ? "AllowedMemoryNodes" : NULL;
}

static int read_mask(sd_bus_message *reply, struct pf_set *out)
{
	const void *bytes = NULL;
	size_t count = 0;
	int r = sd_bus_message_read_array(reply, 'y', &bytes, &count);

	if (r >= 0)
		pf_unit_mask(bytes, count, out);
	return r;
}

/* Return: 0; 1 when the connection was lost; -errno with words. */
static int get_mask(struct pf_unit_bus *bus, const char *unit, const char *knob, struct pf_set *out,
		    struct pf_err *err)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	pf_auto_free char *path = NULL;
	int r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);

	if (r >= 0)
		r = sd_bus_set_method_call_timeout(bus->bus, TIMEOUT_USEC);
	if (r >= 0)
		r = sd_bus_get_property(bus->bus, "org.freedesktop.systemd1", path,
					interface_of(unit), property_of(knob), &error, &reply,
					"ay");
	if (r >= 0)
		r = read_mask(reply, out);
	if (is_lost(r))
		r = 1;
	else if (r < 0)
		pf_fail(err, r, "ask systemd for %s of %.150s%s%.150s", property_of(knob), unit,
			error.message ? ": " : "", error.message ?: "");
	else
		r = 0;
	sd_bus_message_unref(reply);
	sd_bus_error_free(&error);
	return r;
}

int pf_unit_allowed(void *ctx, const char *unit, const char *knob, struct pf_set *out,
		    struct pf_err *err)
{
	struct pf_unit_bus *bus = ctx;
	int r = 1;

	if (!interface_of(unit) || !property_of(knob))
		return pf_fail_plain(err, EINVAL, "systemd has no word on %.40s of %.200s", knob,
				     unit);
	if (now_usec() < bus->silent_until_usec)
		return pf_fail(err, ETIMEDOUT, "ask systemd about %.200s", unit);
	for (int attempt = 0; r == 1 && attempt < 2; attempt++) {
		r = connect_bus(bus, err);
		if (!r)
			r = get_mask(bus, unit, knob, out, err);
		if (r)
			disconnect(bus);
	}
	if (r == -ETIMEDOUT)
		bus->silent_until_usec = now_usec() + SILENT_USEC;
	return r == 1 ? pf_fail(err, ECONNRESET, "ask systemd about %.200s", unit) : r;
}

void pf_unit_told(uint64_t weight, uint64_t per_sec_usec, uint64_t period_usec,
		  struct pf_unit_word *out)
{
	uint64_t quota;

	out->weight = weight == UINT64_MAX ? 100 : (unsigned int)weight;
	out->max = (struct pf_cpu_max){.quota_usec = PF_QUOTA_MAX};
	if (per_sec_usec == UINT64_MAX)
		return;
	period_usec = period_usec == UINT64_MAX ? 100000 : period_usec;
	quota = (uint64_t)((unsigned __int128)per_sec_usec * period_usec / SEC_USEC);
	out->max = (struct pf_cpu_max){quota < 1000 ? 1000 : quota, period_usec};
}

/* Return: 0; 1 when the connection was lost; -errno with words. */
static int get_told(struct pf_unit_bus *bus, const char *unit, struct pf_unit_word *out,
		    struct pf_err *err)
{
	static const char *const names[] = {"CPUWeight", "CPUQuotaPerSecUSec",
					    "CPUQuotaPeriodUSec"};
	sd_bus_error error = SD_BUS_ERROR_NULL;
	pf_auto_free char *path = NULL;
	uint64_t values[3];
	int r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);

	if (r >= 0)
		r = sd_bus_set_method_call_timeout(bus->bus, TIMEOUT_USEC);
	for (size_t i = 0; r >= 0 && i < sizeof(names) / sizeof(names[0]); i++)
		r = sd_bus_get_property_trivial(bus->bus, "org.freedesktop.systemd1", path,
						interface_of(unit), names[i], &error, 't',
						&values[i]);
	if (is_lost(r)) {
		r = 1;
	} else if (r < 0) {
		pf_fail(err, r, "ask systemd about unit %.150s%s%.150s", unit,
			error.message ? ": " : "", error.message ?: "");
	} else {
		pf_unit_told(values[0], values[1], values[2], out);
		out->known = true;
		r = 0;
	}
	sd_bus_error_free(&error);
	return r;
}

int pf_unit_get(void *ctx, const char *unit, struct pf_unit_word *out, struct pf_err *err)
{
	struct pf_unit_bus *bus = ctx;
	int r = 1;

	if (!interface_of(unit))
		return pf_fail_plain(err, EINVAL, "systemd has no word on %.200s", unit);
	for (int attempt = 0; r == 1 && attempt < 2; attempt++) {
		r = connect_bus(bus, err);
		if (!r)
			r = get_told(bus, unit, out, err);
		if (r)
			disconnect(bus);
	}
	return r == 1 ? pf_fail(err, ECONNRESET, "ask systemd about %.200s", unit) : r;
}
