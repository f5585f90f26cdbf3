// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/model/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

int pf_config_init(struct pf_config *config)
{
	*config = (struct pf_config){
		.mode = PF_MODE_ENFORCE,
		.isolation = PF_ISOLATION_SHARED,
		.unpinned = PF_UNPINNED_FLOAT,
		.shares_scale = PF_SHARES_LIBVIRT,
		.interval_usec = 2000000,
		.sweep_usec = UINT64_C(3600) * 1000000,
		.state_dir = strdup("/run/pinfold"),
		.pin_path = strdup("/sys/fs/bpf/pinfold"),
		.log_level = LOG_INFO,
		.when_dead = PF_WHEN_DEAD_LIFT,
		.guard_allow = strdup(""),
		.uri = strdup("qemu:///system"),
		.libvirt_state_dir = strdup("/run/libvirt/qemu"),
		.libvirt_timeout_usec = 1000000,
		.socket = strdup("/run/pinfold/api.sock"),
		.socket_group = strdup("pinfold"),
		.audit_path = strdup(PF_AUDIT_PATH),
		.audit_max_age_usec = UINT64_C(90) * 86400 * 1000000,
		.audit_max_size_bytes = UINT64_C(1) << 30,
		.audit_journal = true,
	};
	if (config->state_dir && config->pin_path && config->guard_allow && config->uri &&
	    config->libvirt_state_dir && config->socket && config->socket_group && config->audit_path)
		return 0;
	pf_config_clear(config);
	return -ENOMEM;
}

void pf_config_clear(struct pf_config *config)
{
	free(config->state_dir);
	free(config->pin_path);
	free(config->guard_allow);
	free(config->uri);
	free(config->libvirt_state_dir);
	free(config->socket);
	free(config->socket_group);
	free(config->audit_path);
	*config = (struct pf_config){};
}
