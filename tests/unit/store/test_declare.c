/* A dataset's columns from one declaration to the next: kept, added, hidden, named again, renamed, refused. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "engine/store/store.h"
#include "tests/unit/scratch.h"

#define COLUMNS_MAX 8

/* A declaration under way: dataset "air" with these columns. */
static struct aq_column columns[COLUMNS_MAX];
static const char *former[COLUMNS_MAX][4];
static struct aq_former_names was_lists[COLUMNS_MAX];
static struct aq_schema wanted;
static struct aq_store *store;
static const struct aq_schema *recorded, *rejects;

static void setup(void)
{
    struct aq_store_options options = {.create = true, .io = AQ_IO_POSIX};
    scratch_make();
    options.home = scratch_file("home");
    cr_assert_eq(aq_store_open(&options, &store, NULL), AQ_OK);
}

static void teardown(void)
{
    aq_store_close(store);
}

TestSuite(declare, .init = setup, .fini = teardown);

static void begin(void)
{
    wanted = (struct aq_schema){.dataset = "air",
                                .columns = columns,
                                .was = was_lists,
                                .key_column = AQ_COLUMN_NONE,
                                .time_column = AQ_COLUMN_NONE,
                                .version_column = AQ_COLUMN_NONE};
}

/* `was`: up to three names, with commas between them; NULL: none. */
static void column(const char *name, enum aq_type type, const char *was)
{
    static char texts[COLUMNS_MAX][96];
    size_t at = wanted.column_count++;
    columns[at] = (struct aq_column){.name = name, .type = type};
    was_lists[at] = (struct aq_former_names){0};
    if (was == NULL)
        return;
    snprintf(texts[at], sizeof texts[at], "%s", was);
    size_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(texts[at], ",", &rest); word; word = strtok_r(NULL, ",", &rest))
        former[at][count++] = word;
    was_lists[at] = (struct aq_former_names){.count = count, .names = former[at]};
}

static uint32_t declare(void)
{
    struct aq_error err = {0};
    cr_assert_eq(aq_store_declare(store, &wanted, &recorded, &rejects, &err), AQ_OK, "%s",
                 err.message);
    return recorded->version;
}

static void refused(const char *part, const char *remedy)
{
    struct aq_error err = {0};
    cr_assert_eq(aq_store_declare(store, &wanted, &recorded, &rejects, &err), AQ_INVALID);
    cr_assert_not_null(strstr(err.message, part), "%s", err.message);
    cr_assert_not_null(strstr(err.message, remedy), "%s", err.message);
}

static uint32_t id_of(const char *name)
{
    uint32_t at = aq_schema_find(recorded, name);
    return at == AQ_COLUMN_NONE ? 0 : recorded->columns[at].id;
}

static bool is_hidden(const char *name)
{
    return recorded->columns[aq_schema_find(recorded, name)].hidden;
}

/* Columns a and b, as version 1. */
static void declare_two(void)
{
    begin();
    column("a", AQ_TYPE_DOUBLE, NULL);
    column("b", AQ_TYPE_TEXT, NULL);
    cr_assert_eq(declare(), 1);
}

Test(declare, a_renamed_column_keeps_its_id)
{
    declare_two();
    uint32_t a = id_of("a"), b = id_of("b");
    begin();
    column("pm25", AQ_TYPE_DOUBLE, "a");
    column("b", AQ_TYPE_TEXT, NULL);
    cr_assert_eq(declare(), 2);
    cr_assert_eq(recorded->column_count, 2);
    cr_assert_eq(id_of("pm25"), a);
    cr_assert_eq(id_of("b"), b);
    cr_assert_eq(declare(), 2, "the same config is no change");
    /* Once more, with all names it ever had; then without. */
    begin();
    column("fine", AQ_TYPE_DOUBLE, "pm25,a");
    column("b", AQ_TYPE_TEXT, NULL);
    cr_assert_eq(declare(), 3);
    cr_assert_eq(id_of("fine"), a);
    wanted.was = NULL;
    cr_assert_eq(declare(), 3);
}

/* One config serves stores that stand at any of its names, and those that are new. */
Test(declare, the_first_former_name_that_is_known_counts)
{
    begin();
    column("fine", AQ_TYPE_DOUBLE, "pm25,a");
    cr_assert_eq(declare(), 1);
    begin();
    wanted.dataset = "other";
    column("a", AQ_TYPE_DOUBLE, NULL);
    declare();
    uint32_t a = id_of("a");
    begin();
    wanted.dataset = "other";
    column("fine", AQ_TYPE_DOUBLE, "pm25,a");
    cr_assert_eq(declare(), 2);
    cr_assert_eq(id_of("fine"), a);
}

Test(declare, hidden_columns_come_back_by_either_name)
{
    declare_two();
    uint32_t a = id_of("a"), b = id_of("b");
    begin();
    column("c", AQ_TYPE_BIGINT, NULL);
    declare();
    cr_assert(is_hidden("a") && is_hidden("b") && !is_hidden("c"));
    cr_assert_eq(recorded->column_count, 3);
    begin();
    column("b", AQ_TYPE_TEXT, NULL);
    column("again", AQ_TYPE_DOUBLE, "a");
    declare();
    cr_assert_eq(id_of("b"), b);
    cr_assert_eq(id_of("again"), a);
    cr_assert(!is_hidden("b") && !is_hidden("again") && is_hidden("c"));
    cr_assert_str_eq(recorded->columns[0].name, "b", "in the order of the config");
}

