/* to_char(time, pattern): the common patterns of PostgreSQL.
 *
 * The pattern is a constant and is cut into pieces while binding; a piece that PostgreSQL knows and this
 * does not is refused rather than printed. FM before a piece takes its padding away; text in double
 * quotes and all that is no letter stands for itself. */
#include <stdio.h>
#include <string.h>

#include "engine/query/expression/call_constant.h"

enum piece_kind {
    PIECE_TEXT,
    PIECE_YEAR,
    PIECE_YEAR_2,
    PIECE_ISO_YEAR,
    PIECE_MONTH,
    PIECE_MONTH_NAME,
    PIECE_MONTH_SHORT,
    PIECE_DAY,
    PIECE_DAY_OF_YEAR,
    PIECE_DAY_OF_WEEK,
    PIECE_ISO_DAY,
    PIECE_DAY_NAME,
    PIECE_DAY_SHORT,
    PIECE_HOUR_24,
    PIECE_HOUR_12,
    PIECE_MINUTE,
    PIECE_SECOND,
    PIECE_MILLISECOND,
    PIECE_MICROSECOND,
    PIECE_MERIDIEM,
    PIECE_QUARTER,
    PIECE_WEEK,
    PIECE_ISO_WEEK,
    PIECE_OFFSET,
    PIECE_OFFSET_HOUR,
    PIECE_OFFSET_MINUTE,
};

enum letter_case { CASE_AS_IS, CASE_UPPER, CASE_LOWER };

/* Longer words before those that begin them. */
static const struct {
    const char *word;
    enum piece_kind kind;
    enum letter_case letters;
} words[] = {
    {"YYYY", PIECE_YEAR, CASE_AS_IS},         {"YY", PIECE_YEAR_2, CASE_AS_IS},
    {"IYYY", PIECE_ISO_YEAR, CASE_AS_IS},     {"MONTH", PIECE_MONTH_NAME, CASE_UPPER},
    {"Month", PIECE_MONTH_NAME, CASE_AS_IS},  {"month", PIECE_MONTH_NAME, CASE_LOWER},
    {"MON", PIECE_MONTH_SHORT, CASE_UPPER},   {"Mon", PIECE_MONTH_SHORT, CASE_AS_IS},
    {"mon", PIECE_MONTH_SHORT, CASE_LOWER},   {"MM", PIECE_MONTH, CASE_AS_IS},
    {"DAY", PIECE_DAY_NAME, CASE_UPPER},      {"Day", PIECE_DAY_NAME, CASE_AS_IS},
    {"day", PIECE_DAY_NAME, CASE_LOWER},      {"DY", PIECE_DAY_SHORT, CASE_UPPER},
    {"Dy", PIECE_DAY_SHORT, CASE_AS_IS},      {"dy", PIECE_DAY_SHORT, CASE_LOWER},
    {"DDD", PIECE_DAY_OF_YEAR, CASE_AS_IS},   {"DD", PIECE_DAY, CASE_AS_IS},
    {"D", PIECE_DAY_OF_WEEK, CASE_AS_IS},     {"ID", PIECE_ISO_DAY, CASE_AS_IS},
    {"HH24", PIECE_HOUR_24, CASE_AS_IS},      {"HH12", PIECE_HOUR_12, CASE_AS_IS},
    {"HH", PIECE_HOUR_12, CASE_AS_IS},        {"MI", PIECE_MINUTE, CASE_AS_IS},
    {"SS", PIECE_SECOND, CASE_AS_IS},         {"MS", PIECE_MILLISECOND, CASE_AS_IS},
    {"US", PIECE_MICROSECOND, CASE_AS_IS},    {"AM", PIECE_MERIDIEM, CASE_UPPER},
    {"PM", PIECE_MERIDIEM, CASE_UPPER},       {"am", PIECE_MERIDIEM, CASE_LOWER},
    {"pm", PIECE_MERIDIEM, CASE_LOWER},       {"Q", PIECE_QUARTER, CASE_AS_IS},
    {"WW", PIECE_WEEK, CASE_AS_IS},           {"IW", PIECE_ISO_WEEK, CASE_AS_IS},
    {"OF", PIECE_OFFSET, CASE_AS_IS},         {"TZH", PIECE_OFFSET_HOUR, CASE_AS_IS},
    {"TZM", PIECE_OFFSET_MINUTE, CASE_AS_IS},
};

