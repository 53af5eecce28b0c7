/* The command line: parsing, messages for mistakes, help made from the same table. */
#include <criterion/criterion.h>

#include <string.h>

#include "tools/options.h"

static struct aq_options options;
static struct aq_error error;

#define PARSE(...)                                       \
    parse((const char *const[]){"aqstore", __VA_ARGS__}, \
          sizeof((const char *const[]){"aqstore", __VA_ARGS__}) / sizeof(char *))

static enum aq_status parse(const char *const *argv, size_t argc)
{
    error = (struct aq_error){.offset = -1};
    aq_options_deinit(&options);
    return aq_options_parse((int)argc, argv, &options, &error);
}

static void release(void)
{
    aq_options_deinit(&options);
}

TestSuite(options, .fini = release);

Test(options, globals_before_and_after_the_command)
{
    cr_assert_eq(PARSE("--store", "/a", "query", "--json", "SELECT 1", "-q"), AQ_OK);
    cr_assert_eq(options.command, AQ_COMMAND_QUERY);
    cr_assert_str_eq(options.store, "/a");
    cr_assert(options.json && options.quiet && !options.verbose);
    cr_assert_eq(options.argument_count, 1);
    cr_assert_str_eq(options.arguments[0], "SELECT 1");
}

Test(options, values_in_every_spelling)
{
    cr_assert_eq(PARSE("query", "--format=csv", "-fx.sql", "-o", "out.csv"), AQ_OK);
    cr_assert_str_eq(options.format, "csv");
    cr_assert_str_eq(options.file, "x.sql");
    cr_assert_str_eq(options.output, "out.csv");
}

Test(options, short_flags_together)
{
    cr_assert_eq(PARSE("gc", "-qv"), AQ_OK);
    cr_assert(options.quiet && options.verbose);
}

Test(options, dashes_end_options_and_a_dash_is_an_argument)
{
    cr_assert_eq(PARSE("import", "--dataset", "d", "-", "--", "--odd"), AQ_OK);
    cr_assert_eq(options.argument_count, 2);
    cr_assert_str_eq(options.arguments[0], "-");
    cr_assert_str_eq(options.arguments[1], "--odd");
}

Test(options, an_option_belongs_to_its_command)
{
    cr_assert_eq(PARSE("gc", "--deep"), AQ_INVALID);
    cr_assert_eq(PARSE("verify", "--deep"), AQ_OK);
    cr_assert_eq(PARSE("--dataset", "x", "import"), AQ_INVALID);
}

Test(options, format_has_other_choices_for_other_commands)
{
    cr_assert_eq(PARSE("query", "--format", "markdown", "x"), AQ_OK);
    cr_assert_eq(PARSE("import", "--format", "markdown", "x"), AQ_INVALID);
    cr_assert_str_eq(error.message, "--format: 'markdown' is not one of csv|ndjson|json|parquet");
    cr_assert_eq(PARSE("import", "--format", "cs", "x"), AQ_INVALID);
    cr_assert_eq(PARSE("import", "--format", "", "x"), AQ_INVALID);
}

Test(options, mistakes_name_the_nearest_word)
{
    cr_assert_eq(PARSE("qeury"), AQ_INVALID);
    cr_assert(strstr(error.message, "did you mean 'query'?"), "%s", error.message);
    cr_assert_eq(PARSE("query", "--timezon=UTC"), AQ_INVALID);
    cr_assert(strstr(error.message, "did you mean --timezone?"), "%s", error.message);
    cr_assert_eq(PARSE("xyzzy"), AQ_INVALID);
    cr_assert(strstr(error.message, "try 'aqstore --help'"), "%s", error.message);
}

Test(options, values_missing_or_superfluous)
{
    cr_assert_eq(PARSE("query", "--format"), AQ_INVALID);
    cr_assert_eq(PARSE("query", "--plot=yes"), AQ_INVALID);
    cr_assert_eq(PARSE("query", "one", "two"), AQ_INVALID);
    cr_assert_eq(parse((const char *const[]){"aqstore"}, 1), AQ_INVALID);
}

Test(options, later_commands_are_known)
{
    cr_assert_eq(PARSE("serve"), AQ_OK);
    cr_assert_eq(options.command, AQ_COMMAND_SERVE);
}

Test(options, help_and_version_need_nothing_else)
{
    cr_assert_eq(PARSE("--version"), AQ_OK);
    cr_assert(options.version);
    cr_assert_eq(PARSE("query", "-h", "a", "b", "c"), AQ_OK);
    cr_assert(options.help);
}

Test(options, every_command_has_help_with_its_options)
{
    for (int i = 0; i <= AQ_COMMAND_NONE; i++) {
        struct aq_bytes help = {0};
        aq_options_help((enum aq_command)i, &help);
        aq_bytes_u8(&help, 0);
        const char *text = (const char *)help.data;
        cr_assert(strstr(text, "--store DIR"));
        cr_assert(strstr(text, aq_command_name((enum aq_command)i)));
        for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
            line += *line == '\n';
            cr_expect_leq(strcspn(line, "\n"), 100, "too wide: %.120s", line);
            if (strchr(line, '\n') == NULL)
                break;
        }
        aq_bytes_deinit(&help);
    }
    struct aq_bytes help = {0};
    aq_options_help(AQ_COMMAND_QUERY, &help);
    aq_bytes_u8(&help, 0);
    cr_assert(strstr((char *)help.data, "--timezone ZONE"));
    cr_assert_null(strstr((char *)help.data, "--deep"));
    aq_bytes_deinit(&help);
}
