// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/host_view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/model/promised.h"

/* "15.6G", "2M", "0": three digits or so, binary units. */
static char *format_size(uint64_t kib, char buf[16])
{
	static const char units[] = "KMGTPE";
	double value = (double)kib;
	size_t unit = 0;

	while (value >= 1024 && units[unit + 1]) {
		value /= 1024;
		unit++;
	}
	if (!kib)
		return memcpy(buf, "0", sizeof("0"));
	snprintf(buf, 16, value < 100 && value != (double)(uint64_t)value ? "%.1f%c" : "%.0f%c",
		 value, units[unit]);
	return buf;
}

/* "2M 3/4, 1G 0/0": free of all, for each size. */
static int describe_hugepages(const struct pf_host_node *node, char **out)
{
	char *text = strdup(node->hugepages_count ? "" : "-");

	for (size_t i = 0; text && i < node->hugepages_count; i++) {
		const struct pf_host_hugepages *pages = &node->hugepages[i];
		pf_auto_free char *before = text;
		char size[16];

		if (asprintf(&text, "%s%s%s %" PRIu64 "/%" PRIu64, before, i ? ", " : "",
			     format_size(pages->size_kib, size), pages->free, pages->total) < 0)
			text = NULL;
	}
	*out = text;
	return text ? 0 : -ENOMEM;
}

static int add_column(struct libscols_table *table, const char *name, int flags)
{
	return scols_table_new_column(table, name, 0, flags) ? 0 : -ENOMEM;
}

static int add_node(struct libscols_table *table, const struct pf_host_node *node, size_t list_max)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	pf_auto_free char *cpus = pf_term_list(&node->cpus, list_max);
	pf_auto_free char *pages = NULL;
	char number[16], total[16], available[16];
	int r;

	if (!line || !cpus || describe_hugepages(node, &pages) < 0)
		return -ENOMEM;
	snprintf(number, sizeof(number), "%u", node->node);
	r = pf_term_cell(line, 0, number);
	r = r ?: pf_term_cell(line, 1, cpus);
	r = r ?: pf_term_cell(line, 2, format_size(node->memory_total_kib, total));
	r = r ?: pf_term_cell(line, 3, format_size(node->memory_free_kib, available));
	return r ?: pf_term_cell(line, 4, pages);
}

static int print_table(const struct pf_view *view, struct libscols_table *table)
{
	scols_table_set_stream(table, view->out);
	fputc('\n', view->out);
	return scols_print_table(table) ? -ENOMEM : 0;
}

static int print_nodes(const struct pf_view *view, const struct pf_host *host)
{
	PF_CLEANUP(pf_cleanup_table) struct libscols_table *table = pf_term_table(view);
	size_t list_max = view->width > 60 ? view->width - 46 : view->width ? 14 : 0;
	int r;

	if (!table)
		return -ENOMEM;
	r = add_column(table, "NODE", SCOLS_FL_RIGHT);
	r = r ?: add_column(table, "CPUS", 0);
	r = r ?: add_column(table, "MEMORY", SCOLS_FL_RIGHT);
	r = r ?: add_column(table, "FREE", SCOLS_FL_RIGHT);
	r = r ?: add_column(table, "HUGE PAGES FREE/ALL", 0);
	for (size_t i = 0; !r && i < host->node_count; i++)
		r = add_node(table, &host->nodes[i], list_max);
	return r ?: print_table(view, table);
}

static int add_distances(struct libscols_table *table, const struct pf_host *host,
			 const struct pf_host_node *node)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char text[16];
	int r;

	if (!line)
		return -ENOMEM;
	snprintf(text, sizeof(text), "%u", node->node);
	r = pf_term_cell(line, 0, text);
	for (size_t i = 0; !r && i < host->node_count; i++) {
		snprintf(text, sizeof(text), "%u", node->distances[i]);
		r = pf_term_cell(line, i + 1, text);
	}
	return r;
}

static int print_distances(const struct pf_view *view, const struct pf_host *host)
{
	PF_CLEANUP(pf_cleanup_table) struct libscols_table *table = pf_term_table(view);
	char name[16];
	int r;

	if (!table)
		return -ENOMEM;
	r = add_column(table, "DISTANCE", SCOLS_FL_RIGHT);
	for (size_t i = 0; !r && i < host->node_count; i++) {
		snprintf(name, sizeof(name), "%u", host->nodes[i].node);
		r = add_column(table, name, SCOLS_FL_RIGHT);
	}
	for (size_t i = 0; !r && i < host->node_count; i++)
		r = add_distances(table, host, &host->nodes[i]);
	return r ?: print_table(view, table);
}

/*
 * "db01: emulator; web01: vcpu 0, helper" and "-" when it is nobody's, made safe; on a terminal
 * each guest stands in a line of its own.
 */
