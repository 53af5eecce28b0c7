/* A simulated disk below the C library's calls: what a power cut may leave of a folder.
 *
 * Files lie in a real folder (in memory), so that reading, locking and mapping are the kernel's. Each call that
 * changes the folder is written down with what a disk need not have kept: sectors of 512 bytes that no sync covers,
 * file sizes, names whose folder was not synced. At any moment the state after a cut can be made as another
 * folder, chosen by a seed. A link that holds sim_disk.o has these calls in place of the C library's: openat2, mkdir, mkdirat,
 * write, pwrite, pwritev2, fsync, fdatasync, ftruncate, linkat, renameat, renameat2, unlinkat, posix_fadvise, pread, preadv;
 * and clock_gettime and fstatat, for the clock.
 *
 * The model is weaker than any file system: a file's sync does not keep its name, a folder's sync keeps no
 * content, names and sectors survive in any order. A file that was made without a name (O_TMPFILE) is gone after a cut, whatever was
 * synced, unless it has got one since. A sync or durable write that fails leaves sectors that are shown to
 * whoever reads, and are written by no later sync: the kernel has taken them for clean. @thread One. */
#ifndef AQ_TESTS_SIM_DISK_H
#define AQ_TESTS_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Simulate the empty folder `root` from now on; `seed` decides when calls fail. */
void sim_begin(const char *root, uint64_t seed);
void sim_end(void);

/** Called before each step of a change: between beginning and end of a durable write there is one, too. May make
 * states and open stores in them: what it does itself is not simulated. */
extern void (*sim_step)(void);

/** Called before a file gets `name` by linkat, and after it (`done`), before anybody could make the name durable. May do
 * whatever other processes do meanwhile: all of it is simulated. */
extern void (*sim_link)(const char *name, bool done);

/** Time goes on by so much, for the wall clock, the boot clock, and the times of names given from then on. The monotonic
 * clock is real: by it people wait. */
void sim_pass_time(int64_t seconds);

/** Of 1,000 calls that move bytes so many stop short, and so many are interrupted before the first (EINTR, EAGAIN). */
extern unsigned sim_short_rate;
extern unsigned sim_interrupt_rate;
/** Of 1,000 steps of changes so many fail: EIO, ENOSPC. sim_fault_count counts them. */
extern unsigned sim_fault_rate;
extern uint64_t sim_fault_count;
/** The read with this number, counted down from now, fails with EIO, wherever it reads; 0: none does. */
extern uint64_t sim_failing_read;

uint64_t sim_change_count(void);
/** How many sectors, sizes and names are not safe: with n of them there are at most 2^n states. */
unsigned sim_unsafe_count(void);
/** Make in the new folder `target` what a cut now would leave. Seed 0: nothing that is not safe; 1: everything. */
void sim_cut(const char *target, uint64_t seed);
/** Spoil a sector of a file beneath the folder `target`; false when no file there has any. `name`: which. */
bool sim_spoil(const char *target, uint64_t seed, char *name, size_t name_size);

#endif
