/* aqstore(1): one page with all commands. In troff a '-' that is typed is \-, a backslash \e, and a line may not
 * begin with '.' or '\''. */
#include <string.h>

#include "tools/program.h"
#include "tools/shell/shell.h"

static void put_text(struct aq_bytes *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        aq_bytes_chars(out, "\\&");
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '-')
            aq_bytes_chars(out, "\\-");
        else if (*at == '\\')
            aq_bytes_chars(out, "\\e");
        else
            aq_bytes_u8(out, (uint8_t)*at);
    }
}

static void put_options(struct aq_bytes *out, enum aq_command command)
{
    struct aq_option_info option;
    for (size_t at = 0; aq_options_next(command, &at, &option);) {
        aq_bytes_chars(out, ".TP\n");
        if (option.letter != 0)
            aq_shell_put(out, "\\fB\\-%c\\fR, ", option.letter);
        aq_bytes_chars(out, "\\fB");
        put_text(out, "--");
        put_text(out, option.name);
        aq_bytes_chars(out, "\\fR");
        if (option.value != NULL) {
            aq_bytes_chars(out, " \\fI");
            put_text(out, option.value);
            aq_bytes_chars(out, "\\fR");
        }
        aq_bytes_chars(out, "\n");
        put_text(out, option.help);
        aq_bytes_chars(out, "\n");
    }
}

static void put_command(struct aq_bytes *out, enum aq_command command,
                        const struct aq_command_info *info)
{
    aq_bytes_chars(out, ".SS ");
    put_text(out, info->name);
    aq_bytes_chars(out, "\n.B ");
    put_text(out, info->name);
    aq_bytes_chars(out, "\n");
    if (info->arguments[0] != '\0') {
        aq_bytes_chars(out, ".I ");
        for (const char *at = info->arguments; *at != '\0'; at++)
            if (*at == '"')
                aq_bytes_chars(out, "\\(dq");
            else
                put_text(out, (const char[]){*at, '\0'});
        aq_bytes_chars(out, "\n");
    }
    aq_bytes_chars(out, ".PP\n");
    put_text(out, info->summary);
    aq_bytes_chars(out, ".\n");
    put_options(out, command);
    if (info->examples == NULL)
        return;
    aq_bytes_chars(out, ".PP\n.nf\n");
    put_text(out, info->examples);
    aq_bytes_chars(out, ".fi\n");
}

static void put_exit_codes(struct aq_bytes *out)
{
    static const char *const codes[][2] = {
        {"0", "done; for ingest also: what was read is durable after SIGTERM or SIGINT"},
        {"1", "the work failed"},
        {"2", "wrong usage or config"},
        {"3", "corruption found"},
        {"4", "another job won or holds the lock"},
        {"75", "temporary: try again"},
        {"130, 143", "ended by SIGINT, SIGTERM"},
        {"141", "the reader of the output went away"},
    };
    aq_bytes_chars(out, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        aq_shell_put(out, ".TP\n.B %s\n%s\n", codes[i][0], codes[i][1]);
}

void aq_shell_man(struct aq_bytes *out)
{
    struct aq_command_info info;
    aq_bytes_chars(out, ".TH AQSTORE 1 \"\" \"aqstore " AQ_VERSION "\" \"User Commands\"\n"
                        ".SH NAME\naqstore \\- storage engine and columnar archive for streams of "
                        "timestamped events\n"
                        ".SH SYNOPSIS\n.B aqstore\n[\\fIOPTION\\fR...] \\fICOMMAND\\fR "
                        "[\\fIARGUMENT\\fR...]\n"
                        ".SH DESCRIPTION\naqstore keeps streams of timestamped events: loads them "
                        "once each, compacts them into small archives, and answers SQL over all of "
                        "it.\n"
                        ".SH OPTIONS\nFor every command:\n");
    put_options(out, AQ_COMMAND_NONE);
    aq_bytes_chars(out, ".SH COMMANDS\n");
    for (enum aq_command command = 0; command < AQ_COMMAND_NONE; command++)
        if (aq_command_info(command, &info))
            put_command(out, command, &info);
    put_exit_codes(out);
    aq_bytes_chars(out, ".SH ENVIRONMENT\n.TP\n.B AQSTORE_CONFIG\nthe config file, where "
                        "\\-\\-config is not given\n"
                        ".TP\n.B NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID\nthe service manager, "
                        "for ingest\n.TP\n.B NO_COLOR\nif set, no colours\n"
                        ".SH SEE ALSO\nThe pages below share/doc/aqstore/docs.\n");
}
