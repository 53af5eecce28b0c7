/* Completion for bash, without its helper package: the command is the first word that is one; then come the
 * values of the option before, the options, the arguments. */
#include "tools/shell/shell.h"

/* What `compgen` is to offer for a value. */
static void put_values(struct aq_bytes *out, const char *placeholder, const char *choices)
{
    if (choices != NULL) {
        aq_bytes_chars(out, "compgen -W \"");
        aq_shell_words(out, choices);
        aq_bytes_chars(out, "\"");
    } else if (aq_shell_is_file(placeholder)) {
        aq_bytes_chars(out, "compgen -f");
    } else if (aq_shell_is_folder(placeholder)) {
        aq_bytes_chars(out, "compgen -d");
    } else {
        aq_bytes_chars(out, "true");
    }
}

static void put_value_cases(struct aq_bytes *out, enum aq_command command, const char *name)
{
    struct aq_option_info option;
    for (size_t at = 0; aq_options_next(command, &at, &option);) {
        if (option.value == NULL)
            continue;
        aq_shell_put(out, "    %s:--%s", name, option.name);
        if (option.letter != 0)
            aq_shell_put(out, "|%s:-%c", name, option.letter);
        aq_bytes_chars(out, ") COMPREPLY=($(");
        put_values(out, option.value, option.choices);
        aq_bytes_chars(out, " -- \"$cur\")); return ;;\n");
    }
}

static void put_options(struct aq_bytes *out, enum aq_command command)
{
    struct aq_option_info option;
    for (size_t at = 0; aq_options_next(command, &at, &option);)
        aq_shell_put(out, " --%s", option.name);
}

static void put_command(struct aq_bytes *out, enum aq_command command,
                        const struct aq_command_info *info)
{
    aq_shell_put(out, "    %s)\n        options+=\"", info->name);
    put_options(out, command);
    aq_bytes_chars(out, "\"\n");
    if (aq_shell_is_choice(info->arguments)) {
        aq_bytes_chars(out, "        words=\"");
        aq_shell_words(out, info->arguments);
        aq_bytes_chars(out, "\" ;;\n");
    } else {
        aq_shell_put(out, "        files=%s ;;\n", aq_shell_is_file(info->arguments) ? "yes" : "");
    }
}

void aq_shell_bash(struct aq_bytes *out)
{
    struct aq_command_info info;
    aq_bytes_chars(out, "# bash completion of aqstore: source <(aqstore completion bash)\n"
                        "_aqstore() {\n"
                        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                        "    local command= word words= files= options=\"");
    put_options(out, AQ_COMMAND_NONE);
    aq_bytes_chars(out, "\"\n    local commands=\"");
    for (enum aq_command command = 0; command < AQ_COMMAND_NONE; command++)
        if (aq_command_info(command, &info))
            aq_shell_put(out, " %s", info.name);
    aq_bytes_chars(out,
                   "\"\n"
                   "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
                   "        case \" $commands \" in *\" $word \"*) command=$word; break ;; esac\n"
                   "    done\n"
                   "    case $command:$prev in\n");
    for (enum aq_command command = 0; command < AQ_COMMAND_NONE; command++)
        if (aq_command_info(command, &info))
            put_value_cases(out, command, info.name);
    put_value_cases(out, AQ_COMMAND_NONE, "*");
    aq_bytes_chars(out, "    esac\n    case $command in\n    \"\") words=$commands ;;\n");
    for (enum aq_command command = 0; command < AQ_COMMAND_NONE; command++)
        if (aq_command_info(command, &info))
            put_command(out, command, &info);
    aq_bytes_chars(out, "    esac\n"
                        "    case $cur in -*) words=$options files= ;; esac\n"
                        "    COMPREPLY=($(compgen -W \"$words\" ${files:+-f} -- \"$cur\"))\n"
                        "}\n"
                        "complete -o filenames -F _aqstore aqstore\n");
}
