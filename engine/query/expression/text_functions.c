/* Functions on text. Lengths and positions count characters (code points of UTF-8); upper and lower
 * change ASCII letters only, as in PostgreSQL's C locale. Results live in the evaluation's arena or
 * borrow from an argument. */
#include "engine/query/expression/function.h"

#include <string.h>

#define TEXT_BYTES_MAX ((size_t)64 << 20)

static enum aq_status too_long(struct aq_eval *eval, const struct aq_expr *expr)
{
    return aq_eval_error(eval, expr, AQ_LIMIT, "the text would be longer than 64 MiB");
}

/* Bytes of the first `count` characters of `text`, all of it if there are fewer. */
static size_t prefix_bytes(struct aq_slice text, int64_t count)
{
    size_t at = 0;
    while (at < text.size && count > 0) {
        at++;
        while (at < text.size && (text.data[at] & 0xc0) == 0x80)
            at++;
        count--;
    }
    return at;
}

static int64_t character_count(struct aq_slice text)
{
    int64_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += (text.data[i] & 0xc0) != 0x80;
    return count;
}

static struct aq_slice slice_from(struct aq_slice text, size_t offset)
{
    return aq_slice_make(text.data + offset, text.size - offset);
}

/* Offset of the first `needle` at or after `from`, or SIZE_MAX. */
static size_t find_bytes(struct aq_slice text, struct aq_slice needle, size_t from)
{
    if (needle.size == 0)
        return from;
    if (text.size < from || text.size - from < needle.size)
        return SIZE_MAX;
    const uint8_t *hit = memmem(text.data + from, text.size - from, needle.data, needle.size);
    return hit == NULL ? SIZE_MAX : (size_t)(hit - text.data);
}

static enum aq_status change_case(struct aq_eval *eval, const struct aq_vector *from,
                                  size_t row_count, struct aq_vector *out, uint8_t first)
{
    for (size_t i = 0; i < row_count; i++) {
        out->slices[i] = (struct aq_slice){0};
        if (!aq_row_valid(out, i))
            continue;
        struct aq_slice text = from->slices[i];
        uint8_t *copy = aq_arena_copy(&eval->arena, text.data, text.size);
        if (copy == NULL)
            return AQ_NO_MEMORY;
        for (size_t b = 0; b < text.size; b++)
            if (copy[b] >= first && copy[b] < first + 26)
                copy[b] ^= 0x20;
        out->slices[i] = aq_slice_make(copy, text.size);
    }
    return AQ_OK;
}

static enum aq_status upper(struct aq_eval *eval, const struct aq_expr *expr,
                            const struct aq_vector *const *args, size_t row_count,
                            struct aq_vector *out)
{
    (void)expr;
    return change_case(eval, args[0], row_count, out, 'a');
}

static enum aq_status lower(struct aq_eval *eval, const struct aq_expr *expr,
                            const struct aq_vector *const *args, size_t row_count,
                            struct aq_vector *out)
{
    (void)expr;
    return change_case(eval, args[0], row_count, out, 'A');
}

static enum aq_status length(struct aq_eval *eval, const struct aq_expr *expr,
                             const struct aq_vector *const *args, size_t row_count,
                             struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++)
        out->ints[i] = aq_row_valid(out, i) ? character_count(args[0]->slices[i]) : 0;
    return AQ_OK;
}

static enum aq_status octet_length(struct aq_eval *eval, const struct aq_expr *expr,
                                   const struct aq_vector *const *args, size_t row_count,
                                   struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++)
        out->ints[i] = (int64_t)args[0]->slices[i].size;
    return AQ_OK;
}

/* Characters [start, end) counted from 1; both may lie outside. */
static struct aq_slice characters(struct aq_slice text, int64_t start, int64_t end)
{
    if (start < 1)
        start = 1;
    if (end <= start)
        return aq_slice_make(text.data, 0);
    size_t from = prefix_bytes(text, start - 1);
    struct aq_slice rest = slice_from(text, from);
    return aq_slice_make(rest.data, prefix_bytes(rest, end - start));
}

static enum aq_status substr_from(struct aq_eval *eval, const struct aq_expr *expr,
                                  const struct aq_vector *const *args, size_t row_count,
                                  struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++)
        if (aq_row_valid(out, i))
            out->slices[i] = characters(args[0]->slices[i], args[1]->ints[i], INT64_MAX);
    return AQ_OK;
}

static enum aq_status substr_for(struct aq_eval *eval, const struct aq_expr *expr,
                                 const struct aq_vector *const *args, size_t row_count,
                                 struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++) {
        if (!aq_row_valid(out, i))
            continue;
        if (args[2]->ints[i] < 0)
            return aq_eval_error(eval, expr, AQ_INVALID, "negative substring length not allowed");
        out->slices[i] =
            characters(args[0]->slices[i], args[1]->ints[i], args[1]->ints[i] + args[2]->ints[i]);
    }
    return AQ_OK;
}

