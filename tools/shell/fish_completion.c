/* Completion for fish: one `complete` line a command and an option. */
#include "tools/shell/shell.h"

static void put_option(struct aq_bytes *out, const char *command,
                       const struct aq_option_info *option)
{
    aq_bytes_chars(out, "complete -c aqstore");
    if (command != NULL)
        aq_shell_put(out, " -n '__fish_seen_subcommand_from %s'", command);
    aq_shell_put(out, " -l %s", option->name);
    if (option->letter != 0)
        aq_shell_put(out, " -s %c", option->letter);
    if (option->choices != NULL) {
        aq_bytes_chars(out, " -x -a '");
        aq_shell_words(out, option->choices);
        aq_bytes_chars(out, "'");
    } else if (option->value != NULL) {
        bool paths = aq_shell_is_file(option->value) || aq_shell_is_folder(option->value);
        aq_bytes_chars(out, paths ? " -r -F" : " -x");
    }
    aq_bytes_chars(out, " -d '");
    aq_shell_quote(out, option->help, "");
    aq_bytes_chars(out, "'\n");
}

static void put_options(struct aq_bytes *out, enum aq_command command, const char *name)
{
    struct aq_option_info option;
    for (size_t at = 0; aq_options_next(command, &at, &option);)
        put_option(out, name, &option);
}

static void put_command(struct aq_bytes *out, const struct aq_command_info *info)
{
    aq_shell_put(out, "complete -c aqstore -n __fish_use_subcommand -a %s -d '", info->name);
    aq_shell_quote(out, info->summary, "");
    aq_bytes_chars(out, "'\n");
    if (aq_shell_is_choice(info->arguments)) {
        aq_shell_put(out, "complete -c aqstore -n '__fish_seen_subcommand_from %s' -a '",
                     info->name);
        aq_shell_words(out, info->arguments);
        aq_bytes_chars(out, "'\n");
    } else if (aq_shell_is_file(info->arguments)) {
        aq_shell_put(out, "complete -c aqstore -n '__fish_seen_subcommand_from %s' -F\n",
                     info->name);
    }
}

void aq_shell_fish(struct aq_bytes *out)
{
    struct aq_command_info info;
    aq_bytes_chars(out, "# fish completion of aqstore: aqstore completion fish | source\n"
                        "complete -c aqstore -f\n");
    put_options(out, AQ_COMMAND_NONE, NULL);
    for (enum aq_command command = 0; command < AQ_COMMAND_NONE; command++) {
        if (!aq_command_info(command, &info))
            continue;
        put_command(out, &info);
        put_options(out, command, info.name);
    }
}
