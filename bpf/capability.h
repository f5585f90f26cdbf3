/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which programs this kernel lets us run. Internal to this folder. */
#pragma once

#include "bpf/internal.h"

struct btf;

/**
 * pf_probe - tries to load an empty program where @prog wants to go
 * @kernel: the running kernel's BTF
 *
 * Attaching is not tried: giving up a function's trampoline makes the kernel wait for every task,
 * a second each. Programs whose attaching is refused are found when they are attached.
 *
 * Return: 0, or the -errno that the kernel would give for @prog; -ENOEXEC when the target has
 * another shape than @prog expects.
 */
int pf_probe(const struct bpf_program *prog, const struct btf *kernel);