/* left('abcde', 2) = 'ab', left('abcde', -2) = 'abc'; right likewise from the end. */
static enum aq_status left(struct aq_eval *eval, const struct aq_expr *expr,
                           const struct aq_vector *const *args, size_t row_count,
                           struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++) {
        if (!aq_row_valid(out, i))
            continue;
        struct aq_slice text = args[0]->slices[i];
        int64_t count = args[1]->ints[i];
        if (count < 0)
            count += character_count(text);
        out->slices[i] = aq_slice_make(text.data, prefix_bytes(text, count));
    }
    return AQ_OK;
}

static enum aq_status right(struct aq_eval *eval, const struct aq_expr *expr,
                            const struct aq_vector *const *args, size_t row_count,
                            struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++) {
        if (!aq_row_valid(out, i))
            continue;
        struct aq_slice text = args[0]->slices[i];
        int64_t skip = -args[1]->ints[i];
        if (skip <= 0)
            skip += character_count(text);
        out->slices[i] = slice_from(text, prefix_bytes(text, skip));
    }
    return AQ_OK;
}

static bool has_character(struct aq_slice set, const uint8_t *character, size_t size)
{
    return find_bytes(set, aq_slice_make(character, size), 0) != SIZE_MAX;
}

static struct aq_slice trim_left(struct aq_slice text, struct aq_slice set)
{
    while (text.size > 0) {
        size_t size = prefix_bytes(text, 1);
        if (!has_character(set, text.data, size))
            break;
        text = slice_from(text, size);
    }
    return text;
}

static struct aq_slice trim_right(struct aq_slice text, struct aq_slice set)
{
    while (text.size > 0) {
        size_t at = text.size - 1;
        while (at > 0 && (text.data[at] & 0xc0) == 0x80)
            at--;
        if (!has_character(set, text.data + at, text.size - at))
            break;
        text.size = at;
    }
    return text;
}

enum trim_side { TRIM_LEFT = 1, TRIM_RIGHT = 2, TRIM_BOTH = 3 };

static enum aq_status trim(const struct aq_expr *expr, const struct aq_vector *const *args,
                           size_t row_count, struct aq_vector *out, enum trim_side side)
{
    for (size_t i = 0; i < row_count; i++) {
        if (!aq_row_valid(out, i))
            continue;
        struct aq_slice set = expr->arg_count > 1 ? args[1]->slices[i] : aq_slice_make(" ", 1);
        struct aq_slice text = args[0]->slices[i];
        if (side & TRIM_LEFT)
            text = trim_left(text, set);
        if (side & TRIM_RIGHT)
            text = trim_right(text, set);
        out->slices[i] = text;
    }
    return AQ_OK;
}

#define TRIM_KERNEL(name, side)                                                       \
    static enum aq_status name(struct aq_eval *eval, const struct aq_expr *expr,      \
                               const struct aq_vector *const *args, size_t row_count, \
                               struct aq_vector *out)                                 \
    {                                                                                 \
        (void)eval;                                                                   \
        return trim(expr, args, row_count, out, side);                                \
    }
TRIM_KERNEL(btrim, TRIM_BOTH)
TRIM_KERNEL(ltrim, TRIM_LEFT)
TRIM_KERNEL(rtrim, TRIM_RIGHT)

/* Join the values of row `row` that are not null, `separator` between them. */
static enum aq_status join_row(struct aq_eval *eval, const struct aq_expr *expr,
                               const struct aq_vector *const *args, size_t first, size_t row,
                               struct aq_slice separator, struct aq_slice *joined)
{
    size_t size = 0;
    size_t parts = 0;
    for (size_t a = first; a < expr->arg_count; a++) {
        if (!aq_row_valid(args[a], row))
            continue;
        size += args[a]->slices[row].size + (parts++ > 0 ? separator.size : 0);
        if (size > TEXT_BYTES_MAX)
            return too_long(eval, expr);
    }
    struct aq_bytes out = {.data = aq_arena_alloc(&eval->arena, size), .capacity = size};
    if (out.data == NULL)
        return AQ_NO_MEMORY;
    parts = 0;
    for (size_t a = first; a < expr->arg_count; a++) {
        if (!aq_row_valid(args[a], row))
            continue;
        if (parts++ > 0)
            aq_bytes_append(&out, separator.data, separator.size);
        aq_bytes_append(&out, args[a]->slices[row].data, args[a]->slices[row].size);
    }
    *joined = aq_bytes_view(&out);
    return AQ_OK;
}

