/* Step 2 of a message's way: one field to one typed value (docs/import.md, "Types").
 *
 * Happy path: texts and numbers are read by the column's type; a text column takes anything as it is
 * written.
 * Failures: what does not fit is AQ_REJECT with the value and the reason; nothing is rounded, cut or
 * guessed to make it fit (a real is the nearest float, a time's seventh decimal is rounded). */
#include "engine/ingest/decode/decode.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/base/text/json_text.h"
#include "engine/base/text/number_text.h"

#define SHOWN_BYTES_MAX 80

/* "'abc' is no integer", with the value cut where it is long. */
static enum aq_status refuse(const struct aq_field *field, char *reason, const char *why)
{
    struct aq_slice text = field->text;
    bool cut = text.size > SHOWN_BYTES_MAX;
    size_t size = cut ? SHOWN_BYTES_MAX : text.size;
    while (cut && size > 0 && (text.data[size] & 0xc0) == 0x80)
        size--;
    snprintf(reason, AQ_REASON_BYTES_MAX, "'%.*s%s' %s", (int)size, (const char *)text.data,
             cut ? "..." : "", why);
    return AQ_REJECT;
}

static bool is_numeric(const struct aq_field *field)
{
    return field->kind == AQ_FIELD_NUMBER || field->kind == AQ_FIELD_TEXT;
}

static enum aq_status convert_boolean(const struct aq_field *field, struct aq_value *value,
                                      char *reason)
{
    if (field->kind == AQ_FIELD_BOOLEAN) {
        value->integer = field->text.data[0] == 't';
        return AQ_OK;
    }
    static const char *const names[2][6] = {{"false", "f", "no", "n", "off", "0"},
                                            {"true", "t", "yes", "y", "on", "1"}};
    for (int truth = 0; truth < 2; truth++) {
        for (int i = 0; i < 6; i++) {
            const char *name = names[truth][i];
            if (strlen(name) == field->text.size &&
                strncasecmp(name, (const char *)field->text.data, field->text.size) == 0) {
                value->integer = truth;
                return AQ_OK;
            }
        }
    }
    return refuse(field, reason, "is no boolean");
}

/* Scaled numbers come from decimals such as 1.1 x 10: a result within 1e-9 of an integer is that one. */
static enum aq_status scale_integer(const struct aq_column_plan *plan, const struct aq_field *field,
                                    struct aq_value *value)
{
    double real;
    AQ_TRY(aq_double_parse(field->text, &real));
    real *= plan->config->scale;
    double nearest = rint(real);
    if (!(fabs(nearest) < 9.2e18))
        return AQ_LIMIT;
    if (fabs(real - nearest) > 1e-9 * fmax(1.0, fabs(real)))
        return AQ_REJECT;
    value->integer = (int64_t)nearest;
    return AQ_OK;
}

static enum aq_status convert_integer(const struct aq_column_plan *plan,
                                      const struct aq_field *field, struct aq_value *value,
                                      char *reason)
{
    if (!is_numeric(field))
        return refuse(field, reason, "is no integer");
    enum aq_status status = plan->config->has_scale ? scale_integer(plan, field, value)
                                                    : aq_int_parse(field->text, &value->integer);
    bool narrow = plan->column->type == AQ_TYPE_INTEGER;
    if (status == AQ_LIMIT ||
        (status == AQ_OK && narrow && value->integer != (int32_t)value->integer))
        return refuse(field, reason,
                      narrow ? "does not fit integer (-2147483648..2147483647): "
                               "declare bigint"
                             : "does not fit bigint: declare double or text");
    if (status == AQ_REJECT)
        return refuse(field, reason, "is no integer");
    return status;
}

static enum aq_status convert_double(const struct aq_column_plan *plan,
                                     const struct aq_field *field, struct aq_value *value,
                                     char *reason)
{
    if (!is_numeric(field))
        return refuse(field, reason, "is no number");
    enum aq_status status = aq_double_parse(field->text, &value->real);
    if (status == AQ_REJECT)
        return refuse(field, reason, "is no number");
    if (status == AQ_LIMIT)
        return refuse(field, reason, "does not fit double precision");
    if (plan->config->has_scale && isfinite(value->real)) {
        value->real *= plan->config->scale;
        if (!isfinite(value->real))
            return refuse(field, reason, "does not fit double precision once scaled");
    }
    if (plan->column->type == AQ_TYPE_REAL && isfinite(value->real)) {
        float nearest = (float)value->real;
        if (isinf(nearest) || (nearest == 0.0f && value->real != 0.0))
            return refuse(field, reason, "does not fit real: declare double precision");
        value->real = nearest;
    }
    return status;
}

