/* Column types, as declared by users and as stored. Numbers are part of the formats on disk. */
#ifndef AQ_FORMAT_TYPES_H
#define AQ_FORMAT_TYPES_H

#include "format/base/bytes.h"

/* How a type's values lie in memory. */
enum aq_physical {
    AQ_PHYSICAL_INT,    /* int64_t: boolean (0, 1), integer, bigint, date (days), timestamptz (us);
                        timestamp (us of civil time, as if in UTC; only inside queries) */
    AQ_PHYSICAL_DOUBLE, /* double; a real is held as the double of the same value */
    AQ_PHYSICAL_SLICE,  /* struct aq_slice: text (UTF-8), bytea, json (its text) */
    AQ_PHYSICAL_INTERVAL, /* struct aq_interval; only inside queries */
};

/* name, number on disk, SQL name, physical */
#define AQ_TYPE_TABLE(X)                                         \
    X(AQ_TYPE_BOOLEAN, 1, "boolean", AQ_PHYSICAL_INT)            \
    X(AQ_TYPE_INTEGER, 2, "integer", AQ_PHYSICAL_INT)            \
    X(AQ_TYPE_BIGINT, 3, "bigint", AQ_PHYSICAL_INT)              \
    X(AQ_TYPE_REAL, 4, "real", AQ_PHYSICAL_DOUBLE)               \
    X(AQ_TYPE_DOUBLE, 5, "double precision", AQ_PHYSICAL_DOUBLE) \
    X(AQ_TYPE_TEXT, 6, "text", AQ_PHYSICAL_SLICE)                \
    X(AQ_TYPE_BYTEA, 7, "bytea", AQ_PHYSICAL_SLICE)              \
    X(AQ_TYPE_JSON, 8, "json", AQ_PHYSICAL_SLICE)                \
    X(AQ_TYPE_DATE, 9, "date", AQ_PHYSICAL_INT)                  \
    X(AQ_TYPE_TIMESTAMPTZ, 10, "timestamptz", AQ_PHYSICAL_INT)   \
    X(AQ_TYPE_INTERVAL, 11, "interval", AQ_PHYSICAL_INTERVAL)    \
    X(AQ_TYPE_TIMESTAMP, 12, "timestamp", AQ_PHYSICAL_INT)

enum aq_type {
#define AQ_TYPE_ENUM(name, number, text, physical) name = (number),
    AQ_TYPE_TABLE(AQ_TYPE_ENUM)
#undef AQ_TYPE_ENUM
};

/** PostgreSQL's three-part interval; the parts are not normalised into each other. */
struct aq_interval {
    int32_t months;
    int32_t days;
    int64_t us;
};

/** The slot of a dataset: the span of event time (UTC) it is partitioned by. */
enum aq_slot {
    AQ_SLOT_NONE = 0, /* no time column: everything is slot 0 */
    AQ_SLOT_HOUR = 1,
    AQ_SLOT_DAY = 2,
    AQ_SLOT_MONTH = 3,
};

/** Whether `number`, read from untrusted bytes, is a type that a column may have (neither interval nor
 * timestamp). */
bool aq_type_valid_column(uint8_t number);

/** SQL name, never NULL. */
const char *aq_type_name(enum aq_type type);

/** Type of an SQL name or a usual alias of it ("double", "float8", "int", "timestamp with time
 * zone" ...), case-insensitive. @return AQ_OK or AQ_NOT_FOUND. */
enum aq_status aq_type_parse(const char *name, enum aq_type *type) AQ_RESULT;

static inline enum aq_physical aq_type_physical(enum aq_type type)
{
    switch (type) {
#define AQ_TYPE_PHYSICAL(name, number, text, physical) \
    case name:                                         \
        return physical;
        AQ_TYPE_TABLE(AQ_TYPE_PHYSICAL)
#undef AQ_TYPE_PHYSICAL
    }
    return AQ_PHYSICAL_INT;
}

/** "hour", "day", "month" or "none". */
const char *aq_slot_name(enum aq_slot slot);
enum aq_status aq_slot_parse(const char *name, enum aq_slot *slot) AQ_RESULT;

/** First instant (us since 1970-01-01 UTC) of the slot that `time_us` lies in; 0 for NONE. Floors
 * also before 1970. A start that does not fit 64 bits is clamped to INT64_MIN. */
int64_t aq_slot_start(enum aq_slot slot, int64_t time_us);

/** First instant after the slot that begins at `start_us`; clamped to INT64_MAX. */
int64_t aq_slot_end(enum aq_slot slot, int64_t start_us);

/* Proleptic Gregorian calendar on days since 1970-01-01.
 * @source Howard Hinnant, "chrono-compatible low-level date algorithms". */
int64_t aq_days_from_civil(int64_t year, unsigned month, unsigned day);
void aq_civil_from_days(int64_t days, int64_t *year, unsigned *month, unsigned *day);

#define AQ_US_PER_SECOND INT64_C(1000000)
#define AQ_US_PER_HOUR (INT64_C(3600) * AQ_US_PER_SECOND)
#define AQ_US_PER_DAY (INT64_C(24) * AQ_US_PER_HOUR)

/** Floor division, for positive divisors. */
static inline int64_t aq_floor_div(int64_t value, int64_t divisor)
{
    int64_t quotient = value / divisor;
    return quotient - (value % divisor < 0);
}

#endif
