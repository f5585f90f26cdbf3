// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/desired/bandwidth.h"

#include <inttypes.h>

#define DEFAULT_PERIOD_USEC 100000
#define MIN_USEC 1000
#define MAX_PERIOD_USEC 1000000
#define MAX_WEIGHT 10000

int pf_bandwidth_max(const struct pf_bandwidth *bandwidth, const char *what,
		     struct pf_cpu_max *out, bool *hold, struct pf_findings *findings)
{
	struct pf_cpu_max max = {.quota_usec = PF_QUOTA_MAX};

	*hold = false;
	if (bandwidth->has_period && bandwidth->period_usec) {
		if (bandwidth->period_usec < MIN_USEC || bandwidth->period_usec > MAX_PERIOD_USEC)
			return pf_findings_add(findings, PF_FINDING_IMPOSSIBLE,
					       "%s period %" PRIu64 " us is outside the kernel's "
					       "1000..1000000 us: its quota is not held",
					       what, bandwidth->period_usec);
		max.period_usec = bandwidth->period_usec;
	}
	if (bandwidth->has_quota && bandwidth->quota_usec > 0) {
		if (bandwidth->quota_usec < MIN_USEC)
			return pf_findings_add(findings, PF_FINDING_IMPOSSIBLE,
					       "%s quota %" PRId64 " us is below the kernel's "
					       "1000 us: it is not held",
					       what, bandwidth->quota_usec);
		max.quota_usec = (uint64_t)bandwidth->quota_usec;
		if (!max.period_usec)
			max.period_usec = DEFAULT_PERIOD_USEC;
	}
	*out = max;
	*hold = true;
	return 0;
}

static uint64_t clamp_weight(uint64_t weight)
{
	if (weight < 1)
		return 1;
	return weight > MAX_WEIGHT ? MAX_WEIGHT : weight;
}

int pf_shares_weight(uint64_t shares, enum pf_shares_scale scale, unsigned int *weight, bool *hold,
		     struct pf_findings *findings)
{
	*hold = false;
	if (scale == PF_SHARES_V1) {
		*weight = (unsigned int)clamp_weight(shares > UINT64_MAX / 100 ? MAX_WEIGHT
									      : shares * 100 / 1024);
		*hold = true;
		return 0;
	}
	if (shares < 1 || shares > MAX_WEIGHT)
		return pf_findings_add(findings, PF_FINDING_IMPOSSIBLE,
				       "shares %" PRIu64 " is outside the kernel's cpu.weight "
				       "1..10000: it is not held (for values from cgroup v1 hosts set "
				       "shares-scale = v1)",
				       shares);
	*weight = (unsigned int)shares;
	*hold = true;
	return 0;
}
