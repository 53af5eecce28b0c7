/* A directory of its own for each test, removed at the end of the process that made it. In memory where
 * there is such a place: these tests open and sync files by the thousand. */
#ifndef AQ_TESTS_UNIT_SCRATCH_H
#define AQ_TESTS_UNIT_SCRATCH_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_path[128];
static pid_t scratch_owner;

static inline int scratch_remove_one(const char *path, const struct stat *info, int type,
                                     struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline void scratch_remove(void)
{
    if (scratch_owner == getpid())
        nftw(scratch_path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/** Make the directory; its path. */
static inline const char *scratch_make(void)
{
    const char *base = getenv("TMPDIR");
    if (base == NULL)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(scratch_path, sizeof scratch_path, "%s/aqstore-test-XXXXXX", base);
    cr_assert_not_null(mkdtemp(scratch_path));
    scratch_owner = getpid();
    atexit(scratch_remove);
    return scratch_path;
}

/** fork; the child dies with its parent, so that a failed assertion leaves no process behind. */
static inline pid_t scratch_fork(void)
{
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        _exit(99);
    return child;
}

/** "SCRATCH/name" in a static buffer. */
static inline const char *scratch_file(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", scratch_path, name);
    return path;
}

/** Whole content of a file, malloc'ed. */
static inline unsigned char *scratch_read(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    struct stat info;
    cr_assert_eq(fstat(fileno(file), &info), 0);
    *size = (size_t)info.st_size;
    unsigned char *data = malloc(*size + 1);
    cr_assert_not_null(data);
    cr_assert_eq(fread(data, 1, *size, file), *size);
    fclose(file);
    return data;
}

static inline void scratch_write(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file, "%s", path);
    cr_assert_eq(fwrite(data, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

#endif
