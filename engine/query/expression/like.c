/* LIKE and ILIKE: % any run, _ any character, \ takes the next character as it is. ILIKE folds ASCII
 * letters, as PostgreSQL in the C locale. Greedy matching with one point to come back to: linear in
 * the text for each %. */
#include "engine/query/expression/function.h"
#include "engine/query/expression/like.h"

#include <string.h>

static uint8_t fold(uint8_t byte, bool ignore_case)
{
    return ignore_case && byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
}

static size_t next_character(struct aq_slice text, size_t at)
{
    at++;
    while (at < text.size && (text.data[at] & 0xc0) == 0x80)
        at++;
    return at;
}

bool aq_like_match(struct aq_slice text, struct aq_slice pattern, bool ignore_case)
{
    size_t t = 0;
    size_t p = 0;
    size_t retry_pattern = SIZE_MAX; /* behind the last % */
    size_t retry_text = 0;
    while (t < text.size) {
        if (p < pattern.size && pattern.data[p] == '%') {
            retry_pattern = ++p;
            retry_text = t;
            continue;
        }
        if (p < pattern.size && pattern.data[p] == '_') {
            t = next_character(text, t);
            p++;
            continue;
        }
        size_t literal = p;
        if (p < pattern.size && pattern.data[p] == '\\' && p + 1 < pattern.size)
            literal++;
        if (literal < pattern.size &&
            fold(pattern.data[literal], ignore_case) == fold(text.data[t], ignore_case)) {
            t++;
            p = literal + 1;
            continue;
        }
        if (retry_pattern == SIZE_MAX)
            return false;
        retry_text = next_character(text, retry_text);
        t = retry_text;
        p = retry_pattern;
    }
    while (p < pattern.size && pattern.data[p] == '%')
        p++;
    return p == pattern.size;
}

static enum aq_status match_rows(const struct aq_vector *const *args, size_t row_count,
                                 struct aq_vector *out, bool ignore_case, bool wanted)
{
    for (size_t i = 0; i < row_count; i++) {
        /* Runs of one text are common in sorted data. */
        if (i > 0 && aq_slice_equal(args[0]->slices[i], args[0]->slices[i - 1]) &&
            aq_slice_equal(args[1]->slices[i], args[1]->slices[i - 1]))
            out->ints[i] = out->ints[i - 1];
        else
            out->ints[i] =
                aq_like_match(args[0]->slices[i], args[1]->slices[i], ignore_case) == wanted;
    }
    return AQ_OK;
}

#define LIKE_KERNEL(name, ignore_case, wanted)                                        \
    static enum aq_status name(struct aq_eval *eval, const struct aq_expr *expr,      \
                               const struct aq_vector *const *args, size_t row_count, \
                               struct aq_vector *out)                                 \
    {                                                                                 \
        (void)eval;                                                                   \
        (void)expr;                                                                   \
        return match_rows(args, row_count, out, ignore_case, wanted);                 \
    }
LIKE_KERNEL(like, false, true)
LIKE_KERNEL(not_like, false, false)
LIKE_KERNEL(ilike, true, true)
LIKE_KERNEL(not_ilike, true, false)

#define LIKE_ROW(text, function)                                   \
    {                                                              \
        .name = (text), .result = AQ_TYPE_BOOLEAN, .arg_count = 2, \
        .args = {AQ_TYPE_TEXT, AQ_TYPE_TEXT}, .kernel = (function) \
    }
static const struct aq_function functions[] = {
    LIKE_ROW("~~", like),
    LIKE_ROW("!~~", not_like),
    LIKE_ROW("~~*", ilike),
    LIKE_ROW("!~~*", not_ilike),
};

const struct aq_function_list aq_like_functions = {.functions = functions,
                                                   .count = sizeof functions / sizeof functions[0]};
