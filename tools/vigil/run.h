/* SPDX-License-Identifier: GPL-2.0 */
/* The parts of `vigil run`: machine, console, kicks, the vCPU loop. */
#ifndef VIGIL_RUN_H
#define VIGIL_RUN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include <libvm.h>

#include "dev.h"
#include "dev_i8042.h"
#include "dev_misc.h"
#include "dev_pic.h"
#include "dev_pit.h"
#include "dev_rtc.h"
#include "dev_uart.h"
#include "domain.h"
#include "load.h"

/**
 * enum outcome - why a guest stopped
 * @OUTCOME_RUNNING: it did not
 * @OUTCOME_RESET: it asked for a reset
 * @OUTCOME_HALT: it halted for good (HLT with interrupts off), as Linux does to
 *	power off a machine that has no ACPI
 * @OUTCOME_CRASH: --xen: it says that it has crashed
 * @OUTCOME_DEBUG_EXIT: it wrote its exit status to port 0xf4
 * @OUTCOME_QUIT: the user asked, by the console's escape
 * @OUTCOME_SIGNAL: a signal asked
 * @OUTCOME_ERROR: it cannot go on; the reason was printed
 */
enum outcome {
	OUTCOME_RUNNING,
	OUTCOME_RESET,
	OUTCOME_HALT,
	OUTCOME_CRASH,
	OUTCOME_DEBUG_EXIT,
	OUTCOME_QUIT,
	OUTCOME_SIGNAL,
	OUTCOME_ERROR,
};

/**
 * struct run_options - the command line of `vigil run`
 * @kernel: image
 * @initrd: or NULL
 * @append: or ""
 * @name: or NULL
 * @mem: bytes, page aligned
 * @default_append: false after --no-default-append
 * @reboot: --on-reset reboot
 * @debug_exit: port 0xf4 is there
 * @overcommit: @mem may exceed what the host has left
 * @flat: treat @kernel as a flat binary
 * @auto_root: --auto: @kernel may be NULL for the host's own, and @initrd is made
 * @busybox: the guest's shell with @auto_root; NULL: the host's
 * @xen: the guest finds Xen
 * @forced_emulation: with @xen: and the prefix of those who test emulators
 * @int82: with @xen: and INT 0x82 makes hypercalls
 * @max_iopl: with @xen: up to which level the guest may open hypercalls
 * @load_addr: of a flat binary
 * @entry: of a flat binary
 */
struct run_options {
	const char *kernel, *initrd, *append, *name, *busybox;
	uint64_t mem;
	bool default_append, reboot, debug_exit, overcommit, flat, auto_root;
	bool xen, forced_emulation, int82;
	unsigned int max_iopl;
	uint32_t load_addr, entry;
};

/**
 * struct console_sink - who in the guest gets input
 * @room: for how many bytes there is room
 * @put: takes a byte, if there is room
 * @ctx: first argument of both
 */
struct console_sink {
	unsigned int (*room)(void *ctx);
	void (*put)(void *ctx, uint8_t byte);
	void *ctx;
};

/**
 * struct console - the guest's serial port on this process's stdio
 * @tty: stdin is a terminal (and in raw mode)
 * @saved: the terminal's mode
 * @escape: Ctrl-a was typed
 * @eof: no more input
 * @quit: the user typed the escape
 * @out: bytes not written yet
 * @out_len: how many
 * @in: input that the guest has not taken yet
 * @in_head: index of the oldest byte
 * @in_len: how many
 * @timers: queue of the timers, NULL while no machine is attached
 * @flush_timer: writes an unfinished line after a moment
 * @sink: where input goes; @room is NULL while no machine is attached
 * @listening: the guest has listened for a moment; until then input waits
 * @listen_timer: armed when the guest begins to listen
 */
struct console {
	bool tty, escape, eof, quit;
	struct termios saved;
	uint8_t out[512];
	size_t out_len;
	uint8_t in[256];
	unsigned int in_head, in_len;
	struct timers *timers;
	struct dev_timer flush_timer, listen_timer;
	struct console_sink sink;
	bool listening;
};

