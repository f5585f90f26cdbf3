/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A boot sector that does what a guest's operating system does when a vCPU is unplugged: it ejects
 * each CPU whose removal is asked for, through QEMU's ACPI CPU hot-plug registers (QEMU,
 * docs/specs/acpi_cpu_hotplug; I/O base of the 'pc' machine). Until then it spins, which is load.
 */
	.code16
	.set	SELECTOR, 0xaf00
	.set	STATUS, SELECTOR + 4
	.set	REMOVE_EVENT, 1 << 2
	.set	EJECT, 1 << 3
	.set	CPUS, 8

	.globl	_start
_start:
	xorl	%eax, %eax
	movw	$SELECTOR, %dx
	outl	%eax, %dx		/* leaves the registers' legacy mode */
again:
	movl	$CPUS - 1, %ecx
next:
	movw	$SELECTOR, %dx
	movl	%ecx, %eax
	outl	%eax, %dx
	movw	$STATUS, %dx
	inb	%dx, %al
	testb	$REMOVE_EVENT, %al
	jz	kept
	movb	$EJECT, %al
	outb	%al, %dx
kept:
	loopl	next			/* CPU 0 stays */
	jmp	again

	.org	510
	.word	0xaa55
