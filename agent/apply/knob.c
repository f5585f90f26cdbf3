// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/knob.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/model/placement.h"

bool pf_knob_missing(int r)
{
	return r == -ENOENT || r == -ENODEV;
}

static bool is_cpuset(const char *knob)
{
	return strcmp(knob, "cpuset.cpus") == 0 || strcmp(knob, "cpuset.mems") == 0;
}

static bool sets_equal(const char *a, const char *b)
{
	struct pf_set left, right;

	return pf_set_parse(a, &left, NULL) == 0 && pf_set_parse(b, &right, NULL) == 0 &&
	       pf_set_equal(&left, &right);
}

static int parse_max(const char *text, struct pf_cpu_max *out)
{
	if (strcmp(text, "max"))
		return pf_cpu_max_parse(text, out);
	*out = (struct pf_cpu_max){.quota_usec = PF_QUOTA_MAX};
	return 0;
}

static bool maxima_equal(const char *a, const char *b)
{
	struct pf_cpu_max left, right;

	if (parse_max(a, &left) < 0 || parse_max(b, &right) < 0)
		return false;
	return left.quota_usec == right.quota_usec &&
	       (!left.period_usec || !right.period_usec || left.period_usec == right.period_usec);
}

bool pf_knob_equal(const char *knob, const char *a, const char *b)
{
	if (strcmp(a, b) == 0)
		return true;
	if (is_cpuset(knob))
		return sets_equal(a, b);
	if (strcmp(knob, "cpu.max") == 0)
		return maxima_equal(a, b);
	if (strcmp(knob, "cpu.weight") == 0)
		return *a && *b && strtoul(a, NULL, 10) == strtoul(b, NULL, 10);
	return false;
}

bool pf_knob_has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += len)
		if ((at == text || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' '))
			return true;
	return false;
}

static int read_set(struct pf_cgroup *cg, const char *group, const char *file, struct pf_set *out,
		    char **text, struct pf_err *err)
{
	int r = cg->ops->read(cg, group, file, text, err);

	return r ?: pf_set_parse(*text, out, err);
}

int pf_knob_honoured(struct pf_cgroup *cg, const char *group, const char *knob, const char *value,
		     struct pf_err *err)
{
	pf_auto_free char *text = NULL;
	struct pf_set asked, given;
	char file[32];
	int r;

	if (!is_cpuset(knob) || !*value)
		return 0;
	snprintf(file, sizeof(file), "%s.effective", knob);
	r = pf_set_parse(value, &asked, err);
	r = r ?: read_set(cg, group, file, &given, &text, err);
	if (r < 0)
		return r;
	if (!pf_set_empty(&given) && pf_set_subset(&given, &asked))
		return 0;
	return pf_fail_plain(err, EXDEV,
			     "%s %.100s was taken and %.100s is given: what was asked for is "
			     "offline, or outside what the groups above %.150s allow",
			     knob, value, text, group);
}

/* What the parent gives: the same as an empty cpuset. */
static int write_parents(struct pf_cgroup *cg, const char *group, const char *knob, char **out,
			 struct pf_err *err)
{
	pf_auto_free char *parent = strdup(group);
	pf_auto_free char *text = NULL;
	char file[32], *slash;
	int r;

	if (!parent)
		return pf_fail(err, ENOMEM, "put %s back", knob);
	slash = strrchr(parent, '/');
	if (slash)
		*slash = '\0';
	snprintf(file, sizeof(file), "%s.effective", knob);
	r = cg->ops->read(cg, *parent ? parent : "/", file, &text, err);
	r = r ?: cg->ops->write(cg, group, knob, text, err);
	if (!r)
		*out = pf_take_ptr(text);
	return r;
}

int pf_knob_put_back(struct pf_cgroup *cg, const char *group, const char *knob, const char *value,
		     struct pf_err *err)
{
	pf_auto_free char *instead = NULL;
	pf_auto_free char *now = NULL;
	int r = cg->ops->write(cg, group, knob, value, err);

	if (r == -ENOSPC && !*value && is_cpuset(knob)) {
		r = write_parents(cg, group, knob, &instead, err);
		value = instead;
	}
	r = r ?: cg->ops->read(cg, group, knob, &now, err);
	if (r < 0)
		return r;
	if (!pf_knob_equal(knob, now, value))
		return pf_fail_plain(err, EXDEV,
				     "%s of %.200s reads '%.60s' after '%.60s' was put back", knob,
				     group, now, value);
	return 0;
}
