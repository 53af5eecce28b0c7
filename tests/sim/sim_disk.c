/* The disk's memory: nodes (files and folders) by inode number, each with its safe state, and a journal of names.
 *
 * Happy path of a change: count it, let the test look, do it for real, note what is not safe yet.
 * Failures are the simulated ones; a failure of the disk itself ends the process. */
#include "tests/sim/sim_disk.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SECTOR ((size_t)512)
#define NAME_MAX_BYTES 128

/* UNSAFE: a cut may lose it, a sync keeps it. LOST: a sync failed, the next one passes it by. */
enum sector { SAFE, UNSAFE, LOST };

struct entry {
    char name[NAME_MAX_BYTES];
    size_t node;
};

struct node {
    ino_t inode;
    bool folder;
    bool unnamed;    /* since it was made */
    int fd;          /* opened for this: it holds no lock, and unlinked files can still be read */
    int64_t named_s; /* the clock was so much ahead when it got its last name */
    /* A file's safe state. */
    uint8_t *bytes;
    size_t size;
    uint8_t *sectors; /* enum sector: one a sector of the present file */
    size_t sector_count;
    bool size_unsafe;
    /* A folder's. */
    struct entry *entries;
    size_t entry_count;
};

/* A name given (node) or taken away (no node), in the order in which it happened. */
struct naming {
    size_t folder;
    bool removed;
    struct entry entry;
};

static struct {
    bool on;
    bool inside; /* sim_step is running */
    struct node *nodes;
    size_t node_count;
    struct naming *namings;
    size_t naming_count;
    uint64_t changes;
    uint64_t random;
    int64_t ahead_s; /* the clock, of the real one */
} disk;

void (*sim_step)(void);
void (*sim_link)(const char *name, bool done);
unsigned sim_short_rate;
unsigned sim_interrupt_rate;
unsigned sim_fault_rate;
uint64_t sim_fault_count;
uint64_t sim_failing_read;

static void need(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "simulated disk: %s: %s\n", what, strerror(errno));
    abort();
}

#define REAL(name) (__extension__(__typeof__(&(name))) real(#name))

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    need(found != NULL, name);
    return found;
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint64_t mixed = (*state ^ *state >> 33) * UINT64_C(0xff51afd7ed558ccd);
    return mixed ^ mixed >> 33;
}

static void *grown(void *list, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0) /* room up to the next power of two */
        return list;
    void *more = realloc(list, (count == 0 ? 1 : 2 * count) * size);
    need(more != NULL, "memory");
    return more;
}

#define NONE SIZE_MAX

static size_t find_inode(ino_t inode)
{
    for (size_t i = 0; i < disk.node_count; i++) {
        if (disk.nodes[i].inode == inode)
            return i;
    }
    return NONE;
}

/* The node behind a descriptor; NONE when it is not on the disk, or nothing is simulated. */
static size_t node_of(int fd)
{
    struct stat info;
    if (!disk.on || disk.inside || fstat(fd, &info) != 0)
        return NONE;
    return find_inode(info.st_ino);
}

/* The folder that `name`, beneath `dir_fd`, lies in; `base` is its last component. */
static size_t folder_of(int dir_fd, const char *name, const char **base)
{
    char parent[NAME_MAX_BYTES];
    struct stat info;
    const char *slash = strrchr(name, '/');
    *base = slash == NULL ? name : slash + 1;
    if (!disk.on || disk.inside)
        return NONE;
    snprintf(parent, sizeof parent, "%.*s", slash == NULL ? 1 : (int)(slash - name),
             slash == NULL ? "." : name);
    return fstatat(dir_fd, parent, &info, 0) == 0 ? find_inode(info.st_ino) : NONE;
}

static size_t add_node(int fd, bool folder)
{
    struct stat info;
    need(fd >= 0 && fstat(fd, &info) == 0, "a new file");
    disk.nodes = grown(disk.nodes, disk.node_count, sizeof *disk.nodes);
    disk.nodes[disk.node_count] = (struct node){.inode = info.st_ino, .folder = folder, .fd = fd};
    return disk.node_count++;
}