/**
 * struct machine - the guest
 * @opt: the command line
 * @vm: its memory
 * @vcpu: its only vCPU
 * @mem: the map of its memory
 * @bus: its I/O ports
 * @timers: of the devices
 * @pic: the interrupt controllers
 * @pit: the timer
 * @rtc: the clock, and what the firmware would have left in its memory
 * @com1: the serial port
 * @kbc: the keyboard controller
 * @misc: other ports
 * @xen: with --xen
 * @xen_ring: the guest prints by the ring in its memory
 * @console: what @com1 is connected to
 * @outcome: set by devices, ends the vCPU loop
 * @status: exit status that belongs to @outcome
 * @exits: how often KVM_RUN has returned, by KVM_EXIT_*
 * @irqs: interrupts that were injected
 * @mmio_reads: reads of memory that is not there
 * @mmio_writes: writes to memory that is not there
 */
struct machine {
	const struct run_options *opt;
	struct lv_vm vm;
	struct lv_vcpu vcpu;
	struct mem_map mem;
	struct io_bus bus;
	struct timers timers;
	struct pic pic;
	struct pit pit;
	struct rtc rtc;
	struct uart com1;
	struct i8042 kbc;
	struct misc misc;
	struct xen_domain xen;
	bool xen_ring;
	struct console *console;
	enum outcome outcome;
	int status;
	uint64_t exits[64], irqs, mmio_reads, mmio_writes;
};

/*
 * Kicks are signals that make the vCPU thread look for work. The handler runs
 * in the vCPU thread and sets immediate_exit and a flag, so a kick that arrives
 * between the look and KVM_RUN is not lost.
 */
int kick_init(void);
void kick_fini(void);
/* Names the vCPU whose KVM_RUN a kick shall end; NULL: none. */
void kick_attach(struct kvm_run *run);
/* Was there a kick since the last call? Clears immediate_exit. */
bool kick_taken(void);
/* Sleeps until there is a kick (returns at once when one was not taken yet). */
void kick_wait(void);
/* Arms a kick at @ns of CLOCK_MONOTONIC; UINT64_MAX: none. */
void kick_at(uint64_t ns);
/* Kicks the vCPU thread. May be called from any thread. */
void kick_now(void);
/* The first terminating signal that arrived, or 0. */
int kick_signal(void);
/* All signals that kicks use: to be blocked in helper threads. */
void kick_sigset(sigset_t *set);

/* CLOCK_MONOTONIC in ns. */
uint64_t mono_ns(void);

int console_open(struct console *con);
/* Writes what is buffered and gives the terminal back. */
void console_close(struct console *con);
void console_attach(struct console *con, struct timers *timers,
		    const struct console_sink *sink);
void console_detach(struct console *con);
void console_put(struct console *con, uint8_t byte);
void console_flush(struct console *con);
/* Moves input to the sink as far as there is input and room. */
void console_pull(struct console *con);

/* Return: 0, or an exit code (the reason was printed). */
int machine_create(struct machine *m, const struct run_options *opt,
		   struct console *con);
void machine_destroy(struct machine *m);
/* Asks the vCPU loop to end; the first caller decides. */
void machine_stop(struct machine *m, enum outcome outcome, int status);

/* The CPUID that the guest gets. Return: 0 or -errno with lv_error(). */
int setup_cpuid(struct machine *m);
/* Return: 0 or -errno with lv_error(). */
int setup_cpu(struct machine *m, const struct boot_state *boot);

/* Runs the vCPU until m->outcome is set. */
void run_vcpu(struct machine *m);
/* Handles signals, timers and input after a kick. */
void handle_kick(struct machine *m);

/* ---- --xen; all do nothing without it ---- */

/* Before there is a vCPU. Return: 0 or -errno with lv_error(). */
int run_xen_policy(struct machine *m);
/* The domain, when vCPU and memory are there. Return: as above. */
int run_xen_create(struct machine *m);
void run_xen_destroy(struct machine *m);
/* Adds Xen's leaves. Return: the list, maybe at another place; NULL: no memory. */
struct kvm_cpuid2 *run_xen_cpuid(struct machine *m, struct kvm_cpuid2 *cpuid);
/* Answers KVM_EXIT_XEN. */
void run_xen_exit(struct machine *m);

/* Prints what happened, the registers, and what to do; sets m->outcome. */
void report_shutdown(struct machine *m);
void report_fail_entry(struct machine *m);
/* The guest itself says why it ends. */
void report_crash(struct machine *m, const char *why);
void report_internal_error(struct machine *m);
void report_unknown_exit(struct machine *m);
void report_run_error(struct machine *m);
void report_state(struct machine *m);
void report_stats(const struct machine *m);

#endif
