/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lab's guests: a PC's firmware and operating system in one, as idle as a guest can be. Under two
 * emulations a real firmware takes 10 s of a CPU to start, and a tenth of one for good.
 *
 * The first vCPU sleeps and wakes 18 times a second, as the timer of a PC does, or spins if BUSY is
 * defined; the others are never started. Each second it gives back the vCPUs whose removal is asked for, through QEMU's ACPI CPU
 * hot-plug registers (QEMU, docs/specs/acpi_cpu_hotplug; I/O base of the 'pc' machine).
 */
	.code16
	.set	SELECTOR, 0xaf00
	.set	STATUS, SELECTOR + 4
	.set	REMOVE_EVENT, 1 << 2
	.set	EJECT, 1 << 3
	.set	CPUS, 8
	.set	TICKS, 18
	.set	APIC, 0xfee00000
	.set	SPURIOUS, 0xf0
	.set	LINT0, 0x350
	.set	EXTINT, 7 << 8
	.set	HERE, 0xf0000		/* the ROM's linear address */
	.set	TIMER_VECTOR, 8
	.set	ticked, 0x500		/* a byte of memory that nobody else uses */

	.macro	port number value
	movb	$\value, %al
	outb	%al, $\number
	.endm

	.globl	_start
_start:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movw	$0x7c00, %sp
	movw	$tick, TIMER_VECTOR * 4
	movw	%cs, TIMER_VECTOR * 4 + 2

	lgdtl	%cs:table_at		/* a segment that reaches the local APIC, above 1 MiB */
	movl	%cr0, %eax
	incw	%ax
	movl	%eax, %cr0
	movw	$flat - table, %bx
	movw	%bx, %es
	decw	%ax
	movl	%eax, %cr0
	movl	$APIC + SPURIOUS, %ebx	/* it is on and lets the controllers' interrupts in */
	movl	$0x1ff, %es:(%ebx)
	movl	$APIC + LINT0, %ebx
	movl	$EXTINT, %es:(%ebx)

	port	0x20 0x11		/* the first interrupt controller: vectors from 8, the timer alone */
	port	0x21 TIMER_VECTOR
	port	0x21 0x04
	port	0x21 0x01
	port	0x21 0xfe
	port	0x43 0x34		/* timer 0 as slow as it goes */
	port	0x40 0
	port	0x40 0

	xorl	%eax, %eax
	movw	$SELECTOR, %dx
	outl	%eax, %dx		/* leaves the registers' legacy mode */
sleep:
	movw	$TICKS, %bx
wait:
	sti
	.ifdef	BUSY
	cmpb	$0, ticked
	je	wait
	movb	$0, ticked
	.else
	hlt
	.endif
	decw	%bx
	jnz	wait
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
	jmp	sleep

tick:
	pushw	%ax
	port	0x20 0x20
	movb	$1, ticked
	popw	%ax
	iret

	.balign	8
table:
	.quad	0
flat:
	.quad	0x00cf92000000ffff	/* all of 4 GiB, data */
table_at:
	.word	. - table - 1
	.long	HERE + table

	.org	0xfff0			/* where a PC begins */
	ljmp	$0xf000, $_start
	.org	0xffff
	.byte	0