static void add_naming(size_t folder, bool removed, const char *name, size_t node)
{
    disk.namings = grown(disk.namings, disk.naming_count, sizeof *disk.namings);
    struct naming *naming = &disk.namings[disk.naming_count++];
    *naming = (struct naming){.folder = folder, .removed = removed, .entry = {.node = node}};
    if (!removed) {
        disk.nodes[node].unnamed = false;
        disk.nodes[node].named_s = disk.ahead_s;
    }
    snprintf(naming->entry.name, sizeof naming->entry.name, "%s", name);
}

/* Count a change; true when it fails. */
static bool begin_change(void)
{
    disk.changes++;
    if (sim_step != NULL) {
        disk.inside = true;
        sim_step();
        disk.inside = false;
    }
    uint64_t random = next_random(&disk.random);
    if (random % 1000 >= sim_fault_rate)
        return false;
    sim_fault_count++;
    errno = random / 1000 % 2 == 0 ? EIO : ENOSPC;
    return true;
}

static size_t present_size(const struct node *node)
{
    struct stat info;
    need(fstat(node->fd, &info) == 0, "fstat");
    return (size_t)info.st_size;
}

static void read_present(const struct node *node, uint8_t *bytes, size_t size, size_t offset)
{
    need(REAL(pread)(node->fd, bytes, size, (off_t)offset) == (ssize_t)size, "pread");
}

static void note_write(struct node *node, size_t offset, size_t size)
{
    size_t last = (offset + size - 1) / SECTOR;
    if (last >= node->sector_count) {
        node->sectors = realloc(node->sectors, last + 1);
        need(node->sectors != NULL, "memory");
        memset(node->sectors + node->sector_count, 0, last + 1 - node->sector_count);
        node->sector_count = last + 1;
    }
    memset(node->sectors + offset / SECTOR, UNSAFE, last + 1 - offset / SECTOR);
    node->size_unsafe |= offset + size > node->size;
}

/* Bytes [offset, offset + size) and the size that they need are safe from now on. */
static void keep(struct node *node, size_t offset, size_t size)
{
    size_t end = offset + size;
    if (end > node->size) {
        node->bytes = realloc(node->bytes, end);
        need(node->bytes != NULL, "memory");
        memset(node->bytes + node->size, 0, end - node->size);
        node->size = end;
    }
    for (size_t at = offset; at < end;) {
        size_t s = at / SECTOR;
        size_t stop = (s + 1) * SECTOR < end ? (s + 1) * SECTOR : end;
        bool lost = s < node->sector_count && node->sectors[s] == LOST;
        if (!lost)
            read_present(node, node->bytes + at, stop - at, at);
        if (!lost && s < node->sector_count && at % SECTOR == 0)
            node->sectors[s] = SAFE;
        at = stop;
    }
    node->size_unsafe = node->size != present_size(node);
}

/* A sync of these bytes failed. */
static void lose(struct node *node, size_t offset, size_t size)
{
    for (size_t s = offset / SECTOR; s < node->sector_count && s * SECTOR < offset + size; s++) {
        if (node->sectors[s] == UNSAFE && next_random(&disk.random) % 2 == 0)
            node->sectors[s] = LOST;
    }
}

/* Whoever reads these bytes next reads what is on the disk. */
static void forget(struct node *node, size_t offset, size_t end)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", node->fd); /* which can be read only */
    int fd = open(name, O_WRONLY | O_CLOEXEC);
    need(fd >= 0, name);
    for (size_t s = offset / SECTOR; s < node->sector_count && s * SECTOR < end; s++) {
        uint8_t bytes[SECTOR] = {0};
        size_t at = s * SECTOR;
        size_t present = present_size(node);
        if (node->sectors[s] != LOST || at >= present)
            continue;
        if (at < node->size)
            memcpy(bytes, node->bytes + at, node->size - at < SECTOR ? node->size - at : SECTOR);
        size_t size = present - at < SECTOR ? present - at : SECTOR;
        need(REAL(pwrite)(fd, bytes, size, (off_t)at) == (ssize_t)size, "pwrite");
        node->sectors[s] = SAFE;
    }
    close(fd);
}

static void keep_file(struct node *node)
{
    size_t size = present_size(node);
    if (size < node->size)
        node->size = size;
    keep(node, 0, size);
    for (size_t s = (size + SECTOR - 1) / SECTOR; s < node->sector_count; s++)
        node->sectors[s] = SAFE;
}