static const char *const month_names[] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};
static const char *const day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};

struct piece {
    enum piece_kind kind;
    enum letter_case letters;
    bool bare; /* FM: no padding */
    struct aq_slice text;
};

struct pattern_info {
    const struct aq_zone *zone;
    int64_t unit;
    const struct piece *pieces;
    size_t piece_count;
};

static bool is_letter(char byte)
{
    return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
}

/* A word of the table at `at`, or SIZE_MAX. The words with letters of one case only count in any. */
static size_t word_at(const char *at)
{
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++)
        if (strncmp(at, words[w].word, strlen(words[w].word)) == 0)
            return w;
    return SIZE_MAX;
}

/* The next piece of the pattern; moves *at behind it. AQ_UNSUPPORTED at a word that is not known. */
static enum aq_status next_piece(const char **at, struct piece *piece)
{
    *piece = (struct piece){.kind = PIECE_TEXT};
    if (strncmp(*at, "FM", 2) == 0) {
        piece->bare = true;
        *at += 2;
    }
    const char *start = *at;
    size_t word = word_at(start);
    if (word != SIZE_MAX) {
        piece->kind = words[word].kind;
        piece->letters = words[word].letters;
        *at += strlen(words[word].word);
        return AQ_OK;
    }
    if (is_letter(*start))
        return AQ_UNSUPPORTED;
    if (*start == '"') {
        const char *end = strchr(start + 1, '"');
        size_t size = end == NULL ? strlen(start + 1) : (size_t)(end - start - 1);
        piece->text = aq_slice_make(start + 1, size);
        *at = start + 1 + size + (end != NULL);
        return AQ_OK;
    }
    size_t size = *start != '\0';
    piece->text = aq_slice_make(start, size);
    *at += size;
    return AQ_OK;
}

static enum aq_status prepare(const struct aq_session *session, struct aq_expr *expr)
{
    const char *at;
    AQ_TRY(aq_constant_text(session, expr, 1, &at));
    struct pattern_info *info = aq_arena_alloc(session->arena, sizeof *info);
    struct piece *pieces = aq_arena_alloc(session->arena, (strlen(at) + 1) * sizeof *pieces);
    if (info == NULL || pieces == NULL)
        return AQ_NO_MEMORY;
    memset(info, 0, sizeof *info);
    enum aq_type type = expr->args[0]->type;
    info->zone = type == AQ_TYPE_TIMESTAMPTZ ? session->zone : aq_zone_utc();
    info->unit = type == AQ_TYPE_DATE ? AQ_US_PER_DAY : 1;
    info->pieces = pieces;
    while (*at != '\0') {
        if (next_piece(&at, &pieces[info->piece_count++]) != AQ_OK)
            return aq_sql_error(session->sql, expr->args[1]->location, session->err, AQ_UNSUPPORTED,
                                "to_char does not know the pattern at \"%.20s\"; text goes in "
                                "double quotes",
                                at);
    }
    expr->info = info;
    expr->info_size = sizeof *info;
    return AQ_OK;
}

/* All that pieces print, of one time. */
struct moment {
    struct aq_civil civil;
    int64_t days;
    int day_of_week; /* 0: Sunday */
    int day_of_year; /* from 1 */
    int64_t iso_year;
    int iso_week;
    int32_t offset_s;
};

