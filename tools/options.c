/* Parse argv against the two tables, and print them as help.
 *
 * Happy path: a word that begins with '-' is looked up among the options of the command (or the
 * global ones while no command is known), its value is taken from "=VALUE" or the next word and
 * stored at the option's place in struct aq_options; the first other word is the command, all
 * further ones are its arguments. Failures: an unknown word names the nearest known one; a value
 * that is missing, superfluous or not among the choices. */
#include "tools/options.h"

#include <stdlib.h>
#include <string.h>

#include "format/table/nearest.h"

#define ON(command) (1u << AQ_COMMAND_##command)
#define EVERYWHERE UINT32_MAX
#define PLACE(member) offsetof(struct aq_options, member)

/* One option. `value` is its placeholder in help, NULL for a flag; `choices`, where given, are the
 * words it may be, parted by '|', and serve as the placeholder. */
struct option {
    const char *name;
    const char *value;
    const char *choices;
    const char *help;
    size_t place;      /* in struct aq_options: a bool for a flag, else a const char * */
    uint32_t commands; /* bits, or EVERYWHERE for a global option */
    char letter;       /* 0: none */
};

static const struct option option_table[] = {
    {"config", "FILE", NULL, "config file (default: $AQSTORE_CONFIG, else ./aqstore.yaml)",
     PLACE(config), EVERYWHERE, 0},
    {"store", "DIR|s3://BUCKET/PREFIX", NULL,
     "the store: its directory (default: the config's), or its bucket", PLACE(store), EVERYWHERE,
     0},
    {"io", NULL, "auto|uring|posix",
     "how files are written (default auto: io_uring where it may be used)", PLACE(io), EVERYWHERE,
     0},
    {"json", NULL, NULL, "results as JSON, for programs", PLACE(json), EVERYWHERE, 0},
    {"quiet", NULL, NULL, "errors only; no notices, no progress", PLACE(quiet), EVERYWHERE, 'q'},
    {"verbose", NULL, NULL, "say more on standard error", PLACE(verbose), EVERYWHERE, 'v'},
    {"log-format", NULL, "text|json", "form of the messages on standard error", PLACE(log_format),
     EVERYWHERE, 0},
    {"help", NULL, NULL, "this help, or a command's", PLACE(help), EVERYWHERE, 'h'},
    {"version", NULL, NULL, "print the version", PLACE(version), EVERYWHERE, 'V'},

    {"once", NULL, NULL, "stop when every source has reached the end it had at start", PLACE(once),
     ON(INGEST), 0},
    {"dataset", "NAME", NULL, "the dataset, as the config or the store names it", PLACE(dataset),
     ON(IMPORT) | ON(EXPORT) | ON(REJECTS), 'd'},
    {"format", NULL, "csv|ndjson|json", "form of the files (default: by extension, then content)",
     PLACE(format), ON(REPLAY), 0},
    {"format", NULL, "csv|ndjson|json|parquet",
     "form of the files (default: by extension, then content)", PLACE(format), ON(IMPORT), 0},
    {"topic", "NAME", NULL, "the topic to send to", PLACE(topic), ON(REPLAY), 't'},
    {"brokers", "HOST:PORT", NULL, "where to connect (default: as the config's first kafka source)",
     PLACE(brokers), ON(REPLAY), 0},
    {"rate", "N", NULL, "messages a second (default: as fast as they go)", PLACE(rate), ON(REPLAY),
     0},
    {"key", "PATH", NULL, "key of each message: what PATH finds in it, such as city", PLACE(key),
     ON(REPLAY), 0},
    {"partition", "N", NULL, "the partition (default: by the key)", PLACE(partition), ON(REPLAY),
     0},
    {"as", NULL, "json|csv", "CSV records as JSON objects (default), or with their header as CSV",
     PLACE(as), ON(REPLAY), 0},
    {"loop", NULL, NULL, "start again at the end, until told to stop", PLACE(loop), ON(REPLAY), 0},
    {"replace", NULL, NULL, "swap each span of time that the files touch, for all keys, in one go",
     PLACE(replace), ON(IMPORT), 0},
    {"span", NULL, "slot|day|month|year", "span for --replace (default: the dataset's slot)",
     PLACE(span), ON(IMPORT), 0},
    {"file", "FILE", NULL, "read the SQL from FILE (-: stdin)", PLACE(file), ON(QUERY), 'f'},
    {"format", NULL, "table|csv|json|ndjson|markdown|parquet|arrow",
     "form of the result (default: -o's extension, else table)", PLACE(format), ON(QUERY), 0},
    {"output", "FILE", NULL,
     "write the result to FILE (.csv .json .ndjson .md .txt .parquet .arrow)", PLACE(output),
     ON(QUERY), 'o'},
    {"timezone", "ZONE", NULL,
     "zone of times in texts and of days (default UTC), e.g. Asia/Shanghai", PLACE(timezone),
     ON(QUERY) | ON(EXPORT), 0},
    {"allow-incomplete", NULL, NULL, "of s3://...: answer although rows are still missing there",
     PLACE(allow_incomplete), ON(QUERY) | ON(EXPORT) | ON(REJECTS), 0},
    {"plot", NULL, NULL, "draw: x, y [, series]; lines over time, bars over a text", PLACE(plot),
     ON(QUERY), 0},
    {"format", NULL, "csv|ndjson|parquet|arrow", "form of the file", PLACE(format), ON(EXPORT), 0},
    {"where", "EXPR", NULL, "only rows for which EXPR is true", PLACE(where), ON(EXPORT), 0},
    {"to", "DIR|-", NULL, "folder for DATASET.FORMAT, or - for standard output", PLACE(to),
     ON(EXPORT), 0},
    {"source", "NAME", NULL, "only rejects of this source", PLACE(source), ON(REJECTS), 0},
    {"reason", "TEXT", NULL, "only rejects whose reason has TEXT in it", PLACE(reason), ON(REJECTS),
     0},
    {"since", "TIME|SPAN", NULL, "only rejects that arrived since TIME, or SPAN ago", PLACE(since),
     ON(REJECTS), 0},
    {"header", "LINE", NULL, "of replay: first line of the CSV files that records are from",
     PLACE(header), ON(REJECTS), 0},
    {"format", NULL, "csv|json", "of replay: form of messages whose source does not say",
     PLACE(format), ON(REJECTS), 0},
    {"limit", "N", NULL, "at most N messages (default 20)", PLACE(limit), ON(REJECTS), 'n'},
    {"key", "KEY", NULL, "of a dataset: the slots of this key", PLACE(key), ON(INSPECT), 0},
    {"limit", "N", NULL, "at most N keys or slots (20), nodes or vectors (1,000); --json: all",
     PLACE(limit), ON(INSPECT), 'n'},
    {"vectors", NULL, NULL, "of an archive: its runs, each tile's columns, their nodes and vectors",
     PLACE(vectors), ON(INSPECT), 0},
    {"dry-run", NULL, NULL, "say what would be done", PLACE(dry_run),
     ON(COMPACT) | ON(GC) | ON(TIER) | ON(REJECTS), 0},
    {"before", "TIME", NULL, "leave archives alone that have rows at or after TIME", PLACE(before),
     ON(COMPACT), 0},
    {"now", "TIME", NULL, "roll up what is closed by TIME, not by the clock", PLACE(now),
     ON(COMPACT), 0},
    {"rate-limit", "SIZE", NULL, "read and write at most SIZE a second (default: the config's)",
     PLACE(rate_limit), ON(COMPACT), 0},
    {"gc", NULL, NULL, "then run gc", PLACE(gc), ON(COMPACT), 0},
    {"tier", NULL, NULL, "then run tier", PLACE(tier), ON(COMPACT), 0},
    {"age", "SPAN", NULL, "keep what versions from so long ago need (default: history, 24h)",
     PLACE(age), ON(GC), 0},
    {"trust-clock", NULL, NULL, "go on although the clock was set", PLACE(trust_clock),
     ON(COMPACT) | ON(GC), 0},
    {"from", "s3://BUCKET/PREFIX", NULL, "the bucket to restore from", PLACE(from), ON(RESTORE), 0},
    {"file", "NAME", NULL, "fetch one file of this home again, such as archives/NUMBER.aqa",
     PLACE(file), ON(RESTORE), 0},
    {"give-up", "NAME", NULL, "go on without a damaged file of which there is no copy",
     PLACE(give_up), ON(RESTORE), 0},
    {"from", "earliest|latest|OFFSET", NULL, "of sources accept: where to go on", PLACE(from),
     ON(SOURCES), 0},
    {"deep", NULL, NULL, "decode every value; recompute order, statistics, content hashes",
     PLACE(deep), ON(VERIFY), 0},
    {"repair-plan", NULL, NULL, "say what would mend it", PLACE(repair_plan), ON(VERIFY), 0},
};
#define OPTION_COUNT (sizeof(option_table) / sizeof(option_table[0]))