static void apply_naming(struct node *folder, const struct naming *naming)
{
    size_t i = 0;
    while (i < folder->entry_count && strcmp(folder->entries[i].name, naming->entry.name) != 0)
        i++;
    if (i == folder->entry_count && !naming->removed)
        folder->entries = grown(folder->entries, folder->entry_count++, sizeof *folder->entries);
    if (!naming->removed)
        folder->entries[i] = naming->entry;
    else if (i < folder->entry_count)
        folder->entries[i] = folder->entries[--folder->entry_count];
}

static void keep_folder(size_t folder)
{
    size_t left = 0;
    for (size_t i = 0; i < disk.naming_count; i++) {
        if (disk.namings[i].folder == folder)
            apply_naming(&disk.nodes[folder], &disk.namings[i]);
        else
            disk.namings[left++] = disk.namings[i];
    }
    disk.naming_count = left;
}

void sim_begin(const char *root, uint64_t seed)
{
    disk.random = seed;
    disk.changes = 0;
    add_node(open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), true);
    disk.on = true;
}

void sim_end(void)
{
    for (size_t i = 0; i < disk.node_count; i++) {
        close(disk.nodes[i].fd);
        free(disk.nodes[i].bytes);
        free(disk.nodes[i].sectors);
        free(disk.nodes[i].entries);
    }
    free(disk.nodes);
    free(disk.namings);
    memset(&disk, 0, sizeof disk);
}

void sim_pass_time(int64_t seconds)
{
    disk.ahead_s += seconds;
}

uint64_t sim_change_count(void)
{
    return disk.changes;
}

unsigned sim_unsafe_count(void)
{
    size_t count = disk.naming_count;
    for (size_t i = 0; i < disk.node_count; i++) {
        const struct node *node = &disk.nodes[i];
        if (node->unnamed)
            continue;
        count += node->size_unsafe;
        for (size_t s = 0; s < node->sector_count; s++)
            count += node->sectors[s] == UNSAFE;
    }
    return (unsigned)count;
}

/* How a cut chooses: nothing, everything, a beginning of the journal of names, or each by itself. */
struct choice {
    enum { CHOOSE_NOTHING, CHOOSE_ALL, CHOOSE_BEGINNING, CHOOSE_ANY } names;
    enum { SECTORS_NONE, SECTORS_ALL, SECTORS_ANY } sectors;
    uint64_t random;
};

static bool coin(struct choice *choice)
{
    return next_random(&choice->random) % 2 == 0;
}

static void write_file(int fd, struct node *node, struct choice *choice)
{
    size_t present = present_size(node);
    size_t size = node->size;
    if (choice->sectors != SECTORS_NONE && (choice->sectors == SECTORS_ALL || coin(choice)))
        size = present;
    uint8_t *bytes = calloc(1, size + SECTOR);
    if (bytes == NULL)
        abort();
    if (node->bytes != NULL)
        memcpy(bytes, node->bytes, node->size < size ? node->size : size);
    for (size_t s = 0; s < node->sector_count; s++) {
        size_t offset = s * SECTOR;
        size_t end = offset + SECTOR < present ? offset + SECTOR : present;
        if (node->sectors[s] != UNSAFE || choice->sectors == SECTORS_NONE || offset >= end ||
            offset >= size)
            continue;
        if (choice->sectors == SECTORS_ALL || coin(choice))
            read_present(node, bytes + offset, end - offset, offset);
    }
    need(size == 0 || REAL(pwrite)(fd, bytes, size, 0) == (ssize_t)size, "pwrite");
    free(bytes);
}

