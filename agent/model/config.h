/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration, pinfold.conf(5), with every default filled in. Plain data. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/model/policy.h"

#define PF_CONFIG_PATH "/etc/pinfold/pinfold.conf"
#define PF_AUDIT_PATH "/var/lib/pinfold/audit.db"

struct pf_config {
	/* [defaults]: what a guest gets unless its metadata says otherwise */
	enum pf_mode mode;		   /* enforce */
	enum pf_isolation isolation;	   /* shared */
	enum pf_unpinned unpinned;	   /* float */
	enum pf_shares_scale shares_scale; /* libvirt */

	/* [agent] */
	uint64_t interval_usec; /* a full pass this often where eBPF does not tell all; 2 s */
	uint64_t sweep_usec;	/* where it does: each guest is looked at once in this; 1 h */
	char *state_dir;	/* /run/pinfold: what was found before the first change */
	char *pin_path;		/* /sys/fs/bpf/pinfold: where eBPF programs live on without us */
	int log_level;		/* syslog(3) level; info */

	/* [guard] */
	enum pf_when_dead when_dead; /* lift */
	char *guard_allow;	     /* further executables that are not refused, or "" */

	/* [libvirt] */
	char *uri;		       /* qemu:///system */
	char *libvirt_state_dir;       /* /run/libvirt/qemu */
	uint64_t libvirt_timeout_usec; /* how long a repair waits for libvirt's word; 1 s */

	/* [api] */
	char *socket;	    /* /run/pinfold/api.sock */
	char *socket_group; /* pinfold: who, beside root, may change */
	bool others_read;   /* no: others may not even read */

	/* [audit] */
	char *audit_path;	       /* /var/lib/pinfold/audit.db */
	uint64_t audit_max_age_usec;   /* 90 days; 0: kept for ever */
	uint64_t audit_max_size_bytes; /* 1 GiB */
	bool audit_journal;	       /* yes: every event goes to the journal too */
};

/* All defaults, owned by @config. Return: 0 or -ENOMEM. */
int pf_config_init(struct pf_config *config);

void pf_config_clear(struct pf_config *config);