static enum aq_status keep(struct aq_slice text, bool owned, struct aq_arena *arena,
                           struct aq_value *value)
{
    if (!owned) {
        text.data = aq_arena_copy(arena, text.data, text.size);
        if (text.data == NULL)
            return AQ_NO_MEMORY;
    }
    value->slice = text;
    return AQ_OK;
}

static int hex_digit(uint8_t c)
{
    if ((unsigned)(c - '0') <= 9)
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "\x4142" as PostgreSQL writes it; any other text stands for its own bytes. */
static enum aq_status convert_bytea(const struct aq_field *field, struct aq_arena *arena,
                                    struct aq_value *value, char *reason)
{
    struct aq_slice text = field->text;
    if (text.size < 2 || text.data[0] != '\\' || text.data[1] != 'x')
        return keep(text, field->owned, arena, value);
    size_t size = (text.size - 2) / 2;
    uint8_t *bytes = aq_arena_alloc(arena, size);
    if (bytes == NULL)
        return AQ_NO_MEMORY;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(text.data[2 + 2 * i]);
        int low = hex_digit(text.data[3 + 2 * i]);
        if (high < 0 || low < 0)
            return refuse(field, reason, "is no hexadecimal bytea");
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (text.size % 2 != 0)
        return refuse(field, reason, "is no hexadecimal bytea: it has half a byte");
    value->slice = aq_slice_make(bytes, size);
    return AQ_OK;
}

static enum aq_status convert_json(const struct aq_column_plan *plan, const struct aq_field *field,
                                   struct aq_arena *arena, struct aq_value *value, char *reason)
{
    if (field->json.size > 0)
        return keep(field->json, false, arena, value);
    const char *why;
    enum aq_status status = aq_json_check(plan->json_index, field->text, &why);
    if (status == AQ_REJECT) {
        char whole[160];
        snprintf(whole, sizeof whole, "is no JSON: %s", why);
        return refuse(field, reason, whole);
    }
    AQ_TRY(status);
    return keep(field->text, field->owned, arena, value);
}

/* Decimal digits behind the point, to the microsecond, rounded half up beyond. */
static int64_t fraction_us(struct aq_slice digits, int64_t unit_us)
{
    int64_t ten_times = 0; /* tenths of a microsecond */
    int64_t place = 10 * unit_us;
    for (size_t i = 0; i < digits.size && place > 1; i++) {
        place /= 10;
        ten_times += place * (digits.data[i] - '0');
    }
    return (ten_times + 5) / 10;
}

/* A number of units since 1970: exact where it is written in plain digits, else by way of a double. */
static bool parse_epoch(struct aq_slice text, int64_t unit_us, int64_t *time_us)
{
    double real;
    if (aq_int_parse(text, time_us) == AQ_OK)
        return !__builtin_mul_overflow(*time_us, unit_us, time_us);
    if (aq_double_parse(text, &real) < 0 || !(fabs(real) * (double)unit_us < 9.2e18))
        return false;
    const uint8_t *point = memchr(text.data, '.', text.size);
    size_t whole_size = point == NULL ? 0 : (size_t)(point - text.data);
    bool plain = whole_size > 0;
    struct aq_slice digits = {0};
    if (plain)
        digits = aq_slice_make(point + 1, text.size - whole_size - 1);
    for (size_t i = 0; plain && i < digits.size; i++)
        plain = (unsigned)(digits.data[i] - '0') <= 9;
    if (!plain || aq_int_parse(aq_slice_make(text.data, whole_size), time_us) != AQ_OK) {
        *time_us = (int64_t)floor(real * (double)unit_us + 0.5);
        return true;
    }
    int64_t part_us = fraction_us(digits, unit_us);
    *time_us = *time_us * unit_us + (signbit(real) ? -part_us : part_us);
    return true;
}

static enum aq_status parse_instant(const struct aq_column_plan *plan, const struct aq_field *field,
                                    int64_t *time_us, char *reason)
{
    if (field->kind == AQ_FIELD_TIME) {
        *time_us = field->time_us;
        return AQ_OK;
    }
    switch (plan->time_form) {
    case AQ_TIME_EPOCH:
        if (!is_numeric(field) || !parse_epoch(field->text, plan->epoch_us, time_us))
            return refuse(field, reason, "is no number of time units since 1970 that fits");
        return AQ_OK;
    case AQ_TIME_PATTERN:
        if (!is_numeric(field) ||
            aq_time_parse_format(field->text, plan->pattern, plan->zone, time_us) < 0) {
            char why[160];
            snprintf(why, sizeof why, "is no time of the form '%.100s'", plan->pattern);
            return refuse(field, reason, why);
        }
        return AQ_OK;
    case AQ_TIME_TEXT:
        break;
    }
    if (field->kind == AQ_FIELD_NUMBER)
        return refuse(field, reason,
                      "is a number: say what it counts (format: epoch_s, epoch_ms or "
                      "epoch_us)");
    if (field->kind != AQ_FIELD_TEXT || aq_time_parse(field->text, plan->zone, time_us) < 0)
        return refuse(field, reason, "is no time");
    return AQ_OK;
}

static enum aq_status convert_time(const struct aq_column_plan *plan, const struct aq_field *field,
                                   struct aq_value *value, char *reason)
{
    int64_t time_us = 0;
    AQ_TRY(parse_instant(plan, field, &time_us, reason));
    if (plan->column->type == AQ_TYPE_TIMESTAMPTZ) {
        value->integer = time_us;
        return AQ_OK;
    }
    int64_t offset_us = aq_zone_offset(plan->zone, time_us) * AQ_US_PER_SECOND;
    if (__builtin_add_overflow(time_us, offset_us, &time_us))
        return refuse(field, reason, "is out of range");
    value->integer = aq_floor_div(time_us, AQ_US_PER_DAY);
    return AQ_OK;
}

/* A key, header or raw value: a bytea takes it as it is, everything else as text. */
static enum aq_status convert_bytes(const struct aq_column_plan *plan, const struct aq_field *field,
                                    struct aq_arena *arena, struct aq_value *value, char *reason)
{
    if (plan->column->type == AQ_TYPE_BYTEA)
        return keep(field->text, field->owned, arena, value);
    if (!aq_utf8_valid(field->text)) {
        snprintf(reason, AQ_REASON_BYTES_MAX, "its %zu bytes are not UTF-8: declare bytea",
                 field->text.size);
        return AQ_REJECT;
    }
    struct aq_field text = *field;
    text.kind = AQ_FIELD_TEXT;
    return aq_value_convert(plan, &text, arena, value, reason);
}

/* The text that stands for `field` after `map`. */
static const struct aq_field *mapped(const struct aq_column_config *config,
                                     const struct aq_field *field, struct aq_field *storage)
{
    for (size_t i = 0; i < config->map_count; i++) {
        if (aq_slice_equal(field->text, config->map_from[i])) {
            *storage = (struct aq_field){.kind = AQ_FIELD_TEXT, .text = config->map_to[i]};
            return storage;
        }
    }
    return field;
}

enum aq_status aq_value_convert(const struct aq_column_plan *plan, const struct aq_field *field,
                                struct aq_arena *arena, struct aq_value *value, char *reason)
{
    struct aq_field storage;
    if (plan->config->map_count > 0 && field->kind != AQ_FIELD_TIME)
        field = mapped(plan->config, field, &storage);
    value->is_null = false;
    if (field->kind == AQ_FIELD_BYTES)
        return convert_bytes(plan, field, arena, value, reason);
    switch (plan->column->type) {
    case AQ_TYPE_BOOLEAN:
        return convert_boolean(field, value, reason);
    case AQ_TYPE_INTEGER:
    case AQ_TYPE_BIGINT:
        return convert_integer(plan, field, value, reason);
    case AQ_TYPE_REAL:
    case AQ_TYPE_DOUBLE:
        return convert_double(plan, field, value, reason);
    case AQ_TYPE_TEXT:
        return keep(field->text, field->owned, arena, value);
    case AQ_TYPE_BYTEA:
        return convert_bytea(field, arena, value, reason);
    case AQ_TYPE_JSON:
        return convert_json(plan, field, arena, value, reason);
    case AQ_TYPE_DATE:
    case AQ_TYPE_TIMESTAMPTZ:
        return convert_time(plan, field, value, reason);
    default:
        break;
    }
    snprintf(reason, AQ_REASON_BYTES_MAX, "a column cannot have the type %s",
             aq_type_name(plan->column->type));
    return AQ_REJECT;
}
