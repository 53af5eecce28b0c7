/* The block cache: what it keeps, what it does not believe, what it lets go of. */
#include "engine/cache/block_cache.h"
#include "tests/unit/scratch.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define BLOCK AQ_CACHE_BLOCK_BYTES

static uint8_t block[BLOCK];
static uint8_t back[BLOCK];

static struct aq_hash128 object(uint8_t number)
{
    struct aq_hash128 hash = {{number, 1, 2, 3}};
    hash.bytes[15] = number;
    return hash;
}

static void fill(uint8_t seed)
{
    for (size_t i = 0; i < BLOCK; i++)
        block[i] = (uint8_t)(i * 31 + seed + (i >> 8));
}

static struct aq_block_cache *open_cache(uint64_t limit_bytes)
{
    struct aq_block_cache *cache = NULL;
    cr_assert_eq(aq_block_cache_open(scratch_file("cache"), limit_bytes, &cache, NULL), AQ_OK);
    return cache;
}

static void put(struct aq_block_cache *cache, uint8_t number, uint64_t at)
{
    struct aq_hash128 hash = object(number);
    fill((uint8_t)(number + at));
    aq_block_cache_put(cache, &hash, at, block, BLOCK);
}

static bool get(struct aq_block_cache *cache, uint8_t number, uint64_t at)
{
    struct aq_hash128 hash = object(number);
    memset(back, 0, sizeof back);
    if (!aq_block_cache_get(cache, &hash, at, back, BLOCK))
        return false;
    fill((uint8_t)(number + at));
    cr_assert_eq(memcmp(block, back, BLOCK), 0);
    return true;
}

/* Calls visit for each file of the cache; how many there are. */
static unsigned visit_files(void (*visit)(const char *path, void *context), void *context)
{
    unsigned count = 0;
    for (unsigned folder = 0; folder < 16; folder++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%x", scratch_file("cache"), folder);
        DIR *directory = opendir(path);
        for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
            char file[1000];
            if (entry->d_name[0] == '.' && strncmp(entry->d_name, ".tmp", 4) != 0)
                continue;
            snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
            if (visit != NULL)
                visit(file, context);
            count++;
        }
        if (directory != NULL)
            closedir(directory);
    }
    return count;
}

Test(block_cache, keeps_blocks_across_handles)
{
    scratch_make();
    struct aq_block_cache *first = open_cache(64 << 20);
    struct aq_block_cache *second = open_cache(64 << 20);
    cr_assert_not(get(first, 1, 0));
    put(first, 1, 0);
    put(first, 1, 7);
    struct aq_hash128 hash = object(1);
    cr_assert(aq_block_cache_has(first, &hash, 7));
    cr_assert_not(aq_block_cache_has(first, &hash, 1));
    cr_assert(get(first, 1, 0));
    cr_assert_not(get(first, 2, 0));
    put(second, 1, 9); /* it was opened before there was a folder */
    cr_assert(get(second, 1, 7));
    cr_assert(get(first, 1, 9));
    aq_block_cache_drop(second, &hash, 7);
    cr_assert_not(get(first, 1, 7));
    aq_block_cache_close(first);
    aq_block_cache_close(second);
    struct aq_block_cache *later = open_cache(64 << 20);
    cr_assert(get(later, 1, 0));
    cr_assert_str_eq(aq_block_cache_notice(later), "");
    aq_block_cache_close(later);
}

Test(block_cache, short_last_block_is_known_by_its_size)
{
    scratch_make();
    struct aq_block_cache *cache = open_cache(64 << 20);
    struct aq_hash128 hash = object(3);
    fill(9);
    aq_block_cache_put(cache, &hash, 2, block, 1000);
    cr_assert(aq_block_cache_get(cache, &hash, 2, back, 1000));
    cr_assert_eq(memcmp(block, back, 1000), 0);
    cr_assert_not(aq_block_cache_get(cache, &hash, 2, back, 999));
    aq_block_cache_close(cache);
}

struct flip {
    long offset;
    int bit;
};

static void flip_file(const char *path, void *context)
{
    const struct flip *flip = context;
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, flip->offset, SEEK_SET), 0);
    int byte = fgetc(file);
    cr_assert_eq(fseek(file, flip->offset, SEEK_SET), 0);
    fputc(byte ^ flip->bit, file);
    fclose(file);
}

Test(block_cache, damage_is_a_miss_and_removed)
{
    scratch_make();
    struct aq_block_cache *cache = open_cache(64 << 20);
    for (long offset = 0; offset < 48 + 64; offset++) {
        put(cache, 1, 5);
        struct flip flip = {.offset = offset < 96 ? offset : offset * 2000, .bit = 1 << offset % 8};
        cr_assert_eq(visit_files(flip_file, &flip), 1);
        cr_assert_not(get(cache, 1, 5), "a flip at %ld went unseen", flip.offset);
        cr_assert_eq(visit_files(NULL, NULL), 0);
    }
    aq_block_cache_close(cache);
}

static void truncate_file(const char *path, void *context)
{
    cr_assert_eq(truncate(path, *(long *)context), 0);
}

Test(block_cache, torn_file_is_a_miss)
{
    scratch_make();
    struct aq_block_cache *cache = open_cache(64 << 20);
    long sizes[] = {0, 1, 47, 48, 1000, (long)BLOCK + 47};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        put(cache, 1, 5);
        visit_files(truncate_file, &sizes[i]);
        cr_assert_not(get(cache, 1, 5));
        cr_assert_eq(visit_files(NULL, NULL), 0);
    }
    aq_block_cache_close(cache);
}

