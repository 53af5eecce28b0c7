/* A simulated disk below the C library's calls: what a power cut may leave of a folder.
 *
 * Files lie in a real folder (in memory), so that reading, locking and mapping are the kernel's. Each call that
 * changes the folder is written down with what a disk need not have kept: sectors of 512 bytes that no sync covers,
 * file sizes, names whose folder was not synced. At any moment the state after a cut can be made as another
 * folder, chosen by a seed. A link that holds sim_disk.o has these calls in place of the C library's: openat2, mkdirat,
 * write, pwrite, pwritev2, fsync, fdatasync, ftruncate, linkat, renameat, renameat2, unlinkat.
 *
 * The model is weaker than any file system: a file's sync does not keep its name, a folder's sync keeps no
 * content, names and sectors survive in any order. @thread One. */
#ifndef AQ_TESTS_SIM_DISK_H
#define AQ_TESTS_SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>

/** Simulate the empty folder `root` from now on. */
void sim_begin(const char *root);
void sim_end(void);

/** Called before each step of a change: between beginning and end of a durable write there is one, too. May make
 * states and open stores in them: what it does itself is not simulated. */
extern void (*sim_step)(void);

/** Of 1,000 calls that move bytes, so many stop short, and so many are interrupted before the first. */
extern unsigned sim_short_rate;
extern unsigned sim_interrupt_rate;
/** The change with this number (from 1, as sim_change_count counts) fails with sim_errno; 0: none does. */
extern uint64_t sim_failing;
extern int sim_errno;

uint64_t sim_change_count(void);
/** How many sectors, sizes and names are not safe: with n of them there are at most 2^n states. */
unsigned sim_unsafe_count(void);
/** Make in the new folder `target` what a cut now would leave. Seed 0: nothing that is not safe; 1: everything. */
void sim_cut(const char *target, uint64_t seed);

#endif
