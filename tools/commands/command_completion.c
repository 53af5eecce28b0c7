/* completion: print what a shell reads to complete our command line, or the man page. */
#include <string.h>

#include "tools/commands/commands.h"
#include "tools/shell/shell.h"

static const struct {
    const char *name;
    void (*print)(struct aq_bytes *out);
} forms[] = {
    {"bash", aq_shell_bash},
    {"zsh", aq_shell_zsh},
    {"fish", aq_shell_fish},
    {"man", aq_shell_man},
};

enum aq_status aq_command_completion(struct aq_program *program, struct aq_error *err)
{
    const struct aq_options *options = &program->options;
    const char *wanted = options->argument_count > 0 ? options->arguments[0] : "";
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strcmp(forms[i].name, wanted) != 0)
            continue;
        struct aq_bytes text = {0};
        forms[i].print(&text);
        aq_out_bytes(program->out, &text);
        aq_bytes_deinit(&text);
        return AQ_OK;
    }
    return aq_error_set(err, AQ_INVALID, "say for what: aqstore completion bash|zsh|fish|man");
}