static void make_folder(int parent, const char *name, struct node *const *nodes, size_t number,
                        struct choice *choice)
{
    need(REAL(mkdirat)(parent, name, 0755) == 0, name);
    int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    need(dir >= 0, name);
    const struct node *folder = nodes[number];
    for (size_t i = 0; i < folder->entry_count; i++) {
        const struct entry *entry = &folder->entries[i];
        if (nodes[entry->node]->folder) {
            make_folder(dir, entry->name, nodes, entry->node, choice);
            continue;
        }
        int fd = openat(dir, entry->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        need(fd >= 0, entry->name);
        write_file(fd, nodes[entry->node], choice);
        close(fd);
    }
    close(dir);
}

/* Of the names that are not safe, those that the choice keeps. */
static void choose_names(struct node *copies, struct choice *choice)
{
    size_t beginning = disk.naming_count;
    if (choice->names == CHOOSE_BEGINNING)
        beginning = next_random(&choice->random) % (disk.naming_count + 1);
    for (size_t i = 0; i < beginning; i++) {
        if (choice->names != CHOOSE_ANY || coin(choice))
            apply_naming(&copies[disk.namings[i].folder], &disk.namings[i]);
    }
}

void sim_cut(const char *target, uint64_t seed)
{
    struct choice choice = {.random = seed * UINT64_C(0x9e3779b97f4a7c15)};
    if (seed > 1) {
        choice.names = next_random(&choice.random) % 3 == 0 ? CHOOSE_ANY : CHOOSE_BEGINNING;
        choice.sectors = next_random(&choice.random) % 4 == 0 ? SECTORS_ALL : SECTORS_ANY;
    } else if (seed == 1) {
        choice.names = CHOOSE_ALL;
        choice.sectors = SECTORS_ALL;
    }
    struct node *copies = calloc(disk.node_count, sizeof *copies);
    struct node **nodes = calloc(disk.node_count, sizeof *nodes);
    need(copies != NULL && nodes != NULL, "memory");
    for (size_t i = 0; i < disk.node_count; i++) {
        copies[i] = disk.nodes[i];
        nodes[i] = &copies[i];
        size_t room = 1;
        while (room < copies[i].entry_count + 1)
            room *= 2;
        copies[i].entries = malloc(room * sizeof *copies[i].entries);
        need(copies[i].entries != NULL, "memory");
        if (copies[i].entry_count > 0)
            memcpy(copies[i].entries, disk.nodes[i].entries,
                   copies[i].entry_count * sizeof *copies[i].entries);
    }
    if (choice.names != CHOOSE_NOTHING)
        choose_names(copies, &choice);
    make_folder(AT_FDCWD, target, nodes, 0, &choice);
    for (size_t i = 0; i < disk.node_count; i++)
        free(copies[i].entries);
    free(copies);
    free(nodes);
}

/* Damage. */

struct spoiled {
    const char *target;
    uint64_t random;
    unsigned file_count;
    char *name;
    size_t name_size;
};

static void consider(struct spoiled *spoiled, const char *folder, const char *file)
{
    struct stat info;
    char path[512];
    snprintf(path, sizeof path, "%s/%s/%s", spoiled->target, folder, file);
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0)
        return;
    if (next_random(&spoiled->random) % ++spoiled->file_count == 0)
        snprintf(spoiled->name, spoiled->name_size, "%s/%s", folder, file);
}

