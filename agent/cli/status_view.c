// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/status_view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"

/* Threads that read the same in every column stand in one row. */
struct row {
	const struct pf_thread_status *thread;
	size_t count;
	struct pf_set on_cpus;
	struct pf_set on_nodes;
};

struct rows {
	struct row *items;
	size_t count;
};

static void cleanup_rows(struct rows *rows)
{
	free(rows->items);
}

static const char *state_color(enum pf_state state)
{
	switch (state) {
	case PF_STATE_HELD:
		return PF_COLOR_GREEN;
	case PF_STATE_DRIFTING:
		return PF_COLOR_YELLOW;
	case PF_STATE_IMPOSSIBLE:
		return PF_COLOR_RED;
	case PF_STATE_OBSERVED:
		break;
	}
	return PF_COLOR_CYAN;
}

bool pf_status_is_off(const struct pf_guest_status *guest)
{
	if (guest->state == PF_STATE_OBSERVED)
		return guest->reason != NULL;
	return guest->state != PF_STATE_HELD;
}

/* vCPUs first, then iothreads, emulator, helpers. */
static int role_rank(enum pf_role_kind kind)
{
	static const int ranks[] = {
		[PF_ROLE_VCPU] = 0,
		[PF_ROLE_IOTHREAD] = 1,
		[PF_ROLE_EMULATOR] = 2,
		[PF_ROLE_HELPER] = 3,
	};

	return ranks[kind];
}

static int compare_rows(const void *a, const void *b)
{
	const struct pf_thread_status *left = ((const struct row *)a)->thread;
	const struct pf_thread_status *right = ((const struct row *)b)->thread;
	int rank = role_rank(left->role.kind) - role_rank(right->role.kind);

	if (rank)
		return rank;
	if (left->role.index != right->role.index)
		return left->role.index < right->role.index ? -1 : 1;
	return (left->tid > right->tid) - (left->tid < right->tid);
}

static bool reads_the_same(const struct pf_thread_status *a, const struct pf_thread_status *b)
{
	return pf_role_equal(a->role, b->role) && a->state == b->state &&
	       pf_set_equal(&a->cpus_desired, &b->cpus_desired) &&
	       pf_set_equal(&a->cpus_actual, &b->cpus_actual) &&
	       pf_set_equal(&a->nodes_desired, &b->nodes_desired) &&
	       pf_set_equal(&a->nodes_actual, &b->nodes_actual);
}

static struct row *find_row(struct rows *rows, const struct pf_thread_status *thread)
{
	for (size_t i = 0; i < rows->count; i++)
		if (reads_the_same(rows->items[i].thread, thread))
			return &rows->items[i];
	return NULL;
}

static int fold(const struct pf_guest_status *guest, bool all, struct rows *rows)
{
	for (size_t i = 0; i < guest->thread_count; i++) {
		const struct pf_thread_status *thread = &guest->threads[i];
		struct row *row = all ? NULL : find_row(rows, thread);

		if (!row) {
			row = pf_append(&rows->items, &rows->count);
			if (!row)
				return -ENOMEM;
			row->thread = thread;
		}
		row->count++;
		if (thread->on_cpu >= 0)
			pf_set_add(&row->on_cpus, (unsigned int)thread->on_cpu);
		if (thread->on_node >= 0)
			pf_set_add(&row->on_nodes, (unsigned int)thread->on_node);
	}
	if (rows->count)
		qsort(rows->items, rows->count, sizeof(*rows->items), compare_rows);
	return 0;
}

/* The columns of all guests' rows together, so that they line up from guest to guest. */
struct columns {
	struct libscols_table *table;
	const struct pf_view *view;
	size_t list_max; /* columns for a list of CPUs */
};

/* What remains for each of the two CPU lists beside everything else, never less than 13. */
static size_t list_columns(const struct pf_view *view)
{
	size_t others = view->all ? 80 : 54;

	if (!view->width)
		return 0;
	return view->width > others + 26 ? (view->width - others) / 2 : 13;
}

static int add_columns(struct columns *columns)
{
	static const char *const names[] = {"  ROLE", "PROMISED", "ALLOWED", "ON CPU/NODE",
					    "NODES", "STATE"};
	struct libscols_table *table = columns->table;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!scols_table_new_column(table, names[i], 0, 0))
			return -ENOMEM;
		if (i == 0 && columns->view->all &&
		    (!scols_table_new_column(table, "TID", 0, SCOLS_FL_RIGHT) ||
		     !scols_table_new_column(table, "COMM", 0, 0)))
			return -ENOMEM;
	}
	return 0;
}

static int add_list(struct columns *columns, struct libscols_line *line, size_t column,
		    const struct pf_set *set)
{
	pf_auto_free char *text = pf_term_list(set, columns->list_max);

	return text ? pf_term_cell(line, column, text) : -ENOMEM;
}

