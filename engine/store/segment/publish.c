/* Publishing the durable length of an open segment.
 *
 * Happy path: the page has two copies and a lock, whose lowest bit says which copy is whole. The writer makes
 * the lock odd and writes the first copy, makes it even and writes the second; a reader takes the lock's
 * value, that copy, and the value again, until both values are the same.
 * Failures: a writer that was killed or frozen in between leaves a whole copy behind all the same, which
 * says what was durable a moment before. What lies in the page is believed only with the right checksum:
 * after a power cut it may be anything. */
#include "engine/store/segment/publish.h"

#include "engine/base/clock.h"
#include "format/base/checksum.h"
#include "format/base/mutant.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES 4096
#define PAGE_MAGIC UINT64_C(0x3230425550514100) /* "\0AQPUB02" */
#define READ_TRIES 20

enum field { FIELD_MAGIC, FIELD_EPOCH, FIELD_BYTES, FIELD_FRAMES, FIELD_CHECKSUM, FIELD_COUNT };

struct page {
    uint64_t lock; /* copies[lock % 2] is whole */
    uint64_t copies[2][FIELD_COUNT];
};

struct aq_publisher {
    struct page *page;
    uint64_t epoch;
};

static void page_name(uint64_t file_id, char *out, size_t out_size)
{
    snprintf(out, out_size, "segments/%020" PRIu64 ".pub", file_id);
}

/* Send readers to the other copy, then write this one. */
static void write_copy(struct page *page, unsigned which, const uint64_t fields[FIELD_COUNT])
{
    uint64_t lock = __atomic_load_n(&page->lock, __ATOMIC_RELAXED);
    /* Release: whoever sees the lock sees the other copy whole, whoever sees a new field sees the lock. */
    __atomic_store_n(&page->lock, lock + 1, __ATOMIC_RELEASE);
    for (int i = 0; i < FIELD_COUNT; i++)
        __atomic_store_n(&page->copies[which][i], fields[i], __ATOMIC_RELEASE);
}

void aq_publisher_set(struct aq_publisher *publisher, const struct aq_published *published)
{
    struct page *page = publisher->page;
    uint64_t fields[FIELD_COUNT] = {
        [FIELD_MAGIC] = PAGE_MAGIC,
        [FIELD_EPOCH] = publisher->epoch,
        [FIELD_BYTES] = published->durable_bytes,
        [FIELD_FRAMES] = published->frame_count,
    };
    fields[FIELD_CHECKSUM] = aq_checksum(fields, FIELD_CHECKSUM * sizeof *fields);
    /* The lock is even: readers take the first copy. */
    write_copy(page, 0, fields);
    write_copy(page, 1, fields);
}

static int allocate_page(int fd)
{
    static const char zeros[PAGE_BYTES];
    for (size_t done = 0; done < sizeof zeros;) {
        ssize_t count = pwrite(fd, zeros, sizeof zeros - done, (off_t)done);
        if (count < 0 && errno != EINTR)
            return errno;
        done += count > 0 ? (size_t)count : 0;
    }
    return 0;
}

enum aq_status aq_publisher_create(struct aq_store *store, uint64_t file_id, uint64_t epoch,
                                   struct aq_publisher **publisher, struct aq_error *err)
{
    char name[64];
    page_name(file_id, name, sizeof name);
    struct aq_store_path path = aq_store_path(store, name);
    int fd = aq_io_openat_beneath(store->home_fd, name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0)
        return aq_error_set_errno(err, errno, path.text, "cannot create");
    int os_errno = allocate_page(fd);
    void *map = MAP_FAILED;
    if (os_errno == 0) {
        map = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        os_errno = map == MAP_FAILED ? errno : 0;
    }
    close(fd);
    struct aq_publisher *created = os_errno == 0 ? malloc(sizeof *created) : NULL;
    if (created == NULL) {
        if (map != MAP_FAILED)
            munmap(map, PAGE_BYTES);
        return aq_error_set_errno(err, os_errno == 0 ? ENOMEM : os_errno, path.text,
                                  "cannot write");
    }
    *created = (struct aq_publisher){.page = map, .epoch = epoch};
    aq_publisher_set(created, &(struct aq_published){0});
    *publisher = created;
    return AQ_OK;
}

void aq_publisher_destroy(struct aq_publisher *publisher)
{
    if (publisher == NULL)
        return;
    munmap(publisher->page, PAGE_BYTES);
    free(publisher);
}

static bool read_fields(const struct page *page, uint64_t fields[FIELD_COUNT])
{
    for (int tries = 0; tries < READ_TRIES; tries++) {
        uint64_t before = __atomic_load_n(&page->lock, __ATOMIC_ACQUIRE);
        for (int i = 0; i < FIELD_COUNT; i++)
            fields[i] = __atomic_load_n(&page->copies[before % 2][i], __ATOMIC_ACQUIRE);
        if (__atomic_load_n(&page->lock, __ATOMIC_RELAXED) == before)
            return true;
        aq_clock_sleep_us(1000);
    }
    return false;
}

bool aq_published_read(struct aq_store *store, uint64_t file_id, uint64_t epoch,
                       struct aq_published *published)
{
    char name[64];
    page_name(file_id, name, sizeof name);
    int fd = aq_io_openat_beneath(store->home_fd, name, O_RDONLY, 0);
    if (fd < 0)
        return false;
    struct stat info;
    void *map = MAP_FAILED;
    if (fstat(fd, &info) == 0 && info.st_size == PAGE_BYTES)
        map = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return false;
    uint64_t fields[FIELD_COUNT];
    bool valid = read_fields(map, fields) && fields[FIELD_MAGIC] == PAGE_MAGIC &&
                 fields[FIELD_EPOCH] == epoch &&
                 (aq_mutant(35) ||
                  fields[FIELD_CHECKSUM] == aq_checksum(fields, FIELD_CHECKSUM * sizeof *fields));
    munmap(map, PAGE_BYTES);
    if (valid)
        *published = (struct aq_published){.durable_bytes = fields[FIELD_BYTES],
                                           .frame_count = fields[FIELD_FRAMES]};
    return valid;
}

void aq_published_remove(struct aq_store *store, uint64_t file_id)
{
    char name[64];
    page_name(file_id, name, sizeof name);
    /* Left behind, it is an orphan for gc: not worth an error. */
    unlinkat(store->home_fd, name, 0);
}