/* One command, with what its help says below the options. */
struct command {
    const char *name;
    const char *arguments;
    size_t argument_max;
    const char *summary;
};

static const struct command command_table[] = {
#define COMMAND_ROW(id, name, arguments, arguments_max, summary) \
    [AQ_COMMAND_##id] = {name, arguments, arguments_max, summary},
    AQ_COMMAND_TABLE(COMMAND_ROW)
#undef COMMAND_ROW
};

static const char *const example_table[AQ_COMMAND_NONE] = {
    [AQ_COMMAND_INGEST] =
        "  aqstore --config aqstore.yaml ingest              until SIGTERM or SIGINT\n"
        "  aqstore --config aqstore.yaml ingest --once live  what is there now\n",
    [AQ_COMMAND_IMPORT] = "  aqstore import --dataset air_quality 'data/*.csv.xz'\n"
                          "  zcat day.json.gz | aqstore import --dataset air_quality "
                          "--format ndjson -\n",
    [AQ_COMMAND_QUERY] = "  aqstore --store ./store query \"SELECT count(*) FROM air_quality\"\n"
                         "  aqstore query -f daily.sql -o daily.csv\n"
                         "  aqstore query --plot \"SELECT ts, pm25, station FROM air_quality\"\n",
    [AQ_COMMAND_EXPORT] = "  aqstore export --dataset air_quality --format csv --to out/\n"
                          "  aqstore export --dataset air_quality --where \"pm25 > 100\" --to -\n",
    [AQ_COMMAND_COMPLETION] = "  source <(aqstore completion bash)\n"
                              "  aqstore completion fish >~/.config/fish/completions/aqstore.fish\n"
                              "  aqstore completion man | man -l -\n",
    [AQ_COMMAND_REJECTS] = "  aqstore rejects list\n"
                           "  aqstore rejects show --dataset air_quality -n 5\n"
                           "  aqstore rejects replay --dry-run --since 2d\n",
    [AQ_COMMAND_SOURCES] =
        "  aqstore sources\n"
        "  aqstore --config aqstore.yaml sources accept live raw.airquality --from earliest\n",
    [AQ_COMMAND_REPLAY] =
        "  aqstore replay --brokers localhost:9092 --topic raw.air --key city samples/*.ndjson.xz\n"
        "  aqstore replay --topic raw.air --rate 100 --loop day.csv\n",
    [AQ_COMMAND_COMPACT] = "  aqstore compact --dry-run\n"
                           "  aqstore --config aqstore.yaml --json compact --gc --tier "
                           "--rate-limit 50MiB\n",
    [AQ_COMMAND_TIER] = "  aqstore --config aqstore.yaml tier --dry-run\n",
    [AQ_COMMAND_RESTORE] = "  aqstore --store ./store restore --from s3://my-bucket/aqstore\n",
    [AQ_COMMAND_INSPECT] = "  aqstore inspect air_quality\n"
                           "  aqstore inspect air_quality --key hanoi -n 31\n"
                           "  aqstore inspect store/archives/00000000000000000003.aqa\n"
                           "  aqstore inspect --vectors archives/00000000000000000003.aqa\n",
};

const char *aq_command_name(enum aq_command command)
{
    return command < AQ_COMMAND_NONE ? command_table[command].name : "";
}

bool aq_command_info(enum aq_command command, struct aq_command_info *info)
{
    const struct command *row = &command_table[command];
    *info =
        (struct aq_command_info){row->name, row->arguments, row->summary, example_table[command]};
    return strstr(row->summary, "not yet") == NULL;
}

bool aq_options_next(enum aq_command command, size_t *at, struct aq_option_info *info)
{
    for (; *at < OPTION_COUNT; ++*at) {
        const struct option *option = &option_table[*at];
        bool global = option->commands == EVERYWHERE;
        bool fits = command == AQ_COMMAND_NONE ? global
                                               : !global && (option->commands >> command & 1u) != 0;
        if (!fits)
            continue;
        const char *value = option->value != NULL ? option->value : option->choices;
        *info = (struct aq_option_info){option->name, value, option->choices, option->help,
                                        option->letter};
        ++*at;
        return true;
    }
    return false;
}

/* ---- parsing ---- */

struct parser {
    int argc;
    const char *const *argv;
    int next;
    struct aq_options *options;
    struct aq_error *err;
};

static bool option_applies(const struct option *option, enum aq_command command)
{
    if (option->commands == EVERYWHERE)
        return true;
    return command != AQ_COMMAND_NONE && (option->commands >> command & 1u) != 0;
}

/* `name` by its first `size` bytes, or a letter when `name` is one. */
static const struct option *option_find(enum aq_command command, const char *name, size_t size,
                                        char letter)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &option_table[i];
        if (!option_applies(option, command))
            continue;
        if (letter != 0 ? option->letter == letter
                        : strlen(option->name) == size && memcmp(option->name, name, size) == 0)
            return option;
    }
    return NULL;
}