static int add_role(struct libscols_line *line, const struct row *row)
{
	char role[PF_ROLE_TEXT_MAX], text[64];

	pf_role_format(row->thread->role, role);
	if (row->count > 1)
		snprintf(text, sizeof(text), "  %s (x%zu)", role, row->count);
	else
		snprintf(text, sizeof(text), "  %s", role);
	return pf_term_cell(line, 0, text);
}

static int add_where(struct libscols_line *line, size_t column, const struct row *row)
{
	pf_auto_free char *cpus = pf_term_list(&row->on_cpus, 8);
	pf_auto_free char *nodes = pf_term_list(&row->on_nodes, 5);
	char text[64];

	if (!cpus || !nodes)
		return -ENOMEM;
	snprintf(text, sizeof(text), "%s/%s", cpus, nodes);
	return pf_term_cell(line, column, text);
}

/* "1", or "1 (0-1)" when the kernel allows others than were promised. */
static int add_nodes(struct libscols_line *line, size_t column,
		     const struct pf_thread_status *thread)
{
	pf_auto_free char *desired = pf_term_list(&thread->nodes_desired, 12);
	pf_auto_free char *actual = pf_term_list(&thread->nodes_actual, 12);
	bool same = pf_set_empty(&thread->nodes_desired) ||
		    pf_set_equal(&thread->nodes_desired, &thread->nodes_actual);
	char text[64];

	if (!desired || !actual)
		return -ENOMEM;
	snprintf(text, sizeof(text), same ? "%s" : "%s (%s)", desired, actual);
	return pf_term_cell(line, column, text);
}

static int add_state(struct libscols_line *line, size_t column, enum pf_state state)
{
	int r = pf_term_cell(line, column, pf_state_name(state));

	return r ?: scols_cell_set_color(scols_line_get_cell(line, column), state_color(state));
}

static int add_row(struct columns *columns, const struct row *row)
{
	const struct pf_thread_status *thread = row->thread;
	struct libscols_line *line = scols_table_new_line(columns->table, NULL);
	size_t column = 1;
	char tid[16];
	int r;

	if (!line)
		return -ENOMEM;
	r = add_role(line, row);
	if (columns->view->all) {
		snprintf(tid, sizeof(tid), "%d", (int)thread->tid);
		r = r ?: pf_term_cell(line, column++, tid);
		r = r ?: pf_term_cell(line, column++, thread->comm);
	}
	r = r ?: add_list(columns, line, column++, &thread->cpus_desired);
	r = r ?: add_list(columns, line, column++, &thread->cpus_actual);
	r = r ?: add_where(line, column++, row);
	r = r ?: add_nodes(line, column++, thread);
	return r ?: add_state(line, column, thread->state);
}

/* Fills the table with all guests' rows; @counts[i] of them are guest i's. */
static int add_rows(struct columns *columns, const struct pf_status *status, size_t *counts)
{
	for (size_t i = 0; i < status->guest_count; i++) {
		PF_CLEANUP(cleanup_rows) struct rows rows = {};
		int r = fold(&status->guests[i], columns->view->all, &rows);

		for (size_t j = 0; !r && j < rows.count; j++)
			r = add_row(columns, &rows.items[j]);
		if (r)
			return r;
		counts[i] = rows.count;
	}
	return 0;
}

void pf_status_print_line(const struct pf_view *view, const struct pf_guest_status *guest)
{
	pf_auto_free char *name = pf_term_text(guest->name);

	pf_term_color(view, PF_COLOR_BOLD);
	fputs(name ?: guest->uuid, view->out);
	pf_term_color(view, PF_COLOR_RESET);
	fputs(": ", view->out);
	pf_term_color(view, state_color(guest->state));
	fputs(pf_state_name(guest->state), view->out);
	pf_term_color(view, PF_COLOR_RESET);
	fprintf(view->out, " (%s, %s)%s\n", pf_mode_name(guest->mode),
		pf_isolation_name(guest->isolation),
		guest->released ? ", released until 'pinfold hold'" : "");
	if (guest->reason)
		pf_term_wrap(view, "  reason: ", guest->reason, 10);
}

static void print_findings(const struct pf_view *view, const struct pf_guest_status *guest)
{
	for (size_t i = 0; i < guest->findings.count; i++) {
		const struct pf_finding *finding = &guest->findings.items[i];

		if (guest->reason && strcmp(guest->reason, finding->text) == 0)
			continue;
		pf_term_wrap(view,
			     finding->severity == PF_FINDING_IMPOSSIBLE ? "  can't: " : "  note: ",
			     finding->text, 9);
	}
}