/* concat passes over nulls, || is strict; both come here. */
static enum aq_status concat(struct aq_eval *eval, const struct aq_expr *expr,
                             const struct aq_vector *const *args, size_t row_count,
                             struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++)
        if (aq_row_valid(out, i))
            AQ_TRY(join_row(eval, expr, args, 0, i, (struct aq_slice){0}, &out->slices[i]));
    return AQ_OK;
}

static enum aq_status concat_ws(struct aq_eval *eval, const struct aq_expr *expr,
                                const struct aq_vector *const *args, size_t row_count,
                                struct aq_vector *out)
{
    AQ_TRY(aq_vector_need_validity(out));
    for (size_t i = 0; i < row_count; i++) {
        out->valid[i] = aq_row_valid(args[0], i);
        if (out->valid[i])
            AQ_TRY(join_row(eval, expr, args, 1, i, args[0]->slices[i], &out->slices[i]));
    }
    return AQ_OK;
}

static enum aq_status replace_row(struct aq_eval *eval, const struct aq_expr *expr,
                                  struct aq_slice text, struct aq_slice from, struct aq_slice to,
                                  struct aq_slice *result)
{
    *result = text;
    size_t hits = 0;
    for (size_t at = 0; from.size > 0 && (at = find_bytes(text, from, at)) != SIZE_MAX;
         at += from.size)
        hits++;
    if (hits == 0)
        return AQ_OK;
    if (to.size > 0 && hits > TEXT_BYTES_MAX / to.size)
        return too_long(eval, expr);
    size_t size = text.size - hits * from.size + hits * to.size;
    if (size > TEXT_BYTES_MAX)
        return too_long(eval, expr);
    struct aq_bytes out = {.data = aq_arena_alloc(&eval->arena, size), .capacity = size};
    if (out.data == NULL)
        return AQ_NO_MEMORY;
    size_t at = 0;
    for (size_t hit = 0; (hit = find_bytes(text, from, at)) != SIZE_MAX; at = hit + from.size) {
        aq_bytes_append(&out, text.data + at, hit - at);
        aq_bytes_append(&out, to.data, to.size);
    }
    aq_bytes_append(&out, text.data + at, text.size - at);
    *result = aq_bytes_view(&out);
    return AQ_OK;
}

static enum aq_status replace(struct aq_eval *eval, const struct aq_expr *expr,
                              const struct aq_vector *const *args, size_t row_count,
                              struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++)
        if (aq_row_valid(out, i))
            AQ_TRY(replace_row(eval, expr, args[0]->slices[i], args[1]->slices[i],
                               args[2]->slices[i], &out->slices[i]));
    return AQ_OK;
}

/* Field `wanted` (from 1; negative: from the end) of `text` cut at each `separator`. */
static struct aq_slice field_of(struct aq_slice text, struct aq_slice separator, int64_t wanted)
{
    struct aq_slice none = aq_slice_make(text.data, 0);
    if (separator.size == 0 || text.size == 0)
        return wanted == 1 || wanted == -1 ? text : none;
    if (wanted < 0) {
        int64_t fields = 1;
        for (size_t at = 0; (at = find_bytes(text, separator, at)) != SIZE_MAX;
             at += separator.size)
            fields++;
        wanted += fields + 1;
    }
    size_t start = 0;
    for (int64_t field = 1;; field++) {
        size_t end = find_bytes(text, separator, start);
        if (field == wanted)
            return aq_slice_make(text.data + start, (end == SIZE_MAX ? text.size : end) - start);
        if (end == SIZE_MAX || wanted < 1)
            return none;
        start = end + separator.size;
    }
}

static enum aq_status split_part(struct aq_eval *eval, const struct aq_expr *expr,
                                 const struct aq_vector *const *args, size_t row_count,
                                 struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++) {
        if (!aq_row_valid(out, i))
            continue;
        if (args[2]->ints[i] == 0)
            return aq_eval_error(eval, expr, AQ_INVALID, "field position must not be zero");
        out->slices[i] = field_of(args[0]->slices[i], args[1]->slices[i], args[2]->ints[i]);
    }
    return AQ_OK;
}

static enum aq_status starts_with(struct aq_eval *eval, const struct aq_expr *expr,
                                  const struct aq_vector *const *args, size_t row_count,
                                  struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++) {
        struct aq_slice text = args[0]->slices[i];
        struct aq_slice prefix = args[1]->slices[i];
        out->ints[i] = aq_row_valid(out, i) && text.size >= prefix.size &&
                       aq_slice_equal(aq_slice_make(text.data, prefix.size), prefix);
    }
    return AQ_OK;
}