static enum aq_status unknown_option(const struct parser *parser, const char *word)
{
    enum aq_command command = parser->options->command;
    const char *names[OPTION_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (option_applies(&option_table[i], command))
            names[count++] = option_table[i].name;
    size_t dashes = strspn(word, "-");
    struct aq_slice typed = aq_slice_make(word + dashes, strcspn(word + dashes, "="));
    const char *nearest = aq_nearest_word(typed, names, count);
    const char *space = command == AQ_COMMAND_NONE ? "" : " ";
    const char *name = aq_command_name(command);
    if (nearest != NULL)
        return aq_error_set(parser->err, AQ_INVALID,
                            "unknown option %s; did you mean --%s? Try 'aqstore%s%s --help'", word,
                            nearest, space, name);
    return aq_error_set(parser->err, AQ_INVALID, "unknown option %s; try 'aqstore%s%s --help'",
                        word, space, name);
}

static bool choice_known(const char *choices, const char *value)
{
    size_t size = strlen(value);
    for (const char *at = choices;; at++) {
        size_t length = strcspn(at, "|");
        if (length == size && memcmp(at, value, size) == 0)
            return true;
        at += length;
        if (*at == '\0')
            return false;
    }
}

static enum aq_status option_store(const struct parser *parser, const struct option *option,
                                   const char *value)
{
    void *place = (char *)parser->options + option->place;
    if (value == NULL) {
        *(bool *)place = true;
        return AQ_OK;
    }
    if (option->choices != NULL && !choice_known(option->choices, value))
        return aq_error_set(parser->err, AQ_INVALID, "--%s: '%s' is not one of %s", option->name,
                            value, option->choices);
    *(const char **)place = value;
    return AQ_OK;
}

static bool takes_value(const struct option *option)
{
    return option->value != NULL || option->choices != NULL;
}

static enum aq_status next_value(struct parser *parser, const struct option *option,
                                 const char **value)
{
    if (parser->next >= parser->argc)
        return aq_error_set(parser->err, AQ_INVALID, "--%s needs a value: --%s %s", option->name,
                            option->name, option->choices ? option->choices : option->value);
    *value = parser->argv[parser->next++];
    return AQ_OK;
}

static enum aq_status parse_long(struct parser *parser, const char *word)
{
    const char *name = word + 2;
    size_t size = strcspn(name, "=");
    const char *value = name[size] == '=' ? name + size + 1 : NULL;
    const struct option *option = option_find(parser->options->command, name, size, 0);
    if (option == NULL)
        return unknown_option(parser, word);
    if (value != NULL && !takes_value(option))
        return aq_error_set(parser->err, AQ_INVALID, "--%s takes no value", option->name);
    if (value == NULL && takes_value(option))
        AQ_TRY(next_value(parser, option, &value));
    return option_store(parser, option, value);
}

/* "-q", several flags in one word ("-qv"), "-f FILE" and "-fFILE". */
static enum aq_status parse_short(struct parser *parser, const char *word)
{
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        const struct option *option = option_find(parser->options->command, NULL, 0, *letter);
        if (option == NULL)
            return unknown_option(parser, word);
        if (!takes_value(option)) {
            AQ_TRY(option_store(parser, option, NULL));
            continue;
        }
        const char *value = letter + 1;
        if (*value == '\0')
            AQ_TRY(next_value(parser, option, &value));
        return option_store(parser, option, value);
    }
    return AQ_OK;
}