/* Knobs that are as promised need no line, unless everything is asked for. */
static void print_knobs(const struct pf_view *view, const struct pf_guest_status *guest)
{
	for (size_t i = 0; i < guest->knob_count; i++) {
		const struct pf_knob_status *knob = &guest->knobs[i];
		const char *slash = strrchr(knob->group, '/');
		const char *actual = knob->actual && *knob->actual ? knob->actual : "unset";
		const char *desired = knob->desired ?: "";
		pf_auto_free char *text = NULL;
		bool same = knob->actual && strcmp(desired, knob->actual) == 0;

		if (!view->all && (knob->state == PF_STATE_HELD ||
				   (knob->state == PF_STATE_OBSERVED && same)))
			continue;
		if (asprintf(&text, same ? "%s of %s is %s as promised" :
					   "%s of %s is %s, promised %s",
			     knob->knob, slash && slash[1] ? slash + 1 : knob->group, actual,
			     desired) < 0) {
			text = NULL;
			return;
		}
		pf_term_wrap(view, "  knob: ", text, 8);
	}
}

static bool same_memory(const struct pf_cell *a, const struct pf_cell *b)
{
	return a->memory.mode == b->memory.mode &&
	       pf_set_equal(&a->memory.nodes, &b->memory.nodes);
}

/*
 * The cells that were promised the same as cell @at, in one set. Return: false when an earlier one
 * was, so that it has been told already.
 */
static bool gather_cells(const struct pf_guest_status *guest, size_t at, struct pf_set *cells)
{
	for (size_t i = 0; i < guest->cell_count; i++) {
		if (!same_memory(&guest->cells[i], &guest->cells[at]))
			continue;
		if (i < at)
			return false;
		pf_set_add(cells, guest->cells[i].cell);
	}
	return true;
}

static const char *plural(const struct pf_set *set)
{
	return pf_set_count(set) == 1 ? "" : "s";
}

/* "  memory of cells 0-1: strict on node 1" */
static void print_memory(const struct pf_view *view, const struct pf_guest_status *guest)
{
	for (size_t i = 0; i < guest->cell_count; i++) {
		const struct pf_memory_promise *memory = &guest->cells[i].memory;
		pf_auto_free char *nodes = pf_term_list(&memory->nodes, 0);
		pf_auto_free char *numbers = NULL;
		struct pf_set cells = {};

		if (memory->mode == PF_MEMORY_NONE || !gather_cells(guest, i, &cells))
			continue;
		numbers = pf_term_list(&cells, 0);
		if (!numbers || !nodes)
			return;
		fprintf(view->out, "  memory of cell%s %s: %s on node%s %s\n", plural(&cells),
			numbers, pf_memory_mode_name(memory->mode), plural(&memory->nodes), nodes);
	}
}

static void put_span(FILE *out, uint64_t ns, const char *where)
{
	fprintf(out, "; ran %" PRIu64 ".%03u s outside its %s", ns / 1000000000,
		(unsigned int)(ns / 1000000 % 1000), where);
}

static void put_number(FILE *out, uint64_t count, const char *of, const char *what)
{
	if (count)
		fprintf(out, "; %" PRIu64 " %s%s %s", count, of, count == 1 ? "" : "s", what);
}

/* "3 escapes (1 to other nodes); ran 0.100 s outside its CPUs; 2 records held back" */
static char *make_counts(const struct pf_counts *counts)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fprintf(out, "%" PRIu64 " escape%s", counts->escapes, counts->escapes == 1 ? "" : "s");
	if (counts->remote)
		fprintf(out, " (%" PRIu64 " to other nodes)", counts->remote);
	if (counts->away_ns)
		put_span(out, counts->away_ns, "CPUs");
	if (counts->remote_ns)
		put_span(out, counts->remote_ns, "nodes");
	put_number(out, counts->pages, "page", "moved");
	put_number(out, counts->suppressed, "record", "held back");
	put_number(out, counts->dropped, "record", "lost");
	return fclose(out) == 0 ? text : NULL;
}

static bool is_eventless(const struct pf_counts *counts)
{
	return !(counts->escapes | counts->away_ns | counts->remote_ns | counts->pages |
		 counts->suppressed | counts->dropped);
}

static void print_counts_of(const struct pf_view *view, const char *what,
			    const struct pf_counts *counts)
{
	pf_auto_free char *text = NULL, *label = NULL;

	if (is_eventless(counts))
		return;
	text = make_counts(counts);
	if (!text || asprintf(&label, "  %s: ", what) < 0) {
		label = NULL;
		return;
	}
	pf_term_wrap(view, label, text, strlen(label));
}

