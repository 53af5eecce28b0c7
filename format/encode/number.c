/* Which of the different values of a column each has.
 *
 * Happy path: a table of values met, open to the next slot, four times as large whenever it is half full. A value's slot is told
 * by its bits, which are not secret: who wants to can make values that all have one. So steps past others' slots are counted, and
 * when they are too many, values are sorted; the numbers are the same.
 *
 * Failures: no memory; more different values than wanted. */
#include "format/encode/number.h"

#include <assert.h>
#include <stdlib.h>

#include "format/base/checksum.h"

#define SLOTS_MIN 256
#define MULTIPLIER UINT64_C(0x9e3779b97f4a7c15)

struct slot {
    uint64_t key;  /* an integer, or the checksum of a slice */
    uint32_t code; /* plus one; 0: empty */
};

struct work {
    const int64_t *ints;
    const struct aq_slice *slices; /* or NULL */
    const uint8_t *valid;
    size_t count;
    size_t count_max;
    struct aq_numbers *numbers;
    struct aq_arena arena; /* the table's, and what is sorted */
    struct slot *slots;
    uint64_t slot_count;
    uint64_t shift; /* of a hash of 64 bits, so that its highest are a slot */
    uint64_t steps_left;
    uint32_t null_code; /* UINT32_MAX: no null was met */
};

/* `of_slices`, here and below, is a constant, so that there is a loop for each. */
static inline uint64_t key_of(const struct work *work, size_t at, bool of_slices)
{
    return of_slices ? aq_checksum(work->slices[at].data, work->slices[at].size)
                     : (uint64_t)work->ints[at];
}

static inline bool are_alike(const struct work *work, size_t a, size_t b, bool of_slices)
{
    return of_slices ? aq_slice_equal(work->slices[a], work->slices[b])
                     : work->ints[a] == work->ints[b];
}

/* The slot of a value, or an empty one for it; NULL: there have been too many steps. */
static inline struct slot *find_slot(struct work *work, uint64_t key, size_t at, bool of_slices)
{
    uint64_t place = key * MULTIPLIER >> work->shift;
    struct slot *slot;
    while (
        (slot = &work->slots[place])->code != 0 &&
        (slot->key != key ||
         (of_slices && !are_alike(work, work->numbers->firsts[slot->code - 1], at, of_slices)))) {
        if (work->steps_left == 0)
            return NULL;
        work->steps_left--;
        place = (place + 1) & (work->slot_count - 1);
    }
    return slot;
}

static enum aq_status make_table(struct work *work, uint64_t slot_count)
{
    work->slots = aq_arena_alloc(&work->arena, slot_count * sizeof *work->slots);
    if (work->slots == NULL)
        return AQ_NO_MEMORY;
    memset(work->slots, 0, slot_count * sizeof *work->slots);
    work->slot_count = slot_count;
    work->shift = (unsigned)__builtin_clzll(slot_count - 1);
    return AQ_OK;
}

/* AQ_LIMIT, here and below: there have been too many steps. */
static enum aq_status grow(struct work *work)
{
    const struct slot *slots = work->slots;
    uint64_t slot_count = work->slot_count;
    AQ_TRY(make_table(work, 4 * slot_count));
    for (uint64_t i = 0; i < slot_count; i++) {
        if (slots[i].code == 0)
            continue;
        uint64_t place = slots[i].key * MULTIPLIER >> work->shift;
        while (work->slots[place].code != 0) {
            if (work->steps_left == 0)
                return AQ_LIMIT;
            work->steps_left--;
            place = (place + 1) & (work->slot_count - 1);
        }
        work->slots[place] = slots[i];
    }
    return AQ_OK;
}

/* The number of a value that is met for the first time. */
static inline enum aq_status add(struct work *work, size_t at, uint32_t *code)
{
    struct aq_numbers *numbers = work->numbers;
    if (numbers->count == work->count_max)
        return AQ_NOT_FOUND;
    numbers->firsts[numbers->count] = (uint32_t)at;
    *code = numbers->count++;
    return AQ_OK;
}

static inline enum aq_status number_value(struct work *work, size_t at, bool of_slices,
                                          uint32_t *code)
{
    uint64_t key = key_of(work, at, of_slices);
    struct slot *slot = find_slot(work, key, at, of_slices);
    if (slot == NULL)
        return AQ_LIMIT;
    *code = slot->code - 1;
    if (slot->code != 0)
        return AQ_OK;
    AQ_TRY(add(work, at, code));
    *slot = (struct slot){.key = key, .code = *code + 1};
    return work->numbers->count > work->slot_count / 2 ? grow(work) : AQ_OK;
}

static inline enum aq_status number_null(struct work *work, size_t at, uint32_t *code)
{
    if (work->null_code == UINT32_MAX)
        AQ_TRY(add(work, at, &work->null_code));
    *code = work->null_code;
    return AQ_OK;
}