static enum aq_status parse_command(const struct parser *parser, const char *word)
{
    const char *names[AQ_COMMAND_NONE];
    for (size_t i = 0; i < AQ_COMMAND_NONE; i++) {
        names[i] = command_table[i].name;
        if (strcmp(word, names[i]) == 0) {
            parser->options->command = (enum aq_command)i;
            return AQ_OK;
        }
    }
    const char *nearest = aq_nearest_word(aq_slice_of(word), names, AQ_COMMAND_NONE);
    if (nearest != NULL)
        return aq_error_set(parser->err, AQ_INVALID,
                            "unknown command '%s'; did you mean '%s'? Try 'aqstore --help'", word,
                            nearest);
    return aq_error_set(parser->err, AQ_INVALID, "unknown command '%s'; try 'aqstore --help'",
                        word);
}

static enum aq_status check_arguments(const struct aq_options *options, struct aq_error *err)
{
    if (options->help || options->version)
        return AQ_OK;
    if (options->command == AQ_COMMAND_NONE)
        return aq_error_set(err, AQ_INVALID, "no command given; try 'aqstore --help'");
    const struct command *command = &command_table[options->command];
    if (options->argument_count > command->argument_max)
        return aq_error_set(err, AQ_INVALID, "unexpected argument '%s'; usage: aqstore %s %s",
                            options->arguments[command->argument_max], command->name,
                            command->arguments);
    return AQ_OK;
}