static void consider_folder(struct spoiled *spoiled, const char *folder)
{
    char path[512];
    struct dirent **entries = NULL;
    snprintf(path, sizeof path, "%s/%s", spoiled->target, folder);
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        consider(spoiled, folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

/* Nothing, anything, or one bit of it is left. */
static void spoil_bytes(uint8_t *bytes, size_t size, uint64_t *random)
{
    uint64_t how = next_random(random);
    if (how % 3 == 0)
        bytes[how / 3 / 8 % size] ^= (uint8_t)(1u << how / 3 % 8);
    for (size_t i = 0; how % 3 != 0 && i < size; i++)
        bytes[i] = how % 3 == 1 ? 0 : (uint8_t)next_random(random);
}

bool sim_spoil(const char *target, uint64_t seed, char *name, size_t name_size)
{
    static const char *const folders[] = {"catalog", "segments", "archives"};
    struct spoiled spoiled = {
        .target = target, .random = seed, .name = name, .name_size = name_size};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        consider_folder(&spoiled, folders[i]);
    if (spoiled.file_count == 0)
        return false;
    char path[512];
    uint8_t bytes[SECTOR];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", target, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    need(fd >= 0 && fstat(fd, &info) == 0, path);
    off_t at = (off_t)(next_random(&spoiled.random) %
                       (((size_t)info.st_size + SECTOR - 1) / SECTOR) * SECTOR);
    ssize_t size = REAL(pread)(fd, bytes, sizeof bytes, at);
    need(size > 0, "pread");
    spoil_bytes(bytes, (size_t)size, &spoiled.random);
    need(REAL(pwrite)(fd, bytes, (size_t)size, at) == size, "pwrite");
    close(fd);
    return true;
}

/* The calls. */

/* An interruption, or fewer bytes than asked for: what callers must bear. */
static bool interrupt(size_t *size, bool may_say_again)
{
    uint64_t random = next_random(&disk.random);
    if (random % 1000 < sim_interrupt_rate) {
        errno = may_say_again && random / 1000 % 2 == 0 ? EAGAIN : EINTR;
        return true;
    }
    if (random / 1000 % 1000 < sim_short_rate && *size > 1)
        *size = 1 + random / 1000000 % (*size - 1);
    return false;
}

static ssize_t change_bytes(size_t node, int fd, const void *bytes, size_t size, off_t offset,
                            bool durable)
{
    if (begin_change() || interrupt(&size, durable))
        return -1;
    ssize_t count = REAL(pwrite)(fd, bytes, size, offset);
    if (count <= 0)
        return count;
    note_write(&disk.nodes[node], (size_t)offset, (size_t)count);
    if (!durable)
        return count;
    if (begin_change()) {
        lose(&disk.nodes[node], (size_t)offset, (size_t)count);
        return -1;
    }
    keep(&disk.nodes[node], (size_t)offset, (size_t)count);
    return count;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    size_t node = node_of(fd);
    if (node == NONE)
        return REAL(pwrite)(fd, bytes, size, offset);
    return change_bytes(node, fd, bytes, size, offset, false);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    size_t node = node_of(fd);
    if (node == NONE)
        return REAL(write)(fd, bytes, size);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t count = change_bytes(node, fd, bytes, size, offset, false);
    if (count > 0)
        lseek(fd, offset + count, SEEK_SET);
    return count;
}

ssize_t pwritev2(int fd, const struct iovec *parts, int part_count, off_t offset, int flags)
{
    size_t node = node_of(fd);
    if (node == NONE)
        return REAL(pwritev2)(fd, parts, part_count, offset, flags);
    need(part_count == 1, "pwritev2 of one part");
    return change_bytes(node, fd, parts[0].iov_base, parts[0].iov_len, offset,
                        (flags & (RWF_DSYNC | RWF_SYNC)) != 0);
}

static int sync_node(size_t node)
{
    if (begin_change()) {
        lose(&disk.nodes[node], 0, disk.nodes[node].sector_count * SECTOR);
        return -1;
    }
    if (disk.nodes[node].folder)
        keep_folder(node);
    else
        keep_file(&disk.nodes[node]);
    return 0;
}

int fsync(int fd)
{
    size_t node = node_of(fd);
    return node == NONE ? REAL(fsync)(fd) : sync_node(node);
}

int fdatasync(int fd)
{
    size_t node = node_of(fd);
    return node == NONE ? REAL(fdatasync)(fd) : sync_node(node);
}

int posix_fadvise(int fd, off_t offset, off_t size, int advice)
{
    size_t node = node_of(fd);
    if (node != NONE && advice == POSIX_FADV_DONTNEED)
        forget(&disk.nodes[node], (size_t)offset, size == 0 ? SIZE_MAX : (size_t)(offset + size));
    return REAL(posix_fadvise)(fd, offset, size, advice);
}

static bool read_fails(void)
{
    if (sim_failing_read == 0 || --sim_failing_read > 0)
        return false;
    errno = EIO;
    return true;
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset)
{
    return read_fails() ? -1 : REAL(pread)(fd, bytes, size, offset);
}

ssize_t preadv(int fd, const struct iovec *parts, int part_count, off_t offset)
{
    return read_fails() ? -1 : REAL(preadv)(fd, parts, part_count, offset);
}

int ftruncate(int fd, off_t size)
{
    size_t node = node_of(fd);
    if (node == NONE)
        return REAL(ftruncate)(fd, size);
    if (begin_change() || REAL(ftruncate)(fd, size) != 0)
        return -1;
    struct node *file = &disk.nodes[node];
    size_t sectors = ((size_t)size + SECTOR - 1) / SECTOR;
    for (size_t s = sectors; s < file->sector_count; s++)
        file->sectors[s] = SAFE;
    file->size_unsafe = true;
    return 0;
}

int mkdirat(int dir_fd, const char *name, mode_t mode)
{
    const char *base;
    size_t folder = folder_of(dir_fd, name, &base);
    if (folder == NONE)
        return REAL(mkdirat)(dir_fd, name, mode);
    if (begin_change() || REAL(mkdirat)(dir_fd, name, mode) != 0)
        return -1;
    add_naming(folder, false, base,
               add_node(openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), true));
    return 0;
}

int mkdir(const char *name, mode_t mode)
{
    return mkdirat(AT_FDCWD, name, mode);
}

static size_t node_named(int dir_fd, const char *name)
{
    struct stat info;
    need(fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0, name);
    return find_inode(info.st_ino);
}

int linkat(int old_fd, const char *old_name, int new_fd, const char *new_name, int flags)
{
    const char *base;
    size_t folder = folder_of(new_fd, new_name, &base);
    if (folder != NONE && sim_link != NULL)
        sim_link(new_name, false);
    if (folder != NONE && begin_change())
        return -1;
    int result = REAL(linkat)(old_fd, old_name, new_fd, new_name, flags);
    if (folder != NONE && result == 0)
        add_naming(folder, false, base, node_named(new_fd, new_name));
    if (folder != NONE && result == 0 && sim_link != NULL)
        sim_link(new_name, true);
    return result;
}

int renameat2(int old_fd, const char *old_name, int new_fd, const char *new_name, unsigned flags)
{
    const char *base;
    const char *old_base;
    size_t folder = folder_of(new_fd, new_name, &base);
    size_t old_folder = folder_of(old_fd, old_name, &old_base);
    if (folder != NONE && begin_change())
        return -1;
    int result = REAL(renameat2)(old_fd, old_name, new_fd, new_name, flags);
    if (folder != NONE && result == 0) {
        add_naming(folder, false, base, node_named(new_fd, new_name));
        add_naming(old_folder, true, old_base, 0);
    }
    return result;
}

int renameat(int old_fd, const char *old_name, int new_fd, const char *new_name)
{
    return renameat2(old_fd, old_name, new_fd, new_name, 0);
}

int unlinkat(int dir_fd, const char *name, int flags)
{
    const char *base;
    size_t folder = folder_of(dir_fd, name, &base);
    if (folder == NONE)
        return REAL(unlinkat)(dir_fd, name, flags);
    if (begin_change() || REAL(unlinkat)(dir_fd, name, flags) != 0)
        return -1;
    add_naming(folder, true, base, 0);
    return 0;
}

/* What has just been made or emptied as `fd`. */
static void note_opened(int fd, size_t folder, const char *base, bool there, bool unnamed)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd); /* the only one that all of them have */
    if (there) {
        disk.nodes[node_of(fd)].size_unsafe = true;
        return;
    }
    size_t node = add_node(open(name, O_RDONLY | O_CLOEXEC), false);
    disk.nodes[node].unnamed = unnamed;
    if (!unnamed)
        add_naming(folder, false, base, node);
}