/* A guest that never left its promise needs no line; with --all each role has its own. */
static void print_counts(const struct pf_view *view, const struct pf_guest_status *guest)
{
	if (!guest->counted)
		return;
	print_counts_of(view, "counted", &guest->counts);
	for (size_t i = 0; view->all && i < guest->role_count; i++) {
		char role[PF_ROLE_TEXT_MAX], what[PF_ROLE_TEXT_MAX + 16];

		pf_role_format(guest->roles[i].role, role);
		snprintf(what, sizeof(what), "counted of %s", role);
		print_counts_of(view, what, &guest->roles[i].counts);
	}
}

static void print_host(const struct pf_view *view, const struct pf_status *status)
{
	pf_auto_free char *nodes = pf_term_list(&status->nodes_online, 0);
	pf_auto_free char *text = NULL;

	if (!nodes || asprintf(&text, "%s: %u CPUs online, node%s %s, kernel %s, pinfoldd %s",
			       status->hostname, pf_set_count(&status->cpus_online),
			       plural(&status->nodes_online), nodes, status->kernel,
			       status->agent_version ?: "?") < 0) {
		text = NULL;
		return;
	}
	pf_term_wrap(view, "", text, 2);
	/* Worth a line only when something is wrong with it. */
	if (status->libvirt && strcmp(status->libvirt, "connected") != 0)
		pf_term_wrap(view, "  libvirt: ", status->libvirt, 11);
	for (size_t i = 0; i < status->capability_count; i++) {
		const struct pf_capability *capability = &status->capabilities[i];
		pf_auto_free char *line = NULL;

		if (capability->available)
			continue;
		if (asprintf(&line, "%s%s%s", capability->name, capability->reason ? ": " : "",
			     capability->reason ?: "") < 0) {
			line = NULL;
			return;
		}
		pf_term_wrap(view, "  missing: ", line, 11);
	}
}

static void print_summary(const struct pf_view *view, const struct pf_status *status)
{
	size_t counts[PF_STATE_OBSERVED + 1] = {};
	const char *comma = ": ";

	for (size_t i = 0; i < status->guest_count; i++)
		counts[status->guests[i].state]++;
	fprintf(view->out, "\n%zu guest%s", status->guest_count,
		status->guest_count == 1 ? "" : "s");
	for (unsigned int state = 0; state <= PF_STATE_OBSERVED; state++) {
		if (!counts[state])
			continue;
		fprintf(view->out, "%s%zu ", comma, counts[state]);
		pf_term_color(view, state_color((enum pf_state)state));
		fputs(pf_state_name((enum pf_state)state), view->out);
		pf_term_color(view, PF_COLOR_RESET);
		comma = ", ";
	}
	fputc('\n', view->out);
}

static void print_guest(const struct pf_view *view, const struct pf_guest_status *guest,
			size_t rows, char **lines)
{
	char *line;

	fputc('\n', view->out);
	pf_status_print_line(view, guest);
	print_findings(view, guest);
	while (rows-- && (line = strsep(lines, "\n")))
		fprintf(view->out, "%s\n", line);
	print_knobs(view, guest);
	print_memory(view, guest);
	print_counts(view, guest);
}

/* One table is laid out for all guests; its lines are then dealt out to them. */
static int print_guests(const struct pf_view *view, const struct pf_status *status)
{
	PF_CLEANUP(pf_cleanup_table) struct libscols_table *table = pf_term_table(view);
	pf_auto_free size_t *counts = calloc(status->guest_count, sizeof(*counts));
	pf_auto_free char *text = NULL;
	struct columns columns = {table, view, list_columns(view)};
	char *lines, *header;
	int r;

	if (!table || !counts)
		return -ENOMEM;
	r = add_columns(&columns);
	r = r ?: add_rows(&columns, status, counts);
	r = r ?: scols_print_table_to_string(table, &text);
	if (r)
		return r;
	lines = text;
	header = scols_table_get_nlines(table) ? strsep(&lines, "\n") : NULL;
	if (header)
		fprintf(view->out, "%s\n", header);
	for (size_t i = 0; i < status->guest_count; i++)
		print_guest(view, &status->guests[i], counts[i], &lines);
	return 0;
}

int pf_status_print(const struct pf_view *view, const struct pf_status *status, bool summary)
{
	int r = 0;

	if (summary)
		print_host(view, status);
	if (!status->guest_count) {
		fputs(summary ? "\nno guests\n" : "no guests\n", view->out);
		return 0;
	}
	if (summary)
		fputc('\n', view->out);
	r = print_guests(view, status);
	if (!r && summary)
		print_summary(view, status);
	return r;
}

size_t pf_status_print_off(const struct pf_view *view, const struct pf_status *status)
{
	size_t count = 0;

	for (size_t i = 0; i < status->guest_count; i++) {
		if (!pf_status_is_off(&status->guests[i]))
			continue;
		pf_status_print_line(view, &status->guests[i]);
		count++;
	}
	return count;
}