enum aq_status aq_options_parse(int argc, const char *const *argv, struct aq_options *options,
                                struct aq_error *err)
{
    *options = (struct aq_options){.command = AQ_COMMAND_NONE, .log_format = "text", .io = "auto"};
    options->arguments = calloc((size_t)argc + 1, sizeof(*options->arguments));
    if (options->arguments == NULL)
        return aq_error_set(err, AQ_NO_MEMORY, "no memory for the command line");
    struct parser parser = {.argc = argc, .argv = argv, .next = 1, .options = options, .err = err};
    bool words_only = false;
    while (parser.next < argc) {
        const char *word = argv[parser.next++];
        if (!words_only && strcmp(word, "--") == 0)
            words_only = true;
        else if (!words_only && strncmp(word, "--", 2) == 0)
            AQ_TRY(parse_long(&parser, word));
        else if (!words_only && word[0] == '-' && word[1] != '\0')
            AQ_TRY(parse_short(&parser, word));
        else if (options->command == AQ_COMMAND_NONE)
            AQ_TRY(parse_command(&parser, word));
        else
            options->arguments[options->argument_count++] = word;
    }
    return check_arguments(options, err);
}

void aq_options_deinit(struct aq_options *options)
{
    free(options->arguments);
    options->arguments = NULL;
    options->argument_count = 0;
}

/* ---- help ---- */

#define HELP_COLUMN 30

static void pad_to(struct aq_bytes *out, size_t line_start, size_t column)
{
    do
        aq_bytes_u8(out, ' ');
    while (out->size - line_start < column);
}

