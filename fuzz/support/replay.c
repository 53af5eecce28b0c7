/* Runs a fuzz target over the files it is given, or once over nothing: the corpus as a plain test. */
#include <stdio.h>
#include <stdlib.h>

#include "format/base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct aq_bytes bytes = {0};
    if (file == NULL) {
        perror(path);
        return EXIT_FAILURE;
    }
    for (;;) {
        uint8_t *room = aq_bytes_reserve(&bytes, 65536);
        size_t got = room == NULL ? 0 : fread(room, 1, 65536, file);
        if (got == 0)
            break;
        bytes.size += got;
    }
    int failed = ferror(file) || bytes.failed ? EXIT_FAILURE : EXIT_SUCCESS;
    fclose(file);
    if (failed == EXIT_SUCCESS)
        LLVMFuzzerTestOneInput(bytes.data, bytes.size);
    aq_bytes_deinit(&bytes);
    return failed;
}

int main(int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        if (run(argv[i]) != EXIT_SUCCESS)
            status = EXIT_FAILURE;
    return status;
}
