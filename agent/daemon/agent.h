/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The running agent: what pinfoldd's parts share. One thread, one event loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "agent/apply/apply.h"
#include "agent/apply/ledger.h"
#include "agent/apply/unit.h"
#include "agent/apply/worker.h"
#include "agent/base/err.h"
#include "agent/daemon/held.h"
#include "agent/model/config.h"
#include "agent/model/guest.h"
#include "agent/model/host.h"
#include "agent/observe/records.h"
#include "agent/serve/api.h"
#include "agent/source/libvirt.h"
#include "cgroup/cgroup.h"

struct pf_watch;

/* The doer of the newest record, as /proc and the cgroup tree know it. */
struct pf_doer {
	pid_t tgid;
	uint64_t cgid;
	char comm[16];
	char *cgroup; /* NULL: both are gone */
	bool is_libvirt;
	uint64_t until_usec; /* then it is asked anew */
};

/* What daemon/watching.c, incoming.c and losses.c keep. */
struct pf_watching {
	struct pf_watch *watch; /* NULL where the kernel refuses eBPF */
	char *refusal;		/* its words, then */
	bool reading;		/* records are taken in: guests are known */
	bool full_told;		/* the log has that some guest could not be watched */
	sd_event_source *ring;
	sd_event_source *again;	 /* instead of ring while records come in numbers */
	sd_event_source *expiry; /* acts and stays whose time is over */
	sd_event_source *net;	 /* looks for records that nobody has announced */
	bool counting; /* losses of some guest are to be counted */
	uint64_t counted_usec;
	uint64_t missing_told;
	struct pf_doer doer;
	struct pf_clocks clocks;  /* of the records that are being read */
	uint64_t woken_usec;	  /* by the ring */
	unsigned int quick_wakes; /* in a row */
};

struct pf_guard;

/* What daemon/guarding.c keeps. */
struct pf_guarding {
	struct pf_guard *guard; /* NULL where the host can't refuse anything */
	char *refusal;		/* why, then */
	uint64_t allowed;	/* a number for the executables as they were when they were let past */
	uint64_t allowed_usec;	/* when that was looked at */
};

struct pf_audit;

struct pf_agent {
	struct pf_config config;
	const char *config_path;
	bool config_must_exist;
	struct pf_host host;
	int root; /* "/" */
	struct pf_cgroup *cgroup;
	struct pf_unit_bus *bus; /* NULL without systemd */
	struct pf_ledger *ledger;
	struct pf_apply apply;
	struct pf_workers *workers; /* NULL: the loop does everything itself, daemon/carry.h */
	struct pf_libvirt *libvirt;
	struct pf_api *api;
	struct pf_audit *audit;  /* the record; daemon/report.h adds to it */
	char audit_problem[512]; /* of the record, as the log has it */
	struct pf_watching watching;
	struct pf_guarding guarding;

	sd_event *event;
	sd_event_source *interval; /* the next full pass */
	sd_event_source *wake;	   /* the earliest time some guest waits for */
	sd_event_source *cpus;	   /* a CPU goes or comes: the next look at the host */
	uint64_t cpus_pause_usec;

	struct pf_guests guests; /* libvirt's newest snapshot */
	bool known;		 /* there was one */
	uint64_t answered;	 /* the newest ticket that it answers */
	struct pf_held *held;	 /* one per guest of the snapshot */
	size_t held_count;
};

/* Opens everything but the loop's sources. Return: 0 or -errno with one message. */
int pf_agent_open(struct pf_agent *agent, struct pf_err *err);

/* Closes what pf_agent_open() and the loop opened; leaves every guest as it is. */
void pf_agent_close(struct pf_agent *agent);

/* Now, CLOCK_MONOTONIC, us. */
uint64_t pf_now_usec(void);
