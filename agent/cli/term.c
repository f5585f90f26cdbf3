// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/term.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "agent/base/cleanup.h"

static size_t find_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	long value = columns ? strtol(columns, NULL, 10) : 0;

	if (value > 0 && value < 100000)
		return (size_t)value;
	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		return size.ws_col;
	return 0;
}

/* https://no-color.org: set and not empty, whatever its value. */
static bool want_color(enum pf_color_when when)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	if (when != PF_COLOR_AUTO)
		return when == PF_COLOR_ALWAYS;
	return isatty(STDOUT_FILENO) && !(no_color && *no_color) &&
	       !(term && strcmp(term, "dumb") == 0);
}

void pf_view_init(struct pf_view *view, const struct pf_cli *cli)
{
	*view = (struct pf_view){
		.out = stdout,
		.width = find_width(),
		.color = want_color(cli->color),
		.all = cli->seen & PF_OPTION_ALL,
	};
}

/*
 * Characters that print nothing themselves but change how others show: zero width, direction,
 * line separators, byte order mark, interlinear marks, tags (Unicode TR 36).
 */
static bool is_steering(wint_t c)
{
	return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || c == 0x061c ||
	       (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

/* Bytes of the harmless character at @text, 0 when there is none. */
static size_t harmless(const char *text)
{
	mbstate_t state = {};
	wchar_t c;
	size_t n = mbrtowc(&c, text, strlen(text), &state);

	if (n == (size_t)-1 || n == (size_t)-2 || n == 0)
		return 0;
	return iswprint((wint_t)c) && !is_steering((wint_t)c) ? n : 0;
}

char *pf_term_text(const char *text)
{
	char *out = malloc(strlen(text) * 4 + 1), *to = out;

	if (!out)
		return NULL;
	while (*text) {
		size_t n = harmless(text);

		if (n) {
			memcpy(to, text, n);
			to += n;
			text += n;
		} else {
			to += snprintf(to, sizeof("\\xff"), "\\x%02x", (unsigned char)*text++);
		}
	}
	*to = '\0';
	return out;
}

size_t pf_term_width(const char *text)
{
	size_t width = 0;

	while (*text) {
		mbstate_t state = {};
		wchar_t c;
		size_t n = mbrtowc(&c, text, strlen(text), &state);
		int columns;

		if (n == (size_t)-1 || n == (size_t)-2 || n == 0)
			return width + strlen(text);
		columns = wcwidth(c);
		width += columns > 0 ? (size_t)columns : 0;
		text += n;
	}
	return width;
}

/* How many members a list's text names: the number of them up to @end. */
static unsigned int count_shown(const char *list, size_t end)
{
	pf_auto_free char *head = strndup(list, end);
	struct pf_set shown = {};

	if (head)
		pf_set_parse(head, &shown, NULL);
	return pf_set_count(&shown);
}

char *pf_term_list(const struct pf_set *set, size_t max)
{
	pf_auto_free char *list = malloc(PF_SET_TEXT_MAX);
	unsigned int total = pf_set_count(set);
	char more[16];
	size_t end;

	if (!list)
		return NULL;
	if (!total)
		return strdup("-");
	end = strlen(pf_set_format(set, list, PF_SET_TEXT_MAX));
	if (!max || end <= max)
		return pf_take_ptr(list);
	/* Back to a comma behind which ",+N" fits; a first range that is too long stays whole. */
	while (end) {
		char *comma = memrchr(list, ',', end);

		if (!comma)
			return pf_take_ptr(list);
		end = (size_t)(comma - list);
		snprintf(more, sizeof(more), ",+%u", total - count_shown(list, end));
		if (end + strlen(more) <= max || !memchr(list, ',', end))
			break;
	}
	snprintf(list + end, PF_SET_TEXT_MAX - end, "%s", more);
	return pf_take_ptr(list);
}

void pf_term_color(const struct pf_view *view, const char *color)
{
	if (view->color)
		fputs(color, view->out);
}

void pf_term_wrap(const struct pf_view *view, const char *label, const char *text, size_t indent)
{
	pf_auto_free char *safe = pf_term_text(text);
	size_t column = pf_term_width(label);
	char *rest = safe, *word;
	bool first = true;

	fputs(label, view->out);
	while (rest && (word = strsep(&rest, " "))) {
		size_t width = pf_term_width(word);

		if (!first && view->width && column + 1 + width > view->width) {
			fprintf(view->out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!first) {
			fputc(' ', view->out);
			column++;
		}
		fputs(word, view->out);
		column += width;
		first = false;
	}
	fputc('\n', view->out);
}

struct libscols_table *pf_term_table(const struct pf_view *view)
{
	struct libscols_table *table = scols_new_table();

	if (!table)
		return NULL;
	/* Cells are made safe by pf_term_cell(); escaping them twice would only confuse. */
	scols_table_enable_noencoding(table, 1);
	scols_table_enable_colors(table, view->color);
	scols_table_set_column_separator(table, "  ");
	scols_table_set_termforce(table, view->width ? SCOLS_TERMFORCE_ALWAYS
						      : SCOLS_TERMFORCE_NEVER);
	if (view->width)
		scols_table_set_termwidth(table, view->width);
	return table;
}

int pf_term_cell(struct libscols_line *line, size_t column, const char *text)
{
	char *safe = pf_term_text(text);

	if (!safe)
		return -ENOMEM;
	return scols_line_refer_data(line, column, safe); /* takes it over */
}

void pf_cleanup_table(struct libscols_table **table)
{
	if (*table)
		scols_unref_table(*table);
}
