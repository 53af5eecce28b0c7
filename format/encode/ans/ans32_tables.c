/* Which contexts share a table, and tables as they are stored (ans32_tables.h). Contexts stand in an order in which neighbours
 * behave alike, so only neighbours are merged: again and again those two whose merging saves most or costs least. Nothing
 * can fail. */
#include "format/encode/ans/ans32_tables.h"

#include <math.h>

#include "format/base/log2.h"
#include "format/encode/kernel/kernel.h"

_Static_assert(AQ_ANS32_TOKENS_MAX % AQ_SURPRISE_LANES == 0, "whole steps");
#define TABLES_WANTED 12 /* so that they stay near the processor */
#define TOKEN_BITS 9.0   /* of a token in a table, about */
#define TABLE_BITS 24.0  /* of the rest of a table */

/* Neighbouring contexts that share a table, while tables are merged. */
struct group {
    unsigned contexts;
    uint32_t *counts; /* of its tokens: those of its first context */
    double bits;      /* of its tokens and its table; 0: it has no token */
    double merged;    /* of this one and the next in one */
};

static double bits_of(const uint32_t *counts, const uint32_t *others, unsigned token_count,
                      double share)
{
    unsigned size = (token_count + AQ_SURPRISE_LANES - 1) / AQ_SURPRISE_LANES * AQ_SURPRISE_LANES;
    size_t met;
    uint64_t total;
    double sum = aq_kernels()->surprise(counts, others, size, &met, &total);
    if (total == 0)
        return 0;
    double bits = (double)total * aq_log2((double)total) - sum;
    return bits / share + TABLE_BITS + TOKEN_BITS * (double)met;
}

static void weigh_merging(unsigned token_count, double share, struct group *groups, unsigned at,
                          unsigned count)
{
    struct group *group = &groups[at];
    const struct group *next = &groups[at + 1];
    if (at + 1 == count)
        group->merged = INFINITY;
    else if (group->bits == 0 || next->bits == 0)
        group->merged = group->bits + next->bits;
    else
        group->merged = bits_of(group->counts, next->counts, token_count, share);
}

/* Group `at` takes in the next one. */
static void merge(struct group *groups, unsigned at, unsigned count)
{
    for (unsigned token = 0; token < AQ_ANS32_TOKENS_MAX; token++)
        groups[at].counts[token] += groups[at + 1].counts[token];
    groups[at].contexts += groups[at + 1].contexts;
    groups[at].bits = groups[at].merged;
    memmove(&groups[at + 1], &groups[at + 2], (count - at - 2) * sizeof groups[0]);
}

/* The place of the cheapest merging, and what it adds. */
static unsigned cheapest(const struct group *groups, unsigned count, double *cost)
{
    unsigned best = 0;
    *cost = INFINITY;
    for (unsigned i = 0; i + 1 < count; i++) {
        double added = groups[i].merged - groups[i].bits - groups[i + 1].bits;
        if (added < *cost) {
            *cost = added;
            best = i;
        }
    }
    return best;
}

/* The groups become tables: counts of group i those of table i, which never stood before its place. */
static double describe(const struct group *groups, unsigned count, aq_late_counts counts,
                       struct aq_ans32_tables *tables)
{
    double bits = 0;
    unsigned context = 0;
    for (unsigned i = 0; i < count; i++) {
        bits += groups[i].bits;
        memmove(counts[i], groups[i].counts, sizeof counts[i]);
        tables->context_counts[i] = (uint8_t)groups[i].contexts;
        memset(tables->of_context + context, (int)i, groups[i].contexts);
        context += groups[i].contexts;
    }
    tables->table_count = count;
    tables->context_count = context;
    return bits;
}

double aq_ans32_tables_merge(aq_late_counts counts, unsigned context_count, unsigned token_count,
                             double share, struct aq_ans32_tables *tables)
{
    struct group groups[AQ_ANS32_CONTEXTS_MAX] = {0};
    unsigned count = context_count;
    for (unsigned i = 0; i < count; i++) {
        groups[i].contexts = 1;
        groups[i].counts = counts[i];
        groups[i].bits = bits_of(counts[i], NULL, token_count, share);
    }
    for (unsigned i = 0; i < count; i++)
        weigh_merging(token_count, share, groups, i, count);
    while (count > 1) {
        double cost;
        unsigned at = cheapest(groups, count, &cost);
        bool empty = groups[at].bits == 0 || groups[at + 1].bits == 0;
        if (cost > 0 && !empty && count <= TABLES_WANTED)
            break;
        merge(groups, at, count--);
        weigh_merging(token_count, share, groups, at, count);
        if (at > 0)
            weigh_merging(token_count, share, groups, at - 1, count);
    }
    return describe(groups, count, counts, tables);
}

static unsigned most_frequent(const uint32_t *frequencies)
{
    unsigned best = 0;
    for (unsigned token = 1; token < AQ_ANS32_TOKENS_MAX; token++)
        best = frequencies[token] > frequencies[best] ? token : best;
    return best;
}

/* At least one for what occurs, the rounding taken from the most frequent. */
static void normalise(uint32_t *counts)
{
    uint64_t total = 0;
    unsigned met = 0;
    for (unsigned token = 0; token < AQ_ANS32_TOKENS_MAX; token++) {
        total += counts[token];
        met += counts[token] > 0;
    }
    if (met < 2) /* one token alone has a neighbour, whose share is the least */
        counts[most_frequent(counts) == 0 ? 1 : most_frequent(counts) - 1] = 1;
    int64_t left = AQ_ANS32_SCALE;
    total = total == 0 ? 1 : total;
    for (unsigned token = 0; token < AQ_ANS32_TOKENS_MAX; token++) {
        if (counts[token] == 0)
            continue;
        uint64_t share = (counts[token] * (uint64_t)AQ_ANS32_SCALE + total / 2) / total;
        counts[token] = share == 0 ? 1 : (uint32_t)share;
        left -= counts[token];
    }
    while (left != 0) {
        uint32_t *most = &counts[most_frequent(counts)];
        int64_t change = left < -(int64_t)(*most / 2) ? -(int64_t)(*most / 2) : left;
        *most = (uint32_t)(*most + change);
        left -= change;
    }
}

void aq_ans32_tables_normalise(aq_late_counts counts, const struct aq_ans32_tables *tables)
{
    for (unsigned table = 0; table < tables->table_count; table++)
        normalise(counts[table]);
}

void aq_ans32_tables_append(aq_late_counts frequencies, const struct aq_ans32_tables *tables,
                            struct aq_bytes *out)
{
    for (unsigned table = 0; table < tables->table_count; table++) {
        unsigned first = 0;
        unsigned end = AQ_ANS32_TOKENS_MAX;
        while (end > 0 && frequencies[table][end - 1] == 0)
            end--;
        while (first < end && frequencies[table][first] == 0)
            first++;
        aq_bytes_u8(out, tables->context_counts[table]);
        aq_bytes_u8(out, (uint8_t)first);
        aq_bytes_u8(out, (uint8_t)(end - first));
        for (unsigned token = first; token < end; token++)
            aq_bytes_varint(out, frequencies[table][token]);
    }
}