static void help_option(const struct option *option, struct aq_bytes *out)
{
    size_t line_start = out->size;
    char letter[] = "      ";
    if (option->letter != 0) {
        letter[2] = '-';
        letter[3] = option->letter;
        letter[4] = ',';
    }
    aq_bytes_chars(out, letter);
    aq_bytes_chars(out, "--");
    aq_bytes_chars(out, option->name);
    if (takes_value(option)) {
        aq_bytes_chars(out, " ");
        aq_bytes_chars(out, option->choices ? option->choices : option->value);
    }
    if (out->size - line_start >= HELP_COLUMN) {
        aq_bytes_chars(out, "\n");
        line_start = out->size;
    }
    pad_to(out, line_start, HELP_COLUMN);
    aq_bytes_chars(out, option->help);
    aq_bytes_chars(out, "\n");
}

static void help_options(enum aq_command command, bool global, struct aq_bytes *out)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (option_applies(&option_table[i], command) &&
            (option_table[i].commands == EVERYWHERE) == global)
            help_option(&option_table[i], out);
}

static bool has_own_options(enum aq_command command)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (option_table[i].commands != EVERYWHERE && option_applies(&option_table[i], command))
            return true;
    return false;
}

static void help_program(struct aq_bytes *out)
{
    aq_bytes_chars(out,
                   "aqstore keeps streams of timestamped events: loads them once each, compacts "
                   "them\ninto small archives, and answers SQL over all of it.\n\n"
                   "Usage: aqstore [OPTION...] COMMAND [ARGUMENT...]\n\nCommands:\n");
    for (size_t i = 0; i < AQ_COMMAND_NONE; i++) {
        size_t line_start = out->size;
        aq_bytes_chars(out, "  ");
        aq_bytes_chars(out, command_table[i].name);
        pad_to(out, line_start, 14);
        aq_bytes_chars(out, command_table[i].summary);
        aq_bytes_chars(out, "\n");
    }
    aq_bytes_chars(out, "\nOptions, for every command:\n");
    help_options(AQ_COMMAND_NONE, true, out);
    aq_bytes_chars(out,
                   "\nExit codes: 0 done; 1 the work failed; 2 wrong usage or config; 3 "
                   "corruption found;\n4 another job holds the lock; 75 temporary, try again; "
                   "130, 143 on signals.\n\n'aqstore COMMAND --help' says more of a command.\n");
}

void aq_options_help(enum aq_command command, struct aq_bytes *out)
{
    if (command == AQ_COMMAND_NONE) {
        help_program(out);
        return;
    }
    const struct command *row = &command_table[command];
    aq_bytes_chars(out, "aqstore ");
    aq_bytes_chars(out, row->name);
    aq_bytes_chars(out, ": ");
    aq_bytes_chars(out, row->summary);
    aq_bytes_chars(out, "\n\nUsage: aqstore [OPTION...] ");
    aq_bytes_chars(out, row->name);
    if (has_own_options(command))
        aq_bytes_chars(out, " [OPTION...]");
    if (row->arguments[0] != '\0') {
        aq_bytes_chars(out, " ");
        aq_bytes_chars(out, row->arguments);
    }
    aq_bytes_chars(out, "\n");
    if (has_own_options(command)) {
        aq_bytes_chars(out, "\nOptions:\n");
        help_options(command, false, out);
    }
    aq_bytes_chars(out, "\nOptions, for every command:\n");
    help_options(command, true, out);
    if (example_table[command] != NULL) {
        aq_bytes_chars(out, "\nExamples:\n");
        aq_bytes_chars(out, example_table[command]);
    }
}

enum aq_status aq_options_limit(const struct aq_options *options, unsigned long otherwise,
                                unsigned long *limit, struct aq_error *err)
{
    const char *text = options->limit;
    char *end = NULL;
    *limit = text == NULL ? otherwise : strtoul(text, &end, 10);
    if (text != NULL && (text[0] < '0' || text[0] > '9' || *end != '\0' || *limit > 1000000000))
        return aq_error_set(err, AQ_INVALID, "--limit: '%s' is no number up to 1000000000", text);
    return AQ_OK;
}
