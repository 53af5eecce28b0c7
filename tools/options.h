/* The command line: one table of commands and one of options, from which parsing, every --help, the shells'
 * completions and the man page are made. */
#ifndef AQ_TOOLS_OPTIONS_H
#define AQ_TOOLS_OPTIONS_H

#include "format/base/bytes.h"

/* id, name, arguments, how many at most, summary */
#define AQ_COMMAND_TABLE(X)                                                                    \
    X(INGEST, "ingest", "[SOURCE...]", SIZE_MAX, "run the sources of the config")              \
    X(IMPORT, "import", "FILE|-...", SIZE_MAX, "load files; the same file twice adds nothing") \
    X(QUERY, "query", "[\"SQL\"]", 1, "answer SQL from all data, hot and archived")            \
    X(COMPACT, "compact", "[DATASET...]", SIZE_MAX, "merge sealed segments into archives")     \
    X(GC, "gc", "", 0, "remove files that the store no longer names")                          \
    X(INSPECT, "inspect", "[FILE|DATASET]", 1, "show datasets, files, layout, encodings")      \
    X(VERIFY, "verify", "[FILE]", 1, "check every checksum of the store, or of one file")      \
    X(EXPORT, "export", "", 0, "write a dataset's rows for other tools")                       \
    X(REJECTS, "rejects", "list|show|replay", 1, "look at refused messages, feed them again")  \
    X(SOURCES, "sources", "[accept NAME TOPIC]", 3, "show where each feed stands")             \
    X(CONFIG, "config", "check|show", 1, "validate the config, or print it with its defaults") \
    X(TIER, "tier", "", 0, "copy what has closed into the bucket, move old archives there")    \
    X(RESTORE, "restore", "", 0, "rebuild a lost home from the bucket")                        \
    X(REPLAY, "replay", "FILE|-...", SIZE_MAX, "send a file's records to a Kafka topic")       \
    X(SERVE, "serve", "", SIZE_MAX, "HTTP for dashboards (not yet in this version)")           \
    X(COMPLETION, "completion", "bash|zsh|fish|man", 1,                                        \
      "print a shell's completion, or the man page")

enum aq_command {
#define AQ_COMMAND_ENUM(id, name, arguments, arguments_max, summary) AQ_COMMAND_##id,
    AQ_COMMAND_TABLE(AQ_COMMAND_ENUM)
#undef AQ_COMMAND_ENUM
        AQ_COMMAND_NONE, /* also their number */
};

/** What the user asked for. All text is borrowed from argv; NULL where an option was not given. */
struct aq_options {
    enum aq_command command;
    size_t argument_count; /* what is neither command nor option, in order */
    const char **arguments;

    const char *config;
    const char *store;
    const char *log_format; /* "text" or "json" */
    const char *io;         /* "auto", "uring" or "posix" */
    bool quiet;
    bool verbose;
    bool json;
    bool help;
    bool version;

    const char *dataset;
    const char *format;
    const char *file;   /* query -f, restore --file */
    const char *output; /* query -o */
    const char *timezone;
    const char *where;
    const char *to;
    const char *limit;
    const char *before; /* compact; so is the next one */
    const char *now;
    const char *span;
    const char *from;    /* restore --from, sources accept --from */
    const char *give_up; /* restore */
    const char *age;     /* gc --age */
    bool trust_clock;    /* gc, compact */
    const char *source;  /* rejects; so are the next three */
    const char *reason;
    const char *since;
    const char *header;
    const char *topic; /* replay; so are the next six */
    const char *rate;
    const char *key;
    const char *partition;
    const char *brokers;
    const char *as;
    bool loop;
    bool once;
    bool plot;
    bool dry_run;
    bool deep;
    bool vectors; /* inspect */
    bool replace;
    const char *rate_limit; /* compact */
    bool gc;                /* compact --gc; so is the next */
    bool tier;
    bool allow_incomplete;
    bool repair_plan;
};

/**
 * Read argv[1..argc-1]. Options may stand before or after the command's arguments; "--" ends them,
 * "-" is an argument. A fault is AQ_INVALID with the nearest valid word.
 * With --help or --version among them nothing else is required.
 * @param options  Overwritten; release with aq_options_deinit, also after a failure.
 */
enum aq_status aq_options_parse(int argc, const char *const *argv, struct aq_options *options,
                                struct aq_error *err) AQ_RESULT;
void aq_options_deinit(struct aq_options *options);

/** The number of --limit, `otherwise` without it. AQ_INVALID for what is no number up to 1,000,000,000. */
enum aq_status aq_options_limit(const struct aq_options *options, unsigned long otherwise,
                                unsigned long *limit, struct aq_error *err) AQ_RESULT;

/** "query"; "" for AQ_COMMAND_NONE. */
const char *aq_command_name(enum aq_command command);

/* The tables, for completions and the man page. What this version does not do is left out. */
struct aq_command_info {
    const char *name;
    const char *arguments; /* "FILE|-...", "list|show|replay", "" */
    const char *summary;
    const char *examples; /* lines; NULL: none */
};
/** False for a command of a later version. */
bool aq_command_info(enum aq_command command, struct aq_command_info *info);

struct aq_option_info {
    const char *name;
    const char *value;   /* placeholder; NULL for a flag */
    const char *choices; /* "csv|json"; NULL: any value */
    const char *help;
    char letter; /* 0: none */
};
/** The next option of `command` alone, or, for AQ_COMMAND_NONE, of every command. Begin with *at 0; false at
 * the end. */
bool aq_options_next(enum aq_command command, size_t *at, struct aq_option_info *info);

/** Append the help of `command`, or of the program for AQ_COMMAND_NONE. */
void aq_options_help(enum aq_command command, struct aq_bytes *out);

#endif