static enum aq_status position(struct aq_eval *eval, const struct aq_expr *expr,
                               const struct aq_vector *const *args, size_t row_count,
                               struct aq_vector *out)
{
    (void)eval;
    (void)expr;
    for (size_t i = 0; i < row_count; i++) {
        out->ints[i] = 0;
        if (!aq_row_valid(out, i))
            continue;
        struct aq_slice text = args[0]->slices[i];
        size_t at = find_bytes(text, args[1]->slices[i], 0);
        if (at != SIZE_MAX)
            out->ints[i] = character_count(aq_slice_make(text.data, at)) + 1;
    }
    return AQ_OK;
}

static enum aq_status reverse(struct aq_eval *eval, const struct aq_expr *expr,
                              const struct aq_vector *const *args, size_t row_count,
                              struct aq_vector *out)
{
    (void)expr;
    for (size_t i = 0; i < row_count; i++) {
        if (!aq_row_valid(out, i))
            continue;
        struct aq_slice text = args[0]->slices[i];
        uint8_t *copy = aq_arena_alloc(&eval->arena, text.size);
        if (copy == NULL)
            return AQ_NO_MEMORY;
        out->slices[i] = aq_slice_make(copy, text.size);
        for (size_t end = text.size; text.size > 0;) {
            size_t size = prefix_bytes(text, 1);
            end -= size;
            memcpy(copy + end, text.data, size);
            text = slice_from(text, size);
        }
    }
    return AQ_OK;
}

static enum aq_status repeat(struct aq_eval *eval, const struct aq_expr *expr,
                             const struct aq_vector *const *args, size_t row_count,
                             struct aq_vector *out)
{
    for (size_t i = 0; i < row_count; i++) {
        if (!aq_row_valid(out, i))
            continue;
        struct aq_slice text = args[0]->slices[i];
        size_t count = args[1]->ints[i] < 0 ? 0 : (size_t)args[1]->ints[i];
        if (text.size > 0 && count > TEXT_BYTES_MAX / text.size)
            return too_long(eval, expr);
        uint8_t *copy = aq_arena_alloc(&eval->arena, text.size * count);
        if (copy == NULL)
            return AQ_NO_MEMORY;
        for (size_t c = 0; c < count && text.size > 0; c++)
            memcpy(copy + c * text.size, text.data, text.size);
        out->slices[i] = aq_slice_make(copy, text.size * count);
    }
    return AQ_OK;
}

#define T AQ_TYPE_TEXT
#define I AQ_TYPE_INTEGER
#define ROW(text, kind, count, function, ...)                                          \
    {                                                                                  \
        .name = (text), .result = (kind), .arg_count = (count), .args = {__VA_ARGS__}, \
        .kernel = (function)                                                           \
    }

static const struct aq_function functions[] = {
    ROW("upper", T, 1, upper, T),
    ROW("lower", T, 1, lower, T),
    ROW("length", I, 1, length, T),
    ROW("length", I, 1, octet_length, AQ_TYPE_BYTEA),
    ROW("char_length", I, 1, length, T),
    ROW("character_length", I, 1, length, T),
    ROW("octet_length", I, 1, octet_length, T),
    ROW("octet_length", I, 1, octet_length, AQ_TYPE_BYTEA),
    ROW("substr", T, 2, substr_from, T, I),
    ROW("substr", T, 3, substr_for, T, I, I),
    ROW("substring", T, 2, substr_from, T, I),
    ROW("substring", T, 3, substr_for, T, I, I),
    ROW("left", T, 2, left, T, I),
    ROW("right", T, 2, right, T, I),
    ROW("btrim", T, 1, btrim, T),
    ROW("btrim", T, 2, btrim, T, T),
    ROW("ltrim", T, 1, ltrim, T),
    ROW("ltrim", T, 2, ltrim, T, T),
    ROW("rtrim", T, 1, rtrim, T),
    ROW("rtrim", T, 2, rtrim, T, T),
    ROW("||", T, 2, concat, T, T),
    {.name = "concat",
     .result = T,
     .arg_count = 1,
     .args = {T},
     .kernel = concat,
     .variadic = true,
     .lenient = true},
    {.name = "concat_ws",
     .result = T,
     .arg_count = 2,
     .args = {T, T},
     .kernel = concat_ws,
     .variadic = true,
     .lenient = true},
    ROW("replace", T, 3, replace, T, T, T),
    ROW("split_part", T, 3, split_part, T, T, I),
    ROW("starts_with", AQ_TYPE_BOOLEAN, 2, starts_with, T, T),
    ROW("position", I, 2, position, T, T),
    ROW("strpos", I, 2, position, T, T),
    ROW("reverse", T, 1, reverse, T),
    ROW("repeat", T, 2, repeat, T, I),
};

const struct aq_function_list aq_text_functions = {.functions = functions,
                                                   .count = sizeof functions / sizeof functions[0]};
