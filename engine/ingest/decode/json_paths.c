/* Paths to a trie.
 *
 * Happy path: paths that begin alike share nodes; messages of one producer name their members in the
 * same order, so the member that followed last time is tried first, by one comparison.
 * Failures: memory only. */
#include "engine/ingest/decode/json_paths.h"

#include <string.h>

#include "format/base/checksum.h"

#define TABLE_CHILDREN_MIN 8

static uint32_t find_child(const struct aq_trie *trie, uint32_t node,
                           const struct aq_path_step *step)
{
    for (uint32_t child = trie->nodes[node].first_child; child != AQ_TRIE_NONE;
         child = trie->nodes[child].next_sibling) {
        const struct aq_trie_node *at = &trie->nodes[child];
        if (step->member.data == NULL
                ? at->member.data == NULL && at->index == step->index
                : at->member.data != NULL && aq_slice_equal(at->member, step->member))
            return child;
    }
    return AQ_TRIE_NONE;
}

static void init_node(struct aq_trie_node *node, const struct aq_path_step *step)
{
    *node = (struct aq_trie_node){.first_child = AQ_TRIE_NONE,
                                  .next_sibling = AQ_TRIE_NONE,
                                  .likely_child = AQ_TRIE_NONE,
                                  .first_field = AQ_TRIE_NONE};
    if (step != NULL) {
        node->member = step->member;
        node->index = step->index;
    }
}

/* New children go to the end, so that they stand in the order in which columns name them. */
static uint32_t add_child(struct aq_trie *trie, uint32_t parent, const struct aq_path_step *step)
{
    uint32_t child = trie->node_count++;
    init_node(&trie->nodes[child], step);
    uint32_t *link = &trie->nodes[parent].first_child;
    while (*link != AQ_TRIE_NONE)
        link = &trie->nodes[*link].next_sibling;
    *link = child;
    if (step->member.data == NULL)
        trie->nodes[parent].has_elements = true;
    else
        trie->nodes[parent].has_members = true;
    return child;
}

static void add_path(struct aq_trie *trie, const struct aq_path *path, uint32_t field,
                     bool of_column)
{
    uint32_t node = 0;
    for (size_t i = 0; i < path->step_count; i++) {
        uint32_t child = find_child(trie, node, &path->steps[i]);
        if (of_column && path->steps[i].member.data == NULL)
            trie->nodes[node].has_named_elements = true;
        else if (of_column)
            trie->nodes[node].has_named_members = true;
        node = child == AQ_TRIE_NONE ? add_child(trie, node, &path->steps[i]) : child;
        trie->nodes[node].is_named = trie->nodes[node].is_named || of_column;
    }
    trie->nodes[node].is_column = trie->nodes[node].is_column || of_column;
    trie->next_field[field] = trie->nodes[node].first_field;
    trie->nodes[node].first_field = field;
}

static uint32_t slot_of(struct aq_slice name, uint32_t mask)
{
    return (uint32_t)aq_checksum(name.data, name.size) & mask;
}

static enum aq_status build_table(struct aq_decoder *decoder, struct aq_trie *trie, uint32_t node)
{
    struct aq_trie_node *parent = &trie->nodes[node];
    uint32_t child_count = 0;
    for (uint32_t at = parent->first_child; at != AQ_TRIE_NONE; at = trie->nodes[at].next_sibling)
        child_count += trie->nodes[at].member.data != NULL;
    parent->likely_child = parent->first_child;
    if (child_count < TABLE_CHILDREN_MIN)
        return AQ_OK;
    uint32_t slot_count = 16;
    while (slot_count < 2 * child_count)
        slot_count *= 2;
    parent->table = aq_arena_alloc(&decoder->arena, slot_count * sizeof *parent->table);
    if (parent->table == NULL)
        return AQ_NO_MEMORY;
    memset(parent->table, 0xff, slot_count * sizeof *parent->table);
    parent->table_mask = slot_count - 1;
    for (uint32_t at = parent->first_child; at != AQ_TRIE_NONE; at = trie->nodes[at].next_sibling) {
        if (trie->nodes[at].member.data == NULL)
            continue;
        uint32_t slot = slot_of(trie->nodes[at].member, parent->table_mask);
        while (parent->table[slot] != AQ_TRIE_NONE)
            slot = (slot + 1) & parent->table_mask;
        parent->table[slot] = at;
    }
    return AQ_OK;
}

enum aq_status aq_trie_build(struct aq_decoder *decoder, struct aq_trie *trie)
{
    size_t node_max = 1;
    for (size_t i = 0; i < decoder->field_count; i++)
        node_max += decoder->paths[i]->step_count;
    trie->nodes = aq_arena_alloc(&decoder->arena, node_max * sizeof *trie->nodes);
    trie->next_field =
        aq_arena_alloc(&decoder->arena, decoder->field_count * sizeof *trie->next_field);
    if (trie->nodes == NULL || trie->next_field == NULL)
        return AQ_NO_MEMORY;
    trie->node_count = 1;
    init_node(&trie->nodes[0], NULL);
    for (size_t i = 0; i < decoder->field_count; i++)
        if (decoder->paths[i]->kind == AQ_PATH_VALUE)
            add_path(trie, decoder->paths[i], (uint32_t)i, i < decoder->column_field_count);
    for (uint32_t i = 0; i < trie->node_count; i++) {
        struct aq_trie_node *node = &trie->nodes[i];
        node->is_leaf = node->is_column && node->first_child == AQ_TRIE_NONE;
        AQ_TRY(build_table(decoder, trie, i));
    }
    return AQ_OK;
}

static uint32_t look_up(const struct aq_trie *trie, const struct aq_trie_node *parent,
                        struct aq_slice name)
{
    if (parent->table != NULL) {
        uint32_t slot = slot_of(name, parent->table_mask);
        while (parent->table[slot] != AQ_TRIE_NONE) {
            if (aq_slice_equal(trie->nodes[parent->table[slot]].member, name))
                return parent->table[slot];
            slot = (slot + 1) & parent->table_mask;
        }
        return AQ_TRIE_NONE;
    }
    for (uint32_t at = parent->first_child; at != AQ_TRIE_NONE; at = trie->nodes[at].next_sibling) {
        if (trie->nodes[at].member.data != NULL && aq_slice_equal(trie->nodes[at].member, name))
            return at;
    }
    return AQ_TRIE_NONE;
}

uint32_t aq_trie_member(struct aq_trie *trie, uint32_t node, struct aq_slice name)
{
    struct aq_trie_node *parent = &trie->nodes[node];
    uint32_t child = parent->likely_child;
    if (child == AQ_TRIE_NONE || trie->nodes[child].member.data == NULL ||
        !aq_slice_equal(trie->nodes[child].member, name))
        child = look_up(trie, parent, name);
    if (child != AQ_TRIE_NONE) {
        uint32_t next = trie->nodes[child].next_sibling;
        parent->likely_child = next == AQ_TRIE_NONE ? parent->first_child : next;
    }
    return child;
}

uint32_t aq_trie_element(const struct aq_trie *trie, uint32_t node, int64_t index)
{
    for (uint32_t at = trie->nodes[node].first_child; at != AQ_TRIE_NONE;
         at = trie->nodes[at].next_sibling) {
        if (trie->nodes[at].member.data == NULL && trie->nodes[at].index == index)
            return at;
    }
    return AQ_TRIE_NONE;
}