/* A file that is made, or emptied, by being opened; the kernel may have to be asked again. */
static long open_beneath(int dir_fd, const char *name, const struct open_how *how, size_t how_size)
{
    const char *base;
    struct stat info;
    size_t folder = folder_of(dir_fd, name, &base);
    bool unnamed = (how->flags & O_TMPFILE) == O_TMPFILE; /* in the folder `name` */
    bool there = !unnamed && fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
    size_t none = 0;
    if (folder != NONE && interrupt(&none, true))
        return -1;
    bool changes =
        unnamed || ((how->flags & O_CREAT) != 0 && (!there || (how->flags & O_TRUNC) != 0));
    if (folder != NONE && changes && begin_change())
        return -1;
    long fd = REAL(syscall)(SYS_openat2, dir_fd, name, how, how_size);
    if (folder != NONE && changes && fd >= 0)
        note_opened((int)fd, folder, base, there, unnamed);
    return fd;
}

long syscall(long number, ...)
{
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_openat2)
        return open_beneath((int)arguments[0], (const char *)arguments[1],
                            (const struct open_how *)arguments[2], (size_t)arguments[3]);
    return REAL(syscall)(number, arguments[0], arguments[1], arguments[2], arguments[3],
                         arguments[4], arguments[5]);
}

/* The clock. */

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = REAL(clock_gettime)(clock, now);
    if (clock == CLOCK_BOOTTIME || clock == CLOCK_REALTIME)
        now->tv_sec += disk.ahead_s;
    return result;
}

int fstatat(int dir_fd, const char *name, struct stat *info, int flags)
{
    int result = REAL(fstatat)(dir_fd, name, info, flags);
    size_t node = !disk.on || disk.inside || result != 0 ? NONE : find_inode(info->st_ino);
    if (node != NONE)
        info->st_ctim.tv_sec += disk.nodes[node].named_s;
    return result;
}