static int describe_promised(const struct pf_view *view, const struct pf_status *status,
			     unsigned int cpu, char **out)
{
	pf_auto_free char *text = NULL;
	size_t len;
	pf_auto_fclose FILE *stream = open_memstream(&text, &len);
	const char *between = "";
	struct pf_role role;

	if (!stream)
		return -ENOMEM;
	for (size_t i = 0; i < status->guest_count; i++) {
		const struct pf_guest_status *guest = &status->guests[i];
		pf_auto_free char *safe = pf_term_text(guest->name);
		const char *before = ": ";

		for (size_t at = 0; pf_promised_next(guest, cpu, &at, &role); before = ", ") {
			char name[PF_ROLE_TEXT_MAX];

			if (*before == ':')
				fprintf(stream, "%s%s", between, safe ?: guest->uuid);
			fprintf(stream, "%s%s", before, pf_role_format(role, name));
			between = view->width ? "\n" : "; ";
		}
	}
	if (!*between)
		fputc('-', stream);
	if (fclose(pf_take_ptr(stream)) != 0)
		return -ENOMEM;
	*out = pf_take_ptr(text);
	return 0;
}

/* A number that the kernel may not tell. */
static int add_known(struct libscols_line *line, size_t column, int value)
{
	char text[16];

	snprintf(text, sizeof(text), value < 0 ? "-" : "%d", value);
	return pf_term_cell(line, column, text);
}

static int add_promised(const struct pf_view *view, struct libscols_line *line, size_t column,
			const struct pf_status *status, unsigned int cpu)
{
	char *promised;
	int r = describe_promised(view, status, cpu, &promised);

	return r ?: scols_line_refer_data(line, column, promised); /* takes it over */
}

/* Cells fold where they have newlines, and nowhere else. */
static int add_folding_column(struct libscols_table *table, const char *name)
{
	struct libscols_column *column = scols_table_new_column(table, name, 0, SCOLS_FL_WRAP);

	if (!column)
		return -ENOMEM;
	return scols_column_set_safechars(column, "\n") ?:
	       scols_column_set_wrapfunc(column, scols_wrapnl_chunksize, scols_wrapnl_nextchunk,
					 NULL);
}

static int add_cpu(const struct pf_view *view, struct libscols_table *table,
		   const struct pf_host_cpu *cpu, const struct pf_status *status)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	pf_auto_free char *siblings = pf_term_list(&cpu->siblings, 16);
	int r;

	if (!line || !siblings)
		return -ENOMEM;
	r = add_known(line, 0, (int)cpu->cpu);
	r = r ?: add_known(line, 1, cpu->node);
	r = r ?: add_known(line, 2, cpu->package);
	r = r ?: add_known(line, 3, cpu->core);
	r = r ?: pf_term_cell(line, 4, siblings);
	r = r ?: pf_term_cell(line, 5, cpu->online ? "online" : "offline");
	if (!cpu->online)
		r = r ?: scols_cell_set_color(scols_line_get_cell(line, 5), PF_COLOR_RED);
	return r || !status ? r : add_promised(view, line, 6, status, cpu->cpu);
}

static int print_cpus(const struct pf_view *view, const struct pf_host *host,
		      const struct pf_status *status)
{
	PF_CLEANUP(pf_cleanup_table) struct libscols_table *table = pf_term_table(view);
	int r;

	if (!table)
		return -ENOMEM;
	r = add_column(table, "CPU", SCOLS_FL_RIGHT);
	r = r ?: add_column(table, "NODE", SCOLS_FL_RIGHT);
	r = r ?: add_column(table, "PACKAGE", SCOLS_FL_RIGHT);
	r = r ?: add_column(table, "CORE", SCOLS_FL_RIGHT);
	r = r ?: add_column(table, "SIBLINGS", 0);
	r = r ?: add_column(table, "STATE", 0);
	if (status)
		r = r ?: add_folding_column(table, "PROMISED TO");
	for (size_t i = 0; !r && i < host->cpu_count; i++)
		r = add_cpu(view, table, &host->cpus[i], status);
	return r ?: print_table(view, table);
}

int pf_host_print(const struct pf_view *view, const struct pf_host *host,
		  const struct pf_status *status)
{
	pf_auto_free char *text = NULL;
	int r;

	if (asprintf(&text, "%s: %u of %zu CPUs online, %zu node%s%s%s",
		     *host->hostname ? host->hostname : "a host without a name",
		     pf_set_count(&host->cpus_online), host->cpu_count, host->node_count,
		     host->node_count == 1 ? "" : "s", *host->kernel ? ", kernel " : "",
		     host->kernel) < 0) {
		text = NULL;
		return -ENOMEM;
	}
	pf_term_wrap(view, "", text, 2);
	r = print_nodes(view, host);
	r = r ?: print_distances(view, host);
	return r ?: print_cpus(view, host, status);
}
