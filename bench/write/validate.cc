// How fast simdjson alone validates the lines of a file: parsed whole, each into a document, and forgotten. What a decoder of
// the same messages can reach at most. Usage: validate FILE; prints one line of JSON with the CPU time that it took.
// Failures: a message and exit code 1.
#include <simdjson.h>

#include <cstdio>
#include <ctime>
#include <string_view>

static double cpu_seconds()
{
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

int main(int argument_count, char **arguments)
{
    simdjson::padded_string text;
    if (argument_count != 2 ||
        simdjson::padded_string::load(arguments[1]).get(text) != simdjson::SUCCESS) {
        std::fprintf(stderr, "validate: a file of one JSON value a line is needed\n");
        return 1;
    }
    simdjson::dom::parser parser;
    std::string_view left(text);
    size_t count = 0;
    double begin = cpu_seconds();
    while (!left.empty()) {
        size_t size = left.find('\n');
        size = size == std::string_view::npos ? left.size() : size;
        simdjson::dom::element element;
        // What follows a line is readable: the next one, or the padding of the file.
        if (parser.parse(left.data(), size, false).get(element) != simdjson::SUCCESS) {
            std::fprintf(stderr, "validate: line %zu is not JSON\n", count + 1);
            return 1;
        }
        left.remove_prefix(size < left.size() ? size + 1 : size);
        count++;
    }
    double seconds = cpu_seconds() - begin;
    std::printf("{\"messages\": %zu, \"bytes\": %zu, \"seconds\": %.6f}\n", count, text.size(),
                seconds);
    return 0;
}