static void read_moment(const struct aq_zone *zone, int64_t time_us, struct moment *moment)
{
    aq_zone_civil(zone, time_us, &moment->civil);
    moment->offset_s = aq_zone_offset(zone, time_us);
    moment->days = aq_days_from_civil(moment->civil.year, moment->civil.month, moment->civil.day);
    moment->day_of_week = (int)(moment->days + 4 - aq_floor_div(moment->days + 4, 7) * 7);
    moment->day_of_year = (int)(moment->days - aq_days_from_civil(moment->civil.year, 1, 1)) + 1;
    int64_t thursday = aq_floor_div(moment->days + 3, 7) * 7;
    unsigned month;
    unsigned day;
    aq_civil_from_days(thursday, &moment->iso_year, &month, &day);
    moment->iso_week = (int)((thursday - aq_days_from_civil(moment->iso_year, 1, 1)) / 7) + 1;
}

static void put_number(const struct piece *piece, int64_t value, int width, struct aq_bytes *out)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%0*lld", piece->bare ? 1 : width, (long long)value);
    aq_bytes_append(out, text, (size_t)size);
}

/* Full names are padded to the longest, 9 characters. */
static void put_name(const struct piece *piece, const char *name, size_t length,
                     struct aq_bytes *out)
{
    char text[16];
    size_t size = strlen(name);
    size = length > 0 && size > length ? length : size;
    size_t width = length > 0 || piece->bare ? size : 9;
    memset(text, ' ', sizeof text);
    for (size_t i = 0; i < size; i++) {
        text[i] = name[i];
        if (piece->letters == CASE_UPPER && text[i] >= 'a')
            text[i] = (char)(text[i] - 'a' + 'A');
        if (piece->letters == CASE_LOWER && text[i] <= 'Z')
            text[i] = (char)(text[i] - 'A' + 'a');
    }
    aq_bytes_append(out, text, width);
}

static void put_offset(const struct piece *piece, int32_t offset_s, struct aq_bytes *out)
{
    int minutes = (offset_s < 0 ? -offset_s : offset_s) / 60;
    char text[24];
    int size;
    if (piece->kind == PIECE_OFFSET_MINUTE)
        size = snprintf(text, sizeof text, "%02d", minutes % 60);
    else if (piece->kind == PIECE_OFFSET_HOUR || minutes % 60 == 0)
        size = snprintf(text, sizeof text, "%c%02d", offset_s < 0 ? '-' : '+', minutes / 60);
    else
        size = snprintf(text, sizeof text, "%c%02d:%02d", offset_s < 0 ? '-' : '+', minutes / 60,
                        minutes % 60);
    aq_bytes_append(out, text, (size_t)size);
}

static void put_clock(const struct piece *piece, const struct aq_civil *civil, struct aq_bytes *out)
{
    struct piece meridiem = *piece;
    switch (piece->kind) {
    case PIECE_HOUR_24:
        put_number(piece, civil->hour, 2, out);
        return;
    case PIECE_HOUR_12:
        put_number(piece, civil->hour % 12 == 0 ? 12 : civil->hour % 12, 2, out);
        return;
    case PIECE_MINUTE:
        put_number(piece, civil->minute, 2, out);
        return;
    case PIECE_SECOND:
        put_number(piece, civil->second, 2, out);
        return;
    case PIECE_MILLISECOND:
        put_number(piece, civil->us / 1000, 3, out);
        return;
    case PIECE_MICROSECOND:
        put_number(piece, civil->us, 6, out);
        return;
    default:
        meridiem.bare = true;
        put_name(&meridiem, civil->hour < 12 ? "AM" : "PM", 2, out);
        return;
    }
}

