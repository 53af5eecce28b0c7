/* Completion for zsh: _arguments with the options of every command, then those of the one that was given. */
#include "tools/shell/shell.h"

#define SPECIAL "[]:\\"

static void put_value(struct aq_bytes *out, const struct aq_option_info *option)
{
    if (option->value == NULL)
        return;
    aq_bytes_chars(out, ":");
    if (option->choices != NULL) {
        aq_shell_put(out, "%s:(", option->name);
        aq_shell_words(out, option->choices);
        aq_bytes_chars(out, ")");
        return;
    }
    aq_shell_quote(out, option->value, SPECIAL);
    aq_bytes_chars(out, aq_shell_is_file(option->value)     ? ":_files"
                        : aq_shell_is_folder(option->value) ? ":_files -/"
                                                            : ":");
}

static void put_options(struct aq_bytes *out, enum aq_command command, const char *indent)
{
    struct aq_option_info option;
    for (size_t at = 0; aq_options_next(command, &at, &option);) {
        aq_bytes_chars(out, indent);
        if (option.letter != 0)
            aq_shell_put(out, "{-%c,--%s}'[", option.letter, option.name);
        else
            aq_shell_put(out, "'--%s[", option.name);
        aq_shell_quote(out, option.help, SPECIAL);
        aq_bytes_chars(out, "]");
        put_value(out, &option);
        aq_bytes_chars(out, "' \\\n");
    }
}

static void put_case(struct aq_bytes *out, enum aq_command command,
                     const struct aq_command_info *info)
{
    aq_shell_put(out, "    %s)\n        _arguments \\\n", info->name);
    put_options(out, AQ_COMMAND_NONE, "            ");
    put_options(out, command, "            ");
    if (aq_shell_is_choice(info->arguments)) {
        aq_bytes_chars(out, "            '1:what:(");
        aq_shell_words(out, info->arguments);
        aq_bytes_chars(out, ")' ;;\n");
    } else {
        aq_shell_put(out, "            '*:argument:%s' ;;\n",
                     aq_shell_is_file(info->arguments) ? "_files" : "");
    }
}

void aq_shell_zsh(struct aq_bytes *out)
{
    struct aq_command_info info;
    aq_bytes_chars(out, "#compdef aqstore\n"
                        "# zsh completion of aqstore: put it as _aqstore into a folder of $fpath.\n"
                        "_aqstore() {\n"
                        "    local context state line curcontext=$curcontext\n"
                        "    local -a commands=(\n");
    for (enum aq_command command = 0; command < AQ_COMMAND_NONE; command++) {
        if (!aq_command_info(command, &info))
            continue;
        aq_shell_put(out, "        '%s:", info.name);
        aq_shell_quote(out, info.summary, SPECIAL);
        aq_bytes_chars(out, "'\n");
    }
    aq_bytes_chars(out, "    )\n    _arguments -C \\\n");
    put_options(out, AQ_COMMAND_NONE, "        ");
    aq_bytes_chars(out, "        '1:command:->command' '*::argument:->argument'\n"
                        "    case $state in\n"
                        "    command) _describe command commands; return ;;\n"
                        "    argument) ;;\n"
                        "    *) return ;;\n"
                        "    esac\n"
                        "    case $words[1] in\n");
    for (enum aq_command command = 0; command < AQ_COMMAND_NONE; command++)
        if (aq_command_info(command, &info))
            put_case(out, command, &info);
    aq_bytes_chars(out, "    esac\n"
                        "}\n"
                        "if [[ $funcstack[1] == _aqstore ]]; then _aqstore \"$@\"; "
                        "else compdef _aqstore aqstore; fi\n");
}
