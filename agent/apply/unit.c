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
#define SEC_USEC 1000000ULL

struct pf_unit_bus {
	sd_bus *bus; /* NULL: not connected */
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

/* Return: 0; 1 when the connection was lost, and another try is worth it; -errno with words. */
static int call(struct pf_unit_bus *bus, const char *unit, const char *knob, const char *value,
		struct pf_err *err)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *message = NULL;
	int r = build(bus->bus, unit, knob, value, &message);

	if (r >= 0)
		r = sd_bus_call(bus->bus, message, TIMEOUT_USEC, &error, NULL);
	if (r == -ENOTCONN || r == -ECONNRESET || r == -EPIPE)
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