/* So a type can be changed: the old column goes by another name, a new one has its. */
Test(declare, another_column_may_take_the_name_that_is_given_up)
{
    declare_two();
    uint32_t a = id_of("a");
    begin();
    column("a", AQ_TYPE_TEXT, NULL);
    column("a_number", AQ_TYPE_DOUBLE, "a");
    column("b", AQ_TYPE_TEXT, NULL);
    cr_assert_eq(declare(), 2);
    cr_assert_eq(id_of("a_number"), a);
    cr_assert_eq(id_of("a"), 3);
    cr_assert_eq(declare(), 2);
    /* Dropped together: both hidden, under their own names. */
    begin();
    column("b", AQ_TYPE_TEXT, NULL);
    declare();
    cr_assert(is_hidden("a") && is_hidden("a_number"));
}

Test(declare, ids_are_never_given_again)
{
    declare_two();
    begin();
    column("a", AQ_TYPE_DOUBLE, NULL);
    column("c", AQ_TYPE_TEXT, NULL);
    declare();
    cr_assert_eq(id_of("c"), 3);
    begin();
    column("d", AQ_TYPE_TEXT, NULL);
    declare();
    cr_assert_eq(id_of("d"), 4);
}

Test(declare, types_stay)
{
    declare_two();
    begin();
    column("a", AQ_TYPE_TEXT, NULL);
    refused("type of column \"a\" is recorded as \"double precision\"",
            "NAME: {type: double precision, was: a}");
    begin();
    column("c", AQ_TYPE_TEXT, "a");
    refused("type of column \"c\" is recorded as \"double precision\"", "remove `was`");
    /* Also those of hidden columns. */
    begin();
    column("b", AQ_TYPE_TEXT, NULL);
    declare();
    column("a", AQ_TYPE_TEXT, NULL);
    refused("\"a\"", "was: a");
}

Test(declare, a_former_name_must_mean_something)
{
    begin();
    column("a", AQ_TYPE_DOUBLE, NULL);
    column("bottom", AQ_TYPE_TEXT, NULL);
    declare();
    begin();
    column("a", AQ_TYPE_DOUBLE, NULL);
    column("c", AQ_TYPE_TEXT, "bottem");
    refused("column \"c\" was \"bottem\"", "only \"bottom\"");
    begin();
    column("c", AQ_TYPE_DOUBLE, "a");
    column("d", AQ_TYPE_DOUBLE, "b,a");
    refused("column \"d\" was \"a\"", "leave one of the two");
    /* Too late: c is a column of its own by now. */
    begin();
    column("c", AQ_TYPE_DOUBLE, NULL);
    uint32_t version = declare();
    begin();
    column("c", AQ_TYPE_DOUBLE, "a");
    refused("both have rows of their own", "coalesce");
    cr_assert_eq(recorded->version, version);
}

Test(declare, key_and_time_stay_by_any_name)
{
    begin();
    column("city", AQ_TYPE_TEXT, NULL);
    column("ts", AQ_TYPE_TIMESTAMPTZ, NULL);
    column("town", AQ_TYPE_TEXT, NULL);
    wanted.key_column = 0;
    wanted.time_column = 1;
    wanted.slot = AQ_SLOT_DAY;
    declare();
    begin();
    column("at", AQ_TYPE_TIMESTAMPTZ, "ts");
    column("town", AQ_TYPE_TEXT, NULL);
    column("place", AQ_TYPE_TEXT, "city");
    wanted.key_column = 2;
    wanted.time_column = 0;
    wanted.slot = AQ_SLOT_DAY;
    cr_assert_eq(declare(), 2);
    wanted.key_column = 1;
    refused("the key is recorded as \"place\"", "\"town\"");
    wanted.key_column = AQ_COLUMN_NONE;
    refused("the key", "\"none\"");
    wanted.key_column = 2;
    wanted.time_column = AQ_COLUMN_NONE;
    refused("the time column is recorded as \"at\"", "\"none\"");
    wanted.time_column = 0;
    wanted.slot = AQ_SLOT_MONTH;
    refused("the slot", "\"month\"");
    /* A key that is not wanted by its name any more is refused as well. */
    begin();
    column("at", AQ_TYPE_TIMESTAMPTZ, NULL);
    column("city", AQ_TYPE_TEXT, NULL);
    wanted.key_column = 1;
    wanted.time_column = 0;
    wanted.slot = AQ_SLOT_DAY;
    refused("the key is recorded as \"place\"", "\"city\"");
}

Test(declare, other_roles_may_change)
{
    static uint32_t first[] = {0}, second[] = {1};
    declare_two();
    wanted.series = first;
    wanted.series_count = 1;
    cr_assert_eq(declare(), 2);
    wanted.series = second;
    cr_assert_eq(declare(), 3);
    wanted.unique = first;
    wanted.unique_count = 1;
    cr_assert_eq(declare(), 4);
    wanted.keep = AQ_KEEP_FIRST;
    cr_assert_eq(declare(), 5);
    wanted.version_column = 1;
    cr_assert_eq(declare(), 6);
    wanted.retention_us = AQ_US_PER_DAY;
    cr_assert_eq(declare(), 7);
    cr_assert_eq(declare(), 7);
}
