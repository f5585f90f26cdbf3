// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/base/set.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"

void pf_set_clear(struct pf_set *set)
{
	memset(set, 0, sizeof(*set));
}

void pf_set_add(struct pf_set *set, unsigned int member)
{
	if (member < PF_SET_BITS)
		set->word[member / 64] |= UINT64_C(1) << (member % 64);
}

void pf_set_remove(struct pf_set *set, unsigned int member)
{
	if (member < PF_SET_BITS)
		set->word[member / 64] &= ~(UINT64_C(1) << (member % 64));
}

void pf_set_add_range(struct pf_set *set, unsigned int first, unsigned int last)
{
	for (unsigned int i = first; i <= last && i < PF_SET_BITS; i++)
		pf_set_add(set, i);
}

bool pf_set_has(const struct pf_set *set, unsigned int member)
{
	return member < PF_SET_BITS && (set->word[member / 64] >> (member % 64) & 1);
}

bool pf_set_empty(const struct pf_set *set)
{
	return pf_set_next(set, 0) < 0;
}

unsigned int pf_set_count(const struct pf_set *set)
{
	unsigned int count = 0;

	for (size_t i = 0; i < PF_SET_WORDS; i++)
		count += (unsigned int)__builtin_popcountll(set->word[i]);
	return count;
}

bool pf_set_equal(const struct pf_set *a, const struct pf_set *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool pf_set_subset(const struct pf_set *inner, const struct pf_set *outer)
{
	for (size_t i = 0; i < PF_SET_WORDS; i++)
		if (inner->word[i] & ~outer->word[i])
			return false;
	return true;
}

bool pf_set_intersects(const struct pf_set *a, const struct pf_set *b)
{
	for (size_t i = 0; i < PF_SET_WORDS; i++)
		if (a->word[i] & b->word[i])
			return true;
	return false;
}

void pf_set_and(struct pf_set *out, const struct pf_set *a, const struct pf_set *b)
{
	for (size_t i = 0; i < PF_SET_WORDS; i++)
		out->word[i] = a->word[i] & b->word[i];
}

void pf_set_or(struct pf_set *out, const struct pf_set *a, const struct pf_set *b)
{
	for (size_t i = 0; i < PF_SET_WORDS; i++)
		out->word[i] = a->word[i] | b->word[i];
}

void pf_set_andnot(struct pf_set *out, const struct pf_set *a, const struct pf_set *b)
{
	for (size_t i = 0; i < PF_SET_WORDS; i++)
		out->word[i] = a->word[i] & ~b->word[i];
}

int pf_set_next(const struct pf_set *set, unsigned int from)
{
	for (size_t i = from / 64; i < PF_SET_WORDS; i++) {
		uint64_t word = set->word[i];

		if (i == from / 64)
			word &= ~UINT64_C(0) << (from % 64);
		if (word)
			return (int)(i * 64) + __builtin_ctzll(word);
	}
	return -1;
}

int pf_set_parse_member(const char **text, unsigned int *out)
{
	char *end;
	unsigned long value;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	errno = 0;
	value = strtoul(*text, &end, 10);
	if (errno || value >= PF_SET_BITS)
		return -ERANGE;
	*text = end;
	*out = (unsigned int)value;
	return 0;
}

static int parse_range(const char **text, struct pf_set *set)
{
	unsigned int first, last;
	int r;

	r = pf_set_parse_member(text, &first);
	if (r < 0)
		return r;
	last = first;
	if (**text == '-') {
		(*text)++;
		r = pf_set_parse_member(text, &last);
		if (r < 0)
			return r;
	}
	if (last < first)
		return -EINVAL;
	pf_set_add_range(set, first, last);
	return 0;
}

static const char *skip_space(const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

static int parse_list(const char *text, struct pf_set *set)
{
	int r;

	text = skip_space(text);
	if (!*text)
		return 0;
	for (;;) {
		r = parse_range(&text, set);
		if (r < 0)
			return r;
		text = skip_space(text);
		if (!*text)
			return 0;
		if (*text != ',')
			return -EINVAL;
		text = skip_space(text + 1);
	}
}

int pf_set_parse(const char *text, struct pf_set *out, struct pf_err *err)
{
	struct pf_set set = {};
	int r = parse_list(text, &set);

	if (r == -ERANGE)
		return pf_fail_plain(err, ERANGE, "list '%.80s' has a member beyond %d", text,
				     PF_SET_BITS - 1);
	if (r < 0)
		return pf_fail_plain(err, EINVAL, "'%.80s' is not a list such as 0-3,8", text);
	*out = set;
	return 0;
}

char *pf_set_format(const struct pf_set *set, char *buf, size_t size)
{
	size_t len = 0;
	int first = pf_set_next(set, 0);

	buf[0] = '\0';
	while (first >= 0) {
		int last = first, n;

		while (pf_set_has(set, (unsigned int)last + 1))
			last++;
		n = snprintf(buf + len, size - len, first == last ? "%s%d" : "%s%d-%d",
			     len ? "," : "", first, last);
		if (n < 0 || (size_t)n >= size - len) {
			if (size >= 4)
				memcpy(buf + size - 4, "...", 4);
			return buf;
		}
		len += (size_t)n;
		first = pf_set_next(set, (unsigned int)last + 1);
	}
	return buf;
}

static int add_word(struct pf_sets *sets, uint64_t word)
{
	uint64_t *place = pf_append(&sets->words, &sets->count);

	if (!place)
		return -ENOMEM;
	*place = word;
	return 0;
}

/* How many words there are, then those: trailing empty ones are left out. */
int pf_sets_add(struct pf_sets *sets, const struct pf_set *set, size_t *at)
{
	size_t words = PF_SET_WORDS, begin = sets->count;
	int r;

	while (words && !set->word[words - 1])
		words--;
	r = add_word(sets, words);
	for (size_t i = 0; !r && i < words; i++)
		r = add_word(sets, set->word[i]);
	if (r < 0)
		sets->count = begin;
	else
		*at = begin;
	return r;
}

void pf_sets_get(const struct pf_sets *sets, size_t at, struct pf_set *out)
{
	pf_set_clear(out);
	memcpy(out->word, &sets->words[at + 1], sets->words[at] * sizeof(out->word[0]));
}

void pf_sets_clear(struct pf_sets *sets)
{
	free(sets->words);
	*sets = (struct pf_sets){};
}
