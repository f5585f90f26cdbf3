// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/observe/above.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"

/* All that the leaves were promised. */
struct wants {
	struct pf_set cpus, mems;
};

static void sum_up(const struct pf_placement *placement, struct wants *out)
{
	*out = (struct wants){};
	for (size_t i = 0; i < placement->group_count; i++) {
		const struct pf_group *group = &placement->groups[i];

		if (group->level != PF_GROUP_LEAF)
			continue;
		if (group->cpus_rule == PF_SET_EXACT)
			pf_set_or(&out->cpus, &out->cpus, &group->cpus);
		if (group->mems_rule == PF_SET_EXACT)
			pf_set_or(&out->mems, &out->mems, &group->mems);
	}
}

/* The group's file; an empty set where there is none, or no such group. */
static int read_set(struct pf_cgroup *cg, const char *group, const char *file, struct pf_set *out,
		    struct pf_err *err)
{
	pf_auto_free char *text = NULL;
	int r = cg->ops->read(cg, group, file, &text, err);

	if (r == -ENOENT || r == -ENODEV)
		return 0;
	return r ?: pf_set_parse(text, out, err);
}

static int read_sets(struct pf_cgroup *cg, struct pf_above *above, struct pf_err *err)
{
	pf_auto_free char *partition = NULL;
	int r = read_set(cg, above->path, "cpuset.cpus", &above->cpus, err);

	r = r ?: read_set(cg, above->path, "cpuset.cpus.effective", &above->cpus_effective, err);
	r = r ?: read_set(cg, above->path, "cpuset.mems", &above->mems, err);
	r = r ?: read_set(cg, above->path, "cpuset.mems.effective", &above->mems_effective, err);
	if (r < 0)
		return r;
	if (cg->ops->read(cg, above->path, "cpuset.cpus.partition", &partition, NULL) == 0)
		above->partition = strcmp(partition, "member") != 0;
	return 0;
}

static bool has_suffix(const char *text, const char *suffix)
{
	size_t len = strlen(text), suffix_len = strlen(suffix);

	return len > suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

/* systemd puts "_" in front of a name that the kernel could mistake for a file. */
static int name_unit(struct pf_above *above)
{
	const char *name = strrchr(above->path, '/') + 1;

	if (!has_suffix(name, ".slice") && !has_suffix(name, ".scope") &&
	    !has_suffix(name, ".service"))
		return 0;
	above->unit = strdup(name + (*name == '_'));
	return above->unit ? 0 : -ENOMEM;
}

/* A set that was never written keeps nothing back. */
static bool lacks(const struct pf_set *request, const struct pf_set *wants)
{
	return !pf_set_empty(request) && !pf_set_subset(wants, request);
}

static void ask(const struct pf_unit_words *words, struct pf_above *above,
		const struct wants *wants)
{
	bool cpus = lacks(&above->cpus, &wants->cpus), mems = lacks(&above->mems, &wants->mems);

	if (!words || !above->unit || (!cpus && !mems))
		return;
	above->word_known =
		words->allowed(words->ctx, above->unit, "cpuset.cpus", &above->cpus_word, NULL) ==
			0 &&
		words->allowed(words->ctx, above->unit, "cpuset.mems", &above->mems_word, NULL) == 0;
}

static int add_above(struct pf_cgroup *cg, const struct pf_unit_words *words, const char *path,
		     const struct wants *wants, struct pf_actual *actual, struct pf_err *err)
{
	struct pf_above *above = pf_append(&actual->above, &actual->above_count);
	int r;

	if (!above)
		return pf_fail(err, ENOMEM, "look above %s", path);
	above->path = strdup(path);
	if (!above->path || (words && name_unit(above) < 0))
		return pf_fail(err, ENOMEM, "look above %s", path);
	r = read_sets(cg, above, err);
	if (!r)
		ask(words, above, wants);
	return r;
}

int pf_observe_above(struct pf_cgroup *cg, const struct pf_unit_words *words,
		     const struct pf_placement *placement, struct pf_actual *actual,
		     struct pf_err *err)
{
	pf_auto_free char *path = NULL;
	struct wants wants;
	char *slash;
	int r = 0;

	if (!placement->base)
		return 0;
	sum_up(placement, &wants);
	if (pf_set_subset(&wants.cpus, &actual->base_cpus_effective) &&
	    pf_set_subset(&wants.mems, &actual->base_mems_effective))
		return 0;
	path = strdup(placement->base);
	if (!path)
		return pf_fail(err, ENOMEM, "look above %s", placement->base);
	while (!r && (slash = strrchr(path, '/')) && slash != path) {
		*slash = '\0';
		r = add_above(cg, words, path, &wants, actual, err);
	}
	return r;
}