static void put_piece(const struct piece *piece, const struct moment *moment, struct aq_bytes *out)
{
    const struct aq_civil *civil = &moment->civil;
    int64_t year = civil->year > 0 ? civil->year : 1 - civil->year;
    switch (piece->kind) {
    case PIECE_TEXT:
        aq_bytes_append(out, piece->text.data, piece->text.size);
        return;
    case PIECE_YEAR:
        put_number(piece, year, 4, out);
        return;
    case PIECE_YEAR_2:
        put_number(piece, year % 100, 2, out);
        return;
    case PIECE_ISO_YEAR:
        put_number(piece, moment->iso_year, 4, out);
        return;
    case PIECE_MONTH:
        put_number(piece, civil->month, 2, out);
        return;
    case PIECE_MONTH_NAME:
    case PIECE_MONTH_SHORT:
        put_name(piece, month_names[civil->month - 1], piece->kind == PIECE_MONTH_SHORT ? 3 : 0,
                 out);
        return;
    case PIECE_DAY:
        put_number(piece, civil->day, 2, out);
        return;
    case PIECE_DAY_OF_YEAR:
        put_number(piece, moment->day_of_year, 3, out);
        return;
    case PIECE_DAY_OF_WEEK:
        put_number(piece, moment->day_of_week + 1, 1, out);
        return;
    case PIECE_ISO_DAY:
        put_number(piece, moment->day_of_week == 0 ? 7 : moment->day_of_week, 1, out);
        return;
    case PIECE_DAY_NAME:
    case PIECE_DAY_SHORT:
        put_name(piece, day_names[moment->day_of_week], piece->kind == PIECE_DAY_SHORT ? 3 : 0,
                 out);
        return;
    case PIECE_QUARTER:
        put_number(piece, (civil->month - 1) / 3 + 1, 1, out);
        return;
    case PIECE_WEEK:
        put_number(piece, (moment->day_of_year - 1) / 7 + 1, 2, out);
        return;
    case PIECE_ISO_WEEK:
        put_number(piece, moment->iso_week, 2, out);
        return;
    case PIECE_OFFSET:
    case PIECE_OFFSET_HOUR:
    case PIECE_OFFSET_MINUTE:
        put_offset(piece, moment->offset_s, out);
        return;
    default:
        put_clock(piece, civil, out);
        return;
    }
}

static enum aq_status to_char(struct aq_eval *eval, const struct aq_expr *expr,
                              const struct aq_vector *const *args, size_t row_count,
                              struct aq_vector *out)
{
    const struct pattern_info *info = expr->info;
    struct aq_bytes text = {0};
    for (size_t i = 0; i < row_count; i++) {
        struct moment moment;
        int64_t time_us;
        if (!aq_row_valid(out, i))
            continue;
        if (__builtin_mul_overflow(args[0]->ints[i], info->unit, &time_us)) {
            aq_bytes_deinit(&text);
            return aq_eval_error(eval, expr, AQ_INVALID, "timestamp out of range");
        }
        aq_bytes_clear(&text);
        read_moment(info->zone, time_us, &moment);
        for (size_t p = 0; p < info->piece_count; p++)
            put_piece(&info->pieces[p], &moment, &text);
        void *owned = aq_arena_copy(&eval->arena, text.data, text.size);
        if (text.failed || owned == NULL) {
            aq_bytes_deinit(&text);
            return AQ_NO_MEMORY;
        }
        out->slices[i] = aq_slice_make(owned, text.size);
    }
    aq_bytes_deinit(&text);
    return AQ_OK;
}

#define ROW(type)                                                                                  \
    {                                                                                              \
        .name = "to_char", .result = AQ_TYPE_TEXT, .arg_count = 2, .args = {(type), AQ_TYPE_TEXT}, \
        .kernel = to_char, .prepare = prepare                                                      \
    }

static const struct aq_function functions[] = {
    ROW(AQ_TYPE_TIMESTAMPTZ),
    ROW(AQ_TYPE_TIMESTAMP),
    ROW(AQ_TYPE_DATE),
};

const struct aq_function_list aq_to_char_functions = {
    .functions = functions, .count = sizeof functions / sizeof functions[0]};