static inline enum aq_status number_by_table(struct work *work, bool of_slices)
{
    uint32_t *codes = work->numbers->codes;
    const uint8_t *valid = work->valid;
    uint32_t code = UINT32_MAX;
    AQ_TRY(make_table(work, SLOTS_MIN));
    for (size_t at = 0; at < work->count; at++) {
        if (valid != NULL && valid[at] == 0)
            AQ_TRY(number_null(work, at, &code));
        else if (at == 0 || code == work->null_code || !are_alike(work, at - 1, at, of_slices))
            AQ_TRY(number_value(work, at, of_slices, &code));
        codes[at] = code;
    }
    return AQ_OK;
}

struct sorted {
    uint64_t key;
    const struct aq_slice *slice; /* or NULL */
    uint32_t at;
};

static int compare(const void *a, const void *b)
{
    const struct sorted *left = a;
    const struct sorted *right = b;
    if (left->key != right->key)
        return left->key < right->key ? -1 : 1;
    int order = left->slice == NULL ? 0 : aq_slice_compare(*left->slice, *right->slice);
    return order != 0 ? order : (left->at > right->at) - (left->at < right->at);
}

/* Sort the values that are not null; codes are then places among the different ones, and a null's is the one behind. */
static enum aq_status sort_values(struct work *work, uint32_t *different_count)
{
    uint32_t *codes = work->numbers->codes;
    struct sorted *sorted = aq_arena_alloc(&work->arena, work->count * sizeof *sorted);
    size_t count = 0;
    if (sorted == NULL)
        return AQ_NO_MEMORY;
    for (size_t at = 0; at < work->count; at++) {
        if (work->valid != NULL && work->valid[at] == 0)
            continue;
        const struct aq_slice *slice = work->slices == NULL ? NULL : &work->slices[at];
        uint64_t key = key_of(work, at, slice != NULL);
        sorted[count++] = (struct sorted){.key = key, .slice = slice, .at = (uint32_t)at};
    }
    qsort(sorted, count, sizeof *sorted, compare);
    *different_count = 0;
    for (size_t i = 0; i < count; i++) {
        *different_count +=
            i > 0 && !are_alike(work, sorted[i - 1].at, sorted[i].at, work->slices != NULL);
        codes[sorted[i].at] = *different_count;
    }
    *different_count += count > 0;
    for (size_t at = 0; work->valid != NULL && at < work->count; at++)
        codes[at] = work->valid[at] == 0 ? *different_count : codes[at];
    return AQ_OK;
}

static enum aq_status number_by_sort(struct work *work)
{
    uint32_t *codes = work->numbers->codes;
    uint32_t different_count;
    AQ_TRY(sort_values(work, &different_count));
    uint32_t *numbers = aq_arena_alloc(&work->arena, (different_count + 1) * sizeof *numbers);
    if (numbers == NULL)
        return AQ_NO_MEMORY;
    memset(numbers, 0xff, (different_count + 1) * sizeof *numbers);
    work->numbers->count = 0;
    for (size_t at = 0; at < work->count; at++) {
        uint32_t *number = &numbers[codes[at]];
        if (*number == UINT32_MAX)
            AQ_TRY(add(work, at, number));
        codes[at] = *number;
    }
    return AQ_OK;
}

static inline enum aq_status number(struct work *work, struct aq_arena *arena, bool of_slices)
{
    struct aq_numbers *numbers = work->numbers;
    assert(work->count < UINT32_MAX);
    work->null_code = UINT32_MAX;
    work->count_max = work->count_max < work->count ? work->count_max : work->count;
    work->steps_left = AQ_NUMBER_STEPS_MAX * work->count;
    *numbers = (struct aq_numbers){
        .codes = aq_arena_alloc(arena, work->count * sizeof *numbers->codes),
        .firsts = aq_arena_alloc(arena, work->count_max * sizeof *numbers->firsts)};
    if (numbers->codes == NULL || numbers->firsts == NULL)
        return AQ_NO_MEMORY;
    enum aq_status status = number_by_table(work, of_slices);
    numbers->steps = AQ_NUMBER_STEPS_MAX * work->count - work->steps_left;
    if (status == AQ_LIMIT)
        status = number_by_sort(work);
    aq_arena_deinit(&work->arena);
    return status;
}

enum aq_status aq_number_ints(const int64_t *values, const uint8_t *valid, size_t count,
                              size_t count_max, struct aq_arena *arena, struct aq_numbers *numbers)
{
    struct work work = {
        .ints = values, .valid = valid, .count = count, .count_max = count_max, .numbers = numbers};
    return number(&work, arena, false);
}

enum aq_status aq_number_slices(const struct aq_slice *values, const uint8_t *valid, size_t count,
                                size_t count_max, struct aq_arena *arena,
                                struct aq_numbers *numbers)
{
    struct work work = {.slices = values,
                        .valid = valid,
                        .count = count,
                        .count_max = count_max,
                        .numbers = numbers};
    return number(&work, arena, true);
}