/* Another block under this one's name: the key is part of what is verified. */
Test(block_cache, block_under_another_name_is_a_miss)
{
    scratch_make();
    struct aq_block_cache *cache = open_cache(64 << 20);
    put(cache, 1, 0);
    put(cache, 1, 16); /* in the same folder */
    char from[700];
    char to[700];
    snprintf(from, sizeof from, "%s/1/01010203000000000000000000000001-0", scratch_file("cache"));
    snprintf(to, sizeof to, "%s/1/01010203000000000000000000000001-16", scratch_file("cache"));
    cr_assert_eq(rename(from, to), 0);
    cr_assert_not(get(cache, 1, 16));
    cr_assert_not(get(cache, 1, 0));
    aq_block_cache_close(cache);
}

static void age_file(const char *path, void *context)
{
    (void)context;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - 10000}};
    const char *dash = strrchr(path, '-');
    times[1].tv_sec += strtol(dash + 1, NULL, 10); /* older blocks have lower numbers */
    cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

Test(block_cache, least_recently_used_goes_first)
{
    scratch_make();
    uint64_t room = 6 * (BLOCK + 4096);
    struct aq_block_cache *cache = open_cache(room);
    for (uint64_t at = 0; at < 6; at++)
        put(cache, 1, at);
    cr_assert_eq(visit_files(age_file, NULL), 6);
    cr_assert(get(cache, 1, 0)); /* the oldest is used again */
    put(cache, 1, 6);
    put(cache, 1, 7);
    cr_assert(get(cache, 1, 0));
    cr_assert_not(get(cache, 1, 1));
    cr_assert_not(get(cache, 1, 2));
    for (uint64_t at = 3; at < 8; at++)
        cr_assert(get(cache, 1, at), "%d", (int)at);
    aq_block_cache_close(cache);
}

static void add_size(const char *path, void *context)
{
    struct stat info;
    cr_assert_eq(stat(path, &info), 0);
    *(uint64_t *)context += (uint64_t)info.st_size;
}

Test(block_cache, two_processes_stay_within_the_limit)
{
    scratch_make();
    uint64_t room = (uint64_t)40 * BLOCK;
    pid_t child = scratch_fork();
    struct aq_block_cache *cache = open_cache(room);
    for (uint64_t at = 0; at < 100; at++) {
        put(cache, child == 0 ? 1 : 2, at);
        get(cache, child == 0 ? 2 : 1, at); /* what the other one has put, or has evicted */
    }
    aq_block_cache_close(cache);
    if (child == 0)
        _exit(0);
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cache = open_cache(room);
    for (uint64_t at = 0; at < 40; at++) /* every part is counted again */
        put(cache, 3, at);
    uint64_t bytes = 0;
    visit_files(add_size, &bytes);
    cr_assert_leq(bytes, room + room / 16 + BLOCK);
    cr_assert_geq(bytes, room / 2);
    aq_block_cache_close(cache);
}

Test(block_cache, no_room_for_a_block_is_off)
{
    scratch_make();
    struct aq_block_cache *cache = open_cache(1);
    put(cache, 1, 0);
    cr_assert_not(get(cache, 1, 0));
    cr_assert_neq(access(scratch_file("cache"), F_OK), 0);
    cr_assert_str_eq(aq_block_cache_notice(cache), "");
    aq_block_cache_close(cache);
}

Test(block_cache, folder_that_cannot_be_made_disables_it_once)
{
    scratch_make();
    scratch_write(scratch_file("cache"), "a file", 6);
    struct aq_block_cache *cache = open_cache(64 << 20);
    put(cache, 1, 0);
    put(cache, 1, 1);
    cr_assert_not(get(cache, 1, 0));
    const char *notice = aq_block_cache_notice(cache);
    cr_assert(strstr(notice, "nothing more is cached") != NULL, "%s", notice);
    cr_assert(strstr(notice, "/cache") != NULL, "%s", notice);
    aq_block_cache_close(cache);
}

Test(block_cache, full_disk_ends_puts_and_leaves_reads)
{
    scratch_make();
    struct aq_block_cache *cache = open_cache(64 << 20);
    put(cache, 1, 0);
    signal(SIGXFSZ,
           SIG_IGN); /* stands for a full disk: a write beyond the limit fails or is short */
    struct rlimit limit = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    put(cache, 1, 1);
    limit.rlim_cur = RLIM_INFINITY;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_neq(aq_block_cache_notice(cache)[0], '\0');
    cr_assert_not(get(cache, 1, 1));
    cr_assert(get(cache, 1, 0));
    put(cache, 1, 2);
    cr_assert_not(get(cache, 1, 2));
    cr_assert_eq(visit_files(NULL, NULL), 1); /* no temporary file is left */
    aq_block_cache_close(cache);
}

Test(block_cache, vanished_files_and_folders_do_no_harm)
{
    scratch_make();
    struct aq_block_cache *cache = open_cache(64 << 20);
    put(cache, 1, 0);
    char command[700];
    snprintf(command, sizeof command, "%s/1", scratch_file("cache"));
    cr_assert_eq(nftw(command, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    cr_assert_not(get(cache, 1, 0));
    put(cache, 1, 0);
    cr_assert(get(cache, 1, 0));
    aq_block_cache_close(cache);
}
